"""`insert-fences`: a `tile.barrier` where threads of a role would meet unfinished in shared memory.

    tile.store %x, %s[…]                 tile.store %x, %s[…]
    %y = tile.load %s[…]           -->   tile.barrier
                                         %y = tile.load %s[…]

A barrier stands between a write and a later read or write of the same allocation, and between a read and a later write
(in the next iteration of a loop too), unless there is one already. Stages of one allocation with different indices are
taken to be different memory, and so are the stages of different iterations: that is what staging promises. Ring stages
are guarded by their barriers. Scratch memory of reductions and relayouts is fenced where it is lowered.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import ClassVar

from xdsl.dialects import scf
from xdsl.dialects.builtin import ModuleOp
from xdsl.ir import Block, Operation, SSAValue

from ...dialects.tile.ops import (
    AllocOp,
    AtomicAddOp,
    BarrierOp,
    CpAsyncOp,
    CpAsyncWaitOp,
    IsThreadOp,
    KernelOp,
    LoadOp,
    LoadScalarOp,
    RolesOp,
    StageOp,
    StoreOp,
    StoreScalarOp,
    ViewOp,
    WgmmaOp,
)
from ..framework.pass_ import Pass, PassContext
from .divisibility import constant_value

Key = tuple[object, object]
"""(allocation or alias group, stage: None for the whole, an int, or the SSA index)."""


@dataclass(frozen=True)
class State:
    """What threads have done since the last barrier. `pending`: asynchronous copies not yet waited for."""

    written: frozenset[Key] = frozenset()
    read: frozenset[Key] = frozenset()
    pending: frozenset[Key] = frozenset()

    def union(self, other: State) -> State:
        return State(self.written | other.written, self.read | other.read, self.pending | other.pending)

    def next_iteration(self) -> State:
        """Without stages whose index changes from one iteration to the next."""

        def keep(keys: frozenset[Key]) -> frozenset[Key]:
            return frozenset(k for k in keys if k[1] is None or isinstance(k[1], int))

        return State(keep(self.written), keep(self.read), keep(self.pending))

    def after_barrier(self) -> State:
        return State(pending=self.pending)


def key_of(memory: SSAValue) -> Key | None:
    """What a memory operand lies in; None for global memory and ring stages."""
    stage: object = None
    while True:
        owner = memory.owner
        if isinstance(owner, StageOp):
            constant = constant_value(owner.index)
            stage = owner.index if constant is None else constant
            memory = owner.smem
        elif isinstance(owner, ViewOp):
            memory = owner.smem
        elif isinstance(owner, AllocOp):
            return (owner.alias.data if owner.alias is not None else owner, stage)
        else:
            return None


def meets(key: Key, keys: Iterable[Key]) -> bool:
    """Whether an access may touch one of `keys`."""
    return any(k[0] == key[0] and (k[1] is None or key[1] is None or k[1] == key[1]) for k in keys)


def accesses(op: Operation) -> Iterator[tuple[str, Key]]:
    """The shared-memory accesses of an op: "read", "write" or "copy" (asynchronous write)."""
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
            found.append(("read", op.b))
        case _:
            pass
    for kind, memory in found:
        key = key_of(memory)
        if key is not None:
            yield kind, key


def conflicts(op: Operation, state: State) -> bool:
    """Whether an op needs a barrier after what `state` says."""
    return any(meets(key, state.written) or (kind != "read" and meets(key, state.read)) for kind, key in accesses(op))


def apply(op: Operation, state: State) -> State:
    """The state after an op without regions."""
    if isinstance(op, BarrierOp) or "scratch" in op.attributes:
        return state.after_barrier()
    if isinstance(op, CpAsyncWaitOp):
        return State(state.written | state.pending, state.read)
    for kind, key in accesses(op):
        if kind == "read":
            state = State(state.written, state.read | {key}, state.pending)
        elif kind == "write":
            state = State(state.written | {key}, state.read, state.pending)
        else:
            state = State(state.written, state.read, state.pending | {key})
    return state


class _Inserter:
    def __init__(self) -> None:
        self.inserted = 0

    def barrier_before(self, op: Operation) -> None:
        block = op.parent
        assert block is not None
        block.insert_op_before(BarrierOp(location=op.location), op)
        self.inserted += 1

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
            after = State()
            for region in op.roles:
                after = after.union(self.block(region.block, State()))
            return after
        if conflicts(op, state):
            self.barrier_before(op)
            state = state.after_barrier()
        return apply(op, state)

    def branch(self, op: scf.IfOp, state: State) -> State:
        """One thread alone must not wait for the others: the barrier stands before such a branch."""
        if isinstance(op.cond.owner, IsThreadOp):
            inner = [o for region in op.regions for o in region.walk()]
            if any(conflicts(o, state) for o in inner):
                self.barrier_before(op)
                state = state.after_barrier()
            for o in inner:
                state = apply(o, state)
            return state
        outcomes = [self.block(region.block, state) for region in op.regions if region.blocks]
        result = outcomes[0] if len(outcomes) == 2 else outcomes[0].union(state)
        return result if len(outcomes) == 1 else result.union(outcomes[1])


def insert_fences(kernel: KernelOp) -> int:
    """Inserts the barriers a kernel lacks; returns how many."""
    inserter = _Inserter()
    inserter.block(kernel.block, State())
    return inserter.inserted


@dataclass(frozen=True)
class InsertFences(Pass):
    """Barriers between accesses of shared memory; see the module docstring."""

    name: ClassVar[str] = "insert-fences"
    produces: ClassVar[tuple[str, ...] | None] = ("tile",)
    anchors: ClassVar[tuple[str, ...]] = ("builtin.module", "tile.kernel")

    def run(self, ctx: PassContext, module: ModuleOp) -> None:
        for op in module.walk():
            if isinstance(op, KernelOp):
                ctx.count("barriers", insert_fences(op))
