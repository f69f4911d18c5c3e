"""Copies that land late and out of order, and the mbarriers that count them.

`cp.async` data lands when its thread waits for its group, not before. Bulk copies land one instruction at a time, in an order drawn
from the seed, and only when no thread can go on without them. A kernel that reads early sees the old bytes.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from .context import Context
from .fault import Fault
from .memory import BASE
from .tensor import Box, land_load, land_store

Array = np.ndarray[Any, Any]


@dataclass(eq=False, slots=True)
class Copy:
    """One cp.async of several threads: `nbytes` from arena offset `source` to shared offset `target`; `given` of them, zeros after."""

    slots: Array
    group: Array  # the thread's group number that the copy belongs to
    source: Array
    target: Array
    nbytes: int
    given: Array | None
    pc: int


@dataclass(eq=False, slots=True)
class Bulk:
    """One bulk copy of several threads. `barrier` indexes the mbarriers (loads), `group` the thread's bulk group (stores).
    `boxes`: what each thread copies by tensor map, instead of bytes from `source` to `target`."""

    slots: Array
    source: Array
    target: Array
    nbytes: Array
    barrier: Array | None
    group: Array | None
    pc: int
    reduce: str = ""
    boxes: list[Box] | None = None

    def sent(self, rows: Array, moved: Array) -> Bulk:
        """The copies of a multicast: of thread `rows[i]`, `moved[i]` bytes further in shared memory."""
        assert self.barrier is not None
        boxes = None
        if self.boxes is not None:
            boxes = [replace(self.boxes[r], target=self.boxes[r].target + m) for r, m in zip(rows, moved, strict=True)]
        barrier = self.barrier[rows] + (moved >> 3)
        target = self.target[rows] + moved
        return Bulk(self.slots[rows], self.source[rows], target, self.nbytes[rows], barrier, None, self.pc, self.reduce, boxes)

    def part(self, which: Array) -> Bulk:
        """The copies of some of the threads."""
        barrier = None if self.barrier is None else self.barrier[which]
        group = None if self.group is None else self.group[which]
        boxes = None if self.boxes is None else [self.boxes[i] for i in np.flatnonzero(which)]
        return Bulk(
            self.slots[which],
            self.source[which],
            self.target[which],
            self.nbytes[which],
            barrier,
            group,
            self.pc,
            self.reduce,
            boxes,
        )


class Asynchrony:
    """Pending copies and mbarriers of one context. `changes` counts writes that a polling thread may be waiting for."""

    def __init__(self, ctx: Context, seed: int) -> None:
        self.ctx = ctx
        self.random = np.random.default_rng(seed)
        self.changes = 0
        self.wait_failed = False
        self.copies: list[Copy] = []
        self.loads: list[Bulk] = []
        self.stores: list[Bulk] = []
        self.copy_group = np.zeros(ctx.slots, np.int32)
        self.store_group = np.zeros(ctx.slots, np.int32)
        count = len(ctx.shared[1]) // 8
        self.expected = np.zeros(count, np.int32)
        self.pending = np.zeros(count, np.int32)
        self.bytes = np.zeros(count, np.int64)
        self.phase = np.full(count, -1, np.int32)  # completed phases; -1: no barrier here

    def reset(self) -> None:
        """Before a launch."""
        self.copies.clear()
        self.loads.clear()
        self.stores.clear()
        self.phase.fill(-1)

    # -- cp.async -----------------------------------------------------------------------------------------------------------------

    def copy(self, slots: Array, source: Array, target: Array, nbytes: int, given: Array | None, pc: int) -> None:
        self.copies.append(Copy(slots, self.copy_group[slots], source, target, nbytes, given, pc))

    def commit(self, slots: Array) -> None:
        self.copy_group[slots] += 1

    def wait(self, slots: Array, pending: int) -> None:
        """Land the copies of these threads, except their `pending` newest groups. `pending` -1: also what is not committed."""
        if not self.copies:
            return
        waits = np.zeros(self.ctx.slots, np.bool_)
        waits[slots] = True
        kept: list[Copy] = []
        for copy in self.copies:
            lands = waits[copy.slots] & (copy.group < self.copy_group[copy.slots] - pending)
            if lands.all():
                self._land_copy(copy)
            elif lands.any():
                self._land_copy(_part(copy, lands))
                kept.append(_part(copy, ~lands))
            else:
                kept.append(copy)
        self.copies = kept
        self.changes += 1

    def _land_copy(self, copy: Copy) -> None:
        ctx, size = self.ctx, copy.nbytes
        shift = size.bit_length() - 1
        target = ctx.shared[size]
        if ctx.races is not None:
            try:
                ctx.races.write(copy.target, size, copy.slots)
            except Fault as fault:
                fault.pc, fault.slot = copy.pc, int(copy.slots[fault.thread or 0])
                raise
        if ctx.shared_shadow is not None:
            for byte in range(size):
                ctx.shared_shadow[copy.target + byte] = 1
        if copy.given is None:
            target[copy.target >> shift] = ctx.memory.views[size][copy.source >> shift]
            return
        full = copy.given == size
        target[copy.target[full] >> shift] = ctx.memory.views[size][copy.source[full] >> shift]
        if full.all():
            return
        target[copy.target[~full] >> shift] = 0
        for i in np.flatnonzero(~full & (copy.given > 0)):
            ctx.shared[1][copy.target[i] : copy.target[i] + copy.given[i]] = ctx.memory.bytes[
                copy.source[i] : copy.source[i] + copy.given[i]
            ]

    # -- mbarriers ----------------------------------------------------------------------------------------------------------------

    def barrier_init(self, index: Array, count: Array) -> None:
        self.expected[index] = count
        self.pending[index] = count
        self.bytes[index] = 0
        self.phase[index] = 0

    def check_exists(self, index: Array) -> None:
        if (self.phase[index] < 0).any():
            raise Fault(
                "there is no initialised mbarrier at this address",
                int(np.flatnonzero(self.phase[index] < 0)[0]),
                fix="mbarrier.init, then a barrier, before its use",
            )

    def arrive(self, index: Array, count: Array | int) -> None:
        self.check_exists(index)
        np.subtract.at(self.pending, index, count)
        if (self.pending[index] < 0).any():
            thread = int(np.flatnonzero(self.pending[index] < 0)[0])
            raise Fault(
                f"more arrivals in one phase than the mbarrier's count of {int(self.expected[index[thread]])}",
                thread,
                why="a thread arrives again before the phase has completed: it went ahead of its parity wait by a phase or more",
            )
        self._complete(index)

    def expect(self, index: Array, nbytes: Array | int) -> None:
        self.check_exists(index)
        np.add.at(self.bytes, index, nbytes)
        self.changes += 1

    def _complete(self, index: Array) -> None:
        done = np.unique(index[(self.pending[index] == 0) & (self.bytes[index] == 0)])
        self.phase[done] += 1
        self.pending[done] = self.expected[done]
        self.changes += 1

    def passed(self, index: Array, parity: Array) -> Array:
        """Whether the phase of this parity has completed."""
        self.check_exists(index)
        result = (self.phase[index] & 1) != (parity & 1)
        self.wait_failed = self.wait_failed or not result.all()
        return result

    # -- bulk copies --------------------------------------------------------------------------------------------------------------

    def land_one(self) -> bool:
        """Land one pending bulk load, any one; False when there is none."""
        if not self.loads:
            return False
        bulk = self.loads.pop(int(self.random.integers(len(self.loads))))
        memory, shared, shadow = self.ctx.memory.bytes, self.ctx.shared[1], self.ctx.shared_shadow
        for box in bulk.boxes or ():
            land_load(self.ctx, box)
        pieces = [] if bulk.boxes is not None else [bulk.source.tolist(), bulk.target.tolist(), bulk.nbytes.tolist()]
        for source, target, n in zip(*pieces, strict=True):
            shared[target : target + n] = memory[source : source + n]
            if shadow is not None:
                shadow[target : target + n] = 1
        assert bulk.barrier is not None
        np.subtract.at(self.bytes, bulk.barrier, bulk.nbytes)
        if (self.bytes[bulk.barrier] < 0).any():
            fault = Fault(
                "a bulk copy completes more bytes than its mbarrier expects",
                fix="expect_tx exactly the bytes of the phase's copies, first",
            )
            fault.pc, fault.slot = bulk.pc, int(bulk.slots[0])
            raise fault
        self._complete(bulk.barrier)
        return True

    def store_commit(self, slots: Array) -> None:
        self.store_group[slots] += 1

    def store_wait(self, slots: Array, pending: int) -> None:
        kept: list[Bulk] = []
        for bulk in self.stores:
            assert bulk.group is not None
            lands = np.isin(bulk.slots, slots) & (bulk.group < self.store_group[bulk.slots] - pending)
            if lands.any():
                self._land_store(bulk, lands)
            if not lands.all():
                kept.append(bulk.part(~lands))
        self.stores = kept

    def _land_store(self, bulk: Bulk, which: Array) -> None:
        memory, shared = self.ctx.memory, self.ctx.shared[1]
        for i in np.flatnonzero(which):
            if bulk.boxes is not None:
                land_store(self.ctx, bulk.boxes[i])
                continue
            source, target, n = int(bulk.source[i]), int(bulk.target[i]), int(bulk.nbytes[i])
            if bulk.reduce:
                values = memory.bytes[target : target + n].view(bulk.reduce)
                values += shared[source : source + n].view(bulk.reduce)
            else:
                memory.bytes[target : target + n] = shared[source : source + n]
            memory.mark(target + BASE, n)
        self.changes += 1

    def drain(self) -> None:
        """At the end of the batch: bulk stores complete, copies that nobody waited for are dropped."""
        for bulk in self.stores:
            self._land_store(bulk, np.ones(len(bulk.slots), np.bool_))
        self.reset()


def _part(copy: Copy, which: Array) -> Copy:
    return Copy(
        copy.slots[which],
        copy.group[which],
        copy.source[which],
        copy.target[which],
        copy.nbytes,
        None if copy.given is None else copy.given[which],
        copy.pc,
    )
