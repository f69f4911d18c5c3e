"""Evaluating a kernel's body element by element: what the schedules of everything but matrix products are made of.

A CTA works on a *tile* [R, C] of elements. The `Evaluator` is asked for a value at coordinates and pulls what it needs
through the body, down to loads: `value(%y, (Axis(0, row0), Axis(1, 0)))`.  A coordinate of a tensor is

    an int or an i32 scalar         the same for the whole tile
    Axis(axis, offset, …)           runs along an axis of the tile: such loads are vectorised
    an i32 fragment                 anything else (a gather)

Values are scalars or fragments of shape [R, C], [R, 1], [1, C] or [1, 1]; float values may be kept in f32.
Rules for the ops stand in `rules.py`, those with loops in `loops.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar, cast, overload

from xdsl.dialects.builtin import f32
from xdsl.ir import Attribute, BlockArgument, Operation, SSAValue

from ...dialects.ir.diagnostics import LlmcError
from ...dialects.ir.numeric import is_float
from ...dialects.layout.ops import KernelOp
from ...dialects.layout.tv import Tv, TvDigit
from ...dialects.nn.sizes import Size
from ...dialects.tile.types import FragType, frag_of, memory_of
from .builder import Elements, Index, TileBuilder
from .scalar import Scalar, ScalarBuilder


@dataclass(frozen=True)
class Axis:
    """`min(start + i, limit - 1) + shift` for element i of a tile axis.

    `exact`: the tile never passes `limit`, so nothing is checked.
    """

    axis: int
    start: Index
    limit: Index
    exact: bool
    shift: Index = 0


Coord = Axis | SSAValue | int
Coords = tuple[Coord, ...]
Rule = Callable[["Evaluator", Operation, int, Coords], SSAValue]
Remembered = TypeVar("Remembered")


def is_frag(value: object) -> bool:
    return isinstance(value, SSAValue) and isinstance(value.type, FragType)


class Evaluator:
    """Values of one kernel's body on tiles of layout `tv` (rank 2)."""

    def __init__(self, b: TileBuilder, kernel: KernelOp, tv: Tv, rules: Mapping[type[Operation], Rule], row_axis: bool = False):
        self.b = b
        self.kernel = kernel
        self.tv = tv
        self.rules = rules
        self.row_axis = row_axis
        self._memo: list[dict[tuple[Any, ...], Any]] = [{}]

    # scopes ---------------------------------------------------------------------------
    @contextmanager
    def scope(self):
        """What is computed inside (a loop's or branch's body) is forgotten afterwards."""
        self._memo.append({})
        try:
            yield
        finally:
            self._memo.pop()

    def remember(self, key: tuple[Any, ...], make: Callable[[], Remembered]) -> Remembered:
        for level in reversed(self._memo):
            if key in level:
                return level[key]
        depth = len(self._memo)
        result = make()
        assert depth == len(self._memo)
        self._memo[-1][key] = result
        return result

    # values ---------------------------------------------------------------------------
    def value(self, value: SSAValue, coords: Sequence[Coord]) -> SSAValue:
        """An element (or tile of elements) of a tensor of the body."""
        at = tuple(coords)
        return self.remember((value, at), lambda: self._compute(value, at))

    def _compute(self, value: SSAValue, coords: Coords) -> SSAValue:
        owner = value.owner
        if not isinstance(owner, Operation):
            raise LlmcError(
                "LLMC0506",
                f"{value} is no tensor of the kernel's body",
                self.kernel,
                fix="compute it in the kernel, or read it with layout.read",
            )
        rule = self.rules.get(type(owner))
        if rule is None:
            raise LlmcError(
                "LLMC0506",
                f"no schedule can run {owner.name}",
                owner,
                why="the element-wise rules in codegen/schedules/rules.py have none for it",
                fix="add a rule there, or a pass that rewrites the op before `layout`",
            )
        with self.b.at(owner.location):
            return rule(self, owner, value.index, coords)  # pyright: ignore[reportAttributeAccessIssue]

    def argument(self, value: SSAValue) -> BlockArgument:
        """The tile kernel's argument for a buffer of the layout kernel."""
        assert isinstance(value, BlockArgument)
        return self.b.arg(value.index)

    def size(self, size: Size) -> Index:
        constant = size.constant
        return constant if constant is not None else self.b.dim(str(size))

    @overload
    def map(self, fn: Callable[[ScalarBuilder, *Elements], Scalar], *values: *Elements) -> SSAValue: ...

    @overload
    def map(self, fn: Callable[[ScalarBuilder, *Elements], Sequence[Scalar]], *values: *Elements) -> tuple[SSAValue, ...]: ...

    def map(self, fn: Callable[..., Scalar | Sequence[Scalar]], *values: Any) -> SSAValue | tuple[SSAValue, ...]:
        """Scalar code on values: uniform code where all are scalars, a `tile.map` otherwise."""
        frags = [v for v in values if is_frag(v)]
        if not frags:
            scalar = self.b.scalar
            outcome = fn(scalar, *values)
            return tuple(scalar.value(v) for v in outcome) if isinstance(outcome, Sequence) else scalar.value(outcome)
        shape = self.joint_shape(frags)

        def body(s: ScalarBuilder, *elements: SSAValue) -> Any:
            given = iter(elements)
            return fn(s, *(next(given) if is_frag(v) else v for v in values))

        return self.b.map(body, *frags, tv=self.tv.project_to(shape))

    def joint_shape(self, values: Sequence[SSAValue]) -> tuple[int, ...]:
        shapes = [frag_of(v).shape for v in values if is_frag(v)]
        return tuple(max([1, *(s[a] for s in shapes)]) for a in range(self.tv.rank))

    def cast(self, value: SSAValue, elem: Attribute) -> SSAValue:
        have = frag_of(value).element_type if is_frag(value) else value.type
        return value if have == elem else self.map(lambda s, x: s.cast(x, elem), value)

    def wide(self, value: SSAValue) -> SSAValue:
        """Floats in f32, anything else as it is."""
        have = frag_of(value).element_type if is_frag(value) else value.type
        return self.cast(value, f32) if is_float(have) else value

    def const(self, value: float | int, elem: Attribute = f32) -> SSAValue:
        return self.b.scalar.const(value, elem)

    # coordinates ----------------------------------------------------------------------
    def coord(self, c: Coord) -> SSAValue:
        """A coordinate as an i32 scalar or fragment."""
        if isinstance(c, Axis):
            return self.remember(("axis", c), lambda: self._axis_value(c))
        return self.b.i32(c)

    def settled(self, coords: Sequence[Coord]) -> list[Coord]:
        """Coordinates that are in range in every lane, for values that are indices themselves: a lane beyond the end must
        not read 0 and compute a place from it."""
        return [self.coord(c) if isinstance(c, Axis) and not c.exact else c for c in coords]

    def _axis_value(self, c: Axis) -> SSAValue:
        iota = self.b.iota(self.tv, c.axis)
        start, shift = self.b.i32(c.start), self.b.i32(c.shift)
        last = None if c.exact else self.b.i32(self.b.sub(c.limit, 1))

        def body(s: ScalarBuilder, i: SSAValue) -> Scalar:
            i = i if c.start == 0 else s.add(i, start)
            i = i if last is None else s.min(i, last)
            return i if c.shift == 0 else s.add(i, shift)

        return self.map(body, iota)

    def _calc(self, name: str, x: Coord, y: Coord) -> Coord:
        if not isinstance(x, Axis) and not isinstance(y, Axis) and not is_frag(x) and not is_frag(y):
            return getattr(self.b, name)(x, y)
        if isinstance(y, int) and (name, y) in (("add", 0), ("sub", 0), ("mul", 1), ("div", 1)):
            return x
        return self.remember(
            (name, x, y), lambda: self.map(lambda s, u, v: getattr(s, name)(u, v), self.coord(x), self.coord(y))
        )

    def add(self, x: Coord, y: Coord) -> Coord:
        for one, other in ((x, y), (y, x)):
            if isinstance(one, Axis) and not isinstance(other, Axis) and not is_frag(other):
                return Axis(one.axis, one.start, one.limit, one.exact, self.b.add(one.shift, other))
        return self._calc("add", x, y)

    def sub(self, x: Coord, y: Coord) -> Coord:
        return self._calc("sub", x, y)

    def mul(self, x: Coord, y: Coord) -> Coord:
        return self._calc("mul", x, y)

    def div(self, x: Coord, y: Coord) -> Coord:
        return self._calc("div", x, y)

    def rem(self, x: Coord, y: Coord) -> Coord:
        return self._calc("rem", x, y)

    def clamp(self, x: Coord, limit: Index) -> Coord:
        """At most `limit` - 1, at least 0."""
        return self._calc("max", self._calc("min", x, self.b.sub(limit, 1)), 0)

    def less(self, x: Coord, y: Coord) -> SSAValue:
        return self.map(lambda s, u, v: s.cmp("lt", u, v), self.coord(x), self.coord(y))

    def select(self, condition: SSAValue, x: SSAValue, y: SSAValue) -> SSAValue:
        return self.map(lambda s, c, u, v: s.select(c, u, v), condition, x, y)

    def linear(self, coords: Sequence[Coord], dims: Sequence[Size]) -> Coord:
        """Row-major position."""
        total: Coord = 0
        for c, dim in zip(coords, dims, strict=True):
            total = self.add(self.mul(total, self.size(dim)), c)
        return total

    def unravel(self, position: Coord, dims: Sequence[Size]) -> list[Coord]:
        """Coordinates of a row-major position."""
        found: list[Coord] = []
        for axis in range(len(dims) - 1, -1, -1):
            if all(d.constant == 1 for d in dims[:axis]):
                found.append(position)
                found += [0] * axis
                break
            if dims[axis].constant == 1:
                found.append(0)
                continue
            extent = self.size(dims[axis])
            found.append(self.rem(position, extent))
            position = self.div(position, extent)
        return list(reversed(found))

    # memory ---------------------------------------------------------------------------
    def _placement(self, coords: Sequence[Coord], shape: tuple[int, ...]) -> list[int | None] | None:
        """For every dimension of a memory, the tile axis that runs along it in the fragment that is loaded."""
        placed: list[int | None] = [None] * len(coords)
        for dim, c in enumerate(coords):
            if isinstance(c, Axis):
                if c.axis in placed:
                    return None
                placed[dim] = c.axis
        free = [dim for dim, c in enumerate(coords) if is_frag(c)]
        for axis, extent in enumerate(shape):
            if extent > 1 and axis not in placed:
                if not free:
                    return None
                placed[free.pop(0)] = axis
        return placed

    def access(self, memory: SSAValue, coords: Sequence[Coord]) -> Access:
        """How a memory is reached at coordinates."""
        resolved: list[Coord] = list(coords)
        axes = {c.axis for c in resolved if isinstance(c, Axis)}
        frags = [c for c in resolved if is_frag(c)]
        joint = self.joint_shape(cast(list[SSAValue], frags))
        shape = tuple(self.tv.shape[a] if a in axes else joint[a] for a in range(self.tv.rank))
        placed = self._placement(resolved, shape)
        if placed is None:
            resolved = [self.coord(c) if isinstance(c, Axis) else c for c in resolved]
            placed = self._placement(resolved, shape)
        return Access(self, memory, resolved, shape, placed)

    def load(self, memory: SSAValue, coords: Sequence[Coord], other: float = 0.0) -> SSAValue:
        """Elements of a buffer; floats stay as they are stored."""
        if not any(isinstance(c, Axis) or is_frag(c) for c in coords):
            return self.b.load_scalar(memory, *cast(Sequence[Index], coords))
        return self.access(memory, coords).load(other)

    def store(self, value: SSAValue, memory: SSAValue, coords: Sequence[Coord]) -> None:
        value = self.cast(value, memory_of(memory).element_type)
        if not any(isinstance(c, Axis) or is_frag(c) for c in coords):
            if is_frag(value):
                value = self.b.extract(value)
            self.b.store_scalar(value, memory, *cast(Sequence[Index], coords))
            return
        self.access(memory, coords).store(value)


@dataclass
class Access:
    """One load or store: the fragment in the memory's own dimensions and its relation to the tile."""

    ev: Evaluator
    memory: SSAValue
    coords: list[Coord]
    shape: tuple[int, ...]
    placed: list[int | None] | None

    def _nd(self, tv: Tv) -> Tv:
        """A tile layout seen in the memory's dimensions."""
        if self.placed is None:
            tv, placed = merged(tv), [0 if d == self._first() else None for d in range(len(self.coords))]
        else:
            placed = self.placed

        def step(digit: TvDigit) -> TvDigit:
            size, vector = digit
            return size, tuple(0 if axis is None else vector[axis] for axis in placed)

        return Tv(
            tuple(1 if axis is None else tv.shape[axis] for axis in placed),
            tuple(map(step, tv.reg)),
            tuple(map(step, tv.lane)),
            tuple(map(step, tv.warp)),
        )

    def _first(self) -> int:
        return next(d for d, c in enumerate(self.coords) if is_frag(c))

    def _arguments(self) -> tuple[list[Index], dict[str, Any]]:
        b = self.ev.b
        offsets: list[Index] = []
        gather: dict[int, SSAValue] = {}
        checked: list[bool] = []
        bounds: list[Index] = []
        for dim, c in enumerate(self.coords):
            check = False
            if isinstance(c, Axis):
                offsets.append(b.add(c.start, c.shift))
                check = not c.exact
                if check:
                    bounds.append(b.add(c.limit, c.shift))
            elif is_frag(c):
                offsets.append(0)
                index = cast(SSAValue, c)
                if self.placed is None:
                    index = b.broadcast(index, self.ev.tv.project_to(self.shape))
                gather[dim] = b.relabel(index, self._nd(frag_of(index).tv))
            else:
                offsets.append(c)
            checked.append(check)
        return offsets, {"checked": checked, "bounds": bounds, "gather": gather}

    def load(self, other: float) -> SSAValue:
        tile = self.ev.tv.project_to(self.shape)
        offsets, options = self._arguments()
        cache = "nc" if self._read_only() else "default"
        frag = self.ev.b.load(self.memory, offsets, self._nd(tile), other=other, cache=cache, **options)
        return self.ev.b.relabel(frag, tile)

    def store(self, value: SSAValue) -> None:
        b = self.ev.b
        tile = self.ev.tv.project_to(self.shape)
        if not is_frag(value):
            value = b.splat(value, tile)
        elif frag_of(value).shape != self.shape:
            value = b.broadcast(value, tile)
        offsets, options = self._arguments()
        b.store(b.relabel(value, self._nd(tile)), self.memory, offsets, **options)

    def _read_only(self) -> bool:
        if not isinstance(self.memory, BlockArgument) or self.memory.owner is not self.ev.b.op.block:
            return False
        return self.ev.b.op.effects.data[self.memory.index].data == "r"


def merged(tv: Tv) -> Tv:
    """Both axes of a rank-2 tile as one, row-major."""
    _, columns = tv.shape

    def step(digit: TvDigit) -> TvDigit:
        size, (row, column) = digit[0], digit[1]
        return size, (row * columns + column,)

    return Tv((tv.shape[0] * columns,), tuple(map(step, tv.reg)), tuple(map(step, tv.lane)), tuple(map(step, tv.warp)))
