"""`mark-constants`: kernels say which of their buffers are weights that nothing writes while the program runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from xdsl.dialects.builtin import ModuleOp
from xdsl.ir import SSAValue

from ...dialects.layout.constants import mark_constants
from ...dialects.layout.ops import KernelOp
from ...dialects.rt.ops import LaunchOp, ParamOp, ProgramOp, ReinterpretOp, UploadOp
from ..framework.pass_ import Pass, PassContext


@dataclass(frozen=True)
class MarkConstants(Pass):
    """Write `constants` on kernels: the arguments that are, in every launch, weights that the launch's program leaves alone.

    Such memory has no producer to wait for.

    ```mlir before
    rt.weight @w : !layout.buffer<[64], bf16>
    rt.program @p attributes {sizes = []} {
      %w = rt.param @w : !layout.buffer<[64], bf16>
      %y = rt.io "y" : !layout.buffer<[64], bf16>
      rt.launch @copy(%w, %y) sizes [] : (!layout.buffer<[64], bf16>, !layout.buffer<[64], bf16>)
      rt.return
    }
    layout.kernel @copy(%w: !layout.buffer<[64], bf16>, %y: !layout.buffer<[64], bf16>) attributes {family = "pointwise", arg_effects = ["r", "w"], sizes = []} {
      %0 = layout.read %w : !layout.buffer<[64], bf16> -> tensor<64xbf16>
      layout.write %0, %y : tensor<64xbf16> -> !layout.buffer<[64], bf16>
      layout.return
    }
    ```
    ```mlir after
    rt.weight @w : !layout.buffer<[64], bf16>
    rt.program @p attributes {sizes = []} {
      %w = rt.param @w : !layout.buffer<[64], bf16>
      %y = rt.io "y" : !layout.buffer<[64], bf16>
      rt.launch @copy(%w, %y) sizes [] : (!layout.buffer<[64], bf16>, !layout.buffer<[64], bf16>)
      rt.return
    }
    layout.kernel @copy(%w: !layout.buffer<[64], bf16>, %y: !layout.buffer<[64], bf16>) attributes {family = "pointwise", arg_effects = ["r", "w"], sizes = [], constants = array<i64: 0>} {
      %0 = layout.read %w : !layout.buffer<[64], bf16> -> tensor<64xbf16>
      layout.write %0, %y : tensor<64xbf16> -> !layout.buffer<[64], bf16>
      layout.return
    }
    ```
    """

    name: ClassVar[str] = "mark-constants"
    required: ClassVar[bool] = False
    produces: ClassVar[tuple[str, ...] | None] = ()
    anchors: ClassVar[tuple[str, ...]] = ("builtin.module",)

    def run(self, ctx: PassContext, module: ModuleOp) -> None:
        kernels = {op.sym_name.data: op for op in module.body.block.ops if isinstance(op, KernelOp)}
        for name, constants in constant_operands(module, kernels).items():
            mark_constants(kernels[name], constants)
            ctx.count("constants", len(constants))


def constant_operands(module: ModuleOp, kernels: Mapping[str, KernelOp]) -> dict[str, set[int]]:
    """Kernel → the buffers that are, in every launch of it, weights that the launch's program leaves alone."""
    found: dict[str, set[int]] = {}
    for program in (op for op in module.body.block.ops if isinstance(op, ProgramOp)):
        launches = [op for op in program.walk() if isinstance(op, LaunchOp) and op.kernel.root_reference.data in kernels]
        written = {weight_of(op.operands[0]) for op in program.walk() if isinstance(op, UploadOp)}
        for launch in launches:
            effects = kernels[launch.kernel.root_reference.data].arg_effects.data
            written |= {weight_of(b) for b, effect in zip(launch.buffers, effects, strict=True) if "w" in effect.data}
        for launch in launches:
            weights = {i for i, b in enumerate(launch.buffers) if weight_of(b) not in (None, *written)}
            name = launch.kernel.root_reference.data
            found[name] = found.get(name, weights) & weights
    return found


def weight_of(buffer: SSAValue) -> str | None:
    """The weight that a buffer of a program is the image of."""
    owner = buffer.owner
    while isinstance(owner, ReinterpretOp):
        owner = owner.operands[0].owner
    return owner.weight.root_reference.data if isinstance(owner, ParamOp) else None
