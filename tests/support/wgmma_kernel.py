"""A wgmma kernel as text, the shared-memory images of its operands, and its fragments undone: for the emulator's and the GPU's tests."""

from __future__ import annotations

import ml_dtypes
import numpy as np

BF16 = ml_dtypes.bfloat16
N, K, CTAS = 24, 64, 3


def image(matrix: np.ndarray, swizzled: bool) -> np.ndarray:
    """A K-major [rows, 64] matrix as its shared-memory bytes: 128-byte swizzle, or core matrices of 8 rows by 16 bytes."""
    rows = len(matrix)
    data = matrix.view(np.uint16).reshape(rows // 8, 8, 8, 8)  # row block, row, 16-byte chunk, element
    if not swizzled:
        return np.ascontiguousarray(data.transpose(0, 2, 1, 3)).view(np.uint8).reshape(-1)
    out = np.empty_like(data)
    for row in range(8):
        for chunk in range(8):
            out[:, row, chunk ^ row] = data[:, row, chunk]
    return out.view(np.uint8).reshape(-1)


def kernel(swizzled: bool, from_registers: bool) -> str:
    """D[64, N] f32 = A[64, 64] B[N, 64]^T per CTA of one warpgroup; A at shared 0 (8 KB), B after it."""
    descriptor = 0x4000004000010000 if swizzled else (64 << 32) | (8 << 16)  # row blocks are 1024 bytes apart; cores 128
    step = 2 if swizzled else 16  # 32 bytes, or two core matrices
    accumulators = ", ".join(f"%f{i}" for i in range(N // 2))
    total = 8192 + N * 128
    lines = [
        "mov.u32 %r1, %tid.x;", "mov.u32 %r2, %ctaid.x;", "mov.u32 %r3, smem;",
        "ld.param.u64 %rd1, [a];", f"mad.wide.u32 %rd1, %r2, {total}, %rd1;",
        "mul.wide.u32 %rd2, %r1, 16;", "add.s64 %rd1, %rd1, %rd2;", "shl.b32 %r4, %r1, 4;", "add.s32 %r4, %r4, %r3;",
        "mov.u32 %r5, %r1;", "COPY:", f"setp.ge.u32 %p1, %r5, {total // 16};", "@%p1 bra READY;",
        "ld.global.v4.b32 {%r10, %r11, %r12, %r13}, [%rd1];", "st.shared.v4.b32 [%r4], {%r10, %r11, %r12, %r13};",
        "add.s64 %rd1, %rd1, 2048;", "add.s32 %r4, %r4, 2048;", "add.s32 %r5, %r5, 128;", "bra COPY;", "READY:",
        "fence.proxy.async.shared::cta;", "bar.sync 0;",
        "shr.u32 %r6, %r3, 4;", "cvt.u64.u32 %rd3, %r6;", f"or.b64 %rd4, %rd3, {descriptor};", "add.s64 %rd5, %rd4, 512;",
        "setp.ne.u32 %p2, %r1, %r1;", "setp.eq.u32 %p3, %r1, %r1;",
    ]  # fmt: skip
    if from_registers:  # the lane's A fragments of all four k steps, from the swizzled rows
        lines += ["shr.u32 %r7, %r1, 5;", "and.b32 %r8, %r1, 31;", "shr.u32 %r9, %r8, 2;", "and.b32 %r8, %r8, 3;",
                  "shl.b32 %r7, %r7, 11;", "shl.b32 %r14, %r9, 7;", "add.s32 %r7, %r7, %r14;", "add.s32 %r7, %r7, %r3;", "shl.b32 %r8, %r8, 2;"]  # fmt: skip
        for k in range(4):
            for i in range(4):
                chunk = 2 * k + i // 2
                lines += [f"xor.b32 %r15, %r9, {chunk};", "shl.b32 %r15, %r15, 4;", "add.s32 %r15, %r15, %r7;", "add.s32 %r15, %r15, %r8;",
                          f"ld.shared.b32 %r{20 + 4 * k + i}, [%r15+{1024 * (i % 2)}];"]  # fmt: skip
    lines.append("wgmma.fence.sync.aligned;")
    for k in range(4):
        a = f"{{%r{20 + 4 * k}, %r{21 + 4 * k}, %r{22 + 4 * k}, %r{23 + 4 * k}}}" if from_registers else "%rd4"
        trans = "0" if from_registers else "0, 0"
        lines.append(
            f"wgmma.mma_async.sync.aligned.m64n{N}k16.f32.bf16.bf16 {{{accumulators}}}, {a}, %rd5, {'%p3' if k else '%p2'}, 1, 1, {trans};"
        )
        lines += [f"add.s64 %rd4, %rd4, {step};", f"add.s64 %rd5, %rd5, {step};"]
    lines += ["wgmma.commit_group.sync.aligned;", "wgmma.wait_group.sync.aligned 0;"]
    lines += ["ld.param.u64 %rd6, [d];", "mad.lo.s32 %r16, %r2, 128, %r1;", f"mad.wide.u32 %rd6, %r16, {N * 2}, %rd6;"]
    lines += [f"st.global.f32 [%rd6+{4 * i}], %f{i};" for i in range(N // 2)]
    body = "\n".join(lines)
    return f""".version 8.0
.target sm_90a
.address_size 64
.visible .entry k(.param .u64 a, .param .u64 d)
.reqntid 128, 1, 1
{{
.reg .pred %p<4>;
.reg .b32 %r<40>;
.reg .b64 %rd<8>;
.reg .f32 %f<{N // 2}>;
.shared .align 1024 .b8 smem[{total}];
{body}
ret;
}}
"""


def data(swizzled: bool) -> tuple[np.ndarray, np.ndarray]:
    """(the bytes that the kernel reads, the product that it should leave)."""
    random = np.random.default_rng(0)
    a, b = random.standard_normal((CTAS, 64, K)).astype(BF16), random.standard_normal((CTAS, N, K)).astype(BF16)
    images = np.concatenate([np.concatenate([image(x, swizzled), image(y, swizzled)]) for x, y in zip(a, b, strict=True)])
    return images, a.astype(np.float32) @ b.astype(np.float32).transpose(0, 2, 1)


def product(stored: np.ndarray) -> np.ndarray:
    """What the threads stored (their accumulators, f32) as [CTAS, 64, N]."""
    d = stored.reshape(CTAS, 4, 8, 4, N // 8, 2, 2)  # cta, warp, row, pair, block, half, column
    return d.transpose(0, 1, 5, 2, 4, 3, 6).reshape(CTAS, 64, N)
