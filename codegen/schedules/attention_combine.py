"""Joins the partial results of a split attention, in the order of the splits: the second launch of `attention_decode`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...dialects.layout.ops import KernelOp
from ...dialects.layout.tv import Tv
from ...dialects.layout.types import ScheduleAttr
from .attention import analyse_attention, begin_attention, by_groups
from .base import Abi, Parameter, checked_parameters
from .body import Unsupported
from .skinny import stacked

if TYPE_CHECKING:
    from ...dialects.tile.ops import KernelOp as TileKernelOp
    from ..targets import Target

PARAMETERS = (
    Parameter("splits", "partial results of each token and key head", range(1, 65), 2),
    Parameter("warps", "warps a CTA", (1, 2, 4, 8), 4),
)


class AttentionCombine:
    """See the module docstring."""

    name = "attention_combine"
    family = "attention"

    def accepts(self, kernel: KernelOp) -> str | None:
        try:
            analyse_attention(kernel)
        except Unsupported as problem:
            return str(problem)
        return None

    def candidates(self, kernel: KernelOp, target: Target) -> list[ScheduleAttr]:
        """None: only attention_decode asks for it."""
        return []

    def abi(self, kernel: KernelOp, schedule: ScheduleAttr) -> Abi:
        body = analyse_attention(kernel)
        p = checked_parameters(schedule, PARAMETERS, kernel)
        return Abi((str(body.tokens), str(body.key_heads), "1"), p["warps"])

    def build(self, kernel: KernelOp, schedule: ScheduleAttr, target: Target) -> TileKernelOp:
        body = analyse_attention(kernel)
        p = checked_parameters(schedule, PARAMETERS, kernel)
        abi = self.abi(kernel, schedule)
        group, width, splits = body.group, body.value_width, p["splits"]
        b, buffers = begin_attention(body, schedule, p["warps"], abi.grid, {body.out: by_groups(body, body.out, width)})
        partial, top, total = (buffers[a] for a in kernel.buffers[-3:])
        token, head, _ = b.task()
        vector = next(v for v in (4, 2, 1) if (width % v == 0 and (group * width) % (v * 32 * p["warps"]) == 0) or v == 1)
        spread = Tv.blocked((group, width), vector, (1, 0), p["warps"])
        thin = stacked(spread.project(1).drop(1), splits)
        tops, totals = (b.load(m, [token, head, 0, 0], thin.expand(0).expand(0), squeeze=(0, 1)) for m in (top, total))
        most = b.reduce(tops, 0, "max")
        shares = b.map(lambda s, t, m: s.exp2(s.sub(t, m)), tops, most)
        whole = b.reduce(b.map(lambda s, t, f: s.mul(t, f), totals, shares), 0, "add")
        wide = stacked(spread, splits)
        outs = b.load(partial, [token, head, 0, 0, 0], wide.expand(0).expand(0), squeeze=(0, 1))
        weighed = b.map(lambda s, o, f: s.mul(o, f), outs, b.relabel(shares, wide.project(2)))
        result = b.relabel(b.reduce(weighed, 0, "add"), spread)
        norm = b.relabel(whole, spread.project(1))
        result = b.cast(b.map(lambda s, o, t: s.div(o, s.max(t, 1.0e-30)), result, norm), body.elem)
        b.store(b.relabel(result, spread.expand(0).expand(0)), buffers[body.out], [token, head, 0, 0])
        return b.finish()


SCHEDULE = AttentionCombine()

__all__ = ["SCHEDULE", "AttentionCombine"]
