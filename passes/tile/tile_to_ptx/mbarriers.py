"""mbarriers and the bulk copies that name them. A slot is 8 bytes; one thread of a role arms a barrier and starts copies."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

from xdsl.ir import SSAValue

from ....dialects.ir.diagnostics import LlmcError
from ....dialects.layout.panels import PANELS
from ....dialects.ptx.build import Addr, TensorAddr
from ....dialects.tile.ops import (
    BulkCopyOp,
    MbarrierArriveOp,
    MbarrierExpectOp,
    MbarrierInitOp,
    MbarrierWaitOp,
    TmaCopyOp,
)
from ....dialects.tile.types import TmapType
from ..divisibility import known_divisor
from .addressing import origin_digits
from .emitter import Predicate, Scalar
from .lowering import KernelLowering
from .memory import policy_of
from .values import Buffer, Mapped, Mbarriers, Smem, elem_size, unsupported


def lower_init(k: KernelLowering, op: MbarrierInitOp) -> None:
    """One thread initialises the barriers. `insert-fences` sees to it that all threads meet before anyone uses them."""
    e = k.e
    assert op.offset is not None
    barriers = Mbarriers(op.result.type.count, k.shared_base(), op.offset.value.data)  # pyright: ignore
    k.values[op.result] = barriers
    predicate = k.elected()
    for slot in range(barriers.count):
        e.do("mbarrier.init.shared::cta.b64", barrier_address(k, barriers, slot), op.count.value.data, pred=predicate)
    if not isinstance(op.next_op, MbarrierInitOp):
        e.do("fence.mbarrier_init.release.cluster", pred=predicate)


def barrier_address(k: KernelLowering, barriers: Mbarriers, slot: Scalar) -> Addr:
    if isinstance(slot, int):
        return Addr(k.e.reg(barriers.base), barriers.offset + 8 * slot)
    return Addr(k.e.reg(k.e.mad(slot, 8, barriers.base)), barriers.offset)


def lower_wait(k: KernelLowering, op: MbarrierWaitOp) -> None:
    builder = k.e.scope.builder
    if k.e.location is not None:
        builder.location = k.e.location
    address = barrier_address(k, k.values[op.barriers], k.scalar(op.slot))
    builder.wait_parity(address, k.scalar(op.parity), cluster=k.shares_memory)  # pyright: ignore
    k.e.count += 2


def lower_arrive(k: KernelLowering, op: MbarrierArriveOp) -> None:
    """By warp: its lanes have come here, one of them arrives."""
    e = k.e
    predicate: Predicate | None = k.elected()
    if op.arrivals == "warp" and not k.single_thread:
        e.do("bar.warp.sync", -1)
        predicate = (cast(SSAValue, e.compare("eq.s32", k.lane, 0)), False)
    barriers: Mbarriers = k.values[op.barriers]
    space = "shared::cluster" if barriers.cluster else "shared::cta"
    opcode = f"mbarrier.arrive{'.release.cluster' if barriers.cluster and k.shares_memory else ''}.{space}.b64"
    e.do(opcode, barrier_address(k, barriers, k.scalar(op.slot)), pred=predicate)


def lower_expect(k: KernelLowering, op: MbarrierExpectOp) -> None:
    address = barrier_address(k, k.values[op.barriers], k.scalar(op.slot))
    k.e.do("mbarrier.arrive.expect_tx.shared::cta.b64", address, op.bytes.value.data, pred=k.elected())


def global_address(k: KernelLowering, memory: Buffer, offsets: Sequence[SSAValue]) -> Addr:
    """The address of an element of global memory, given by its offset or by its coordinates."""
    e, size = k.e, elem_size(memory.elem)
    base: Any = memory.pointer
    if len(offsets) == 1:
        offset: Any = k.scalar(offsets[0])
        if isinstance(offset, int):
            return Addr(base, offset * size)
        if offset.type.data[0] == "b64":
            return Addr(cast(SSAValue, e.add64(base, e.op("mul.lo.s64", offset, size))))
        return Addr(cast(SSAValue, e.mad_wide(offset, size, base)))
    terms: list[tuple[Scalar, int]] = []
    pattern = 1 << sum(memory.layout.swizzle or ())
    for offset, digits in zip(offsets, memory.layout.normalised().dims, strict=True):
        divisor, scalar = known_divisor(offset), k.scalar(offset)
        found = origin_digits(e, scalar, digits, divisor)
        terms.extend(found)
        if memory.layout.swizzle is not None and any(
            (s if v is not scalar else s * divisor) % pattern for v, s in found if v != 0
        ):
            raise unsupported(f"a bulk copy from inside a pattern of {pattern} elements of swizzled memory", offset)
    for value, stride in sorted(terms, key=lambda term: e.depth(term[0])):
        base = e.mad_wide(value, stride * size, base)
    return Addr(base)


def lower_bulk_copy(k: KernelLowering, op: BulkCopyOp) -> None:
    target = cast(Smem, k.memory(op.dst))
    source = global_address(k, cast(Buffer, k.memory(op.src)), op.offsets)
    to = Addr(k.e.reg(target.base), target.offset + op.start)
    barrier = barrier_address(k, k.values[op.barriers], k.scalar(op.slot))
    opcode = "cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes"
    copy_with_options(k, opcode, [to, source, op.bytes.value.data, barrier], op)


def tensor_address(k: KernelLowering, map: SSAValue, coordinates: Sequence[SSAValue]) -> TensorAddr:
    """A box of a tensor map; PTX has the innermost coordinate first."""
    mapped: Mapped = k.values[map]
    return TensorAddr(mapped.address, [cast("SSAValue | int", k.scalar(c)) for c in reversed(coordinates)])


def check_alignment(smem: Smem, start: int, map: SSAValue, op: object) -> None:
    """Raises LlmcError LLMC0607 where a box would begin inside its swizzle's pattern."""
    assert isinstance(map.type, TmapType)
    pattern = PANELS[map.type.swizzle].pattern
    if smem.alignment % pattern or start % pattern:
        raise LlmcError(
            "LLMC0607",
            f"a box with a swizzle of {map.type.swizzle} bytes lies at a multiple of {min(smem.alignment, start or smem.alignment)} "
            f"bytes of shared memory, its pattern repeats every {pattern}",
            op,
            fix="give the memory the swizzle in its layout, or a stage and view that begin at whole patterns",
        )


def lower_tma_copy(k: KernelLowering, op: TmaCopyOp) -> None:
    target = cast(Smem, k.memory(op.dst))
    check_alignment(target, op.start, op.map, op)
    to = Addr(k.e.reg(target.base), target.offset + op.start)
    barrier = barrier_address(k, k.values[op.barriers], k.scalar(op.slot))
    rank = len(op.coordinates)
    opcode = f"cp.async.bulk.tensor.{rank}d.shared::cluster.global.tile.mbarrier::complete_tx::bytes"
    copy_with_options(k, opcode, [to, tensor_address(k, op.map, op.coordinates), barrier], op)


def copy_with_options(k: KernelLowering, opcode: str, operands: list[Any], op: Any) -> None:
    """A copy by one thread, with the multicast mask and the cache policy of an op."""
    if op.multicast is not None:
        opcode += ".multicast::cluster"
        operands.append(k.e.op("cvt.u16.u32", k.scalar(op.multicast)))
    policy = policy_of(k, op.cache.data if op.cache is not None else "default")
    if policy is not None:
        opcode += ".L2::cache_hint"
        operands.append(policy)
    k.e.do(opcode, *operands, pred=k.elected())
