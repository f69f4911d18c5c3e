"""Element-wise kernels: up to eight elements a thread along the last dimension, views folded into addressing."""

from __future__ import annotations

from xdsl.dialects.linalg import ops as linalg
from xdsl.dialects.linalg.attrs import IteratorType

from ...dialects.layout.ops import KernelOp
from ...dialects.layout.types import ScheduleAttr
from ...dialects.nn import ops as nn
from ...dialects.tile.ops import KernelOp as TileKernelOp
from ..targets import Target
from .base import Abi, Parameter, checked_parameters
from .elementwise import Tiling, build_elementwise, column_tiling, common_width, elementwise_abi, with_pairs

COMBINING = (
    nn.LinearOp, nn.MatmulOp, nn.AttentionOp, nn.SampleOp, nn.ReduceOp, nn.RmsNormOp, nn.LayerNormOp, nn.SoftmaxOp, nn.Conv1dOp,
    nn.ArgmaxOp, nn.CumsumOp, nn.SortOp, nn.TopkOp,
)  # fmt: skip
"""Ops that read more than a few elements for one of their results."""

PARAMETERS = (Parameter("threads", "threads of a CTA", (32, 64, 128, 256, 512), 128),)


def combines(kernel: KernelOp) -> bool:
    """Whether some op of the body combines an axis."""
    for op in kernel.block.ops:
        if isinstance(op, COMBINING):
            return True
        if isinstance(op, linalg.GenericOp) and any(t.data is not IteratorType.PARALLEL for t in op.iterator_types.data):
            return True
    return False


class Pointwise:
    """`#layout.schedule<"pointwise", {threads = 128}>`"""

    name = "pointwise"
    family = "pointwise"

    def accepts(self, kernel: KernelOp) -> str | None:
        if combines(kernel):
            return "an op of the body combines an axis"
        if common_width(kernel) is None:
            return "the results have no common static last dimension"
        return None

    def candidates(self, kernel: KernelOp, target: Target) -> list[ScheduleAttr]:
        return [ScheduleAttr.of(self.name, threads=128)]

    def tiling(self, kernel: KernelOp, schedule: ScheduleAttr) -> Tiling:
        width = common_width(kernel)
        assert width is not None
        return with_pairs(kernel, column_tiling(width, checked_parameters(schedule, PARAMETERS, kernel)["threads"]))

    def abi(self, kernel: KernelOp, schedule: ScheduleAttr) -> Abi:
        return elementwise_abi(kernel, self.tiling(kernel, schedule))

    def build(self, kernel: KernelOp, schedule: ScheduleAttr, target: Target) -> TileKernelOp:
        return build_elementwise(kernel, schedule, self.tiling(kernel, schedule))


SCHEDULE = Pointwise()
