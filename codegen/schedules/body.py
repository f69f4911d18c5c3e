"""What a linear kernel's body says: prologue, anchor, and an epilogue that works on column ranges of the product.

    x' = [nn.rms_norm](x)                prologue, optional
    y  = nn.linear(x', w)                anchor, y: [T, N]
    slices, reshapes to heads, linalg.generic, nn.rope → layout.write, nn.append       epilogue

Every value of the epilogue holds, per token, columns of y: those from `starts` on, `extent` of them. A value with two starts joins
two halves of y (gate and up).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import gcd
from typing import cast

from xdsl.dialects.builtin import TensorType
from xdsl.dialects.linalg.attrs import IteratorType
from xdsl.dialects.linalg.ops import GenericOp
from xdsl.ir import BlockArgument, Operation, SSAValue
from xdsl.ir.affine import AffineConstantExpr, AffineDimExpr, AffineMap

from ...dialects.layout.ops import BatchOp, KernelOp, ReadOp, ReturnOp, StateOp, WriteOp, WriteStateOp
from ...dialects.layout.types import BufferType
from ...dialects.nn import ops as nn
from ...dialects.nn.types import dims_of, elem_of
from .images import image_problem, pair_of_image

VIEWS = ("nn.reshape",)


class Unsupported(Exception):
    """The body has a form that the schedule at hand cannot run; the message says which."""


@dataclass(frozen=True)
class Columns:
    """Which columns of y a value holds; `heads` = (count, width) when its shape is [T, heads, width]."""

    starts: tuple[int, ...]
    extent: int
    heads: tuple[int, int] | None = None

    @property
    def low(self) -> int:
        return min(self.starts)

    @property
    def high(self) -> int:
        return max(self.starts) + self.extent


@dataclass(frozen=True)
class Effect:
    """Something the kernel leaves behind: `value` goes to a buffer, or to the key or value pages of an append."""

    op: Operation
    value: SSAValue
    columns: Columns
    kind: str  # "write", "keys", "values"


@dataclass
class LinearBody:
    """The parts of a linear kernel; `buffer_of` maps tensors that are read (or reshaped reads) to their arguments."""

    kernel: KernelOp
    tokens: str | int
    n: int
    k: int
    x: BlockArgument
    weight: BlockArgument
    linear: nn.LinearOp
    norm: nn.RmsNormOp | None
    pair: int = 0
    columns: dict[SSAValue, Columns] = field(default_factory=dict[SSAValue, Columns])
    effects: list[Effect] = field(default_factory=list[Effect])
    widths: set[int] = field(default_factory=set[int])


def buffer_behind(value: SSAValue) -> BlockArgument:
    """The kernel argument that a tensor is read from, through reshapes; Unsupported when it is computed."""
    owner = value.owner
    if isinstance(owner, ReadOp):
        buffer = owner.buffer
        if isinstance(buffer, BlockArgument):
            return buffer
    if isinstance(owner, Operation) and owner.name in VIEWS:
        argument = buffer_behind(owner.operands[0])
        if not cast(BufferType, argument.type).is_row_major:
            raise Unsupported("a reshaped operand is not row-major in memory")
        return argument
    raise Unsupported(f"{owner.name if isinstance(owner, Operation) else 'an operand'} is computed before the anchor")


def analyse_linear(kernel: KernelOp) -> LinearBody:
    """Take a linear kernel apart; Unsupported where it has another form."""
    anchors = [op for op in kernel.block.ops if isinstance(op, nn.LinearOp)]
    if len(anchors) != 1:
        raise Unsupported(f"{len(anchors)} linears in one kernel")
    linear = anchors[0]
    x, norm = linear.x, None
    if isinstance(x.owner, nn.RmsNormOp):
        norm = x.owner
        x = norm.x
    x_dims, w_dims = dims_of(linear.x), dims_of(linear.weight)
    if len(x_dims) != 2:
        raise Unsupported(f"the input of the linear has rank {len(x_dims)}")
    n, k = w_dims[0].constant, w_dims[1].constant
    if n is None or k is None:
        raise Unsupported("the weight has dynamic sizes")
    tokens = x_dims[0]
    x_argument = buffer_behind(x)
    if not cast(BufferType, x_argument.type).is_row_major:
        raise Unsupported("the input is not row-major in memory")
    body = LinearBody(
        kernel,
        tokens.constant if tokens.constant is not None else str(tokens),
        n,
        k,
        x_argument,
        buffer_behind(linear.weight),
        linear,
        norm,
    )
    body.columns[linear.result] = Columns((0,), n)
    done = {linear, norm}
    for op in kernel.block.ops:
        if op not in done:
            _epilogue(body, op)
    if body.pair == 0:
        body.pair = pair_of_image(cast(BufferType, body.weight.type).layout, n, k, elem_of(linear.weight))
    _choose_pair(body)
    problem = image_problem(n, k, elem_of(linear.weight), body.pair)
    if problem is not None:
        raise Unsupported(problem)
    return body


def _epilogue(body: LinearBody, op: Operation) -> None:
    inputs = [o for o in op.operands if o in body.columns]
    match op:
        case ReadOp() | BatchOp() | StateOp() | WriteStateOp() | ReturnOp():
            return
        case WriteOp():
            if op.value not in body.columns:
                raise Unsupported("the kernel writes something that the linear does not give")
            _effect(body, op, op.value, "write")
        case nn.AppendOp():
            for value, kind in ((op.k, "keys"), (op.v, "values")):
                if value not in body.columns:
                    raise Unsupported("an append takes something that the linear does not give")
                _effect(body, op, value, kind)
        case nn.SliceOp() if inputs:
            body.columns[op.result] = _slice(body, op)
        case nn.ReshapeOp() if inputs:
            body.columns[op.result] = _reshape(body, op)
        case nn.RopeOp() if inputs:
            body.columns[op.result] = _rope(body, op)
        case GenericOp() if inputs:
            _generic(body, op, inputs)
        case _ if op.name == "nn.empty" or op.name == "arith.constant":
            return
        case _ if op.name in VIEWS and not inputs:
            buffer_behind(op.results[0])
        case _:
            raise Unsupported(f"{op.name} in the epilogue")


def _effect(body: LinearBody, op: Operation, value: SSAValue, kind: str) -> None:
    columns = body.columns[value]
    body.effects.append(Effect(op, value, columns, kind))
    body.widths.update(s for s in columns.starts)


def _slice(body: LinearBody, op: nn.SliceOp) -> Columns:
    source = body.columns[op.x]
    start, stop = int(op.start.data), int(op.stop.data)
    axis, rank = op.axis.value.data, len(dims_of(op.x))
    if op.step.value.data != 1 or axis == 0:
        raise Unsupported("a slice along tokens, or with a step, in the epilogue")
    if axis == rank - 1 and source.heads is None:
        unit, heads = 1, None
    elif axis == 1 and source.heads is not None:
        unit, heads = source.heads[1], (stop - start, source.heads[1])
    else:
        raise Unsupported("a slice inside heads in the epilogue")
    body.widths.update((start * unit, stop * unit))
    return Columns(tuple(s + start * unit for s in source.starts), (stop - start) * unit, heads)


def _reshape(body: LinearBody, op: nn.ReshapeOp) -> Columns:
    source, dims = body.columns[op.x], dims_of(op.result)
    if dims[0] != dims_of(op.x)[0] or len(dims) not in (2, 3):
        raise Unsupported("a reshape of tokens in the epilogue")
    if len(dims) == 2:
        return Columns(source.starts, source.extent)
    count, width = dims[1].constant, dims[2].constant
    assert count is not None and width is not None
    body.widths.add(width)
    return Columns(source.starts, source.extent, (count, width))


def _rope(body: LinearBody, op: nn.RopeOp) -> Columns:
    source, rotary = body.columns[op.x], dims_of(op.cos)[1].constant
    if source.heads is None or rotary is None or bool(op.interleaved.value.data):
        raise Unsupported("interleaved rotary positions in the epilogue")
    if source.heads[1] % rotary:
        raise Unsupported(f"{rotary} rotary channels do not divide heads of {source.heads[1]}")
    for table in (op.cos, op.sin):
        buffer_behind(table)
    if body.pair not in (0, rotary // 2):
        raise Unsupported("different rotary widths in one kernel")
    body.pair = rotary // 2
    return source


def projected(map_: AffineMap) -> list[int | None]:
    """Loop of each result of an indexing map, None for a constant 0; Unsupported for anything else."""
    found: list[int | None] = []
    for result in map_.results:
        if isinstance(result, AffineDimExpr):
            found.append(result.position)
        elif isinstance(result, AffineConstantExpr) and result.value == 0:
            found.append(None)
        else:
            raise Unsupported(f"indexing map {map_}")
    return found


def _generic(body: LinearBody, op: GenericOp, inputs: list[SSAValue]) -> None:
    if any(t.data is not IteratorType.PARALLEL for t in op.iterator_types.data):
        raise Unsupported("a reduction in the epilogue")
    maps = [m.data for m in op.indexing_maps.data]
    rank = maps[0].num_dims
    identity: list[int | None] = list(range(rank))
    if any(inner.name == "linalg.index" for inner in op.body.block.ops):
        raise Unsupported("linalg.index in the epilogue")
    for value, map_ in zip(op.operands, maps, strict=True):
        if value in body.columns:
            if projected(map_) != identity:
                raise Unsupported("the epilogue transposes or broadcasts the product")
        elif value in op.inputs:
            projected(map_)
            buffer_behind(value)
            if value.owner.name in VIEWS:  # pyright: ignore
                raise Unsupported("a reshaped operand of the epilogue")
    for map_ in maps[len(op.inputs) :]:
        if projected(map_) != identity:
            raise Unsupported("the epilogue writes transposed")
    columns = [body.columns[v] for v in inputs]
    if len({(c.extent, c.heads) for c in columns}) != 1:
        raise Unsupported("the epilogue joins values of different shapes")
    starts = tuple(sorted({s for c in columns for s in c.starts}))
    if len(starts) > 1:
        half = body.n // 2
        if starts != (0, half) or columns[0].extent != half or columns[0].heads is not None:
            raise Unsupported("the epilogue joins column ranges that are not the two halves of the product")
        if body.pair not in (0, half):
            raise Unsupported("rotary positions and joined halves in one kernel")
        body.pair = half
    joined = Columns(starts, columns[0].extent, columns[0].heads)
    for result in op.results:
        assert isinstance(result.type, TensorType)
        body.columns[result] = joined


def _choose_pair(body: LinearBody) -> None:
    """Column ranges must consist of whole pairs of blocks, or be exactly the halves."""
    if body.pair == 0:
        return
    block = 2 * body.pair
    for columns in body.columns.values():
        halves = block == body.n and columns.extent == body.pair
        if not halves and any(s % block for s in (*columns.starts, columns.extent)):
            raise Unsupported(f"column range {columns.starts} + {columns.extent} cuts blocks of {block} paired rows")


def row_granule(body: LinearBody) -> int:
    """The largest number of rows that a tile (or, with pairs, each half of it) may take so that it stays inside all ranges."""
    unit = body.pair or 0
    for width in body.widths:
        if width and not (body.pair and width % body.pair == 0):
            unit = gcd(unit, width)
    for columns in body.columns.values():
        if not body.pair:
            unit = gcd(unit, columns.extent) if columns.extent != body.n or body.n % 16 == 0 else unit
    return unit or body.n
