"""The last resort: one thread an element, whatever the body is made of. Slow, but every kernel has it."""

from __future__ import annotations

from ...dialects.layout.ops import KernelOp
from ...dialects.layout.types import ScheduleAttr
from ...dialects.nn import ops as nn
from ...dialects.nn.types import dims_of
from ...dialects.tile.ops import KernelOp as TileKernelOp
from ..targets import Target
from .base import Abi
from .elementwise import Tiling, build_elementwise, elementwise_abi

FLAT = Tiling(rows=128, cols=1, vec=1, warps=4, flat=True)


class Generic:
    """`#layout.schedule<"generic", {}>`"""

    name = "generic"
    family = "generic"

    def accepts(self, kernel: KernelOp) -> str | None:
        if any(isinstance(op, nn.SampleOp) for op in kernel.block.ops):
            return "nn.sample has a schedule of its own"
        return None

    def candidates(self, kernel: KernelOp, target: Target) -> list[ScheduleAttr]:
        return [ScheduleAttr.of(self.name)]

    def tiling(self, kernel: KernelOp) -> Tiling:
        """Attention puts the channels of one token and head along a warp."""
        for op in kernel.block.ops:
            if isinstance(op, nn.AttentionOp):
                width = max(dims_of(v)[-1].constant or 1 for v in (op.q, op.result))
                lanes = 32
                return Tiling(1, -(-width // lanes) * lanes, 1, 1, row=dims_of(op.result)[-1].constant or 1)
        return FLAT

    def abi(self, kernel: KernelOp, schedule: ScheduleAttr) -> Abi:
        return elementwise_abi(kernel, self.tiling(kernel))

    def build(self, kernel: KernelOp, schedule: ScheduleAttr, target: Target) -> TileKernelOp:
        return build_elementwise(kernel, schedule, self.tiling(kernel))


SCHEDULE = Generic()
