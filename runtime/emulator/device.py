"""The emulator as a device: memory, modules from PTX text, launches in batches of CTAs, recorded graphs.

device = EmulatorDevice()
x = device.alloc(4096)
function = device.load(KernelImage("scale", ptx_text, threads=128))
device.launch(function, (8, 1, 1), [x.ptr, 1024])
"""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ...dialects.ir.diagnostics import LlmcError
from ...dialects.ptx.parse import parse_ptx
from ..device import Allocation, Argument, Function, Grid, KernelImage, check_grid, check_range
from .asynchrony import Asynchrony
from .context import Context, pack_params
from .decode import Kernel, decode
from .memory import GlobalMemory
from .scheduler import Scheduler

REGISTER_BYTES = 3 << 20
"""Registers of one batch of CTAs, so that they stay near the L2 cache of the host."""
SHARED_BYTES = 16 << 20
CACHED_BYTES = 1 << 29
"""Batches kept for the next launch of the same kernel, in all."""
SHARED_LIMITS = {80: 163 << 10, 86: 99 << 10, 87: 163 << 10, 89: 99 << 10, 90: 227 << 10, 100: 227 << 10, 120: 99 << 10}


@dataclass(eq=False)
class Batch:
    """A context with what runs it."""

    ctx: Context
    asynchrony: Asynchrony
    scheduler: Scheduler
    nbytes: int


@dataclass(eq=False)
class LoadedKernel:
    kernel: Kernel
    block: Grid
    batch: int  # CTAs that run side by side, whole clusters
    cluster: int = 1
    free: dict[int, list[Batch]] = field(default_factory=dict)


@dataclass(eq=False)
class RecordedGraph:
    """The launches of a `capture`, run again by `replay`."""

    device: EmulatorDevice
    launches: list[tuple[Function, Grid, tuple[Argument, ...]]] = field(default_factory=list)

    def replay(self) -> None:
        for function, grid, args in self.launches:
            self.device.launch(function, grid, args)


class EmulatorDevice:
    """Interprets PTX; see runtime/device.py for the protocol.

    `strict` tracks which bytes were written (reading others is an error) and which warps race for shared memory; it is several times
    slower.
    `seed` draws the order in which bulk copies land.
    """

    name = "emulator"
    asynchronous = False

    def __init__(self, target: str = "sm_80", *, strict: bool = False, seed: int = 0, capacity: int = 1 << 36) -> None:
        self.target = target
        self.strict = strict
        self.seed = seed
        self.memory = GlobalMemory(capacity, strict)
        self.instructions = 0
        self._recording: RecordedGraph | None = None
        self._cached: deque[tuple[LoadedKernel, Batch]] = deque()
        self._cached_bytes = 0

    # -- memory -------------------------------------------------------------------------------------------------------------------

    def alloc(self, nbytes: int) -> Allocation:
        return Allocation(self.memory.alloc(nbytes), nbytes, self)

    def free(self, allocation: Allocation) -> None:
        check_range(allocation, 0, 0, "free")
        allocation.live = False
        self.memory.free(allocation.ptr)

    def upload(self, allocation: Allocation, array: np.ndarray[Any, Any], offset: int = 0) -> None:
        data = np.ascontiguousarray(array).reshape(-1).view(np.uint8)
        check_range(allocation, offset, len(data), "upload")
        self.memory.range(allocation.ptr + offset, len(data))[:] = data
        self.memory.mark(allocation.ptr + offset, len(data))

    def download(self, allocation: Allocation, nbytes: int, offset: int = 0) -> np.ndarray[Any, Any]:
        check_range(allocation, offset, nbytes, "download")
        return self.memory.range(allocation.ptr + offset, nbytes).copy()

    def memset(self, allocation: Allocation, value: int = 0) -> None:
        check_range(allocation, 0, 0, "memset")
        self.memory.range(allocation.ptr, allocation.nbytes)[:] = value
        self.memory.mark(allocation.ptr, allocation.nbytes)

    # -- kernels ------------------------------------------------------------------------------------------------------------------

    def load(self, image: KernelImage) -> Function:
        program = parse_ptx(image.ptx)
        if image.name not in program.kernels:
            raise LlmcError(
                "LLMC0925",
                f"the PTX has no kernel {image.name}",
                f"kernel {image.name}",
                why=f"it has {', '.join(program.kernels) or 'none'}",
                fix="load the PTX that was made of this kernel",
            )
        kernel = decode(program.kernels[image.name], image.ptx)
        cluster = kernel.cluster or image.cluster
        if cluster[1:] != (1, 1) or image.cluster not in ((1, 1, 1), cluster):
            raise LlmcError(
                "LLMC0926",
                f"kernel {image.name} wants clusters of {image.cluster}, its PTX of {cluster}",
                f"kernel {image.name}",
                why="the emulator has clusters along x, as large as the PTX says",
                fix="give the launch the cluster of .reqnctapercluster",
            )
        block = kernel.reqntid or (image.threads, 1, 1)
        if block[0] * block[1] * block[2] != image.threads:
            block = (image.threads, 1, 1) if kernel.reqntid is None else block
        shared = kernel.smem_static + image.dyn_smem
        architecture = int("".join(c for c in program.target.split("_")[-1] if c.isdigit()) or 80)
        limit = SHARED_LIMITS.get(architecture, 227 << 10)
        if shared > limit:
            raise LlmcError(
                "LLMC0927",
                f"kernel {image.name} wants {shared} bytes of shared memory",
                f"kernel {image.name}",
                why=f"{program.target} has {limit}",
                fix="use a schedule with fewer stages or smaller tiles",
            )
        threads = (block[0] * block[1] * block[2] + 31) // 32 * 32
        per_thread = sum(max(bits // 8, 1) for bits in kernel.registers.values()) + 1
        batch = min(max(REGISTER_BYTES // per_thread, 2048), 16384) // threads
        batch = max(1, min(batch, SHARED_BYTES // (shared + 1)))
        return Function(image.name, image, LoadedKernel(kernel, block, -(-batch // cluster[0]) * cluster[0], cluster[0]))

    def launch(self, function: Function, grid: Grid, args: Sequence[Argument]) -> None:
        if not check_grid(function, grid):
            return
        if self._recording is not None:
            self._recording.launches.append((function, grid, tuple(args)))
            return
        loaded: LoadedKernel = function.handle
        kernel = loaded.kernel
        if len(args) != len(kernel.params):
            raise LlmcError(
                "LLMC0928",
                f"kernel {function.name} takes {len(kernel.params)} arguments, {len(args)} are given",
                where=", ".join(f"{p.name}: {p.type}" for p in kernel.params),
                fix="give one argument for each parameter",
            )
        packed = pack_params(kernel.params, kernel.param_bytes, list(args))
        total = grid[0] * grid[1] * grid[2]
        if grid[0] % loaded.cluster:
            raise LlmcError(
                "LLMC0963",
                f"kernel {function.name} is launched on {grid[0]} CTAs along x, its clusters have {loaded.cluster}",
                f"kernel {function.name}",
                fix="launch a multiple of the cluster's size",
            )
        batches = -(-total // loaded.batch)
        size = -(-total // batches)
        size = -(-size // loaded.cluster) * loaded.cluster
        waiting = deque((first, min(size, total - first)) for first in range(0, total, size))
        with np.errstate(all="ignore"):
            self._run(loaded, grid, packed, waiting, function.image.dyn_smem)

    def _run(self, loaded: LoadedKernel, grid: Grid, packed: bytes, waiting: deque[tuple[int, int]], dyn_smem: int) -> None:
        """All batches of a launch: one after the other, side by side only while one waits for another."""
        live: deque[tuple[Batch, Iterator[None]]] = deque()
        finished = 0
        ticks = 0

        def progress() -> int:
            """A number that moves while any batch can still do something that another may wait for."""
            nonlocal ticks
            if waiting:
                ticks += 1
            return ticks + finished + sum(b.asynchrony.changes for b, _ in live)

        while waiting or live:
            if waiting:
                first, ctas = waiting.popleft()
                batch = self._take(loaded, ctas, dyn_smem)
                batch.ctx.set_params(packed)
                batch.ctx.start(grid, first)
                batch.asynchrony.reset()
                live.append((batch, batch.scheduler.run(progress)))
            for _ in range(len(live)):
                batch, steps = live.popleft()
                if next(steps, self) is self:
                    finished += batch.asynchrony.changes + 1
                    self.instructions += batch.scheduler.executed
                    self._give(loaded, batch)
                else:
                    live.append((batch, steps))

    def _take(self, loaded: LoadedKernel, ctas: int, dyn_smem: int) -> Batch:
        free = loaded.free.get(ctas)
        if free:
            batch = free.pop()
            self._cached.remove((loaded, batch))
            self._cached_bytes -= batch.nbytes
            return batch
        ctx = Context(loaded.kernel, loaded.block, ctas, dyn_smem, self.memory, self.strict, loaded.cluster)
        asynchrony = Asynchrony(ctx, self.seed)
        nbytes = sum(r.nbytes for r in ctx.registers.values()) + len(ctx.shared[1]) * 4 + ctx.slots * 200
        return Batch(ctx, asynchrony, Scheduler(ctx, asynchrony), nbytes)

    def _give(self, loaded: LoadedKernel, batch: Batch) -> None:
        loaded.free.setdefault(batch.ctx.ctas, []).append(batch)
        self._cached.append((loaded, batch))
        self._cached_bytes += batch.nbytes
        while self._cached_bytes > CACHED_BYTES and len(self._cached) > 1:
            old, gone = self._cached.popleft()
            old.free[gone.ctx.ctas].remove(gone)
            self._cached_bytes -= gone.nbytes

    # -- order --------------------------------------------------------------------------------------------------------------------

    def synchronize(self) -> None:
        """Launches have finished when `launch` returns."""

    @contextmanager
    def capture(self) -> Generator[RecordedGraph]:
        if self._recording is not None:
            raise LlmcError(
                "LLMC0929", "a capture is already being recorded", "the emulator", fix="end it before the next begins"
            )
        graph = self._recording = RecordedGraph(self)
        try:
            yield graph
        finally:
            self._recording = None
