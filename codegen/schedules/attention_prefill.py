"""Attention of many tokens (prefill, encoders): tiles of queries against tiles of 64 keys, online softmax on tensor cores.

    task (x, head): the x-th tile of `queries` rows, counted through the ragged batch; late tiles of a sequence come first
    warp w: 16 queries, held in registers as operand A
    keys and values: a page (or 64 rows) at a time through two stages of shared memory, the next one in flight during the products

Keys are operand B with the permuted channels of the queries; values are read along rows and exchanged between registers in pairs, so
both are 16-byte loads, conflict-free through an xor of the rows' low bits. Causal tiles are masked at the diagonal only.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from xdsl.dialects.builtin import i1
from xdsl.ir import BlockArgument, SSAValue

from ...dialects.layout.mem import MemLayout
from ...dialects.layout.ops import KernelOp
from ...dialects.layout.tv import Tv
from ...dialects.layout.types import BufferType, ScheduleAttr
from ...dialects.nn.types import dims_of
from ...dialects.tile.types import frag_of
from .attention import (
    AttentionBody,
    Softmax,
    advance,
    analyse_attention,
    begin_attention,
    begin_softmax,
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
    value_run,
)
from .attention_rule import mask_number
from .base import Abi, Parameter, bad_parameter, checked_parameters
from .body import Unsupported
from .builder import Index, TileBuilder

if TYPE_CHECKING:
    from ...dialects.tile.ops import KernelOp as TileKernelOp
    from ..targets import Target

PARAMETERS = (
    Parameter("queries", "rows of queries a task, 16 a warp", (16, 32, 64, 128), 64),
    Parameter("keys", "keys a step", (16, 32, 64), 64),
    Parameter("min_ctas", "CTAs a multiprocessor that registers must allow", range(1, 9), 1),
)


class AttentionPrefill:
    """See the module docstring."""

    name = "attention_prefill"
    family = "attention"

    def accepts(self, kernel: KernelOp) -> str | None:
        try:
            body = analyse_attention(kernel, stateless=True)
        except Unsupported as problem:
            return str(problem)
        if body.paged and not {"query_start", "kv_len", "page_table"} <= set(body.batch):
            return "the batch lacks query_start, kv_len or page_table"
        if not body.paged and body.batch and "query_start" not in body.batch:
            return "the batch lacks query_start"
        if not body.paged and body.width != body.value_width:
            return "keys and values of different widths"
        if not body.paged and cast(BufferType, body.keys.type).dims[0] != cast(BufferType, body.q.type).dims[0]:
            return "keys of other tokens than the queries"
        return None

    def candidates(self, kernel: KernelOp, target: Target) -> list[ScheduleAttr]:
        body = analyse_attention(kernel, stateless=True)
        keys = min(body.page, 64) if body.paged else 64
        if body.width > 128:
            return [ScheduleAttr.of(self.name, queries=q, keys=min(keys, 16 * q // 32), min_ctas=1) for q in (64, 32)]
        return [
            ScheduleAttr.of(self.name, queries=64, keys=keys, min_ctas=2),
            ScheduleAttr.of(self.name, queries=32, keys=min(keys, 32), min_ctas=2),
        ]

    def _parameters(self, kernel: KernelOp, schedule: ScheduleAttr) -> tuple[AttentionBody, dict[str, int]]:
        body = analyse_attention(kernel, stateless=True)
        p = checked_parameters(schedule, PARAMETERS, kernel)
        if body.paged and body.page % p["keys"]:
            raise bad_parameter(kernel, f"{p['keys']} keys a step do not divide pages of {body.page}", "fewer keys")
        if p["keys"] * body.width % (p["queries"] * 16):
            raise bad_parameter(
                kernel, f"{p['keys']} keys a step are less than 16 bytes for each thread", "more keys or fewer queries"
            )
        return body, p

    def abi(self, kernel: KernelOp, schedule: ScheduleAttr) -> Abi:
        body, p = self._parameters(kernel, schedule)
        tiles = f"ceildiv({body.tokens}, {p['queries']})"
        if "query_start" in body.batch:
            # every sequence may have one tile that is not full
            tiles += f" + {_sequences(body)}"
        return Abi((tiles, str(body.heads), "1"), p["queries"] // 16)

    def build(self, kernel: KernelOp, schedule: ScheduleAttr, target: Target) -> TileKernelOp:
        body, p = self._parameters(kernel, schedule)
        abi = self.abi(kernel, schedule)
        elem = body.elem
        retyped = {
            body.q: BufferType.of((body.tokens, body.heads, body.width), elem),
            body.out: BufferType.of((body.tokens, body.heads, body.value_width), elem, body.out_layout),
        }
        if not body.paged:
            for argument, width in ((body.keys, body.width), (body.values, body.value_width)):
                retyped[argument] = BufferType.of((body.tokens, body.key_heads * width), elem)
        b, buffers = begin_attention(body, schedule, abi.warps, abi.grid, retyped, p["min_ctas"])
        tile, head, _ = b.task()
        _Work(b, body, p, buffers, head).run(tile)
        return b.finish()


def _sequences(body: AttentionBody) -> int | str:
    """The number of sequences, from the buffer of their starts or lengths."""
    if "kv_len" in body.batch:
        return cast(BufferType, body.batch["kv_len"].type).dims[0]
    starts = cast(BufferType, body.batch["query_start"].type).dims[0]
    return starts - 1 if isinstance(starts, int) else f"({starts} - 1)"


def swizzled_rows(stages: int, rows: int, width: int, bits: int, base: int, row_bit: int) -> MemLayout:
    """Rows of `width` 16-bit elements whose offset bits base… are xored with the row's bits row_bit…, so that lanes that read
    different rows at once meet different banks. Widths that are no power of two spread by themselves."""
    plain = MemLayout.row_major((stages, rows, width))
    if width & (width - 1) or width < 64:
        return plain
    shift = width.bit_length() - 1 + row_bit - base
    return MemLayout(plain.dims, (bits, base, shift))


class _Work:
    """One task."""

    def __init__(
        self, b: TileBuilder, body: AttentionBody, p: dict[str, int], buffers: dict[BlockArgument, SSAValue], head: SSAValue
    ):
        self.b, self.body, self.buffers, self.head = b, body, buffers, head
        self.queries, self.keys, self.warps = p["queries"], p["keys"], p["queries"] // 16
        self.key_head = b.div(head, body.group)
        self.warp = ((self.warps, (16, 0)),)
        self.score_tv = placed(score_digits(16, self.keys), (self.queries, self.keys), (0, 1), self.warp)
        self.out_tv = placed(output_digits(16, body.value_width), (self.queries, body.value_width), (0, 1), self.warp)
        self.k_smem = b.alloc((2, self.keys, body.width), body.elem, swizzled_rows(2, self.keys, body.width, 1, 5, 0))
        self.v_smem = b.alloc(
            (2, self.keys, body.value_width), body.elem, swizzled_rows(2, self.keys, body.value_width, 2, 4, 1)
        )

    def batch(self, name: str) -> SSAValue:
        return self.buffers[self.body.batch[name]]

    def locate(self, tile: SSAValue) -> tuple[Index, Index, Index, Index]:
        """(sequence, first row of its queries, row behind the last, first query of this tile); none is an empty range."""
        b = self.b
        if "query_start" not in self.body.batch:
            return 0, 0, b.i32(b.dim(self.body.tokens)), b.mul(tile, self.queries)
        starts, zero = self.batch("query_start"), b.i32(0)

        def step(s: SSAValue, rest: SSAValue, *found: SSAValue) -> list[SSAValue]:
            low, high = b.load_scalar(starts, s), b.load_scalar(starts, b.add(s, 1))
            tiles = b.ceildiv(b.sub(high, low), self.queries)
            scalar = b.scalar
            here = scalar.and_(b.cmp("ge", rest, 0), b.cmp("lt", rest, tiles))
            # late tiles have most keys: they go first
            first = b.i32(b.mul(b.sub(b.sub(tiles, 1), rest), self.queries))
            values = [s, low, high, first]
            return [b.i32(b.sub(rest, tiles)), *(scalar.select(here, v, f) for v, f in zip(values, found, strict=True))]

        _, sequence, low, high, first = b.for_(0, b.dim(_sequences(self.body)), 1, [tile, zero, zero, zero, zero], step)
        return sequence, low, high, first

    def run(self, tile: SSAValue) -> None:
        b, body = self.b, self.body
        self.sequence, start, end, first = self.locate(tile)
        count = b.sub(end, start)
        length: Index = b.load_scalar(self.batch("kv_len"), self.sequence) if body.paged else count
        self.base = start
        self.origin = b.add(b.sub(length, count), first)  # position of the tile's first query
        row = b.add(start, first)
        stop = b.min(b.add(first, self.queries), count)
        limit = b.max(b.min(length, b.add(b.sub(length, count), stop)), 0) if body.mask.causal else length
        self.limit = b.i32(limit)
        steps = b.ceildiv(self.limit, self.keys)
        if "query_start" in body.batch:  # tasks beyond the last tile have nothing to do
            steps = b.scalar.select(b.cmp("gt", count, 0), b.i32(steps), b.i32(0))
        window = body.mask.window
        begin: Index = 0
        if window is not None:
            low = b.sub(b.add(self.origin, 1), window) if body.mask.causal else b.add(b.sub(self.origin, window), 1)
            begin = b.div(b.max(low, 0), self.keys)
        self.steps = b.i32(steps)
        # wide heads leave no registers for the queries: they come from cache each time
        self.query = self._query(row, end) if body.width <= 128 else None
        self.row, self.end = row, end
        state = begin_softmax(b, self.score_tv, self.out_tv)

        follow = self._page(begin)
        b.if_(b.cmp("lt", begin, self.steps), lambda: self._copy(b.i32(begin), follow))
        b.cp_async_commit()
        ahead = self._page(b.add(begin, 1))
        carried = [*state.values, ahead]

        def masked(i: SSAValue, *values: SSAValue) -> list[SSAValue]:
            return self._step(i, list(values), masked=True)

        def unmasked(i: SSAValue, *values: SSAValue) -> list[SSAValue]:
            return self._step(i, list(values), masked=False)

        middle: Index = begin
        if window is None:
            # keys that every query of the tile sees need no mask
            whole = b.div(b.add(self.origin, 1), self.keys) if body.mask.causal else b.div(self.limit, self.keys)
            middle = b.min(whole, self.steps)
            carried = list(b.for_(begin, middle, 1, carried, unmasked))
        carried = list(b.for_(middle, self.steps, 1, carried, masked))
        b.cp_async_wait(0)
        self._write(Softmax(*carried[:3]), row, end)

    def _query(self, row: Index, end: Index) -> SSAValue:
        b, body = self.b, self.body
        digits = query_operand(16, body.width)
        shape, warp = (self.queries, 1, body.width), ((self.warps, (16, 0, 0)),)
        loaded = b.load(
            self.buffers[body.q],
            [row, self.head, 0],
            placed(digits, shape, (0, 2), warp),
            checked=[True, False, False],
            bounds=[end],
        )
        return b.squeeze(loaded, 1)

    def _page(self, step: Index) -> SSAValue:
        """The page of a step; steps beyond the last repeat it, none gives page 0."""
        b, body = self.b, self.body
        if not body.paged:
            return b.i32(0)
        last = b.max(b.sub(self.steps, 1), 0)
        index = b.div(b.min(step, last), body.page // self.keys)
        return b.load_scalar(self.batch("page_table"), self.sequence, index)

    def _copy(self, step: Index, page: SSAValue) -> None:
        """Start bringing keys and values of a step to its stage; rows beyond the limit become zero."""
        b, body, keys = self.b, self.body, self.keys
        slot = b.rem(step, 2)
        at = b.mul(step, keys)
        for argument, smem, width in ((body.keys, self.k_smem, body.width), (body.values, self.v_smem, body.value_width)):
            stage = b.stage(smem, slot)
            if body.paged:
                inside = b.rem(at, body.page)
                tv = Tv.blocked((1, 1, keys, width), 8, (3, 2, 1, 0), self.warps)
                bound = b.add(b.sub(self.limit, at), inside)
                offsets = [page, self.key_head, inside, 0]
                b.cp_async(
                    self.buffers[argument], offsets, stage, [0, 0], tv, checked=[False, False, True, False], bounds=[bound]
                )
            else:
                tv = Tv.blocked((keys, width), 8, (1, 0), self.warps)
                offsets = [b.add(self.base, at), b.mul(self.key_head, width)]
                bound = b.add(self.base, self.limit)
                b.cp_async(self.buffers[argument], offsets, stage, [0, 0], tv, checked=[True, False], bounds=[bound])

    def _step(self, i: SSAValue, carried: list[SSAValue], masked: bool) -> list[SSAValue]:
        b, body, keys = self.b, self.body, self.keys
        state, page = Softmax(*carried[:3]), carried[3]
        b.cp_async_wait(0)
        b.barrier()
        following = b.add(i, 1)
        b.if_(b.cmp("lt", following, self.steps), lambda: self._copy(following, page))
        b.cp_async_commit()
        page = self._page(b.add(i, 2))
        slot = b.rem(i, 2)

        same = [(self.warps, (0, 0))]
        k = b.load(b.stage(self.k_smem, slot), [0, 0], placed(key_operand(keys, body.width), (keys, body.width), (0, 1), same))
        query = self.query if self.query is not None else self._query(self.row, self.end)
        raw = b.mma(query, k, b.full(0.0, self.score_tv))
        scores, valid = self._scores(i, raw, masked)
        weights, state = advance(b, state, scores, valid, exponent_unit(body))
        shape = (keys, body.value_width)
        v = b.load(b.stage(self.v_smem, slot), [0, 0], placed(value_loaded(keys, body.value_width), shape, (0, 1), same))
        paired = value_operand(keys, body.value_width)
        v = b.relayout(v, placed(paired, shape, (0, 1), same))
        v = b.relabel(v, placed(paired, (body.value_width, keys), (1, 0), same))
        out = b.mma(b.cast(weights, body.elem), v, state.out)
        return [state.top, state.total, out, page]

    def _scores(self, i: SSAValue, raw: SSAValue, masked: bool) -> tuple[SSAValue, SSAValue | None]:
        b, body = self.b, self.body
        mask = self._mask_tile(i)
        if not masked and body.op.score is None and mask is None:
            return scaled_scores(b, body, raw, raw, raw, raw, None), None
        origin, at = b.i32(self.origin), b.i32(b.mul(i, self.keys))
        query = b.map(lambda s, r: s.add(r, origin), b.iota(self.score_tv, 0))
        key = b.map(lambda s, c: s.add(c, at), b.iota(self.score_tv, 1))
        valid = None
        if masked:
            causal, window, limit = body.mask.causal, body.mask.window, self.limit

            def inside(s, q, k):  # pyright: ignore
                seen = s.cmp("le", k, q) if causal else s.cmp("lt", k, limit)
                if window is not None:
                    seen = s.and_(seen, s.cmp("lt", s.sub(q, k), window))
                    if not causal:
                        seen = s.and_(seen, s.cmp("lt", s.sub(k, q), window))
                return seen

            valid = b.map(inside, query, key, tv=self.score_tv)
        added = None
        if mask is not None and frag_of(mask).element_type != i1:
            added = mask
        elif mask is not None:
            valid = mask if valid is None else b.map(lambda s, x, y: s.and_(x, y), valid, mask, tv=self.score_tv)
        head = b.splat(self.head, self.score_tv.project(0, 1))
        return scaled_scores(b, body, raw, query, key, head, valid, added), valid

    def _mask_tile(self, i: SSAValue) -> SSAValue | None:
        """The mask tensor's share of a tile of scores, [queries or 1, keys or 1]; None without one."""
        b, body = self.b, self.body
        tensor = body.op.mask_tensor
        if tensor is None or body.mask_tensor is None:
            return None
        dims, tv = dims_of(tensor), self.score_tv
        at: list[Index] = [self.row, b.add(self.base, b.mul(i, self.keys))]
        ends: list[Index] = [self.end, b.add(self.base, self.limit)]
        checked = [dim.constant != 1 for dim in dims[-2:]]
        for axis in (0, 1):
            if not checked[axis]:
                tv, at[axis] = tv.project(axis), 0
        bounds = [end for end, needed in zip(ends, checked, strict=True) if needed]
        buffer = self.buffers[body.mask_tensor]
        if len(dims) == 2:
            return b.load(buffer, at, tv, checked=checked, bounds=bounds)
        at.insert(0, mask_number(b, body.op, self.head))
        return b.load(buffer, at, tv.expand(0), checked=[False, *checked], bounds=bounds, squeeze=[0])

    def _write(self, state: Softmax, row: Index, end: Index) -> None:
        b, body = self.b, self.body
        result = b.map(lambda s, o, t: s.div(o, s.max(t, 1.0e-30)), state.out, state.total)
        # channels in the order of memory, so that a thread's run is one store
        run, width = value_run(body.value_width), body.value_width
        reg = kept([(run, (0, 1)), (2, (0, run)), (width // (8 * run), (0, 8 * run)), (2, (8, 0))])
        ordered = Tv((self.queries, width), reg, ((4, (0, 2 * run)), (8, (1, 0))), kept(self.warp))
        value = b.cast(b.relayout(result, ordered), body.elem)
        b.store(b.expand(value, 1), self.buffers[body.out], [row, self.head, 0], checked=[True, False, False], bounds=[end])


SCHEDULE = AttentionPrefill()

__all__ = ["SCHEDULE", "AttentionPrefill"]
