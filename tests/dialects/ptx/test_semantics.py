"""Elementwise meanings, checked by hand-computed values and against independent formulas."""

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from llmc.dialects.ptx.forms import lookup
from llmc.dialects.ptx.semantics import ELEMENTWISE


def run(opcode: str, *operands: object):
    form = lookup(opcode)
    return ELEMENTWISE[form.key](form.mods, *operands)


def u32(*values: int) -> np.ndarray:
    return np.array(values, np.int64).astype(np.uint32)


def f32(*values: float) -> np.ndarray:
    return np.array(values, np.float32)


def test_integers_wrap_and_widen() -> None:
    assert run("mad.lo.s32", u32(3, -2), u32(4, 5), u32(1, 1)).view(np.int32).tolist() == [13, -9]
    assert run("mul.wide.s32", u32(-3), u32(4)).view(np.int64).tolist() == [-12]
    assert run("mul.hi.u64", np.array([2**63], np.uint64), np.array([6], np.uint64)).tolist() == [3]
    assert run("mul.hi.s64", np.array([-5], np.int64).view(np.uint64), np.array([6], np.uint64)).view(np.int64).tolist() == [-1]
    assert run("add.sat.s32", u32(2**31 - 1), u32(1)).tolist() == [2**31 - 1]
    assert run("div.s32", u32(-7, 7), u32(2, -2)).view(np.int32).tolist() == [-3, -3]
    assert run("rem.s32", u32(-7, 7), u32(2, -2)).view(np.int32).tolist() == [-1, 1]
    assert run("dp4a.s32.s32", u32(0x01FF0203), u32(0x02020202), u32(10)).tolist() == [20]


def test_shifts_clamp_their_amount() -> None:
    assert run("shl.b32", u32(1, 1), u32(31, 32)).tolist() == [2**31, 0]
    assert run("shr.s32", u32(-8, -8), u32(1, 40)).view(np.int32).tolist() == [-4, -1]
    assert run("shr.u32", u32(8), u32(33)).tolist() == [0]
    assert run("shf.l.wrap.b32", u32(0x80000000), u32(1), u32(1)).tolist() == [3]
    assert run("shf.r.clamp.b32", u32(2), u32(1), u32(32)).tolist() == [1]


def test_bit_fields() -> None:
    assert run("prmt.b32", u32(0x33221100), u32(0x77665544), u32(0x5410)).tolist() == [0x55441100]
    assert run("prmt.b32", u32(0x80), u32(0), u32(0x8888)).tolist() == [0xFFFFFFFF]
    assert run("bfe.s32", u32(0xF0), u32(4), u32(4)).view(np.int32).tolist() == [-1]
    assert run("bfe.u32", u32(0xF0), u32(4), u32(4)).tolist() == [15]
    assert run("bfi.b32", u32(0xF), u32(0), u32(4), u32(4)).tolist() == [0xF0]
    assert run("clz.b32", u32(1, 0)).tolist() == [31, 32]
    assert run("popc.b32", u32(255)).tolist() == [8]
    assert run("brev.b32", u32(1)).tolist() == [2**31]


@given(st.integers(0, 255), st.integers(0, 2**32 - 1), st.integers(0, 2**32 - 1), st.integers(0, 2**32 - 1))
def test_lop3_is_its_truth_table(table: int, a: int, b: int, c: int) -> None:
    want = 0
    for bit in range(32):
        index = (a >> bit & 1) << 2 | (b >> bit & 1) << 1 | (c >> bit & 1)
        want |= (table >> index & 1) << bit
    assert run("lop3.b32", u32(a), u32(b), u32(c), np.uint32(table)).tolist() == [want]


def test_comparisons_with_nan() -> None:
    nan = f32(np.nan, 1.0)
    one = f32(1.0, 1.0)
    assert run("setp.ne.f32", nan, one)[0].tolist() == [False, False]
    assert run("setp.neu.f32", nan, one)[0].tolist() == [True, False]
    assert run("setp.equ.f32", nan, one)[0].tolist() == [True, True]
    assert run("setp.num.f32", nan, one)[0].tolist() == [False, True]
    p, q = run("setp.lt.and.s32", u32(-1, 2), u32(1, 1), np.array([True, True]))
    assert p.tolist() == [True, False] and q.tolist() == [False, True]
    assert run("min.f32", nan, f32(3.0, 0.5)).tolist() == [3.0, 0.5]
    assert np.isnan(run("max.NaN.f32", nan, one)[0])


def test_conversions() -> None:
    assert run("cvt.rzi.s32.f32", f32(-1.7, 3e10, np.nan, -3e10)).view(np.int32).tolist() == [-1, 2**31 - 1, 0, -(2**31)]
    assert run("cvt.rni.s32.f32", f32(0.5, 1.5, 2.5)).tolist() == [0, 2, 2]
    assert run("cvt.rn.bf16x2.f32", f32(1.0), f32(-2.0)).tolist() == [0x3F80C000]  # first operand above
    assert run("cvt.s32.s8", u32(0xFF)).view(np.int32).tolist() == [-1]
    assert run("cvt.u32.u8", u32(0x1FF)).tolist() == [0xFF]
    assert run("cvt.sat.s8.s32", u32(300, -300)).view(np.int32).tolist() == [127, -128]
    assert run("cvt.pack.sat.s8.s32.b32", u32(300), u32(-1), u32(0x1234)).tolist() == [0x12347FFF]
    assert run("cvt.rn.satfinite.e4m3x2.f32", f32(1000), f32(1.0)).tolist() == [0x7E38]
    assert run("cvt.f32.f16", np.array([0x3C00], np.uint16)).tolist() == [1.0]
    assert run("cvt.rna.tf32.f32", f32(1.0)).tolist() == [0x3F800000]


@given(st.floats(width=32, allow_nan=False, allow_infinity=False))
def test_bf16_rounding_matches_ml_dtypes(value: float) -> None:
    with np.errstate(all="ignore"):
        want = f32(value).astype(ml_dtypes.bfloat16).view(np.uint16).tolist()
    assert run("cvt.rn.bf16.f32", f32(value)).tolist() == want


@pytest.mark.parametrize(("mode", "want"), [("rz", 0x3F80), ("rp", None), ("rn", 0x3F80)])
def test_rounding_modes(mode: str, want: int | None) -> None:
    value = f32(1.0 + 2**-9)
    if want is not None:
        assert run(f"cvt.{mode}.bf16.f32", value).tolist() == [want]
    assert run("add.rp.f32", f32(1.0), f32(2**-30)).tolist() == [float(np.nextafter(np.float32(1), np.float32(2)))]
    assert run("add.rz.f32", f32(1.0), f32(2**-24 + 2**-30)).tolist() == [1.0]


def test_packed_arithmetic() -> None:
    half = np.array([1.0, 2.0], ml_dtypes.bfloat16).view(np.uint32)
    out = run("fma.rn.bf16x2", half, half, half)
    assert out.view(ml_dtypes.bfloat16).astype(np.float32).tolist() == [2.0, 6.0]
    assert run("ex2.approx.ftz.f32", f32(3.0, -np.inf)).tolist() == [8.0, 0.0]
    assert run("add.ftz.f32", f32(1e-40), f32(0)).tolist() == [0.0]


def test_a_register_of_the_other_class_is_reinterpreted() -> None:
    assert run("mov.f32", u32(0x3F800000)).tolist() == [1.0]
    assert run("mov.b32", f32(1.0)).tolist() == [0x3F800000]
    assert run("selp.b32", f32(1.0), u32(7), np.array([True])).tolist() == [0x3F800000]
