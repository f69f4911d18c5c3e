"""Token-wise ops on tensors of three and more dimensions work on a matrix of rows: what kernels of linears take."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import prod
from typing import Any, ClassVar

from xdsl.dialects.builtin import ModuleOp, TensorType
from xdsl.ir import Operation, SSAValue

from ...dialects.ir.rewriting import erase_dead, replace
from ...dialects.nn import ops as nn
from ...dialects.nn.sizes import Size
from ...dialects.nn.types import dims_of, elem_of, tensor
from ..framework.pass_ import Pass, PassContext
from .values import functions, users

ONE = Size.of(1)
NORMS = (nn.RmsNormOp, nn.LayerNormOp)


@dataclass(frozen=True)
class FlattenRows(Pass):
    """Fold the leading dimensions of linears, embeddings and norms into one, and of the pointwise ops between them.

    A batch [B, T, K] becomes B*T rows. Reshapes stand where a value is needed in its own shape; they cost nothing, since rows
    are contiguous.

    ```mlir before
    func.func @main(%x: tensor<2x3x8xbf16>, %w: tensor<4x8xbf16>) -> tensor<2x3x4xbf16> {
      %0 = nn.linear %x, %w {acc = f32} : (tensor<2x3x8xbf16>, tensor<4x8xbf16>) -> tensor<2x3x4xbf16>
      %1 = nn.relu %0 : (tensor<2x3x4xbf16>) -> tensor<2x3x4xbf16>
      func.return %1 : tensor<2x3x4xbf16>
    }
    ```
    ```mlir after
    func.func @main(%x: tensor<2x3x8xbf16>, %w: tensor<4x8xbf16>) -> tensor<2x3x4xbf16> {
      %0 = nn.reshape %x : (tensor<2x3x8xbf16>) -> tensor<6x8xbf16>
      %1 = nn.linear %0, %w {acc = f32} : (tensor<6x8xbf16>, tensor<4x8xbf16>) -> tensor<6x4xbf16>
      %2 = nn.relu %1 : (tensor<6x4xbf16>) -> tensor<6x4xbf16>
      %3 = nn.reshape %2 : (tensor<6x4xbf16>) -> tensor<2x3x4xbf16>
      func.return %3 : tensor<2x3x4xbf16>
    }
    ```
    """

    name: ClassVar[str] = "flatten-rows"
    produces: ClassVar[tuple[str, ...] | None] = ("nn",)
    required: ClassVar[bool] = False
    anchors: ClassVar[tuple[str, ...]] = ("builtin.module", "func.func")

    def run(self, ctx: PassContext, module: ModuleOp) -> None:
        for func in functions(module):
            flattener = _Flattener()
            for op in list(func.body.block.ops):
                flattener.visit(op)
            erase_dead(func.body)
            ctx.count("flattened", flattener.count)


@dataclass
class _Flattener:
    """`rows`: the matrix of each value that has one."""

    rows: dict[SSAValue, SSAValue] = field(default_factory=dict[SSAValue, SSAValue])
    count: int = 0

    def visit(self, op: Operation) -> None:
        if isinstance(op, nn.ReshapeOp):
            self.through_reshape(op)
        elif len(op.results) != 1 or not isinstance(op.results[0].type, TensorType) or len(dims_of(op.results[0])) < 3:
            return
        elif isinstance(op, nn.LinearOp) or (isinstance(op, NORMS) and self.feeds_rows(op)):
            self.rebuild(op, [self.matrix(op.operands[0], op), *op.operands[1:]])
        elif isinstance(op, nn.EmbeddingOp):
            view = nn.ReshapeOp(op.ids, [prod(dims_of(op.ids), start=ONE)], location=op.location)
            self.insert(view, op)
            self.rebuild(op, [view.result, *op.operands[1:]])
        elif isinstance(op, nn.PointwiseOp) and any(o in self.rows for o in op.operands):
            operands = [self.side(o, dims_of(op.results[0]), op) for o in op.operands]
            if all(o is not None for o in operands):
                self.rebuild(op, operands)

    def feeds_rows(self, op: Any) -> bool:
        """Whether a norm stands among rows: not over the heads of each token."""
        return op.x in self.rows or any(isinstance(u, nn.LinearOp) and u.x is op.results[0] for u in users(op.results[0]))

    def through_reshape(self, op: nn.ReshapeOp) -> None:
        """A reshape of leading dimensions keeps the rows."""
        dims = dims_of(op.result)
        if len(dims) >= 3 and op.x in self.rows and dims_of(op.x)[-1] == dims[-1]:
            self.rows[op.result] = self.rows[op.x]

    def side(self, value: SSAValue, dims: tuple[Size, ...], op: Operation) -> SSAValue | None:
        """An operand of a pointwise op on rows: a matrix, or what is equal for all rows; None for anything else."""
        own = dims_of(value)
        if own == dims:
            return self.matrix(value, op)
        if any(d != ONE for d in own[:-1]):
            return None
        if len(own) < 2:
            return value
        view = nn.ReshapeOp(value, own[-1:], location=op.location)
        self.insert(view, op)
        return view.result

    def matrix(self, value: SSAValue, op: Operation) -> SSAValue:
        """A value as [rows, last dimension], seen before `op`."""
        if value not in self.rows:
            dims = dims_of(value)
            view = nn.ReshapeOp(value, [prod(dims[:-1], start=ONE), dims[-1]], location=op.location)
            self.insert(view, op)
            self.rows[value] = view.result
        return self.rows[value]

    @staticmethod
    def insert(op: Operation, before: Operation) -> None:
        assert before.parent is not None
        before.parent.insert_op_before(op, before)

    def rebuild(self, op: Operation, operands: Any) -> None:
        """The same op on matrices, and its result in the old shape for whoever needs that."""
        dims = dims_of(op.results[0])
        kind = tensor(elem_of(op.results[0]), [prod(dims[:-1], start=ONE), dims[-1]])
        new = type(op).create(
            operands=operands,
            result_types=[kind],
            properties=dict(op.properties),
            attributes=dict(op.attributes),
            location=op.location,
        )
        view = nn.ReshapeOp(new.results[0], dims, location=op.location)
        self.rows[view.result] = new.results[0]
        self.count += 1
        replace(op, [new, view])
