"""Runs one batch of CTAs to their end: groups of threads that share a program counter, split by branches, merged where they meet.

A group is a range of warps (one contiguous slice of every register, see context.py), with a mask when it is not the whole range. The
group with the lowest program counter runs first, so that divergent threads wait for each other where they meet again. A group that
polls (a failed mbarrier wait, a loop around an acquire load, nanosleep) runs again only after everybody else; when all do, an
asynchronous copy lands, and when none is left and memory stands still, that is a deadlock.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...dialects.ir.diagnostics import LlmcError
from ...dialects.ptx.program import Immediate, Register, Symbol
from .asynchrony import Asynchrony
from .bind import bind
from .binder import Binder
from .context import Context
from .decode import Instr
from .fault import Fault

Array = np.ndarray[Any, Any]
IDLE_ROUNDS = 200
"""Rounds in which everybody polls and no byte of memory changes, after which a launch counts as deadlocked."""


@dataclass(eq=False, slots=True)
class Group:
    """Threads of warps `lo..hi-1` (those in `mask`, or all) at instruction `pc`; `blocked` says what they wait for."""

    pc: int
    lo: int
    hi: int
    mask: Array | None = None
    blocked: tuple[str, int] | None = None  # ("bar", id) or ("warp", pc)
    at: int = 0  # the instruction that blocks
    stalled: bool = False
    polled: bool = False
    warps: int = 0  # that have a thread here, once counted


class Code:
    """The kernel's closures for one range of warps, bound on first use."""

    def __init__(self, binder: Binder) -> None:
        self.binder = binder
        count = len(binder.ctx.kernel.code)
        self.bound: list[tuple[Callable[[], None], Callable[[Array], None]] | None] = [None] * count
        self.blocks: list[tuple[tuple[Callable[[], None], ...], int] | None] = [None] * (count + 1)
        self.predicates: dict[int, Array] = {}

    def at(self, pc: int) -> tuple[Callable[[], None], Callable[[Array], None]]:
        found = self.bound[pc]
        if found is None:
            found = self.bound[pc] = bind(self.binder, self.binder.ctx.kernel.code[pc])
        return found

    def block(self, pc: int) -> tuple[tuple[Callable[[], None], ...], int]:
        """The plain instructions from `pc` on, and the program counter after them."""
        found = self.blocks[pc]
        if found is None:
            kernel = self.binder.ctx.kernel
            end = pc
            while end < len(kernel.code) and kernel.code[end].kind in ("plain", "warp"):
                end += 1
                if end in kernel.leaders:
                    break
            found = self.blocks[pc] = (tuple(self.at(i)[0] for i in range(pc, end)), end)
        return found


class Scheduler:
    """Runs `ctx`'s CTAs. One per context; `run` is a generator that yields whenever other batches should have a turn."""

    def __init__(self, ctx: Context, asynchrony: Asynchrony) -> None:
        self.ctx = ctx
        self.asynchrony = asynchrony
        self.codes: dict[tuple[int, int], Code] = {}
        self.groups: list[Group] = []
        self.width = ctx.ctas * 32
        self.steps = 0
        self.executed = 0  # instructions, counted once a warp as a GPU issues them

    def code(self, lo: int, hi: int) -> Code:
        found = self.codes.get((lo, hi))
        if found is None:
            found = self.codes[lo, hi] = Code(Binder(self.ctx, self.asynchrony, lo, hi))
        return found

    # -- the life of a batch -----------------------------------------------------------------------------------------------------

    def run(self, progress: Callable[[], int], quantum: int = 20000) -> Iterator[None]:
        """Run all threads from the first instruction to their exits. `progress` moves while anybody's memory may change."""
        ctx = self.ctx
        existing = ctx.thread_of_slot < ctx.threads
        self.alive = existing.copy()
        self.arrived: dict[int, Array] = {}
        self.needed: dict[int, int] = {}
        self.cluster_phase = np.zeros(ctx.ctas // ctx.cluster, np.int32)
        self.cluster_seen = np.zeros(ctx.slots, np.int32)  # cluster barriers that each thread has arrived at
        self.cluster_waited = np.ones(ctx.slots, np.bool_)  # … and waited for
        self.groups = []
        self.executed = 0
        self._add(0, 0, ctx.warps, existing)
        idle = 0
        seen = -1
        turn = self.steps + quantum
        while self.groups:
            ready = [g for g in self.groups if g.blocked is None and not g.stalled]
            if not ready:
                if any(g.stalled for g in self.groups):
                    landed = self.asynchrony.land_one()
                    for g in self.groups:
                        g.stalled = False
                    if not landed:
                        now = progress()
                        idle = idle + 1 if now == seen else 0
                        seen = now
                        if idle > IDLE_ROUNDS:
                            raise self._deadlock("nobody writes what they poll for")
                        yield
                    continue
                if self.asynchrony.land_one():
                    continue
                raise self._deadlock("nobody is left to release them")
            group = ready[0]
            limit = len(ctx.kernel.code) + 1
            if len(ready) > 1:
                group = min(ready, key=lambda g: g.pc)
                limit = min(g.pc for g in ready if g is not group)
                if limit == group.pc:
                    self._merge([g for g in ready if g.pc == limit])
                    continue
            try:
                self._advance(group, limit)
            except Fault as fault:
                raise self._explain(fault, group) from None
            if self.steps > turn:
                turn = self.steps + quantum
                if len(self.groups) > 1:  # whoever has run this long may be waiting for the others
                    group.stalled = True
                yield
        self.asynchrony.drain()

    def _advance(self, group: Group, limit: int) -> None:
        """Run a group until it blocks, stalls, splits, ends, or reaches `limit`."""
        code = self.code(group.lo, group.hi)
        instructions = self.ctx.kernel.code
        start = self.steps
        while group.pc < limit:
            self.steps += 1
            if group.mask is None:
                ops, end = code.block(group.pc)
                for op in ops:
                    op()
                self.executed += len(ops) * self._warps(group)
                group.pc = end
            elif not self._masked(group, code):
                return
            if group.pc >= limit:  # others wait here, to go on together
                return
            if group.pc >= len(instructions):
                raise Fault("runs past the kernel's last instruction without ret")
            instr = instructions[group.pc]
            self.executed += self._warps(group)
            if instr.kind == "control":
                if not self._control(group, instr, code):
                    return
            elif instr.kind == "poll":
                self._poll(group, instr, code)
                if group.stalled:
                    return
            if self.steps - start > 20000:
                return

    def _masked(self, group: Group, code: Code) -> bool:
        """The plain instructions of a block for some threads; False when the group must wait for lanes of its warps."""
        kernel = self.ctx.kernel
        assert group.mask is not None
        while group.pc < len(kernel.code):
            instr = kernel.code[group.pc]
            if instr.kind not in ("plain", "warp"):
                return True
            if instr.kind == "warp" and not self._converged(group, instr):
                group.blocked, group.at = ("warp", group.pc), group.pc
                self._merge([g for g in self.groups if g.blocked == group.blocked])
                return False
            code.at(group.pc)[1](group.mask)
            self.executed += self._warps(group)
            group.pc += 1
            if group.pc in kernel.leaders:
                return True
        return True

    def _poll(self, group: Group, instr: Instr, code: Code) -> None:
        fast, slow = code.at(group.pc)
        self.asynchrony.wait_failed = False
        fast() if group.mask is None else slow(group.mask)
        group.pc += 1
        if instr.base in ("ld", "atom"):
            group.polled = True
        else:
            group.stalled = self.asynchrony.wait_failed or instr.base == "nanosleep"

    # -- groups -------------------------------------------------------------------------------------------------------------------

    def _warps(self, group: Group) -> int:
        """How many warps have a thread in the group."""
        if not group.warps:
            whole = (group.hi - group.lo) * self.ctx.ctas
            group.warps = whole if group.mask is None else int(np.count_nonzero(group.mask.reshape(-1, 32).any(axis=1)))
        return group.warps

    def _add(self, pc: int, lo: int, hi: int, mask: Array | None) -> Group | None:
        """A new group, its range as narrow as its mask allows; None when nobody is in it."""
        if mask is not None:
            rows = mask.reshape(hi - lo, self.width).any(axis=1)
            used = np.flatnonzero(rows)
            if not len(used):
                return None
            first, last = int(used[0]), int(used[-1]) + 1
            mask = mask[first * self.width : last * self.width]
            lo, hi = lo + first, lo + last
            if mask.all():
                mask = None
        group = Group(pc, lo, hi, mask)
        self.groups.append(group)
        return group

    def _mask(self, group: Group, lo: int, hi: int) -> Array:
        """The group's threads as a mask over warps `lo..hi-1`."""
        mask = np.zeros((hi - lo) * self.width, np.bool_)
        inner = mask[(group.lo - lo) * self.width : (group.hi - lo) * self.width]
        inner[:] = True if group.mask is None else group.mask
        return mask

    def _merge(self, groups: list[Group]) -> None:
        """One group of several at the same program counter."""
        if len(groups) < 2:
            for g in groups:
                self._unblock_if_converged(g)
            return
        lo, hi = min(g.lo for g in groups), max(g.hi for g in groups)
        mask = self._mask(groups[0], lo, hi)
        for g in groups[1:]:
            mask |= self._mask(g, lo, hi)
        self.groups = [g for g in self.groups if g not in groups]
        merged = self._add(groups[0].pc, lo, hi, mask)
        assert merged is not None
        merged.blocked, merged.at = groups[0].blocked, groups[0].at
        self._unblock_if_converged(merged)

    def _unblock_if_converged(self, group: Group) -> None:
        if (
            group.blocked
            and group.blocked[0] == "warp"
            and (group.mask is None or self._converged(group, self.ctx.kernel.code[group.pc]))
        ):
            group.blocked = None

    def _slice(self, group: Group) -> slice:
        return slice(group.lo * self.width, group.hi * self.width)

    def _converged(self, group: Group, instr: Instr) -> bool:
        """Whether every living lane that a warp-wide instruction names is here."""
        assert group.mask is not None
        here = group.mask.reshape(-1, 32)
        alive = self.alive[self._slice(group)].reshape(-1, 32)
        needed = alive & np.any(here, axis=1, keepdims=True)
        member = instr.args[-1] if instr.base in ("shfl", "vote", "redux", "match", "elect") else None
        if isinstance(member, Immediate):
            needed = needed & (((member.value >> np.arange(32)) & 1) != 0)
        elif isinstance(member, Register):
            values = self.ctx.registers[member.name][self._slice(group)].reshape(-1, 32)
            first = values[np.arange(len(values)), here.argmax(axis=1)]
            needed = needed & (((first[:, None] >> np.arange(32, dtype=np.uint32)) & np.uint32(1)) != 0)
        return not (needed & ~here).any()

    # -- control flow -------------------------------------------------------------------------------------------------------------

    def _control(self, group: Group, instr: Instr, code: Code) -> bool:
        """Execute a branch, exit or barrier. True when the group goes on by itself."""
        predicate = instr.source.predicate
        rest: Group | None = None
        if predicate is not None:
            condition = self.ctx.registers[predicate.name][self._slice(group)]
            if predicate.negated:
                condition = ~condition
            if group.mask is not None:
                condition = condition & group.mask
                total = int(np.count_nonzero(group.mask))
            else:
                total = len(condition)
            taken = int(np.count_nonzero(condition))
            if taken == 0:
                group.pc += 1
                return True
            if taken < total:
                others = ~condition if group.mask is None else group.mask & ~condition
                self.groups.remove(group)
                rest = self._add(group.pc + 1, group.lo, group.hi, others)
                part = self._add(group.pc, group.lo, group.hi, condition.copy())
                assert rest is not None and part is not None
                rest.polled = part.polled = group.polled
                group = part
        match instr.base:
            case "bra":
                target = self._target(instr)
                if target <= group.pc and group.polled:
                    group.stalled, group.polled = True, False
                group.pc = target
                return rest is None and not group.stalled
            case "ret" | "exit":
                self._exit(group)
                return False
            case "trap":
                raise Fault("trap was executed", 0)
            case _:
                return self._barrier(group, instr) and rest is None

    def _target(self, instr: Instr) -> int:
        label = next((a for a in instr.args if isinstance(a, Symbol)), None)
        if instr.base != "bra" or label is None or label.name not in self.ctx.kernel.labels:
            raise Fault(f"{instr.opcode}: the emulator has only branches to a label of the kernel")
        return self.ctx.kernel.labels[label.name]

    def _exit(self, group: Group) -> None:
        where = self.alive[self._slice(group)]
        where[:] = False if group.mask is None else where & ~group.mask
        self.groups.remove(group)
        for barrier in [b for b, need in self.needed.items() if need == 0]:
            self._release(barrier)
        self._release_clusters()
        for waiting in [g for g in self.groups if g.blocked and g.blocked[0] == "warp"]:
            self._unblock_if_converged(waiting)

    def _operand(self, operand: Any, group: Group) -> int:
        if isinstance(operand, Immediate):
            return operand.value
        values = self.ctx.registers[operand.name][self._slice(group)]
        values = values if group.mask is None else values[group.mask]
        if (values != values[0]).any():
            raise Fault("the operands of a barrier differ between threads", 0)
        return int(values[0])

    def _barrier(self, group: Group, instr: Instr) -> bool:
        mods = [m for m in instr.mods if m not in ("cta", "aligned")]
        if mods[0] == "warp":
            if group.mask is None or self._converged(group, instr):
                group.pc += 1
                return True
            group.blocked, group.at = ("warp", group.pc), group.pc
            self._merge([g for g in self.groups if g.blocked == group.blocked])
            return False
        if mods[0] == "cluster":
            return self._cluster_barrier(group, instr, mods[1])
        if mods[0] not in ("sync", "arrive"):
            raise Fault(f"the emulator does not have {instr.opcode}")
        barrier = self._operand(instr.args[0], group) if instr.args else 0
        count = self._operand(instr.args[1], group) if len(instr.args) > 1 else 0
        if not 0 <= barrier < 16 or count % 32:
            raise Fault(f"barrier {barrier} with {count} threads: ids are 0..15 and counts multiples of 32", 0)
        if count == self.ctx.warps * 32:
            count = 0  # everybody
        alone = group.mask is None and group.lo == 0 and group.hi == self.ctx.warps and count == 0
        group.pc += 1
        if alone and mods[0] == "sync" and barrier not in self.arrived:
            if self.ctx.races is not None:
                self.ctx.races.barrier(slice(None))
            return True
        arrived = self.arrived.setdefault(barrier, np.zeros(self.ctx.ctas, np.int64))
        if self.needed.setdefault(barrier, count) != count:
            raise Fault(f"barrier {barrier} is used with {count} and with {self.needed[barrier]} threads at once", 0)
        if group.mask is None:
            arrived += (group.hi - group.lo) * 32
        else:
            lanes = group.mask.reshape(group.hi - group.lo, self.ctx.ctas, 32)
            arrived += lanes.sum(axis=(0, 2)) if count == 0 else 32 * lanes.any(axis=2).sum(axis=0)
        if mods[0] == "sync":
            group.blocked, group.at = ("bar", barrier), instr.pc
        self._release(barrier)
        return mods[0] == "arrive"

    def _cluster_barrier(self, group: Group, instr: Instr, what: str) -> bool:
        """Arrive, or wait for the phase that these threads have arrived at."""
        group.pc += 1
        if what == "arrive":
            seen, waited = self.cluster_seen[self._slice(group)], self.cluster_waited[self._slice(group)]
            mine = np.ones(len(seen), np.bool_) if group.mask is None else group.mask
            if not waited[mine].all():
                raise Fault("arrives at the cluster's barrier again before it has waited", 0)
            seen[mine] += 1
            waited[mine] = False
            self._release_clusters()
            return True
        waits = self.cluster_waited[self._slice(group)]
        waits[:] = True if group.mask is None else waits | group.mask
        group.blocked, group.at = ("cluster", 0), instr.pc
        self._release_clusters()
        return group in self.groups and not group.blocked

    def _release_clusters(self) -> None:
        """Complete the barriers at which every living thread of a cluster has arrived, and let go who waits for them."""
        cluster, count = self.ctx.cluster_of_slot, len(self.cluster_phase)
        behind = self.alive & (self.cluster_seen <= self.cluster_phase[cluster])
        waited = np.bincount(cluster[behind], minlength=count)
        living = np.bincount(cluster[self.alive], minlength=count)
        done = (waited == 0) & (living > 0)
        self.cluster_phase[done] += 1
        for g in [g for g in self.groups if g.blocked == ("cluster", 0)]:
            span = self._slice(g)
            threads = self._mask(g, g.lo, g.hi)
            released = threads & (self.cluster_seen[span] <= self.cluster_phase[cluster[span]])
            if (released == threads).all():
                g.blocked = None
            elif released.any():
                self.groups.remove(g)
                self._add(g.pc, g.lo, g.hi, released)
                kept = self._add(g.pc, g.lo, g.hi, threads & ~released)
                if kept:
                    kept.blocked, kept.at = g.blocked, g.at

    def _release(self, barrier: int) -> None:
        """Let go the CTAs in which everybody has arrived."""
        arrived, need = self.arrived[barrier], self.needed[barrier]
        if need:
            wanted: Any = need
        else:
            wanted = self.alive.reshape(self.ctx.warps, self.ctx.ctas, 32).sum(axis=(0, 2))
        if (arrived > wanted).any():
            cta = int(np.flatnonzero(arrived > wanted)[0])
            raise Fault(
                f"{int(arrived[cta])} threads of CTA {self.ctx.first_cta + cta} arrive at barrier {barrier}, which takes {int(np.max(wanted))}"
            )
        done = (arrived >= wanted) & (arrived > 0)
        if not done.any():
            return
        if self.ctx.races is not None:
            self.ctx.races.barrier(done)
        waiting = [g for g in self.groups if g.blocked == ("bar", barrier)]
        if done[arrived > 0].all():
            for g in waiting:
                g.blocked = None
            del self.arrived[barrier], self.needed[barrier]
            return
        arrived[done] = 0
        for g in waiting:
            threads = self._mask(g, g.lo, g.hi)
            released = threads & np.tile(np.repeat(done, 32), g.hi - g.lo)
            if released.any():
                self.groups.remove(g)
                self._add(g.pc, g.lo, g.hi, released)
                kept = self._add(g.pc, g.lo, g.hi, threads & ~released)
                if kept:
                    kept.blocked, kept.at = g.blocked, g.at

    # -- what users read ----------------------------------------------------------------------------------------------------------

    def _explain(self, fault: Fault, group: Group) -> LlmcError:
        kernel = self.ctx.kernel
        pc = fault.pc if fault.pc is not None else min(group.pc, len(kernel.code) - 1)
        who = self.ctx.where(fault.slot) if fault.slot is not None else self._who(group)
        return LlmcError("LLMC0923", f"{fault.what}, in {who}", where=kernel.describe(pc), why=fault.why, fix=fault.fix)

    def _who(self, group: Group) -> str:
        mask = self._mask(group, group.lo, group.hi)
        slots = np.flatnonzero(mask) + group.lo * self.width
        warps = np.unique(self.ctx.warp_of_slot[slots])
        ctas = np.unique(self.ctx.cta_of_slot[slots]) + self.ctx.first_cta
        return f"{_span('warp', warps)} of {_span('CTA', ctas)}"

    def _deadlock(self, why: str) -> LlmcError:
        lines: list[str] = []
        for g in sorted(self.groups, key=lambda g: g.pc):
            pc = g.at if g.blocked else self._last_poll(g)
            lines.append(f"{self._who(g)}: {self.ctx.kernel.describe(pc).split(', ', 1)[1]}")
        return LlmcError(
            "LLMC0924",
            f"deadlock: {why}",
            where=f"kernel {self.ctx.kernel.name}\n      " + "\n      ".join(lines),
            fix="check barrier counts and parities, and that every wait has its arrive or its copy",
        )

    def _last_poll(self, group: Group) -> int:
        """The polling instruction nearest to where the group stands (at or before it)."""
        code = self.ctx.kernel.code
        pc = min(group.pc, len(code) - 1)
        return next((p for p in range(pc, -1, -1) if code[p].kind == "poll"), pc)


def _span(what: str, numbers: Array) -> str:
    low, high = int(numbers[0]), int(numbers[-1])
    return (
        f"{what} {low}"
        if low == high
        else f"{what}s {low}..{high}"
        if len(numbers) == high - low + 1
        else f"{len(numbers)} {what}s from {low} to {high}"
    )
