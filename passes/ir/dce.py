"""What nothing needs is dropped."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from xdsl.dialects.builtin import ModuleOp

from ...dialects.ir.rewriting import erase_dead
from ..framework.pass_ import Pass, PassContext


@dataclass(frozen=True)
class Dce(Pass):
    """Erase ops whose results nothing uses and that have no other effect.

    ```mlir before
    func.func @main(%x: tensor<4xf32>) -> tensor<4xf32> {
      %0 = nn.exp %x : (tensor<4xf32>) -> tensor<4xf32>
      %1 = nn.neg %0 : (tensor<4xf32>) -> tensor<4xf32>
      func.return %x : tensor<4xf32>
    }
    ```
    ```mlir after
    func.func @main(%x: tensor<4xf32>) -> tensor<4xf32> {
      func.return %x : tensor<4xf32>
    }
    ```
    """

    name: ClassVar[str] = "dce"
    produces: ClassVar[tuple[str, ...] | None] = ()
    required: ClassVar[bool] = False

    def run(self, ctx: PassContext, module: ModuleOp) -> None:
        for region in module.regions:
            ctx.count("erased", erase_dead(region))
