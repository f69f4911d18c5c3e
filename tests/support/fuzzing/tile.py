"""Generators of `tile`: fragments with any register layout, shared memory, rings, tensor cores."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

from llmc.dialects.layout.mem import MemLayout
from llmc.dialects.layout.tv import Tv, TvDigit
from llmc.dialects.layout.types import BufferType
from llmc.dialects.tile import ops_compute as compute
from llmc.dialects.tile import ops_kernel as kernel
from llmc.dialects.tile import ops_memory as memory
from llmc.dialects.tile import ops_ring as ring
from llmc.dialects.tile import ops_wgmma as wgmma
from llmc.dialects.tile.ops_memory import CACHE_HINTS
from llmc.dialects.tile.types import FragType, RingType, SmemType
from xdsl.dialects import arith
from xdsl.dialects.builtin import IntegerType, bf16, f16, f32, i1, i8, i32, i64
from xdsl.ir import Attribute, Block, Region, SSAValue

from .attributes import texts
from .modules import MAKERS
from .scope import Scope, generates, zero_of

LANES = ((32,), (4, 8), (8, 4), (2, 16), (2, 2, 8))


def layout(b: Scope, rank: int | None = None, warps: int | None = None, whole: bool = False) -> Tv:
    """A register layout in which every digit takes the next stretch of an axis, or (of lanes and warps, unless `whole`) repeats it."""
    warps = warps or b.state["warps"]
    rank = b.number(1, 3) if rank is None else rank
    extents = [1] * rank

    def digits(sizes: Sequence[int], whole: bool = whole) -> tuple[TvDigit, ...]:
        made: list[TvDigit] = []
        for size in sizes:
            step = [0] * rank
            if whole or not b.top.chance():
                axis = b.number(0, rank - 1)
                step[axis] = extents[axis]
                extents[axis] *= size
            made.append((size, tuple(step)))
        return tuple(made)

    reg = digits([b.pick(2, 3, 4) for _ in range(b.number(0, 2))], whole=True)
    lane = digits(b.pick(*LANES))
    warp = digits([2] * (warps.bit_length() - 1))
    return Tv(tuple(extents), reg, lane, warp)


def fragment(b: Scope, elem: Attribute, tv: Tv) -> SSAValue:
    return b.value(FragType.of(elem, tv))


def _make_fragment(b: Scope, kind: Attribute) -> SSAValue:
    assert isinstance(kind, FragType)
    return b.put(compute.FullOp(zero_of(kind.element_type), kind.element_type, kind.tv))


MAKERS[FragType] = _make_fragment
MAKERS[SmemType] = lambda b, kind: b.put(memory.AllocOp(kind))  # pyright: ignore
MAKERS[RingType] = lambda b, kind: b.put(ring.RingOp(kind, consumers=b.number(1, b.state["warps"]), copies=b.number(1, 2)))  # pyright: ignore


def offsets(b: Scope, rank: int) -> list[SSAValue]:
    """Coordinates of which nothing is known before the kernel runs: a constant one may leave the memory."""
    task = kernel.TaskOp()
    b.put(task)
    return [b.pick(*task.results) for _ in range(rank)]


def elem(b: Scope) -> Attribute:
    return b.pick(bf16, f16, f32, i8, i32)


def shared(b: Scope, shape: Sequence[int], kind: Attribute) -> SSAValue:
    swizzled = MemLayout(MemLayout.row_major(shape).dims, b.pick(None, (3, 3, 3)))
    return b.value(SmemType.of(shape, kind, swizzled))


# kernels and their order -------------------------------------------------------------------------------------------


@generates(kernel.KernelOp, kernel.ReturnOp, place="tile.kernel")
def nothing(b: Scope) -> None:
    pass


@generates(kernel.TaskOp, place="tile.kernel")
def task(b: Scope) -> None:
    b.put(kernel.TaskOp())


@generates(kernel.RolesOp, kernel.YieldOp, place="tile.kernel")
def roles(b: Scope) -> None:
    counts = b.pick([4], [1, 1, 2], [2, 2])
    regions: list[Region] = []
    for count in counts:
        block = Block()
        scope = Scope(b.top, block, [], b.fresh, {"warps": count})
        scope.fresh = None
        if b.flag():
            scope.put(compute.FullOp(1, i32, layout(scope)))
        scope.put(kernel.YieldOp())
        regions.append(Region(block))
    b.put(kernel.RolesOp(counts, regions, [b.pick(24, 40, 232) for _ in counts] if b.flag() else None))


@generates(kernel.BarrierOp, place="tile.kernel")
def barrier(b: Scope) -> None:
    b.put(kernel.BarrierOp(fenced=b.flag()))


@generates(kernel.FenceOp, place="tile.kernel")
def fence(b: Scope) -> None:
    b.put(kernel.FenceOp())


@generates(kernel.IsThreadOp, place="tile.kernel")
def is_thread(b: Scope) -> None:
    b.put(kernel.IsThreadOp(b.number(0, 31)))


# memory ------------------------------------------------------------------------------------------------------------


@generates(memory.AllocOp, place="tile.kernel")
def alloc(b: Scope) -> None:
    kind = SmemType.of([b.size() for _ in range(b.number(1, 3))], elem(b))
    b.put(memory.AllocOp(kind, alias=b.pick(None, "group", b.draw(texts))))


@generates(memory.StageOp, place="tile.kernel")
def stage(b: Scope) -> None:
    shape = [b.pick(2, 3), *b.pick([64], [8, 64], [16, 64])]
    swizzle = (3, 3, 3) if shape[-1] * prod(shape[1:-1]) % 512 == 0 and b.flag() else None
    layout_ = MemLayout(MemLayout.row_major(shape).dims, swizzle)
    b.put(memory.StageOp(b.value(SmemType.of(shape, elem(b), layout_)), b.value(i32)))


@generates(memory.ViewOp, place="tile.kernel")
def view(b: Scope) -> None:
    b.put(memory.ViewOp(b.value(SmemType.of([64], f32)), SmemType.of([b.pick(8, 16, 32)], b.pick(f32, bf16)), b.pick(0, 128)))


def _access(b: Scope, tv: Tv, dims: Sequence[int]) -> dict[str, object]:
    """Checks, bounds and gathered dimensions that suit a tile in a memory of these sizes."""
    extra: dict[str, object] = {"cache": b.pick(*CACHE_HINTS)}
    checked = [extent > size or b.flag() for extent, size in zip(tv.shape, dims)]
    if any(checked):
        extra["checked"] = checked
        if b.flag():
            extra["bounds"] = [b.value(i32) for flag in checked if flag]
    if b.flag():
        dim = b.number(0, tv.rank - 1)
        others = [axis for axis in range(tv.rank) if axis != dim]
        extra["gather"] = {dim: fragment(b, i32, tv.project(*others) if others else tv)}
    return extra


def _memory(b: Scope, tv: Tv, kind: Attribute) -> tuple[SSAValue, list[int]]:
    dims = [extent if b.flag() else max(1, extent // 2) for extent in tv.shape]
    if b.flag():
        return shared(b, dims, kind), dims
    return b.value(BufferType.of(dims, kind)), dims


@generates(memory.LoadOp, place="tile.kernel")
def load(b: Scope) -> None:
    tv = layout(b)
    src, dims = _memory(b, tv, elem(b))
    b.put(memory.LoadOp(src, offsets(b, tv.rank), tv, other=b.pick(0.0, 1.0, -1e30), **_access(b, tv, dims)))  # pyright: ignore


@generates(memory.StoreOp, place="tile.kernel")
def store(b: Scope) -> None:
    tv, kind = layout(b), elem(b)
    dst, dims = _memory(b, tv, kind)
    b.put(memory.StoreOp(fragment(b, kind, tv), dst, offsets(b, tv.rank), **_access(b, tv, dims)))  # pyright: ignore


@generates(memory.LoadScalarOp, memory.StoreScalarOp, memory.AtomicAddOp, place="tile.kernel")
def scalars(b: Scope) -> None:
    rank, kind = b.number(1, 2), b.pick(f32, i32)
    buffer = b.value(BufferType.of([b.size() for _ in range(rank)], kind))
    x = b.put(memory.LoadScalarOp(buffer, offsets(b, rank)))
    b.put(memory.StoreScalarOp(x, buffer, offsets(b, rank)))
    b.put(memory.AtomicAddOp(x, buffer, offsets(b, rank)))


@generates(memory.CpAsyncOp, memory.CpAsyncCommitOp, memory.CpAsyncWaitOp, place="tile.kernel")
def cp_async(b: Scope) -> None:
    warps = b.state["warps"]
    tv = Tv((8 * warps, 32), ((8, (0, 1)), (2, (4, 0))), ((4, (0, 8)), (4, (1, 0)), (2, (0, 0))), ((warps, (8, 0)),))
    source = b.value(BufferType.of(["T", 32], bf16))
    target = shared(b, list(tv.shape), bf16)
    extra = _access(b, tv, tv.shape)
    b.put(memory.CpAsyncOp(source, offsets(b, 2), target, offsets(b, 2), tv, **extra))  # pyright: ignore
    b.put(memory.CpAsyncCommitOp())
    b.put(memory.CpAsyncWaitOp(b.number(0, 3)))


@generates(memory.PrefetchOp, place="tile.kernel")
def prefetch(b: Scope) -> None:
    tv = layout(b)
    b.put(memory.PrefetchOp(b.value(BufferType.of(list(tv.shape), elem(b))), offsets(b, tv.rank), tv))


# rings -------------------------------------------------------------------------------------------------------------


@generates(ring.RingOp, ring.RingAcquireOp, ring.BulkLoadOp, ring.RingWaitOp, ring.RingReleaseOp, place="tile.kernel")
def rings(b: Scope) -> None:
    kind = RingType.of(b.number(1, 4), SmemType.of(b.pick([512], [8, 64]), bf16))
    made, index = b.value(kind), b.value(i32)
    source = b.value(BufferType.of([4096], bf16))
    b.put(ring.RingAcquireOp(made, index))
    at = b.value(b.pick(i32, i64))
    b.put(ring.BulkLoadOp(source, [at], made, index, b.pick(16, 512), at=b.pick(0, 16), cache=b.pick("default", "evict_first")))
    b.put(ring.RingWaitOp(made, index))
    b.put(ring.RingReleaseOp(made, index))


# fragments ---------------------------------------------------------------------------------------------------------


@generates(compute.MapOp, kernel.YieldOp, place="tile.kernel")
def map_(b: Scope) -> None:
    tv = layout(b)
    kinds = [elem(b) for _ in range(b.number(0, 2))]
    inputs = [fragment(b, k, tv.project(b.number(0, tv.rank - 1)) if b.flag() else tv) for k in kinds]
    block = Block(arg_types=kinds)
    scope = Scope(b.top, block, [*block.args])
    scalar = b.value(f32)
    for argument in list(block.args):
        if isinstance(argument.type, IntegerType):
            scope.put(arith.AddiOp(argument, argument))
        else:
            scope.put(arith.MulfOp(argument, argument))
    results = [scope.pick(*scope.pool, scalar) for _ in range(b.number(1, 2))]
    scope.put(kernel.YieldOp(*results))
    b.put(compute.MapOp(inputs, tv, block))


@generates(compute.IotaOp, place="tile.kernel")
def iota(b: Scope) -> None:
    tv = layout(b)
    b.put(compute.IotaOp(b.number(0, tv.rank - 1), tv))


@generates(compute.ReduceOp, place="tile.kernel")
def reduce(b: Scope) -> None:
    tv = layout(b)
    b.put(compute.ReduceOp(fragment(b, elem(b), tv), b.number(0, tv.rank - 1), b.pick(*compute.REDUCTIONS)))


QUAD: tuple[TvDigit, ...] = ((4, (0, 2)), (8, (1, 0)))


def mma_layouts(rows: int, n: int, k: int) -> tuple[Tv, Tv, Tv]:
    """a [16 · rows, 16 · k], b [8 · n, 16 · k] and c of mma.m16n8k16, the rows spread over warps."""
    warp, same = ((rows, (16, 0)),), ((rows, (0, 0)),)
    a = Tv((16 * rows, 16 * k), ((2, (0, 1)), (2, (8, 0)), (2, (0, 8)), (k, (0, 16))), QUAD, warp)
    b = Tv((8 * n, 16 * k), ((2, (0, 1)), (2, (0, 8)), (k, (0, 16)), (n, (8, 0))), QUAD, same)
    c = Tv((16 * rows, 8 * n), ((2, (0, 1)), (2, (8, 0)), (n, (0, 8))), QUAD, warp)
    return a, b, c


@generates(compute.MmaOp, place="tile.kernel")
def mma(b: Scope) -> None:
    left, right, acc = mma_layouts(b.state["warps"], b.pick(1, 2, 8), b.pick(1, 2))
    kind = b.pick(bf16, f16)
    b.put(compute.MmaOp(fragment(b, kind, left), fragment(b, kind, right), fragment(b, f32, acc)))


@generates(compute.RelayoutOp, place="tile.kernel")
def relayout(b: Scope) -> None:
    tv = layout(b)
    other = Tv(tv.shape, tv.reg[::-1], tv.lane[::-1], tv.warp[::-1])
    b.put(compute.RelayoutOp(fragment(b, elem(b), tv), other))


@generates(compute.RelabelOp, place="tile.kernel")
def relabel(b: Scope) -> None:
    tv = layout(b, rank=2)

    def turned(digits: tuple[TvDigit, ...]) -> tuple[TvDigit, ...]:
        return tuple((size, step[::-1]) for size, step in digits)

    b.put(compute.RelabelOp(fragment(b, elem(b), tv), Tv(tv.shape[::-1], turned(tv.reg), turned(tv.lane), turned(tv.warp))))


@generates(compute.SliceOp, place="tile.kernel")
def slice_(b: Scope) -> None:
    _, _, acc = mma_layouts(b.state["warps"], 8, 1)
    b.put(compute.SliceOp(fragment(b, f32, acc), 1, b.pick(0, 8, 32), b.pick(8, 16, 32)))


@generates(compute.ConcatOp, place="tile.kernel")
def concat(b: Scope) -> None:
    tv = layout(b)
    kind = FragType.of(elem(b), tv)
    b.put(compute.ConcatOp([b.value(kind) for _ in range(b.number(1, 3))], b.number(0, tv.rank - 1)))


@generates(compute.BroadcastOp, place="tile.kernel")
def broadcast(b: Scope) -> None:
    tv = layout(b)
    b.put(compute.BroadcastOp(fragment(b, elem(b), tv.project(b.number(0, tv.rank - 1))), tv))


@generates(compute.FullOp, place="tile.kernel")
def full(b: Scope) -> None:
    b.put(compute.FullOp(b.number(-8, 7), b.pick(bf16, f16, f32, i8, i32), layout(b)))


@generates(compute.SplatOp, place="tile.kernel")
def splat(b: Scope) -> None:
    b.put(compute.SplatOp(b.value(b.pick(f32, bf16, i32, i1)), layout(b)))


@generates(compute.ExtractOp, place="tile.kernel")
def extract(b: Scope) -> None:
    warps = b.state["warps"]
    tv = Tv((2, 1), ((2, (1, 0)),), ((32, (0, 0)),), ((warps, (0, 0)),))
    b.put(compute.ExtractOp(fragment(b, f32, tv), [b.number(0, 1), 0]))


@generates(compute.UnpackOp, place="tile.kernel")
def unpack(b: Scope) -> None:
    b.put(compute.UnpackOp(fragment(b, i8, layout(b)), b.pick(bf16, f32)))


# warpgroups --------------------------------------------------------------------------------------------------------


@generates(wgmma.AsyncFenceOp, wgmma.WgmmaBeginOp, wgmma.WgmmaOp, wgmma.WgmmaWaitOp, place="tile.kernel")
def warpgroup(b: Scope) -> None:
    warps, n = b.state["warps"], b.pick(1, 2, 8)
    left, _, acc = mma_layouts(warps, n, 4)
    panel = MemLayout(MemLayout.row_major([8 * n, 64]).dims, (3, 3, 3))
    b.put(wgmma.AsyncFenceOp())
    kind = b.pick(bf16, f16)
    right = b.value(SmemType.of([8 * n, 64], kind, panel))
    rows = MemLayout(MemLayout.row_major([left.shape[0], 64]).dims, (3, 3, 3))
    a = b.value(SmemType.of([left.shape[0], 64], kind, rows)) if b.flag() else fragment(b, kind, left)
    flying = fragment(b, f32, acc)
    for op in (*((wgmma.WgmmaBeginOp,) if b.flag() else ()), wgmma.WgmmaOp, wgmma.WgmmaWaitOp):
        flying = b.put(
            wgmma.WgmmaOp(a, right, flying) if op is wgmma.WgmmaOp else op(flying, *((1,) if op is wgmma.WgmmaWaitOp else ()))
        )
    flying = b.put(wgmma.WgmmaBeginOp(b.put(wgmma.WgmmaWaitOp(flying, 0))))
    b.put(wgmma.WgmmaWaitOp(flying, 0))
