"""Draws: repeatable by seed, greedy in the limit, and as often as softmax says."""

from __future__ import annotations

import numpy as np
import pytest
from compiled_kernels import random_arrays, run_emulated
from llmc.compiler.kernels import KernelCode, generate
from llmc.dialects.ir.context import make_context
from llmc.dialects.ir.locations import named
from llmc.dialects.layout.kernel_form import strings
from llmc.dialects.layout.ops import KernelOp
from llmc.dialects.layout.types import ScheduleAttr
from llmc.dialects.nn.ops import SampleOp
from llmc.dialects.nn.types import BatchType, SamplingType, tensor
from llmc.passes.framework.manager import PassManager
from llmc.passes.framework.pass_ import PassContext
from llmc.passes.layout.kernel_builder import Paging, kernel_from_body
from llmc.runtime.generate import SamplingParams
from model_runs import Imported
from xdsl.dialects.builtin import ModuleOp, f32
from xdsl.ir import Block

PROMPT = [5, 6, 7, 8, 9]
DRAWS = 600


@pytest.mark.parametrize("device", ["reference", "emulator"])
def test_the_seed_alone_decides_and_limits_are_greedy(device: str, storyteller: Imported) -> None:
    session = storyteller.session(device)
    params = [
        SamplingParams(),
        SamplingParams(1.0, top_k=1, seed=3),
        SamplingParams(1.0, top_p=1e-4, seed=4),
        SamplingParams(1.0, seed=1),
        SamplingParams(1.0, seed=1),
        SamplingParams(1.0, seed=2),
    ]
    greedy, one, sliver, first, again, other = session.generate([PROMPT] * len(params), 8, params)
    assert greedy == one == sliver
    assert first == again
    assert first != other
    assert session.generate([PROMPT], 8, SamplingParams(1.0, seed=1)) == [first]


CASES = {
    "softmax": (1.0, 0, 1.0),
    "a temperature": (0.5, 0, 1.0),
    "the largest four": (1.0, 4, 1.0),
    "seven tenths of the mass": (1.0, 0, 0.7),
    "both limits": (2.0, 8, 0.6),
}


def distribution(logits: np.ndarray, temperature: float, top_k: int, top_p: float) -> np.ndarray:
    """The probabilities that a draw should follow."""
    scaled = logits.astype(np.float64) / temperature
    weights = np.exp(scaled - scaled.max())
    order = np.argsort(-weights, kind="stable")
    if top_k:
        weights[order[top_k:]] = 0
    before = np.cumsum(weights[order]) - weights[order]
    weights[order[before >= top_p * weights.sum()]] = 0
    return weights / weights.sum()


@pytest.fixture(scope="module")
def sampler() -> tuple[KernelOp, KernelCode]:
    """The sampling kernel alone, for 64 tokens."""
    block = Block(arg_types=[tensor(f32, ["B", 64]), BatchType.of(), SamplingType()])
    op = SampleOp(*block.args)
    block.add_op(op)
    kernel = kernel_from_body("sample", "sample", block.args, [op], [op.result], Paging(), {}, named("sample")).kernel
    kernel.properties["schedule"] = ScheduleAttr.of("sampling", warps=4)
    kernel.properties["grid"] = strings(("B", "1", "1"))
    code = generate(PassManager(PassContext(make_context())), ModuleOp([]), kernel, "sm_90a").code
    return kernel, code


@pytest.mark.parametrize(("case", "varied"), [*((c, "seed") for c in CASES), ("softmax", "kv_len")])
def test_frequencies_follow_softmax(case: str, varied: str, sampler: tuple[KernelOp, KernelCode]) -> None:
    """Pearson's χ² over many draws with only the seed, or only the position, varied."""
    kernel, code = sampler
    rng = np.random.default_rng(8)
    logits = np.full(64, -40.0, np.float32)
    logits[rng.choice(64, 12, replace=False)] = rng.normal(0, 1, 12)
    temperature, top_k, top_p = CASES[case]
    keys = {"seed": np.full(DRAWS, 5), "kv_len": np.full(DRAWS, 77), varied: np.arange(DRAWS)}
    given = {
        "x0": np.tile(logits, DRAWS),
        "temperature": np.full(DRAWS, temperature),
        "top_k": np.full(DRAWS, top_k),
        "top_p": np.full(DRAWS, top_p),
        **keys,
    }
    arrays = random_arrays(kernel, {"B": DRAWS}, given)
    (tokens,) = (run_emulated(code, kernel, arrays, {"B": DRAWS})[n] for n in arrays if n not in given)
    expected = DRAWS * distribution(logits, temperature, top_k, top_p)
    counts = np.bincount(tokens, minlength=64)
    possible = expected > 1e-6
    assert counts[~possible].sum() == 0
    freedom = int(possible.sum()) - 1
    statistic = float(((counts - expected) ** 2 / np.maximum(expected, 1e-9))[possible].sum())
    assert statistic < freedom + 5 * (2 * freedom) ** 0.5, f"χ² = {statistic:.1f} with {freedom} degrees of freedom"
