"""The machine that `tile` runs on in numpy: memory in logical coordinates, a CTA and its roles."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import numpy as np
from xdsl.ir import Operation

from ..ir.interpret import Frame
from ..ir.numeric import dtype_of
from ..layout.mem import MemLayout
from .types import SmemType

Values = tuple[Any, ...]
DEADLOCK_SECONDS = 20.0


def wait_until(change: threading.Condition, what: str, ready: Callable[[], bool]) -> None:
    """Wait, holding `change`, until `ready`; RuntimeError when nothing has happened for DEADLOCK_SECONDS."""
    if not change.wait_for(ready, DEADLOCK_SECONDS):
        raise RuntimeError(f"deadlock: {what}")


@dataclass
class Memory:
    """A flat array seen through a layout. `shape` are the run-time extents; `name` is for messages."""

    data: np.ndarray
    layout: MemLayout
    shape: tuple[int, ...]
    name: str = "memory"

    def offsets(self, coords: Sequence[np.ndarray], mask: Any = True) -> Any:
        """Element offsets of `coords`; raises IndexError when an unmasked one is outside."""
        inside: list[Any] = []
        for axis, (value, extent) in enumerate(zip(coords, self.shape, strict=True)):
            bad = ((value < 0) | (value >= extent)) & mask
            if np.any(bad):
                worst = np.broadcast_to(value, np.shape(bad))[bad]
                raise IndexError(f"{self.name}: coordinate {int(worst[0])} of axis {axis} is outside [0, {extent})")
            inside.append(np.where(mask, value, 0))
        return np.asarray(self.layout.offset(inside))


@dataclass(eq=False)
class Cluster:
    """CTAs that run together; `barrier` is theirs, `parts` what they bring to a sum."""

    ctas: list[Cta] = field(default_factory=list["Cta"])
    parts: dict[int, Any] = field(default_factory=dict[int, Any])
    barrier: threading.Barrier = field(default_factory=lambda: threading.Barrier(1))

    def meet(self) -> None:
        """Wait for all CTAs; RuntimeError when one does not come."""
        try:
            self.barrier.wait(DEADLOCK_SECONDS)
        except threading.BrokenBarrierError:
            raise RuntimeError("deadlock: not all CTAs of the cluster come to its barrier") from None


@dataclass(eq=False)
class Cta:
    """State of one CTA (shared by its roles) and, by thread, of one role."""

    task: tuple[int, int, int]
    warps: int
    cluster: Cluster | None = None
    made: dict[Operation, Any] = field(default_factory=dict[Operation, Any])
    """The memory and barriers of each op that makes some, for peers."""
    lock: threading.Lock = field(default_factory=threading.Lock)
    concurrent: bool = False
    """Whether others (roles, CTAs of its cluster) run at the same time and may publish what it awaits."""
    role: threading.local = field(default_factory=threading.local)

    @property
    def role_warps(self) -> int:
        return getattr(self.role, "warps", self.warps)

    @property
    def stores(self) -> list[list[Callable[[], None]]]:
        """Groups of bulk stores in flight; the last one is open."""
        if not hasattr(self.role, "stores"):
            self.role.stores = [[]]
        return self.role.stores

    def land_stores(self) -> None:
        """At the end of a role: everything lands."""
        for group in self.stores:
            for store in group:
                store()
        self.stores[:] = [[]]

    @property
    def seen_phases(self) -> dict[tuple[int, int], int]:
        """The completed phases that this role last saw of each mbarrier, by (array, slot)."""
        if not hasattr(self.role, "seen"):
            self.role.seen = {}
        return self.role.seen

    @property
    def groups(self) -> list[list[Callable[[], None]]]:
        """Groups of asynchronous copies in flight; the last one is open."""
        if not hasattr(self.role, "groups"):
            self.role.groups = [[]]
        return self.role.groups


def cta_of(frame: Frame) -> Cta:
    return cast(Cta, frame.data["tile.cta"])


def poison(count: int, dtype: np.dtype[Any]) -> np.ndarray:
    if dtype.kind in "iu":
        return np.full(count, np.iinfo(dtype).min, dtype)
    return np.full(count, np.nan if dtype.kind != "b" else False, dtype)


@dataclass(frozen=True)
class MappedBuffer:
    """A buffer through a tensor map: boxes of it."""

    memory: Memory
    box: tuple[int, ...]
    swizzle: int

    def elements(self, coordinates: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
        """(offsets in the buffer, which are inside) of a box's elements, in the order of their coordinates."""
        grids = np.meshgrid(
            *(np.arange(extent, dtype=np.int64) + first for extent, first in zip(self.box, coordinates, strict=True)),
            indexing="ij",
        )
        inside: Any = True
        for axis, extent in zip(grids, self.memory.shape, strict=True):
            inside = inside & (axis >= 0) & (axis < extent)
        offsets = self.memory.layout.offset([np.where(inside, axis, 0) for axis in grids])
        return np.asarray(offsets).reshape(-1), np.asarray(inside).reshape(-1)


def new_smem(type_: SmemType, name: str) -> Memory:
    """Fresh shared memory, poisoned."""
    return Memory(poison(type_.num_elements, dtype_of(type_.element_type)), type_.layout, type_.shape, name)


def scalar_offset(memory: Memory, offsets: Sequence[Any]) -> int:
    """The element offset of one element."""
    return int(memory.offsets([np.asarray(int(o)) for o in offsets]))
