"""`expand-rings`: rings become stages and mbarriers, with slot and parity as arithmetic.

A stage is full after `copies` bulk loads of one counter value, empty after one release from each of `consumers` warps.
Too few of either hangs the kernel, too many complete a phase early, so both are compared with what the roles do; a wait
that skips phases of its stage would see the right parity of the wrong phase. Such rings are refused here, where the ops
still have names.

The bytes of a stage are expected at once, where its acquire stands, if its bulk loads stand in the same block with the
same counter; each load expects its own otherwise.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from xdsl.dialects import arith
from xdsl.dialects.builtin import IntegerAttr, ModuleOp, i32
from xdsl.ir import Block, Operation, SSAValue

from ...dialects.ir.constants import constant_value
from ...dialects.ir.numeric import dtype_of
from ...dialects.layout.mem import MemLayout
from ...dialects.tile.ops import (
    AllocOp,
    BulkCopyOp,
    BulkLoadOp,
    KernelOp,
    MbarrierArriveOp,
    MbarrierExpectOp,
    MbarrierInitOp,
    MbarrierWaitOp,
    RingAcquireOp,
    RingOp,
    RingReleaseOp,
    RingWaitOp,
    StageOp,
    TmaCopyOp,
    TmaLoadOp,
)
from ...dialects.tile.types import RingType, SmemType
from ..framework.pass_ import Pass, PassContext
from .ring_checks import RingLoad, RingUses, bytes_of, check_ring

Counter = tuple[Block, SSAValue]
"""A counter and the block in which it is used."""


def stages_type(type_: RingType) -> SmemType:
    """A ring's stages as one allocation: 128 bytes apart or more, whole swizzle blocks."""
    stage = type_.stage
    unit = 1024 if stage.layout.swizzle is not None else 128
    pitch = -(-stage.num_bytes // unit) * unit // dtype_of(stage.element_type).itemsize
    layout = MemLayout((((type_.stages, pitch),), *stage.layout.dims), stage.layout.swizzle)
    return SmemType.of((type_.stages, *stage.shape), stage.element_type, layout)


@dataclass
class _Expansion:
    """One ring on its way to mbarriers. `slots` and `stages` keep what was computed for a counter, by block."""

    uses: RingUses
    constants: dict[int, SSAValue]
    kernel: KernelOp
    slots: dict[Counter, SSAValue] = field(default_factory=dict[Counter, SSAValue])
    stage_of: dict[Counter, SSAValue] = field(default_factory=dict[Counter, SSAValue])

    def constant(self, value: int) -> SSAValue:
        """An i32 constant at the top of the kernel."""
        if value not in self.constants:
            op = arith.ConstantOp(IntegerAttr(value, i32))
            op.location = self.kernel.location
            first = self.kernel.block.first_op
            assert first is not None
            self.kernel.block.insert_op_before(op, first)
            self.constants[value] = op.result
        return self.constants[value]

    def before(self, at: Operation, op: Operation, hint: str | None = None) -> SSAValue:
        """Insert an op in front of `at`, with its location."""
        op.location = at.location
        assert at.parent is not None
        at.parent.insert_op_before(op, at)
        for result in op.results:
            result.name_hint = hint
        return op.results[0] if op.results else at.operands[0]

    def run(self) -> None:
        ring, uses = self.uses.ring, self.uses
        type_ = ring.result.type
        assert isinstance(type_, RingType)
        self.count = type_.stages
        together = all(self._expected(acquire) for acquire in uses.acquires) and bool(uses.acquires)
        together = together and all(any(load in uses.loads_of(a) for a in uses.acquires) for load in uses.loads)
        self.memory = self.before(ring, AllocOp(stages_type(type_)), "stages")
        arrivals = 1 if together else ring.copies.value.data
        self.full = self.before(ring, MbarrierInitOp(type_.stages, arrivals), "full")
        self.empty = self.before(ring, MbarrierInitOp(type_.stages, ring.consumers.value.data), "empty")
        for op in uses.ops:
            match op:
                case RingAcquireOp():
                    self._acquire(op, self._expected(op) if together else 0)
                case RingWaitOp():
                    slot = self.slot(op, op.index)
                    self.before(op, MbarrierWaitOp(self.full, slot, self.parity(op, op.index)))
                    self._replace(op, self.stage(op, op.index))
                case RingReleaseOp():
                    self.before(op, MbarrierArriveOp(self.empty, self.slot(op, op.index)))
                    self._replace(op)
                case BulkLoadOp() | TmaLoadOp():
                    self._load(op, not together)
                case _:
                    pass
        self._replace(ring)

    def _expected(self, acquire: RingAcquireOp) -> int:
        """The bytes that the loads of this acquire bring; 0 when they stand elsewhere."""
        loads = self.uses.loads_of(acquire)
        return sum(bytes_of(op) for op in loads) if len(loads) == self.uses.ring.copies.value.data else 0

    def _acquire(self, op: RingAcquireOp, expected: int) -> None:
        slot = self.slot(op, op.index)
        other = self.before(op, arith.XOrIOp(self.parity(op, op.index), self.constant(1)), "other")
        self.before(op, MbarrierWaitOp(self.empty, slot, other))
        if expected:
            self.before(op, MbarrierExpectOp(self.full, slot, expected))
        self._replace(op, self.stage(op, op.index))

    def _load(self, op: RingLoad, expects: bool) -> None:
        slot, cache = self.slot(op, op.index), op.cache.data if op.cache is not None else "default"
        if expects:
            self.before(op, MbarrierExpectOp(self.full, slot, bytes_of(op)))
        stage = self.stage(op, op.index)
        if isinstance(op, TmaLoadOp):
            copy = TmaCopyOp(op.map, list(op.coordinates), stage, self.full, slot, at=op.start, cache=cache)
        else:
            size = op.bytes.value.data
            copy = BulkCopyOp(op.src, list(op.offsets), stage, self.full, slot, size, at=op.start, cache=cache)
        self.before(op, copy)
        self._replace(op)

    def slot(self, at: Operation, index: SSAValue) -> SSAValue:
        """i mod S."""
        assert at.parent is not None
        key = (at.parent, index)
        if key not in self.slots:
            self.slots[key] = self.before(at, arith.RemUIOp(index, self.constant(self.count)), "slot")
        return self.slots[key]

    def parity(self, at: Operation, index: SSAValue) -> SSAValue:
        """(i / S) & 1."""
        lap = self.before(at, arith.DivUIOp(index, self.constant(self.count)), "lap")
        return self.before(at, arith.AndIOp(lap, self.constant(1)), "parity")

    def stage(self, at: Operation, index: SSAValue) -> SSAValue:
        """The memory of a counter's stage."""
        assert at.parent is not None
        key = (at.parent, index)
        if key not in self.stage_of:
            self.stage_of[key] = self.before(at, StageOp(self.memory, self.slot(at, index)), "stage")
        return self.stage_of[key]

    def _replace(self, op: Operation, *values: SSAValue) -> None:
        for result, value in zip(op.results, values, strict=False):  # the ring itself has no value any more
            result.replace_all_uses_with(value)
        op.detach()
        op.erase()


def expand_rings(kernel: KernelOp) -> int:
    """Rewrites every ring of a kernel; returns how many. Raises what `check_ring` does."""
    rings = [op for op in kernel.walk() if isinstance(op, RingOp)]
    constants: dict[int, SSAValue] = {}
    for op in kernel.block.ops:  # those that stand in front of every use
        if isinstance(op, RingOp):
            break
        if isinstance(op, arith.ConstantOp) and op.result.type == i32 and (value := constant_value(op.result)) is not None:
            constants.setdefault(value, op.result)
    for ring in rings:
        uses = RingUses.of(ring, kernel)
        check_ring(uses)
        _Expansion(uses, constants, kernel).run()
    return len(rings)


@dataclass(frozen=True)
class ExpandRings(Pass):
    """Slot i mod S, parity (i / S) & 1; a consumer waits for that parity of its stage's `full` barrier, a producer for the other
    parity of `empty`, so that its first lap passes.

    ```mlir before
    tile.kernel @k(%x: !layout.buffer<[4096], bf16>, %n: i32) attributes {effects = ["r"], grid = ["1", "1", "1"], sizes = ["n"], warps = 3 : i32} {
      %0 = arith.constant 0 : i32
      %1 = arith.constant 1 : i32
      %r = tile.ring {copies = 1 : i32, consumers = 2 : i32} : !tile.ring<4, 512xbf16>
      tile.roles warps [1, 2] {
        scf.for %i = %0 to %n step %1 : i32 {
          %a = tile.ring_acquire %r[%i] : !tile.ring<4, 512xbf16> -> !tile.smem<512xbf16>
          tile.bulk_load %x[%0], %r[%i] {bytes = 1024 : i64} : !layout.buffer<[4096], bf16>[i32] -> !tile.ring<4, 512xbf16>
        }
        tile.yield
      }, {
        scf.for %i = %0 to %n step %1 : i32 {
          %s = tile.ring_wait %r[%i] : !tile.ring<4, 512xbf16> -> !tile.smem<512xbf16>
          tile.ring_release %r[%i] : !tile.ring<4, 512xbf16>
        }
        tile.yield
      }
      tile.return
    }
    ```
    ```mlir after
    tile.kernel @k(%x: !layout.buffer<[4096], bf16>, %n: i32) attributes {effects = ["r"], grid = ["1", "1", "1"], sizes = ["n"], warps = 3 : i32} {
      %c4 = arith.constant 4 : i32
      %0 = arith.constant 0 : i32
      %1 = arith.constant 1 : i32
      %stages = tile.alloc : !tile.smem<4x512xbf16>
      %full = tile.mbarrier_init {count = 1 : i32} : !tile.mbarriers<4>
      %empty = tile.mbarrier_init {count = 2 : i32} : !tile.mbarriers<4>
      tile.roles warps [1, 2] {
        scf.for %i = %0 to %n step %1 : i32 {
          %slot = arith.remui %i, %c4 : i32
          %lap = arith.divui %i, %c4 : i32
          %parity = arith.andi %lap, %1 : i32
          %other = arith.xori %parity, %1 : i32
          tile.mbarrier_wait %empty[%slot] parity %other : !tile.mbarriers<4>
          tile.mbarrier_expect %full[%slot] {bytes = 1024 : i64} : !tile.mbarriers<4>
          %a = tile.stage %stages[%slot] : !tile.smem<4x512xbf16> -> !tile.smem<512xbf16>
          tile.bulk_copy %x[%0], %a, %full[%slot] {bytes = 1024 : i64} : !layout.buffer<[4096], bf16>[i32] -> !tile.smem<512xbf16>, !tile.mbarriers<4>
        }
        tile.yield
      }, {
        scf.for %i = %0 to %n step %1 : i32 {
          %slot = arith.remui %i, %c4 : i32
          %lap = arith.divui %i, %c4 : i32
          %parity = arith.andi %lap, %1 : i32
          tile.mbarrier_wait %full[%slot] parity %parity : !tile.mbarriers<4>
          %s = tile.stage %stages[%slot] : !tile.smem<4x512xbf16> -> !tile.smem<512xbf16>
          tile.mbarrier_arrive %empty[%slot] : !tile.mbarriers<4>
        }
        tile.yield
      }
      tile.return
    }
    ```
    """

    name: ClassVar[str] = "expand-rings"
    produces: ClassVar[tuple[str, ...] | None] = ("tile", "arith")
    anchors: ClassVar[tuple[str, ...]] = ("builtin.module", "tile.kernel")

    def run(self, ctx: PassContext, module: ModuleOp) -> None:
        for op in list(module.ops):
            if isinstance(op, KernelOp):
                ctx.count("rings", expand_rings(op))
