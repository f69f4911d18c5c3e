"""Rules for ops that combine an axis: reductions, norms, products, order, attention.

Where the tile's second axis can run along the whole reduced dimension (row kernels), a reduction is a `tile.reduce`; elsewhere it
is a loop over scalars' coordinates, one thread per result.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import inf
from typing import cast

from xdsl.dialects import arith
from xdsl.dialects.builtin import IntegerType, f32, i32
from xdsl.dialects.linalg import ops as linalg
from xdsl.dialects.linalg.attrs import IteratorType
from xdsl.ir import Attribute, Operation, SSAValue

from ...dialects.ir.diagnostics import LlmcError
from ...dialects.ir.numeric import is_float
from ...dialects.layout.tv import Tv
from ...dialects.nn import ops as nn
from ...dialects.nn.sizes import Size
from ...dialects.nn.types import dims_of, elem_of
from ...dialects.tile.types import frag_of
from .builder import Index
from .evaluate import Axis, Coord, Coords, Evaluator, Rule, is_frag
from .regions import inline_generic
from .rules import generic_parallel, through_map
from .scalar import Scalar, ScalarBuilder

LARGE_INT = 2**31 - 1
BEYOND = 2**30
"""Above every index of a row."""


@dataclass(frozen=True)
class Combine:
    """A reduction: its scalar code, its neutral element, and the kind of `tile.reduce` that does it."""

    kind: str
    neutral: float
    scalar: Callable[[ScalarBuilder, SSAValue, SSAValue], SSAValue]

    def start(self, elem: Attribute) -> float | int:
        if isinstance(elem, IntegerType):
            bits = elem.width.data
            low, high = (-(1 << (bits - 1)), (1 << (bits - 1)) - 1) if bits > 1 else (0, 1)
            return low if self.neutral == -inf else high if self.neutral == inf else int(self.neutral)
        return self.neutral


ADD = Combine("add", 0.0, lambda s, a, b: s.add(a, b))
MUL = Combine("mul", 1.0, lambda s, a, b: s.mul(a, b))
MAX = Combine("max", -inf, lambda s, a, b: s.max(a, b))
MIN = Combine("min", inf, lambda s, a, b: s.min(a, b))
OR = Combine("or", 0.0, lambda s, a, b: s.or_(a, b))
AND = Combine("and", 1.0, lambda s, a, b: s.and_(a, b))
COMBINES: dict[str, Combine] = {"add": ADD, "mean": ADD, "mul": MUL, "max": MAX, "min": MIN, "any": OR, "all": AND}
COMBINE_OPS: dict[type[Operation], Combine] = {
    arith.AddfOp: ADD, arith.AddiOp: ADD, arith.MulfOp: MUL, arith.MuliOp: MUL, arith.OrIOp: OR, arith.AndIOp: AND,
    arith.MaximumfOp: MAX, arith.MaxnumfOp: MAX, arith.MaxSIOp: MAX,
    arith.MinimumfOp: MIN, arith.MinnumfOp: MIN, arith.MinSIOp: MIN,
}  # fmt: skip

At = Callable[[Coord], SSAValue]


def coords_shape(ev: Evaluator, coords: Sequence[Coord]) -> tuple[int, ...]:
    """The part of the tile that values at these coordinates vary over."""
    shape = list(ev.joint_shape([cast(SSAValue, c) for c in coords if is_frag(c)]))
    for c in coords:
        if isinstance(c, Axis):
            shape[c.axis] = ev.tv.shape[c.axis]
    return tuple(shape)


def looped(
    ev: Evaluator,
    extent: Index,
    outer: Sequence[Coord],
    starts: Sequence[tuple[float | int, Attribute]],
    body: Callable[..., Sequence[SSAValue]],
    lower: Index = 0,
) -> list[SSAValue]:
    """`for i in lower..extent: carried = body(i, *carried)`, carried values being fragments as wide as `outer` needs."""
    tv = ev.tv.project_to(coords_shape(ev, outer))
    inits = [ev.b.full(value, tv, elem) for value, elem in starts]

    def step(i: SSAValue, *carried: SSAValue) -> list[SSAValue]:
        with ev.scope():
            return [_as_frag(ev, v, tv) for v in body(i, *carried)]

    return list(ev.b.for_(lower, extent, 1, inits, step))


def _as_frag(ev: Evaluator, value: SSAValue, tv: Tv) -> SSAValue:
    if not is_frag(value):
        return ev.b.splat(value, tv)
    return value if frag_of(value).tv == tv else ev.b.broadcast(value, tv)


def row_axis(ev: Evaluator, size: Size, outer: Sequence[Coord]) -> Axis | None:
    """The tile axis that may run along a whole dimension of `size`, if there is one."""
    extent, columns = size.constant, ev.tv.shape[1]
    if not ev.row_axis or extent is None or extent > columns or 4 * extent < columns:
        return None
    if coords_shape(ev, outer)[1] != 1:
        return None
    return Axis(1, 0, extent, extent == columns)


def reduce_over(ev: Evaluator, size: Size, outer: Sequence[Coord], at: At, combine: Combine, elem: Attribute = f32) -> SSAValue:
    """Combines `at(i)` for i below `size`; `outer` are the coordinates that stay."""
    row = row_axis(ev, size, outer)
    if row is not None:
        value = at(row)
        if not is_frag(value) or frag_of(value).shape[1] == 1:
            value = _as_frag(ev, value, ev.tv.project_to((coords_shape(ev, outer)[0], ev.tv.shape[1])))
        if not row.exact:
            neutral = combine.start(elem)
            inside = ev.remember(("inside", row), lambda: ev.map(lambda s, i: s.cmp("lt", i, row.limit), ev.b.iota(ev.tv, 1)))
            value = ev.map(lambda s, v, c: s.select(c, v, s.const(neutral, elem)), value, inside)
        return ev.b.reduce(value, 1, combine.kind)

    def body(i: SSAValue, total: SSAValue) -> list[SSAValue]:
        return [ev.map(combine.scalar, total, at(i))]

    return looped(ev, ev.size(size), outer, [(combine.start(elem), elem)], body)[0]


def reduce_all(
    ev: Evaluator,
    sizes: Sequence[Size],
    outer: Sequence[Coord],
    at: Callable[[list[Coord]], SSAValue],
    combine: Combine,
    elem: Attribute,
) -> SSAValue:
    """Combines over several dimensions, the last one innermost."""
    if not sizes:
        return at([])
    return reduce_over(
        ev,
        sizes[0],
        outer,
        lambda i: reduce_all(ev, sizes[1:], [*outer, i], lambda rest: at([i, *rest]), combine, elem),
        combine,
        elem,
    )


# reductions ---------------------------------------------------------------------------------------
def reduce(ev: Evaluator, op: Operation, index: int, coords: Coords) -> SSAValue:
    assert isinstance(op, nn.ReduceOp)
    dims, elem = dims_of(op.x), elem_of(op.x)
    axes = op.reduced
    keep = bool(op.keepdims.value.data)
    outer = iter([c for a, c in enumerate(coords) if not (keep and a in axes)])
    fixed: dict[int, Coord] = {a: next(outer) for a in range(len(dims)) if a not in axes}
    elem = f32 if is_float(elem) else elem

    def at(inner: list[Coord]) -> SSAValue:
        places = dict(zip(axes, inner, strict=True))
        return ev.wide(ev.value(op.x, [places.get(a, fixed.get(a, 0)) for a in range(len(dims))]))

    sizes = [dims[a] for a in axes]
    total = reduce_all(ev, sizes, list(fixed.values()), at, COMBINES[op.kind.data], elem)
    return _mean(ev, total, sizes) if op.kind.data == "mean" else total


def _mean(ev: Evaluator, total: SSAValue, sizes: Sequence[Size]) -> SSAValue:
    count = Size.of(1)
    for size in sizes:
        count = count * size
    constant = count.constant
    if constant is not None:
        return ev.map(lambda s, t: s.mul(t, 1.0 / constant), total)
    n = ev.b.scalar.cast(ev.b.i32(ev.size(count)), f32)
    return ev.map(lambda s, t: s.div(t, n), total)


def generic(ev: Evaluator, op: Operation, index: int, coords: Coords) -> SSAValue:
    assert isinstance(op, linalg.GenericOp)
    maps = [m.data for m in op.indexing_maps.data]
    kinds = [t.data for t in op.iterator_types.data]
    loops: list[Coord | None] = [None] * len(kinds)
    out_map = maps[len(op.inputs) + index]
    for loop, c in zip(through_map(out_map, list(range(len(kinds)))), coords, strict=True):
        assert isinstance(loop, int)
        if loops[loop] is None:
            loops[loop] = c
    reductions = [i for i, kind in enumerate(kinds) if kind is not IteratorType.PARALLEL]
    if not reductions:
        point = [0 if c is None else c for c in loops]
        return ev.remember((op, tuple(point)), lambda: generic_parallel(ev, op, index, point))[index]
    sizes_of_loops = extents(op)
    terminator = op.body.block.last_op
    assert terminator is not None
    argument = op.body.block.args[len(op.inputs) + index]
    combiner = terminator.operands[index].owner
    if not isinstance(combiner, Operation) or type(combiner) not in COMBINE_OPS or argument not in combiner.operands:
        raise LlmcError(
            "LLMC0506",
            "linalg.generic reduces with an op that is no plain combination of its output",
            op,
            fix="reduce by an add, mul, max or min of the output and one value",
        )
    combine = COMBINE_OPS[type(combiner)]
    skip = [o.owner for o in terminator.operands if isinstance(o.owner, Operation)]
    elem = elem_of(op.results[index])
    elem = f32 if is_float(elem) else elem

    def at(inner: list[Coord]) -> SSAValue:
        places = dict(zip(reductions, inner, strict=True))
        point = [places.get(i, 0 if c is None else c) for i, c in enumerate(loops)]
        inputs = [ev.value(x, through_map(m, point)) for x, m in zip(op.inputs, maps, strict=False)]
        spots = [o for o in op.body.block.ops if isinstance(o, linalg.IndexOp)]
        where = [ev.coord(point[o.dim.value.data]) for o in spots]

        def body(s: ScalarBuilder, *scalars: SSAValue) -> Scalar:
            given, indices = scalars[: len(inputs)], dict(zip(spots, scalars[len(inputs) :], strict=True))
            return inline_generic(s, op, given, indices, skip=skip)[index]

        return ev.map(body, *inputs, *where)

    outer = [c for i, c in enumerate(loops) if c is not None and i not in reductions]
    return reduce_all(ev, [sizes_of_loops[i] for i in reductions], outer, at, combine, elem)


def extents(op: linalg.GenericOp) -> dict[int, Size]:
    found: dict[int, Size] = {}
    for value, map_ in zip(op.operands, op.indexing_maps.data, strict=True):
        for position, loop in enumerate(through_map(map_.data, [Size.name(f"d{i}") for i in range(map_.data.num_dims)])):  # pyright: ignore
            size = dims_of(value)[position]
            if isinstance(loop, Size) and size.constant != 1:
                found[int(next(iter(loop.names))[1:])] = size
            elif isinstance(loop, Size):
                found.setdefault(int(next(iter(loop.names))[1:]), size)
    return found


# norms --------------------------------------------------------------------------------------------
def rms_norm(ev: Evaluator, op: Operation, index: int, coords: Coords) -> SSAValue:
    assert isinstance(op, nn.RmsNormOp)
    outer, eps, offset = coords[:-1], op.eps.value.data, op.offset.value.data
    size = dims_of(op.x)[-1]

    def statistic() -> SSAValue:
        def square(i: Coord) -> SSAValue:
            return ev.map(lambda s, v: s.mul(v, v), ev.wide(ev.value(op.x, [*outer, i])))

        mean = _mean(ev, reduce_over(ev, size, outer, square, ADD), [size])
        return ev.map(lambda s, m: s.rsqrt(s.add(m, eps)), mean)

    scale = ev.remember((op, "scale", outer), statistic)
    x, w = ev.wide(ev.value(op.x, coords)), ev.wide(ev.value(op.weight, coords[-1:]))
    return ev.map(lambda s, x, r, w: s.mul(s.mul(x, r), s.add(w, offset) if offset else w), x, scale, w)


def layer_norm(ev: Evaluator, op: Operation, index: int, coords: Coords) -> SSAValue:
    assert isinstance(op, nn.LayerNormOp)
    outer, eps, size = coords[:-1], op.eps.value.data, dims_of(op.x)[-1]

    def x_at(i: Coord) -> SSAValue:
        return ev.wide(ev.value(op.x, [*outer, i]))

    mean = ev.remember((op, "mean", outer), lambda: _mean(ev, reduce_over(ev, size, outer, x_at, ADD), [size]))

    def deviation(i: Coord) -> SSAValue:
        return ev.map(lambda s, x, m: s.mul(s.sub(x, m), s.sub(x, m)), x_at(i), mean)

    def spread() -> SSAValue:
        variance = _mean(ev, reduce_over(ev, size, outer, deviation, ADD), [size])
        return ev.map(lambda s, v: s.rsqrt(s.add(v, eps)), variance)

    scale = ev.remember((op, "scale", outer), spread)
    x, w = ev.wide(ev.value(op.x, coords)), ev.wide(ev.value(op.weight, coords[-1:]))
    result = ev.map(lambda s, x, m, r, w: s.mul(s.mul(s.sub(x, m), r), w), x, mean, scale, w)
    if op.bias is None:
        return result
    return ev.map(lambda s, y, b: s.add(y, b), result, ev.wide(ev.value(op.bias, coords[-1:])))


def softmax(ev: Evaluator, op: Operation, index: int, coords: Coords) -> SSAValue:
    assert isinstance(op, nn.SoftmaxOp)
    axis = op.axis.value.data
    outer, size = (*coords[:axis], *coords[axis + 1 :]), dims_of(op.x)[axis]

    def x_at(i: Coord) -> SSAValue:
        return ev.wide(ev.value(op.x, [*coords[:axis], i, *coords[axis + 1 :]]))

    top = ev.remember((op, "top", outer), lambda: reduce_over(ev, size, outer, x_at, MAX))

    def weight(i: Coord) -> SSAValue:
        return ev.remember((op, "weight", outer, i), lambda: ev.map(lambda s, x, m: s.exp(s.sub(x, m)), x_at(i), top))

    total = ev.remember((op, "total", outer), lambda: reduce_over(ev, size, outer, weight, ADD))
    return ev.map(lambda s, e, t: s.div(e, t), weight(coords[axis]), total)


# products -----------------------------------------------------------------------------------------
def _product(ev: Evaluator, size: Size, outer: Sequence[Coord], left: At, right: At, acc: Attribute) -> SSAValue:
    acc = f32 if is_float(acc) else acc

    def at(i: Coord) -> SSAValue:
        return ev.map(lambda s, a, b: s.mul(s.cast(a, acc), s.cast(b, acc)), left(i), right(i))

    return reduce_over(ev, size, outer, at, ADD, acc)


def linear(ev: Evaluator, op: Operation, index: int, coords: Coords) -> SSAValue:
    assert isinstance(op, nn.LinearOp)
    size = dims_of(op.x)[-1]
    result = _product(
        ev, size, coords, lambda i: ev.value(op.x, [*coords[:-1], i]), lambda i: ev.value(op.weight, [coords[-1], i]), op.acc
    )
    if op.bias is not None:
        result = ev.map(lambda s, y, b: s.add(y, s.cast(b, y.type)), result, ev.value(op.bias, coords[-1:]))
    return result


def matmul(ev: Evaluator, op: Operation, index: int, coords: Coords) -> SSAValue:
    assert isinstance(op, nn.MatmulOp)
    from .rules import broadcast_coords

    m, n, outer = coords[-2], coords[-1], coords[:-2]
    a_dims, b_dims = dims_of(op.a), dims_of(op.b)
    a_at, b_at = broadcast_coords(outer, a_dims[:-2]), broadcast_coords(outer, b_dims[:-2])
    return _product(
        ev, a_dims[-1], coords, lambda i: ev.value(op.a, [*a_at, m, i]), lambda i: ev.value(op.b, [*b_at, i, n]), op.acc
    )


def conv1d(ev: Evaluator, op: Operation, index: int, coords: Coords) -> SSAValue:
    assert isinstance(op, nn.Conv1dOp)
    channel, place = coords
    outputs, per_group, width = dims_of(op.weight)
    groups, padding, length = op.groups.value.data, op.padding.value.data, ev.size(dims_of(op.x)[1])
    assert outputs.constant is not None
    first = ev.mul(ev.div(channel, outputs.constant // groups), ev.size(per_group))

    def at(inner: list[Coord]) -> SSAValue:
        c, k = inner
        spot = ev.sub(ev.add(ev.coord(place), k), padding)
        x = ev.wide(ev.value(op.x, [ev.add(first, c), ev.clamp(spot, length)]))
        w = ev.wide(ev.value(op.weight, [channel, c, k]))
        inside = ev.map(lambda s, p: s.cmp("ult", p, ev.b.i32(length)), ev.coord(spot))
        return ev.map(lambda s, x, w, ok: s.select(ok, s.mul(x, w), 0.0), x, w, inside)

    result = reduce_all(ev, [per_group, width], coords, at, ADD, f32)
    if op.bias is not None:
        result = ev.map(lambda s, y, b: s.add(y, b), result, ev.wide(ev.value(op.bias, [channel])))
    return result


# order --------------------------------------------------------------------------------------------
def argmax(ev: Evaluator, op: Operation, index: int, coords: Coords) -> SSAValue:
    assert isinstance(op, nn.ArgmaxOp)
    axis = op.axis.value.data
    size = dims_of(op.x)[axis]

    def x_at(i: Coord) -> SSAValue:
        return ev.wide(ev.value(op.x, [*coords[:axis], i, *coords[axis:]]))

    elem = f32 if is_float(elem_of(op.x)) else elem_of(op.x)
    top = ev.remember((op, "top", coords), lambda: reduce_over(ev, size, coords, x_at, MAX, elem))

    def place(i: Coord) -> SSAValue:
        def code(s: ScalarBuilder, x: SSAValue, m: SSAValue, j: SSAValue) -> Scalar:
            largest = s.cmp("eq", x, m)
            return s.select(s.or_(largest, s.cmp("ne", x, x)) if elem == f32 else largest, j, LARGE_INT)

        return ev.map(code, x_at(i), top, ev.coord(i))

    return reduce_over(ev, size, coords, place, MIN, i32)


def cumsum(ev: Evaluator, op: Operation, index: int, coords: Coords) -> SSAValue:
    assert isinstance(op, nn.CumsumOp)
    axis, here = op.axis.value.data, ev.coord(coords[op.axis.value.data])
    size = dims_of(op.x)[axis]
    elem = f32 if is_float(elem_of(op.x)) else elem_of(op.x)

    def at(i: Coord) -> SSAValue:
        x = ev.wide(ev.value(op.x, [*coords[:axis], i, *coords[axis + 1 :]]))
        return ev.map(lambda s, x, j, h: s.select(s.cmp("le", j, h), x, 0), x, ev.coord(i), here)

    return reduce_over(ev, size, coords, at, ADD, elem)


def ordered(ev: Evaluator, op: Operation, index: int, coords: Coords) -> SSAValue:
    """sort and topk: the element whose rank (how many come before it) is the wanted place; quadratic."""
    descending = isinstance(op, nn.TopkOp) or bool(cast(nn.SortOp, op).descending.value.data)
    x = op.operands[0]
    size, outer, place = dims_of(x)[-1], coords[:-1], ev.coord(coords[-1])
    elem = f32 if is_float(elem_of(x)) else elem_of(x)

    def x_at(i: Coord) -> SSAValue:
        return ev.wide(ev.value(x, [*outer, i]))

    def key(s: ScalarBuilder, a: SSAValue, j: SSAValue) -> tuple[SSAValue, SSAValue]:
        """What is compared, and what decides between equals: a NaN is an infinity that comes beyond all others."""
        if elem != f32:
            return a, j
        missing = s.cmp("ne", a, a)
        return s.select(missing, inf, a), s.select(missing, s.add(j, -BEYOND if descending else BEYOND), j)

    def body(i: SSAValue, value: SSAValue, found: SSAValue) -> list[SSAValue]:
        mine = x_at(i)
        b, jb = ev.map(key, mine, ev.coord(i))

        def before(j: Coord) -> SSAValue:
            def code(s: ScalarBuilder, a: SSAValue, ja: SSAValue, b: SSAValue, jb: SSAValue) -> Scalar:
                a, ja = key(s, a, ja)
                first = s.cmp("gt" if descending else "lt", a, b)
                tie = s.and_(s.cmp("eq", a, b), s.cmp("lt", ja, jb))
                return s.cast(s.or_(first, tie), i32)

            return ev.map(code, x_at(j), ev.coord(j), b, jb)

        def count(j: SSAValue, n: SSAValue) -> list[SSAValue]:
            return [ev.map(lambda s, n, c: s.add(n, c), n, before(j))]

        (rank,) = looped(ev, ev.size(size), coords, [(0, i32)], count)
        hit = ev.map(lambda s, r, p: s.cmp("eq", r, p), rank, place)
        return [ev.select(hit, mine, value), ev.select(hit, i, found)]

    def run() -> list[SSAValue]:
        return looped(ev, ev.size(size), coords, [(0, elem), (0, i32)], body)

    return ev.remember((op, coords), run)[index]


LOOP_RULES: dict[type[Operation], Rule] = {
    linalg.GenericOp: generic,
    nn.ReduceOp: reduce,
    nn.RmsNormOp: rms_norm,
    nn.LayerNormOp: layer_norm,
    nn.SoftmaxOp: softmax,
    nn.LinearOp: linear,
    nn.MatmulOp: matmul,
    nn.Conv1dOp: conv1d,
    nn.ArgmaxOp: argmax,
    nn.CumsumOp: cumsum,
    nn.TopkOp: ordered,
    nn.SortOp: ordered,
}
