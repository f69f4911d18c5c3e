"""What makes a ring sound: arrivals that are counted right, and waits that are never more than one phase from their barrier."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from xdsl.dialects import arith, scf
from xdsl.ir import Block, BlockArgument, Operation, SSAValue

from ...dialects.ir.constants import constant_value
from ...dialects.ir.diagnostics import LlmcError
from ...dialects.tile.ops import (
    BulkLoadOp,
    KernelOp,
    RingAcquireOp,
    RingOp,
    RingReleaseOp,
    RingWaitOp,
    RolesOp,
    TmaLoadOp,
)
from ...dialects.tile.types import TmapType

RingLoad = BulkLoadOp | TmaLoadOp


def bytes_of(load: RingLoad) -> int:
    """What a load counts at its stage."""
    if isinstance(load, BulkLoadOp):
        return load.bytes.value.data
    assert isinstance(load.map.type, TmapType)
    return load.map.type.num_bytes


def role_of(op: Operation) -> tuple[Operation, int, int] | None:
    """(the roles op, the role's number, its warps) around an op; None outside roles."""
    inner, outer = op, op.parent_op()
    while outer is not None:
        if isinstance(outer, RolesOp):
            for number, (region, count) in enumerate(zip(outer.roles, outer.warp_counts, strict=True)):
                if region is inner.parent_region():
                    return outer, number, count
        inner, outer = outer, outer.parent_op()
    return None


def warps_at(op: Operation) -> int:
    """The warps that run an op: those of its role, or of the kernel."""
    role = role_of(op)
    if role is not None:
        return role[2]
    outer = op.parent_op()
    while outer is not None and not isinstance(outer, KernelOp):
        outer = outer.parent_op()
    return outer.num_warps if outer is not None else 1


@dataclass(frozen=True)
class RingUses:
    """The ops on one ring, in program order."""

    ring: RingOp
    ops: tuple[Operation, ...]

    @staticmethod
    def of(ring: RingOp, kernel: KernelOp) -> RingUses:
        users = {use.operation for use in ring.result.uses}
        return RingUses(ring, tuple(op for op in kernel.walk() if op in users))

    @property
    def acquires(self) -> tuple[RingAcquireOp, ...]:
        return tuple(op for op in self.ops if isinstance(op, RingAcquireOp))

    @property
    def loads(self) -> tuple[RingLoad, ...]:
        return tuple(op for op in self.ops if isinstance(op, RingLoad))

    @property
    def waits(self) -> tuple[RingWaitOp, ...]:
        return tuple(op for op in self.ops if isinstance(op, RingWaitOp))

    @property
    def releases(self) -> tuple[RingReleaseOp, ...]:
        return tuple(op for op in self.ops if isinstance(op, RingReleaseOp))

    def loads_of(self, acquire: RingAcquireOp) -> list[RingLoad]:
        """The loads that fill the stage of an acquire, where both stand in one block with the same counter."""
        return [op for op in self.loads if op.parent is acquire.parent and op.index is acquire.index]


def check_ring(uses: RingUses) -> None:
    """Raises LlmcError LLMC0604 for counts that do not fit, LLMC0606 for waits that skip phases of a stage."""
    if uses.acquires and uses.waits:
        _check_copies(uses)
        _check_consumers(uses)
    for ops in (uses.acquires, uses.waits):
        _check_phases(uses.ring, ops)


def _check_copies(uses: RingUses) -> None:
    by_block: dict[Block | None, int] = {}
    for op in uses.loads:
        by_block[op.parent] = by_block.get(op.parent, 0) + 1
    copies = uses.ring.copies.value.data
    for acquire in uses.acquires:
        found = by_block.get(acquire.parent)
        if found is not None and found != copies * sum(a.parent is acquire.parent for a in uses.acquires):
            raise LlmcError(
                "LLMC0604", f"a ring stage is full after {copies} bulk loads, its producer issues {found}", uses.ring,
                why="consumers would wait for ever, or read a stage that is not there yet",
                fix="set `copies` to the bulk loads of one stage",
            )  # fmt: skip


def _check_consumers(uses: RingUses) -> None:
    """The warps that release: those of one role, or of all of them where each releases every stage."""
    warps = {role[:2] if (role := role_of(op)) is not None else None: warps_at(op) for op in uses.releases}
    wanted = uses.ring.consumers.value.data
    if warps and wanted not in {*warps.values(), sum(warps.values())}:
        raise LlmcError(
            "LLMC0604", f"a ring stage is empty after {wanted} warps released it, "
            f"{', '.join(map(str, sorted(set(warps.values()))))} do", uses.ring,
            why="the producer would wait for ever, or overwrite a stage that is still read",
            fix="set `consumers` to the number of warps of the consumer role",
        )  # fmt: skip


def _check_phases(ring: RingOp, ops: Sequence[RingAcquireOp] | Sequence[RingWaitOp]) -> None:
    """Of the counters that one loop waits for, those of one stage must be consecutive uses of it."""
    stages = ring.result.type.stages  # pyright: ignore[reportAttributeAccessIssue]
    loops: dict[Block, list[RingAcquireOp | RingWaitOp]] = {}
    for op in ops:
        if op.parent is not None:
            loops.setdefault(op.parent, []).append(op)
    for block, waits in loops.items():
        loop = block.parent_op()
        step = constant_value(loop.step) if isinstance(loop, scf.ForOp) else None
        if step is None:
            continue
        forms = [_affine(op.index, block.args[0]) for op in waits]
        if any(form is None or form[0] is not forms[0][0] for form in forms if forms[0] is not None) or forms[0] is None:
            continue  # counters of different origin: nothing is known
        rounds = range(2 * stages + 1)
        seen = sorted({rate * step * i + offset for i in rounds for _, rate, offset in filter(None, forms)})
        for earlier in seen:
            later = next((i for i in seen if i > earlier and (i - earlier) % stages == 0), earlier)
            if later - earlier > stages:
                raise LlmcError(
                    "LLMC0606",
                    f"a wait goes from counter i to i + {later - earlier} of a ring of {stages} stages: it skips phases of the stage",
                    waits[0],
                    why="an mbarrier shows the parity of its phase only, so that a wait two phases ahead passes at once and "
                    "reads, or overwrites, what is still in flight",
                    fix="let one role wait for every use of a stage: give each role its own ring, or a number of stages that "
                    f"the step of {later - earlier} divides",
                )


def _affine(value: SSAValue, counter: SSAValue) -> tuple[SSAValue | None, int, int] | None:
    """(what does not vary in the loop, rate, offset) of `base + rate * counter + offset`; None where it is no such form."""
    if value is counter:
        return None, 1, 0
    constant = constant_value(value)
    if constant is not None:
        return None, 0, constant
    owner = value.owner
    if isinstance(owner, arith.AddiOp | arith.SubiOp):
        left, right = _affine(owner.operands[0], counter), _affine(owner.operands[1], counter)
        if left is None or right is None or (left[0] is not None and right[0] is not None):
            return None
        sign = -1 if isinstance(owner, arith.SubiOp) else 1
        if sign < 0 and right[0] is not None:
            return None
        return left[0] or right[0], left[1] + sign * right[1], left[2] + sign * right[2]
    if isinstance(owner, arith.MuliOp):
        left, right = _affine(owner.operands[0], counter), _affine(owner.operands[1], counter)
        if left is not None and right is not None and left[0] is None and right[0] is None and 0 in (left[1], right[1]):
            return None, left[1] * right[2] + right[1] * left[2], left[2] * right[2]
    if _varies(value, counter):
        return None
    return value, 0, 0


def _varies(value: SSAValue, counter: SSAValue) -> bool:
    """Whether a value is made inside the counter's loop."""
    loop = counter.owner
    assert isinstance(loop, Block)
    block = value.owner if isinstance(value, BlockArgument) else value.owner.parent  # pyright: ignore
    while isinstance(block, Block):
        if block is loop:
            return True
        parent = block.parent_op()
        block = parent.parent if parent is not None else None
    return False
