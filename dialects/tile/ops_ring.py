"""Rings: shared memory stages that producer warps fill and consumer warps empty.

    %ring = tile.ring {copies = 1, consumers = 8} : !tile.ring<4, 4096xbf16>
    producer, for i = 0, 1, …:   tile.ring_acquire %ring[%i]      waits until slot i mod S is empty again
                                 tile.bulk_load %w[%at], %ring[%i] {bytes = 8192}
    consumer, for i = 0, 1, …:   %s = tile.ring_wait %ring[%i]    waits until slot i mod S is full
                                 … loads from %s …
                                 tile.ring_release %ring[%i]

The counter i never restarts: slot i mod S, phase parity (i / S) & 1, so that no phase is hidden state.  A stage is
full when `copies` bulk loads of the same i have landed; it is empty when `consumers` warps have released it
(one arrival a warp).  `expand-rings` rewrites them to the ops of ops_barrier.py.
"""

from __future__ import annotations

from collections.abc import Sequence

from xdsl.dialects.builtin import IntegerAttr, LocationAttr, StringAttr, i32, i64
from xdsl.ir import Operation, SSAValue
from xdsl.irdl import (
    ParsePropInAttrDict,
    irdl_op_definition,
    operand_def,
    opt_prop_def,
    prop_def,
    result_def,
    traits_def,
    var_operand_def,
)
from xdsl.traits import MemoryReadEffect, MemoryWriteEffect
from xdsl.utils.exceptions import VerifyException

from ..ir.located import LocatedOp
from ..layout.types import BufferType
from .ops_barrier import check_cache, verify_bulk
from .ops_kernel import KernelOp
from .types import RingType, SmemType


def _ring(value: SSAValue) -> RingType:
    if not isinstance(value.type, RingType):
        raise VerifyException(f"expected a !tile.ring, got {value.type}")
    return value.type


@irdl_op_definition
class RingOp(LocatedOp):
    """The stages of a ring, all of them empty."""

    name = "tile.ring"

    copies = prop_def(IntegerAttr)
    consumers = prop_def(IntegerAttr)
    result = result_def(RingType)

    irdl_options = (ParsePropInAttrDict(),)
    assembly_format = "attr-dict `:` type($result)"

    def __init__(self, type_: RingType, *, consumers: int, copies: int = 1, location: LocationAttr | None = None):
        super().__init__(
            properties={"copies": IntegerAttr(copies, i32), "consumers": IntegerAttr(consumers, i32)},
            result_types=[type_],
            location=location,
        )

    def verify_(self) -> None:
        if self.copies.value.data < 1 or self.consumers.value.data < 1:
            raise VerifyException("a ring has at least one copy a stage and one consumer warp")
        kernel = self.parent_op()
        if isinstance(kernel, KernelOp) and self.consumers.value.data > kernel.num_warps:
            raise VerifyException(f"{self.consumers.value.data} consumer warps of a kernel of {kernel.num_warps}")
        if _ring(self.result).stage.num_bytes % 16:
            raise VerifyException("a stage is a multiple of 16 bytes")


class _SlotOp(LocatedOp):
    """Ops that give a stage of a ring."""

    ring = operand_def(RingType)
    index = operand_def(i32)
    result = result_def(SmemType)

    traits = traits_def(MemoryReadEffect(), MemoryWriteEffect())
    assembly_format = "$ring `[` $index `]` attr-dict `:` type($ring) `->` type($result)"

    def __init__(self, ring: SSAValue, index: SSAValue, *, location: LocationAttr | None = None):
        super().__init__(operands=[ring, index], result_types=[_ring(ring).stage], location=location)

    def verify_(self) -> None:
        if self.result.type != _ring(self.ring).stage:
            raise VerifyException(f"a stage of the ring is {_ring(self.ring).stage}")


@irdl_op_definition
class RingAcquireOp(_SlotOp):
    """Producer: waits until stage `index` may be written."""

    name = "tile.ring_acquire"


@irdl_op_definition
class RingWaitOp(_SlotOp):
    """Consumer: waits until stage `index` is full."""

    name = "tile.ring_wait"


@irdl_op_definition
class RingReleaseOp(LocatedOp):
    """Consumer: this warp has read stage `index`."""

    name = "tile.ring_release"

    ring = operand_def(RingType)
    index = operand_def(i32)

    traits = traits_def(MemoryReadEffect(), MemoryWriteEffect())
    assembly_format = "$ring `[` $index `]` attr-dict `:` type($ring)"

    def __init__(self, ring: SSAValue, index: SSAValue, *, location: LocationAttr | None = None):
        super().__init__(operands=[ring, index], location=location)


@irdl_op_definition
class BulkLoadOp(LocatedOp):
    """Copies `bytes` contiguous bytes into stage `index`, at byte `at` of it.

    One offset is an element offset in memory (the weight's image); as many offsets as dimensions are coordinates.
    """

    name = "tile.bulk_load"

    src = operand_def(BufferType)
    offsets = var_operand_def()
    ring = operand_def(RingType)
    index = operand_def(i32)
    bytes = prop_def(IntegerAttr)
    at = opt_prop_def(IntegerAttr)
    cache = opt_prop_def(StringAttr)

    irdl_options = (ParsePropInAttrDict(),)
    traits = traits_def(MemoryReadEffect(), MemoryWriteEffect())
    assembly_format = (
        "$src `[` $offsets `]` `,` $ring `[` $index `]` attr-dict `:` type($src) `[` type($offsets) `]` `->` type($ring)"
    )

    def __init__(
        self,
        src: SSAValue,
        offsets: Sequence[SSAValue],
        ring: SSAValue,
        index: SSAValue,
        bytes: int,
        *,
        at: int = 0,
        cache: str = "default",
        location: LocationAttr | None = None,
    ):
        super().__init__(
            operands=[src, list(offsets), ring, index],
            properties={
                "bytes": IntegerAttr(bytes, i64),
                "at": IntegerAttr(at, i64) if at else None,
                "cache": StringAttr(cache) if cache != "default" else None,
            },
            location=location,
        )

    @property
    def start(self) -> int:
        return self.at.value.data if self.at is not None else 0

    def verify_(self) -> None:
        verify_bulk(self.src, self.offsets, self.start, self.bytes.value.data, _ring(self.ring).stage)
        check_cache(self.cache)


OPS: list[type[Operation]] = [RingOp, RingAcquireOp, RingWaitOp, RingReleaseOp, BulkLoadOp]
