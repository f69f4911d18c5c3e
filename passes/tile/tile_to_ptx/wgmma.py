"""`tile.wgmma` → fence, wgmma.mma_async, commit; `tile.wgmma_wait` → wait_group; `tile.wgmma_begin` → nothing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

from xdsl.dialects.builtin import BFloat16Type
from xdsl.ir import SSAValue

from ....dialects.layout.panels import PANELS
from ....dialects.tile.ops import WgmmaBeginOp, WgmmaOp, WgmmaWaitOp
from ....dialects.tile.wgmma import SPAN, Rows, wgmma_plan, wgmma_shared_plan
from .lowering import KernelLowering
from .packing import bits
from .values import Frag, Smem, elem_size, unsupported


def lower_wgmma(k: KernelLowering, op: WgmmaOp) -> None:
    """One group: all k16 steps of a stage. Descriptors differ in their address field only."""
    d, b = k.frag(op.c), cast(Smem, k.memory(op.b))
    a = k.values[op.a]
    operands: list[Any]
    if isinstance(a, Smem):
        plan = wgmma_shared_plan(a.shape, a.layout, b.shape, b.layout, d.tv, op.first)
        left, right = descriptor(k, a, plan.a, op), descriptor(k, b, plan.b, op)
        atoms, columns, transposes = plan.atoms, plan.columns, [0, 0]
        operands = [at_element(k, left, item.a) for item in plan.atoms]
    else:
        atoms, columns, transposes = wgmma_plan(a.tv, b.shape, b.layout, d.tv, op.first), b.shape[0], [0]
        right = descriptor(k, b, Rows(SPAN, 8 * SPAN, 0), op)
        operands = [[bits(k.e, a.words[r // 2]) for r in item.a[::2]] for item in atoms]
    places = [at_element(k, right, item.b) for item in atoms]
    _multiply(k, op, f"m64n{columns}k16", [item.d for item in atoms], operands, places, transposes)


def descriptor(k: KernelLowering, memory: Smem, rows: Rows, op: WgmmaOp) -> SSAValue:
    """The matrix descriptor of K-major rows from the warpgroup's share on: address in bits 0–13, stride in 32–45, swizzle in 62–63; the
    leading offset is unused (PTX ISA, "Matrix Descriptor Format")."""
    e, size = k.e, elem_size(memory.elem)
    panel = PANELS[rows.span * size]
    if memory.alignment % panel.pattern:
        raise unsupported(f"wgmma on shared memory that does not start on {panel.pattern} bytes", op)
    start = e.add(memory.base, memory.offset)
    if rows.group:
        start = e.mad(e.div(k.warp, 4), rows.group * size, start)
    swizzle = panel.mode if panel.mode < 2 else panel.mode - 4  # the sign of a 64-bit immediate is its highest bit
    constant = (swizzle << 62) + ((rows.stride * size >> 4) << 32) + (1 << 16)
    return e.op("or.b64", e.op("cvt.u64.u32", e.shr(start, 4)), constant)


def at_element(k: KernelLowering, start: SSAValue, offset: int) -> Any:
    """A descriptor whose address is 16-bit elements further on."""
    return k.e.add64(start, 2 * offset // 16)


def _multiply(
    k: KernelLowering,
    op: WgmmaOp,
    shape: str,
    registers: Sequence[tuple[int, ...]],
    left: Sequence[Any],
    right: Sequence[SSAValue],
    transposes: Sequence[int],
) -> None:
    """A fence, the instructions on their registers of the accumulator, and their commit."""
    e, d = k.e, k.frag(op.c)
    name = "bf16" if isinstance(cast(Smem, k.memory(op.b)).elem, BFloat16Type) else "f16"
    opcode = f"wgmma.mma_async.sync.aligned.{shape}.f32.{name}.{name}"
    keep = e.op("setp.ne.u32", e.reg(1), 0)
    words: list[Any] = list(d.words)
    e.do("wgmma.fence.sync.aligned")
    for chosen, a, b in zip(registers, left, right, strict=True):
        result = e.do(opcode, [words[r] for r in chosen], a, b, keep, 1, 1, *transposes)
        for register, value in zip(chosen, result, strict=True):
            words[register] = value
    e.do("wgmma.commit_group.sync.aligned")
    k.values[op.result] = Frag(d.tv, d.elem, tuple(words))


def lower_wgmma_wait(k: KernelLowering, op: WgmmaWaitOp) -> None:
    k.e.do("wgmma.wait_group.sync.aligned", op.pending.value.data)
    k.values[op.result] = k.values[op.value]


def lower_wgmma_begin(k: KernelLowering, op: WgmmaBeginOp) -> None:
    k.values[op.result] = k.values[op.value]
