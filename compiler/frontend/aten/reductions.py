"""Reductions, softmax, prefix sums and order."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import torch
from xdsl.dialects.builtin import f32, i1, i32
from xdsl.ir import SSAValue

from ....dialects.ir.diagnostics import LlmcError
from ....dialects.nn import ops as nn
from ....dialects.nn.base import is_float
from ....dialects.nn.sizes import Size
from ..values import Value
from .registry import argument, row

if TYPE_CHECKING:
    from ..importer import Importer


def _axes(value: Value, given: Any) -> list[int]:
    if given is None or given == []:
        return list(range(value.rank))
    return [a % value.rank for a in (given if isinstance(given, list | tuple) else [given])]  # pyright: ignore


def reduce(im: Importer, value: Value, kind: str, axes: list[int], keep: bool) -> Value:
    """nn.reduce over torch axes."""
    if value.axis in axes:
        value = im.b.full(value)
    dims = tuple(Size.of(1) if i in axes else d for i, d in enumerate(value.dims))
    ssa = im.b.emit(nn.ReduceOp(value.ssa, kind, [value.inner(a) for a in axes], keep))
    if keep:
        return Value(ssa, dims, value.axis)
    axis = None if value.axis is None else value.axis - sum(a < value.axis for a in axes)
    return Value(ssa, tuple(d for i, d in enumerate(dims) if i not in axes), axis)


@row("aten.sum.dim_IntList", "aten.sum.default", "aten.mean.dim", "aten.mean.default")
def total(im: Importer, node: torch.fx.Node) -> Value:
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
            scaled = im.b.pointwise("mul", added.ssa, im.b.constant(1 / count.constant, f32))
            result = Value(scaled, added.dims, added.axis)
    return Value(im.b.cast(result.ssa, elem), result.dims, result.axis)


@row("aten.amax.default", "aten.amin.default", "aten.max.default", "aten.min.default", "aten.prod.dim_int")
def extreme(im: Importer, node: torch.fx.Node) -> Value:
    name = str(node.target)
    kind = "max" if "max" in name else "min" if "min" in name else "mul"
    value = im.value(node.args[0])
    return reduce(im, value, kind, _axes(value, argument(node, 1, "dim")), bool(argument(node, 2, "keepdim", False)))


@row("aten.max.dim", "aten.min.dim")
def extreme_with_index(im: Importer, node: torch.fx.Node) -> list[Value]:
    value = im.value(node.args[0])
    axes, keep = _axes(value, node.args[1]), bool(argument(node, 2, "keepdim", False))
    kind = "max" if "max" in str(node.target) else "min"
    found = reduce(im, value, kind, axes, keep)
    signed = value if kind == "max" else Value(im.b.pointwise("neg", value.ssa), value.dims, value.axis)
    return [found, _argmax(im, signed, axes[0], keep)]


def _argmax(im: Importer, value: Value, axis: int, keep: bool) -> Value:
    value = im.b.full(value) if axis == value.axis else value
    ssa = im.b.emit(nn.ArgmaxOp(value.ssa, value.inner(axis)))
    dims = tuple(d for i, d in enumerate(value.dims) if i != axis)
    result = Value(ssa, dims, None if value.axis is None else value.axis - (axis < value.axis))
    if not keep:
        return result
    return im.b.reshaped(im.b.full(result), [Size.of(1) if i == axis else d for i, d in enumerate(value.dims)])


@row("aten.argmax.default")
def argmax(im: Importer, node: torch.fx.Node) -> Value:
    value, axis = im.value(node.args[0]), argument(node, 1, "dim")
    if axis is None:
        count = Size.of(1)
        for d in value.dims:
            count = count * d
        value, axis = Value(im.b.reshape(value.ssa, [count]), (count,)), 0
    return _argmax(im, value, cast(int, axis) % value.rank, bool(argument(node, 2, "keepdim", False)))


@row("aten.any.default", "aten.any.dim", "aten.any.dims", "aten.all.default", "aten.all.dim", "aten.all.dims")
def truth(im: Importer, node: torch.fx.Node) -> Value:
    value = im.value(node.args[0])
    value = Value(im.b.cast(value.ssa, i1), value.dims, value.axis)
    kind = "any" if "any" in str(node.target) else "all"
    return reduce(im, value, kind, _axes(value, argument(node, 1, "dim")), bool(argument(node, 2, "keepdim", False)))


def _along(im: Importer, node: torch.fx.Node) -> tuple[Value, int]:
    """(value, torch axis) of an op along one axis, the axis present."""
    value = im.value(node.args[0])
    axis = cast(int, argument(node, 1, "dim", -1)) % value.rank
    return (im.b.full(value) if axis == value.axis else value), axis


@row("aten.softmax.int", "aten._softmax.default", "aten.special_softmax.int")
def softmax(im: Importer, node: torch.fx.Node) -> Value:
    value, axis = _along(im, node)
    return Value(im.b.emit(nn.SoftmaxOp(value.ssa, value.inner(axis), elem=im.elem(node))), value.dims, value.axis)


@row("aten.log_softmax.int", "aten._log_softmax.default")
def log_softmax(im: Importer, node: torch.fx.Node) -> Value:
    value, axis = _along(im, node)
    x = im.b.cast(value.ssa, f32)
    inner = value.inner(axis)
    shifted = im.b.pointwise("sub", x, im.b.emit(nn.ReduceOp(x, "max", [inner], True)))
    added: SSAValue = im.b.emit(nn.ReduceOp(im.b.pointwise("exp", shifted), "add", [inner], True))
    result = im.b.pointwise("sub", shifted, im.b.pointwise("log", added))
    return Value(im.b.cast(result, im.elem(node)), value.dims, value.axis)


@row("aten.cumsum.default")
def cumsum(im: Importer, node: torch.fx.Node) -> Value:
    value, axis = _along(im, node)
    ssa = im.b.cast(value.ssa, im.elem(node))
    return Value(im.b.emit(nn.CumsumOp(ssa, value.inner(axis))), value.dims, value.axis)


def _last(im: Importer, node: torch.fx.Node, index: int) -> Value:
    """The operand of an op that we have along the last axis only."""
    value, axis = im.value(node.args[0]), cast(int, argument(node, index, "dim", -1))
    if axis % value.rank != value.rank - 1:
        raise LlmcError(
            "LLMC0338",
            f"{node.target} works along the last axis only",
            where=im.location(node),
            fix="transpose before and after",
        )
    return im.b.full(value) if value.axis == value.rank - 1 else value


def _pair(im: Importer, node: torch.fx.Node, value: Value, op: Any) -> list[Value]:
    im.b.emit(op)
    shapes = [im.sizes(v.shape) for v in node.meta["val"]]
    return [Value(r, dims, value.axis) for r, dims in zip(op.results, shapes)]


@row("aten.topk.default")
def topk(im: Importer, node: torch.fx.Node) -> list[Value]:
    value = _last(im, node, 2)
    if not argument(node, 3, "largest", True):
        raise LlmcError("LLMC0338", "topk of the smallest is not supported", where=im.location(node), fix="negate the operand")
    return _pair(im, node, value, nn.TopkOp(value.ssa, int(cast(int, node.args[1]))))


@row("aten.sort.default", "aten.sort.stable")
def sort(im: Importer, node: torch.fx.Node) -> list[Value]:
    offset = 1 if "stable" in str(node.target) else 0
    value = _last(im, node, 1 + offset)
    return _pair(im, node, value, nn.SortOp(value.ssa, bool(argument(node, 2 + offset, "descending", False))))
