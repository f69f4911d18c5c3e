"""ATen ops that make or move tensors: views, slices, concatenation, indexing, fills."""

from __future__ import annotations

from math import prod
from typing import Any, cast

import torch
from xdsl.dialects.builtin import i32
from xdsl.ir import SSAValue

from ....dialects.ir.diagnostics import LlmcError
from ....dialects.nn import ops as nn
from ....dialects.nn.base import is_int
from ....dialects.nn.sizes import Size
from ....dialects.nn.types import dims_of, elem_of
from ..call import Call
from ..importer import Importer
from ..values import ONE, Value
from .registry import argument, row
from .signs import never_negative

ZERO = Size.of(0)


@row(
    "aten.view.default", "aten.reshape.default", "aten._unsafe_view.default", "aten.unsqueeze.default", "aten.squeeze.default",
    "aten.squeeze.dim", "aten.squeeze.dims", "aten.flatten.using_ints", "aten.unflatten.int", "aten.view_as.default",
    "aten.reshape_as.default",
)  # fmt: skip
def view(im: Importer, node: Call) -> Value:
    return im.b.reshaped(im.value(node.args[0]), im.shape(node))


@row("aten.transpose.int", "aten.t.default", "aten.swapaxes.default", "aten.mT.default", "aten.numpy_T.default")
def transpose(im: Importer, node: Call) -> Value:
    value = im.value(node.args[0])
    first, second = (cast(int, argument(node, i, f"dim{i - 1}", -i)) for i in (1, 2))
    perm = list(range(value.rank))
    perm[first], perm[second] = perm[second], perm[first]
    return im.b.permuted(value, perm)


@row("aten.permute.default", "aten.movedim.int", "aten.movedim.intlist")
def permute(im: Importer, node: Call) -> Value:
    value = im.value(node.args[0])
    if "movedim" in str(node.target):
        source, target = node.args[1:3]
        order = list(range(2, value.rank + 2))
        moved = torch.empty(order, device="meta").movedim(source, target)
        return im.b.permuted(value, [s - 2 for s in moved.shape])
    return im.b.permuted(value, [p % value.rank for p in cast("list[int]", node.args[1])])


@row("aten.expand.default", "aten.expand_as.default", "aten.broadcast_to.default")
def expand(im: Importer, node: Call) -> Value:
    value, dims = im.value(node.args[0]), im.shape(node)
    if value.axis is not None:
        axis = len(dims) - value.rank + value.axis
        if dims[axis] == ONE:
            kept = [d for i, d in enumerate(dims) if i != axis]
            return Value(im.b.broadcast(value.ssa, kept), dims, axis)
    elif value.rank < len(dims) and dims[0] == ONE:
        return Value(im.b.broadcast(value.ssa, dims[1:]), dims, 0)
    return Value(im.b.broadcast(im.b.full(value).ssa, dims), dims)


@row("aten.repeat.default")
def repeat(im: Importer, node: Call) -> Value:
    value, dims = im.value(node.args[0]), im.shape(node)
    times = im.sizes(cast("list[Any]", node.args[1]))
    extra = len(times) - value.rank
    if all(t == ONE for t in times):
        return im.b.reshaped(value, dims)
    source = [ONE] * extra + list(value.dims)
    split = [s for t, d in zip(times, source) for s in (t, d)]
    ssa = im.b.reshape(im.b.full(value).ssa, [s for d in source for s in (ONE, d)])
    ssa = im.b.reshape(im.b.broadcast(ssa, split), dims)
    return im.b.reshaped(Value(ssa, dims), dims)


@row("aten.repeat_interleave.self_int")
def repeat_interleave(im: Importer, node: Call) -> Value:
    value, times = im.value(node.args[0]), im.size(node.args[1])
    axis = cast("int | None", argument(node, 2, "dim"))
    if axis is None or axis % value.rank == value.axis:
        value, axis = im.b.full(value), 0 if axis is None else axis
    inner = value.inner(axis)
    dims = list(dims_of(value.ssa))
    ssa = im.b.reshape(value.ssa, [*dims[: inner + 1], ONE, *dims[inner + 1 :]])
    ssa = im.b.broadcast(ssa, [*dims[: inner + 1], times, *dims[inner + 1 :]])
    ssa = im.b.reshape(ssa, [*dims[:inner], dims[inner] * times, *dims[inner + 1 :]])
    return Value(ssa, im.shape(node), value.axis)


def _bound(im: Importer, value: Any, size: Size, default: Size) -> Size:
    """A slice bound as torch reads it: None, negative or past the end."""
    if value is None:
        return default
    bound = im.size(value)
    if bound.constant is not None and bound.constant >= 2**31:
        return size
    if bound.constant is not None and bound.constant < 0:
        bound = size + bound
    difference = (bound - size).constant
    if difference is not None and difference > 0:
        return size
    return ZERO if bound.constant is not None and bound.constant < 0 else bound


@row("aten.slice.Tensor", "aten.narrow.default")
def slice_(im: Importer, node: Call) -> Value:
    value, dims = im.value(node.args[0]), im.shape(node)
    axis = cast(int, argument(node, 1, "dim", 0)) % value.rank
    size = value.dims[axis]
    start = _bound(im, argument(node, 2, "start"), size, ZERO)
    if "narrow" in str(node.target):
        stop, step = start + dims[axis], 1
    else:
        stop, step = _bound(im, argument(node, 3, "end"), size, size), cast(int, argument(node, 4, "step", 1))
    if axis == value.axis:
        if dims[axis] == ONE:
            return value
        value = im.b.full(value)
    return Value(im.b.slice(value.ssa, value.inner(axis), start, stop, step), dims, value.axis)


@row("aten.select.int")
def select(im: Importer, node: Call) -> Value:
    value, dims = im.value(node.args[0]), im.shape(node)
    axis = cast(int, node.args[1]) % value.rank
    if axis == value.axis:
        return im.b.reshaped(Value(value.ssa, dims), dims)
    start = _bound(im, node.args[2], value.dims[axis], ZERO)
    inner = value.inner(axis)
    ssa = im.b.slice(value.ssa, inner, start, start + 1)
    kept = list(dims_of(ssa))
    del kept[inner]
    missing = None if value.axis is None else value.axis - (axis < value.axis)
    return Value(im.b.reshape(ssa, kept), dims, missing)


def _pieces(im: Importer, value: Value, axis: int, lengths: list[Size]) -> list[Value]:
    axis %= value.rank
    value = im.b.full(value) if axis == value.axis else value
    pieces: list[Value] = []
    start = ZERO
    for length in lengths:
        dims = tuple(length if i == axis else d for i, d in enumerate(value.dims))
        pieces.append(Value(im.b.slice(value.ssa, value.inner(axis), start, start + length), dims, value.axis))
        start = start + length
    return pieces


@row(
    "aten.split.Tensor", "aten.split_with_sizes.default", "aten.split.sizes", "aten.chunk.default", "aten.tensor_split.sections"
)
def split(im: Importer, node: Call) -> list[Value]:
    axis = cast(int, argument(node, 2, "dim", 0))
    value = im.value(node.args[0])
    return _pieces(im, value, axis, [im.sizes(v.shape)[axis] for v in node.meta["val"]])


@row("aten.unbind.int")
def unbind(im: Importer, node: Call) -> list[Value]:
    value, axis = im.value(node.args[0]), cast(int, argument(node, 1, "dim", 0))
    pieces = _pieces(im, value, axis, [ONE] * len(node.meta["val"]))
    results: list[Value] = []
    for piece, meta in zip(pieces, node.meta["val"]):
        results.append(im.b.reshaped(piece, im.sizes(meta.shape)))
    return results


@row("aten.cat.default", "aten.concat.default")
def cat(im: Importer, node: Call) -> Value:
    parts = [im.value(a) for a in cast("list[Any]", node.args[0])]
    dims = im.shape(node)
    axis = cast(int, argument(node, 1, "dim", 0)) % len(dims)
    parts = [p for p in parts if p.rank == len(dims) and p.dims[axis] != ZERO]
    elem = im.elem(node)
    missing = parts[0].axis
    if missing == axis or any(p.axis != missing for p in parts):
        parts, missing = [im.b.full(p) for p in parts], None
    operands = [im.b.cast(p.ssa, elem) for p in parts]
    ssa = operands[0] if len(operands) == 1 else im.b.emit(nn.ConcatOp(operands, parts[0].inner(axis)))
    return Value(ssa, dims, missing)


@row("aten.diff.default")
def diff(im: Importer, node: Call) -> Value:
    value, before, after = im.value(node.args[0]), argument(node, 3, "prepend"), argument(node, 4, "append")
    axis = cast(int, argument(node, 2, "dim", -1)) % value.rank
    if argument(node, 1, "n", 1) != 1:
        raise LlmcError(
            "LLMC0338", "only first differences are supported", where=im.location(node), fix="call diff once for each order"
        )
    parts = [
        im.b.full(p)
        for p in (None if before is None else im.value(before), value, None if after is None else im.value(after))
        if p
    ]
    ssa = parts[0].ssa if len(parts) == 1 else im.b.emit(nn.ConcatOp([p.ssa for p in parts], axis))
    size = dims_of(ssa)[axis]
    later, earlier = im.b.slice(ssa, axis, ONE, size), im.b.slice(ssa, axis, ZERO, size - 1)
    dims = im.shape(node)
    return im.b.reshaped(Value(im.b.pointwise("sub", later, earlier), dims), dims)


@row("aten.stack.default")
def stack(im: Importer, node: Call) -> Value:
    parts = [im.b.full(im.value(a)) for a in cast("list[Any]", node.args[0])]
    dims = im.shape(node)
    axis = cast(int, argument(node, 1, "dim", 0)) % len(dims)
    elem = im.elem(node)
    single = [ONE if i == axis else d for i, d in enumerate(dims)]
    ssa = im.b.emit(nn.ConcatOp([im.b.reshape(im.b.cast(p.ssa, elem), single) for p in parts], axis))
    return im.b.reshaped(Value(ssa, dims), dims)


def _only_number(ssa: SSAValue) -> int | None:
    """The number that an integer tensor holds everywhere, where that is plain to see."""
    source = ssa.owner
    while isinstance(source, nn.BroadcastOp | nn.ReshapeOp | nn.SliceOp):
        source = source.x.owner
    if isinstance(source, nn.ConstantOp) and source.value.is_splat() and is_int(elem_of(ssa)):
        return int(cast(int, source.value.get_values()[0]))
    return None


def _uniform(im: Importer, ssa: SSAValue) -> SSAValue | None:
    """The one element that a tensor repeats, where that is plain to see."""
    source = ssa.owner
    if all(d == ONE for d in dims_of(ssa)):
        return im.b.reshape(ssa, [])
    if isinstance(source, nn.BroadcastOp | nn.ReshapeOp | nn.SliceOp):
        return _uniform(im, source.x)
    if isinstance(source, nn.POINTWISE["cast"]):
        inner = _uniform(im, source.operands[0])
        return None if inner is None else im.b.cast(inner, elem_of(ssa))
    return None


@row("aten.embedding.default")
def embedding(im: Importer, node: Call) -> Value:
    table, ids = im.value(node.args[0]), im.value(node.args[1])
    only = _only_number(ids.ssa)
    if only is not None:  # one row for all, such as token type 0
        dims = im.shape(node)
        kept = [d for i, d in enumerate(dims) if i != ids.axis]
        return Value(
            im.b.broadcast(im.b.slice(im.b.full(table).ssa, 0, Size.of(only), Size.of(only + 1)), kept), dims, ids.axis
        )
    return Value(im.b.emit(nn.EmbeddingOp(im.b.cast(ids.ssa, i32), im.b.full(table).ssa)), im.shape(node), ids.axis)


@row("aten.index_select.default")
def index_select(im: Importer, node: Call) -> Value:
    """Indices count from the start alone, unlike those of x[i]."""
    value, axis, index = im.value(node.args[0]), cast(int, node.args[1]), im.b.full(im.value(node.args[2]))
    value = im.b.full(value) if axis % value.rank == value.axis else value
    return Value(im.b.emit(nn.GatherOp(value.ssa, index.ssa, value.inner(axis))), im.shape(node), value.axis)


@row("aten.index.Tensor")
def index(im: Importer, node: Call) -> Value:
    """x[:, …, i, j, …] with integer index tensors of neighbouring axes."""
    value, indices = im.value(node.args[0]), cast("list[Any]", node.args[1])
    given = [(axis, i) for axis, i in enumerate(indices) if i is not None]
    if any(i.meta["val"].dtype == torch.bool for _, i in given) or given[-1][0] - given[0][0] != len(given) - 1:
        why = "only integer index tensors of neighbouring axes are supported"
        raise LlmcError(
            "LLMC0338", "cannot import this indexing", where=im.location(node), why=why, fix="use torch.gather or torch.where"
        )
    axis, dims = given[0][0], im.shape(node)
    everywhere = _uniform(im, value.ssa)
    if everywhere is not None:
        return im.b.reshaped(Value(im.b.broadcast(everywhere, dims), dims), dims)
    if len(given) == 1 and axis == 0 and value.axis is None:
        by = im.value(given[0][1])
        return Value(im.b.emit(nn.GatherOp(value.ssa, _counted(im, by.ssa, value.dims[0]), 0)), dims, by.axis)
    value = im.b.full(value)
    if len(given) == 1:
        by = im.b.full(im.value(given[0][1]))
        return Value(im.b.emit(nn.GatherOp(value.ssa, _counted(im, by.ssa, value.dims[axis]), axis)), dims)
    sizes = value.dims[axis : axis + len(given)]
    places = [
        (size, im.b.full(im.value(i)).ssa)
        for size, (_, i) in zip(sizes, given)
        if size != ONE  # an index into one element says nothing
    ]
    flat = im.b.reshape(value.ssa, [*value.dims[:axis], prod(sizes, start=ONE), *value.dims[axis + len(given) :]])
    place: SSAValue | None = None
    for size, index in places:
        counted = _counted(im, index, size)
        place = counted if place is None else im.b.pointwise("add", im.b.pointwise("mul", place, _size(im, size)), counted)
    if place is None:
        place = im.b.constant(0, i32)
    place = im.b.broadcast(place, dims[axis : len(dims) - (value.rank - axis - len(given))])
    return Value(im.b.emit(nn.GatherOp(flat, place, axis)), dims)


def _size(im: Importer, size: Size) -> SSAValue:
    return im.b.emit(nn.SizeOp(size, i32)) if size.constant is None else im.b.constant(size.constant, i32)


def _counted(im: Importer, index: SSAValue, size: Size) -> SSAValue:
    """Indices below 0, which count from the end, from the start."""
    index = im.b.cast(index, i32)
    if never_negative(im, index):
        return index
    below = im.b.emit(nn.CmpOp(index, im.b.constant(0, i32), predicate="lt"))
    return im.b.pointwise("select", below, im.b.pointwise("add", index, _size(im, size)), index)


@row("aten.gather.default")
def gather(im: Importer, node: Call) -> Value:
    value, by = im.value(node.args[0]), im.value(node.args[2])
    axis = cast(int, node.args[1]) % value.rank
    if _only_number(value.ssa) is not None:
        only = im.b.constant(_only_number(value.ssa), value.elem)
        return Value(im.b.broadcast(only, dims_of(by.ssa)), im.shape(node), by.axis)
    if value.axis != by.axis or axis == value.axis:
        value, by = im.b.full(value), im.b.full(by)
    return Value(im.b.emit(nn.TakeAlongOp(value.ssa, by.ssa, value.inner(axis))), im.shape(node), value.axis)


@row("aten.arange.default", "aten.arange.start", "aten.arange.start_step")
def arange(im: Importer, node: Call) -> Value:
    several = "start" in str(node.target)
    start = node.args[0] if several else 0
    step = argument(node, 2, "step", 1) if "start_step" in str(node.target) else 1
    dims, elem = im.shape(node), im.elem(node)
    ssa = im.b.iota(dims, 0)
    ssa = im.b.cast(ssa, elem)
    if step != 1:
        ssa = im.b.pointwise("mul", ssa, im.b.constant(step, elem))
    if isinstance(start, torch.fx.Node):
        ssa = im.b.pointwise("add", ssa, im.b.emit(nn.SizeOp(im.size(start), elem)))
    elif start != 0:
        ssa = im.b.pointwise("add", ssa, im.b.constant(start, elem))
    return Value(ssa, dims)


@row(
    "aten.full.default", "aten.zeros.default", "aten.ones.default", "aten.full_like.default", "aten.zeros_like.default",
    "aten.ones_like.default", "aten.new_zeros.default", "aten.new_ones.default", "aten.new_full.default", "aten.scalar_tensor.default",
    "aten.fill.Scalar",
)  # fmt: skip
def fill(im: Importer, node: Call) -> Value:
    name = str(node.target)
    if "zeros" in name or "ones" in name:
        number: Any = int("ones" in name)
    else:
        number = node.args[0] if "scalar_tensor" in name else node.args[2] if "new_full" in name else node.args[1]
    dims, elem = im.shape(node), im.elem(node)
    if isinstance(number, torch.fx.Node):
        ssa = im.b.emit(nn.SizeOp(im.size(number), elem))
    else:
        ssa = im.b.constant(number, elem)
    return im.b.reshaped(Value(im.b.broadcast(ssa, dims), dims), dims)


@row("aten.diagonal.default")
def diagonal(im: Importer, node: Call) -> Value:
    """The two axes become one, of which every (columns + 1)th element is taken."""
    value, dims = im.b.full(im.value(node.args[0])), im.shape(node)
    offset, first, second = (
        cast(int, argument(node, i, name, default)) for i, name, default in ((1, "offset", 0), (2, "dim1", 0), (3, "dim2", 1))
    )
    axes = [first % value.rank, second % value.rank]
    last = im.b.permuted(value, [*(i for i in range(value.rank) if i not in axes), *axes])
    rows, columns = last.dims[-2:]
    flat = im.b.reshape(last.ssa, [*last.dims[:-2], rows * columns])
    start = Size.of(offset) if offset >= 0 else columns * -offset
    step = im.b.pointwise("mul", im.b.iota([dims[-1]], 0), _size(im, columns + 1))
    return Value(im.b.emit(nn.GatherOp(flat, im.b.pointwise("add", step, _size(im, start)), value.rank - 2)), dims)


@row("aten.tril.default", "aten.triu.default")
def triangle(im: Importer, node: Call) -> Value:
    value = im.b.full(im.value(node.args[0]))
    shift = cast(int, argument(node, 1, "diagonal", 0))
    rows, columns = value.dims[-2], value.dims[-1]
    i = im.b.reshape(im.b.iota([rows], 0), [rows, ONE])
    if shift:
        i = im.b.pointwise("add", i, im.b.constant(shift, i32))
    j = im.b.iota([columns], 0)
    keep = im.b.emit(nn.CmpOp(j, i, predicate="le" if "tril" in str(node.target) else "ge"))
    return Value(im.b.pointwise("select", keep, value.ssa, im.b.constant(0, value.elem)), value.dims)
