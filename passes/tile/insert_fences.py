"""`insert-fences`: a `tile.barrier` where threads of a role would meet unfinished in shared memory.

A barrier stands between a write and a later read or write of the same allocation, and between a read and a later write
(in the next iteration of a loop too), unless there is one already. Stages of one allocation with different indices are
taken to be different memory, and so are the stages of different iterations: that is what staging promises. Fresh mbarriers
are met by all threads before their first use; what is copied on them is guarded by them. Shared memory that a bulk store
may still be reading is waited for (`tile.bulk_wait 0 {read}`) before it is written, and before the kernel ends. CTAs of a cluster
that use each other's memory meet once their mbarriers are made, and before they end. Scratch memory of reductions and relayouts is fenced where it is lowered.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import ClassVar

from xdsl.dialects import scf
from xdsl.dialects.builtin import ModuleOp
from xdsl.ir import Block, Operation, SSAValue

from ...dialects.ir.constants import constant_value
from ...dialects.tile.ops import (
    AllocOp,
    AtomicAddOp,
    BarrierOp,
    BulkCommitOp,
    BulkCopyOp,
    BulkStoreOp,
    BulkWaitOp,
    ClusterBarrierOp,
    CpAsyncOp,
    CpAsyncWaitOp,
    ElectOp,
    IsThreadOp,
    KernelOp,
    LoadOp,
    LoadScalarOp,
    MbarrierArriveOp,
    MbarrierExpectOp,
    MbarrierInitOp,
    MbarrierWaitOp,
    PeerOp,
    ReturnOp,
    RolesOp,
    StageOp,
    StoreOp,
    StoreScalarOp,
    TmaCopyOp,
    TmaStoreOp,
    ViewOp,
    WgmmaOp,
    YieldOp,
)
from ..framework.pass_ import Pass, PassContext

Key = tuple[object, object]
"""(allocation or alias group, stage: None for the whole, an int, or the SSA index)."""


@dataclass(frozen=True)
class State:
    """What threads have done since the last barrier. `pending`: asynchronous copies not yet waited for; `storing`: what bulk
    stores may still read; `open`: some of those stores are in no group yet."""

    written: frozenset[Key] = frozenset()
    read: frozenset[Key] = frozenset()
    pending: frozenset[Key] = frozenset()
    storing: frozenset[Key] = frozenset()
    open: bool = False

    def union(self, other: State) -> State:
        return State(
            self.written | other.written,
            self.read | other.read,
            self.pending | other.pending,
            self.storing | other.storing,
            self.open or other.open,
        )

    def next_iteration(self) -> State:
        """Without stages whose index changes from one iteration to the next."""

        def keep(keys: frozenset[Key]) -> frozenset[Key]:
            return frozenset(k for k in keys if k[1] is None or isinstance(k[1], int))

        return State(keep(self.written), keep(self.read), keep(self.pending), keep(self.storing), self.open)

    def after_barrier(self) -> State:
        return State(pending=self.pending, storing=self.storing, open=self.open)


def key_of(memory: SSAValue) -> Key | None:
    """What a memory operand lies in; None for global memory."""
    stage: object = None
    while True:
        owner = memory.owner
        if isinstance(owner, StageOp):
            constant = constant_value(owner.index)
            stage = owner.index if constant is None else constant
            memory = owner.smem
        elif isinstance(owner, ViewOp):
            memory = owner.smem
        elif isinstance(owner, PeerOp):
            memory = owner.value
        elif isinstance(owner, AllocOp):
            return (owner.alias.data if owner.alias is not None else owner, stage)
        elif isinstance(owner, MbarrierInitOp):
            return (owner, None)
        else:
            return None


def meets(key: Key, keys: Iterable[Key]) -> bool:
    """Whether an access may touch one of `keys`."""
    return any(k[0] == key[0] and (k[1] is None or key[1] is None or k[1] == key[1]) for k in keys)


def accesses(op: Operation) -> Iterator[tuple[str, Key]]:
    """The shared-memory accesses of an op: "read", "write", "copy" (asynchronous write) or "store" (asynchronous read)."""
    found: list[tuple[str, SSAValue]] = []
    match op:
        case LoadOp() | LoadScalarOp():
            found.append(("read", op.src))
        case StoreOp() | StoreScalarOp():
            found.append(("write", op.dst))
        case AtomicAddOp():
            found += [("read", op.dst), ("write", op.dst)]
        case CpAsyncOp():
            found += [("read", op.src), ("copy", op.dst)]
        case WgmmaOp():
            found.extend(("read", operand) for operand in (op.a, op.b))
        case BulkStoreOp() | TmaStoreOp():
            found.append(("store", op.src))
        case MbarrierInitOp():
            found.append(("write", op.result))
        case MbarrierArriveOp() | MbarrierExpectOp() | MbarrierWaitOp() | BulkCopyOp() | TmaCopyOp():
            found.append(("read", op.barriers))
        case _:
            pass
    for kind, memory in found:
        key = key_of(memory)
        if key is not None:
            yield kind, key


def conflicts(op: Operation, state: State) -> bool:
    """Whether an op needs a barrier after what `state` says."""
    return any(
        meets(key, state.written) or (kind in ("write", "copy") and meets(key, state.read)) for kind, key in accesses(op)
    )


def overwrites(op: Operation, state: State) -> bool:
    """Whether an op writes what a bulk store may still read."""
    return any(kind in ("write", "copy") and meets(key, state.storing) for kind, key in accesses(op))


def apply(op: Operation, state: State) -> State:
    """The state after an op without regions."""
    if isinstance(op, BarrierOp | ClusterBarrierOp) or "scratch" in op.attributes:
        return state.after_barrier()
    match op:
        case CpAsyncWaitOp():
            return replace(state, written=state.written | state.pending, pending=frozenset())
        case BulkCommitOp():
            return replace(state, open=False)
        case BulkWaitOp() if op.pending.value.data == 0 and not state.open:  # the thread that waited has yet to meet the others
            return replace(state, read=state.read | state.storing, storing=frozenset())
        case _:
            pass
    for kind, key in accesses(op):
        match kind:
            case "read":
                state = replace(state, read=state.read | {key})
            case "write":
                state = replace(state, written=state.written | {key})
            case "store":
                state = replace(state, storing=state.storing | {key}, open=True)
            case _:
                state = replace(state, pending=state.pending | {key})
    return state


def _multicasts(op: Operation) -> bool:
    return isinstance(op, BulkCopyOp | TmaCopyOp) and op.multicast is not None


class _Inserter:
    def __init__(self, kernel: KernelOp) -> None:
        self.inserted = 0
        self.cluster = kernel.cluster_size > 1
        self.talks = self.cluster and any(isinstance(op, PeerOp) or _multicasts(op) for op in kernel.walk())

    def barrier_before(self, op: Operation, state: State) -> None:
        """All threads meet; those of the whole cluster where peers may use what was made."""
        block = op.parent
        assert block is not None
        fresh = any(isinstance(key[0], MbarrierInitOp) for key in state.written)
        barrier = ClusterBarrierOp if self.talks and fresh else BarrierOp
        block.insert_op_before(barrier(location=op.location), op)
        self.inserted += 1

    def wait_for_stores(self, op: Operation, state: State) -> State:
        """Bulk stores have read their shared memory before `op`."""
        block = op.parent
        assert block is not None
        if state.open:
            block.insert_op_before(BulkCommitOp(location=op.location), op)
        wait = BulkWaitOp(read=True, location=op.location)
        block.insert_op_before(wait, op)
        self.inserted += 1
        return apply(wait, replace(state, open=False))

    def block(self, block: Block, state: State) -> State:
        for op in list(block.ops):
            state = self.op(op, state)
        return state

    def op(self, op: Operation, state: State) -> State:
        if isinstance(op, scf.IfOp):
            return self.branch(op, state)
        if isinstance(op, scf.ForOp | scf.WhileOp):
            for _ in range(2):  # the second time with what an iteration leaves behind
                entry = state
                for region in op.regions:
                    entry = self.block(region.block, entry)
                state = state.union(entry.next_iteration())
            return state
        if isinstance(op, RolesOp):
            if self.talks and any(isinstance(key[0], MbarrierInitOp) for key in state.written):
                self.barrier_before(op, state)
            after = State()
            for region in op.roles:
                after = after.union(self.block(region.block, State()))
            return after
        ends = isinstance(op, ReturnOp) or (isinstance(op, YieldOp) and isinstance(op.parent_op(), RolesOp))
        if overwrites(op, state) or (ends and state.storing):
            state = self.wait_for_stores(op, state)
        if conflicts(op, state):
            self.barrier_before(op, state)
            state = state.after_barrier()
        if isinstance(op, ReturnOp) and self.talks and not isinstance(op.prev_op, ClusterBarrierOp):
            assert op.parent is not None
            op.parent.insert_op_before(ClusterBarrierOp(location=op.location), op)
            self.inserted += 1
        return apply(op, state)

    def branch(self, op: scf.IfOp, state: State) -> State:
        """One thread alone must not wait for the others: the barrier stands before such a branch."""
        if isinstance(op.cond.owner, IsThreadOp | ElectOp):
            inner = [o for region in op.regions for o in region.walk()]
            if any(overwrites(o, state) for o in inner):
                state = self.wait_for_stores(op, state)
            if any(conflicts(o, state) for o in inner):
                self.barrier_before(op, state)
                state = state.after_barrier()
            for o in inner:
                state = apply(o, state)
            return state
        outcomes = [self.block(region.block, state) for region in op.regions if region.blocks]
        result = outcomes[0] if len(outcomes) == 2 else outcomes[0].union(state)
        return result if len(outcomes) == 1 else result.union(outcomes[1])


def insert_fences(kernel: KernelOp) -> int:
    """Inserts the barriers (and waits for stores) that a kernel lacks; returns how many."""
    inserter = _Inserter(kernel)
    inserter.block(kernel.block, State())
    return inserter.inserted


@dataclass(frozen=True)
class InsertFences(Pass):
    """Put a `tile.barrier` where threads of a role would meet unfinished in shared memory: between a write and what reads or writes the
    same allocation after it, and between a read and a later write. Waits for bulk stores and barriers of clusters come in the same way.

    ```mlir before
    #a = #layout.tv<shape = [64], reg = [[2, [1]]], lane = [[32, [2]]], warp = []>
    #b = #layout.tv<shape = [64], reg = [[2, [32]]], lane = [[32, [1]]], warp = []>
    tile.kernel @k(%x: !layout.buffer<[64], f32>) attributes {effects = ["rw"], grid = ["1", "1", "1"], sizes = [], warps = 1 : i32} {
      %c = arith.constant 0 : i32
      %s = tile.alloc : !tile.smem<64xf32>
      %0 = tile.load %x[%c] : !layout.buffer<[64], f32> -> !tile.frag<64xf32, #a>
      tile.store %0, %s[%c] : !tile.frag<64xf32, #a> -> !tile.smem<64xf32>
      %1 = tile.load %s[%c] : !tile.smem<64xf32> -> !tile.frag<64xf32, #b>
      tile.store %1, %x[%c] : !tile.frag<64xf32, #b> -> !layout.buffer<[64], f32>
      tile.return
    }
    ```
    ```mlir after
    #a = #layout.tv<shape = [64], reg = [[2, [1]]], lane = [[32, [2]]], warp = []>
    #b = #layout.tv<shape = [64], reg = [[2, [32]]], lane = [[32, [1]]], warp = []>
    tile.kernel @k(%x: !layout.buffer<[64], f32>) attributes {effects = ["rw"], grid = ["1", "1", "1"], sizes = [], warps = 1 : i32} {
      %c = arith.constant 0 : i32
      %s = tile.alloc : !tile.smem<64xf32>
      %0 = tile.load %x[%c] : !layout.buffer<[64], f32> -> !tile.frag<64xf32, #a>
      tile.store %0, %s[%c] : !tile.frag<64xf32, #a> -> !tile.smem<64xf32>
      tile.barrier
      %1 = tile.load %s[%c] : !tile.smem<64xf32> -> !tile.frag<64xf32, #b>
      tile.store %1, %x[%c] : !tile.frag<64xf32, #b> -> !layout.buffer<[64], f32>
      tile.return
    }
    ```
    """

    name: ClassVar[str] = "insert-fences"
    produces: ClassVar[tuple[str, ...] | None] = ("tile",)
    anchors: ClassVar[tuple[str, ...]] = ("builtin.module", "tile.kernel")

    def run(self, ctx: PassContext, module: ModuleOp) -> None:
        for op in module.walk():
            if isinstance(op, KernelOp):
                ctx.count("barriers", insert_fences(op))
