"""Kernels that compute every element of their results by itself (or a row of them together): tiling, stores, grids.

The row, pointwise, gather and generic schedules differ only in the `Tiling` that they choose. Results of one shape form a group;
groups share the launch, each CTA working on its piece of every group that is large enough.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from xdsl.ir import Attribute, Operation, SSAValue

from ...dialects.ir.diagnostics import LlmcError
from ...dialects.layout.ops import KernelOp, WriteOp
from ...dialects.layout.tv import Tv
from ...dialects.nn import ops as nn
from ...dialects.nn.sizes import Size
from ...dialects.nn.types import dims_of
from ...dialects.tile.ops import KernelOp as TileKernelOp
from .attention_rule import ATTENTION_RULES
from .base import Abi
from .builder import Index, TileBuilder
from .evaluate import Axis, Coord, Evaluator, Rule
from .loops import LOOP_RULES
from .paging import page_of, pages_of
from .rules import RULES, batch_part

ALL_RULES: Mapping[type[Operation], Rule] = RULES | LOOP_RULES | ATTENTION_RULES


@dataclass(frozen=True)
class Tiling:
    """A tile [rows, cols]: `vec` elements a thread along a row, the rest of the threads over the tile.

    `row`: 0, or the length of the rows that a tile holds whole, so that reductions along them happen inside it.
    `flat`: every dimension is a row position and cols is 1. `paired`: a thread holds the same columns of both halves of a row,
    so that rotary pairs meet in it.
    """

    rows: int
    cols: int
    vec: int
    warps: int
    row: int = 0
    flat: bool = False
    paired: bool = False

    @property
    def tv(self) -> Tv:
        if self.paired:
            return Tv.blocked((self.rows, self.cols // 2), self.vec, (1, 0), self.warps).concat(1, 2)
        return Tv.blocked((self.rows, self.cols), self.vec, (1, 0), self.warps)


@dataclass
class Effect:
    """One thing the kernel leaves behind, over coordinates of `dims`."""

    op: Operation
    dims: tuple[Size, ...]


@dataclass
class Group:
    """Effects over the same positions: `outer` dimensions, and `width` columns (None: one element a position)."""

    outer: tuple[Size, ...]
    width: Size | None
    effects: list[Effect] = field(default_factory=list[Effect])

    @property
    def count(self) -> Size:
        total = Size.of(1)
        for size in self.outer:
            total = total * size
        return total

    def column_tiles(self, tiling: Tiling) -> str:
        if self.width is None:
            return "1"
        constant = self.width.constant
        return str(-(-constant // tiling.cols)) if constant is not None else f"ceildiv({self.width}, {tiling.cols})"

    def tasks(self, tiling: Tiling) -> str:
        count = self.count
        rows = str(count) if tiling.rows == 1 else f"ceildiv({count}, {tiling.rows})"
        if count.constant is not None:
            rows = str(-(-count.constant // tiling.rows))
        columns = self.column_tiles(tiling)
        return rows if columns == "1" else f"{columns} * ({rows})"


def effects_of(kernel: KernelOp) -> list[Effect]:
    """Writes and appends, in order."""
    found: list[Effect] = []
    for op in kernel.block.ops:
        if isinstance(op, WriteOp):
            found.append(Effect(op, dims_of(op.value)))
        elif isinstance(op, nn.AppendOp):
            found.append(Effect(op, dims_of(op.k)))
    return found


def groups_of(kernel: KernelOp, tiling: Tiling) -> list[Group]:
    groups: dict[tuple[Size, ...], Group] = {}
    separate: list[Group] = []
    for effect in effects_of(kernel):
        dims = effect.dims
        if tiling.flat or not dims:
            group = groups.setdefault(dims, Group(dims, None))
        elif tiling.row and dims[-1].constant != tiling.row:
            outer = dims[:-1] if dims[-1].constant == 1 else dims
            group = groups.setdefault(outer, Group(outer, None))
        else:
            group = groups.setdefault(dims[:-1], Group(dims[:-1], dims[-1]))
            if group.width is None:
                group.width = dims[-1]
            elif group.width != dims[-1]:
                group = Group(dims[:-1], dims[-1])
                separate.append(group)
        group.effects.append(effect)
    return [*groups.values(), *separate]


def grid_of(kernel: KernelOp, tiling: Tiling) -> tuple[str, str, str]:
    tasks = list(dict.fromkeys(g.tasks(tiling) for g in groups_of(kernel, tiling)))
    if not tasks:
        raise LlmcError(
            "LLMC0508",
            f"kernel @{kernel.sym_name.data} writes nothing",
            kernel,
            fix="end its body in a layout.write, or remove the kernel",
        )
    return (tasks[0] if len(tasks) == 1 else f"max({', '.join(tasks)})", "1", "1")


def elementwise_abi(kernel: KernelOp, tiling: Tiling) -> Abi:
    return Abi(grid_of(kernel, tiling), tiling.warps)


def build_elementwise(kernel: KernelOp, schedule: Attribute, tiling: Tiling) -> TileKernelOp:
    """The CTA program for a tiling."""
    grid = grid_of(kernel, tiling)
    b = TileBuilder.kernel(kernel.sym_name.data, kernel, warps=tiling.warps, grid=grid, schedule=schedule)
    ev = Evaluator(b, kernel, tiling.tv, ALL_RULES, row_axis=tiling.row > 0)
    task = b.task()[0]
    groups = groups_of(kernel, tiling)
    several = len({g.tasks(tiling) for g in groups}) > 1
    for group in groups:

        def body(group: Group = group) -> None:
            with ev.scope():
                _group(ev, group, tiling, task)

        if several:
            b.if_(b.cmp("lt", task, b.dim(group.tasks(tiling))), body)
        else:
            body()
    return b.finish()


def _group(ev: Evaluator, group: Group, tiling: Tiling, task: SSAValue) -> None:
    b = ev.b
    columns = b.dim(group.column_tiles(tiling))
    row_block: Index = b.div(task, columns)
    column_block: Index = b.rem(task, columns)
    count = group.count
    position: Coord = row_block
    if tiling.rows > 1:
        exact = count.constant is not None and count.constant % tiling.rows == 0
        position = Axis(0, b.mul(row_block, tiling.rows), ev.size(count), exact)
    outer = ev.unravel(position, group.outer)
    column: Axis | None = None
    if group.width is not None:
        width = group.width.constant
        exact = width is not None and width % tiling.cols == 0
        column = Axis(1, b.mul(column_block, tiling.cols), ev.size(group.width), exact)
    for effect in group.effects:
        rank = len(effect.dims)
        if rank == len(outer):
            coords = [*outer]
        else:
            coords = [*outer, column if column is not None and effect.dims[-1] == group.width else 0]
        with b.at(effect.op.location):
            if isinstance(effect.op, WriteOp):
                _write(ev, effect.op, coords)
            else:
                assert isinstance(effect.op, nn.AppendOp)
                _append(ev, effect.op, coords)


def _write(ev: Evaluator, op: WriteOp, coords: Sequence[Coord]) -> None:
    value = ev.value(op.value, coords)
    ev.store(value, ev.argument(op.buffer), [ev.add(c, start) for c, start in zip(coords, op.start, strict=True)])


def _append(ev: Evaluator, op: nn.AppendOp, coords: Sequence[Coord]) -> None:
    """Each token's key and value go to its page; padding tokens belong to page 0."""
    token, head, channel = coords
    keys, values, page_size = pages_of(ev, op.kv)
    sequence = batch_part(ev, op.batch, "sequence", token)
    position = batch_part(ev, op.batch, "positions", token)
    page, slot = page_of(ev, op.batch, sequence, position, page_size)
    for source, pages in ((op.k, keys), (op.v, values)):
        ev.store(ev.value(source, coords), pages, [page, head, slot, channel])


# choosing tilings ---------------------------------------------------------------------------------
def vector_for(width: int, limit: int = 8) -> int:
    """Elements a thread takes at once along rows of `width`."""
    vec = limit
    while width % vec:
        vec //= 2
    return vec


def column_tiling(width: int, threads: int = 128) -> Tiling:
    """A tile for rows of `width` that need nothing of each other: threads along the row, then over rows."""
    vec = vector_for(width)
    units = max(width // vec, 1)
    lanes = 1
    while lanes < threads and lanes < units:
        lanes *= 2
    while lanes > 32 and units % lanes:
        lanes //= 2
    return Tiling(threads // lanes, lanes * vec, vec, threads // 32)


def row_tiling(width: int, limit: int = 16384) -> Tiling | None:
    """A tile that holds whole rows of `width`; None when they do not fit in the registers of a CTA."""
    if width > limit:
        return None
    vec = vector_for(width)
    if width <= 1024:
        lanes = 1
        while lanes < 32 and lanes * vec < width:
            lanes *= 2
        unit = lanes * vec
        return Tiling(4 * (32 // lanes), -(-width // unit) * unit, vec, 4, row=width)
    warps = 4
    while warps < 16 and width > warps * 32 * 32:
        warps *= 2
    unit = warps * 32 * vec
    return Tiling(1, -(-width // unit) * unit, vec, warps, row=width)


def with_pairs(kernel: KernelOp, tiling: Tiling) -> Tiling:
    """The tiling with paired halves if the kernel rotates whole rows of it."""
    half = tiling.cols // 2
    rotated = [op for op in kernel.block.ops if isinstance(op, nn.RopeOp) and not bool(op.interleaved.value.data)]
    widths = {dims_of(op.x)[-1].constant for op in rotated} | {dims_of(op.cos)[-1].constant for op in rotated}
    fits = widths == {tiling.cols} and half % tiling.vec == 0 and half // tiling.vec <= 32
    return replace(tiling, rows=2 * tiling.rows, paired=True) if fits else tiling


def common_width(kernel: KernelOp) -> int | None:
    """The static last dimension that all results share, if any."""
    widths = {e.dims[-1].constant if e.dims else None for e in effects_of(kernel)}
    return next(iter(widths)) if len(widths) == 1 else None
