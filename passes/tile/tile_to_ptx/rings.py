"""Rings → mbarriers. Slot i mod S, parity (i / S) & 1; a consumer waits for that parity of `full`, a producer for the
other parity of `empty` (so that its first lap passes). A parity wait is only sound one phase away, which the ring's
protocol keeps: a producer never runs more than S ahead."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from xdsl.ir import SSAValue

from ....dialects.ptx.build import Addr
from ....dialects.tile.ops import BulkLoadOp, RingAcquireOp, RingOp, RingReleaseOp, RingWaitOp
from ....dialects.tile.types import RingType
from ..divisibility import known_divisor
from .addressing import origin_digits
from .emitter import Predicate, Scalar
from .memory import policy_of
from .values import Buffer, Ring, Smem, elem_size

if TYPE_CHECKING:
    from .kernel import KernelLowering


def lower_ring(k: KernelLowering, op: RingOp) -> None:
    """Thread 0 initialises the barriers; all threads meet before anyone uses them."""
    e, type_ = k.e, op.result.type
    assert op.offset is not None and op.barriers is not None
    offset, barriers = op.offset.value.data, op.barriers.value.data
    base = k.shared_base()
    stage = Smem(type_.stage.layout, type_.stage.shape, type_.stage.element_type, base, offset, 128)
    ring = Ring(type_.stages, stage, stage_pitch(type_), barriers, barriers + 8 * type_.stages)
    k.values[op.result] = ring
    predicate = k.elected()
    for slot in range(ring.stages):
        e.do("mbarrier.init.shared::cta.b64", Addr(base, ring.full + 8 * slot), op.copies.value.data, pred=predicate)
        e.do("mbarrier.init.shared::cta.b64", Addr(base, ring.empty + 8 * slot), op.consumers.value.data, pred=predicate)
    e.do("fence.mbarrier_init.release.cluster", pred=predicate)
    if not isinstance(op.next_op, RingOp):
        k.barrier()


def stage_pitch(type_: RingType) -> int:
    """Bytes from one stage to the next: 128-byte aligned, whole swizzle blocks."""
    unit = 1024 if type_.stage.layout.swizzle is not None else 128
    return -(-type_.stage.num_bytes // unit) * unit


def _slot(k: KernelLowering, ring: Ring, index: Scalar) -> tuple[Scalar, Scalar]:
    """(slot, parity) of a counter."""
    e = k.e
    return e.rem(index, ring.stages), e.and_(e.div(index, ring.stages), 1)


def _address(k: KernelLowering, slot: Scalar, pitch: int, constant: int) -> Addr:
    base = k.shared_base()
    if isinstance(slot, int):
        return Addr(base, constant + slot * pitch)
    return Addr(k.e.reg(k.e.mad(slot, pitch, base)), constant)


def _stage(k: KernelLowering, ring: Ring, slot: Scalar) -> Smem:
    stage = ring.stage
    if isinstance(slot, int):
        return Smem(stage.layout, stage.shape, stage.elem, stage.base, stage.offset + slot * ring.stage_bytes, 128)
    base = k.e.mad(slot, ring.stage_bytes, stage.base)
    return Smem(stage.layout, stage.shape, stage.elem, base, stage.offset, 128)


def _wait(k: KernelLowering, address: Addr, parity: Scalar) -> None:
    builder = k.e.scope.builder
    if k.e.location is not None:
        builder.location = k.e.location
    builder.wait_parity(address, parity)  # pyright: ignore
    k.e.count += 2


def lower_acquire(k: KernelLowering, op: RingAcquireOp) -> None:
    ring: Ring = k.values[op.ring]
    slot, parity = _slot(k, ring, k.scalar(op.index))
    _wait(k, _address(k, slot, 8, ring.empty), k.e.xor(parity, 1))
    k.values[op.result] = _stage(k, ring, slot)


def lower_wait(k: KernelLowering, op: RingWaitOp) -> None:
    ring: Ring = k.values[op.ring]
    slot, parity = _slot(k, ring, k.scalar(op.index))
    _wait(k, _address(k, slot, 8, ring.full), parity)
    k.values[op.result] = _stage(k, ring, slot)


def lower_release(k: KernelLowering, op: RingReleaseOp) -> None:
    """The warp's lanes have read; one of them arrives."""
    ring: Ring = k.values[op.ring]
    slot, _ = _slot(k, ring, k.scalar(op.index))
    e = k.e
    predicate: Predicate | None = None
    if not k.single_thread:
        e.do("bar.warp.sync", -1)
        predicate = (cast(SSAValue, e.compare("eq.s32", k.lane, 0)), False)
    e.do("mbarrier.arrive.shared::cta.b64", _address(k, slot, 8, ring.empty), pred=predicate)


def lower_bulk_load(k: KernelLowering, op: BulkLoadOp) -> None:
    """One thread announces the bytes and starts the copy."""
    e = k.e
    ring: Ring = k.values[op.ring]
    source = cast(Buffer, k.memory(op.src))
    slot, _ = _slot(k, ring, k.scalar(op.index))
    size = elem_size(source.elem)
    base: Any = source.pointer
    constant = 0
    if len(op.offsets) == 1:
        offset: Any = k.scalar(op.offsets[0])
        if isinstance(offset, int):
            constant = offset
        elif offset.type.data[0] == "b64":
            base = e.add64(base, e.op("mul.lo.s64", offset, size))
        else:
            base = e.mad_wide(offset, size, base)
    else:
        terms: list[tuple[Scalar, int]] = []
        for offset, digits in zip(op.offsets, source.layout.normalised().dims, strict=True):
            terms.extend(origin_digits(e, k.scalar(offset), digits, known_divisor(offset)))
        for value, stride in sorted(terms, key=lambda term: e.depth(term[0])):
            base = e.mad_wide(value, stride * size, base)
    full = _address(k, slot, 8, ring.full)
    target = _address(k, slot, ring.stage_bytes, ring.stage.offset + op.start)
    nbytes = op.bytes.value.data
    predicate = k.elected()
    e.do("mbarrier.arrive.expect_tx.shared::cta.b64", full, nbytes, pred=predicate)
    opcode = "cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes"
    operands: list[Any] = [target, Addr(base, constant * size), nbytes, full]
    policy = policy_of(k, op.cache.data if op.cache is not None else "default")
    if policy is not None:
        opcode += ".L2::cache_hint"
        operands.append(policy)
    e.do(opcode, *operands, pred=predicate)
