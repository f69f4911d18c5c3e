"""How single nn ops simplify: identities go, reshapes, transposes and casts join, constants fold. `canonicalize` applies these."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
from xdsl.ir import Attribute, Operation, SSAValue

from ...dialects.ir.numeric import dtype_of, is_float
from ...dialects.nn import ops as nn
from ...dialects.nn.pointwise import COMPARISONS
from ...dialects.nn.sizes import Size
from ...dialects.nn.types import dims_of, elem_of, tensor_type
from ..framework.patterns import Rule, RulePattern
from .values import constant_array, definition, property_int, splat

ONE = Size.of(1)
FOLD_LIMIT = 4096


def _reshape(op: nn.ReshapeOp) -> SSAValue | None:
    if op.x.type == op.result.type:
        return op.x
    inner = definition(op.x)
    if isinstance(inner, nn.ReshapeOp):
        return inner.x if inner.x.type == op.result.type else nn.ReshapeOp(inner.x, dims_of(op.result)).result
    number = splat(op.x) if isinstance(inner, nn.ConstantOp) else None
    if number is not None and _static(op.result):
        return nn.ConstantOp.of(number, tensor_type(op.result)).result
    return None


def _transpose(op: nn.TransposeOp) -> SSAValue | None:
    perm = op.permutation
    if perm == tuple(range(len(perm))):
        return op.x
    inner = definition(op.x)
    if isinstance(inner, nn.TransposeOp):
        return nn.TransposeOp(inner.x, [inner.permutation[p] for p in perm]).result
    dims = dims_of(op.x)
    moved = [p for p in perm if dims[p] != ONE]
    if moved == sorted(moved):
        return nn.ReshapeOp(op.x, dims_of(op.result)).result
    if isinstance(inner, nn.MulOp) and all(len(dims_of(o)) == len(perm) and dims_of(o) != dims for o in inner.operands):
        turned = [nn.TransposeOp(o, perm).result for o in inner.operands]  # an outer product: its factors turn for free
        return nn.MulOp(*turned).results[0]
    return None


def _matmul(op: nn.MatmulOp) -> SSAValue | None:
    """A product over one element is an outer product."""
    a, b = op.operands
    if len(dims_of(a)) == len(dims_of(b)) and dims_of(a)[-1] == ONE and elem_of(a) == elem_of(b) == elem_of(op.results[0]):
        return nn.MulOp(a, b).results[0]
    return None


def _broadcast(op: nn.BroadcastOp) -> SSAValue | None:
    if op.x.type == op.result.type:
        return op.x
    inner = definition(op.x)
    if isinstance(inner, nn.BroadcastOp):
        return nn.BroadcastOp(inner.x, dims_of(op.result)).result
    source, target = dims_of(op.x), dims_of(op.result)
    if len(source) < len(target) and target == (*[ONE] * (len(target) - len(source)), *source):
        return nn.ReshapeOp(op.x, target).result
    return None


def _cast(op: Any) -> SSAValue | None:
    x = op.operands[0]
    target = elem_of(op.results[0])
    if elem_of(x) == target:
        return x
    inner = definition(x)
    if isinstance(inner, nn.CastOp):
        source = inner.operands[0]
        if _widens(elem_of(source), elem_of(x)):
            return source if elem_of(source) == target else nn.CastOp(source, elem=target).results[0]
    return _fold(op)


def _widens(source: Attribute, target: Attribute) -> bool:
    """Whether every value of `source` is one of `target`."""
    if is_float(source) and is_float(target):
        return cast(Any, source).bitwidth < cast(Any, target).bitwidth
    if not is_float(source) and not is_float(target):
        return cast(Any, source).bitwidth < cast(Any, target).bitwidth
    return False


def _slice(op: nn.SliceOp) -> SSAValue | None:
    axis, step = property_int(op, "axis"), property_int(op, "step", 1)
    start, stop = op.bounds
    size = dims_of(op.x)[axis]
    if step == 1 and start == Size.of(0) and stop == size:
        return op.x
    inner = definition(op.x)
    if (
        step == 1
        and isinstance(inner, nn.SliceOp)
        and property_int(inner, "axis") == axis
        and property_int(inner, "step", 1) == 1
    ):
        base = inner.bounds[0]
        return nn.SliceOp(inner.x, axis=axis, start=base + start, stop=base + stop).result
    if step == 1 and isinstance(inner, nn.ConcatOp) and property_int(inner, "axis") == axis:
        offset = Size.of(0)
        for part in inner.inputs:
            width = dims_of(part)[axis]
            lead, rest = (start - offset).constant, (offset + width - stop).constant
            if lead is not None and rest is not None and lead >= 0 and rest >= 0:
                return nn.SliceOp(part, axis=axis, start=start - offset, stop=stop - offset).result
            offset = offset + width
    if isinstance(inner, nn.TransposeOp):
        part = nn.SliceOp(inner.x, axis=inner.permutation[axis], start=start, stop=stop, step=step)
        return nn.TransposeOp(part.result, inner.permutation).result
    return None


def _concat(op: nn.ConcatOp) -> SSAValue | None:
    if len(op.inputs) == 1:
        return op.inputs[0]
    axis = property_int(op, "axis")
    parts = [definition(i) for i in op.inputs]
    first = parts[0]
    if isinstance(first, nn.TransposeOp):
        turned = [p.x for p in parts if isinstance(p, nn.TransposeOp) and p.permutation == first.permutation]
        if len(turned) < len(parts):
            return None
        return nn.TransposeOp(nn.ConcatOp(turned, first.permutation[axis]).result, first.permutation).result
    if not isinstance(first, nn.SliceOp):
        return None
    position = Size.of(0)
    for part in parts:
        if not isinstance(part, nn.SliceOp) or part.x is not first.x or property_int(part, "axis") != axis:
            return None
        start, stop = part.bounds
        if property_int(part, "step", 1) != 1 or start != position:
            return None
        position = stop
    return first.x if position == dims_of(first.x)[axis] else None


def _static(value: SSAValue) -> bool:
    return all(d.constant is not None for d in dims_of(value))


def _unit(neutral: float, commutes: bool) -> Rule:
    """x ∘ neutral is x, if the shape stays."""

    def rule(op: Any) -> SSAValue | None:
        a, b = op.operands
        if splat(b) == neutral and a.type == op.results[0].type:
            return a
        if commutes and splat(a) == neutral and b.type == op.results[0].type:
            return b
        return _fold(op)

    return rule


def _pow(op: Any) -> SSAValue | None:
    x, exponent = op.operands
    number = splat(exponent)
    if x.type != op.results[0].type:
        return None
    match number:
        case 1:
            return x
        case 2:
            return nn.SquareOp(x).results[0]
        case -0.5:
            return nn.RsqrtOp(x).results[0]
        case 0.5:
            return nn.SqrtOp(x).results[0]
        case -1 if is_float(elem_of(x)):
            return nn.RecipOp(x).results[0]
        case _:
            return _fold(op)


def _div(op: Any) -> SSAValue | None:
    a, b = op.operands
    if splat(b) == 1 and a.type == op.results[0].type:
        return a
    if splat(a) == 1 and isinstance(inner := definition(b), nn.SqrtOp) and b.type == op.results[0].type:
        return nn.RsqrtOp(inner.operands[0]).results[0]
    return _fold(op)


def _recip(op: Any) -> SSAValue | None:
    inner = definition(op.operands[0])
    return nn.RsqrtOp(inner.operands[0]).results[0] if isinstance(inner, nn.SqrtOp) else _fold(op)


def _fold(op: Any) -> SSAValue | None:
    """A pointwise op on small constants, computed in f32 (integers exactly)."""
    kind = tensor_type(op.results[0])
    if not _static(op.results[0]) or not op.operands:
        return None
    arrays = [constant_array(o) for o in op.operands]
    if any(a is None for a in arrays):
        return None
    shape = kind.get_shape()
    if int(np.prod(shape, dtype=np.int64)) > FOLD_LIMIT:
        return None
    wide = [a.astype(np.float64) if is_float(elem_of(o)) else a for a, o in zip(cast("list[Any]", arrays), op.operands)]
    predicate = op.properties.get("predicate")
    function = op.ROW.numpy if predicate is None else COMPARISONS[predicate.data]
    with np.errstate(all="ignore"):
        value = np.asarray(function(*wide))
    if not is_float(kind.element_type) and value.dtype.kind == "f":
        value = np.trunc(value)
    stored = np.broadcast_to(value, shape).astype(dtype_of(kind.element_type))
    if stored.dtype.kind not in "biu" and not np.isfinite(stored.astype(np.float64)).all():
        return None
    return nn.ConstantOp.of(stored.astype(np.float64) if is_float(kind.element_type) else stored, kind).result


RULES: dict[type[Operation], Rule] = {
    **dict.fromkeys(nn.POINTWISE.values(), _fold),
    nn.ReshapeOp: _reshape,
    nn.TransposeOp: _transpose,
    nn.MatmulOp: _matmul,
    nn.BroadcastOp: _broadcast,
    nn.SliceOp: _slice,
    nn.ConcatOp: _concat,
    nn.CastOp: _cast,
    nn.AddOp: _unit(0, True),
    nn.SubOp: _unit(0, False),
    nn.MulOp: _unit(1, True),
    nn.DivOp: _div,
    nn.RecipOp: _recip,
    nn.PowOp: _pow,
}

PATTERNS = tuple(RulePattern(rule, (cls,), name=f"simplify-{cls.name}") for cls, rule in RULES.items())
