"""`expand-rings`: fills in what a ring's protocol leaves to be counted, and refuses rings that would hang.

    %r = tile.ring {copies = 2, consumers = 4} : …     (unchanged when sound)

A stage is full after `copies` bulk loads of one counter value, empty after one release from each of `consumers` warps.
Too few of either hangs the kernel, too many complete a phase early, so both are compared with what the roles do: bulk
loads per acquire, warps per release. A ring that disagrees is refused here, where the ops still have names; the
mbarriers themselves (init, expect_tx, parity waits) are emitted by `tile-to-ptx`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from xdsl.dialects.builtin import ModuleOp
from xdsl.ir import Block, Operation

from ...dialects.ir.diagnostics import LlmcError
from ...dialects.tile.ops import BulkLoadOp, KernelOp, RingAcquireOp, RingOp, RingReleaseOp, RingWaitOp, RolesOp
from ..framework.pass_ import Pass, PassContext


def warps_at(op: Operation) -> int:
    """The warps that run an op: those of its role, or of the kernel."""
    inner: Operation = op
    outer = op.parent_op()
    while outer is not None:
        if isinstance(outer, RolesOp):
            for region, count in zip(outer.roles, outer.warp_counts, strict=True):
                if region is inner.parent_region():
                    return count
        if isinstance(outer, KernelOp):
            return outer.num_warps
        inner, outer = outer, outer.parent_op()
    return 1


def check_ring(ring: RingOp) -> None:
    """Raises LlmcError LLMC0604 for a ring whose counts do not fit its uses."""
    users = [use.operation for use in ring.result.uses]
    acquires = [op for op in users if isinstance(op, RingAcquireOp)]
    loads = [op for op in users if isinstance(op, BulkLoadOp)]
    releases = [op for op in users if isinstance(op, RingReleaseOp)]
    if not acquires or not any(isinstance(op, RingWaitOp) for op in users):
        return
    by_block: dict[Block | None, int] = {}
    for op in loads:
        by_block[op.parent] = by_block.get(op.parent, 0) + 1
    copies = ring.copies.value.data
    for acquire in acquires:
        found = by_block.get(acquire.parent)
        if found is not None and found != copies * sum(a.parent is acquire.parent for a in acquires):
            raise LlmcError(
                "LLMC0604", f"a ring stage is full after {copies} bulk loads, its producer issues {found}", ring,
                why="consumers would wait for ever, or read a stage that is not there yet",
                fix="set `copies` to the bulk loads of one stage",
            )  # fmt: skip
    consumers = {warps_at(op) for op in releases}
    if consumers and ring.consumers.value.data not in consumers:
        raise LlmcError(
            "LLMC0604", f"a ring stage is empty after {ring.consumers.value.data} warps released it, "
            f"{', '.join(map(str, sorted(consumers)))} do", ring,
            why="the producer would wait for ever, or overwrite a stage that is still read",
            fix="set `consumers` to the number of warps of the consumer role",
        )  # fmt: skip


@dataclass(frozen=True)
class ExpandRings(Pass):
    """The counts of rings; see the module docstring."""

    name: ClassVar[str] = "expand-rings"
    produces: ClassVar[tuple[str, ...] | None] = ()
    anchors: ClassVar[tuple[str, ...]] = ("builtin.module", "tile.kernel")

    def run(self, ctx: PassContext, module: ModuleOp) -> None:
        for op in module.walk():
            if isinstance(op, RingOp):
                check_ring(op)
                ctx.count("rings")
