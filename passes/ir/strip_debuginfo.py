"""Locations are taken off."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from xdsl.dialects.builtin import ModuleOp

from ...dialects.ir.locations import UNKNOWN
from ..framework.pass_ import Pass, PassContext


@dataclass(frozen=True)
class StripDebuginfo(Pass):
    """Give every op and block argument the unknown location, so that modules that differ in where they come from print alike.

    ```mlir before
    func.func @main(%x: tensor<4xf32>) -> tensor<4xf32> {
      %0 = nn.exp %x : (tensor<4xf32>) -> tensor<4xf32> loc("model.layers.0")
      func.return %0 : tensor<4xf32>
    }
    ```
    ```mlir after
    func.func @main(%x: tensor<4xf32>) -> tensor<4xf32> {
      %0 = nn.exp %x : (tensor<4xf32>) -> tensor<4xf32>
      func.return %0 : tensor<4xf32>
    }
    ```
    """

    name: ClassVar[str] = "strip-debuginfo"
    produces: ClassVar[tuple[str, ...] | None] = ()
    required: ClassVar[bool] = False

    def run(self, ctx: PassContext, module: ModuleOp) -> None:
        for op in module.walk():
            op.location = UNKNOWN
            for region in op.regions:
                for block in region.blocks:
                    for argument in block.args:
                        argument.location = UNKNOWN
