"""The GEMM of two operands from shared memory: every epilogue in numpy and on the emulator, in clusters too, bad parameters, ptxas."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
from llmc.codegen.ptx.assemble import assemble
from llmc.codegen.ptx.sass import sass
from llmc.codegen.schedules.base import BUILTIN, load_schedule
from llmc.codegen.targets import find_target
from llmc.dialects.ir.diagnostics import LlmcError
from llmc.dialects.layout.types import ScheduleAttr
from llmc.runtime.emulator.device import EmulatorDevice
from xdsl.dialects.builtin import ArrayAttr, DictionaryAttr, IntegerAttr, i64

sys.path[:0] = [str(Path(__file__).parents[2] / "support"), str(Path(__file__).parent)]
from kernel_cases import Case, linear_case
from kernel_runs import TARGET, image_of, programs_of
from test_linear import check
from tools import needs_ptxas

TALL = {"m": 256, "n": 16, "stages": 3, "ctas": 4}
SHORT = {"m": 128, "n": 32, "stages": 2, "ctas": 4}
CASES: dict[str, tuple[dict[str, int], dict[str, Any]]] = {
    "plain": (TALL, {"epilogue": "none", "N": 256, "K": 256}),
    "short": (SHORT, {"epilogue": "none", "N": 128, "K": 256}),
    "one_step": (SHORT, {"epilogue": "none", "N": 128, "K": 64}),
    "residual": (TALL, {"epilogue": "residual", "N": 512, "K": 192, "bias": True}),
    "many_tasks_a_cta": ({**SHORT, "ctas": 2, "group": 1}, {"epilogue": "residual", "N": 384, "K": 320}),
    "gate_and_up": (TALL, {"epilogue": "silu_mul", "N": 512, "K": 128}),
    "gate_and_up_in_short_tasks": ({**SHORT, "piece": 16}, {"epilogue": "silu_mul", "N": 256, "K": 128}),
    "straight_from_registers": ({**SHORT, "runs": 0, "piece": 16}, {"epilogue": "silu_mul", "N": 256, "K": 128}),
    "tokens_with_heads": (TALL, {"epilogue": "none", "N": 256, "K": 256, "x_heads": 2}),
    "rope_and_append": (SHORT, {"epilogue": "qkv", "N": 512, "K": 128, "heads": (2, 1, 128)}),
    "a_head_a_warpgroup": (TALL, {"epilogue": "qkv", "N": 512, "K": 128, "heads": (2, 1, 128)}),
    "a_short_head_a_warpgroup": ({**SHORT, "ctas": 2}, {"epilogue": "qkv", "N": 512, "K": 192, "heads": (4, 2, 64)}),
    "short_heads_straight_from_registers": ({**SHORT, "runs": 0}, {"epilogue": "qkv", "N": 512, "K": 128, "heads": (4, 2, 64)}),
}


@pytest.mark.parametrize("cluster", [1, 2])
@pytest.mark.parametrize("case", CASES)
def test_epilogues(case: str, cluster: int) -> None:
    parameters, shape = CASES[case]
    check("gemm_tma", {"cluster": cluster, **parameters}, T=40, **shape)


@pytest.mark.parametrize("cluster", [1, 2])
@pytest.mark.parametrize("case", CASES)
def test_epilogues_on_the_emulator(case: str, cluster: int) -> None:
    parameters, shape = CASES[case]
    check("gemm_tma", {"cluster": cluster, **parameters}, T=40, device=EmulatorDevice("sm_90a"), **shape)


def test_a_cta_without_tokens_copies_weights_for_its_peer() -> None:
    for device in (None, EmulatorDevice("sm_90a")):
        check("gemm_tma", {**TALL, "cluster": 2}, "none", T=9, N=256, K=256, device=device)


def test_clusters_wait_for_copies_and_products_alone() -> None:
    """No fence of all memory at an arrival: it would cost a third of the time."""
    (program,) = programs_of(linear_case(40, 512, 192, "none"), ScheduleAttr.of("gemm_tma", **SHORT, cluster=2))
    text = image_of(program).ptx
    assert "mbarrier.arrive.shared::cluster.b64" in text
    assert ".release.cluster.shared" not in text and ".acquire.cluster." not in text


@pytest.mark.parametrize("tokens", [40, 300])
@pytest.mark.parametrize("epilogue", ["none", "silu_mul"])
def test_wide_tasks_share_their_tokens(epilogue: str, tokens: int) -> None:
    parameters = {"m": 128, "n": 144, "stages": 3, "ctas": 2, "cluster": 2}
    for device in (None, EmulatorDevice("sm_90a")):
        check("gemm_tma", parameters, epilogue, T=tokens, N=512, K=192, device=device)


@pytest.mark.parametrize(
    ("parameters", "problem"),
    [
        ({"m": 128, "n": 256, "stages": 5}, "shared memory"),
        ({"m": 128, "cluster": 2, "ctas": 131}, "no clusters"),
        ({"m": 256, "n": 128}, "cut ranges"),
    ],
)
def test_parameters_that_make_no_sense_are_refused(parameters: dict[str, int], problem: str) -> None:
    case = linear_case(128, 2560, 2048, "qkv", heads=(32, 4, 64))
    with pytest.raises(LlmcError, match=problem):
        load_schedule("gemm_tma").build(case.kernel, ScheduleAttr.of("gemm_tma", **parameters), TARGET)


def test_accumulators_fit_the_registers() -> None:
    with pytest.raises(LlmcError, match="registers"):
        load_schedule("gemm_tma").abi(linear_case(128, 4096, 4096).kernel, ScheduleAttr.of("gemm_tma", m=256, n=208))


@pytest.mark.parametrize(
    ("shape", "parameters"), [((192, 128), {}), ((256, 96), {}), ((384, 128), {"m": 128, "n": 256, "cluster": 2})]
)
def test_rows_and_depth_come_whole(shape: tuple[int, int], parameters: dict[str, int]) -> None:
    case = linear_case(128, *shape)
    with pytest.raises(LlmcError, match="do not tile"):
        load_schedule("gemm_tma").build(case.kernel, ScheduleAttr.of("gemm_tma", **parameters), TARGET)


def test_weights_of_eight_bits_have_other_schedules() -> None:
    assert "type" in str(load_schedule("gemm_tma").accepts(linear_case(128, 256, 128, weight="int8").kernel))


def test_only_hopper_takes_it() -> None:
    kernel, ampere = linear_case(1024, 4096, 4096).kernel, find_target("sm_80")
    schedule = load_schedule("gemm_tma")
    first = schedule.candidates(kernel, TARGET)[0]
    assert not schedule.candidates(kernel, ampere)
    with pytest.raises(LlmcError, match="no wgmma"):
        schedule.build(kernel, first, ampere)
    assert BUILTIN.candidates(kernel, TARGET)[0] == (schedule, first)


def in_regime(case: Case, low: int, high: int) -> tuple[int, ...]:
    """The first candidate's m and n where a kernel takes `low` to `high` tokens."""
    case.kernel.properties["ranges"] = DictionaryAttr({"T": ArrayAttr([IntegerAttr(low, i64), IntegerAttr(high, i64)])})
    first = load_schedule("gemm_tma").candidates(case.kernel, TARGET)
    return tuple(first[0].integer(name) for name in "mn") if first else ()


def test_forms_fill_the_card() -> None:
    """Few tokens take small tasks, which are enough for all SMs; many take large ones, which read less."""
    tasks = [in_regime(linear_case(128, 4096, 4096), low, high) for low, high in ((65, 256), (257, 512), (513, 4096))]
    assert tasks == [(128, 64), (128, 128), (128, 256)]
    assert in_regime(linear_case(64, 4096, 4096), 1, 64) == ()


def test_it_takes_the_image_that_decode_takes() -> None:
    kernel = linear_case(1024, 6144, 4096, "qkv", heads=(32, 8, 128)).kernel
    layouts = [
        load_schedule(name).abi(kernel, ScheduleAttr.of(name, **parameters)).operand_layouts
        for name, parameters in (("gemm_tma", {"m": 128}), ("skinny", {"m": 16}))
    ]
    assert layouts[0] == layouts[1]


HEADS = (32, 8, 128)
SHAPES: dict[str, dict[str, Any]] = {
    "qkv": {"N": 6144, "K": 4096, "epilogue": "qkv", "heads": HEADS},
    "gate_up": {"N": 28672, "K": 4096, "epilogue": "silu_mul"},
    "down": {"N": 4096, "K": 14336, "epilogue": "residual"},
}


@needs_ptxas
@pytest.mark.parametrize("shape", SHAPES)
def test_first_candidates_stay_asynchronous(shape: str) -> None:
    case = linear_case(T=1024, **SHAPES[shape])
    attribute = load_schedule("gemm_tma").candidates(case.kernel, TARGET)[0]
    (program,) = programs_of(case, attribute)
    done = assemble(image_of(program).ptx, TARGET.name)
    assert not done.codes
    assert done.spills == 0
    assert sass(done.cubin).counts["HGMMA"] in (4, 8)
