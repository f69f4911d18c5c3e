"""Wrong rewrites and lowerings: the module still verifies, and computes something else."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from llmc.dialects.ir.rewriting import erase_dead, replace
from llmc.dialects.nn import ops as nn
from llmc.dialects.ptx.ops import INSTRUCTIONS, PtxInstruction
from llmc.dialects.ptx.ops import KernelOp as PtxKernelOp
from llmc.dialects.tile.ops import ReduceOp
from llmc.passes.framework.pass_ import Pass, PassContext
from llmc.passes.tile.layout_to_tile import LayoutToTile
from llmc.passes.tile.tile_to_ptx import TileToPtx
from xdsl.dialects.arith import AddfOp, MulfOp
from xdsl.dialects.builtin import FloatAttr, ModuleOp, StringAttr, f64


@dataclass(frozen=True)
class DivideInsteadOfRsqrt(Pass):
    """Rewrites `rsqrt(x) * y` to `y / x`, forgetting the root; leaves other multiplications alone."""

    name: ClassVar[str] = "planted-divide"

    limit: int = 1000

    def run(self, ctx: PassContext, module: ModuleOp) -> None:
        for op in list(module.walk())[: self.limit]:
            if isinstance(op, nn.MulOp):
                for index in (0, 1):
                    owner = op.operands[index].owner
                    if isinstance(owner, nn.RsqrtOp) and owner.operands[0].type == op.operands[1 - index].type:
                        replace(op, [nn.DivOp(op.operands[1 - index], owner.operands[0])])
                        break
        for op in module.body.block.ops:
            for region in op.regions:
                erase_dead(region)


@dataclass(frozen=True)
class DropScale(Pass):
    """Sets the scale of the second attention (of the only one, where there is one) to 1."""

    name: ClassVar[str] = "planted-drop-scale"

    def run(self, ctx: PassContext, module: ModuleOp) -> None:
        found = [op for op in module.walk() if isinstance(op, nn.AttentionOp)]
        for op in found[-1:]:
            op.properties["scale"] = FloatAttr(1.0, f64)


@dataclass(frozen=True)
class AddInsteadOfMultiply(Pass):
    """Turns the first `arith.mulf` of a kernel's `linalg.generic` bodies into `arith.addf`."""

    name: ClassVar[str] = "planted-add"

    def run(self, ctx: PassContext, module: ModuleOp) -> None:
        for op in list(module.walk()):
            if isinstance(op, MulfOp) and op.parent_op() is not None and op.parent_op().name == "linalg.generic":  # pyright: ignore
                replace(op, [AddfOp(op.lhs, op.rhs)])
                return


@dataclass(frozen=True)
class MaximumInsteadOfSum(Pass):
    """Turns the first sum over a tile into a maximum."""

    name: ClassVar[str] = "planted-maximum"

    def run(self, ctx: PassContext, module: ModuleOp) -> None:
        for op in module.walk():
            if isinstance(op, ReduceOp) and op.kind.data == "add":
                op.properties["kind"] = StringAttr("max")
                return


@dataclass(frozen=True)
class AddInsteadOfMul(Pass):
    """Turns the last `mul.f32` of the first kernel that has one into an addition, at `ptx`."""

    name: ClassVar[str] = "planted-add-ptx"

    def run(self, ctx: PassContext, module: ModuleOp) -> None:
        for kernel in module.body.block.ops:
            if isinstance(kernel, PtxKernelOp):
                found = [
                    op for op in kernel.walk() if isinstance(op, PtxInstruction) and op.base == "mul" and "f32" in op.opcode
                ]
                if found:
                    change_base(found[-1], "add")
                    return


@dataclass(frozen=True)
class LayoutToTileWithMaximum(Pass):
    """`layout-to-tile`, whose first sum over a tile is a maximum."""

    name: ClassVar[str] = "planted-layout-to-tile"

    def run(self, ctx: PassContext, module: ModuleOp) -> None:
        LayoutToTile().run(ctx, module)
        MaximumInsteadOfSum().run(ctx, module)


@dataclass(frozen=True)
class TileToPtxWithAdd(Pass):
    """`tile-to-ptx`, with an addition in the place of a multiplication."""

    name: ClassVar[str] = "planted-tile-to-ptx"

    def run(self, ctx: PassContext, module: ModuleOp) -> None:
        TileToPtx().run(ctx, module)
        AddInsteadOfMul().run(ctx, module)


def change_base(op: PtxInstruction, base: str) -> None:
    """Put the instruction of another name in an instruction's place."""
    new = INSTRUCTIONS[base].create(
        operands=list(op.operands),
        result_types=[r.type for r in op.results],
        properties=dict(op.properties),
        attributes=dict(op.attributes),
        location=op.location,
    )
    assert op.parent is not None
    op.parent.insert_op_before(new, op)
    for old, result in zip(op.results, new.results, strict=True):
        old.replace_all_uses_with(result)
    op.detach()
    op.erase()


__all__ = [
    "AddInsteadOfMul",
    "AddInsteadOfMultiply",
    "DivideInsteadOfRsqrt",
    "DropScale",
    "LayoutToTileWithMaximum",
    "MaximumInsteadOfSum",
    "TileToPtxWithAdd",
]
