"""The wgmma GEMM: every epilogue in numpy and on the emulator, bad parameters, and what ptxas makes of an 8 B model's shapes."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
from llmc.codegen.ptx.assemble import assemble
from llmc.codegen.ptx.sass import sass
from llmc.codegen.schedules.base import load_schedule
from llmc.codegen.targets import find_target
from llmc.dialects.ir.diagnostics import LlmcError
from llmc.dialects.layout.types import ScheduleAttr
from llmc.runtime.emulator.device import EmulatorDevice

sys.path[:0] = [str(Path(__file__).parents[2] / "support"), str(Path(__file__).parent)]
from kernel_cases import linear_case
from kernel_runs import TARGET, image_of, programs_of
from test_linear import check
from tools import needs_ptxas

SMALL = {"m": 128, "n": 32, "k": 64, "stages": 4, "groups": 2}
CASES: dict[str, tuple[dict[str, int], dict[str, Any]]] = {
    "plain": (SMALL, {"epilogue": "none", "N": 128, "K": 256}),
    "deep_stages": ({**SMALL, "k": 128}, {"epilogue": "none", "N": 256, "K": 512}),
    "rows_beyond_n": (SMALL, {"epilogue": "none", "N": 208, "K": 256}),
    "two_tiles_a_warpgroup": ({**SMALL, "m": 256}, {"epilogue": "residual", "N": 256, "K": 256, "bias": True}),
    "ctas_that_stay": ({**SMALL, "ctas": 3}, {"epilogue": "residual", "N": 256, "K": 256}),
    "ctas_that_stay_in_small_pieces": ({**SMALL, "ctas": 1, "piece": 8}, {"epilogue": "silu_mul", "N": 512, "K": 256}),
    "gate_and_up": (SMALL, {"epilogue": "silu_mul", "N": 256, "K": 256}),
    "weights_far_ahead": ({**SMALL, "overlap": 1, "ahead": 3}, {"epilogue": "none", "N": 128, "K": 512}),
    "half_stages": ({**SMALL, "overlap": 1, "ahead": 3, "grain": 32}, {"epilogue": "none", "N": 128, "K": 512}),
    "half_stages_int8": (
        {**SMALL, "overlap": 1, "ahead": 5, "grain": 32},
        {"epilogue": "residual", "N": 128, "K": 384, "weight": "int8"},
    ),
    "int8": (SMALL, {"epilogue": "residual", "N": 128, "K": 256, "weight": "int8"}),
    "rope_and_append": (SMALL, {"epilogue": "qkv", "N": 512, "K": 128, "heads": (2, 1, 128)}),
}


@pytest.mark.parametrize("overlap", [0, 1])
@pytest.mark.parametrize("case", CASES)
def test_epilogues(case: str, overlap: int) -> None:
    parameters, shape = CASES[case]
    check("gemm_wgmma", {"overlap": overlap, **parameters}, T=40, **shape)


@pytest.mark.parametrize("overlap", [0, 1])
@pytest.mark.parametrize("case", CASES)
def test_epilogues_on_the_emulator(case: str, overlap: int) -> None:
    parameters, shape = CASES[case]
    check("gemm_wgmma", {"overlap": overlap, **parameters}, T=40, device=EmulatorDevice("sm_90a"), **shape)


@pytest.mark.parametrize("weight", ["bf16", "int8"])
def test_prefetching_changes_nothing(weight: str) -> None:
    parameters = {**SMALL, "overlap": 1, "prefetch": 2, "ctas": 2}
    check("gemm_wgmma", parameters, "none", T=40, N=256, K=512, weight=weight, device=EmulatorDevice("sm_90a"))


@pytest.mark.parametrize(
    ("parameters", "problem"),
    [
        ({"m": 128, "groups": 4}, "no multiple of 64"),
        ({"m": 128, "n": 256, "groups": 1}, "registers"),
        ({"m": 128, "n": 256, "k": 128, "stages": 4}, "shared memory"),
        ({"stages": 3, "overlap": 1}, "4 stages"),
        ({"m": 256}, "cut ranges"),
    ],
)
def test_parameters_that_make_no_sense_are_refused(parameters: dict[str, int], problem: str) -> None:
    case = linear_case(128, 6144, 4096, "qkv", heads=(32, 8, 128))
    with pytest.raises(LlmcError, match=problem):
        load_schedule("gemm_wgmma").build(case.kernel, ScheduleAttr.of("gemm_wgmma", **parameters), TARGET)


def test_targets_without_wgmma_do_not_take_it() -> None:
    kernel, ampere = linear_case(1024, 4096, 4096).kernel, find_target("sm_80")
    schedule = load_schedule("gemm_wgmma")
    assert schedule.candidates(kernel, TARGET)
    assert not schedule.candidates(kernel, ampere)
    with pytest.raises(LlmcError, match="no wgmma"):
        schedule.build(kernel, schedule.candidates(kernel, TARGET)[0], ampere)


HEADS = (32, 8, 128)
SHAPES: dict[str, dict[str, Any]] = {
    "qkv": {"N": 6144, "K": 4096, "epilogue": "qkv", "heads": HEADS},
    "gate_up": {"N": 28672, "K": 4096, "epilogue": "silu_mul"},
    "down": {"N": 4096, "K": 14336, "epilogue": "residual"},
}


@needs_ptxas
@pytest.mark.parametrize("weight", ["bf16", "int8"])
@pytest.mark.parametrize("shape", SHAPES)
def test_first_candidates_stay_asynchronous(shape: str, weight: str) -> None:
    case = linear_case(T=1024, weight=weight, **SHAPES[shape])
    attribute = load_schedule("gemm_wgmma").candidates(case.kernel, TARGET)[0]
    (program,) = programs_of(case, attribute)
    done = assemble(image_of(program).ptx, TARGET.name)
    assert not done.codes
    assert done.spills == 0
    assert sass(done.cubin).counts["HGMMA"] >= 4
