"""Attention of single tokens over paged keys and values (decode): one CTA a (token, key head, split).

The query heads of a group are rows of operand A, padded to 16. Each warp takes a page of 64 keys at a time: keys go from memory
straight into operand B (16 bytes a lane, permuted channels as in the queries), values too, after their 16-bit halves were exchanged
between registers. Warps run an online softmax each; at the end they merge through shared memory.

`splits` > 1 divides long sequences between CTAs; how depends on the sequence's own length alone: chunks of whole pages, at least one
page a warp. Partial results go to a workspace, unnormalised, and `attention_combine` joins them in order.

Each token is a task of its own with its own limit, so ragged batches and short prefills are correct, if not fast.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from xdsl.dialects.builtin import f32
from xdsl.ir import BlockArgument, SSAValue

from ...dialects.layout.ops import KernelOp
from ...dialects.layout.tv import Tv
from ...dialects.layout.types import BufferType, ScheduleAttr
from .attention import (
    AttentionBody,
    Softmax,
    advance,
    analyse_attention,
    begin_attention,
    begin_softmax,
    by_groups,
    exponent_unit,
    kept,
    key_operand,
    output_digits,
    placed,
    query_operand,
    scaled_scores,
    score_digits,
    value_loaded,
    value_operand,
)
from .base import Abi, Launch, Parameter, Workspace, bad_parameter, checked_parameters
from .body import Unsupported
from .builder import Index, TileBuilder
from .skinny import stacked

if TYPE_CHECKING:
    from ...dialects.tile.ops import KernelOp as TileKernelOp
    from ..targets import Target

PARAMETERS = (
    Parameter("warps", "warps a CTA, each with pages of its own", (1, 2, 4, 8, 16), 4),
    Parameter("splits", "most CTAs that share one sequence", range(1, 65), 1),
    Parameter("keys", "keys a warp takes at a time", (16, 32, 64), 64),
    Parameter("min_ctas", "CTAs a multiprocessor that registers must allow", range(1, 17), 1),
)
WIDEST = 64
"""Tokens up to which this schedule is offered; beyond, a token a task wastes the keys it reads."""


class AttentionDecode:
    """See the module docstring."""

    name = "attention_decode"
    family = "attention"

    def accepts(self, kernel: KernelOp) -> str | None:
        try:
            body = analyse_attention(kernel)
        except Unsupported as problem:
            return str(problem)
        if not body.paged:
            return "keys and values do not lie in pages"
        if not body.mask.causal:
            return "a mask that is not causal"
        if body.page % 16:
            return f"pages of {body.page} tokens"
        missing = {"positions", "sequence", "page_table"} - set(body.batch)
        return f"the batch lacks {', '.join(sorted(missing))}" if missing else None

    def candidates(self, kernel: KernelOp, target: Target) -> list[ScheduleAttr]:
        body = analyse_attention(kernel)
        most = body.tokens if isinstance(body.tokens, int) else (kernel.range_of(body.tokens) or (1, 1 << 30))[1]
        if most > WIDEST:
            return []
        keys = min(body.page, 16)
        tasks = most * body.key_heads
        units = target.sm_count
        found: list[ScheduleAttr] = []
        # measured in tests/perf/results/sweep_h200.json: few tokens are split among CTAs, many have one each
        if most <= 8:
            found.append(
                ScheduleAttr.of(
                    self.name, warps=4, splits=8 if (body.longest or 1 << 30) <= 4096 else 16, keys=keys, min_ctas=2
                )
            )
        elif 4 * tasks < 3 * units:
            found.append(ScheduleAttr.of(self.name, warps=4, splits=min(16, -(-units // tasks)), keys=keys, min_ctas=2))
        else:
            found.append(ScheduleAttr.of(self.name, warps=8 if tasks <= units else 4, splits=1, keys=keys, min_ctas=1))
        found.append(ScheduleAttr.of(self.name, warps=4, splits=1, keys=keys, min_ctas=1))
        return list(dict.fromkeys(found))

    def abi(self, kernel: KernelOp, schedule: ScheduleAttr) -> Abi:
        body, p = self._parameters(kernel, schedule)
        grid = (str(body.tokens), str(body.key_heads), str(p["splits"]))
        if p["splits"] == 1:
            return Abi(grid, p["warps"])
        lead = (body.tokens, body.key_heads, p["splits"], body.group)
        combine = ScheduleAttr.of("attention_combine", splits=p["splits"])
        return Abi(
            grid,
            p["warps"],
            workspace=(
                Workspace("partial", (*lead, body.value_width), f32),
                Workspace("partial_top", lead, f32),
                Workspace("partial_sum", lead, f32),
            ),
            then=(Launch("combine", combine, (str(body.tokens), str(body.key_heads), "1"), 4),),
        )

    def _parameters(self, kernel: KernelOp, schedule: ScheduleAttr) -> tuple[AttentionBody, dict[str, int]]:
        body = analyse_attention(kernel)
        p = checked_parameters(schedule, PARAMETERS, kernel)
        if body.page % p["keys"]:
            raise bad_parameter(kernel, f"{p['keys']} keys at a time do not divide pages of {body.page}", "fewer keys")
        return body, p

    def build(self, kernel: KernelOp, schedule: ScheduleAttr, target: Target) -> TileKernelOp:
        body, p = self._parameters(kernel, schedule)
        abi = self.abi(kernel, schedule)
        retyped = {body.q: by_groups(body, body.q, body.width), body.out: by_groups(body, body.out, body.value_width)}
        b, buffers = begin_attention(body, schedule, p["warps"], abi.grid, retyped, p["min_ctas"])
        token, head, split = b.task()
        work = _Work(b, body, p, buffers, token, head, split)
        work.merge(work.run(), workspace_of(kernel, buffers, abi) if p["splits"] > 1 else None)
        return b.finish()


def workspace_of(kernel: KernelOp, buffers: dict[BlockArgument, SSAValue], abi: Abi) -> list[SSAValue]:
    """The arguments that hold the workspace: the last buffers."""
    arguments = kernel.buffers[len(kernel.buffers) - len(abi.workspace) :]
    for argument, workspace in zip(arguments, abi.workspace, strict=True):
        if cast(BufferType, argument.type).dims != workspace.dims:
            raise bad_parameter(kernel, f"the kernel has no workspace {workspace.name}", "run finalise-abi")
    return [buffers[a] for a in arguments]


class _Work:
    """One task."""

    def __init__(
        self,
        b: TileBuilder,
        body: AttentionBody,
        p: dict[str, int],
        buffers: dict[BlockArgument, SSAValue],
        token: SSAValue,
        head: SSAValue,
        split: SSAValue,
    ):
        self.b, self.body, self.buffers, self.token, self.head, self.split = b, body, buffers, token, head, split
        self.warps, self.splits, self.keys = p["warps"], p["splits"], p["keys"]
        self.rows = -(-body.group // 16) * 16
        self.each = ((self.warps, (1, 0, 0)),)
        self.score_tv = placed(score_digits(self.rows, self.keys), (self.warps, self.rows, self.keys), (1, 2), self.each)
        wide = (self.warps, self.rows, body.value_width)
        self.out_tv = placed(output_digits(self.rows, body.value_width), wide, (1, 2), self.each)

    def batch(self, name: str) -> SSAValue:
        return self.buffers[self.body.batch[name]]

    def run(self) -> Softmax:
        """The online softmax of every warp over its pages."""
        b, body, warps, page = self.b, self.body, self.warps, self.body.page
        self.position = b.load_scalar(self.batch("positions"), self.token)
        self.sequence = b.load_scalar(self.batch("sequence"), self.token)
        # wide heads leave no registers for the queries: they come from cache each time
        self.query = self._query() if body.width <= 128 else None
        length = b.add(self.position, 1)
        window = body.mask.window
        start: Index = 0 if window is None else b.max(b.sub(length, window), 0)
        first = b.div(start, page)
        pages = b.sub(b.ceildiv(length, page), first)
        if self.splits > 1:
            chunk = b.max(b.ceildiv(pages, self.splits), warps)
            mine = b.add(first, b.mul(self.split, chunk))
            end = b.min(b.add(mine, chunk), b.add(first, pages))
        else:
            mine, end = first, b.add(first, pages)
        state = begin_softmax(b, self.score_tv, self.out_tv)

        def body_(i: SSAValue, *values: SSAValue) -> list[SSAValue]:
            return self._pages(i, end, start if window is not None else None, length, Softmax(*values)).values

        return Softmax(*b.for_(mine, end, warps, state.values, body_))

    def _query(self) -> SSAValue:
        """Queries of the group as operand A, the same in every warp."""
        b, body = self.b, self.body
        digits = query_operand(self.rows, body.width)
        loaded = b.load(
            self.buffers[body.q],
            [self.token, self.head, 0, 0],
            placed(digits, (1, 1, self.rows, body.width), (2, 3), [(self.warps, (0, 0, 0, 0))]),
            checked=[False, False, True, False],
        )
        return b.relabel(loaded, placed(digits, (self.warps, self.rows, body.width), (1, 2), self.each))

    def _pages(self, i: SSAValue, end: Index, start: Index | None, length: Index, state: Softmax) -> Softmax:
        """Page i + w for warp w; warps beyond `end` see the last page again, masked."""
        b, body, warps, page = self.b, self.body, self.warps, self.body.page
        line = Tv((1, warps), (), ((32, (0, 0)),), kept([(warps, (0, 1))]))
        first, last = b.i32(i), b.i32(b.sub(end, 1))
        # not the scratch page: whatever padding tokens left there would meet a weight of zero, and it may be no number
        number = b.map(lambda s, w: s.min(s.add(w, first), last), b.iota(line, 1))
        index = b.load(self.batch("page_table"), [self.sequence, 0], line, gather={1: number}, cache="nc")
        index = b.relabel(index, Tv((warps, 1, 1, 1), (), ((32, (0, 0, 0, 0)),), kept([(warps, (1, 0, 0, 0))])))
        if body.width > 128:  # a rolled loop keeps the loads of one step apart from the next one's: registers are full

            def step(at: SSAValue, *values: SSAValue) -> list[SSAValue]:
                return self._keys(i, index, at, end, start, length, Softmax(*values)).values

            return Softmax(*b.for_(0, page, self.keys, state.values, step))
        for at in range(0, page, self.keys):
            state = self._keys(i, index, at, end, start, length, state)
        return state

    def _keys(
        self, i: SSAValue, index: SSAValue, at: Index, end: Index, start: Index | None, length: Index, state: Softmax
    ) -> Softmax:
        b, body, warps, keys = self.b, self.body, self.warps, self.keys
        shape = (warps, 1, keys, body.width)
        each = [(warps, (1, 0, 0, 0))]
        digits = key_operand(keys, body.width)
        loaded = b.load(self.buffers[body.keys], [0, self.head, at, 0], placed(digits, shape, (2, 3), each), gather={0: index})
        k = b.relabel(loaded, placed(digits, (warps, keys, body.width), (1, 2), self.each))
        query_rows = self.query if self.query is not None else self._query()
        raw = b.mma(query_rows, k, b.full(0.0, self.score_tv))

        place = b.iota(self.score_tv, 2)
        warp = b.iota(self.score_tv, 0)
        column = self.score_tv.project(1)
        first = b.i32(b.add(b.mul(i, body.page), at))
        last = b.i32(b.min(length, b.mul(end, body.page)))

        def position(s, w, x):  # pyright: ignore
            return s.add(s.add(s.mul(w, body.page), x), first)

        key = b.map(position, warp, place, tv=column)
        low = b.i32(start) if start is not None else None

        def inside(s, x):  # pyright: ignore
            below = s.cmp("lt", x, last)
            return below if low is None else s.and_(below, s.cmp("ge", x, low))

        valid = b.map(inside, key)
        query = b.splat(self.position, self.score_tv.project(0, 1, 2))
        head = None
        if body.op.score is not None:
            row = b.iota(self.score_tv, 1)
            head = b.map(lambda s, r: s.add(r, s.mul(self.head, body.group)), row)
        scores = scaled_scores(b, body, raw, query, key, head if head is not None else query, valid)
        weights, state = advance(b, state, scores, valid, exponent_unit(body))

        shape = (warps, 1, keys, body.value_width)
        v = b.load(
            self.buffers[body.values],
            [0, self.head, at, 0],
            placed(value_loaded(keys, body.value_width), shape, (2, 3), each),
            gather={0: index},
        )
        paired = value_operand(keys, body.value_width)
        v = b.relayout(v, placed(paired, shape, (2, 3), each))
        v = b.relabel(v, placed(paired, (warps, body.value_width, keys), (2, 1), self.each))
        return Softmax(state.top, state.total, b.mma(b.cast(weights, body.elem), v, state.out))

    def merge(self, state: Softmax, workspace: list[SSAValue] | None) -> None:
        """Join the warps and write the group's output, or its share of it."""
        b, body, warps, group = self.b, self.body, self.warps, self.body.group
        width = body.value_width
        out = b.alloc((warps, group, width), f32)
        top, total = b.alloc((warps, group), f32), b.alloc((warps, group), f32)
        guard = self.rows != group
        exponent = b.map(lambda s, t: s.mul(t, exponent_unit(body)), state.top)
        for value, memory in ((exponent, top), (state.total, total)):
            b.store(b.squeeze(value, 2), memory, [0, 0], checked=[False, guard])
        b.store(state.out, out, [0, 0, 0], checked=[False, guard, False])
        b.barrier()
        vector = next(v for v in (4, 2, 1) if (width % v == 0 and (group * width) % (v * 32 * warps) == 0) or v == 1)
        spread = Tv.blocked((group, width), vector, (1, 0), warps)
        line = stacked(spread.project(1).drop(1), warps)
        tops, totals = b.load(top, [0, 0], line), b.load(total, [0, 0], line)
        most = b.reduce(tops, 0, "max")
        shares = b.map(lambda s, t, m: s.exp2(s.sub(t, m)), tops, most)
        whole = b.reduce(b.map(lambda s, t, f: s.mul(t, f), totals, shares), 0, "add")
        outs = b.load(out, [0, 0, 0], stacked(spread, warps))
        weighed = b.map(lambda s, o, f: s.mul(o, f), outs, b.relabel(shares, stacked(spread, warps).project(2)))
        result = b.relabel(b.reduce(weighed, 0, "add"), spread)
        rows = spread.project(1)
        if workspace is None:
            norm = b.relabel(whole, rows)
            result = b.cast(b.map(lambda s, o, t: s.div(o, s.max(t, 1.0e-30)), result, norm), body.elem)
            result = b.relabel(result, spread.expand(0).expand(0))
            b.store(result, self.buffers[body.out], [self.token, self.head, 0, 0])
            return
        place: list[Index] = [self.token, self.head, self.split, 0]
        b.store(b.relabel(result, spread.expand(0).expand(0).expand(0)), workspace[0], [*place, 0])
        thin = rows.drop(1).expand(0).expand(0).expand(0)
        for value, memory in ((most, workspace[1]), (whole, workspace[2])):
            b.store(b.relabel(value, thin), memory, place)


SCHEDULE = AttentionDecode()

__all__ = ["SCHEDULE", "AttentionDecode", "workspace_of"]
