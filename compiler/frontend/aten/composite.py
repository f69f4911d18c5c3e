"""Ops that are a few `nn` ops each: normalisation over channels, variance, padding, order along an axis, convolutions."""

from __future__ import annotations

import math
from itertools import product
from math import prod
from typing import Any, cast

import torch
from xdsl.dialects.builtin import f32, i32
from xdsl.ir import SSAValue

from ....dialects.ir.diagnostics import LlmcError
from ....dialects.nn import ops as nn
from ....dialects.nn.base import is_float
from ....dialects.nn.sizes import Size
from ....dialects.nn.types import dims_of, elem_of
from ..call import Call
from ..importer import Importer
from ..values import ONE, Value
from .reductions import reciprocal
from .registry import argument, row

ZERO = Size.of(0)


def _static(im: Importer, node: Call, size: Size) -> int:
    found = size.constant
    if found is None:
        raise LlmcError(
            "LLMC0338",
            f"{node.target} along a size that varies ({size})",
            where=im.location(node),
            fix="keep that dimension static",
        )
    return found


def _added(im: Importer, x: SSAValue, axes: list[int], keep: bool) -> SSAValue:
    return im.b.emit(nn.ReduceOp(x, "add", axes, keep)) if axes else x


def _centred(im: Importer, x: SSAValue, axes: list[int], count: int) -> SSAValue:
    """x (f32) less its mean over axes."""
    mean = im.b.pointwise("mul", _added(im, x, axes, True), im.b.constant(reciprocal(count), f32))
    return im.b.pointwise("sub", x, mean)


def _spread(im: Importer, centred: SSAValue, axes: list[int], count: float, keep: bool) -> SSAValue:
    squares = im.b.pointwise("mul", centred, centred)
    return im.b.pointwise("mul", _added(im, squares, axes, keep), im.b.constant(reciprocal(count), f32))


@row("aten.var.correction", "aten.std.correction", "aten.var.default", "aten.std.default", "aten.var.dim", "aten.std.dim")
def variance(im: Importer, node: Call) -> Value:
    x = im.b.full(im.value(node.args[0]))
    bare = str(node.target).endswith("default")
    given = None if bare else argument(node, 1, "dim")
    axes = sorted(a % x.rank for a in ([given] if isinstance(given, int) else given or range(x.rank)))
    if str(node.target).endswith("dim") or bare:
        correction: Any = 1 if argument(node, 1 if bare else 2, "unbiased", True) else 0
    else:
        correction = argument(node, 2, "correction", 1)
    keep = bool(argument(node, 3, "keepdim", False))
    count = prod(_static(im, node, x.dims[a]) for a in axes)
    if count == 0:
        return Value(im.b.broadcast(im.b.constant(math.nan, im.elem(node)), im.shape(node)), im.shape(node))
    centred = _centred(im, im.b.cast(x.ssa, f32), axes, count)
    found = _spread(im, centred, axes, count - (1 if correction is None else float(correction)), keep)
    if "std" in str(node.target):
        found = im.b.pointwise("sqrt", found)
    return Value(im.b.cast(found, im.elem(node)), im.shape(node))


def _channel(im: Importer, operand: Any, rank: int) -> SSAValue | None:
    """A parameter for each channel as [C, 1, …], in f32."""
    if operand is None:
        return None
    value = im.b.full(im.value(operand))
    return im.b.cast(im.b.reshape(value.ssa, [value.dims[0], *[ONE] * (rank - 2)]), f32)


def _scaled(im: Importer, x: SSAValue, weight: SSAValue | None, bias: SSAValue | None) -> SSAValue:
    x = x if weight is None else im.b.pointwise("mul", x, weight)
    return x if bias is None else im.b.pointwise("add", x, bias)


@row("aten.batch_norm.default")
def batch_norm(im: Importer, node: Call) -> Value:
    """With the statistics that training left."""
    x = im.b.full(im.value(node.args[0]))
    if argument(node, 5, "training", False) or argument(node, 3, "running_mean") is None:
        raise LlmcError(
            "LLMC0338",
            "batch_norm on the statistics of the batch is not supported",
            where=im.location(node),
            fix="keep running statistics",
        )
    weight, bias, mean, var = (_channel(im, argument(node, i, ""), x.rank) for i in (1, 2, 3, 4))
    assert mean is not None and var is not None
    inverse = im.b.pointwise(
        "rsqrt", im.b.pointwise("add", var, im.b.constant(float(cast(float, argument(node, 7, "eps", 1e-5))), f32))
    )
    centred = im.b.pointwise("sub", im.b.cast(x.ssa, f32), mean)
    return Value(im.b.cast(_scaled(im, im.b.pointwise("mul", centred, inverse), weight, bias), im.elem(node)), x.dims)


@row("aten.group_norm.default")
def group_norm(im: Importer, node: Call) -> Value:
    x = im.b.full(im.value(node.args[0]))
    groups = int(cast(int, node.args[1]))
    inner = prod(_static(im, node, d) for d in x.dims[1:]) // groups
    parts = im.b.reshape(im.b.cast(x.ssa, f32), [x.dims[0], Size.of(groups), Size.of(inner)])
    centred = _centred(im, parts, [2], inner)
    eps = im.b.constant(float(cast(float, argument(node, 4, "eps", 1e-5))), f32)
    inverse = im.b.pointwise("rsqrt", im.b.pointwise("add", _spread(im, centred, [2], inner, True), eps))
    whole = im.b.reshape(im.b.pointwise("mul", centred, inverse), x.dims)
    weight, bias = (_channel(im, argument(node, i, ""), x.rank) for i in (2, 3))
    return Value(im.b.cast(_scaled(im, whole, weight, bias), im.elem(node)), x.dims)


def _padded(im: Importer, x: SSAValue, axis: int, before: int, after: int, fill: float) -> SSAValue:
    """x with `fill` before and after it along one axis; negative amounts cut."""
    dims = dims_of(x)
    x = im.b.slice(x, axis, Size.of(max(-before, 0)), dims[axis] - max(-after, 0))
    parts = [x]
    for amount, place in ((before, 0), (after, len(parts) + 1)):
        if amount > 0:
            room = [Size.of(amount) if i == axis else d for i, d in enumerate(dims)]
            number = fill if is_float(elem_of(x)) else int(fill)
            parts.insert(place, im.b.broadcast(im.b.constant(number, elem_of(x)), room))
    return parts[0] if len(parts) == 1 else im.b.emit(nn.ConcatOp(parts, axis))


@row("aten.pad.default", "aten.constant_pad_nd.default")
def pad(im: Importer, node: Call) -> Value:
    mode = argument(node, 2, "mode", "constant") if "constant_pad" not in str(node.target) else "constant"
    if mode != "constant":
        raise LlmcError("LLMC0338", f"padding with {mode} is not supported", where=im.location(node), fix="pad with a constant")
    fill = argument(node, 2 if "constant_pad" in str(node.target) else 3, "value", 0) or 0
    x = im.b.full(im.value(node.args[0]))
    amounts, ssa = [int(a) for a in cast("list[int]", node.args[1])], x.ssa
    for step in range(len(amounts) // 2):
        ssa = _padded(im, ssa, x.rank - 1 - step, amounts[2 * step], amounts[2 * step + 1], float(fill))
    return Value(ssa, im.shape(node))


@row("aten.flip.default")
def flip(im: Importer, node: Call) -> Value:
    x = im.b.full(im.value(node.args[0]))
    ssa = x.ssa
    for axis in (a % x.rank for a in cast("list[int]", node.args[1])):
        order = list(reversed(range(_static(im, node, x.dims[axis]))))
        ssa = im.b.emit(nn.GatherOp(ssa, im.b.constant(order, i32, [len(order)]), axis))
    return Value(ssa, x.dims)


@row("aten.roll.default")
def roll(im: Importer, node: Call) -> Value:
    x, shifts, axes = im.b.full(im.value(node.args[0])), cast("list[int]", node.args[1]), argument(node, 2, "dims", [])
    ssa = x.ssa if axes else im.b.reshape(x.ssa, [prod(x.dims, start=ONE)])
    for shift, axis in zip(shifts, axes or [0], strict=True):
        axis %= len(dims_of(ssa))
        size = _static(im, node, dims_of(ssa)[axis])
        cut = Size.of((size - shift) % size)
        if cut != ZERO:
            ssa = im.b.emit(nn.ConcatOp([im.b.slice(ssa, axis, cut, Size.of(size)), im.b.slice(ssa, axis, ZERO, cut)], axis))
    return Value(im.b.reshape(ssa, x.dims), x.dims)


@row("aten.conv2d.default", "aten.convolution.default", "aten.conv1d.padding", "aten.conv2d.padding")
def convolution(im: Importer, node: Call) -> Value:
    """A convolution as one product: the input under each tap of the kernel, side by side, times the weights."""
    x, weight = im.b.full(im.value(node.args[0])), im.b.full(im.value(node.args[1]))
    bias, rank = argument(node, 2, "bias"), x.rank - 2
    general = "convolution" in str(node.target)

    def each(index: int, name: str, default: int) -> list[int]:
        given = argument(node, index, name, default)
        found = [int(a) for a in (given if isinstance(given, list | tuple) else [given])]
        return found * rank if len(found) == 1 else found

    stride, dilation = each(3, "stride", 1), each(5, "dilation", 1)
    groups = int(cast(int, argument(node, 8 if general else 6, "groups", 1)))
    if (general and argument(node, 6, "transposed", False)) or weight.rank != x.rank:
        raise LlmcError(
            "LLMC0338",
            "transposed and unbatched convolutions are not supported",
            where=im.location(node),
            fix="use an ordinary convolution on a batch",
        )
    taps = [_static(im, node, d) for d in weight.dims[2:]]
    style = argument(node, 4, "padding", 0)
    if isinstance(style, str):
        total = [d * (k - 1) if style == "same" else 0 for d, k in zip(dilation, taps)]
        sides = [(t // 2, t - t // 2) for t in total]
    else:
        sides = [(p, p) for p in each(4, "padding", 0)]
    ssa = x.ssa
    for axis, (before, after) in enumerate(sides):
        ssa = _padded(im, ssa, axis + 2, before, after, 0.0)
    batch, outputs = x.dims[0], _static(im, node, weight.dims[0])
    places = [_static(im, node, d) for d in im.shape(node)[2:]]
    columns: list[SSAValue] = []
    for tap in product(*map(range, taps)):
        part = ssa
        for axis, (k, s, d, extent) in enumerate(zip(tap, stride, dilation, places)):
            part = im.b.slice(part, axis + 2, Size.of(k * d), Size.of(k * d + s * (extent - 1) + 1), s)
        columns.append(im.b.reshape(part, [batch, Size.of(groups), x.dims[1] // groups, ONE, Size.of(prod(places))]))
    under = columns[0] if len(columns) == 1 else im.b.emit(nn.ConcatOp(columns, 3))
    depth = weight.dims[1] * prod(taps)
    under = im.b.reshape(under, [batch, Size.of(groups), depth, Size.of(prod(places))])
    matrix = im.b.reshape(weight.ssa, [Size.of(groups), Size.of(outputs // groups), depth])
    made = im.b.reshape(im.b.emit(nn.MatmulOp(matrix, under, elem=f32)), [batch, Size.of(outputs), *map(Size.of, places)])
    made = _scaled(im, made, None, _channel(im, bias, x.rank))
    return Value(im.b.cast(made, im.elem(node)), im.shape(node))


@row("aten.copy.default", "aten.fill.Tensor")
def copy(im: Importer, node: Call) -> Value:
    """The second operand in the shape and type of the first."""
    source, dims, elem = node.args[1], im.shape(node), im.elem(node)
    if not isinstance(source, torch.fx.Node):
        return Value(im.b.broadcast(im.b.constant(source, elem), dims), dims)
    return Value(im.b.broadcast(im.b.cast(im.b.full(im.value(source)).ssa, elem), dims), dims)
