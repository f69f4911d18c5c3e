"""What attention kernels have in common: their parts, softmax in base 2, masks, the key and value operands."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import log2
from typing import cast

from xdsl.dialects.builtin import BFloat16Type, f32, i1
from xdsl.ir import Attribute, Block, BlockArgument, Operation, SSAValue

from ...dialects.layout.mem import MemLayout
from ...dialects.layout.ops import BatchOp, KernelOp, ReadOp, ReturnOp, StateOp, WriteOp, WriteStateOp
from ...dialects.layout.tv import Tv, TvDigit
from ...dialects.layout.types import BufferType, ScheduleAttr
from ...dialects.nn import ops as nn
from ...dialects.nn.types import MaskAttr, StateType, dims_of, elem_of
from ...dialects.tile import ops
from ...dialects.tile.types import frag_of
from .body import Unsupported, buffer_behind
from .builder import Index, TileBuilder
from .scalar import Scalar, ScalarBuilder
from .views import stored_through

LOG2E = log2(2.718281828459045)
NOWHERE = -1.0e30
"""The score of a masked key: finite, so that differences of it are no NaN."""


@dataclass
class AttentionBody:
    """The parts of an attention kernel. `keys` and `values`: pages [P, Hk, page, D] if `paged`, else [T, Hk, D]."""

    kernel: KernelOp
    op: nn.AttentionOp
    tokens: str | int
    heads: int
    key_heads: int
    width: int
    value_width: int
    q: BlockArgument
    keys: BlockArgument
    values: BlockArgument
    mask_tensor: BlockArgument | None
    out: BlockArgument
    out_layout: MemLayout | None
    batch: dict[str, BlockArgument]
    paged: bool

    @property
    def group(self) -> int:
        """Query heads a key head serves."""
        return self.heads // self.key_heads

    @property
    def mask(self) -> MaskAttr:
        return self.op.mask

    @property
    def scale(self) -> float:
        return self.op.scale.value.data

    @property
    def elem(self) -> Attribute:
        return elem_of(self.op.q)

    @property
    def longest(self) -> int | None:
        """Tokens that a sequence's row of the page table has room for; None without pages."""
        table = self.batch.get("page_table")
        columns = table.type.dims[1] if table is not None else None  # pyright: ignore
        return columns * self.page if isinstance(columns, int) else None

    @property
    def page(self) -> int:
        """Tokens a page."""
        return int(cast(BufferType, self.keys.type).dims[2])


def analyse_attention(kernel: KernelOp, stateless: bool = False) -> AttentionBody:
    """Take an attention kernel apart; Unsupported where it has another form. With `stateless`, attention over keys may have what
    only that has: a mask tensor, and a result that is transposed on its way to memory."""
    anchors = [op for op in kernel.block.ops if isinstance(op, nn.AttentionOp)]
    if len(anchors) != 1:
        raise Unsupported(f"{len(anchors)} attentions in one kernel")
    op = anchors[0]
    if op.mask_tensor is not None and not (stateless and op.kv is None):
        raise Unsupported("an explicit mask tensor")
    dims = dims_of(op.q)
    heads, width = dims[1].constant, dims[2].constant
    if heads is None or width is None:
        raise Unsupported("dynamic head sizes")
    out, out_layout = _destination(kernel, op)
    if out_layout is not None and not stateless:
        raise Unsupported("a result that is transposed")
    batch: dict[str, BlockArgument] = {}
    if op.batch is not None:
        assert isinstance(op.batch.owner, BatchOp)
        batch = {name: cast(BlockArgument, v) for name, v in op.batch.owner.parts.items()}
    if op.kv is not None:
        state = op.kv.owner
        if not isinstance(state, StateOp):
            raise Unsupported("an append in the same kernel")
        item = cast(StateType, op.kv.type)
        keys, values = cast(BlockArgument, state.k_pages), cast(BlockArgument, state.v_pages)
        key_heads, value_width = item.heads, item.head_size
    else:
        assert op.k is not None and op.v is not None
        keys, values = buffer_behind(op.k), buffer_behind(op.v)
        key_heads, value_width = dims_of(op.k)[1].constant or 0, dims_of(op.v)[2].constant or 0
    q = buffer_behind(op.q)
    for argument in (q, keys, values, out):
        buffer = cast(BufferType, argument.type)
        if not isinstance(buffer.element_type, BFloat16Type) or not buffer.is_row_major:
            raise Unsupported(f"{buffer} instead of row-major bf16")
    if width % 16 or value_width % 16:
        raise Unsupported(f"heads of {width}: no multiple of 16")
    if op.score is not None:
        for inner in op.score.block.ops:
            if inner.regions or inner.successors:
                raise Unsupported(f"{inner.name} in the score region")
    tokens = dims[0]
    return AttentionBody(
        kernel,
        op,
        tokens.constant if tokens.constant is not None else str(tokens),
        heads,
        key_heads,
        width,
        value_width,
        q,
        keys,
        values,
        None if op.mask_tensor is None else buffer_behind(op.mask_tensor),
        out,
        out_layout,
        batch,
        op.kv is not None,
    )


def _destination(kernel: KernelOp, anchor: nn.AttentionOp) -> tuple[BlockArgument, MemLayout | None]:
    """The one buffer that takes the result, reshaped and transposed or not; where that puts its elements, None for row-major."""
    value: SSAValue = anchor.result
    views: list[Operation] = []
    for op in kernel.block.ops:
        match op:
            case nn.ReshapeOp() | nn.TransposeOp() if op.x is value:
                value = op.result
                views.append(op)
            case WriteOp() if op.value is value and not any(op.start):
                return cast(BlockArgument, op.buffer), _moved(anchor, views)
            case ReadOp() | BatchOp() | StateOp() | WriteStateOp() | ReturnOp() | nn.AttentionOp() | nn.ReshapeOp():
                pass
            case _:
                raise Unsupported(f"{op.name} beside the attention")
    raise Unsupported("the attention's result is not written")


def _moved(anchor: nn.AttentionOp, views: list[Operation]) -> MemLayout | None:
    """Where views put the result's elements; None where they leave them in their order."""
    if not any(isinstance(view, nn.TransposeOp) for view in views):
        return None
    shape = [dim.constant for dim in dims_of(anchor.result)]
    found = None if None in shape else stored_through([size for size in shape if size is not None], views)
    if found is None:
        raise Unsupported("a transposed result of dynamic size")
    return found


def begin_attention(
    body: AttentionBody,
    schedule: ScheduleAttr,
    warps: int,
    grid: Sequence[str],
    retyped: dict[BlockArgument, BufferType],
    min_ctas: int | None = None,
) -> tuple[TileBuilder, dict[BlockArgument, SSAValue]]:
    """An empty tile kernel for an attention, with some arguments seen in another shape."""
    kernel = body.kernel
    op = ops.KernelOp(
        kernel.sym_name.data,
        [retyped.get(a, a.type) for a in kernel.buffers],  # pyright: ignore
        [e.data for e in kernel.arg_effects.data],
        [s.data for s in kernel.sizes.data],
        warps=warps,
        grid=grid,
        names=[a.name_hint or f"b{i}" for i, a in enumerate(kernel.buffers)],
        min_ctas=min_ctas,
        family=kernel.family.data,
        schedule=schedule,
        location=body.op.location,
    )
    return TileBuilder(op), dict(zip(kernel.block.args, op.block.args, strict=True))


def by_groups(body: AttentionBody, argument: BlockArgument, width: int) -> BufferType:
    """A tensor over heads as [T, key heads, heads a key head, width]."""
    elem = cast(BufferType, argument.type).element_type
    return BufferType.of((body.tokens, body.key_heads, body.group, width), elem)


def kept(digits: Sequence[TvDigit]) -> tuple[TvDigit, ...]:
    """Digits without those of size 1."""
    return tuple(d for d in digits if d[0] > 1)


def depth_run(width: int) -> int:
    """How many consecutive channels a lane loads at once as an operand: 8, or 4 where 32 does not divide the head."""
    return 8 if width % 32 == 0 else 4


def value_run(width: int) -> int:
    """Consecutive channels of a value that a lane loads at once: eight lanes stand side by side."""
    return next(run for run in (8, 4, 2) if width % (8 * run) == 0)


def query_operand(rows: int, width: int) -> tuple[tuple[TvDigit, ...], tuple[TvDigit, ...]]:
    """Register and lane digits over (row, channel) of operand A: lane (g, c) holds runs of channels of rows g and g + 8."""
    run = depth_run(width)
    return kept([(run, (0, 1)), (2, (8, 0)), (width // (4 * run), (0, 4 * run)), (rows // 16, (16, 0))]), (
        (4, (0, run)),
        (8, (1, 0)),
    )


def key_operand(keys: int, width: int) -> tuple[tuple[TvDigit, ...], tuple[TvDigit, ...]]:
    """Register and lane digits over (key, channel) of operand B, with the channels of `query_operand`."""
    run = depth_run(width)
    return kept([(run, (0, 1)), (width // (4 * run), (0, 4 * run)), (keys // 8, (8, 0))]), ((4, (0, run)), (8, (1, 0)))


def value_loaded(keys: int, width: int) -> tuple[tuple[TvDigit, ...], tuple[TvDigit, ...]]:
    """Register and lane digits over (key, channel) as values are loaded: runs of channels, of the keys that the same lane's scores
    belong to. Eight lanes g read one row side by side."""
    run = value_run(width)
    return (
        kept([(run, (0, 1)), (2, (1, 0)), (keys // 8, (8, 0)), (width // (8 * run), (0, 8 * run))]),
        ((4, (2, 0)), (8, (0, run))),
    )


def value_operand(keys: int, width: int) -> tuple[tuple[TvDigit, ...], tuple[TvDigit, ...]]:
    """The same lanes with pairs of keys innermost, as operand B wants them."""
    run = value_run(width)
    return (
        kept([(2, (1, 0)), (keys // 8, (8, 0)), (run, (0, 1)), (width // (8 * run), (0, 8 * run))]),
        ((4, (2, 0)), (8, (0, run))),
    )


def output_digits(rows: int, width: int) -> tuple[tuple[TvDigit, ...], tuple[TvDigit, ...]]:
    """Register and lane digits over (row, channel) of the output accumulator that fits `value_operand`.

    Column slot 2c + e of the tile of channel j is channel (2c + e)·run + j: a thread holds 2·run channels in a row.
    """
    run = value_run(width)
    return (
        kept([(2, (0, run)), (2, (8, 0)), (run, (0, 1)), (width // (8 * run), (0, 8 * run)), (rows // 16, (16, 0))]),
        ((4, (0, 2 * run)), (8, (1, 0))),
    )


def score_digits(rows: int, keys: int) -> tuple[tuple[TvDigit, ...], tuple[TvDigit, ...]]:
    """Register and lane digits over (row, key) of the scores; as operand A of P·V they stay where they are."""
    return kept([(2, (0, 1)), (2, (8, 0)), (keys // 8, (0, 8)), (rows // 16, (16, 0))]), ((4, (0, 2)), (8, (1, 0)))


def placed(
    digits: tuple[tuple[TvDigit, ...], tuple[TvDigit, ...]],
    shape: Sequence[int],
    axes: tuple[int, int],
    warp: Sequence[TvDigit],
) -> Tv:
    """Digits over two axes as a layout of `shape`, whose axes `axes` they are."""
    rank = len(shape)

    def lift(digit: TvDigit) -> TvDigit:
        step = [0] * rank
        step[axes[0]], step[axes[1]] = digit[1]
        return digit[0], tuple(step)

    reg, lane = digits
    return Tv(tuple(shape), tuple(map(lift, reg)), tuple(map(lift, lane)), kept(list(warp)))


@dataclass
class Softmax:
    """Running maximum, sum and unnormalised output of an online softmax, in base 2."""

    top: SSAValue
    total: SSAValue
    out: SSAValue

    @property
    def values(self) -> list[SSAValue]:
        return [self.top, self.total, self.out]


def scaled_scores(
    b: TileBuilder,
    body: AttentionBody,
    scores: SSAValue,
    query: SSAValue,
    key: SSAValue,
    head: SSAValue,
    valid: SSAValue | None,
    added: SSAValue | None = None,
) -> SSAValue:
    """Scores in units of `exponent_unit`: products as they are, or scaled, through the region and with the float mask `added`;
    masked ones NOWHERE. Operands broadcast."""
    region = body.op.score
    if region is None and valid is None and added is None:
        return scores

    def scale(s: ScalarBuilder, *elements: SSAValue) -> Scalar:
        x, *rest = elements
        y = x if region is None and added is None else s.mul(x, body.scale)
        if region is not None:
            y = _inlined(s, region.block, [y, *rest[:3]])
            del rest[:3]
        if added is not None:
            y = s.max(s.add(y, s.cast(rest.pop(0), f32)), NOWHERE)
        return s.select(rest[-1], y, NOWHERE) if valid is not None else y

    operands = [scores]
    if region is not None:
        operands += [query, key, head]
    if added is not None:
        operands.append(added)
    if valid is not None:
        operands.append(valid)
    return b.map(scale, *operands, tv=frag_of(scores).tv)


def exponent_unit(body: AttentionBody) -> float:
    """What a score of `scaled_scores` is multiplied by to become an exponent of 2."""
    mask = body.op.mask_tensor
    scaled = body.op.score is not None or (mask is not None and elem_of(mask) != i1)
    return LOG2E if scaled else body.scale * LOG2E


def _inlined(s: ScalarBuilder, block: Block, args: Sequence[SSAValue]) -> SSAValue:
    values: dict[SSAValue, SSAValue] = dict(zip(block.args, args, strict=True))
    for op in block.ops:
        if op is block.last_op:
            return values[op.operands[0]]
        clone: Operation = op.clone(values)
        s.insert(clone)
        values.update(zip(op.results, clone.results, strict=True))
    raise Unsupported("an empty score region")


def advance(
    b: TileBuilder, state: Softmax, scores: SSAValue, valid: SSAValue | None, unit: float = 1.0
) -> tuple[SSAValue, Softmax]:
    """Probabilities of a tile of scores (f32, unnormalised) and the state with its output rescaled.

    Scores (and the running maximum) times `unit` are exponents of 2: scaling costs nothing inside the exponent's fma.
    """
    axis = frag_of(scores).rank - 1
    top = b.map(lambda s, x, y: s.max(x, y), state.top, b.reduce(scores, axis, "max"))
    fade = b.map(lambda s, old, new: s.exp2(s.mul(s.sub(old, new), unit)), state.top, top)
    offset = b.map(lambda s, t: s.mul(t, -unit), top)

    def weigh(s: ScalarBuilder, x: SSAValue, shift: SSAValue, *keep: SSAValue) -> SSAValue:
        p = s.exp2(s.fma(x, unit, shift))
        return s.select(keep[0], p, 0.0) if keep else p

    weights = b.map(weigh, scores, offset, *([valid] if valid is not None else []), tv=frag_of(scores).tv)
    total = b.map(lambda s, t, f, add: s.add(s.mul(t, f), add), state.total, fade, b.reduce(weights, axis, "add"))
    faded = b.relayout(fade, frag_of(state.out).tv.project(axis)) if _differs(b, fade, state.out, axis) else fade
    out = b.map(lambda s, o, f: s.mul(o, f), state.out, faded)
    return weights, Softmax(top, total, out)


def _differs(b: TileBuilder, fade: SSAValue, out: SSAValue, axis: int) -> bool:
    from ...dialects.tile.types import same_registers

    return not same_registers(frag_of(fade).tv, frag_of(out).tv.project(axis))


def begin_softmax(b: TileBuilder, scores: Tv, out: Tv) -> Softmax:
    """The state before the first key."""
    rows = scores.project(scores.rank - 1)
    return Softmax(b.full(NOWHERE, rows), b.full(0.0, rows), b.full(0.0, out))


__all__ = [
    "NOWHERE", "AttentionBody", "Index", "Softmax", "advance", "analyse_attention", "begin_attention", "begin_softmax", "by_groups", "exponent_unit",
    "f32", "key_operand", "kept", "output_digits", "placed", "query_operand", "scaled_scores", "score_digits", "value_loaded",
    "value_operand",
]  # fmt: skip
