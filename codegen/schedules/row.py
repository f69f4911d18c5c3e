"""Normalisations, softmax and reductions along the last dimension: whole rows in registers, read once.

One CTA a row, or several short rows a CTA; element-wise code before and after is part of it.
"""

from __future__ import annotations

from xdsl.dialects.linalg import ops as linalg
from xdsl.dialects.linalg.attrs import IteratorType
from xdsl.ir import Operation

from ...dialects.layout.ops import KernelOp
from ...dialects.layout.types import ScheduleAttr
from ...dialects.nn import ops as nn
from ...dialects.nn.sizes import Size
from ...dialects.nn.types import dims_of
from ...dialects.tile.ops import KernelOp as TileKernelOp
from ..targets import Target
from .base import Abi
from .elementwise import Tiling, build_elementwise, elementwise_abi, row_tiling, with_pairs

NOT_ROWS = (nn.LinearOp, nn.MatmulOp, nn.AttentionOp, nn.SampleOp, nn.Conv1dOp, nn.SortOp, nn.TopkOp, nn.CumsumOp)


def reduced_size(op: Operation) -> Size | None:
    """The length of the rows that an op combines, if it does so along the last dimension."""
    match op:
        case nn.RmsNormOp() | nn.LayerNormOp():
            return dims_of(op.x)[-1]
        case nn.SoftmaxOp() | nn.ArgmaxOp():
            dims = dims_of(op.x)
            return dims[-1] if op.axis.value.data == len(dims) - 1 else None
        case nn.ReduceOp():
            dims = dims_of(op.x)
            return dims[-1] if op.reduced == (len(dims) - 1,) else None
        case linalg.GenericOp():
            kinds = [t.data for t in op.iterator_types.data]
            if all(kind is IteratorType.PARALLEL for kind in kinds) or kinds[-1] is IteratorType.PARALLEL:
                return None
            from .loops import extents

            return extents(op)[len(kinds) - 1]
        case _:
            return None


def row_width(kernel: KernelOp) -> int | None:
    """The one static row length of a kernel; None if there are several or none."""
    found: set[int | None] = set()
    for op in kernel.block.ops:
        size = reduced_size(op)
        if size is not None:
            found.add(size.constant)
    return next(iter(found)) if len(found) == 1 else None


class Row:
    """`#layout.schedule<"row", {}>`"""

    name = "row"
    family = "row"

    def accepts(self, kernel: KernelOp) -> str | None:
        for op in kernel.block.ops:
            if isinstance(op, NOT_ROWS):
                return f"{op.name} works on more than rows"
        width = row_width(kernel)
        if width is None:
            return "no single static row length"
        if row_tiling(width) is None:
            return f"rows of {width} do not fit in a CTA's registers"
        return None

    def candidates(self, kernel: KernelOp, target: Target) -> list[ScheduleAttr]:
        return [ScheduleAttr.of(self.name)]

    def tiling(self, kernel: KernelOp) -> Tiling:
        width = row_width(kernel)
        assert width is not None
        tiling = row_tiling(width)
        assert tiling is not None
        return with_pairs(kernel, tiling)

    def abi(self, kernel: KernelOp, schedule: ScheduleAttr) -> Abi:
        return elementwise_abi(kernel, self.tiling(kernel))

    def build(self, kernel: KernelOp, schedule: ScheduleAttr, target: Target) -> TileKernelOp:
        return build_elementwise(kernel, schedule, self.tiling(kernel))


SCHEDULE = Row()
