"""Every op says which PyTorch module it came from, down to instructions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
import tiny_models
from llmc.compiler.phases import PHASES, lower, phase_of
from llmc.dialects.ir.context import make_context
from llmc.dialects.ir.locations import module_path
from llmc.dialects.ir.parsing import parse_module
from llmc.passes.framework.manager import PassManager
from llmc.passes.framework.pass_ import PassContext
from model_runs import STORYTELLER, Imported
from xdsl.dialects.builtin import ModuleOp

MODELS = ("llama", "qwen3", "mistral", "gpt2", "bert", "torchnn", "storyteller")


def torch_names(name: str) -> set[str]:
    """Modules, parameters and buffers of the torch model, and its class: what a location may name."""
    import transformers

    twin: Any = (
        transformers.AutoModelForCausalLM.from_pretrained(STORYTELLER)
        if name == "storyteller"
        else tiny_models.tiny_model(name)
    )
    named = (twin.named_modules(), twin.named_parameters(remove_duplicate=False), twin.named_buffers())
    return {type(twin).__name__, *(n for each in named for n, _ in each)}


def coverage(module: ModuleOp, names: set[str]) -> tuple[float, Counter[str]]:
    """The share of ops whose location names a part of the torch model, and what the others are."""
    others: Counter[str] = Counter()
    total = 0
    for op in module.walk():
        if op is not module:
            total += 1
            path = module_path(op.location)
            if path not in names:
                others[f"{op.name} at {path}"] += 1
    return 1 - others.total() / total, others


@pytest.mark.parametrize("name", MODELS)
def test_every_op_names_its_module(name: str, model: Callable[[str, str], Imported], storyteller: Imported) -> None:
    given = storyteller if name == "storyteller" else model(name, "bfloat16")
    module, names = given.model.module.clone(), torch_names(name)
    manager = PassManager(PassContext(make_context()))
    given.options.attach(module)
    shares = {"import": coverage(module, names)}
    for phase in PHASES:
        lower(manager, module, phase_of(module), phase)
        shares[phase] = coverage(module, names)
        assert all(module_path(op.location) is not None for op in module.walk() if op is not module), phase
    measured = ", ".join(f"{phase} {share:.2%}" for phase, (share, _) in shares.items())
    assert shares["import"][0] == 1, f"{measured}; without: {shares['import'][1].most_common(8)}"
    for phase in PHASES:  # sampling and the decode loop are ours, not PyTorch's
        wanted = 1 if phase == "nn" else 0.95
        assert shares[phase][0] >= wanted, f"{measured}; without at {phase}: {shares[phase][1].most_common(8)}"


@pytest.mark.parametrize("phase", ["nn", "fusion", "layout"])
def test_text_keeps_locations(phase: str, storyteller: Imported) -> None:
    text = storyteller.compile().dumps[phase]
    module = parse_module(make_context(), text, f"model.{phase}")
    unnamed = [op.name for op in module.walk() if op is not module and module_path(op.location) is None]
    assert unnamed == []
