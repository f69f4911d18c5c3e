"""The first candidates for the shapes of an 8 B model assemble without spills (needs ptxas)."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
from llmc.codegen.ptx.assemble import assemble
from llmc.codegen.schedules import BUILTIN
from xdsl.dialects.builtin import ArrayAttr, DictionaryAttr, IntegerAttr, i64

sys.path.insert(0, str(Path(__file__).parents[2] / "support"))
from kernel_cases import Case, attention_case, linear_case
from kernel_runs import TARGET, image_of, programs_of

HEADS = (32, 8, 128)
SHAPES: dict[str, dict[str, Any]] = {
    "qkv": {"N": 6144, "K": 4096, "epilogue": "qkv", "heads": HEADS},
    "gate_up": {"N": 28672, "K": 4096, "epilogue": "silu_mul"},
    "down": {"N": 4096, "K": 14336, "epilogue": "residual"},
    "head": {"N": 128256, "K": 4096},
}


def assert_no_spills(case: Case, family: str, first: bool = True) -> None:
    low_high = ArrayAttr([IntegerAttr(1, i64), IntegerAttr(case.sizes["T"], i64)])
    case.kernel.properties["ranges"] = DictionaryAttr({"T": low_high})
    if first:
        assert BUILTIN.candidates(case.kernel, TARGET)[0][0].name == family
    attribute = next(a for schedule, a in BUILTIN.candidates(case.kernel, TARGET) if schedule.name == family)
    for program in programs_of(case, attribute):
        assembled = assemble(image_of(program).ptx, TARGET.name)
        assert assembled.spills == 0, attribute


@pytest.mark.parametrize("tokens", [1, 16, 64])
@pytest.mark.parametrize("shape", SHAPES)
def test_skinny_candidates_fit(shape: str, tokens: int) -> None:
    options = {**SHAPES[shape], "norm": shape != "down"}
    if shape == "qkv":
        options["lengths"] = [100] * tokens
    assert_no_spills(linear_case(T=tokens, **options), "skinny")


@pytest.mark.parametrize("shape", ["qkv", "gate_up", "down"])
def test_gemm_candidates_fit(shape: str) -> None:
    assert_no_spills(linear_case(T=1024, **SHAPES[shape]), "gemm_tma")
    assert_no_spills(linear_case(T=1024, **SHAPES[shape]), "gemm_wgmma", first=False)
    assert_no_spills(linear_case(T=1024, **SHAPES[shape]), "gemm", first=False)


@pytest.mark.parametrize("width", [64, 80, 128, 256])
def test_attention_candidates_fit(width: int) -> None:
    assert_no_spills(attention_case([1024], [1], (16, 4, width)), "attention_decode")
    assert_no_spills(attention_case([1024], [1024], (16, 4, width)), "attention_prefill")
