"""What the schedules of linear layers share: the kernel's arguments as they see them, grid, weight image, norm scale."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

from xdsl.ir import Attribute, BlockArgument, SSAValue

from ...dialects.layout.types import BufferType, ScheduleAttr
from ...dialects.nn.types import elem_of
from ...dialects.tile import ops
from .base import Abi
from .body import LinearBody, buffer_behind
from .builder import Index, TileBuilder
from .images import image_blocks, weight_image


@dataclass
class LinearFrame:
    """A tile kernel in the making and its operands. `bound`: number of tokens; `maps`: the tensor maps of its ABI."""

    b: TileBuilder
    body: LinearBody
    buffers: dict[BlockArgument, BlockArgument]
    x: SSAValue
    weight: SSAValue
    gamma: SSAValue | None
    bound: SSAValue
    maps: tuple[SSAValue, ...] = ()

    def column_base(self, task: Index, rows: int) -> Index:
        """The column of y where part 0 of row task `task` starts; each task takes `rows` rows of each part."""
        b, pair = self.b, self.body.pair
        if pair == 0:
            return b.mul(task, rows)
        per_block = pair // rows
        if 2 * pair == self.body.n:
            return b.mul(task, rows)
        block, inside = b.div(task, per_block), b.rem(task, per_block)
        return b.add(b.mul(block, 2 * pair), b.mul(inside, rows))

    def finish(self) -> ops.KernelOp:
        return self.b.finish()


def tile_arguments(body: LinearBody, mapped: bool) -> list[Attribute]:
    """The buffer types of the tile kernel: the weight as blocks of its image, outputs and x (unless a tensor map is of it) as matrices."""
    types: dict[BlockArgument, Attribute] = {a: a.type for a in body.kernel.buffers}
    x = cast(BufferType, body.x.type)
    if x.rank != 2 and not mapped:
        types[body.x] = BufferType.of((body.tokens, body.k), x.element_type)
    types[body.weight] = image_blocks(body.n, body.k, elem_of(body.linear.weight))
    for effect in body.effects:
        target = effect.op.operands[1]
        if effect.kind == "write" and isinstance(target, BlockArgument):
            buffer = cast(BufferType, target.type)
            if buffer.rank == 3 and buffer.is_row_major and all(isinstance(d, int) for d in buffer.dims[1:]):
                types[target] = BufferType.of((buffer.dims[0], int(buffer.dims[1]) * int(buffer.dims[2])), buffer.element_type)
    return [types[a] for a in body.kernel.buffers]


def begin_kernel(
    body: LinearBody,
    abi: Abi,
    schedule: ScheduleAttr,
    min_ctas: int | None = None,
    cluster: int = 1,
    features: Sequence[str] = (),
) -> LinearFrame:
    """An empty tile kernel for a linear."""
    kernel = body.kernel
    op = ops.KernelOp(
        kernel.sym_name.data,
        tile_arguments(body, bool(abi.maps)),
        [e.data for e in kernel.arg_effects.data],
        [s.data for s in kernel.sizes.data],
        warps=abi.warps,
        grid=abi.grid,
        names=[a.name_hint or f"b{i}" for i, a in enumerate(kernel.buffers)],
        min_ctas=min_ctas,
        family=kernel.family.data,
        schedule=schedule,
        maps=abi.maps,
        cluster=cluster,
        target_features=features,
        location=body.linear.location,
    )
    b = TileBuilder(op)
    arguments = [a for a in op.block.args if a not in op.map_args]
    buffers = dict(zip(kernel.block.args, arguments, strict=True))
    return LinearFrame(
        b,
        body,
        buffers,  # pyright: ignore
        buffers[body.x],
        buffers[body.weight],
        None if body.norm is None else buffers[buffer_behind(body.norm.weight)],
        b.i32(b.dim(body.tokens)),
        op.map_args,
    )


def linear_abi(body: LinearBody, m: int, n: int, warps: int) -> Abi:
    """The grid of [N / m, T / n] tasks and the weight's image."""
    rows = -(-body.n // m)
    tokens = f"ceildiv({body.tokens}, {n})"
    image = weight_image(body.n, body.k, elem_of(body.linear.weight), body.pair)
    return Abi((str(rows), tokens, "1"), warps, {body.weight.index: image})


def scale_rows(b: TileBuilder, body: LinearBody, tile: SSAValue, squares: SSAValue) -> SSAValue:
    """A tile [tokens, rows] times 1 / √(Σx² / K + eps) of its tokens ([tokens, 1])."""
    norm = body.norm
    assert norm is not None
    eps = norm.eps.value.data
    inverse = b.map(lambda s, v: s.rsqrt(s.add(s.mul(v, 1.0 / body.k), eps)), squares)
    return b.map(lambda s, y, r: s.mul(y, r), tile, inverse)
