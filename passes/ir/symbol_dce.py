"""Symbols that nothing can reach are dropped."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from xdsl.dialects.builtin import ModuleOp, StringAttr
from xdsl.ir import Operation

from ...dialects.ir.symbols import SymbolTable
from ..framework.pass_ import Pass, PassContext

PRIVATE = ("private", "nested")


@dataclass(frozen=True)
class SymbolDce(Pass):
    """Erase symbols that no other one names: private functions, weights, kernels. Public functions and programs stay, and so do the
    symbols in `keep`.

    ```mlir before
    nn.weight @used {
      %0 = nn.entry "used" : tensor<4xf32>
      nn.yield %0 : tensor<4xf32>
    }
    nn.weight @lost {
      %0 = nn.entry "lost" : tensor<4xf32>
      nn.yield %0 : tensor<4xf32>
    }
    func.func @main() -> tensor<4xf32> {
      %0 = nn.param @used : tensor<4xf32>
      func.return %0 : tensor<4xf32>
    }
    ```
    ```mlir after
    nn.weight @used {
      %0 = nn.entry "used" : tensor<4xf32>
      nn.yield %0 : tensor<4xf32>
    }
    func.func @main() -> tensor<4xf32> {
      %0 = nn.param @used : tensor<4xf32>
      func.return %0 : tensor<4xf32>
    }
    ```
    """

    name: ClassVar[str] = "symbol-dce"
    produces: ClassVar[tuple[str, ...] | None] = ()
    required: ClassVar[bool] = False
    keep: tuple[str, ...] = ()

    def run(self, ctx: PassContext, module: ModuleOp) -> None:
        ctx.count("erased", SymbolTable(module).erase_unused(is_private, self.keep))


def is_private(op: Operation) -> bool:
    """Whether a symbol is of use to this module alone: functions say so, programs are what a runtime calls."""
    visibility = op.get_attr_or_prop("sym_visibility")
    if op.name == "func.func":
        return isinstance(visibility, StringAttr) and visibility.data in PRIVATE
    return op.name != "rt.program"
