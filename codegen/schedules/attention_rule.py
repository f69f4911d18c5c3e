"""The last-resort attention: one (token, head) a CTA, its channels along the tile's rows, keys one after the other.

Online softmax in f32:  m' = max(m, s);  l' = l·e^(m-m') + e^(s-m');  o' = o·e^(m-m') + e^(s-m')·v.  Every form of
`nn.attention` is taken: paged state, ragged or whole sequences, windows, mask tensors, score regions.
"""

from __future__ import annotations

from typing import cast

from xdsl.dialects.builtin import f32, i1
from xdsl.ir import Operation, SSAValue

from ...dialects.ir.diagnostics import LlmcError
from ...dialects.nn import ops as nn
from ...dialects.nn.types import dims_of, elem_of
from .builder import Index, TileBuilder
from .evaluate import Axis, Coord, Coords, Evaluator, Rule, is_frag
from .loops import ADD, At, coords_shape, reduce_over
from .paging import page_of, pages_of
from .rules import batch_part
from .scalar import Scalar, ScalarBuilder

LOWEST = -1.0e30
"""Where the running maximum starts: far below any score, and finite so that differences stay numbers."""


def attention(ev: Evaluator, op: Operation, index: int, coords: Coords) -> SSAValue:
    assert isinstance(op, nn.AttentionOp)
    token, head, channel = coords
    if isinstance(token, Axis) or is_frag(token) or isinstance(head, Axis) or is_frag(head):
        raise LlmcError(
            "LLMC0506", "last-resort attention works on one token and head a CTA", op, fix="choose a schedule for attention"
        )
    b = ev.b
    heads, width = dims_of(op.q)[1], dims_of(op.q)[2]
    lower, upper, query, at_key = _keys(ev, op, token)
    key_heads = op.kv.type.heads if op.kv is not None else dims_of(cast(SSAValue, op.k))[1].constant  # pyright: ignore
    assert heads.constant is not None and key_heads
    group = heads.constant // key_heads
    key_head = b.div(head, group)
    tv = ev.tv.project_to(coords_shape(ev, [channel]))
    small = ev.tv.project_to((1, 1))
    scale = op.scale.value.data

    def step(j: SSAValue, top: SSAValue, total: SSAValue, out: SSAValue) -> list[SSAValue]:
        with ev.scope():
            key, value = at_key(j, key_head)

            def term(i: Coord) -> SSAValue:
                return ev.map(lambda s, q, k: s.mul(q, k), ev.wide(ev.value(op.q, [token, head, i])), ev.wide(key(i)))

            score = reduce_over(ev, width, [], term, ADD)
            score = ev.map(lambda s, x: s.mul(x, scale), score)
            score = _modified(ev, op, score, query, j, head, token)
            new_top = ev.map(lambda s, m, x: s.max(m, x), top, score)
            old, weight = ev.map(lambda s, m, n, x: [s.exp(s.sub(m, n)), s.exp(s.sub(x, n))], top, new_top, score)
            new_total = ev.map(lambda s, t, o, w: s.fma(t, o, w), total, old, weight)
            v = ev.wide(value(channel))
            new_out = ev.map(lambda s, y, o, w, v: s.add(s.mul(y, o), s.mul(w, v)), out, old, weight, v)
            return [new_top, new_total, new_out]

    inits = [b.full(LOWEST, small), b.full(0.0, small), b.full(0.0, tv)]
    _, total, out = b.for_(lower, upper, 1, inits, step)
    return ev.map(lambda s, y, t: s.div(y, s.select(s.cmp("eq", t, 0.0), 1.0, t)), out, total)


def _keys(ev: Evaluator, op: nn.AttentionOp, token: Index):
    """(first key, end, query position, key number → accessors of its key and value channels)."""
    b = ev.b
    if op.kv is not None:
        assert op.batch is not None
        if isinstance(op.kv.owner, nn.AppendOp):
            raise LlmcError(
                "LLMC0506",
                "attention reads a state that the same kernel appends to",
                op,
                why="other CTAs' keys would not be there yet",
                fix="append in a kernel of its own, before the attention",
            )
        keys, values, page_size = pages_of(ev, op.kv)
        batch = op.batch
        sequence: Coord = batch_part(ev, batch, "sequence", token)
        query: Index = batch_part(ev, batch, "positions", token)
        upper: Index = batch_part(ev, batch, "kv_len", sequence)

        def paged(j: SSAValue, head: Index) -> tuple[At, At]:
            page, slot = page_of(ev, batch, sequence, j, page_size)
            return (
                lambda i: ev.load(keys, [page, head, slot, i]),
                lambda i: ev.load(values, [page, head, slot, i]),
            )

        lower, at_key = 0, paged
    else:
        k, v = cast(SSAValue, op.k), cast(SSAValue, op.v)
        if op.batch is not None:
            sequence = batch_part(ev, op.batch, "sequence", token)
            lower = batch_part(ev, op.batch, "query_start", sequence)
            upper = batch_part(ev, op.batch, "query_start", ev.add(sequence, 1))
        else:
            lower, upper = 0, ev.size(dims_of(k)[0])
        query = token

        def plain(j: SSAValue, head: Index) -> tuple[At, At]:
            return (lambda i: ev.value(k, [j, head, i])), (lambda i: ev.value(v, [j, head, i]))

        at_key = plain
    if op.mask.causal:
        upper = b.min(upper, b.add(query, 1))
    window = op.mask.window
    if window is not None:
        lower = b.max(lower, b.sub(query, window - 1))
        if not op.mask.causal:
            upper = b.min(upper, b.add(query, window))
    return lower, upper, query, at_key


def _modified(
    ev: Evaluator, op: nn.AttentionOp, score: SSAValue, query: Index, key: SSAValue, head: Index, token: Index
) -> SSAValue:
    """The score region, then the mask tensor."""
    b = ev.b
    if op.score is not None:
        block = op.score.block
        positions = [b.i32(query), key, b.i32(head)]
        if op.batch is not None and op.kv is None:
            positions[:2] = [batch_part(ev, op.batch, "positions", c) for c in (token, key)]
        score = ev.map(lambda s, x: s.inline(block, [x, *positions])[0], score)
    if op.mask_tensor is not None:
        dims = dims_of(op.mask_tensor)
        at: list[Coord] = [0 if dim.constant == 1 else c for dim, c in zip(dims[-2:], (token, key), strict=True)]
        if len(dims) == 3:
            at.insert(0, mask_number(b, op, head))
        extra = ev.value(op.mask_tensor, at)
        if elem_of(op.mask_tensor) == i1:
            score = ev.map(lambda s, x, c: s.select(c, x, 2 * LOWEST), score, extra)
        else:

            def added(s: ScalarBuilder, x: SSAValue, m: SSAValue) -> Scalar:
                return s.max(s.add(x, s.cast(m, f32)), 2 * LOWEST)

            score = ev.map(added, score, extra)
    return score


def mask_number(b: TileBuilder, op: nn.AttentionOp, head: Index) -> Index:
    """Which mask of a mask tensor [M, T, S] a query head has."""
    assert op.mask_tensor is not None
    masks, heads = dims_of(op.mask_tensor)[0].constant, dims_of(op.q)[1].constant
    assert masks and heads
    return 0 if masks == 1 else b.div(head, heads // masks)


ATTENTION_RULES: dict[type[Operation], Rule] = {nn.AttentionOp: attention}
