"""The epilogue of a linear kernel on a tile of its product, shared by the skinny and the gemm schedules.

The product comes as one f32 tile [tokens, rows] or, with paired rows, as two: rows i … and rows i + P …. Values of the body are
evaluated part by part on such tiles; column ranges of y become offsets, ranges that not every tile lies in become `scf.if`.
Everything stays f32 until it is stored, but for what an explicit cast rounds.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import cast

from xdsl.dialects.linalg.ops import GenericOp
from xdsl.ir import BlockArgument, Operation, SSAValue

from ...dialects.layout.ops import WriteOp
from ...dialects.layout.tv import Tv
from ...dialects.layout.types import BufferType
from ...dialects.nn import ops as nn
from ...dialects.nn.types import dims_of
from ...dialects.tile.types import frag_of
from .body import Columns, Effect, LinearBody, Unsupported, buffer_behind, projected
from .builder import Index, TileBuilder
from .regions import inline_generic, widened
from .scalar import ScalarBuilder

Parts = dict[int, SSAValue]
"""Part (0, or 1 for the second rows of pairs) → f32 tile [tokens, rows]."""


@dataclass
class Epilogue:
    """Evaluates the body on one tile; see the module docstring.

    `buffers`: kernel argument → argument of the tile kernel. `token`: first row of the tile; `base`: column of y where part 0 starts.
    `bound`: number of tokens. `guard_columns`: N is no multiple of the tile's rows.
    """

    b: TileBuilder
    body: LinearBody
    buffers: Mapping[BlockArgument, SSAValue]
    token: Index
    base: Index
    bound: SSAValue
    product: Parts
    guard_columns: bool = False
    _memo: dict[SSAValue, Parts] = field(default_factory=dict[SSAValue, Parts])

    def run(self) -> None:
        """Emit every effect of the body."""
        groups: dict[tuple[int, int], list[Effect]] = {}
        for effect in self.body.effects:
            groups.setdefault((effect.columns.low, effect.columns.high), []).append(effect)
        for (low, high), effects in groups.items():
            whole = low == 0 and high == self.body.n
            emit = self._emitter(effects)
            if whole:
                emit()
            else:
                b = self.b
                inside = self._within(low, high)
                self._memo.clear()
                b.if_(inside, emit)
                self._memo.clear()

    def _within(self, low: int, high: int) -> SSAValue:
        b = self.b
        if low == 0:
            return b.cmp("lt", self.base, high)
        if high == self.body.n:
            return b.cmp("ge", self.base, low)
        return b.scalar.and_(b.cmp("ge", self.base, low), b.cmp("lt", self.base, high))

    def _emitter(self, effects: list[Effect]) -> Callable[[], None]:
        def emit() -> None:
            for effect in effects:
                if effect.kind == "write":
                    self._write(effect)
                else:
                    self._append(effect)

        return emit

    # -- columns ------------------------------------------------------------------------------------------------
    def _halved(self, columns: Columns) -> bool:
        """Whether a value is one half of y (or both joined), so that only one part exists."""
        return bool(self.body.pair) and 2 * self.body.pair == self.body.n and columns.extent == self.body.pair

    def column(self, columns: Columns, part: int) -> Index:
        """The column of a value where its part starts."""
        if self._halved(columns):
            return self.base
        return self.b.add(self.base, part * self.body.pair - columns.starts[0])

    # -- values -------------------------------------------------------------------------------------------------
    def value(self, value: SSAValue) -> Parts:
        """The tiles of a value of the body."""
        if value not in self._memo:
            self._memo[value] = self._compute(value)
        return self._memo[value]

    def _compute(self, value: SSAValue) -> Parts:
        owner = value.owner
        match owner:
            case nn.LinearOp():
                return self._linear(owner)
            case nn.SliceOp():
                source, columns = self.value(owner.x), self.body.columns[value]
                if self._halved(columns):
                    return {0: source[columns.starts[0] // self.body.pair]}
                return source
            case nn.ReshapeOp():
                return self.value(owner.x)
            case nn.RopeOp():
                return self._rope(owner)
            case GenericOp():
                return self._generic(owner, value)
            case _:
                raise Unsupported(f"{value} in the epilogue")

    def _linear(self, op: nn.LinearOp) -> Parts:
        if op.bias is None:
            return self.product
        b, columns = self.b, self.body.columns[op.result]
        parts: Parts = {}
        for part, tile in self.product.items():
            bias = self._load(buffer_behind(op.bias), ["c"], tile, [self.column(columns, part)])
            parts[part] = b.map(lambda s, y, z: s.add(y, widened(s, z)), tile, bias)
        return parts

    def _rope(self, op: nn.RopeOp) -> Parts:
        b, columns, source = self.b, self.body.columns[op.result], self.value(op.x)
        assert columns.heads is not None
        width, rotary = columns.heads[1], dims_of(op.cos)[1].constant
        tile = source[0]
        angle = b.rem(self.column(columns, 0), width)
        cos, sin = (
            self._load(buffer_behind(table), ["t", "c"], tile, [self.token, angle], other=other, guard=width != rotary)
            for table, other in ((op.cos, 1.0), (op.sin, 0.0))
        )

        def rotate(sign: str) -> Callable[[ScalarBuilder, SSAValue, SSAValue, SSAValue, SSAValue], SSAValue]:
            def body(s: ScalarBuilder, x: SSAValue, y: SSAValue, cosine: SSAValue, sine: SSAValue) -> SSAValue:
                left, right = s.mul(x, widened(s, cosine)), s.mul(y, widened(s, sine))
                return s.sub(left, right) if sign == "-" else s.add(left, right)

            return body

        return {
            0: b.map(rotate("-"), source[0], source[1], cos, sin),
            1: b.map(rotate("+"), source[1], source[0], cos, sin),
        }

    def _generic(self, op: GenericOp, value: SSAValue) -> Parts:
        b, columns = self.b, self.body.columns[value]
        maps = [projected(m.data) for m in op.indexing_maps.data]
        evaluated = {v: self.value(v) for v in op.inputs if v in self.body.columns}
        first = next(iter(evaluated.values()))
        index = list(op.results).index(value)  # pyright: ignore
        parts: Parts = {}
        for part, tile in first.items():
            frags: list[SSAValue] = []
            for operand, loops in zip(op.inputs, maps, strict=False):
                if operand in evaluated:
                    frags.append(evaluated[operand][part])
                else:
                    frags.append(self._operand(buffer_behind(operand), loops, columns, part, tile))
            parts[part] = b.map(lambda s, *xs: inline_generic(s, op, xs)[index], *frags, tv=frag_of(tile).tv)
        return parts

    def _operand(
        self, argument: BlockArgument, loops: list[int | None], columns: Columns, part: int, tile: SSAValue
    ) -> SSAValue:
        """An operand of a generic, at the part's columns."""
        b, column = self.b, self.column(columns, part)
        roles: list[str] = []
        offsets: list[Index] = []
        flat = cast(BufferType, self.buffers[argument].type).rank != len(loops)
        for loop in loops:
            if loop is None:
                roles.append("1")
                offsets.append(0)
            elif loop == 0:
                roles.append("t")
                offsets.append(self.token)
            elif flat or columns.heads is None:
                if flat and loop == 1:
                    continue
                roles.append("c")
                offsets.append(column)
            elif loop == 1:
                roles.append("1")
                offsets.append(b.div(column, columns.heads[1]))
            else:
                roles.append("c")
                offsets.append(b.rem(column, columns.heads[1]))
        return self._load(argument, roles, tile, offsets)

    def _load(
        self,
        argument: BlockArgument,
        roles: list[str],
        tile: SSAValue,
        offsets: list[Index],
        *,
        other: float = 0.0,
        guard: bool = False,
    ) -> SSAValue:
        """Load what a tile [tokens, rows] needs of a buffer whose dimensions are tokens "t", columns "c" or fixed "1"."""
        b, tv = self.b, frag_of(tile).tv
        missing = [axis for axis, role in enumerate("tc") if role not in roles]
        wanted = tv.project(*missing) if missing else tv
        checked = [role == "t" or (role == "c" and (guard or self.guard_columns)) for role in roles]
        bounds: list[Index] = []
        buffer = cast(BufferType, self.buffers[argument].type)
        for role, flag, dim in zip(roles, checked, buffer.dims, strict=True):
            if flag:
                bounds.append(self.bound if role == "t" else int(dim))
        loaded = b.load(
            self.buffers[argument], offsets, arranged(wanted, roles), checked=checked, bounds=bounds, other=other, cache="nc"
        )
        return b.relabel(loaded, wanted)

    # -- effects ------------------------------------------------------------------------------------------------
    def _write(self, effect: Effect) -> None:
        b, op = self.b, effect.op
        target = self.buffers[cast(BlockArgument, op.operands[1])]
        buffer = cast(BufferType, target.type)
        start = cast(WriteOp, op).start
        for part, tile in self.value(effect.value).items():
            column = self.column(effect.columns, part)
            value = b.cast(tile, buffer.element_type)
            tv = frag_of(value).tv
            if buffer.rank == 2:
                # a tensor over heads in memory that the tile kernel sees as a matrix: heads count in their widths
                heads = cast(BufferType, op.operands[1].type).dims[2:]
                shift = start[1] * int(heads[0]) + start[2] if heads else start[1]
                offsets, roles = [self.token, b.add(column, shift)], ["t", "c"]
            else:
                assert effect.columns.heads is not None
                width = effect.columns.heads[1]
                head = b.add(b.div(column, width), start[1])
                offsets, roles = [self.token, head, b.add(b.rem(column, width), start[2])], ["t", "1", "c"]
            checked = [role == "t" or (role == "c" and self.guard_columns) for role in roles]
            bounds = [self.bound] + ([self.body.n] if self.guard_columns else [])
            b.store(b.relabel(value, arranged(tv, roles)), target, offsets, checked=checked, bounds=bounds)

    def _append(self, effect: Effect) -> None:
        """Keys or values go to page page_table[sequence, position / page] of each token; rows beyond the last token to page 0."""
        b, op = self.b, cast(nn.AppendOp, effect.op)
        assert effect.columns.heads is not None
        pages = self.buffers[state_pages(op, effect.kind)]
        buffer = cast(BufferType, pages.type)
        page_size = int(buffer.dims[2])
        batch = {name: self.buffers[cast(BlockArgument, v)] for name, v in op.batch.owner.parts.items()}  # pyright: ignore
        width = effect.columns.heads[1]
        for part, tile in self.value(effect.value).items():
            value = b.cast(tile, buffer.element_type)
            tv = frag_of(value).tv
            tokens = tv.project(1)
            page, slot = page_and_slot(b, batch, self.token, self.bound, tokens, page_size)
            column = self.column(effect.columns, part)
            roles = ["t", "1", "1", "c"]
            index_tv = arranged(tokens, roles)
            offsets = [0, b.div(column, width), 0, b.rem(column, width)]
            b.store(
                b.relabel(value, arranged(tv, roles)),
                pages,
                offsets,
                gather={0: b.relabel(page, index_tv), 2: b.relabel(slot, index_tv)},
            )


def arranged(tv: Tv, roles: Sequence[str]) -> Tv:
    """A layout [tokens, columns] as one over dimensions with these roles: "t", "c", or "1" of size 1. Registers stay."""
    result, missing = tv, [axis for axis, role in enumerate("tc") if role not in roles]
    for axis in reversed(missing):
        if tv.shape[axis] != 1:
            raise Unsupported("a tile varies along a dimension that its memory lacks")
        result = result.drop(axis)
    for position, role in enumerate(roles):
        if role == "1":
            result = result.expand(position)
    return result


def state_pages(op: nn.AppendOp, kind: str) -> BlockArgument:
    """The argument with the key or value pages that an append updates."""
    state = op.kv.owner
    assert isinstance(state, Operation)
    return cast(BlockArgument, state.operands[0 if kind == "keys" else 1])


def page_and_slot(
    b: TileBuilder, batch: Mapping[str, SSAValue], token: Index, bound: SSAValue, tokens: Tv, page_size: int
) -> tuple[SSAValue, SSAValue]:
    """Page and slot of each token, tiles like `tokens` ([n, 1]); rows at or beyond `bound` get the scratch page 0."""
    line = tokens.drop(1)

    def read(name: str) -> SSAValue:
        return b.relabel(b.load(batch[name], [token], line, checked=[True], bounds=[bound], cache="nc"), tokens)

    position, sequence = read("positions"), read("sequence")
    index = b.map(lambda s, p: s.div(p, page_size), position)
    slot = b.map(lambda s, p: s.rem(p, page_size), position)
    found = b.load(batch["page_table"], [0, 0], tokens, gather={0: sequence, 1: index}, cache="nc")
    row = b.iota(tokens, 0)
    page = b.map(lambda s, p, r: s.select(s.cmp("lt", s.add(r, b.i32(token)), bound), p, 0), found, row)
    return page, slot


__all__ = ["Epilogue", "Parts", "arranged", "page_and_slot"]
