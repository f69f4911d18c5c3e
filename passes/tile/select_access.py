"""`select-access`: writes on every `tile.load` and `tile.store` which instruction it takes.

`access` is the widest access in bytes ("16", "8", "4", "2", "1"), or the ldmatrix form. It follows from the two layouts
and from what is known about the divisors of offsets; a smaller number written by hand narrows the accesses.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import gcd
from typing import ClassVar

from xdsl.dialects.builtin import ModuleOp, StringAttr
from xdsl.ir import Operation, SSAValue

from ...dialects.ir.constants import constant_value
from ...dialects.layout.algebra import bank_conflicts, conversion
from ...dialects.layout.types import BufferType
from ...dialects.tile.ops import LoadOp, RelayoutOp, StageOp, StoreOp, ViewOp
from ...dialects.tile.types import SmemType, frag_of, memory_dims, memory_of
from ..framework.pass_ import Pass, PassContext
from .divisibility import known_divisor, of_int
from .scratch import relayout_bytes
from .tile_to_ptx.access import Access, Check, Origin
from .tile_to_ptx.memory import registers_of_projection
from .tile_to_ptx.values import elem_size


def memory_alignment(memory: SSAValue) -> int:
    """Bytes to which the start of a memory is aligned."""
    if isinstance(memory.type, BufferType):
        return 256
    owner = memory.owner
    if isinstance(owner, ViewOp):
        offset = owner.offset.value.data
        return gcd(memory_alignment(owner.smem), offset) if offset else memory_alignment(owner.smem)
    if isinstance(owner, StageOp):
        type_ = owner.smem.type
        assert isinstance(type_, SmemType)
        return gcd(memory_alignment(owner.smem), type_.layout.dims[0][0][1] * elem_size(type_.element_type))
    return 128


def access_of(op: LoadOp | StoreOp) -> Access:
    """The access of an op, from the IR alone."""
    memory = op.src if isinstance(op, LoadOp) else op.dst
    type_ = memory_of(memory)
    tv = op.frag.tv
    origins = [Origin(constant_value(o), known_divisor(o)) for o in op.offsets]
    checks: dict[int, Check] = {}
    for dim, bound in op.bound_map(tv.rank).items():
        size = memory_dims(type_)[dim]
        known = known_divisor(bound) if bound is not None else of_int(size) if isinstance(size, int) else 1
        checks[dim] = Check(known)
    return Access.of(tv, type_.layout, type_.element_type, origins, checks, sorted(op.gather_map()), memory_alignment(memory))


def describe(op: LoadOp | StoreOp) -> str:
    """The `access` of a load or store."""
    access = access_of(op)
    extra: list[object] | None = None
    gather = op.gather_map()
    if gather:
        columns: list[list[int]] = []
        for index in gather.values():
            tv = frag_of(index).tv
            axes = [d for d, (a, b) in enumerate(zip(tv.shape, access.tv.shape, strict=True)) if a == 1 != b]
            columns.append(registers_of_projection(access.tv, axes, tv))
        extra = list(zip(*columns, strict=True))
    widest = max(run.nbytes for run in access.runs(extra))
    in_shared = isinstance(op, LoadOp) and isinstance(op.src.type, SmemType)
    if in_shared and widest <= 4 and not gather and not access.granularity:
        matrices = access.matrices()
        if matrices is not None:
            return f"ldmatrix.x{len(matrices.words[0])}{'.trans' if matrices.transposed else ''}"
    return str(widest)


def select(root: Operation) -> int:
    """Writes `access` on the loads and stores below `root` that have none; returns how many."""
    count = 0
    for op in root.walk():
        if isinstance(op, LoadOp | StoreOp) and "access" not in op.attributes:
            op.attributes["access"] = StringAttr(describe(op))
            count += 1
    return count


@dataclass(frozen=True)
class SelectAccess(Pass):
    """Write on every `tile.load` and `tile.store` which instruction it takes: the widest access in bytes, or the ldmatrix form.

    A thread that holds two elements side by side moves them at once; one whose elements lie apart can't.

    ```mlir before
    #a = #layout.tv<shape = [64], reg = [[2, [1]]], lane = [[32, [2]]], warp = []>
    #b = #layout.tv<shape = [64], reg = [[2, [32]]], lane = [[32, [1]]], warp = []>
    tile.kernel @k(%x: !layout.buffer<[64], f32>, %y: !layout.buffer<[64], f32>) attributes {effects = ["r", "w"], grid = ["1", "1", "1"], sizes = [], warps = 1 : i32} {
      %c = arith.constant 0 : i32
      %0 = tile.load %x[%c] : !layout.buffer<[64], f32> -> !tile.frag<64xf32, #a>
      %1 = tile.load %x[%c] : !layout.buffer<[64], f32> -> !tile.frag<64xf32, #b>
      tile.store %0, %y[%c] : !tile.frag<64xf32, #a> -> !layout.buffer<[64], f32>
      tile.return
    }
    ```
    ```mlir after
    #a = #layout.tv<shape = [64], reg = [[2, [1]]], lane = [[32, [2]]], warp = []>
    #b = #layout.tv<shape = [64], reg = [[2, [32]]], lane = [[32, [1]]], warp = []>
    tile.kernel @k(%x: !layout.buffer<[64], f32>, %y: !layout.buffer<[64], f32>) attributes {effects = ["r", "w"], grid = ["1", "1", "1"], sizes = [], warps = 1 : i32} {
      %c = arith.constant 0 : i32
      %0 = tile.load %x[%c] {access = "8"} : !layout.buffer<[64], f32> -> !tile.frag<64xf32, #a>
      %1 = tile.load %x[%c] {access = "4"} : !layout.buffer<[64], f32> -> !tile.frag<64xf32, #b>
      tile.store %0, %y[%c] {access = "8"} : !tile.frag<64xf32, #a> -> !layout.buffer<[64], f32>
      tile.return
    }
    ```
    """

    name: ClassVar[str] = "select-access"
    produces: ClassVar[tuple[str, ...] | None] = ()
    required: ClassVar[bool] = False
    anchors: ClassVar[tuple[str, ...]] = ("builtin.module", "tile.kernel")

    def run(self, ctx: PassContext, module: ModuleOp) -> None:
        ctx.count("accesses", select(module))
        for op in module.walk():
            if isinstance(op, LoadOp | StoreOp):
                remark_access(ctx, op)
            elif isinstance(op, RelayoutOp):
                remark_conversion(ctx, op)


def remark_access(ctx: PassContext, op: LoadOp | StoreOp) -> None:
    """Narrow accesses, and banks that are asked for several words at once."""
    memory = op.src if isinstance(op, LoadOp) else op.dst
    type_, tv = memory_of(memory), op.frag.tv
    access = op.attributes["access"]
    if access in (StringAttr("1"), StringAttr("2")) and op.frag.num_regs > 4:
        ctx.remark(
            "missed", "access", op, f"{op.frag.num_regs} elements a thread move one at a time",
            "a register layout whose innermost digit follows memory takes up to 16 bytes at once",
        )  # fmt: skip
    width = int(access.data) if isinstance(access, StringAttr) and access.data.isdigit() else 0
    if width and isinstance(memory.type, SmemType) and not op.gather_map() and len(type_.layout.dims) == tv.rank:
        size = elem_size(type_.element_type)
        ways = bank_conflicts(tv, type_.layout, size, max(width // size, 1))
        if ways > 1:
            ctx.remark(
                "analysis", "layout", op, f"shared memory access of {width} bytes a thread: a bank is asked for {ways} words",
                "swizzle or pad the rows of the tile",
            )  # fmt: skip


def remark_conversion(ctx: PassContext, op: RelayoutOp) -> None:
    """What getting from one register layout to another costs."""
    source, target = frag_of(op.value), frag_of(op.result)
    if source.tv.num_warps != target.tv.num_warps:
        way, cost = "shared", 4 * (source.num_regs + target.num_regs)
    else:
        found = conversion(source.tv, target.tv)
        way, cost = found.kind, found.cost
    if way in ("none", "registers"):
        return
    nbytes = relayout_bytes(source.tv, target.tv, source.element_type)
    through = f"{nbytes} bytes of shared memory and two barriers" if nbytes else "shuffles"
    ctx.remark(
        "analysis", "layout", op, f"layout conversion of {'x'.join(map(str, source.shape))}x{source.element_type} through {through}, "
        f"about {cost} instructions a thread", "give the op before it the layout that the op after it wants",
    )  # fmt: skip
