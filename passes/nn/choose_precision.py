"""Decide element types: how weights are stored, and that logits stay in f32."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from xdsl.dialects.builtin import ModuleOp, StringAttr, f32

from ...dialects.ir.diagnostics import LlmcError
from ...dialects.nn import ops as nn
from ...dialects.nn.base import is_float
from ...dialects.nn.types import elem_of
from ..framework.pass_ import Pass, PassContext
from .values import definition, main_function, returned, set_function_type, users

SCHEMES = ("none", "int8")


@dataclass(frozen=True)
class ChoosePrecision(Pass):
    """Write the weight scheme on the module (`nn.weights`), for quantise-linears to follow, and keep logits in f32.

    The linear that makes result 0 accumulates in f32 anyway: its result is not rounded to 16 bits on the way out.

    ```mlir before
    func.func @main(%x: tensor<2x8xbf16>, %w: tensor<9x8xbf16>) -> tensor<2x9xbf16> {
      %0 = nn.linear %x, %w {acc = f32} : (tensor<2x8xbf16>, tensor<9x8xbf16>) -> tensor<2x9xbf16>
      func.return %0 : tensor<2x9xbf16>
    }
    ```
    ```mlir after
    builtin.module attributes {nn.weights = "none"} {
      func.func @main(%x: tensor<2x8xbf16>, %w: tensor<9x8xbf16>) -> tensor<2x9xf32> {
        %0 = nn.linear %x, %w {acc = f32} : (tensor<2x8xbf16>, tensor<9x8xbf16>) -> tensor<2x9xf32>
        func.return %0 : tensor<2x9xf32>
      }
    }
    ```
    """

    name: ClassVar[str] = "choose-precision"
    produces: ClassVar[tuple[str, ...] | None] = ("nn",)
    anchors: ClassVar[tuple[str, ...]] = ("builtin.module",)
    scheme: str = "none"
    logits_f32: bool = True

    def __post_init__(self) -> None:
        if self.scheme not in SCHEMES:
            raise LlmcError("LLMC0420", f"unknown weight scheme '{self.scheme}'", fix=f"schemes are {', '.join(SCHEMES)}")

    def run(self, ctx: PassContext, module: ModuleOp) -> None:
        module.attributes["nn.weights"] = StringAttr(self.scheme)
        if not self.logits_f32:
            return
        main = main_function(module)
        last = returned(main)
        if not last.operands:
            return
        value = last.operands[0]
        op = definition(value)
        if isinstance(op, nn.CastOp) and elem_of(value) == f32:
            op = definition(op.operands[0])
        if not isinstance(op, nn.LinearOp) or not is_float(elem_of(op.result)) or elem_of(op.result) == f32:
            return
        casts = [u for u in users(op.result) if isinstance(u, nn.CastOp) and elem_of(u.results[0]) == f32]
        if any(u is not last and u not in casts for u in users(op.result)):
            ctx.remark(
                "missed", "precision", op, "the logits stay rounded: other ops read them too",
                "cast the logits to float32 in forward, before anything else reads them",
            )  # fmt: skip
            return
        wide = nn.LinearOp(op.x, op.weight, op.bias, acc=op.acc, elem=f32, location=op.location)
        assert op.parent is not None
        op.parent.insert_op_before(wide, op)
        for cast in casts:
            cast.results[0].replace_all_uses_with(wide.result)
            cast.detach()
            cast.erase()
        op.result.replace_all_uses_with(wide.result)
        op.detach()
        op.erase()
        set_function_type(main)
