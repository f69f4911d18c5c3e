"""One small kernel for each thing that runs beside a program: for numpy, the emulator, ptxas and the GPU alike."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
from llmc.codegen.ptx.assemble import assemble, find_ptxas
from llmc.codegen.schedules.images import image_blocks, weight_image
from llmc.dialects.layout import expressions
from llmc.dialects.layout.mem import MemLayout
from llmc.dialects.layout.tensor_map import TensorMap
from llmc.dialects.layout.tv import Tv
from llmc.dialects.layout.types import BufferType
from llmc.dialects.tile.ops import KernelOp
from llmc.dialects.tile.semantics import run_kernel, storage_of
from llmc.runtime.device import KernelImage
from llmc.runtime.tensor_map import tensor_map
from ml_dtypes import bfloat16
from tile_kernels import image_of, start
from xdsl.dialects.builtin import bf16, f32, i32

TARGET = "sm_90a"


@dataclass(frozen=True)
class Feature:
    """A kernel, the storage of its buffers, and what it should leave in some of them after `launches` launches in a row."""

    kernel: KernelOp
    arrays: Sequence[np.ndarray]
    wanted: Mapping[int, np.ndarray]
    sizes: Mapping[str, int] = field(default_factory=dict[str, int])
    launches: int = 1

    @property
    def grid(self) -> tuple[int, int, int]:
        x, y, z = (expressions.evaluate(g.data, self.sizes) for g in self.kernel.grid.data)
        return x, y, z

    def check(self, arrays: Sequence[np.ndarray]) -> None:
        for index, wanted in self.wanted.items():
            np.testing.assert_array_equal(arrays[index].reshape(wanted.shape), wanted)


def in_numpy(feature: Feature) -> list[np.ndarray]:
    """The buffers after the reference semantics."""
    arrays = [np.array(a) for a in feature.arrays]
    for _ in range(feature.launches):
        run_kernel(feature.kernel, arrays, feature.sizes)
    return arrays


def on_device(feature: Feature, device: Any) -> list[np.ndarray]:
    """The buffers after the lowered kernel ran; a GPU gets a cubin."""
    image = image_of(feature.kernel, TARGET)
    if device.name != "emulator":
        image = KernelImage(**{**vars(image), "cubin": assemble(image.ptx, TARGET, ptxas=find_ptxas()).cubin})
    function = device.load(image)
    allocations = [device.alloc(max(a.nbytes, 16)) for a in feature.arrays]
    for allocation, array in zip(allocations, feature.arrays, strict=True):
        device.upload(allocation, array)
    sizes = [feature.sizes[name.data] for name in feature.kernel.sizes.data]
    maps = [
        tensor_map(m, feature.kernel.buffers[m.buffer].type, feature.sizes, allocations[m.buffer].ptr)
        for m in feature.kernel.tensor_maps
    ]
    for _ in range(feature.launches):
        device.launch(function, feature.grid, [*(a.ptr for a in allocations), *maps, *sizes])
    device.synchronize()
    return [
        device.download(allocation, array.nbytes).view(array.dtype).reshape(array.shape)
        for allocation, array in zip(allocations, feature.arrays, strict=True)
    ]


def numbers(*shape: int) -> np.ndarray:
    """Small whole numbers: sums of them are exact in any order."""
    return np.random.default_rng(sum(shape)).integers(-8, 9, shape).astype(np.float32)


# -- copies and mbarriers ---------------------------------------------------------------------------------------------
def mbarriers_by_hand() -> Feature:
    """Two copies that count at two barriers, waited for in the other order."""
    b = start("by_hand", [BufferType.of([1024], f32), BufferType.of([512], f32)], ["r", "w"], warps=4)
    tv = Tv.blocked((512,), 4, None, 4)
    stages, full = b.alloc([2, 512], f32), b.mbarriers(2, 1)
    for slot in range(2):
        b.mbarrier_expect(full, slot, 2048)
        b.bulk_copy(b.arg(0), [512 * slot], b.stage(stages, slot), full, slot, 2048)
    b.mbarrier_wait(full, 1, 0)
    second = b.load(b.stage(stages, 1), [0], tv)
    b.mbarrier_wait(full, 0, 0)
    first = b.load(b.stage(stages, 0), [0], tv)
    b.store(b.map(lambda s, x, y: s.sub(x, y), first, second), b.arg(1), [0])
    x = numbers(1024)
    return Feature(b.finish(), [x, np.zeros(512, np.float32)], {1: x[:512] - x[512:]})


def ring(copies: int, stages: int, blocks: int = 7) -> Feature:
    """A producer warp streams blocks to four consumers, each block by several copies."""
    elements = 512
    types = [BufferType.of([blocks * elements], f32), BufferType.of([1, elements], f32)]
    b = start("stream", types, ["r", "w"], warps=5)
    held = b.ring(stages, [1, elements], f32, consumers=4, copies=copies)
    tv = Tv.blocked((1, elements), 4, None, 4)
    piece = elements // copies

    def produce() -> None:
        def body(i: Any) -> None:
            b.ring_acquire(held, i)
            for p in range(copies):
                b.bulk_load(b.arg(0), [b.add(b.mul(i, elements), p * piece)], held, i, piece * 4, at=p * piece * 4)

        b.for_(0, blocks, 1, [], body)

    def consume() -> None:
        def body(i: Any, total: Any) -> Any:
            x = b.load(b.ring_wait(held, i), [0, 0], tv)
            b.ring_release(held, i)
            return [b.map(lambda s, a, c: s.add(a, c), total, x)]

        (total,) = b.for_(0, blocks, 1, [b.full(0.0, tv)], body)
        b.store(total, b.arg(1), [0, 0])

    b.roles((1, produce), (4, consume))
    x = numbers(blocks * elements)
    total = x.reshape(blocks, elements).sum(0, keepdims=True)
    return Feature(b.finish(), [x, np.zeros((1, elements), np.float32)], {1: total})


def bulk_stores() -> Feature:
    """Doubled blocks leave through one piece of shared memory, which is written again once it was read."""
    b = start("stores", [BufferType.of([4, 512], f32), BufferType.of([4, 512], f32)], ["r", "w"], warps=4, grid=[2, 1, 1])
    tv = Tv.blocked((1, 512), 4, None, 4)
    out = b.alloc([1, 512], f32)
    first = b.mul(b.task()[0], 2)

    def body(i: Any) -> None:
        x = b.load(b.arg(0), [b.add(first, i), 0], tv)
        b.store(b.map(lambda s, v: s.add(v, v), x), out, [0, 0])
        b.bulk_store(out, b.arg(1), [b.add(first, i), 0], 2048)
        b.bulk_commit()

    b.for_(0, 2, 1, [], body)
    x = numbers(4, 512)
    return Feature(b.finish(), [x, np.zeros((4, 512), np.float32)], {1: 2 * x})


# -- boxes ------------------------------------------------------------------------------------------------------------
def boxes(swizzle: int) -> Feature:
    """A box of each corner of a matrix, the outer ones beyond its edge, through shared memory with a swizzle."""
    rows, columns = 40, (swizzle or 64) // 2
    x_type = BufferType.of(["T", 96], bf16)
    y_type = BufferType.of([2, 2, rows, columns], bf16)
    b = start("boxes", [x_type, y_type], ["r", "w"], ["T"], 2, [2, 2, 1], maps=[TensorMap(0, (rows, columns), swizzle)])
    layout = MemLayout.swizzled((rows, columns), 2, swizzle) if swizzle else None
    stage, full = b.alloc([rows, columns], bf16, layout), b.mbarriers(1, 1)
    i, j, _ = b.task()
    at = [b.add(b.mul(i, 50), -10), b.add(b.mul(j, 80), -8)]
    b.mbarrier_expect(full, 0, rows * columns * 2)
    b.tma_copy(b.arg(2), at, stage, full, 0)
    b.mbarrier_wait(full, 0, 0)
    tv = Tv.blocked((rows, columns), 2, None, 2)
    x = b.load(stage, [0, 0], tv)
    b.store(b.relabel(x, tv.expand(0).expand(0)), b.arg(1), [i, j, 0, 0])
    data = numbers(70, 96).astype(bfloat16)
    wide = np.zeros((200, 300), bfloat16)
    wide[64:134, 64:160] = data
    wanted = np.stack([np.stack([wide[54 + 50 * i :, 56 + 80 * j :][:rows, :columns] for j in range(2)]) for i in range(2)])
    return Feature(b.finish(), [data, np.zeros_like(wanted)], {1: wanted}, {"T": 70})


def boxes_of_rank(rank: int) -> Feature:
    """One box of a tensor of 1 to 5 dimensions, doubled and stored as a box beyond the edge: what is outside stays."""
    shape, box = (3, 4, 5, 6, 40)[5 - rank :], (2, 3, 2, 4, 16)[5 - rank :]
    at = [1] * (rank - 1) + [32]
    type_ = BufferType.of(shape, f32)
    b = start("rank", [type_, type_], ["r", "w"], maps=[TensorMap(0, box), TensorMap(1, box)])
    stage, full = b.alloc(box, f32), b.mbarriers(1, 1)
    b.mbarrier_expect(full, 0, 4 * int(np.prod(box)))
    b.tma_copy(b.arg(2), at, stage, full, 0)
    b.mbarrier_wait(full, 0, 0)
    tv = Tv.blocked(box, 1, None, 1)
    x = b.load(stage, [0] * rank, tv)
    b.store(b.map(lambda s, v: s.add(v, v), x), stage, [0] * rank)
    b.tma_store(stage, b.arg(3), at)
    b.bulk_commit()
    b.bulk_wait(0)
    x = numbers(*shape)
    wanted = np.full(shape, -1, np.float32)
    region = tuple(slice(a, a + n) for a, n in zip(at, box, strict=True))
    wanted[region] = 2 * x[region]
    return Feature(b.finish(), [x, np.full(shape, -1, np.float32)], {1: wanted})


def ring_of_boxes() -> Feature:
    """Panels of 64 columns go through a ring, two boxes a stage; consumers add up what they find."""
    steps, rows = 6, 16
    panel = MemLayout((((rows, 64),), ((64, 1), (2, 64 * rows))), (3, 3, 3))
    types = [BufferType.of([rows, 128 * steps], bf16), BufferType.of([rows, 128], f32)]
    b = start("panels", types, ["r", "w"], warps=3, maps=[TensorMap(0, (rows, 64), 128)])
    held = b.ring(3, [rows, 128], bf16, panel, consumers=2, copies=2)
    tv = Tv.blocked((rows, 128), 4, None, 2)

    def produce() -> None:
        def body(i: Any) -> None:
            b.ring_acquire(held, i)
            for p in range(2):
                b.tma_load(b.arg(2), [0, b.add(b.mul(i, 128), 64 * p)], held, i, at=p * rows * 128, cache="evict_first")

        b.for_(0, steps, 1, [], body)

    def consume() -> None:
        def body(i: Any, total: Any) -> Any:
            x = b.cast(b.load(b.ring_wait(held, i), [0, 0], tv), f32)
            b.ring_release(held, i)
            return [b.map(lambda s, a, c: s.add(a, c), total, x)]

        (total,) = b.for_(0, steps, 1, [b.full(0.0, tv)], body)
        b.store(total, b.arg(1), [0, 0])

    b.roles((1, produce), (2, consume))
    x = numbers(rows, 128 * steps).astype(bfloat16)
    total = x.astype(np.float32).reshape(rows, steps, 128).sum(1)
    return Feature(b.finish(), [x, np.zeros((rows, 128), np.float32)], {1: total})


# -- products ---------------------------------------------------------------------------------------------------------
def products_of_images(by_rows: bool, pair: int) -> Feature:
    """Blocks of a weight's image and a box of tokens meet in wgmma: two warpgroups divide the rows, or by turns eights of tokens."""
    m, n, k = (256, 24, 128) if by_rows else (128, 32, 128)
    types = [image_blocks(m, k, bf16), BufferType.of(["T", k], bf16), BufferType.of([m, n], f32)]
    maps = [TensorMap(1, (n, 64), 128)]
    b = start("products", types, ["r", "r", "w"], ["T"], 8, features=["wgmma"], maps=maps)
    stage = weight_image(m, 64, bf16, pair)
    a_smem = b.alloc([2, m, 64], bf16, MemLayout((((2, m * 64),), *stage.dims), stage.swizzle))
    x_smem = b.alloc([2, n, 64], bf16, MemLayout.swizzled((2, n, 64), 2))
    full = b.mbarriers(2, 1)
    slot, lane, tile = (m // 2, 1, 8) if pair else (1, 2, 16)
    columns, groups = ((n // 8, (0, 8)), (2, (8 * tile, 0))) if by_rows else ((n // 16, (0, 16)), (2, (0, 8)))
    reg = ((2, (0, 1)), (2, (tile, 0)), columns, (2, (slot, 0)))
    tv = Tv((m, n), reg, ((4, (0, 2)), (8, (lane, 0))), ((4, (2 * tile, 0)), groups))
    for step in range(2):
        b.mbarrier_expect(full, step, 128 * (m + n))
        for row in range(m // 16):
            b.bulk_copy(b.arg(0), [row, 2 * step, 0], b.stage(a_smem, step), full, step, 2048, at=2048 * row)
        b.tma_copy(b.arg(3), [0, 64 * step], b.stage(x_smem, step), full, step)
    product = b.wgmma_begin(b.full(0.0, tv))
    for step in range(2):
        b.mbarrier_wait(full, step, 0)
        product = b.wgmma(b.stage(a_smem, step), b.stage(x_smem, step), product)
    b.store(b.wgmma_wait(product), b.arg(2), [0, 0])
    w, x = numbers(m, k).astype(bfloat16), numbers(n - 3, k).astype(bfloat16)
    wanted = np.zeros((m, n), np.float32)
    wanted[:, : n - 3] = w.astype(np.float32) @ x.astype(np.float32).T
    return Feature(
        b.finish(), [storage_of(w, weight_image(m, k, bf16, pair)), x, np.zeros_like(wanted)], {2: wanted}, {"T": n - 3}
    )


# -- dependencies -----------------------------------------------------------------------------------------------------
def grid_dependency() -> Feature:
    """Launches in a row, each started before the one in front of it has ended."""
    b = start("grids", [BufferType.of([16, 128], f32)], ["rw"], warps=1, grid=[16, 1, 1])
    tv = Tv.blocked((1, 128), 4, None, 1)
    row = b.task()[0]
    b.await_("x", "grid")
    x = b.load(b.arg(0), [row, 0], tv)
    b.publish("x", "grid")
    b.store(b.map(lambda s, v: s.add(v, 1.0), x), b.arg(0), [row, 0])
    x = numbers(16, 128)
    return Feature(b.finish(), [x], {0: x + 5}, launches=5)


def counters() -> Feature:
    """Tasks of one launch in a chain: each reads what the one before it has written."""
    tasks = 12
    b = start(
        "chain", [BufferType.of([tasks + 1, 256], f32), BufferType.of([2], i32)], ["rw", "rw"], warps=2, grid=[tasks, 1, 1]
    )
    tv = Tv.blocked((1, 256), 4, None, 2)
    task = b.task()[0]
    b.await_counter("row", b.arg(1), 1, task)
    x = b.load(b.arg(0), [task, 0], tv, cache="cg")
    b.store(b.map(lambda s, v: s.add(s.mul(v, 2.0), 1.0), x), b.arg(0), [b.add(task, 1), 0])
    b.publish_counter("row", b.arg(1), 1)
    rows = np.zeros((tasks + 1, 256), np.float32)
    rows[0] = numbers(256)
    wanted = [rows[0]]
    for _ in range(tasks):
        wanted.append(2 * wanted[-1] + 1)
    return Feature(b.finish(), [rows, np.zeros(2, np.int32)], {0: np.stack(wanted), 1: np.array([0, tasks], np.int32)})


def counters_between_roles() -> Feature:
    """One role writes, the other awaits it: published once for each warp role, not for each thread."""
    b = start(
        "roles",
        [BufferType.of([1, 128], f32), BufferType.of([1, 128], f32), BufferType.of([1], i32)],
        ["rw", "w", "rw"],
        warps=2,
    )
    tv = Tv.blocked((1, 128), 4, None, 1)

    def write() -> None:
        b.store(b.full(3.0, tv), b.arg(0), [0, 0])
        b.publish_counter("x", b.arg(2), 0)

    def read() -> None:
        b.await_counter("x", b.arg(2), 0, 1)
        b.store(b.load(b.arg(0), [0, 0], tv, cache="cg"), b.arg(1), [0, 0])

    b.roles((1, read), (1, write))
    zeros = np.zeros((1, 128), np.float32)
    return Feature(b.finish(), [zeros, zeros, np.zeros(1, np.int32)], {1: zeros + 3, 2: np.ones(1, np.int32)})


# -- clusters ---------------------------------------------------------------------------------------------------------
ROW = Tv.blocked((1, 256), 4, None, 2)


def cluster_kernel(name: str, cluster: int, rows: int, **options: Any) -> Any:
    """A kernel of two warps a CTA from `rows` rows to as many, and its builder."""
    type_ = BufferType.of([rows, 256], f32)
    return start(name, [type_, type_], ["r", "w"], warps=2, grid=[rows, 1, 1], cluster=cluster, **options)


def peers() -> Feature:
    """Each CTA reads what its neighbour in the cluster has put into its shared memory."""
    b = cluster_kernel("peers", 4, 8)
    mine, task, rank = b.alloc([1, 256], f32), b.task()[0], b.rank()
    b.store(b.load(b.arg(0), [task, 0], ROW), mine, [0, 0])
    b.cluster_barrier()
    b.store(b.load(b.peer(mine, b.rem(b.add(rank, 1), 4)), [0, 0], ROW), b.arg(1), [task, 0])
    x = numbers(8, 256)
    wanted = np.concatenate([np.roll(x[:4], -1, 0), np.roll(x[4:], -1, 0)])
    return Feature(b.finish(), [x, np.zeros_like(x)], {1: wanted})


def arrivals_from_peers() -> Feature:
    """All CTAs write into the memory of rank 0 and arrive at its barrier; rank 0 waits and hands the rows on."""
    b = cluster_kernel("arrivals", 4, 4)
    rows, full = b.alloc([4, 256], f32), b.mbarriers(1, 4)
    task, rank = b.task()[0], b.rank()
    first = b.peer(rows, 0)
    x = b.load(b.arg(0), [task, 0], ROW)
    b.cluster_barrier()
    b.store(b.map(lambda s, v: s.add(v, v), x), first, [rank, 0])
    b.barrier()
    b.mbarrier_arrive(b.peer(full, 0), 0, by="role")

    def hand_on() -> None:
        b.mbarrier_wait(full, 0, 0)
        for row in range(4):
            b.store(b.load(rows, [row, 0], ROW), b.arg(1), [row, 0])

    b.if_(b.cmp("eq", rank, 0), hand_on)
    x = numbers(4, 256)
    return Feature(b.finish(), [x, np.zeros_like(x)], {1: 2 * x})


def multicast(by_map: bool) -> Feature:
    """Each of two CTAs sends one half of a block to both; each waits for the whole."""
    maps = [TensorMap(0, (1, 128))] if by_map else []
    type_ = BufferType.of([1, 256], f32)
    b = start("multicast", [type_, BufferType.of([2, 256], f32)], ["r", "w"], warps=2, grid=[2, 1, 1], cluster=2, maps=maps)
    whole, full, rank = b.alloc([1, 2, 128], f32), b.mbarriers(1, 1), b.rank()
    b.mbarrier_expect(full, 0, 1024)
    for r in range(2):

        def send(r: int = r) -> None:
            if by_map:
                b.tma_copy(b.arg(2), [0, 128 * r], whole, full, 0, at=512 * r, multicast=3)
            else:
                b.bulk_copy(b.arg(0), [128 * r], whole, full, 0, 512, at=512 * r, multicast=3)

        b.if_(b.cmp("eq", rank, r), send)
    b.mbarrier_wait(full, 0, 0)
    flat = b.view(whole, [1, 256], f32)
    b.store(b.load(flat, [0, 0], ROW), b.arg(1), [b.task()[0], 0])
    x = numbers(1, 256)
    return Feature(b.finish(), [x, np.zeros((2, 256), np.float32)], {1: np.repeat(x, 2, 0)})


def split_reduce_of_a_cluster() -> Feature:
    """The rows of a cluster's CTAs are summed in the order of ranks; the sum is not exact, so another order would show."""
    b = cluster_kernel("cluster_sum", 4, 8)
    task = b.task()[0]
    b.store(b.split_reduce(b.load(b.arg(0), [task, 0], ROW)), b.arg(1), [task, 0])
    x = np.random.default_rng(3).standard_normal((8, 256)).astype(np.float32)
    sums = [((x[c] + x[c + 1]) + x[c + 2]) + x[c + 3] for c in (0, 4)]
    return Feature(b.finish(), [x, np.zeros_like(x)], {1: np.repeat(np.stack(sums), 4, 0)})


def split_reduce_of_a_cta() -> Feature:
    """The parts of four warps are summed in their order."""
    type_ = BufferType.of([4, 128], f32)
    b = start("cta_sum", [type_, BufferType.of([1, 128], f32)], ["r", "w"], warps=4)
    parts = Tv((4, 128), ((4, (0, 1)),), ((32, (0, 4)),), ((4, (1, 0)),))
    b.store(b.split_reduce(b.load(b.arg(0), [0, 0], parts), "cta"), b.arg(1), [0, 0])
    x = np.random.default_rng(4).standard_normal((4, 128)).astype(np.float32)
    total = ((x[0] + x[1]) + x[2]) + x[3]
    return Feature(b.finish(), [x, np.zeros((1, 128), np.float32)], {1: total[None]})


def elected() -> Feature:
    """One elected thread of two warps writes."""
    b = start("elected", [BufferType.of([2], i32)], ["rw"], warps=2)

    def add() -> None:
        b.atomic_add(b.i32(1), b.arg(0), 1)

    b.if_(b.elect(), add)
    return Feature(b.finish(), [np.zeros(2, np.int32)], {0: np.array([0, 1], np.int32)})


FEATURES: dict[str, Callable[[], Feature]] = {
    "mbarriers_by_hand": mbarriers_by_hand,
    "ring": lambda: ring(1, 3),
    "ring_of_several_copies": lambda: ring(4, 2),
    "bulk_stores": bulk_stores,
    **{f"boxes_with_swizzle_{swizzle}": partial(boxes, swizzle) for swizzle in (0, 32, 64, 128)},
    **{f"boxes_of_rank_{rank}": partial(boxes_of_rank, rank) for rank in range(1, 6)},
    "ring_of_boxes": ring_of_boxes,
    "peers": peers,
    "arrivals_from_peers": arrivals_from_peers,
    "multicast_bytes": partial(multicast, False),
    "multicast_boxes": partial(multicast, True),
    "split_reduce_of_a_cluster": split_reduce_of_a_cluster,
    "split_reduce_of_a_cta": split_reduce_of_a_cta,
    "elected": elected,
    "products_by_rows": partial(products_of_images, True, 0),
    "products_by_tokens": partial(products_of_images, False, 0),
    "products_of_pairs": partial(products_of_images, True, 128),
    "grid_dependency": grid_dependency,
    "counters": counters,
    "counters_between_roles": counters_between_roles,
}

__all__ = ["FEATURES", "TARGET", "Feature", "in_numpy", "on_device"]
