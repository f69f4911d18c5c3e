"""Only the last token of each sequence needs logits: select it early."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from xdsl.dialects.builtin import ModuleOp, TensorType
from xdsl.ir import Operation, SSAValue

from ...dialects.ir.rewriting import erase_dead
from ...dialects.nn import ops as nn
from ...dialects.nn.sizes import Size
from ...dialects.nn.types import StateType, dims_of, elem_of, tensor
from ..framework.pass_ import Pass, PassContext
from .values import batch_argument, definition, main_function, only_use, returned, set_function_type


@dataclass(frozen=True)
class SelectToken(Pass):
    """Select each sequence's last token before the final norm and the language model head, which then work on B rows.

    The selection slides up through ops that keep tokens apart while their operands besides it are the same for all tokens and
    nothing else uses the result. An encoder (no state) keeps all its rows.

    ```mlir before
    func.func @main(%x: tensor<?x4xf32, #nn.dims<["T", "_"]>>, %b: !nn.batch<"T", "B">, %kv: !nn.state<token, tensor<2x1x8xf32>>, %w: tensor<9x4xf32>) -> tensor<?x9xf32, #nn.dims<["T", "_"]>> {
      %0 = nn.linear %x, %w {acc = f32} : (tensor<?x4xf32, #nn.dims<["T", "_"]>>, tensor<9x4xf32>) -> tensor<?x9xf32, #nn.dims<["T", "_"]>>
      func.return %0 : tensor<?x9xf32, #nn.dims<["T", "_"]>>
    }
    ```
    ```mlir after
    func.func @main(%x: tensor<?x4xf32, #nn.dims<["T", "_"]>>, %b: !nn.batch<"T", "B">, %kv: !nn.state<token, tensor<2x1x8xf32>>, %w: tensor<9x4xf32>) -> tensor<?x9xf32, #nn.dims<["B", "_"]>> {
      %0 = nn.select_token %x, %b {which = "last"} : (tensor<?x4xf32, #nn.dims<["T", "_"]>>, !nn.batch<"T", "B">) -> tensor<?x4xf32, #nn.dims<["B", "_"]>>
      %1 = nn.linear %0, %w {acc = f32} : (tensor<?x4xf32, #nn.dims<["B", "_"]>>, tensor<9x4xf32>) -> tensor<?x9xf32, #nn.dims<["B", "_"]>>
      func.return %1 : tensor<?x9xf32, #nn.dims<["B", "_"]>>
    }
    ```
    """

    name: ClassVar[str] = "select-token"
    produces: ClassVar[tuple[str, ...] | None] = ("nn",)
    anchors: ClassVar[tuple[str, ...]] = ("builtin.module", "func.func")

    def run(self, ctx: PassContext, module: ModuleOp) -> None:
        main = main_function(module)
        batch = batch_argument(main)
        if batch is None or not any(isinstance(a.type, StateType) for a in main.args):
            return
        assert isinstance(batch.type, nn.BatchType)
        tokens = Size.parse(batch.type.tokens.data)
        last = returned(main)
        for index, value in enumerate(last.operands):
            if not isinstance(value.type, TensorType) or not dims_of(value) or dims_of(value)[0] != tokens:
                continue
            selected = _select(value, batch, tokens, ctx)
            last.operands[index] = selected
        set_function_type(main)
        erase_dead(main.body)


def _select(value: SSAValue, batch: SSAValue, tokens: Size, ctx: PassContext) -> SSAValue:
    op = definition(value)
    slides = op is not None and isinstance(op, _SLIDES) and len(op.results) == 1 and only_use(value)
    along = [i for i, o in enumerate(op.operands) if _has_tokens(o, tokens)] if op is not None else []
    if not slides or op is None or len(along) != 1 or dims_of(op.operands[along[0]])[0] != tokens:
        made = nn.SelectTokenOp(value, batch, location=op.location if op is not None else None)
        block = batch.owner
        if op is not None:
            assert op.parent is not None
            op.parent.insert_op_after(made, op)
        else:
            block.insert_op_before(made, block.first_op)  # pyright: ignore
        return made.result
    ctx.count("slid past")
    operands = list(op.operands)
    position, parent, following = along[0], op.parent, op.next_op
    result_elem = elem_of(value)
    dims = dims_of(value)
    inner = operands[position]
    selected = _select(inner, batch, tokens, ctx)
    operands[position] = selected
    rows = Size.parse(batch.type.sequences.data)  # pyright: ignore
    new = _again(op, operands, [rows, *dims[1:]], result_elem)
    new.location = op.location
    assert parent is not None
    if following is not None:
        parent.insert_op_before(new, following)
    else:
        parent.add_op(new)
    return new.results[0]


_SLIDES = (nn.LinearOp, nn.RmsNormOp, nn.LayerNormOp, nn.ReshapeOp, nn.PointwiseOp, nn.SoftmaxOp)


def _has_tokens(value: SSAValue, tokens: Size) -> bool:
    return isinstance(value.type, TensorType) and any(d == tokens for d in dims_of(value))


def _again(op: Operation, operands: list[SSAValue], dims: list[Any], elem: Any) -> Operation:
    """The same op on other operands, with a result of these sizes."""
    return type(op).create(
        operands=operands,
        result_types=[tensor(elem, dims)],
        properties=dict(op.properties),
        attributes=dict(op.attributes),
    )
