"""What happens beside the program: rings, mbarriers, and the copies that land on them.

A copy into shared memory poisons its target when it is issued and lands when somebody waits for its barrier; a bulk store
reads at once (that its source stays untouched is `insert-fences`' care) and lands when it is waited for. A wait by parity
fails where its waiter is more than one phase behind, which a GPU does not notice.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, cast

import numpy as np
from xdsl.ir import Operation, SSAValue

from ..ir.interpret import Fn, Frame
from ..layout.panels import box_layout
from . import ops
from .machine import MappedBuffer, Memory, Runners, Values, cta_of, new_smem, poison, runners_of, scalar_offset
from .semantics_cluster import peer
from .types import MbarriersType, RingType


# rings ------------------------------------------------------------------------------------------
@dataclass
class Ring:
    """A ring's stages and how far each counter value has come."""

    type: RingType
    copies: int
    consumers: int
    stages: list[Memory]
    landed: dict[int, int] = field(default_factory=dict[int, int])
    released: dict[int, int] = field(default_factory=dict[int, int])
    change: threading.Condition = field(default_factory=threading.Condition)

    def wait_until(self, runners: Runners, what: Callable[[], str], ready: Callable[[], bool]) -> None:
        with self.change:
            runners.wait(what, ready, self.change)


def _ring(op: Operation, args: Values, frame: Frame) -> Values:
    ring = cast(ops.RingOp, op)
    type_ = cast(RingType, op.results[0].type)
    stages = [new_smem(type_.stage, f"ring stage {i}") for i in range(type_.stages)]
    return (Ring(type_, ring.copies.value.data, ring.consumers.value.data, stages),)


def _acquire(op: Operation, args: Values, frame: Frame) -> Values:
    ring, index = cast(Ring, args[0]), int(args[1])
    before = index - ring.type.stages
    if before >= 0:
        ring.wait_until(
            runners_of(frame),
            lambda: f"ring_acquire {index}: stage {index % ring.type.stages} was never released by all {ring.consumers} warps",
            lambda: ring.released.get(before, 0) >= ring.consumers,
        )
    return (ring.stages[index % ring.type.stages],)


def _source(src: SSAValue, offsets: Sequence[SSAValue], nbytes: int, frame: Frame) -> np.ndarray:
    """The bytes that a bulk copy reads."""
    source = cast(Memory, frame.get(src))
    at = [int(frame.get(o)) for o in offsets]
    start = at[0] if len(at) == 1 else scalar_offset(source, at)
    count = nbytes // source.data.dtype.itemsize
    if start < 0 or start + count > len(source.data):
        raise IndexError(f"a bulk copy of elements {start}..{start + count} of {len(source.data)}")
    return source.data[start : start + count].view(np.uint8)


def _bulk_load(op: Operation, args: Values, frame: Frame) -> Values:
    load = cast(ops.BulkLoadOp, op)
    ring, index = cast(Ring, frame.get(load.ring)), int(frame.get(load.index))
    source = _source(load.src, load.offsets, load.bytes.value.data, frame)
    raw = ring.stages[index % ring.type.stages].data.view(np.uint8)
    raw[load.start : load.start + len(source)] = source
    with ring.change:
        ring.landed[index] = ring.landed.get(index, 0) + 1
        ring.change.notify_all()
    return ()


def _ring_wait(op: Operation, args: Values, frame: Frame) -> Values:
    ring, index = cast(Ring, args[0]), int(args[1])
    ring.wait_until(
        runners_of(frame),
        lambda: f"ring_wait {index}: {ring.landed.get(index, 0)} of {ring.copies} copies came",
        lambda: ring.landed.get(index, 0) >= ring.copies,
    )
    return (ring.stages[index % ring.type.stages],)


def _release(op: Operation, args: Values, frame: Frame) -> Values:
    ring, index = cast(Ring, args[0]), int(args[1])
    with ring.change:
        ring.released[index] = ring.released.get(index, 0) + cta_of(frame).role_warps
        if ring.released[index] >= ring.consumers:
            stage = ring.stages[index % ring.type.stages]
            stage.data[:] = poison(len(stage.data), stage.data.dtype)
        ring.change.notify_all()
    return ()


# mbarriers --------------------------------------------------------------------------------------
@dataclass
class Mbarrier:
    """One barrier: arrivals and bytes that its phase still waits for, completed phases, copies on their way."""

    count: int
    pending: int
    bytes: int = 0
    phase: int = 0
    copies: list[tuple[int, Callable[[], None]]] = field(default_factory=list[tuple[int, Callable[[], None]]])

    def complete(self) -> None:
        """The next phase, if this one waits for nothing any more. A peer's copies may come before the arrival that expects them."""
        if self.pending == 0 and self.bytes < 0:
            raise RuntimeError(f"copies bring {-self.bytes} bytes more than their mbarrier expects")
        if self.pending == 0 and self.bytes == 0:
            self.phase += 1
            self.pending = self.count

    def land(self) -> None:
        """Everything on its way arrives, the last copy first."""
        for nbytes, copy in reversed(self.copies):
            copy()
            self.bytes -= nbytes
        if self.copies:
            self.copies.clear()
            self.complete()


@dataclass(eq=False)
class Mbarriers:
    """Some mbarriers of a CTA."""

    slots: list[Mbarrier]
    change: threading.Condition = field(default_factory=threading.Condition)

    def slot(self, index: Any) -> Mbarrier:
        if not 0 <= int(index) < len(self.slots):
            raise IndexError(f"mbarrier {int(index)} of {len(self.slots)}")
        return self.slots[int(index)]


def _init(op: Operation, args: Values, frame: Frame) -> Values:
    count = cast(ops.MbarrierInitOp, op).count.value.data
    made = Mbarriers([Mbarrier(count, count) for _ in range(cast(MbarriersType, op.results[0].type).count)])
    cta_of(frame).made[op] = made
    return (made,)


def _arrive_at(barriers: Mbarriers, index: Any, arrivals: int, nbytes: int = 0) -> None:
    with barriers.change:
        slot = barriers.slot(index)
        slot.bytes += nbytes
        slot.pending -= arrivals
        if slot.pending < 0:
            raise RuntimeError(f"more than {slot.count} arrivals in one phase of mbarrier {int(index)}")
        slot.complete()
        barriers.change.notify_all()


def _arrive(op: Operation, args: Values, frame: Frame) -> Values:
    by_warp = cast(ops.MbarrierArriveOp, op).arrivals == "warp"
    _arrive_at(args[0], args[1], cta_of(frame).role_warps if by_warp else 1)
    return ()


def _expect(op: Operation, args: Values, frame: Frame) -> Values:
    _arrive_at(args[0], args[1], 1, cast(ops.MbarrierExpectOp, op).bytes.value.data)
    return ()


def _mbarrier_wait(op: Operation, args: Values, frame: Frame) -> Values:
    barriers, parity = cast(Mbarriers, args[0]), int(args[2]) & 1
    seen, runners = cta_of(frame).seen_phases, runners_of(frame)
    key = (id(barriers), int(args[1]))
    with barriers.change:
        slot = barriers.slot(args[1])

        def ready() -> bool:
            if slot.copies:
                slot.land()
                runners.moved()
            return slot.phase & 1 != parity

        def what() -> str:
            spare = f": copies bring {-slot.bytes} bytes more than it expects" if slot.bytes < 0 else ""
            return f"mbarrier {int(args[1])} never completes a phase of parity {parity}{spare}"

        runners.wait(what, ready, barriers.change)
        barriers.change.notify_all()
        if slot.phase - seen.get(key, 0) > 1:
            raise RuntimeError(
                f"a wait for parity {parity} of mbarrier {int(args[1])} by a waiter {slot.phase - seen.get(key, 0)} phases "
                "behind: it may mean another phase; wait for every phase, in order"
            )
        seen[key] = slot.phase
    return ()


def send(barriers: Mbarriers, index: Any, nbytes: int, target: np.ndarray, copy: Callable[[], None]) -> None:
    """Put a copy on its way: `target` (bytes) is undefined until it lands."""
    with barriers.change:
        target[:] = 0xFF
        barriers.slot(index).copies.append((nbytes, copy))
        barriers.change.notify_all()


def _bulk_copy(op: Operation, args: Values, frame: Frame) -> Values:
    bulk = cast(ops.BulkCopyOp, op)
    nbytes = bulk.bytes.value.data
    source = _source(bulk.src, bulk.offsets, nbytes, frame)
    memory, barriers = cast(Memory, frame.get(bulk.dst)), cast(Mbarriers, frame.get(bulk.barriers))
    target = memory.data.view(np.uint8)[bulk.start : bulk.start + nbytes]

    def copy() -> None:
        target[:] = source

    if bulk.multicast is None:
        send(barriers, frame.get(bulk.slot), nbytes, target, copy)
        return ()
    for other, theirs in multicast(frame, bulk.multicast, memory, barriers):
        place = other.data.view(np.uint8)[bulk.start : bulk.start + nbytes]
        send(theirs, frame.get(bulk.slot), nbytes, place, partial(np.copyto, place, source))
    return ()


def multicast(frame: Frame, mask: SSAValue, memory: Memory, barriers: Mbarriers) -> list[tuple[Memory, Mbarriers]]:
    """The memory and barriers of every CTA in a mask of ranks."""
    bits = int(frame.get(mask)) & 0xFFFF
    ranks = [rank for rank in range(16) if bits >> rank & 1]
    return [(peer(frame, memory, rank), peer(frame, barriers, rank)) for rank in ranks]


# boxes ------------------------------------------------------------------------------------------
def _places(memory: Memory, start: int, mapped: MappedBuffer) -> np.ndarray:
    """Where a box's elements lie in shared memory, in the order of their coordinates."""
    elem = memory.data.dtype.itemsize
    layout = box_layout(mapped.box, elem, mapped.swizzle)
    return start // elem + layout.all_offsets(mapped.box).reshape(-1)


def _box(mapped: MappedBuffer, coordinates: Sequence[SSAValue], frame: Frame) -> np.ndarray:
    """The elements of a box, zero outside the buffer."""
    offsets, inside = mapped.elements([int(frame.get(c)) for c in coordinates])
    values = mapped.memory.data[offsets]
    values[~inside] = 0
    return values


def _tma_load(op: Operation, args: Values, frame: Frame) -> Values:
    load = cast(ops.TmaLoadOp, op)
    mapped, ring, index = frame.get(load.map), cast(Ring, frame.get(load.ring)), int(frame.get(load.index))
    stage = ring.stages[index % ring.type.stages]
    stage.data[_places(stage, load.start, mapped)] = _box(mapped, load.coordinates, frame)
    with ring.change:
        ring.landed[index] = ring.landed.get(index, 0) + 1
        ring.change.notify_all()
    return ()


def _tma_copy(op: Operation, args: Values, frame: Frame) -> Values:
    copy = cast(ops.TmaCopyOp, op)
    mapped, memory = cast(MappedBuffer, frame.get(copy.map)), cast(Memory, frame.get(copy.dst))
    values, places = _box(mapped, copy.coordinates, frame), _places(memory, copy.start, mapped)
    nbytes = len(values) * memory.data.dtype.itemsize
    barriers = cast(Mbarriers, frame.get(copy.barriers))
    pairs = [(memory, barriers)] if copy.multicast is None else multicast(frame, copy.multicast, memory, barriers)
    for other, theirs in pairs:
        whole = other.data.view(np.uint8)[copy.start : copy.start + nbytes]
        send(theirs, frame.get(copy.slot), nbytes, whole, partial(other.data.__setitem__, places, values))
    return ()


def _tma_store(op: Operation, args: Values, frame: Frame) -> Values:
    store = cast(ops.TmaStoreOp, op)
    mapped, memory = cast(MappedBuffer, frame.get(store.map)), cast(Memory, frame.get(store.src))
    offsets, inside = mapped.elements([int(frame.get(c)) for c in store.coordinates])
    values = memory.data[_places(memory, store.start, mapped)]

    def land() -> None:
        mapped.memory.data[offsets[inside]] = values[inside]

    cta_of(frame).stores[-1].append(land)
    return ()


# stores -----------------------------------------------------------------------------------------
def _bulk_store(op: Operation, args: Values, frame: Frame) -> Values:
    store = cast(ops.BulkStoreOp, op)
    nbytes = store.bytes.value.data
    target = _source(store.dst, store.offsets, nbytes, frame)
    source = cast(Memory, frame.get(store.src)).data.view(np.uint8)[store.start : store.start + nbytes].copy()
    cta_of(frame).stores[-1].append(lambda: np.copyto(target, source))
    return ()


def _bulk_commit(op: Operation, args: Values, frame: Frame) -> Values:
    cta_of(frame).stores.append([])
    return ()


def _bulk_wait(op: Operation, args: Values, frame: Frame) -> Values:
    wait, groups = cast(ops.BulkWaitOp, op), cta_of(frame).stores
    if wait.read is None:
        while len(groups) - 1 > wait.pending.value.data:
            for land in groups.pop(0):
                land()
    return ()


# dependencies -----------------------------------------------------------------------------------
def _await(op: Operation, args: Values, frame: Frame) -> Values:
    dependency = cast(ops.AwaitOp, op)
    if dependency.counters is None:
        return ()
    memory, index, target = args[-3:]
    at = scalar_offset(memory, [index])
    runners_of(frame).wait(
        lambda: (
            f'"{dependency.dep.data}" is awaited until {int(target)}, the counter stands at {int(memory.data[at])} '
            "(tasks run in grid order)"
        ),
        lambda: int(memory.data[at]) & 0xFFFFFFFF >= int(target) & 0xFFFFFFFF,
    )
    return ()


def _publish(op: Operation, args: Values, frame: Frame) -> Values:
    if cast(ops.PublishOp, op).counters is not None:
        memory, index = args[-2:]
        at = scalar_offset(memory, [index])
        with cta_of(frame).lock:
            memory.data[at] += 1
    return ()


SEMANTICS: dict[type[Operation], Fn] = {
    ops.RingOp: _ring,
    ops.RingAcquireOp: _acquire,
    ops.BulkLoadOp: _bulk_load,
    ops.RingWaitOp: _ring_wait,
    ops.RingReleaseOp: _release,
    ops.MbarrierInitOp: _init,
    ops.MbarrierArriveOp: _arrive,
    ops.MbarrierExpectOp: _expect,
    ops.MbarrierWaitOp: _mbarrier_wait,
    ops.BulkCopyOp: _bulk_copy,
    ops.TmaLoadOp: _tma_load,
    ops.TmaCopyOp: _tma_copy,
    ops.TmaStoreOp: _tma_store,
    ops.BulkStoreOp: _bulk_store,
    ops.BulkCommitOp: _bulk_commit,
    ops.BulkWaitOp: _bulk_wait,
    ops.AwaitOp: _await,
    ops.PublishOp: _publish,
}
