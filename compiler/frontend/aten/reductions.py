"""Reductions, softmax, prefix sums and order."""

from __future__ import annotations

import math
from typing import Any, cast

from xdsl.dialects.builtin import f32, i1, i32
from xdsl.ir import SSAValue

from ....dialects.nn import ops as nn
from ....dialects.nn.base import is_float
from ....dialects.nn.sizes import Size
from ....dialects.nn.types import dims_of
from ..call import Call
from ..importer import Importer
from ..values import ONE, Value
from .registry import argument, row

ZERO = Size.of(0)
NEUTRAL = {"add": 0, "mul": 1, "any": 0, "all": 1}
"""What a reduction makes of no elements; torch refuses the largest and the smallest of them."""


def _axes(value: Value, given: Any) -> list[int]:
    if given is None or given == []:
        return list(range(value.rank))
    return [a % value.rank for a in (given if isinstance(given, list | tuple) else [given])]  # pyright: ignore


def reduce(im: Importer, value: Value, kind: str, axes: list[int], keep: bool) -> Value:
    """nn.reduce over torch axes; over none of them, the value itself, and over axes without elements, what nothing makes."""
    if not axes:
        return value
    if any(value.dims[a] == ZERO for a in axes):
        dims = tuple(ONE if i in axes else d for i, d in enumerate(value.dims) if keep or i not in axes)
        return Value(im.b.broadcast(im.b.constant(NEUTRAL[kind], value.elem), dims), dims)
    if value.axis in axes:
        value = im.b.full(value)
    dims = tuple(ONE if i in axes else d for i, d in enumerate(value.dims))
    ssa = im.b.emit(nn.ReduceOp(value.ssa, kind, [value.inner(a) for a in axes], keep))
    if keep:
        return Value(ssa, dims, value.axis)
    axis = None if value.axis is None else value.axis - sum(a < value.axis for a in axes)
    return Value(ssa, tuple(d for i, d in enumerate(dims) if i not in axes), axis)


@row("aten.sum.dim_IntList", "aten.sum.default", "aten.mean.dim", "aten.mean.default")
def total(im: Importer, node: Call) -> Value:
    value, elem = im.value(node.args[0]), im.elem(node)
    axes = _axes(value, argument(node, 1, "dim"))
    wide = Value(im.b.cast(value.ssa, f32 if is_float(elem) else i32), value.dims, value.axis)
    keep = bool(argument(node, 2, "keepdim", False))
    if "mean" not in str(node.target):
        result = reduce(im, wide, "add", axes, keep)
    else:
        count = Size.of(1)
        for a in axes:
            count = count * value.dims[a]
        if count.constant is None:
            result = reduce(im, wide, "mean", axes, keep)
        else:
            added = reduce(im, wide, "add", axes, keep)
            scaled = im.b.pointwise("mul", added.ssa, im.b.constant(reciprocal(count.constant), f32))
            result = Value(scaled, added.dims, added.axis)
    return Value(im.b.cast(result.ssa, elem), result.dims, result.axis)


def reciprocal(count: float) -> float:
    """1 / count as torch divides, where there is nothing to count, too."""
    return 1 / count if count > 0 else math.inf


@row("aten.amax.default", "aten.amin.default", "aten.max.default", "aten.min.default", "aten.prod.default", "aten.prod.dim_int")
def extreme(im: Importer, node: Call) -> Value:
    name = str(node.target)
    kind = "max" if "max" in name else "min" if "min" in name else "mul"
    value, elem = im.value(node.args[0]), im.elem(node)
    value = Value(im.b.cast(value.ssa, elem), value.dims, value.axis)
    return reduce(im, value, kind, _axes(value, argument(node, 1, "dim")), bool(argument(node, 2, "keepdim", False)))


@row("aten.max.dim", "aten.min.dim")
def extreme_with_index(im: Importer, node: Call) -> list[Value]:
    value = im.value(node.args[0])
    axes, keep = _axes(value, node.args[1]), bool(argument(node, 2, "keepdim", False))
    kind = "max" if "max" in str(node.target) else "min"
    found = reduce(im, value, kind, axes, keep)
    return [found, _argmax(im, value if kind == "max" else _negative(im, value), axes[0], keep)]


def _negative(im: Importer, value: Value) -> Value:
    return Value(im.b.pointwise("neg", value.ssa), value.dims, value.axis)


def _argmax(im: Importer, value: Value, axis: int, keep: bool) -> Value:
    value = im.b.full(value) if axis == value.axis else value
    ssa = im.b.emit(nn.ArgmaxOp(value.ssa, value.inner(axis)))
    dims = tuple(d for i, d in enumerate(value.dims) if i != axis)
    result = Value(ssa, dims, None if value.axis is None else value.axis - (axis < value.axis))
    if not keep:
        return result
    return im.b.reshaped(im.b.full(result), [ONE if i == axis else d for i, d in enumerate(value.dims)])


@row("aten.argmax.default", "aten.argmin.default")
def argmax(im: Importer, node: Call) -> Value:
    value, axis = im.value(node.args[0]), argument(node, 1, "dim")
    value = _negative(im, value) if "argmin" in str(node.target) else value
    if axis is None:
        count = Size.of(1)
        for d in value.dims:
            count = count * d
        value, axis = Value(im.b.reshape(value.ssa, [count]), (count,)), 0
    return _argmax(im, value, cast(int, axis) % value.rank, bool(argument(node, 2, "keepdim", False)))


@row("aten.any.default", "aten.any.dim", "aten.any.dims", "aten.all.default", "aten.all.dim", "aten.all.dims")
def truth(im: Importer, node: Call) -> Value:
    value = im.value(node.args[0])
    value = Value(im.b.cast(value.ssa, i1), value.dims, value.axis)
    kind = "any" if "any" in str(node.target) else "all"
    return reduce(im, value, kind, _axes(value, argument(node, 1, "dim")), bool(argument(node, 2, "keepdim", False)))


def _along(im: Importer, node: Call) -> tuple[Value, int]:
    """(value, torch axis) of an op along one axis, the axis present."""
    value = im.value(node.args[0])
    axis = cast(int, argument(node, 1, "dim", -1)) % value.rank
    return (im.b.full(value) if axis == value.axis else value), axis


@row("aten.softmax.int", "aten._softmax.default", "aten.special_softmax.int")
def softmax(im: Importer, node: Call) -> Value:
    value, axis = _along(im, node)
    return Value(im.b.emit(nn.SoftmaxOp(value.ssa, value.inner(axis), elem=im.elem(node))), value.dims, value.axis)


@row("aten.log_softmax.int", "aten._log_softmax.default")
def log_softmax(im: Importer, node: Call) -> Value:
    value, axis = _along(im, node)
    x = im.b.cast(value.ssa, f32)
    inner = value.inner(axis)
    shifted = im.b.pointwise("sub", x, im.b.emit(nn.ReduceOp(x, "max", [inner], True)))
    added: SSAValue = im.b.emit(nn.ReduceOp(im.b.pointwise("exp", shifted), "add", [inner], True))
    result = im.b.pointwise("sub", shifted, im.b.pointwise("log", added))
    return Value(im.b.cast(result, im.elem(node)), value.dims, value.axis)


@row("aten.cumsum.default")
def cumsum(im: Importer, node: Call) -> Value:
    value, axis = _along(im, node)
    ssa = im.b.cast(value.ssa, im.elem(node))
    return Value(im.b.emit(nn.CumsumOp(ssa, value.inner(axis))), value.dims, value.axis)


def _last(im: Importer, node: Call, index: int) -> tuple[Value, list[int]]:
    """The operand of an op that we have along the last axis only, with that axis last, and the permutation that did it."""
    value, axis = im.value(node.args[0]), cast(int, argument(node, index, "dim", -1))
    perm = list(range(value.rank))
    perm.append(perm.pop(axis))
    value = im.b.full(value) if value.axis == axis % value.rank else value
    return im.b.permuted(value, perm), perm


def _pair(im: Importer, value: Value, perm: list[int], op: nn.TopkOp | nn.SortOp) -> list[Value]:
    """The two results with their axes where torch has them."""
    im.b.emit(op)
    back = [perm.index(i) for i in range(len(perm))]
    size = dims_of(op.results[0])[-1]
    return [im.b.permuted(Value(r, (*value.dims[:-1], size), value.axis), back) for r in op.results]


@row("aten.topk.default")
def topk(im: Importer, node: Call) -> list[Value]:
    value, perm = _last(im, node, 2)
    smallest = not argument(node, 3, "largest", True)
    value = _negative(im, value) if smallest else value
    found, places = _pair(im, value, perm, nn.TopkOp(value.ssa, int(cast(int, node.args[1]))))
    return [_negative(im, found) if smallest else found, places]


@row("aten.argsort.default", "aten.argsort.stable")
def argsort(im: Importer, node: Call) -> Value:
    return sort(im, node)[1]


@row("aten.sort.default", "aten.sort.stable")
def sort(im: Importer, node: Call) -> list[Value]:
    offset = 1 if "stable" in str(node.target) else 0
    value, perm = _last(im, node, 1 + offset)
    return _pair(im, value, perm, nn.SortOp(value.ssa, bool(argument(node, 2 + offset, "descending", False))))
