"""ATen ops that write at positions, and windows: nn has no scatter, so each place of the result looks for what is written there.

The last write to a place wins, where PyTorch leaves open which does. K writes to N places take K · N comparisons.
"""

from __future__ import annotations

from typing import Any, cast

import torch
from xdsl.dialects.builtin import i32
from xdsl.ir import SSAValue

from ....dialects.ir.diagnostics import LlmcError
from ....dialects.nn import ops as nn
from ....dialects.nn.sizes import Size
from ....dialects.nn.types import dims_of
from ..call import Call
from ..importer import Importer
from ..values import ONE, Value
from .registry import argument, row


def _refuse(im: Importer, node: Call, what: str, fix: str) -> LlmcError:
    return LlmcError("LLMC0338", what, where=im.location(node), fix=fix)


def _axis_last(rank: int, axis: int) -> list[int]:
    """The permutation that moves an axis behind the others."""
    return [*(i for i in range(rank) if i != axis), axis]


def _back(perm: list[int]) -> list[int]:
    return [perm.index(i) for i in range(len(perm))]


def _positions(im: Importer, index: SSAValue, places: Size) -> SSAValue:
    """[…, K] of indices → […, places]: which of the K is written there, -1 for none. Negative indices count from the end."""
    *outer, count = dims_of(index)
    size = im.b.emit(nn.SizeOp(places, i32))
    index = im.b.pointwise("rem", im.b.pointwise("add", im.b.cast(index, i32), size), size)
    wide = im.b.reshape(index, [*outer, count, ONE])
    here = im.b.emit(nn.CmpOp(wide, im.b.iota([places], 0), predicate="eq"))
    number = im.b.reshape(im.b.iota([count], 0), [count, ONE])
    found = im.b.pointwise("select", here, number, im.b.constant(-1, i32))
    return im.b.emit(nn.ReduceOp(found, "max", [len(outer)], False))


def _written(im: Importer, x: SSAValue, positions: SSAValue, values: SSAValue) -> SSAValue:
    """x, with `values` where a position says so; `positions` and `values` broadcast to x."""
    free = im.b.emit(nn.CmpOp(positions, im.b.constant(0, i32), predicate="lt"))
    return im.b.pointwise("select", free, x, values)


@row("aten.scatter.src", "aten.scatter.value")
def scatter(im: Importer, node: Call) -> Value:
    value, by = im.b.full(im.value(node.args[0])), im.b.full(im.value(node.args[2]))
    axis = cast(int, node.args[1]) % value.rank
    perm = _axis_last(value.rank, axis)
    if [d for i, d in enumerate(by.dims) if i != axis] != [d for i, d in enumerate(value.dims) if i != axis]:
        raise _refuse(im, node, "scatter's index is narrower than its tensor", "slice the tensor to the index's sizes first")
    positions = _positions(im, im.b.transpose(by.ssa, perm), value.dims[axis])
    if "src" in str(node.target):
        source = im.b.full(im.value(node.args[3])).ssa
        for i, size in enumerate(by.dims):
            source = im.b.slice(source, i, Size.of(0), size)
        zero = im.b.constant(0, i32)
        new = im.b.emit(nn.TakeAlongOp(im.b.transpose(source, perm), im.b.pointwise("max", positions, zero), value.rank - 1))
    else:
        new = im.b.constant(node.args[3], value.elem)
    result = _written(im, im.b.transpose(value.ssa, perm), positions, new)
    return Value(im.b.transpose(result, _back(perm)), value.dims)


@row("aten.index_fill.int_Scalar", "aten.index_fill.int_Tensor")
def index_fill(im: Importer, node: Call) -> Value:
    value, by = im.b.full(im.value(node.args[0])), im.b.full(im.value(node.args[2]))
    axis, number = cast(int, node.args[1]) % value.rank, node.args[3]
    positions = _positions(im, im.b.reshape(by.ssa, by.dims or [ONE]), value.dims[axis])
    new = (
        im.b.cast(im.value(number).ssa, value.elem) if isinstance(number, torch.fx.Node) else im.b.constant(number, value.elem)
    )
    along = im.b.reshape(positions, [value.dims[axis], *[ONE] * (value.rank - 1 - axis)])
    return Value(_written(im, value.ssa, along, new), value.dims)


@row("aten.index_put.default")
def index_put(im: Importer, node: Call) -> Value:
    """x[:, …, i, …] = values, with one vector of integers, or x[mask] = a number."""
    value, indices = im.b.full(im.value(node.args[0])), cast("list[Any]", node.args[1])
    given = [(axis, i) for axis, i in enumerate(indices) if i is not None]
    new = im.b.full(im.value(node.args[2]))
    first = im.b.full(im.value(given[0][1]))
    if len(given) != 1 or argument(node, 3, "accumulate", False):
        raise _refuse(im, node, "cannot import this write to an index", "write at one index at a time, without accumulate")
    axis = given[0][0]
    if given[0][1].meta["val"].dtype == torch.bool:
        if new.rank or axis:
            raise _refuse(im, node, "a write to a mask takes one number", "use torch.where")
        mask = im.b.reshape(first.ssa, [*first.dims, *[ONE] * (value.rank - first.rank)])
        return Value(im.b.pointwise("select", mask, im.b.cast(new.ssa, value.elem), value.ssa), value.dims)
    if first.rank != 1:
        raise _refuse(im, node, "a write to an index takes a vector of integers", "flatten the index and the values")
    positions = _positions(im, first.ssa, value.dims[axis])
    part = [first.dims[0] if i == axis else d for i, d in enumerate(value.dims)]
    source = im.b.cast(im.b.broadcast(new.ssa, part), value.elem)
    picked = im.b.emit(nn.GatherOp(source, im.b.pointwise("max", positions, im.b.constant(0, i32)), axis))
    along = im.b.reshape(positions, [value.dims[axis], *[ONE] * (value.rank - 1 - axis)])
    return Value(_written(im, value.ssa, along, picked), value.dims)


def windows(im: Importer, x: SSAValue, axis: int, count: Size, size: int, step: int, dilation: int = 1) -> SSAValue:
    """The axis becomes [count, size]: `count` windows, `step` apart."""
    start = im.b.pointwise("mul", im.b.iota([count, ONE], 0), im.b.constant(step, i32))
    inside = im.b.pointwise("mul", im.b.iota([Size.of(size)], 0), im.b.constant(dilation, i32))
    return im.b.emit(nn.GatherOp(x, im.b.pointwise("add", start, inside), axis))


@row("aten.unfold.default")
def unfold(im: Importer, node: Call) -> Value:
    value, dims = im.b.full(im.value(node.args[0])), im.shape(node)
    axis, size, step = (cast(int, a) for a in node.args[1:4])
    axis %= value.rank
    ssa = windows(im, value.ssa, axis, dims[axis], size, step)
    return Value(im.b.transpose(ssa, _axis_last(value.rank + 1, axis + 1)), dims)


@row("aten.max_pool1d.default", "aten.max_pool2d.default", "aten.max_pool3d.default")
def max_pool(im: Importer, node: Call) -> Value:
    """The largest of each window, one axis after the other."""
    value, dims = im.b.full(im.value(node.args[0])), im.shape(node)
    rank = int(str(node.target).split("max_pool")[1][0])

    def each(index: int, name: str, default: Any) -> list[int]:
        numbers = cast("int | list[int]", argument(node, index, name, default) or default)
        numbers = [numbers] if isinstance(numbers, int) else list(numbers)
        return numbers * rank if len(numbers) == 1 else numbers

    size = each(1, "kernel_size", 1)
    step, padding, dilation = each(2, "stride", size), each(3, "padding", 0), each(4, "dilation", 1)
    if any(padding) or argument(node, 5, "ceil_mode", False):
        fix = "pad with functional.pad(x, …, value=-math.inf) before a pool without padding and ceil_mode"
        raise _refuse(im, node, "a max pool with padding or ceil_mode is not supported", fix)
    ssa = value.ssa
    for i in range(rank):
        axis = value.rank - rank + i
        ssa = windows(im, ssa, axis, dims[axis], size[i], step[i], dilation[i])
        ssa = im.b.emit(nn.ReduceOp(ssa, "max", [axis + 1], False))
    return Value(ssa, dims)


@row("aten.max_pool2d_with_indices.default", "aten.max_pool3d_with_indices.default", "aten.adaptive_max_pool2d.default")
def pool_with_indices(im: Importer, node: Call) -> Value:
    raise _refuse(
        im, node, "a max pool with indices, or an adaptive one, is not supported", "use MaxPool without return_indices"
    )
