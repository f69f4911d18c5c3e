"""The emulator's short cuts mean what the table of semantics says."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from llmc.dialects.ptx.parse import parse_ptx
from llmc.runtime.emulator.arithmetic import _from_table, _short_cut  # pyright: ignore[reportPrivateUsage]
from llmc.runtime.emulator.asynchrony import Asynchrony
from llmc.runtime.emulator.binder import Binder
from llmc.runtime.emulator.context import Context
from llmc.runtime.emulator.decode import decode
from llmc.runtime.emulator.memory import GlobalMemory

TYPED = {
    "r": ("b32", 32), "f": ("f32", 32), "d": ("b64", 64), "h": ("b16", 16), "p": ("pred", 1), "g": ("f64", 64),
}  # fmt: skip
EXACT = [
    "add.s32 %r0, %r1, %r2", "sub.u32 %r0, %r1, 7", "mul.lo.s32 %r0, %r1, %r2", "mad.lo.u32 %r0, %r1, %r2, %r3", "mul.lo.s64 %d0, %d1, %d2",
    "mul.wide.s32 %d0, %r1, %r2", "mul.wide.u32 %d0, %r1, 12", "mad.wide.s32 %d0, %r1, %r2, %d1", "mad.wide.u32 %d0, %r1, %r2, %d1",
    "min.s32 %r0, %r1, %r2", "max.u32 %r0, %r1, %r2", "and.b32 %r0, %r1, 31", "or.b64 %d0, %d1, %d2", "xor.b16 %h0, %h1, %h2", "not.b32 %r0, %r1",
    "shl.b32 %r0, %r1, %r4", "shr.u32 %r0, %r1, %r4", "shr.s32 %r0, %r1, %r4", "shl.b64 %d0, %d1, 40", "shr.s64 %d0, %d1, 63", "shl.b32 %r0, %r1, 32",
    "neg.s32 %r0, %r1", "abs.s64 %d0, %d1", "and.pred %p0, %p1, %p2", "not.pred %p0, %p1", "xor.pred %p0, %p1, %p2",
    "add.f32 %f0, %f1, %f2", "mul.rn.f32 %f0, %f1, 0f3F000000", "sub.f64 %g0, %g1, %g2", "min.f32 %f0, %f1, %f2", "max.f32 %f0, %f1, %f2",
    "min.NaN.f32 %f0, %f1, %f2", "max.NaN.f32 %f0, %f1, %f2", "abs.f32 %f0, %f1", "neg.f32 %f0, %f1", "copysign.f32 %f0, %f1, %f2",
    *(f"setp.{c}.s32 %p0, %r1, %r2" for c in ("eq", "ne", "lt", "le", "gt", "ge")), *(f"setp.{c}.u32 %p0, %r1, %r2" for c in ("lo", "ls", "hi", "hs", "lt")),
    *(f"setp.{c}.f32 %p0, %f1, %f2" for c in ("eq", "ne", "lt", "le", "gt", "ge", "neu", "ltu", "nan", "num")), "setp.lt.and.s32 %p0, %r1, %r2, %p1",
    "selp.b32 %r0, %r1, %r2, %p1", "selp.f32 %f0, %f1, 0f00000000, %p1", "mov.b32 %r0, %f1", "mov.f32 %f0, %f1", "mov.u64 %d0, %d1",
    "cvt.u64.u32 %d0, %r1", "cvt.s64.s32 %d0, %r1", "cvt.u32.u64 %r0, %d1", "cvt.rn.f32.s32 %f0, %r1", "cvt.rn.f32.u32 %f0, %r1", "cvt.f64.f32 %g0, %f1",
    "cvt.rn.f32.f64 %f0, %g1", "cvt.s32.s16 %r0, %h1", "cvt.u32.u16 %r0, %h1", "cvt.u16.u32 %h0, %r1", "cvt.s32.s8 %r0, %r1", "cvt.u32.u8 %r0, %r1",
    "cvt.rn.bf16x2.f32 %r0, %f1, %f2", "cvt.rn.bf16.f32 %h0, %f1", "cvt.f32.bf16 %f0, %h1", "cvt.f32.f16 %f0, %h1", "cvt.rn.f16.f32 %h0, %f1",
    "cvt.rni.f32.f32 %f0, %f1", "cvt.rzi.f32.f32 %f0, %f1", "cvt.rzi.s32.f32 %r0, %f1",
    "prmt.b32 %r0, %r1, %r2, 0x5410", "prmt.b32 %r0, %r1, %r2, 0x7632", "prmt.b32 %r0, %r1, %r2, 0x2736", "prmt.b32 %r0, %r1, 0, 0x4140", "prmt.b32 %r0, %r1, %r2, 0x9810",
    *(f"lop3.b32 %r0, %r1, %r2, %r3, {t}" for t in (0xEA, 0x96, 0x6A, 0xF8, 0x78, 0xA8, 0xE0, 0xC0, 0xFC, 0x3C, 0x80, 0xFE, 0x1B)),
    "bfe.u32 %r0, %r1, 3, 5", "bfe.s32 %r0, %r1, 8, 8", "bfe.s32 %r0, %r1, 24, 8",
    "add.rn.bf16x2 %r0, %r1, %r2", "mul.rn.f16x2 %r0, %r1, %r2", "max.bf16x2 %r0, %r1, %r2", "sub.f16x2 %r0, %r1, %r2",
]  # fmt: skip
CLOSE = [
    "fma.rn.f32 %f0, %f1, %f2, %f3", "div.full.f32 %f0, %f1, %f2", "ex2.approx.ftz.f32 %f0, %f1", "lg2.approx.f32 %f0, %f1", "rcp.approx.f32 %f0, %f1",
    "rsqrt.approx.f32 %f0, %f1", "sqrt.approx.f32 %f0, %f1", "tanh.approx.f32 %f0, %f1", "sin.approx.f32 %f0, %f1",
]  # fmt: skip


def both(instruction: str) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any], bool, str]:
    """(by short cut, by the table, whether there is a short cut, kind) of one instruction on random registers."""
    declarations = "\n".join(f".reg .{kind} %{letter}<5>;" for letter, (kind, _) in TYPED.items())
    text = f".version 8.0\n.target sm_90\n.address_size 64\n.visible .entry k()\n{{\n{declarations}\n{instruction};\nret;\n}}\n"
    kernel = decode(parse_ptx(text).kernels["k"], text)
    ctx = Context(kernel, (64, 1, 1), 4, 0, GlobalMemory(1 << 20), False)
    random = np.random.default_rng(5)
    for name, array in ctx.registers.items():
        letter = name[1]
        if letter == "f":
            values = random.standard_normal(len(array)).astype(np.float32) * 4
            values[:8] = [np.nan, np.inf, -np.inf, 0.0, -0.0, 1.0, 2.5, -2.5]
            array[:] = random.permutation(values).view(np.uint32)
        elif letter == "g":
            array[:] = random.standard_normal(len(array)).view(np.uint64)
        elif letter == "p":
            array[:] = random.integers(0, 2, len(array)) != 0
        else:
            array[:] = random.integers(0, np.iinfo(array.dtype).max, len(array), array.dtype, endpoint=True)
            array[:6] = np.array([0, 1, 2, 0, 1, 2], array.dtype)
    if "%r4" in ctx.registers:
        ctx.registers["%r4"][:] = random.integers(0, 40, ctx.slots)
    binder = Binder(ctx, Asynchrony(ctx, 0), 0, ctx.warps)
    instr = kernel.code[0]
    target = next(iter(ctx.registers[a.name] for a in instr.args[:1] if hasattr(a, "name")))
    before = target.copy()
    with np.errstate(all="ignore"):
        _from_table(binder, instr)[0]()
        expected = target.copy()
        target[:] = before
        bound = _short_cut(binder, instr)
        if bound is None:
            return expected, expected, False, instr.type
        bound[0]()
        found = target.copy()
        target[:] = before
        mask = random.integers(0, 2, ctx.slots) != 0
        bound[1](mask)
        assert np.array_equal(target[mask], found[mask]) and np.array_equal(target[~mask], before[~mask])
    return found, expected, True, instr.args[0].name[1]  # pyright: ignore[reportAttributeAccessIssue]


def as_values(bits: np.ndarray[Any, Any], kind: str) -> np.ndarray[Any, Any]:
    return bits.view(np.float32) if kind == "f" else bits.view(np.float64) if kind == "g" else bits


@pytest.mark.parametrize("instruction", EXACT)
def test_short_cut_equals_the_table(instruction: str) -> None:
    found, expected, _, kind = both(instruction)
    if "bf16x2" in instruction or "f16x2" in instruction:
        import ml_dtypes

        dtype = ml_dtypes.bfloat16 if "bf16" in instruction else np.float16
        found, expected, kind = found.view(dtype).astype(np.float32), expected.view(dtype).astype(np.float32), ""
    if kind == "h" and "f16" in instruction:
        found, expected = found.view(np.float16), expected.view(np.float16)
    np.testing.assert_array_equal(as_values(found, kind), as_values(expected, kind))


@pytest.mark.parametrize("instruction", CLOSE)
def test_short_cut_is_close_to_the_table(instruction: str) -> None:
    found, expected, short, kind = both(instruction)
    assert short
    np.testing.assert_allclose(as_values(found, kind), as_values(expected, kind), rtol=3e-6, atol=2e-6)


def test_fma_of_packed_bf16_is_close_to_the_table() -> None:
    import ml_dtypes

    found, expected, short, _ = both("fma.rn.bf16x2 %r0, %r1, %r2, %r3")
    assert short
    a, b = found.view(ml_dtypes.bfloat16).astype(np.float64), expected.view(ml_dtypes.bfloat16).astype(np.float64)
    np.testing.assert_allclose(a, b, rtol=0.01)
