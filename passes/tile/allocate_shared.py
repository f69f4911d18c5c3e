"""`allocate-shared`: byte offsets for allocations, mbarriers and the scratch memory of reductions and relayouts.

Allocations of one `alias` group share bytes. Scratch memory is shared by the ops of a role, which run one after the
other; roles have their own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from xdsl.dialects.builtin import IntegerAttr, ModuleOp, i32, i64
from xdsl.ir import Block, Operation

from ...dialects.tile.ops import AllocOp, KernelOp, MbarrierInitOp, RolesOp
from ...dialects.tile.types import MbarriersType, SmemType
from ..framework.pass_ import Pass, PassContext
from .scratch import SCRATCH_OPS, scratch_bytes


def round_up(value: int, unit: int) -> int:
    return -(-value // unit) * unit


class _Allocator:
    def __init__(self) -> None:
        self.end = 0
        self.groups: dict[str, tuple[int, int]] = {}

    def place(self, nbytes: int, alignment: int) -> int:
        start = round_up(self.end, alignment)
        self.end = start + nbytes
        return start

    def alloc(self, op: AllocOp) -> None:
        type_ = op.result.type
        assert isinstance(type_, SmemType)
        alignment = 1024 if type_.layout.swizzle is not None else 128
        if op.alias is None:
            start = self.place(type_.num_bytes, alignment)
        else:
            start = self.groups[op.alias.data][0]
        op.properties["offset"] = IntegerAttr(start, i64)

    def barriers(self, op: MbarrierInitOp) -> None:
        type_ = op.result.type
        assert isinstance(type_, MbarriersType)
        op.properties["offset"] = IntegerAttr(self.place(8 * type_.count, 8), i64)


def allocate(kernel: KernelOp) -> int:
    """Writes the offsets on a kernel's ops and `smem_bytes` on the kernel; returns it."""
    allocator = _Allocator()
    allocs = [op for op in kernel.walk() if isinstance(op, AllocOp)]
    sizes: dict[str, int] = {}
    for op in allocs:
        if op.alias is not None:
            type_ = op.result.type
            assert isinstance(type_, SmemType)
            sizes[op.alias.data] = max(sizes.get(op.alias.data, 0), type_.num_bytes)
    for group, nbytes in sizes.items():
        allocator.groups[group] = (allocator.place(nbytes, 1024), nbytes)
    for op in allocs:
        allocator.alloc(op)
    for op in kernel.walk():
        if isinstance(op, MbarrierInitOp):
            allocator.barriers(op)
    _scratch(allocator, [kernel.block])
    kernel.properties["smem_bytes"] = IntegerAttr(round_up(allocator.end, 16), i32)
    return round_up(allocator.end, 16)


def _scratch(allocator: _Allocator, blocks: list[Block]) -> None:
    """One scratch region for the ops in `blocks`, another for each role below them."""
    users: list[Operation] = []
    roles: list[Block] = []
    need = 0
    pending = list(blocks)
    while pending:
        block = pending.pop(0)
        for op in block.ops:
            if isinstance(op, SCRATCH_OPS):
                nbytes = scratch_bytes(op)
                if nbytes:
                    users.append(op)
                    need = max(need, nbytes)
            inner = [b for region in op.regions for b in region.blocks]
            (roles if isinstance(op, RolesOp) else pending).extend(inner)
    if users:
        start = allocator.place(need, 128)
        for op in users:
            op.attributes["scratch"] = IntegerAttr(start, i64)
    for role in roles:
        _scratch(allocator, [role])


@dataclass(frozen=True)
class AllocateShared(Pass):
    """Give every allocation and every row of mbarriers its place in shared memory, and the kernel their sum.

    Allocations of one `alias` group, which are never live at once, share bytes. Reductions and relayouts get scratch memory behind them,
    shared by the ops of a role.

    ```mlir before
    tile.kernel @k() attributes {effects = [], grid = ["1", "1", "1"], sizes = [], warps = 1 : i32} {
      %0 = tile.alloc : !tile.smem<64x64xbf16>
      %1 = tile.alloc {alias = "a"} : !tile.smem<1024xf32>
      %2 = tile.alloc {alias = "a"} : !tile.smem<2048xf32>
      %3 = tile.mbarrier_init {count = 2 : i32} : !tile.mbarriers<4>
      tile.return
    }
    ```
    ```mlir after
    tile.kernel @k() attributes {effects = [], grid = ["1", "1", "1"], sizes = [], smem_bytes = 16416 : i32, warps = 1 : i32} {
      %0 = tile.alloc {offset = 8192 : i64} : !tile.smem<64x64xbf16>
      %1 = tile.alloc {alias = "a", offset = 0 : i64} : !tile.smem<1024xf32>
      %2 = tile.alloc {alias = "a", offset = 0 : i64} : !tile.smem<2048xf32>
      %3 = tile.mbarrier_init {count = 2 : i32, offset = 16384 : i64} : !tile.mbarriers<4>
      tile.return
    }
    ```
    """

    name: ClassVar[str] = "allocate-shared"
    produces: ClassVar[tuple[str, ...] | None] = ("tile",)
    anchors: ClassVar[tuple[str, ...]] = ("builtin.module", "tile.kernel")

    def run(self, ctx: PassContext, module: ModuleOp) -> None:
        for op in module.walk():
            if isinstance(op, KernelOp):
                ctx.count("bytes", allocate(op))
