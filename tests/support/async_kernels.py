"""One small kernel for each thing that runs beside a program: for numpy, the emulator, ptxas and the GPU alike."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from llmc.codegen.ptx.assemble import assemble, find_ptxas
from llmc.dialects.layout import expressions
from llmc.dialects.layout.tv import Tv
from llmc.dialects.layout.types import BufferType
from llmc.dialects.tile.ops import KernelOp
from llmc.dialects.tile.semantics import run_kernel
from llmc.runtime.device import KernelImage
from tile_kernels import image_of, start
from xdsl.dialects.builtin import f32, i32

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
    for _ in range(feature.launches):
        device.launch(function, feature.grid, [*(a.ptr for a in allocations), *sizes])
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


FEATURES: dict[str, Callable[[], Feature]] = {
    "mbarriers_by_hand": mbarriers_by_hand,
    "ring": lambda: ring(1, 3),
    "ring_of_several_copies": lambda: ring(4, 2),
    "bulk_stores": bulk_stores,
    "grid_dependency": grid_dependency,
    "counters": counters,
    "counters_between_roles": counters_between_roles,
}

__all__ = ["FEATURES", "TARGET", "Feature", "in_numpy", "on_device"]
