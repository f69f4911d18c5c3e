"""`tile-to-ptx`: every `tile.kernel` of a module becomes a `ptx.kernel`.

tile.kernel @k(%x: !layout.buffer<["T", 64], bf16>, …, %T: i32) attributes {warps = 4 : i32, …} {…}
-->
ptx.kernel @k {params = {p0 = "u64", …, p1 = "u32"}, reqntid = 128 : i32, …} {…}
"""

from __future__ import annotations

import gc
from dataclasses import dataclass
from typing import ClassVar

from xdsl.dialects.builtin import ModuleOp

from ....dialects.tile.ops import KernelOp
from ...framework.pass_ import Pass, PassContext
from .kernel import lower_kernel


@dataclass(frozen=True)
class TileToPtx(Pass):
    """Lowers kernels; see the module docstring."""

    name: ClassVar[str] = "tile-to-ptx"
    consumes: ClassVar[tuple[str, ...]] = ("tile",)
    produces: ClassVar[tuple[str, ...] | None] = ("ptx",)
    anchors: ClassVar[tuple[str, ...]] = ("builtin.module",)

    def run(self, ctx: PassContext, module: ModuleOp) -> None:
        enabled = gc.isenabled()
        gc.disable()  # building ops without it is twice as fast
        try:
            for op in list(module.ops):
                if isinstance(op, KernelOp):
                    lowered = lower_kernel(op)
                    block = op.parent
                    assert block is not None
                    block.insert_op_before(lowered, op)
                    op.detach()
                    op.erase()
                    ctx.count("kernels")
        finally:
            if enabled:
                gc.enable()
