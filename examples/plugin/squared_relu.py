"""A plugin for llmc: a dialect with one op, what the op means in numpy, and the pass that takes it apart."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from llmc.dialects.ir.interpret import Fn, Frame
from llmc.dialects.ir.numeric import rounded, widen
from llmc.dialects.ir.rewriting import replace
from llmc.dialects.nn.ops import MulOp, ReluOp
from llmc.dialects.nn.types import elem_of
from llmc.passes.framework import NamedPipeline, Pass, PassContext, Registry
from xdsl.dialects.builtin import ModuleOp, TensorType
from xdsl.ir import Dialect, Operation
from xdsl.irdl import BaseAttr, IRDLOperation, VarConstraint, irdl_op_definition, operand_def, result_def, traits_def
from xdsl.traits import Pure


@irdl_op_definition
class SquaredReluOp(IRDLOperation):
    """The square of what is positive: `%y = act.squared_relu %x : tensor<4x8xbf16>`."""

    KIND: ClassVar = VarConstraint("KIND", BaseAttr(TensorType))

    name = "act.squared_relu"
    x = operand_def(KIND)
    result = result_def(KIND)
    traits = traits_def(Pure())
    assembly_format = "$x attr-dict `:` type($x)"


ACT = Dialect("act", [SquaredReluOp], [])


def squared_relu(op: Operation, operands: tuple[Any, ...], frame: Frame) -> tuple[Any, ...]:
    """The reference: in the arithmetic of the run, rounded once to the type of the result."""
    positive = np.maximum(widen(operands[0], frame.options), 0)
    return (rounded(positive * positive, elem_of(op.results[0]), frame.options),)


SEMANTICS: dict[type[Operation], Fn] = {SquaredReluOp: squared_relu}


@dataclass(frozen=True)
class LowerAct(Pass):
    """Write the ops of `act` in terms of `nn`.

    ```mlir before
    func.func @main(%x: tensor<4x8xbf16>) -> tensor<4x8xbf16> {
      %0 = act.squared_relu %x : tensor<4x8xbf16>
      func.return %0 : tensor<4x8xbf16>
    }
    ```
    ```mlir after
    func.func @main(%x: tensor<4x8xbf16>) -> tensor<4x8xbf16> {
      %0 = nn.relu %x : (tensor<4x8xbf16>) -> tensor<4x8xbf16>
      %1 = nn.mul %0, %0 : (tensor<4x8xbf16>, tensor<4x8xbf16>) -> tensor<4x8xbf16>
      func.return %1 : tensor<4x8xbf16>
    }
    ```
    """

    name: ClassVar[str] = "lower-act"
    consumes: ClassVar[tuple[str, ...]] = ("act",)
    produces: ClassVar[tuple[str, ...] | None] = ("nn",)
    position: ClassVar[str | None] = "start of nn"

    def run(self, ctx: PassContext, module: ModuleOp) -> None:
        for op in list(module.walk()):
            if isinstance(op, SquaredReluOp):
                relu = ReluOp(op.x)
                replace(op, [relu, MulOp(relu.result, relu.result)])
                ctx.count("lowered")


@dataclass(frozen=True)
class TidyAct(NamedPipeline):
    """`lower-act`, and what it leaves to simplify in every function."""

    name: ClassVar[str] = "tidy-act"

    def text(self, module: ModuleOp, registry: Registry) -> str:
        return "lower-act,func.func(canonicalize)"
