"""What the runtime asks of a device: memory, kernels, launches and recorded launch sequences.

Two devices exist: `cuda` (the driver API) and `emulator` (interprets PTX text in numpy). Everything above this file speaks
to the protocol alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, Protocol
from weakref import finalize

import numpy as np

from ..dialects.ir.diagnostics import LlmcError
from .tensor_map import TensorMapArgument

Argument = int | float | np.generic | TensorMapArgument
"""A launch argument: pointers as ints, sizes as ints, floats where the PTX parameter is a float, tensor maps."""

Grid = tuple[int, int, int]


@dataclass(eq=False)
class Allocation:
    """`nbytes` of device memory at the device address `ptr`; `live` turns false when it is freed.

    Memory whose allocation is dropped without that is freed too, when its device next needs some; `dropped` sees to it.
    """

    ptr: int
    nbytes: int
    device: Device = field(repr=False)
    live: bool = True
    dropped: finalize[..., Allocation] | None = field(default=None, repr=False)

    def free(self) -> None:
        """Give the memory back; later uses are errors."""
        self.device.free(self)


@dataclass(frozen=True)
class KernelImage:
    """One kernel, ready to load: its PTX text, for CUDA also the assembled `cubin`, and what a launch needs.

    `params` are the PTX parameter types in order, e.g. `("u64", "tensormap", "s32", "f32")`; empty means: as the PTX declares them.
    `threads` is the CTA size (x, or x·y·z when `block` is None); `dyn_smem` the bytes of dynamic shared memory.
    """

    name: str
    ptx: str
    cubin: bytes | None = None
    dyn_smem: int = 0
    threads: int = 32
    params: tuple[str, ...] = ()
    cluster: Grid = (1, 1, 1)
    dependent_launch: bool = False


@dataclass(eq=False)
class Function:
    """A kernel loaded on a device. `handle` belongs to the device."""

    name: str
    image: KernelImage
    handle: Any = field(repr=False)


class Graph(Protocol):
    """A recorded sequence of launches, filled when its `Device.capture()` block ends."""

    def replay(self) -> None:
        """Launch the whole sequence again, in order, without waiting for it."""
        ...


class Device(Protocol):
    """Memory and launches, in order, as on one CUDA stream. All calls raise `LlmcError` on failure.

    `asynchronous`: launches return before they are done, so that there is something to gain from launching ahead.
    `instructions` counts what has run so far, an instruction once for each warp; it stays 0 on a device that can't tell.
    """

    name: str
    target: str
    asynchronous: bool
    instructions: int

    def alloc(self, nbytes: int) -> Allocation:
        """`nbytes` bytes (at least 256-byte aligned), contents undefined."""
        ...

    def free(self, allocation: Allocation) -> None: ...

    def upload(self, allocation: Allocation, array: np.ndarray[Any, Any], offset: int = 0) -> None:
        """Copy the bytes of `array` to `offset` bytes into the allocation. `array` may be reused on return."""
        ...

    def download(self, allocation: Allocation, nbytes: int, offset: int = 0) -> np.ndarray[Any, Any]:
        """A fresh uint8 array with `nbytes` bytes of the allocation, after all launches before it."""
        ...

    def memset(self, allocation: Allocation, value: int = 0) -> None: ...

    def load(self, image: KernelImage) -> Function: ...

    def launch(self, function: Function, grid: Grid, args: Sequence[Argument]) -> None: ...

    def synchronize(self) -> None: ...

    def capture(self) -> AbstractContextManager[Graph]:
        """`with device.capture() as graph: device.launch(…)` records launches without running them."""
        ...


def check_range(allocation: Allocation, offset: int, nbytes: int, doing: str) -> None:
    """Raise unless `[offset, offset + nbytes)` lies in a live allocation."""
    if not allocation.live:
        raise LlmcError(
            "LLMC0901",
            f"{doing}: the allocation at {allocation.ptr:#x} was freed",
            doing,
            fix="keep the Allocation while it is used",
        )
    if offset < 0 or nbytes < 0 or offset + nbytes > allocation.nbytes:
        raise LlmcError(
            "LLMC0902",
            f"{doing}: bytes {offset}..{offset + nbytes} of an allocation of {allocation.nbytes} bytes",
            doing,
            fix="allocate more or copy less",
        )


def check_grid(function: Function, grid: Grid) -> bool:
    """False for an empty grid (nothing to launch); raise for one that no device takes."""
    if len(grid) != 3 or min(grid) < 0 or grid[0] > 2**31 - 1 or max(grid[1:]) > 65535:
        raise LlmcError(
            "LLMC0903",
            f"grid {tuple(grid)} cannot be launched",
            where=f"kernel {function.name}",
            why="a grid is at most 2147483647 x 65535 x 65535 CTAs",
            fix="move the largest extent to x",
        )
    return min(grid) > 0
