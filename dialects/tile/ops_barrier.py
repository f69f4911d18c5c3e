"""mbarriers: what a ring is made of, with slot and parity as plain values.

    %full = tile.mbarrier_init {count = 1} : !tile.mbarriers<4>
    %empty = tile.mbarrier_init {count = 8} : !tile.mbarriers<4>
    producer:   tile.mbarrier_wait %empty[%slot] parity %other      waits until the phase of that parity has completed
                tile.mbarrier_expect %full[%slot] {bytes = 8192}    arrives, and the phase takes 8192 bytes more
                tile.bulk_copy %w[%at], %stage, %full[%slot] {bytes = 8192}
    consumer:   tile.mbarrier_wait %full[%slot] parity %parity
                … loads from %stage …
                tile.mbarrier_arrive %empty[%slot]

A phase completes when `count` arrivals and all expected bytes have come; phases have parity 0, 1, 0, …  A wait sees
the parity alone: it is sound only for a waiter at most one phase away from its barrier, which waits for every phase of
its slot, in order.
"""

from __future__ import annotations

from collections.abc import Sequence

from xdsl.dialects.builtin import IntegerAttr, LocationAttr, StringAttr, i32, i64
from xdsl.ir import Operation, SSAValue
from xdsl.irdl import (
    AttrSizedOperandSegments,
    ParsePropInAttrDict,
    irdl_op_definition,
    operand_def,
    opt_operand_def,
    opt_prop_def,
    prop_def,
    result_def,
    traits_def,
    var_operand_def,
)
from xdsl.traits import MemoryReadEffect, MemoryWriteEffect
from xdsl.utils.exceptions import VerifyException

from ..ir.located import LocatedOp
from ..ir.numeric import dtype_of
from ..layout.types import BufferType
from .ops_memory import CACHE_HINTS
from .types import MbarriersType, SmemType, memory_dims, memory_of

ARRIVALS = ("warp", "role")
TX_LIMIT = (1 << 20) - 1
"""The most bytes that one phase counts (PTX ISA, "mbarrier object": tx-count is at most 2^20 - 1)."""


@irdl_op_definition
class MbarrierInitOp(LocatedOp):
    """Fresh mbarriers, each of `count` arrivals a phase. `offset` (bytes in shared memory) is set by the allocate pass."""

    name = "tile.mbarrier_init"

    count = prop_def(IntegerAttr)
    offset = opt_prop_def(IntegerAttr)
    result = result_def(MbarriersType)

    irdl_options = (ParsePropInAttrDict(),)
    traits = traits_def(MemoryWriteEffect())
    assembly_format = "attr-dict `:` type($result)"

    def __init__(self, slots: int, count: int, *, location: LocationAttr | None = None):
        super().__init__(
            properties={"count": IntegerAttr(count, i32)}, result_types=[MbarriersType.of(slots)], location=location
        )

    def verify_(self) -> None:
        if not 1 <= self.count.value.data < 1 << 20:
            raise VerifyException(f"a phase of {self.count.value.data} arrivals; an mbarrier counts 1 to {(1 << 20) - 1}")


@irdl_op_definition
class MbarrierArriveOp(LocatedOp):
    """Arrives at one mbarrier: once for each warp that runs it, when its lanes have come here, or (`by = "role"`) once.

    `by = "role"` waits for nobody: what other warps have done before needs a `tile.barrier`.
    """

    name = "tile.mbarrier_arrive"

    barriers = operand_def(MbarriersType)
    slot = operand_def(i32)
    by = opt_prop_def(StringAttr)

    irdl_options = (ParsePropInAttrDict(),)
    traits = traits_def(MemoryReadEffect(), MemoryWriteEffect())
    assembly_format = "$barriers `[` $slot `]` attr-dict `:` type($barriers)"

    def __init__(self, barriers: SSAValue, slot: SSAValue, *, by: str = "warp", location: LocationAttr | None = None):
        super().__init__(
            operands=[barriers, slot], properties={"by": StringAttr(by) if by != "warp" else None}, location=location
        )

    @property
    def arrivals(self) -> str:
        """ "warp" or "role"."""
        return self.by.data if self.by is not None else "warp"

    def verify_(self) -> None:
        if self.arrivals not in ARRIVALS:
            raise VerifyException(f"by = {self.arrivals!r} is none of {', '.join(ARRIVALS)}")


@irdl_op_definition
class MbarrierExpectOp(LocatedOp):
    """One thread arrives, and the phase also waits for `bytes` of copies that name the barrier."""

    name = "tile.mbarrier_expect"

    barriers = operand_def(MbarriersType)
    slot = operand_def(i32)
    bytes = prop_def(IntegerAttr)

    irdl_options = (ParsePropInAttrDict(),)
    traits = traits_def(MemoryReadEffect(), MemoryWriteEffect())
    assembly_format = "$barriers `[` $slot `]` attr-dict `:` type($barriers)"

    def __init__(self, barriers: SSAValue, slot: SSAValue, bytes: int, *, location: LocationAttr | None = None):
        super().__init__(operands=[barriers, slot], properties={"bytes": IntegerAttr(bytes, i64)}, location=location)

    def verify_(self) -> None:
        size = self.bytes.value.data
        if size % 16 or not 0 < size <= TX_LIMIT:
            raise VerifyException(f"expects {size} bytes: copies bring multiples of 16, and a phase counts at most {TX_LIMIT}")


@irdl_op_definition
class MbarrierWaitOp(LocatedOp):
    """Waits until the phase of this parity has completed; a fresh barrier counts as having completed parity 1.

    Sound only for a waiter at most one phase away; see the module docstring.
    """

    name = "tile.mbarrier_wait"

    barriers = operand_def(MbarriersType)
    slot = operand_def(i32)
    parity = operand_def(i32)

    traits = traits_def(MemoryReadEffect(), MemoryWriteEffect())
    assembly_format = "$barriers `[` $slot `]` `parity` $parity attr-dict `:` type($barriers)"

    def __init__(self, barriers: SSAValue, slot: SSAValue, parity: SSAValue, *, location: LocationAttr | None = None):
        super().__init__(operands=[barriers, slot, parity], location=location)


@irdl_op_definition
class BulkCopyOp(LocatedOp):
    """Copies `bytes` contiguous bytes to byte `at` of shared memory; they count at the barrier when they have landed.

    One offset is an element offset in memory; as many offsets as dimensions are coordinates. With `multicast` (a mask,
    bit i is rank i) the bytes land at the same place in several CTAs of the cluster, and count at the barrier of each.
    """

    name = "tile.bulk_copy"

    src = operand_def(BufferType)
    offsets = var_operand_def()
    dst = operand_def(SmemType)
    barriers = operand_def(MbarriersType)
    slot = operand_def(i32)
    multicast = opt_operand_def(i32)
    bytes = prop_def(IntegerAttr)
    at = opt_prop_def(IntegerAttr)
    cache = opt_prop_def(StringAttr)

    irdl_options = (AttrSizedOperandSegments(as_property=True), ParsePropInAttrDict())
    traits = traits_def(MemoryReadEffect(), MemoryWriteEffect())
    assembly_format = (
        "$src `[` $offsets `]` `,` $dst `,` $barriers `[` $slot `]` (`multicast` $multicast^)? attr-dict"
        " `:` type($src) `[` type($offsets) `]` `->` type($dst) `,` type($barriers)"
    )

    def __init__(
        self,
        src: SSAValue,
        offsets: Sequence[SSAValue],
        dst: SSAValue,
        barriers: SSAValue,
        slot: SSAValue,
        bytes: int,
        *,
        at: int = 0,
        cache: str = "default",
        multicast: SSAValue | None = None,
        location: LocationAttr | None = None,
    ):
        super().__init__(
            operands=[src, list(offsets), dst, barriers, slot, multicast],
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
        assert isinstance(self.dst.type, SmemType)
        verify_bulk(self.src, self.offsets, self.start, self.bytes.value.data, self.dst.type)
        check_cache(self.cache)


def verify_bulk(src: SSAValue, offsets: Sequence[SSAValue], start: int, size: int, stage: SmemType) -> None:
    """What bulk copies into shared memory have in common."""
    rank = len(memory_dims(memory_of(src)))
    if len(offsets) not in (1, rank):
        raise VerifyException(f"{len(offsets)} offsets for {src.type}")
    if any(offset.type not in (i32, i64) for offset in offsets):
        raise VerifyException("offsets are i32 or i64")
    if size % 16 or start % 16 or size <= 0:
        raise VerifyException(f"{size} bytes at {start}: bulk copies take multiples of 16")
    if start + size > stage.num_bytes:
        raise VerifyException(f"bytes {start}..{start + size} of a stage of {stage.num_bytes}")
    if size % dtype_of(memory_of(src).element_type).itemsize:
        raise VerifyException(f"{size} bytes cut an element of {src.type}")


def check_cache(cache: StringAttr | None) -> None:
    if cache is not None and cache.data not in CACHE_HINTS:
        raise VerifyException(f"cache hint {cache.data!r} is none of {', '.join(CACHE_HINTS)}")


OPS: list[type[Operation]] = [MbarrierInitOp, MbarrierArriveOp, MbarrierExpectOp, MbarrierWaitOp, BulkCopyOp]
