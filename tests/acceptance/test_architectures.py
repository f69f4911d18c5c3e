"""Six architectures from PyTorch to PTX: every level means what Hugging Face means, and the kernels round no more than PyTorch does."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from llmc.compiler.phases import lower, phase_of
from llmc.dialects.ir.context import make_context
from llmc.dialects.ir.interpret import Interpreter
from llmc.passes.framework.manager import PassManager
from llmc.passes.framework.pass_ import PassContext
from llmc.runtime.generate import Session
from model_runs import Imported, batch_logits, error_ratio, start_reference
from running import SEMANTICS, empty_states, relative_error, step

ARCHS = ("llama", "qwen3", "mistral", "gpt2", "bert", "torchnn")
Models = Callable[[str, str], Imported]

RANDOM = np.random.default_rng(5)
PROMPTS: list[list[int]] = [RANDOM.integers(3, 128, n).tolist() for n in (1, 7, 33, 70)]
NEXT = [11, 12, 13, 14]
SHORT: list[list[int]] = [RANDOM.integers(3, 128, n).tolist() for n in (2, 5, 9, 15, 17, 24, 50, 65)]
FULL: list[list[list[int]]] = [[RANDOM.integers(3, 128, n).tolist() for n in (70, 61, 33, 32, 27, 17, 9, 7)] for _ in range(2)]


def grouped(prompts: Sequence[Sequence[int]], session: Session) -> list[list[Sequence[int]]]:
    """Prompts in batches that a session can run at once."""
    groups: list[list[Sequence[int]]] = [[]]
    for prompt in prompts:
        if len(groups[-1]) == session.width or sum(map(len, groups[-1])) + len(prompt) > session.chunk:
            groups.append([])
        groups[-1].append(prompt)
    return groups


# Every level in float32 ------------------------------------------------------------------------------------------------


def at_import(model: Imported) -> list[np.ndarray]:
    """Logits after each token, of the module that the front end made."""
    interpreter = Interpreter(model.model.module, SEMANTICS, environment=model.model.environment)
    found: list[np.ndarray] = []
    for prompt in PROMPTS:
        args = [np.array(prompt, np.int32), np.arange(len(prompt), dtype=np.int32)]
        found.append(interpreter.call("main", args[: len(model.model.inputs)], {"T": len(prompt)})[0])
    return found


def of_module(module: Any, model: Imported) -> tuple[np.ndarray, np.ndarray | None]:
    """Results of a ragged batch of all prompts, and of a token more for each."""
    weights: Any = model.model.weights
    ids = [np.array(p, np.int32) for p in PROMPTS]
    lengths, sidecar = [len(p) for p in PROMPTS], model.model.sidecar
    if model.arch == "bert":
        return step(module, weights, "encode", ids, [0] * len(ids), [], sidecar)[0][0], None
    first, states = step(module, weights, "prefill", ids, [0] * len(ids), empty_states(module, "prefill", len(ids)), sidecar)
    second, _ = step(module, weights, "decode", [np.array([t], np.int32) for t in NEXT], lengths, states, sidecar)
    return first[0], second[0]


@pytest.mark.parametrize("arch", ARCHS)
def test_every_level_means_what_eager_means(arch: str, model: Models) -> None:
    given = model(arch, "float32")
    exact = given.eager(PROMPTS, "float32")
    errors = {"import": max(relative_error(a, b) for a, b in zip(at_import(given), exact, strict=True))}
    if arch == "bert":
        first, second = np.concatenate(exact), None
    else:
        first = np.stack([e[-1] for e in exact])
        second = np.stack([e[-1] for e in given.eager([[*p, t] for p, t in zip(PROMPTS, NEXT, strict=True)], "float32")])
    module, manager = given.model.module.clone(), PassManager(PassContext(make_context()))
    given.options.attach(module)
    for phase in ("nn", "fusion", "quant", "layout"):
        lower(manager, module, phase_of(module), phase)
        if phase == "layout":
            session = start_reference(module, given.model, given.options)
            got = (
                np.concatenate([session.logits(p, every=True) for p in PROMPTS])
                if arch == "bert"
                else batch_logits(session, PROMPTS)
            )
            if second is not None:
                drawn = session.generate(PROMPTS, 2)
                assert [tokens[0] for tokens in drawn] == first.argmax(-1).tolist()
                longer = given.eager([[*p, tokens[0]] for p, tokens in zip(PROMPTS, drawn, strict=True)], "float32")
                assert [tokens[1] for tokens in drawn] == [int(e[-1].argmax()) for e in longer]
        else:
            got, later = of_module(module, given)
            if second is not None and later is not None:
                errors[f"{phase}, decode"] = relative_error(later, second)
        errors[phase] = relative_error(got, first)
    assert max(errors.values()) < 1e-4, errors


# Kernels in bfloat16 ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("arch", ARCHS)
def test_kernels_round_no_more_than_pytorch_does(arch: str, model: Models) -> None:
    """Mean absolute error against float32, over every position of a prompt of 33 and many of others, prefilled at once and token
    by token. Errors of single prompts scatter by half their size, so only means over many are compared."""
    given = model(arch, "bfloat16")
    session = given.session("emulator")
    exact, theirs = given.eager(PROMPTS[2:], "float32"), given.eager(PROMPTS[2:], "bfloat16")
    ratios: dict[str, float] = {}
    if arch == "bert":
        prompts = [*PROMPTS, *SHORT]
        ours = [session.logits(p, every=True) for p in prompts]
        ratios["at once"] = error_ratio(ours, given.eager(prompts, "bfloat16"), given.eager(prompts, "float32"))
    else:
        ends = [(0, n) for n in range(1, 34)] + [(1, n) for n in range(43, 71, 9)]
        rows = [r for group in grouped([PROMPTS[2 + t][:n] for t, n in ends], session) for r in batch_logits(session, group)]
        ratios["at once"] = error_ratio(rows, [theirs[t][n - 1] for t, n in ends], [exact[t][n - 1] for t, n in ends])
        by_token = Session(session.engine, max_context=128)
        by_token.chunk = 1
        ratios["by token"] = error_ratio([by_token.logits(PROMPTS[3][:12], every=True)], [theirs[1][:12]], [exact[1][:12]])
        full = [row for batch in FULL for row in batch_logits(session, batch)]  # 256 tokens take other kernels than 255
        last = ([rows[-1] for batch in FULL for rows in given.eager(batch, dtype)] for dtype in ("bfloat16", "float32"))
        ratios["in a large batch"] = error_ratio(full, *last)
        alone = [*SHORT, *PROMPTS]
        last = ([rows[-1] for rows in given.eager(alone, dtype)] for dtype in ("bfloat16", "float32"))
        ratios["alone"] = error_ratio([session.logits(p) for p in alone], *last)
    assert max(ratios.values()) <= 1.2, ratios
