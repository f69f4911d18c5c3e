"""Warp-wide instructions one at a time, against their definitions in the PTX manual."""

from __future__ import annotations

from typing import Any

import ml_dtypes
import numpy as np
import pytest
from llmc.dialects.ir.diagnostics import LlmcError
from llmc.runtime.device import KernelImage
from llmc.runtime.emulator.device import EmulatorDevice


def run(lines: str, inputs: np.ndarray[Any, Any], results: int, threads: int = 64) -> np.ndarray[Any, Any]:
    """Each thread's `%r0 … ` come from its row of `inputs` (uint32); its `%s0 …` are the result [threads, results]."""
    count = inputs.shape[1]
    loads = "\n".join(f"ld.global.b32 %r{i}, [%rd1+{4 * i}];" for i in range(count))
    stores = "\n".join(f"st.global.b32 [%rd2+{4 * i}], %s{i};" for i in range(results))
    text = f""".version 8.0
.target sm_90
.address_size 64
.visible .entry k(.param .u64 in, .param .u64 out)
.reqntid {threads}, 1, 1
{{
.reg .pred %p<4>;
.reg .b32 %r<16>;
.reg .b32 %s<16>;
.reg .b32 %t;
.reg .b64 %rd<4>;
ld.param.u64 %rd1, [in];
ld.param.u64 %rd2, [out];
mov.u32 %t, %tid.x;
mad.wide.u32 %rd1, %t, {4 * count}, %rd1;
mad.wide.u32 %rd2, %t, {4 * results}, %rd2;
{loads}
{lines}
{stores}
ret;
}}
"""
    device = EmulatorDevice(capacity=1 << 22)
    source, out = device.alloc(inputs.nbytes), device.alloc(4 * threads * results)
    device.upload(source, inputs)
    device.launch(device.load(KernelImage("k", text, threads=threads)), (1, 1, 1), [source.ptr, out.ptr])
    return device.download(out, out.nbytes).view(np.uint32).reshape(threads, results)


def values(columns: int, seed: int = 0) -> np.ndarray[Any, Any]:
    return np.random.default_rng(seed).integers(0, 2**32, (64, columns), np.uint32, endpoint=False)


@pytest.mark.parametrize("mode", ["idx", "up", "down", "bfly"])
@pytest.mark.parametrize(("by", "width"), [(0, 32), (1, 32), (5, 32), (3, 8), (9, 16)])
@pytest.mark.parametrize("immediate", [True, False])
def test_shuffles_move_values_inside_their_segments(mode: str, by: int, width: int, immediate: bool) -> None:
    control = (32 - width) << 8 | (0 if mode == "up" else 31)
    x = values(3)
    x[:, 1], x[:, 2] = by, control
    operands = f"{by}, {control}" if immediate else "%r1, %r2"
    out = run(f"shfl.sync.{mode}.b32 %s0|%p1, %r0, {operands}, 0xffffffff;\nselp.b32 %s1, 1, 0, %p1;", x, 2)
    for thread in range(64):
        lane = thread % 32
        low = lane & ~(width - 1)
        high = low | 31 & (width - 1)
        match mode:
            case "idx":
                source, valid = low | by & (width - 1), True
            case "up":
                source, valid = lane - by, lane - by >= low
            case "down":
                source, valid = lane + by, lane + by <= high
            case _:
                source, valid = lane ^ by, lane ^ by <= high
        assert out[thread, 0] == x[thread - lane + (source if valid else lane), 0] and out[thread, 1] == valid


def test_votes_and_reductions() -> None:
    x = values(1)
    out = run(
        "and.b32 %r1, %r0, 3;\nsetp.eq.u32 %p1, %r1, 0;\nvote.sync.ballot.b32 %s0, %p1, 0xffffffff;\n"
        "vote.sync.any.pred %p2, %p1, 0xffffffff;\nselp.b32 %s1, 1, 0, %p2;\nvote.sync.all.pred %p2, %p1, 0xffffffff;\nselp.b32 %s2, 1, 0, %p2;\n"
        "redux.sync.add.u32 %s3, %r1, 0xffffffff;\nredux.sync.max.s32 %s4, %r0, 0xffffffff;\nredux.sync.xor.b32 %s5, %r0, 0xffffffff;\n"
        "elect.sync %s6|%p3, 0xffffffff;\nselp.b32 %s7, 1, 0, %p3;\nmatch.any.sync.b32 %s8, %r1, 0xffffffff;",
        x,
        9,
    )
    for warp in range(2):
        w, o = x[32 * warp : 32 * warp + 32, 0], out[32 * warp : 32 * warp + 32]
        holds = w & 3 == 0
        assert (o[:, 0] == sum(1 << i for i in range(32) if holds[i])).all()
        assert (o[:, 1] == holds.any()).all() and (o[:, 2] == holds.all()).all()
        assert (o[:, 3] == (w & 3).sum()).all() and (o[:, 4].view(np.int32) == w.view(np.int32).max()).all()
        assert (o[:, 5] == np.bitwise_xor.reduce(w)).all()
        assert o[:, 7].tolist() == [1] + [0] * 31
        assert o[:, 8].tolist() == [sum(1 << j for j in range(32) if w[j] & 3 == w[i] & 3) for i in range(32)]


def fragment(matrix: np.ndarray[Any, Any], rows_by: int) -> np.ndarray[Any, Any]:
    """A [16, K] or B [8, K] matrix as registers [32, count] (uint32): PTX ISA, "Matrix Fragments for mma"."""
    per = 4 // matrix.itemsize
    halves = max(1, matrix.shape[1] // (4 * per))
    out = np.zeros((32, halves * rows_by, per), matrix.dtype)
    for lane in range(32):
        for half in range(halves):
            for row in range(rows_by):
                for e in range(per):
                    out[lane, half * rows_by + row, e] = matrix[lane // 4 + 8 * row, 4 * per * half + lane % 4 * per + e]
    return out.view(np.uint32)[..., 0]


@pytest.mark.parametrize(
    ("shape", "types", "dtype", "depth"),
    [
        ("m16n8k16", "f32.bf16.bf16.f32", ml_dtypes.bfloat16, 16),
        ("m16n8k16", "f32.f16.f16.f32", np.float16, 16),
        ("m16n8k8", "f32.bf16.bf16.f32", ml_dtypes.bfloat16, 8),
        ("m16n8k8", "f32.tf32.tf32.f32", np.float32, 8),
        ("m16n8k32", "s32.s8.s8.s32", np.int8, 32),
        ("m16n8k32", "s32.u8.u8.s32", np.uint8, 32),
        ("m16n8k32", "f32.e4m3.e4m3.f32", ml_dtypes.float8_e4m3fn, 32),
    ],
)
def test_mma_multiplies_fragments(shape: str, types: str, dtype: Any, depth: int) -> None:
    random = np.random.default_rng(1)
    integers = np.dtype(dtype).kind in "iu"
    low = -128 if dtype == np.int8 else 0
    a, b = (
        random.integers(low, low + 256, (n, depth)).astype(dtype)
        if integers
        else random.standard_normal((n, depth)).astype(dtype)
        for n in (16, 8)
    )
    c_type = np.int32 if integers else np.float32
    c = random.integers(-99, 99, (16, 8)).astype(c_type)
    a_regs, b_regs = fragment(a, 2), fragment(b, 1)
    c_regs = (
        np.stack([[c[lane // 4 + 8 * (i // 2), lane % 4 * 2 + i % 2] for i in range(4)] for lane in range(32)])
        .astype(c_type)
        .view(np.uint32)
    )
    registers = np.concatenate([a_regs, b_regs, c_regs], axis=1)
    names = [f"%r{i}" for i in range(registers.shape[1])]
    na, nb = a_regs.shape[1], b_regs.shape[1]
    line = f"mma.sync.aligned.{shape}.row.col.{types} {{%s0, %s1, %s2, %s3}}, {{{', '.join(names[:na])}}}, {{{', '.join(names[na : na + nb])}}}, {{{', '.join(names[na + nb :])}}};"
    out = run(line, np.concatenate([registers, registers]), 4)[32:].view(c_type)
    d = np.zeros((16, 8))
    for lane in range(32):
        for i in range(4):
            d[lane // 4 + 8 * (i // 2), lane % 4 * 2 + i % 2] = out[lane, i]
    np.testing.assert_allclose(d, a.astype(np.float64) @ b.astype(np.float64).T + c, rtol=1e-5, atol=1e-4)


def test_a_shuffle_that_some_lanes_never_reach_is_a_deadlock() -> None:
    with pytest.raises(LlmcError, match="deadlock"):
        run(
            "and.b32 %r1, %t, 1;\nsetp.eq.u32 %p1, %r1, 0;\nmov.u32 %s0, 0;\n@%p1 bra EVEN;\nshfl.sync.idx.b32 %s0, %r0, 0, 31, 0xffffffff;\nbra END;\n"
            "EVEN:\nbar.sync 0;\nEND:",
            values(1),
            1,
        )
