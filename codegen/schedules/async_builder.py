"""The part of `TileBuilder` that starts what runs beside the program: rings, mbarriers, copies, dependencies."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

from xdsl.ir import Attribute, Operation, SSAValue

from ...dialects.layout.mem import MemLayout
from ...dialects.tile import ops
from ...dialects.tile.types import RingType, SmemType

Index = SSAValue | int


class AsyncBuilder(ABC):
    """See builder.py, whose plumbing it uses."""

    @abstractmethod
    def insert(self, op: Operation) -> Operation: ...

    @abstractmethod
    def one(self, op: Operation) -> SSAValue: ...

    @abstractmethod
    def i32(self, value: Index) -> SSAValue: ...

    # rings ----------------------------------------------------------------------------
    def ring(
        self,
        stages: int,
        shape: Sequence[int],
        elem: Attribute,
        layout: MemLayout | None = None,
        *,
        consumers: int,
        copies: int = 1,
    ) -> SSAValue:
        type_ = RingType.of(stages, SmemType.of(shape, elem, layout))
        return self.one(ops.RingOp(type_, consumers=consumers, copies=copies))

    def ring_acquire(self, ring: SSAValue, index: Index) -> SSAValue:
        return self.one(ops.RingAcquireOp(ring, self.i32(index)))

    def ring_wait(self, ring: SSAValue, index: Index) -> SSAValue:
        return self.one(ops.RingWaitOp(ring, self.i32(index)))

    def ring_release(self, ring: SSAValue, index: Index) -> None:
        self.insert(ops.RingReleaseOp(ring, self.i32(index)))

    def bulk_load(
        self, src: SSAValue, offsets: Sequence[Index], ring: SSAValue, index: Index, bytes: int, *, at: int = 0
    ) -> None:
        self.insert(ops.BulkLoadOp(src, [self.i32(o) for o in offsets], ring, self.i32(index), bytes, at=at))

    # boxes ----------------------------------------------------------------------------
    def tma_load(
        self, map: SSAValue, coordinates: Sequence[Index], ring: SSAValue, index: Index, *, at: int = 0, cache: str = "default"
    ) -> None:
        coords = [self.i32(c) for c in coordinates]
        self.insert(ops.TmaLoadOp(map, coords, ring, self.i32(index), at=at, cache=cache))

    def tma_copy(
        self,
        map: SSAValue,
        coordinates: Sequence[Index],
        dst: SSAValue,
        barriers: SSAValue,
        slot: Index,
        *,
        at: int = 0,
        cache: str = "default",
        multicast: Index | None = None,
    ) -> None:
        """A box that counts at a barrier; `multicast` is a mask of ranks."""
        coords = [self.i32(c) for c in coordinates]
        mask = self.i32(multicast) if multicast is not None else None
        self.insert(ops.TmaCopyOp(map, coords, dst, barriers, self.i32(slot), at=at, cache=cache, multicast=mask))

    def tma_store(self, src: SSAValue, map: SSAValue, coordinates: Sequence[Index], *, at: int = 0) -> None:
        self.insert(ops.TmaStoreOp(src, map, [self.i32(c) for c in coordinates], at=at))

    # mbarriers ------------------------------------------------------------------------
    def mbarriers(self, slots: int, count: int) -> SSAValue:
        """Fresh mbarriers of `count` arrivals a phase."""
        return self.one(ops.MbarrierInitOp(slots, count))

    def mbarrier_arrive(self, barriers: SSAValue, slot: Index, by: str = "warp") -> None:
        self.insert(ops.MbarrierArriveOp(barriers, self.i32(slot), by=by))

    def mbarrier_expect(self, barriers: SSAValue, slot: Index, bytes: int) -> None:
        self.insert(ops.MbarrierExpectOp(barriers, self.i32(slot), bytes))

    def mbarrier_wait(self, barriers: SSAValue, slot: Index, parity: Index) -> None:
        self.insert(ops.MbarrierWaitOp(barriers, self.i32(slot), self.i32(parity)))

    def bulk_copy(
        self,
        src: SSAValue,
        offsets: Sequence[Index],
        dst: SSAValue,
        barriers: SSAValue,
        slot: Index,
        bytes: int,
        *,
        at: int = 0,
        cache: str = "default",
        multicast: Index | None = None,
    ) -> None:
        """A bulk copy that counts at a barrier; `multicast` is a mask of ranks."""
        mask = self.i32(multicast) if multicast is not None else None
        self.insert(
            ops.BulkCopyOp(
                src,
                [self.i32(o) for o in offsets],
                dst,
                barriers,
                self.i32(slot),
                bytes,
                at=at,
                cache=cache,
                multicast=mask,
            )
        )

    # clusters -------------------------------------------------------------------------
    def rank(self) -> SSAValue:
        return self.one(ops.RankOp())

    def peer(self, value: SSAValue, rank: Index) -> SSAValue:
        """The same shared memory or mbarriers in another CTA of the cluster."""
        return self.one(ops.PeerOp(value, self.i32(rank)))

    def elect(self) -> SSAValue:
        return self.one(ops.ElectOp())

    def cluster_barrier(self) -> None:
        self.insert(ops.ClusterBarrierOp())

    def split_reduce(self, value: SSAValue, scope: str = "cluster", *, ordered: bool = True) -> SSAValue:
        return self.one(ops.SplitReduceOp(value, scope, ordered=ordered))

    # stores ---------------------------------------------------------------------------
    def bulk_store(self, src: SSAValue, dst: SSAValue, offsets: Sequence[Index], bytes: int, *, at: int = 0) -> None:
        self.insert(ops.BulkStoreOp(src, dst, [self.i32(o) for o in offsets], bytes, at=at))

    def bulk_commit(self) -> None:
        self.insert(ops.BulkCommitOp())

    def bulk_wait(self, pending: int = 0, *, read: bool = False) -> None:
        self.insert(ops.BulkWaitOp(pending, read=read))

    # dependencies ---------------------------------------------------------------------
    def await_(self, dep: str, by: str | None = None) -> None:
        self.insert(ops.AwaitOp(dep, by=by))

    def await_counter(self, dep: str, counters: SSAValue, index: Index, target: Index) -> None:
        """Waits until an element of `counters` has reached `target`."""
        self.insert(ops.AwaitOp(dep, counters, self.i32(index), self.i32(target)))

    def publish(self, dep: str, by: str | None = None) -> None:
        self.insert(ops.PublishOp(dep, by=by))

    def publish_counter(self, dep: str, counters: SSAValue, index: Index) -> None:
        """Adds one to an element of `counters`."""
        self.insert(ops.PublishOp(dep, counters, self.i32(index)))
