"""The machine that `tile` runs on in numpy: memory in logical coordinates, a CTA and its roles."""

from __future__ import annotations

import threading
import time
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
LOOK_AGAIN_SECONDS = 0.02


@dataclass(eq=False)
class Runners:
    """The threads of one cluster: its CTAs and their roles. When every one of them waits, and none has found what it waits for since the
    last of them was running, nobody is left to change that: a deadlock, which is known at once and not by a clock.

    `running` counts the threads that have not ended, `stuck` are those that have looked in vain since `epoch` began.
    """

    running: int = 1
    epoch: int = 0
    stuck: set[int] = field(default_factory=set[int])
    lock: threading.Lock = field(default_factory=threading.Lock)

    def moved(self) -> None:
        """Something has happened that another thread may wait for: everybody has to look again."""
        with self.lock:
            self._look_again()

    def _look_again(self) -> None:
        self.epoch += 1
        self.stuck.clear()

    def wait(self, what: Callable[[], str], ready: Callable[[], bool], change: threading.Condition | None = None) -> None:
        """Wait until `ready`, holding `change` if it guards what `ready` looks at; RuntimeError, with `what`, on a deadlock."""
        self.moved()
        epoch = self.epoch
        while not ready():
            if self._stand_still(epoch):
                raise RuntimeError(f"deadlock: {what()}")
            if change is not None:
                change.wait(LOOK_AGAIN_SECONDS)
            else:
                time.sleep(LOOK_AGAIN_SECONDS / 10)
            epoch = self.epoch
        self.moved()

    def _stand_still(self, epoch: int) -> bool:
        """Note that this thread has looked in vain in `epoch`; whether all have."""
        with self.lock:
            if epoch == self.epoch:
                self.stuck.add(threading.get_ident())
            return len(self.stuck) >= self.running

    def side_by_side(self, jobs: Sequence[Callable[[], object]]) -> None:
        """Run every job in a thread of its own, while the caller's waits for them; raises the first failure."""
        failures: list[BaseException] = []
        left = len(jobs)

        def guarded(job: Callable[[], object]) -> None:
            nonlocal left
            try:
                job()
            except BaseException as failure:
                failures.append(failure)
            with self.lock:
                left -= 1
                self.running -= 1 if left else 0  # in the last one's place the caller runs on
                self._look_again()

        with self.lock:
            self.running += left - 1
        threads = [threading.Thread(target=guarded, args=(job,), daemon=True) for job in jobs]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if failures:
            raise failures[0]


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
    """CTAs that run together; `parts` is what they bring to a sum, `met` how often all have come to their barrier."""

    ctas: list[Cta] = field(default_factory=list["Cta"])
    parts: dict[int, Any] = field(default_factory=dict[int, Any])
    runners: Runners = field(default_factory=Runners)
    met: int = 0
    arrived: int = 0
    change: threading.Condition = field(default_factory=threading.Condition)

    def meet(self) -> None:
        """Wait for all CTAs; RuntimeError when one does not come."""
        with self.change:
            before = self.met
            self.arrived += 1
            if self.arrived == len(self.ctas):
                self.arrived = 0
                self.met += 1
                self.change.notify_all()
            self.runners.wait(lambda: "not all CTAs of the cluster come to its barrier", lambda: self.met > before, self.change)


@dataclass(eq=False)
class Cta:
    """State of one CTA (shared by its roles) and, by thread, of one role."""

    task: tuple[int, int, int]
    warps: int
    cluster: Cluster | None = None
    made: dict[Operation, Any] = field(default_factory=dict[Operation, Any])
    """The memory and barriers of each op that makes some, for peers."""
    lock: threading.Lock = field(default_factory=threading.Lock)
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


def cluster_of(frame: Frame) -> tuple[Cluster, Cta]:
    cta = cta_of(frame)
    if cta.cluster is None:
        cta.cluster = Cluster([cta])
    return cta.cluster, cta


def runners_of(frame: Frame) -> Runners:
    return cluster_of(frame)[0].runners


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
