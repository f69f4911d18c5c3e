"""Attention written out: softmax(q·kᵀ·s + mask)·v over [H, T, D] becomes nn.attention over [T, H, D]; repeated keys are undone."""

from __future__ import annotations

from xdsl.ir import Operation, SSAValue

from ...dialects.ir.rewriting import replace
from ...dialects.nn import ops as nn
from ...dialects.nn.types import MaskAttr, dims_of, elem_of
from .masks import read_mask
from .matching import ONE, defined, times_number, uncast
from .score_terms import read_scores
from .values import property_int

TURN = (1, 0, 2)


def written_out(op: nn.MatmulOp) -> bool:
    """Replace matmul(softmax(f(matmul(q, kᵀ)·s) + mask), v), over [H, T, D], by an nn.attention whose score region is the pointwise f.
    False if it is no such thing."""
    soft = defined(uncast(op.a), nn.SoftmaxOp)
    if soft is None or len(dims_of(op.b)) != 3 or property_int(soft, "axis") != len(dims_of(soft.x)) - 1:
        return False
    scores = read_scores(soft.x)
    if scores is None or len(dims_of(scores.product.a)) != 3 or len(dims_of(scores.product.b)) != 3:
        return False
    inner = scores.product
    q, left = times_number(inner.a)
    turned, right = times_number(inner.b)
    turn = defined(turned, nn.TransposeOp)
    if turn is None:
        return False
    k, more = times_number(_turned_back(turn))
    right *= more
    k, v = unrepeated(k, 0), unrepeated(op.b, 0)
    if elem_of(k) != elem_of(q) or dims_of(k)[0] != dims_of(v)[0]:
        return False
    made: list[Operation] = [nn.TransposeOp(x, TURN) for x in (q, k, v)]
    attention = nn.AttentionOp(
        *(m.results[0] for m in made),
        scale=scores.scale * left * right,
        mask=scores.mask or MaskAttr.of(causal=False),
        score=scores.region,
        elem=elem_of(op.result),
    )
    replace(op, [*made, attention, nn.TransposeOp(attention.result, TURN)])
    return True


def _turned_back(op: nn.TransposeOp) -> SSAValue:
    """k for a transpose that is k with its last two axes swapped, maybe together with a transpose before it."""
    first, last, middle = op.permutation
    if (first, middle, last) == (0, 1, 2):
        return op.x
    back = nn.TransposeOp(op.x, (first, middle, last), location=op.location)
    assert op.parent is not None
    op.parent.insert_op_before(back, op)
    return back.result


def repeated_keys(op: nn.AttentionOp) -> bool:
    """Undo repeat_kv before an nn.attention, whose query heads then share key heads."""
    if op.k is None or op.v is None:
        return False
    k, v = _unrepeated_heads(op.k), _unrepeated_heads(op.v)
    if k is None or v is None or dims_of(k)[1] != dims_of(v)[1]:
        return False
    score = op.score.clone() if op.score is not None else None
    new = nn.AttentionOp(
        op.q,
        k,
        v,
        batch=op.batch,
        mask_tensor=op.mask_tensor,
        scale=op.scale.value.data,
        mask=op.mask,
        score=score,
        elem=elem_of(op.result),
    )
    replace(op, [new])
    return True


def _unrepeated_heads(value: SSAValue) -> SSAValue | None:
    """The [T, Hk, D] before a repetition to [T, H, D], where heads may have been the first axis meanwhile."""
    direct = unrepeated(value, 1)
    if direct is not value:
        return direct
    turn = defined(value, nn.TransposeOp)
    if turn is None or turn.permutation != TURN:
        return None
    inner = unrepeated(turn.x, 0)
    if inner is turn.x:
        return None
    back = nn.TransposeOp(inner, TURN, location=turn.location)
    assert turn.parent is not None
    turn.parent.insert_op_before(back, turn)
    return back.result


def unrepeated(value: SSAValue, axis: int) -> SSAValue:
    """x for reshape(broadcast(reshape(x))) that repeats each entry of an axis; the value itself for any other."""
    outer = defined(value, nn.ReshapeOp)
    wide = defined(outer.x, nn.BroadcastOp) if outer is not None else None
    column = defined(wide.x, nn.ReshapeOp) if wide is not None else None
    if wide is None or column is None:
        return value
    dims, spread, source = dims_of(value), dims_of(wide.result), dims_of(column.x)
    unit = dims_of(column.result)
    if len(spread) != len(dims) + 1 or len(source) != len(dims) or unit != (*source[: axis + 1], ONE, *source[axis + 1 :]):
        return value
    stretched = [i for i, (a, b) in enumerate(zip(unit, spread)) if a != b]
    return column.x if stretched == [axis + 1] else value


def masked(op: nn.AttentionOp) -> bool:
    """Read the mask tensor of an nn.attention into its #nn.mask."""
    if op.mask_tensor is None:
        return False
    mask = read_mask(op.mask_tensor)
    if mask is None:
        return False
    windows = [w for w in (mask.window, op.mask.window) if w is not None]
    both = MaskAttr.of(mask.causal or op.mask.causal, min(windows) if windows else None)
    score = op.score.clone() if op.score is not None else None
    new = nn.AttentionOp(
        op.q, op.k, op.v, kv=op.kv, batch=op.batch, scale=op.scale.value.data, mask=both, score=score, elem=elem_of(op.result)
    )
    replace(op, [new])
    return True
