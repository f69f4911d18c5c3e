"""End the step with a token: sample from the logits inside the program, so that the host is not in the loop."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from xdsl.dialects.builtin import ModuleOp, TensorType, f32
from xdsl.dialects.func import ReturnOp
from xdsl.ir import Operation

from ...dialects.nn import ops as nn
from ...dialects.nn.sizes import Size
from ...dialects.nn.types import SamplingType, StateType, dims_of, elem_of
from ..framework.pass_ import Pass, PassContext
from .values import batch_argument, donations, main_function, returned, set_donations, set_function_type


@dataclass(frozen=True)
class AddSampling(Pass):
    """Add an nn.sampling argument at the end and the sampled token ids as result 1, after the logits; donations follow.

    ```mlir before
    func.func @main(%l: tensor<?x9xf32, #nn.dims<["B", "_"]>>, %b: !nn.batch<"T", "B">, %kv: !nn.state<token, tensor<2x1x8xf32>>) -> (tensor<?x9xf32, #nn.dims<["B", "_"]>>, !nn.state<token, tensor<2x1x8xf32>>) attributes {nn.donates = [[1, 2]]} {
      func.return %l, %kv : tensor<?x9xf32, #nn.dims<["B", "_"]>>, !nn.state<token, tensor<2x1x8xf32>>
    }
    ```
    ```mlir after
    func.func @main(%l: tensor<?x9xf32, #nn.dims<["B", "_"]>>, %b: !nn.batch<"T", "B">, %kv: !nn.state<token, tensor<2x1x8xf32>>, %sampling: !nn.sampling) -> (tensor<?x9xf32, #nn.dims<["B", "_"]>>, tensor<?xi32, #nn.dims<["B"]>>, !nn.state<token, tensor<2x1x8xf32>>) attributes {nn.donates = [[2, 2]]} {
      %0 = nn.sample %l, %b, %sampling : (tensor<?x9xf32, #nn.dims<["B", "_"]>>, !nn.batch<"T", "B">, !nn.sampling) -> tensor<?xi32, #nn.dims<["B"]>>
      func.return %l, %0, %kv : tensor<?x9xf32, #nn.dims<["B", "_"]>>, tensor<?xi32, #nn.dims<["B"]>>, !nn.state<token, tensor<2x1x8xf32>>
    }
    ```
    """

    name: ClassVar[str] = "add-sampling"
    produces: ClassVar[tuple[str, ...] | None] = ("nn",)
    anchors: ClassVar[tuple[str, ...]] = ("builtin.module", "func.func")

    def run(self, ctx: PassContext, module: ModuleOp) -> None:
        main = main_function(module)
        batch = batch_argument(main)
        last = returned(main)
        if batch is None or not any(isinstance(a.type, StateType) for a in main.args) or not last.operands:
            return
        logits = last.operands[0]
        assert isinstance(batch.type, nn.BatchType)
        rows = Size.parse(batch.type.sequences.data)
        if not isinstance(logits.type, TensorType) or len(dims_of(logits)) != 2 or dims_of(logits)[0] != rows:
            ctx.remark(
                "missed", "sampling", main, "result 0 is no row of logits per sequence: no sampling", "run select-token first"
            )
            return
        block = main.body.block
        params = block.insert_arg(SamplingType(), len(block.args))
        params.name_hint = "sampling"
        value = logits
        if elem_of(logits) != f32:
            wide = nn.CastOp(logits, elem=f32, location=last.location)
            block.insert_op_before(wide, last)
            value = wide.results[0]
        origin = logits.owner.location if isinstance(logits.owner, Operation) else None
        sample = nn.SampleOp(value, batch, params, location=origin)
        block.insert_op_before(sample, last)
        pairs = [(result + 1 if result >= 1 else result, argument) for result, argument in donations(main)]
        new = ReturnOp(logits, sample.result, *last.operands[1:])
        new.location = last.location
        block.insert_op_before(new, last)
        last.detach()
        last.erase()
        set_donations(main, pairs)
        set_function_type(main)
