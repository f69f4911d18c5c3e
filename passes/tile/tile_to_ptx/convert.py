"""`tile-to-ptx`: every `tile.kernel` of a module becomes a `ptx.kernel`."""

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
    """Every `tile.kernel` becomes a `ptx.kernel`: one op for each instruction, on registers.

    Buffers become 64-bit parameters, sizes 32-bit ones, and threads work out their addresses once. Nothing is scheduled here.

    ```mlir before
    #a = #layout.tv<shape = [64], reg = [[2, [1]]], lane = [[32, [2]]], warp = []>
    tile.kernel @k(%x: !layout.buffer<[64], f32>, %y: !layout.buffer<[64], f32>) attributes {effects = ["r", "w"], grid = ["1", "1", "1"], sizes = [], warps = 1 : i32} {
      %c = arith.constant 0 : i32
      %0 = tile.load %x[%c] {access = "8"} : !layout.buffer<[64], f32> -> !tile.frag<64xf32, #a>
      tile.store %0, %y[%c] {access = "8"} : !tile.frag<64xf32, #a> -> !layout.buffer<[64], f32>
      tile.return
    }
    ```
    ```mlir after
    ptx.kernel @k {params = {p0 = "u64", p1 = "u64"}, reqntid = 32 : i32, minnctapersm = 1 : i32} attributes {grid = ["1", "1", "1"], sizes = [], effects = ["r", "w"], buffers = [!layout.buffer<[64], f32>, !layout.buffer<[64], f32>], names = ["x", "y"]} {
      %0 = ptx.mov u32 sreg(tid.x) : !ptx.reg<b32>
      %1 = ptx.ld param.u64 [@p0] : !ptx.reg<b64>
      %2 = ptx.ld param.u64 [@p1] : !ptx.reg<b64>
      %3 = ptx.shl b32 %0, 1 : !ptx.reg<b32>
      %4 = ptx.mad wide.s32 %3, 4, %1 : !ptx.reg<b64>
      %5, %6 = ptx.ld global.nc.v2.f32 [%4] : !ptx.reg<f32>, !ptx.reg<f32>
      %7 = ptx.mad wide.s32 %3, 4, %2 : !ptx.reg<b64>
      ptx.st global.v2.f32 [%7], {%5, %6}
      ptx.ret
    }
    ```
    """

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
