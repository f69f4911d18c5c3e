"""`tile.wgmma` → fence, wgmma.mma_async, commit; `tile.wgmma_wait` → wait_group; `tile.wgmma_begin` → nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from xdsl.dialects.builtin import BFloat16Type

from ....dialects.tile.ops import WgmmaBeginOp, WgmmaOp, WgmmaWaitOp
from ....dialects.tile.wgmma import wgmma_plan
from .packing import bits
from .values import Frag, Smem, unsupported

if TYPE_CHECKING:
    from .kernel import KernelLowering

DESCRIPTOR = 0x40000040_00010000
"""128-byte swizzle (bits 62–63 = 1), 1024 bytes from eight rows to the next (bits 32–45), leading offset unused (PTX ISA, "Matrix
Descriptor Format")."""


def lower_wgmma(k: KernelLowering, op: WgmmaOp) -> None:
    """One group: all k16 steps of a stage. Descriptors differ in their address field only."""
    e, a, d = k.e, k.frag(op.a), k.frag(op.c)
    b = cast(Smem, k.memory(op.b))
    if b.alignment % 1024:
        raise unsupported("wgmma on shared memory that does not start on 1024 bytes", op)
    columns = b.shape[0]
    name = "bf16" if isinstance(a.elem, BFloat16Type) else "f16"
    opcode = f"wgmma.mma_async.sync.aligned.m64n{columns}k16.f32.{name}.{name}"
    start = e.add(b.base, b.offset)
    field = e.op("cvt.u64.u32", e.shr(start, 4))
    base = e.op("or.b64", field, DESCRIPTOR)
    keep = e.op("setp.ne.u32", e.reg(1), 0)
    words: list[Any] = list(d.words)
    plan = wgmma_plan(a.tv, b.shape, b.layout, d.tv, op.first)
    operands = [[bits(e, a.words[r // 2]) for r in item.a[::2]] for item in plan]
    descriptors = [e.add64(base, 2 * item.b // 16) for item in plan]
    e.do("wgmma.fence.sync.aligned")
    for item, left, descriptor in zip(plan, operands, descriptors, strict=True):
        result = e.do(opcode, [words[r] for r in item.d], left, descriptor, keep, 1, 1, 0)
        for register, value in zip(item.d, result, strict=True):
            words[register] = value
    e.do("wgmma.commit_group.sync.aligned")
    k.values[op.result] = Frag(d.tv, d.elem, tuple(words))


def lower_wgmma_wait(k: KernelLowering, op: WgmmaWaitOp) -> None:
    k.e.do("wgmma.wait_group.sync.aligned", op.pending.value.data)
    k.values[op.result] = k.values[op.value]


def lower_wgmma_begin(k: KernelLowering, op: WgmmaBeginOp) -> None:
    k.values[op.result] = k.values[op.value]
