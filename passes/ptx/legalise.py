"""legalise: what remains between lowered ptx and text that ptxas takes, in one linear walk."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from xdsl.dialects.builtin import ModuleOp
from xdsl.ir import Block, Operation

from ...codegen.targets import Target
from ...dialects.ir.diagnostics import LlmcError
from ...dialects.ptx.forms import Form, forms_of
from ...dialects.ptx.ops import KernelOp, PackOp, PtxInstruction, UndefOp, UnpackOp
from ..framework.pass_ import Pass, PassContext

VOLATILE = ("%clock", "%globaltimer", "%smid", "%nanosmid", "%warpid")
"""Special registers whose value changes while a thread runs."""


@dataclass(frozen=True)
class Legalise(Pass):
    """Share equal instructions, drop copies and dead ones, and check every instruction form against the target.

    Pure instructions are shared within a block and from the entry block. ptxas optimises anyway: this keeps the text, and the
    time it takes, small. A form that the target lacks is LLMC0820, naming the op and what it needs. `target` defaults to the
    module's `llmc.target`.

    ```mlir before
    ptx.kernel @k {params = {x = "u64", n = "u32"}, reqntid = 32 : i32} {
      %0 = ptx.ld param.u64 [@x] : !ptx.reg<b64>
      %1 = ptx.ld param.u32 [@n] : !ptx.reg<b32>
      %2 = ptx.mov b32 %1 : !ptx.reg<b32>
      %3 = ptx.ld param.u32 [@n] : !ptx.reg<b32>
      %4 = ptx.add s32 %3, 1 : !ptx.reg<b32>
      ptx.st global.v2.b32 [%0], {%2, %3}
      ptx.ret
    }
    ```
    ```mlir after
    ptx.kernel @k {params = {x = "u64", n = "u32"}, reqntid = 32 : i32} {
      %0 = ptx.ld param.u64 [@x] : !ptx.reg<b64>
      %1 = ptx.ld param.u32 [@n] : !ptx.reg<b32>
      ptx.st global.v2.b32 [%0], {%1, %1}
      ptx.ret
    }
    ```
    """

    name: ClassVar[str] = "legalise"
    produces: ClassVar[tuple[str, ...] | None] = ("ptx",)
    anchors: ClassVar[tuple[str, ...]] = ("builtin.module", "ptx.kernel")
    target: str = ""

    def run(self, ctx: PassContext, module: ModuleOp) -> None:
        name = self.target
        attribute = module.attributes.get("llmc.target")
        if not name and attribute is not None:
            name = getattr(attribute, "data", "")
        target = ctx.registry.targets.find(name) if name else None
        for op in module.walk():
            if isinstance(op, KernelOp):
                ctx.count("removed", legalise(op, target))


def legalise(kernel: KernelOp, target: Target | None = None) -> int:
    """Rewrites the kernel in place; returns how many ops are gone. With a target, checks every form against it."""
    removed = 0
    entry: dict[Any, PtxInstruction] = {}
    for i, block in enumerate(kernel.body.blocks):
        removed += _share(block, entry, keep=i == 0)
    removed += _drop_dead(kernel)
    if target is not None:
        check_target(kernel, target)
    return removed


def _share(block: Block, entry: dict[Any, PtxInstruction], keep: bool) -> int:
    """Copy propagation and common subexpressions of one block; what the entry block computes is known everywhere."""
    known = entry if keep else {}
    removed = 0
    for op in list(block.ops):
        if not isinstance(op, PtxInstruction) or not op.results or "pred" in op.properties:
            continue
        if op.name == "ptx.mov" and _is_copy(op):
            op.results[0].replace_all_uses_with(op.operands[0])
            removed += _erase(op)
            continue
        if not _is_pure(op):
            continue
        key = (
            op.name,
            op.form.data,
            op.items,
            tuple(id(v) for v in op.operands),
            tuple(r.type for r in op.results),
        )
        same = known.get(key) or entry.get(key)
        if same is None:
            known[key] = op
            continue
        for result, other in zip(op.results, same.results):
            result.replace_all_uses_with(other)
        removed += _erase(op)
    return removed


def _is_copy(op: PtxInstruction) -> bool:
    """`mov` between unassigned registers of one kind."""
    return op.items == ("$",) and len(op.results) == 1 and op.results[0].type == op.operands[0].type


def _is_pure(op: PtxInstruction) -> bool:
    form = forms_of(op.opcode)[0]
    if form.row.effect != "pure":
        return False
    return not (op.name == "ptx.mov" and any(item.startswith(VOLATILE) for item in op.items))


def _erase(op: Operation) -> int:
    op.detach()
    op.erase()
    return 1


def _drop_dead(kernel: KernelOp) -> int:
    """Worklist from unused pure ops towards what only they used."""
    removed = 0
    work: list[Operation] = [op for block in kernel.body.blocks for op in block.ops if _is_dead(op)]
    while work:
        op = work.pop()
        if op.parent is None or not _is_dead(op):
            continue
        owners = [v.owner for v in op.operands]
        removed += _erase(op)
        work.extend(o for o in owners if isinstance(o, Operation))
    return removed


def _is_dead(op: Operation) -> bool:
    if not op.results or any(r.first_use is not None for r in op.results):
        return False
    if isinstance(op, UndefOp | PackOp | UnpackOp):
        return True
    if not isinstance(op, PtxInstruction):
        return False
    effect = forms_of(op.opcode)[0].row.effect
    return effect == "pure" or (
        effect == "read"
        and op.base == "ld"
        and "volatile" not in op.opcode
        and ("acquire" not in op.opcode and "relaxed" not in op.opcode)
    )


def check_target(kernel: KernelOp, target: Target) -> None:
    """Raises LlmcError LLMC0820 at the first instruction that the target has not."""
    for block in kernel.body.blocks:
        for op in block.ops:
            if isinstance(op, PtxInstruction):
                form = op.resolved
                if form.sm > target.sm or (form.row.arch and not target.arch_specific):
                    raise _unsupported(op, form, target)


def _unsupported(op: PtxInstruction, form: Form, target: Target) -> LlmcError:
    needs = f"sm_{form.sm}{'a' if form.row.arch else ''}"
    return LlmcError(
        "LLMC0820",
        f"{form.opcode} does not exist on {target.name}",
        where=op,
        why=f"it needs {needs}",
        fix=f"choose a schedule that {target.name} can run, or compile for {needs}",
    )
