"""The step between two decoded tokens (`layout.advance`): one warp a sequence, scalar code."""

from __future__ import annotations

from typing import TYPE_CHECKING

from xdsl.dialects.builtin import i32
from xdsl.ir import SSAValue

from ...dialects.layout.ops import AdvanceOp, KernelOp, buffer_of
from ...dialects.layout.types import ScheduleAttr
from .base import Abi, checked_parameters
from .builder import TileBuilder

if TYPE_CHECKING:
    from ...dialects.tile.ops import KernelOp as TileKernelOp
    from ..targets import Target


class Advance:
    """See the module docstring."""

    name = "advance"
    family = "advance"

    def accepts(self, kernel: KernelOp) -> str | None:
        return None if _advance(kernel) is not None else "the kernel is no layout.advance"

    def candidates(self, kernel: KernelOp, target: Target) -> list[ScheduleAttr]:
        return [ScheduleAttr.of(self.name)]

    def abi(self, kernel: KernelOp, schedule: ScheduleAttr) -> Abi:
        checked_parameters(schedule, (), kernel)
        op = _advance(kernel)
        assert op is not None
        return Abi((str(buffer_of(op.tokens).dims[0]), "1", "1"), 1)

    def build(self, kernel: KernelOp, schedule: ScheduleAttr, target: Target) -> TileKernelOp:
        op = _advance(kernel)
        assert op is not None
        b = TileBuilder.kernel(kernel.sym_name.data, kernel, warps=1, grid=self.abi(kernel, schedule).grid, schedule=schedule)
        arguments: list[SSAValue] = list(kernel.block.args)
        at = {name: b.arg(arguments.index(value)) for name, value in zip(AdvanceOp.NAMES, op.operands, strict=True)}
        stops, ring = (buffer_of(op.eos).dims[1], buffer_of(op.ring).dims[1])
        assert isinstance(stops, int) and isinstance(ring, int)
        row, _, _ = b.task()
        loaded = {n: b.load_scalar(at[n], row) for n in ("alive", "tokens", "step", "limit", "positions", "kv_len")}
        token, step = loaded["tokens"], loaded["step"]

        def step_on() -> None:
            after = b.i32(b.add(step, 1))
            going: SSAValue = b.cmp("lt", after, loaded["limit"])
            for index in range(stops):
                going = b.scalar.and_(going, b.cmp("ne", token, b.load_scalar(at["eos"], row, index)))
            more = b.scalar.select(going, b.constant(1, i32), b.constant(0, i32))
            b.store_scalar(token, at["ids"], row)
            b.store_scalar(token, at["ring"], row, b.rem(step, ring))
            b.store_scalar(after, at["step"], row)
            b.store_scalar(more, at["alive"], row)
            for name in ("positions", "kv_len"):
                b.store_scalar(b.i32(b.add(loaded[name], more)), at[name], row)

        b.if_(b.cmp("ne", loaded["alive"], 0), step_on)
        return b.finish()


def _advance(kernel: KernelOp) -> AdvanceOp | None:
    return next((op for op in kernel.block.ops if isinstance(op, AdvanceOp)), None)


SCHEDULE = Advance()
