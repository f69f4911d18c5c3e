"""Bulk copies from shared to global memory. One thread issues them, commits and waits for its groups.

tile.store %x, %s[…]                          all threads write the shared memory; insert-fences puts a barrier here
tile.bulk_store %s, %y[%at] {bytes = 4096}
tile.bulk_commit                              closes a group
tile.bulk_wait 0 {read}                       the shared memory of all groups but the 0 newest may be written again
tile.bulk_wait 0                              … and what they wrote is there
"""

from __future__ import annotations

from collections.abc import Sequence

from xdsl.dialects.builtin import IntegerAttr, LocationAttr, UnitAttr, i64
from xdsl.ir import Operation, SSAValue
from xdsl.irdl import (
    ParsePropInAttrDict,
    irdl_op_definition,
    operand_def,
    opt_prop_def,
    prop_def,
    traits_def,
    var_operand_def,
)
from xdsl.traits import MemoryReadEffect, MemoryWriteEffect
from xdsl.utils.exceptions import VerifyException

from ..ir.located import LocatedOp
from ..layout.types import BufferType
from .ops_barrier import verify_bulk
from .types import SmemType, memory_of


@irdl_op_definition
class BulkStoreOp(LocatedOp):
    """Copies `bytes` contiguous bytes from byte `at` of shared memory; asynchronous until a `tile.bulk_wait`.

    One offset is an element offset in memory; as many offsets as dimensions are coordinates.
    """

    name = "tile.bulk_store"

    src = operand_def(SmemType)
    dst = operand_def(BufferType)
    offsets = var_operand_def()
    bytes = prop_def(IntegerAttr)
    at = opt_prop_def(IntegerAttr)

    irdl_options = (ParsePropInAttrDict(),)
    traits = traits_def(MemoryReadEffect(), MemoryWriteEffect())
    assembly_format = "$src `,` $dst `[` $offsets `]` attr-dict `:` type($src) `->` type($dst) `[` type($offsets) `]`"

    def __init__(
        self,
        src: SSAValue,
        dst: SSAValue,
        offsets: Sequence[SSAValue],
        bytes: int,
        *,
        at: int = 0,
        location: LocationAttr | None = None,
    ):
        super().__init__(
            operands=[src, dst, list(offsets)],
            properties={"bytes": IntegerAttr(bytes, i64), "at": IntegerAttr(at, i64) if at else None},
            location=location,
        )

    @property
    def start(self) -> int:
        return self.at.value.data if self.at is not None else 0

    def verify_(self) -> None:
        source = self.src.type
        assert isinstance(source, SmemType)
        verify_bulk(self.dst, self.offsets, self.start, self.bytes.value.data, source)
        if source.element_type != memory_of(self.dst).element_type:
            raise VerifyException(f"stores {source.element_type} into {self.dst.type}")


@irdl_op_definition
class BulkCommitOp(LocatedOp):
    """Closes a group of the stores issued since the last commit."""

    name = "tile.bulk_commit"

    traits = traits_def(MemoryReadEffect(), MemoryWriteEffect())
    assembly_format = "attr-dict"

    def __init__(self, *, location: LocationAttr | None = None):
        super().__init__(location=location)


@irdl_op_definition
class BulkWaitOp(LocatedOp):
    """Waits until at most `pending` groups are open; with `read`, until their shared memory has been read.

    The thread that issued them waits: others need a barrier.
    """

    name = "tile.bulk_wait"

    pending = prop_def(IntegerAttr)
    read = opt_prop_def(UnitAttr)

    irdl_options = (ParsePropInAttrDict(),)
    traits = traits_def(MemoryReadEffect(), MemoryWriteEffect())
    assembly_format = "$pending attr-dict"

    def __init__(self, pending: int = 0, *, read: bool = False, location: LocationAttr | None = None):
        super().__init__(
            properties={"pending": IntegerAttr(pending, i64), "read": UnitAttr() if read else None}, location=location
        )

    def verify_(self) -> None:
        if self.pending.value.data < 0:
            raise VerifyException(f"{self.pending.value.data} pending groups")


OPS: list[type[Operation]] = [BulkStoreOp, BulkCommitOp, BulkWaitOp]
