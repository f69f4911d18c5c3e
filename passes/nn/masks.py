"""Reading a mask that is a tensor: which comparisons of positions make it causal, windowed, or both."""

from __future__ import annotations

from dataclasses import dataclass

from xdsl.dialects.builtin import StringAttr
from xdsl.ir import SSAValue

from ...dialects.nn import ops as nn
from ...dialects.nn.types import MaskAttr, dims_of
from .matching import ONE, defined, orders, plus_number
from .values import property_int, splat

LOW = -1e4
"""A score at most this, added before the softmax, hides a key in any of our element types."""


@dataclass(frozen=True)
class Index:
    """A tensor that holds the token's number along `axis`, counted from the right, plus `offset`."""

    axis: int
    offset: float = 0


def read_mask(value: SSAValue, low: float = LOW) -> MaskAttr | None:
    """The mask that a [.., T, T] tensor stands for, True or 0 where a key is seen and at most `low` where not; None if it can't be
    read."""
    seen = _seen(value, True, low)
    if seen is None:
        return None
    causal, window = seen
    return MaskAttr.of(causal, window)


Seen = tuple[bool, int | None] | None


def _seen(value: SSAValue, positive: bool, low: float) -> Seen:
    """(causal, window) of the keys where a value is true (or 0 if it is a float to be added); negated unless `positive`."""
    if (number := splat(value)) is not None:
        return (False, None) if bool(number) == positive or (number == 0 and positive) else None
    if (view := defined(value, nn.BroadcastOp, nn.ReshapeOp, nn.CastOp)) is not None:
        return _seen(view.operands[0], positive, low)
    if (op := defined(value, nn.NotOp)) is not None:
        return _seen(op.operands[0], not positive, low)
    if (op := defined(value, nn.AndOp if positive else nn.OrOp)) is not None:
        return _both(_seen(op.operands[0], positive, low), _seen(op.operands[1], positive, low))
    if (op := defined(value, nn.SelectOp)) is not None and positive:
        condition, yes, no = op.operands
        if splat(yes) == 0 and hides(no, low):
            return _seen(condition, True, low)
        if splat(no) == 0 and hides(yes, low):
            return _seen(condition, False, low)
        return None
    if (op := defined(value, nn.MulOp)) is not None and positive:
        return next((_seen(x, False, low) for x, c in orders(op) if hides(c, low)), None)
    if (op := defined(value, nn.CmpOp)) is not None:
        return _comparison(op, positive)
    return None


def hides(value: SSAValue, low: float = LOW) -> bool:
    """Whether a number, added to a score or instead of it, hides a key."""
    number = splat(value)
    return number is not None and number <= low


def _both(a: Seen, b: Seen) -> Seen:
    if a is None or b is None:
        return None
    windows = [w for w in (a[1], b[1]) if w is not None]
    return a[0] or b[0], min(windows) if windows else None


_NEGATED = {"lt": "ge", "le": "gt", "gt": "le", "ge": "lt"}
_SWAPPED = {"lt": "gt", "le": "ge", "gt": "lt", "ge": "le"}


def _comparison(op: nn.NNOp, positive: bool) -> Seen:
    predicate = op.properties["predicate"]
    assert isinstance(predicate, StringAttr)
    word = predicate.data if positive else _NEGATED.get(predicate.data, "")
    difference = _difference(op.operands[0], op.operands[1])
    if difference is None or word not in _SWAPPED:
        return None
    sign, offset = difference
    # key - query (times sign) + offset  word  0
    if sign < 0:
        word, offset = _SWAPPED[word], -offset
    bound = -offset  # key - query  word  bound
    if word == "lt":
        word, bound = "le", bound - 1
    if word == "ge":
        word, bound = "gt", bound - 1
    if word == "le":
        return (True, None) if bound == 0 else None
    return (False, int(-bound)) if bound < 0 else None


def _difference(a: SSAValue, b: SSAValue) -> tuple[int, float] | None:
    """(±1, c) if a - b is ±(key - query) + c."""
    left, right = _index(a), _index(b)
    if left is not None and right is not None and {left.axis, right.axis} == {1, 2}:
        return (1 if left.axis == 1 else -1), left.offset - right.offset
    number = splat(b)
    if number is not None and (op := defined(a, nn.SubOp)) is not None:
        inner = _difference(op.operands[0], op.operands[1])
        return None if inner is None else (inner[0], inner[1] - number)
    number = splat(a)
    if number is not None and (op := defined(b, nn.SubOp)) is not None:
        inner = _difference(op.operands[1], op.operands[0])
        return None if inner is None else (inner[0], inner[1] + number)
    return None


def _index(value: SSAValue) -> Index | None:
    """The axis (1: last, keys; 2: before it, queries) along which a value counts tokens."""
    dims = dims_of(value)
    if (shifted := plus_number(value)) is not None:
        inner = _index(shifted[0])
        return None if inner is None else Index(inner.axis, inner.offset + shifted[1])
    if (op := defined(value, nn.SubOp)) is not None and (number := splat(op.operands[1])) is not None:
        inner = _index(op.operands[0])
        return None if inner is None else Index(inner.axis, inner.offset - number)
    if (op := defined(value, nn.CastOp)) is not None:
        return _index(op.operands[0])
    if (op := defined(value, nn.BroadcastOp)) is not None:
        return _index(op.x)
    if (op := defined(value, nn.ReshapeOp)) is not None:
        inner = _index(op.x)
        source, target = [d for d in dims_of(op.x) if d != ONE], [i for i, d in enumerate(dims) if d != ONE]
        if inner is None or len(source) != 1 or len(target) != 1:
            return None
        return Index(len(dims) - target[0], inner.offset)
    if (op := defined(value, nn.IotaOp)) is not None:
        return Index(len(dims) - property_int(op, "axis"))
    if defined(value, nn.PositionsOp) is not None or (not hasattr(value.owner, "name") and len(dims) == 1):
        return Index(1)  # an input with one number per token: its positions
    return None
