"""How each op of a body is computed at given coordinates; ops with loops over an axis are in `loops.py`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

from xdsl.dialects import arith
from xdsl.dialects.builtin import DenseIntOrFPElementsAttr, FloatAttr, IntegerAttr, f32, i32
from xdsl.dialects.linalg import ops as linalg
from xdsl.ir import Operation, SSAValue
from xdsl.ir.affine import AffineConstantExpr, AffineDimExpr, AffineMap

from ...dialects.ir.diagnostics import LlmcError
from ...dialects.ir.numeric import is_float
from ...dialects.layout.ops import BatchOp, ReadOp
from ...dialects.nn import ops as nn
from ...dialects.nn.sizes import Size
from ...dialects.nn.types import dims_of, elem_of
from ...dialects.tile.types import frag_of, same_registers
from .evaluate import Axis, Coord, Coords, Evaluator, Rule, is_frag
from .regions import inline_generic
from .scalar import Scalar, ScalarBuilder

CONSTANT_LIMIT = 64


def _axis(op: Operation) -> int:
    return op.properties["axis"].value.data  # pyright: ignore


def read(ev: Evaluator, op: Operation, index: int, coords: Coords) -> SSAValue:
    return ev.load(ev.argument(cast(ReadOp, op).buffer), coords)


def batch_of(value: SSAValue) -> BatchOp:
    owner = value.owner
    if not isinstance(owner, BatchOp):
        raise LlmcError(
            "LLMC0506", "the batch of this op is no layout.batch", value, fix="make the batch with layout.batch in the kernel"
        )
    return owner


def batch_part(ev: Evaluator, batch: SSAValue, name: str, *coords: Coord) -> SSAValue:
    """An element of one of the batch's buffers."""
    found = batch_of(batch).parts.get(name)
    if found is None:
        raise LlmcError("LLMC0506", f"the kernel's batch lacks {name}", batch, fix="give layout.batch that buffer")
    at = ev.settled(coords)
    return ev.remember((found, *at), lambda: ev.load(ev.argument(found), at))


# pointwise ----------------------------------------------------------------------------------------
def pointwise(ev: Evaluator, op: Operation, index: int, coords: Coords) -> SSAValue:
    assert isinstance(op, nn.PointwiseOp)
    values = [ev.wide(ev.value(x, broadcast_coords(coords, dims_of(x)))) for x in op.inputs]
    elem = elem_of(op.result)
    target = f32 if is_float(elem) else elem

    def body(s: ScalarBuilder, *scalars: SSAValue) -> Scalar:
        return op.scalar(s.insert, scalars, target)

    return ev.map(body, *values)


def broadcast_coords(coords: Sequence[Coord], dims: Sequence[Size]) -> list[Coord]:
    """Coordinates of an operand that numpy would broadcast."""
    tail = list(coords)[len(coords) - len(dims) :] if dims else []
    return [0 if d.constant == 1 else c for c, d in zip(tail, dims, strict=True)]


def through_map(map_: AffineMap, loops: Sequence[Coord]) -> list[Coord]:
    found: list[Coord] = []
    for result in map_.results:
        if isinstance(result, AffineDimExpr):
            found.append(loops[result.position])
        elif isinstance(result, AffineConstantExpr):
            found.append(result.value)
        else:
            raise LlmcError(
                "LLMC0506",
                f"indexing map {map_} is no projected permutation",
                map_,
                fix="use a map of loops and constants alone",
            )
    return found


def generic_parallel(ev: Evaluator, op: linalg.GenericOp, index: int, loops: Sequence[Coord]) -> list[SSAValue]:
    """What a generic yields at a point of its iteration space."""
    maps = [m.data for m in op.indexing_maps.data]
    block = op.body.block
    used = [bool(argument.uses) for argument in block.args]
    inputs = [
        ev.value(x, through_map(m, loops)) if live else ev.const(0, a.type)
        for x, m, live, a in zip(op.inputs, maps, used, block.args, strict=False)
    ]
    places = [inner for inner in block.ops if isinstance(inner, linalg.IndexOp)]
    indices = [ev.coord(loops[inner.dim.value.data]) for inner in places]

    def body(s: ScalarBuilder, *scalars: SSAValue) -> list[Scalar]:
        given, at = list(scalars[: len(inputs)]), scalars[len(inputs) :]
        return list(inline_generic(s, op, given, dict(zip(places, at, strict=True))))

    return list(ev.map(body, *inputs, *indices))


# views --------------------------------------------------------------------------------------------
def reshape(ev: Evaluator, op: Operation, index: int, coords: Coords) -> SSAValue:
    source = op.operands[0]
    return ev.value(source, reshape_coords(ev, coords, dims_of(op.results[0]), dims_of(source)))


def reshape_coords(ev: Evaluator, coords: Sequence[Coord], given: Sequence[Size], wanted: Sequence[Size]) -> list[Coord]:
    """Coordinates in a tensor of `wanted` of the element at `coords` of its reshape to `given`."""
    found: list[Coord] = []
    i, j = len(given), len(wanted)
    while i > 0 or j > 0:
        if i > 0 and given[i - 1].constant == 1:
            i -= 1
            continue
        if j > 0 and wanted[j - 1].constant == 1:
            found.append(0)
            j -= 1
            continue
        left, right = i - 1, j - 1
        a, b = given[left], wanted[right]
        while a != b:
            if left > 0 and (right == 0 or _smaller(a, b)):
                left -= 1
                a = a * given[left]
            elif right > 0:
                right -= 1
                b = b * wanted[right]
            else:
                left, right = 0, 0
                break
        if left == i - 1 and right == j - 1:
            found.append(coords[left])
        else:
            position = ev.linear(coords[left:i], given[left:i])
            found.extend(reversed(ev.unravel(position, wanted[right:j])))
        i, j = left, right
    return list(reversed(found))


def _smaller(a: Size, b: Size) -> bool:
    x, y = a.constant, b.constant
    if x is not None and y is not None:
        return x < y
    return x is not None or (y is None and len(a.names) <= len(b.names) and a.divide(b) is None)


def broadcast(ev: Evaluator, op: Operation, index: int, coords: Coords) -> SSAValue:
    return ev.value(op.operands[0], broadcast_coords(coords, dims_of(op.operands[0])))


def transpose(ev: Evaluator, op: Operation, index: int, coords: Coords) -> SSAValue:
    assert isinstance(op, nn.TransposeOp)
    back: list[Coord] = [0] * len(coords)
    for place, source in enumerate(op.permutation):
        back[source] = coords[place]
    return ev.value(op.x, back)


def slice_(ev: Evaluator, op: Operation, index: int, coords: Coords) -> SSAValue:
    assert isinstance(op, nn.SliceOp)
    axis = _axis(op)
    start, step = ev.size(op.bounds[0]), op.step.value.data
    shifted = list(coords)
    shifted[axis] = ev.add(ev.mul(coords[axis], step), start)
    return ev.value(op.x, shifted)


def concat(ev: Evaluator, op: Operation, index: int, coords: Coords) -> SSAValue:
    assert isinstance(op, nn.ConcatOp)
    axis = _axis(op)
    here = coords[axis]
    result: SSAValue | None = None
    low: Size = Size.of(0)
    parts: list[tuple[Size, SSAValue]] = []
    for part in op.inputs:
        extent = dims_of(part)[axis]
        at = list(coords)
        at[axis] = ev.clamp(ev.sub(here, ev.size(low)), ev.size(extent))
        parts.append((low, ev.wide(ev.value(part, at))))
        low = low + extent
    for start, value in parts:
        result = value if result is None else ev.select(ev.less(here, ev.size(start)), result, value)
    assert result is not None
    return result


def gather(ev: Evaluator, op: Operation, index: int, coords: Coords) -> SSAValue:
    assert isinstance(op, nn.GatherOp)
    axis, rank = _axis(op), len(dims_of(op.index))
    chosen = ev.cast(ev.value(op.index, ev.settled(coords[axis : axis + rank])), i32)
    return ev.value(op.x, [*coords[:axis], chosen, *coords[axis + rank :]])


def take_along(ev: Evaluator, op: Operation, index: int, coords: Coords) -> SSAValue:
    assert isinstance(op, nn.TakeAlongOp)
    axis = _axis(op)
    chosen = ev.cast(ev.value(op.index, ev.settled(coords)), i32)
    return ev.value(op.x, [*coords[:axis], chosen, *coords[axis + 1 :]])


def embedding(ev: Evaluator, op: Operation, index: int, coords: Coords) -> SSAValue:
    assert isinstance(op, nn.EmbeddingOp)
    return ev.value(op.table, [ev.value(op.ids, ev.settled(coords[:-1])), coords[-1]])


def iota(ev: Evaluator, op: Operation, index: int, coords: Coords) -> SSAValue:
    elem = elem_of(op.results[0])
    return ev.cast(ev.coord(coords[_axis(op)]), f32 if is_float(elem) else elem)


def size(ev: Evaluator, op: Operation, index: int, coords: Coords) -> SSAValue:
    assert isinstance(op, nn.SizeOp)
    value = ev.b.i32(ev.size(Size.parse(op.size.data)))
    elem = elem_of(op.result)
    return ev.cast(value, f32 if is_float(elem) else elem)


def constant(ev: Evaluator, op: Operation, index: int, coords: Coords) -> SSAValue:
    value = op.properties["value"]
    result = op.results[0]
    elem = result.type if not hasattr(result.type, "element_type") else elem_of(result)
    elem = f32 if is_float(elem) else elem
    if isinstance(value, FloatAttr | IntegerAttr):
        return ev.const(value.value.data, elem)
    assert isinstance(value, DenseIntOrFPElementsAttr)
    data = list(value.get_values())
    if len(set(data)) == 1:
        return ev.const(data[0], elem)
    if len(data) > CONSTANT_LIMIT:
        raise LlmcError(
            "LLMC0507",
            f"a constant of {len(data)} different elements inside a kernel",
            op,
            fix="make it an argument of the kernel",
        )
    position = ev.linear(coords, dims_of(result))
    chosen = ev.const(data[-1], elem)
    for place in range(len(data) - 2, -1, -1):
        chosen = ev.select(ev.less(position, place + 1), ev.const(data[place], elem), chosen)
    return chosen


def empty(ev: Evaluator, op: Operation, index: int, coords: Coords) -> SSAValue:
    elem = elem_of(op.results[0])
    return ev.const(0, f32 if is_float(elem) else elem)


# transformer --------------------------------------------------------------------------------------
def rope(ev: Evaluator, op: Operation, index: int, coords: Coords) -> SSAValue:
    """First R channels: x·cos ∓ partner·sin; the rest as they are."""
    assert isinstance(op, nn.RopeOp)
    rotary, width = dims_of(op.cos)[-1].constant, dims_of(op.x)[-1].constant
    assert rotary is not None and width is not None
    if rotary == width and not bool(op.interleaved.value.data) and _holds_pairs(ev, coords[-1], width):
        return _rope_in_registers(ev, op, coords, width // 2)
    channel = ev.coord(coords[-1])
    half = rotary // 2
    if bool(op.interleaved.value.data):
        partner = ev.map(lambda s, d: s.xor(d, 1), channel)
        first = ev.map(lambda s, d: s.cmp("eq", s.and_(d, 1), 0), channel)
    else:
        first = ev.less(channel, half)
        partner = ev.map(lambda s, d, f: s.select(f, s.add(d, half), s.sub(d, half)), channel, first)
    angle = coords[-1]
    if rotary != width:
        partner = cast(SSAValue, ev.clamp(partner, width))
        angle = ev.clamp(channel, rotary)
    x = ev.wide(ev.value(op.x, coords))
    y = ev.wide(ev.value(op.x, [*coords[:-1], partner]))
    cos, sin = (ev.wide(ev.value(t, [*coords[:-2], angle])) for t in (op.cos, op.sin))

    def body(s: ScalarBuilder, x: SSAValue, y: SSAValue, cos: SSAValue, sin: SSAValue, f: SSAValue, d: SSAValue) -> Scalar:
        turned = s.add(s.mul(x, cos), s.mul(s.select(f, s.neg(y), y), sin))
        return turned if rotary == width else s.select(s.cmp("lt", d, rotary), turned, x)

    return ev.map(body, x, y, cos, sin, first, channel)


def _holds_pairs(ev: Evaluator, channel: Coord, width: int) -> bool:
    """Whether every thread has both channels of its rotary pairs."""
    if not isinstance(channel, Axis) or channel.axis != 1 or not channel.exact or (channel.shift, channel.limit) != (0, width):
        return False
    if ev.tv.shape[1] != width:
        return False
    try:
        half, _ = ev.tv.slice(1, 0, width // 2)
    except ValueError:
        return False
    return same_registers(half.concat(1, 2), ev.tv)


def _rope_in_registers(ev: Evaluator, op: nn.RopeOp, coords: Coords, half: int) -> SSAValue:
    """o1 = x1·cos - x2·sin, o2 = x2·cos + x1·sin on the halves of a row."""
    b = ev.b
    low: list[SSAValue] = []
    high: list[SSAValue] = []
    for table, at in ((op.x, coords), (op.cos, (*coords[:-2], coords[-1])), (op.sin, (*coords[:-2], coords[-1]))):
        value = ev.wide(ev.value(table, at))
        if not is_frag(value) or frag_of(value).shape[1] == 1:
            value = ev.map(lambda s, v, i: v, value, b.iota(ev.tv, 1))
        low.append(b.slice(value, 1, 0, half))
        high.append(b.slice(value, 1, half, half))
    x1, x2 = low[0], high[0]
    o1 = b.map(lambda s, x, y, c, n: s.sub(s.mul(x, c), s.mul(y, n)), x1, x2, low[1], low[2])
    o2 = b.map(lambda s, x, y, c, n: s.add(s.mul(y, c), s.mul(x, n)), x1, x2, high[1], high[2])
    joined = b.concat([o1, o2], 1)
    return b.relabel(joined, ev.tv.project_to(frag_of(joined).shape))


def positions(ev: Evaluator, op: Operation, index: int, coords: Coords) -> SSAValue:
    return batch_part(ev, op.operands[0], "positions", coords[0])


def select_token(ev: Evaluator, op: Operation, index: int, coords: Coords) -> SSAValue:
    assert isinstance(op, nn.SelectTokenOp)
    first = op.which.data == "first"
    at = coords[0] if first else ev.add(coords[0], 1)
    row: Coord = batch_part(ev, op.batch, "query_start", at)
    return ev.value(op.x, [row if first else ev.sub(row, 1), *coords[1:]])


RULES: dict[type[Operation], Rule] = {
    **dict.fromkeys(nn.POINTWISE.values(), pointwise),
    ReadOp: read,
    nn.ReshapeOp: reshape,
    nn.BroadcastOp: broadcast,
    nn.TransposeOp: transpose,
    nn.SliceOp: slice_,
    nn.ConcatOp: concat,
    nn.GatherOp: gather,
    nn.TakeAlongOp: take_along,
    nn.EmbeddingOp: embedding,
    nn.IotaOp: iota,
    nn.SizeOp: size,
    nn.ConstantOp: constant,
    arith.ConstantOp: constant,
    nn.EmptyOp: empty,
    nn.RopeOp: rope,
    nn.PositionsOp: positions,
    nn.SelectTokenOp: select_token,
}
