"""Copies of boxes by tensor map (TMA), into a stage of a ring or at a barrier, and back.

    tile.tma_load %map[%row, %column], %ring[%i]                       as tile.bulk_load
    tile.tma_copy %map[%row, %column], %stage, %full[%slot]            as tile.bulk_copy
    tile.tma_store %stage, %map[%row, %column]                         as tile.bulk_store

Coordinates are those of the box's first element in the buffer, outermost first; they may be negative. Elements outside
the buffer are zero, and count as bytes that came; they are not stored. The box lies in shared memory from byte `at` on as
the map's panel says (dialects/layout/panels.py), which the verifiers compare with the memory's layout.
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
    traits_def,
    var_operand_def,
)
from xdsl.traits import MemoryReadEffect, MemoryWriteEffect
from xdsl.utils.exceptions import VerifyException

from ..ir.located import LocatedOp
from ..ir.numeric import dtype_of
from ..layout.panels import holds_box
from .ops_barrier import check_cache
from .types import MbarriersType, RingType, SmemType, TmapType


class _TensorCopy(LocatedOp):
    """What copies by tensor map share."""

    @property
    def start(self) -> int:
        """The first byte of the box in its memory."""
        at = self.properties.get("at")
        return at.value.data if isinstance(at, IntegerAttr) else 0

    def check_box(self, map_type: TmapType, coordinates: Sequence[SSAValue], memory: SmemType) -> None:
        if len(coordinates) != len(map_type.box):
            raise VerifyException(f"{len(coordinates)} coordinates for {map_type}")
        if memory.element_type != map_type.element_type:
            raise VerifyException(f"a map of {map_type.element_type} and memory of {memory.element_type}")
        elem = dtype_of(memory.element_type).itemsize
        problem = holds_box(memory.layout, memory.shape, self.start, map_type.box, elem, map_type.swizzle)
        if problem is not None:
            raise VerifyException(f"{memory}: {problem}")


def _options(at: int, cache: str) -> dict[str, IntegerAttr | StringAttr | None]:
    return {"at": IntegerAttr(at, i64) if at else None, "cache": StringAttr(cache) if cache != "default" else None}


@irdl_op_definition
class TmaLoadOp(_TensorCopy):
    """Copies a box into stage `index` of a ring. One load of the stage's `copies`."""

    name = "tile.tma_load"

    map = operand_def(TmapType)
    coordinates = var_operand_def(i32)
    ring = operand_def(RingType)
    index = operand_def(i32)
    at = opt_prop_def(IntegerAttr)
    cache = opt_prop_def(StringAttr)

    irdl_options = (ParsePropInAttrDict(),)
    traits = traits_def(MemoryReadEffect(), MemoryWriteEffect())
    assembly_format = "$map `[` $coordinates `]` `,` $ring `[` $index `]` attr-dict `:` type($map) `->` type($ring)"

    def __init__(
        self,
        map: SSAValue,
        coordinates: Sequence[SSAValue],
        ring: SSAValue,
        index: SSAValue,
        *,
        at: int = 0,
        cache: str = "default",
        location: LocationAttr | None = None,
    ):
        super().__init__(operands=[map, list(coordinates), ring, index], properties=_options(at, cache), location=location)

    def verify_(self) -> None:
        assert isinstance(self.map.type, TmapType) and isinstance(self.ring.type, RingType)
        self.check_box(self.map.type, self.coordinates, self.ring.type.stage)
        check_cache(self.cache)


@irdl_op_definition
class TmaCopyOp(_TensorCopy):
    """Copies a box into shared memory; its bytes count at the barrier when it has landed. `multicast` as in `bulk_copy`."""

    name = "tile.tma_copy"

    map = operand_def(TmapType)
    coordinates = var_operand_def(i32)
    dst = operand_def(SmemType)
    barriers = operand_def(MbarriersType)
    slot = operand_def(i32)
    multicast = opt_operand_def(i32)
    at = opt_prop_def(IntegerAttr)
    cache = opt_prop_def(StringAttr)

    irdl_options = (AttrSizedOperandSegments(as_property=True), ParsePropInAttrDict())
    traits = traits_def(MemoryReadEffect(), MemoryWriteEffect())
    assembly_format = (
        "$map `[` $coordinates `]` `,` $dst `,` $barriers `[` $slot `]` (`multicast` $multicast^)? attr-dict"
        " `:` type($map) `->` type($dst) `,` type($barriers)"
    )

    def __init__(
        self,
        map: SSAValue,
        coordinates: Sequence[SSAValue],
        dst: SSAValue,
        barriers: SSAValue,
        slot: SSAValue,
        *,
        at: int = 0,
        cache: str = "default",
        multicast: SSAValue | None = None,
        location: LocationAttr | None = None,
    ):
        super().__init__(
            operands=[map, list(coordinates), dst, barriers, slot, multicast],
            properties=_options(at, cache),
            location=location,
        )

    def verify_(self) -> None:
        assert isinstance(self.map.type, TmapType) and isinstance(self.dst.type, SmemType)
        self.check_box(self.map.type, self.coordinates, self.dst.type)
        check_cache(self.cache)


@irdl_op_definition
class TmaStoreOp(_TensorCopy):
    """Copies a box from shared memory; asynchronous until a `tile.bulk_wait`, in the groups of `tile.bulk_commit`."""

    name = "tile.tma_store"

    src = operand_def(SmemType)
    map = operand_def(TmapType)
    coordinates = var_operand_def(i32)
    at = opt_prop_def(IntegerAttr)

    irdl_options = (ParsePropInAttrDict(),)
    traits = traits_def(MemoryReadEffect(), MemoryWriteEffect())
    assembly_format = "$src `,` $map `[` $coordinates `]` attr-dict `:` type($src) `->` type($map)"

    def __init__(
        self,
        src: SSAValue,
        map: SSAValue,
        coordinates: Sequence[SSAValue],
        *,
        at: int = 0,
        location: LocationAttr | None = None,
    ):
        super().__init__(
            operands=[src, map, list(coordinates)],
            properties={"at": IntegerAttr(at, i64) if at else None},
            location=location,
        )

    def verify_(self) -> None:
        assert isinstance(self.map.type, TmapType) and isinstance(self.src.type, SmemType)
        self.check_box(self.map.type, self.coordinates, self.src.type)


OPS: list[type[Operation]] = [TmaLoadOp, TmaCopyOp, TmaStoreOp]
