"""Quantise the weights of linears where `choose-precision` decided so."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from xdsl.dialects.builtin import ModuleOp, StringAttr, f32, i8
from xdsl.ir import Operation

from ...dialects.ir.diagnostics import LlmcError
from ...dialects.ir.symbols import SymbolTable
from ...dialects.nn import ops as nn
from ...dialects.nn.base import is_float
from ...dialects.nn.types import dims_of, elem_of
from ...dialects.quantized.ops import QuantizeOp
from ...dialects.quantized.types import ElemType
from ..framework.numerics import Numerics
from ..framework.pass_ import Pass, PassContext
from .choose_precision import SCHEMES
from .values import functions

INT8 = ElemType.of(i8, f32, [1, -1])
"""int8 weights, symmetric, one f32 scale per output channel (row of [N, K])."""


@dataclass(frozen=True)
class QuantiseLinears(Pass):
    """End the definitions of linears' weights in quantized.quantize: int8 storage, one scale per output channel.

    Weights with another kind of user (an embedding tied to the head) and those whose name contains one of `skip` stay as they
    are. Activations stay in 16 bits. `scheme` defaults to the module's `nn.weights`.

    ```mlir before
    nn.weight @w {
      %0 = nn.entry "w" : tensor<9x8xbf16>
      nn.yield %0 : tensor<9x8xbf16>
    }
    func.func @main(%x: tensor<2x8xbf16>) -> tensor<2x9xbf16> {
      %0 = nn.param @w : tensor<9x8xbf16>
      %1 = nn.linear %x, %0 {acc = f32} : (tensor<2x8xbf16>, tensor<9x8xbf16>) -> tensor<2x9xbf16>
      func.return %1 : tensor<2x9xbf16>
    }
    ```
    ```mlir after
    nn.weight @w {
      %0 = nn.entry "w" : tensor<9x8xbf16>
      %1 = quantized.quantize %0 : tensor<9x8xbf16> -> tensor<9x8x!quantized.elem<i8, scale = f32, block = [1, -1]>>
      nn.yield %1 : tensor<9x8x!quantized.elem<i8, scale = f32, block = [1, -1]>>
    }
    func.func @main(%x: tensor<2x8xbf16>) -> tensor<2x9xbf16> {
      %0 = nn.param @w : tensor<9x8x!quantized.elem<i8, scale = f32, block = [1, -1]>>
      %1 = nn.linear %x, %0 {acc = f32} : (tensor<2x8xbf16>, tensor<9x8x!quantized.elem<i8, scale = f32, block = [1, -1]>>) -> tensor<2x9xbf16>
      func.return %1 : tensor<2x9xbf16>
    }
    ```
    """

    name: ClassVar[str] = "quantise-linears"
    produces: ClassVar[tuple[str, ...] | None] = ("nn", "quantized")
    numerics: ClassVar[Numerics] = Numerics(weights=2.0**-8)  # int8 is off by 1/254 of a row's largest at most
    required: ClassVar[bool] = False
    anchors: ClassVar[tuple[str, ...]] = ("builtin.module",)
    scheme: str = "int8"
    skip: tuple[str, ...] = ("lm_head",)

    def __post_init__(self) -> None:
        if self.scheme not in SCHEMES:
            raise LlmcError("LLMC0420", f"unknown weight scheme '{self.scheme}'", fix=f"schemes are {', '.join(SCHEMES)}")

    def run(self, ctx: PassContext, module: ModuleOp) -> None:
        chosen = module.attributes.get("nn.weights")
        scheme = chosen.data if isinstance(chosen, StringAttr) else self.scheme
        if scheme == "none":
            return
        if scheme != "int8":
            raise LlmcError(
                "LLMC0420",
                f"unknown weight scheme '{scheme}'",
                "the module's attribute nn.weights",
                fix=f"schemes are {', '.join(SCHEMES)}",
            )
        params: dict[str, list[nn.ParamOp]] = {}
        for func in functions(module):
            for op in func.body.block.ops:
                if isinstance(op, nn.ParamOp):
                    params.setdefault(op.weight.root_reference.data, []).append(op)
        symbols = SymbolTable(module)
        for name, uses in params.items():
            others = _other_readers(uses)
            if others or not is_float(elem_of(uses[0].result)):
                if others and len(others) < sum(len(list(param.result.uses)) for param in uses):
                    ctx.remark(
                        "missed", "quantisation", uses[0], f"@{name} stays in 16 bits: {others[0].name} reads it too",
                        "untie the two weights in the checkpoint",
                    )  # fmt: skip
                continue
            if any(part in name for part in self.skip):
                ctx.remark(
                    "missed", "quantisation", uses[0], f"@{name} stays in 16 bits: its name is among those to skip",
                    "quantise-linears{skip=…} says which",
                )  # fmt: skip
                continue
            weight = symbols.lookup(name)
            assert isinstance(weight, nn.WeightOp)
            end = weight.body.block.last_op
            assert isinstance(end, nn.YieldOp)
            quantise = QuantizeOp(end.values[0], INT8, location=weight.location)
            weight.body.block.insert_op_before(quantise, end)
            end.operands[0] = quantise.result
            for param in uses:
                param.result._type = quantise.result.type  # pyright: ignore
            ctx.count("quantised")
            rows, columns = (d.constant or 0 for d in dims_of(uses[0].result))
            before, after = 2 * rows * columns, rows * columns + 4 * rows
            ctx.remark(
                "passed", "quantisation", uses[0],
                f"@{name} in int8 with a scale for each of {rows} rows: {before / 1e6:.1f} → {after / 1e6:.1f} MB",
            )  # fmt: skip


def _other_readers(uses: list[nn.ParamOp]) -> list[Operation]:
    """The ops that read a weight as something else than the weight of a linear."""
    found = [use for param in uses for use in param.result.uses]
    return [use.operation for use in found if not (isinstance(use.operation, nn.LinearOp) and use.index == 1)]
