"""Values whose tokens are not the first axis get them there, since memory lets the first dimension alone vary."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import reduce
from operator import mul
from typing import Any, ClassVar

from xdsl.dialects.builtin import DenseArrayBase, ModuleOp, TensorType
from xdsl.ir import Attribute, Operation, SSAValue

from ...dialects.ir.rewriting import erase_dead, replace
from ...dialects.nn import ops as nn
from ...dialects.nn.base import int_attr, ints_attr
from ...dialects.nn.sizes import Size
from ...dialects.nn.types import dims_of, elem_of, tensor
from ..framework.pass_ import Pass, PassContext
from .matching import ONE
from .values import functions, property_int


@dataclass(frozen=True)
class TokensFirst(Pass):
    """Compute in [T, H, D] what a model computes in [H, T, D] or [1, T, D]: norms of heads, rotary positions, slices.

    Each op that works on the tokens one by one is rebuilt with the tokens as its first axis. Transposes are left where a value
    is needed as it was; mostly they meet another one, before attention, and go.

    ```mlir before
    func.func @main(%x: tensor<?x2x8xf32, #nn.dims<["T", "_", "_"]>>, %w: tensor<8xf32>) -> tensor<?x2x8xf32, #nn.dims<["T", "_", "_"]>> {
      %0 = nn.transpose %x {perm = array<i64: 1, 0, 2>} : (tensor<?x2x8xf32, #nn.dims<["T", "_", "_"]>>) -> tensor<2x?x8xf32, #nn.dims<["_", "T", "_"]>>
      %1 = nn.rms_norm %0, %w {eps = 1.0e-06 : f64} : (tensor<2x?x8xf32, #nn.dims<["_", "T", "_"]>>, tensor<8xf32>) -> tensor<2x?x8xf32, #nn.dims<["_", "T", "_"]>>
      %2 = nn.transpose %1 {perm = array<i64: 1, 0, 2>} : (tensor<2x?x8xf32, #nn.dims<["_", "T", "_"]>>) -> tensor<?x2x8xf32, #nn.dims<["T", "_", "_"]>>
      func.return %2 : tensor<?x2x8xf32, #nn.dims<["T", "_", "_"]>>
    }
    ```
    ```mlir after
    func.func @main(%x: tensor<?x2x8xf32, #nn.dims<["T", "_", "_"]>>, %w: tensor<8xf32>) -> tensor<?x2x8xf32, #nn.dims<["T", "_", "_"]>> {
      %0 = nn.rms_norm %x, %w {eps = 1.0e-06 : f64} : (tensor<?x2x8xf32, #nn.dims<["T", "_", "_"]>>, tensor<8xf32>) -> tensor<?x2x8xf32, #nn.dims<["T", "_", "_"]>>
      func.return %0 : tensor<?x2x8xf32, #nn.dims<["T", "_", "_"]>>
    }
    ```
    """

    name: ClassVar[str] = "tokens-first"
    produces: ClassVar[tuple[str, ...] | None] = ("nn",)
    anchors: ClassVar[tuple[str, ...]] = ("builtin.module", "func.func")
    tokens: str = "T"

    def run(self, ctx: PassContext, module: ModuleOp) -> None:
        for func in functions(module):
            mover = _Mover(self.tokens)
            for op in list(func.body.block.ops):
                mover.visit(op)
            erase_dead(func.body)
            ctx.count("moved", mover.count)


def moved(dims: Sequence[Size], axis: int) -> tuple[Size, ...]:
    """The sizes with those of `axis` first."""
    return (dims[axis], *dims[:axis], *dims[axis + 1 :])


@dataclass
class _Mover:
    """`first`: of values whose tokens are not their first axis, the value where they are, the other axes in the old order."""

    tokens: str
    first: dict[SSAValue, SSAValue] = field(default_factory=dict[SSAValue, SSAValue])
    made: list[Operation] = field(default_factory=list[Operation])
    count: int = 0

    def visit(self, op: Operation) -> None:
        axis = self.axis(op.results[0]) if len(op.results) == 1 else None
        if axis is None or not any(self.axis(value) for value in (*op.operands, *op.results)):
            return
        rule: Callable[[_Mover, Any, int], SSAValue | None] | None = _RULES.get(type(op))
        if rule is None and isinstance(op, nn.PointwiseOp):
            rule = _pointwise
        self.made = []
        value = rule(self, op, axis) if rule is not None else None
        if value is None:
            return
        self.count += bool(self.made)
        if axis == 0:
            replace(op, self.made, [value])
            return
        back = nn.TransposeOp(value, [*range(1, axis + 1), 0, *range(axis + 1, len(dims_of(value)))])
        replace(op, [*self.made, back])
        self.first[back.result] = value

    def axis(self, value: SSAValue) -> int | None:
        """The axis of the tokens; None for a value that has none, and for one that pairs or regroups them."""
        if not isinstance(value.type, TensorType):
            return None
        axes = [i for i, d in enumerate(dims_of(value)) if any(self.tokens in monomial for monomial, _ in d.terms)]
        return axes[0] if len(axes) == 1 and dims_of(value)[axes[0]] == Size.name(self.tokens) else None

    def free(self, value: SSAValue) -> bool:
        """Whether a value says nothing about tokens."""
        return not any(self.tokens in monomial for d in dims_of(value) for monomial, _ in d.terms)

    def emit(self, op: Operation) -> SSAValue:
        self.made.append(op)
        return op.results[0]

    def get(self, value: SSAValue) -> SSAValue:
        """A value with tokens, these first."""
        axis = self.axis(value)
        assert axis is not None
        if axis == 0:
            return value
        if value not in self.first:
            rest = [i for i in range(len(dims_of(value))) if i != axis]
            return self.emit(nn.TransposeOp(value, [axis, *rest]))
        return self.first[value]

    def reshape(self, value: SSAValue, dims: Sequence[Size]) -> SSAValue:
        return value if dims_of(value) == tuple(dims) else self.emit(nn.ReshapeOp(value, dims))

    def aligned(self, value: SSAValue, rank: int, axis: int) -> SSAValue | None:
        """An operand that broadcasts to a result of this rank, as it broadcasts to the result whose `axis` is first."""
        dims, own = dims_of(value), self.axis(value)
        missing = rank - len(dims)
        if own is not None:
            ones = [ONE] * missing
            tokens_first = moved(dims, own)
            return self.reshape(self.get(value), (tokens_first[0], *ones, *tokens_first[1:])) if own + missing == axis else None
        if missing > axis:
            return value  # the axes that it has stay where they are
        padded = (*[ONE] * missing, *dims)
        return self.reshape(value, moved(padded, axis)) if self.free(value) and padded[axis] == ONE else None

    def rebuild(self, op: Operation, operands: Sequence[SSAValue], first: int, **properties: Attribute) -> SSAValue:
        """The same op on other operands, the result with axis `first` first."""
        result = op.results[0]
        new = type(op).create(
            operands=operands,
            result_types=[tensor(elem_of(result), moved(dims_of(result), first))],
            properties={**op.properties, **properties},
            attributes=dict(op.attributes),
            location=op.location,
        )
        return self.emit(new)


def _after(other: int, axis: int) -> int:
    """Where an axis is once `axis` is first."""
    return 0 if other == axis else other + (other < axis)


def _pointwise(mover: _Mover, op: Operation, axis: int) -> SSAValue | None:
    rank = len(dims_of(op.results[0]))
    operands = [mover.aligned(o, rank, axis) for o in op.operands]
    found = [o for o in operands if o is not None]
    return mover.rebuild(op, found, axis) if len(found) == len(operands) else None


def _last_axis(mover: _Mover, op: Operation, axis: int) -> SSAValue | None:
    """An op that works along the last axis, or adds one."""
    first, *rest = op.operands
    own = mover.axis(first)
    if own != axis or not all(mover.free(o) for o in rest) or axis == len(dims_of(op.results[0])) - 1:
        return None
    return mover.rebuild(op, [mover.get(first), *rest], axis)


def _one_axis(mover: _Mover, op: Operation, axis: int) -> SSAValue | None:
    """An op that works along the axis of its property `axis`, and keeps the others."""
    along = property_int(op, "axis")
    if along == axis or any(mover.axis(o) != axis for o in op.operands):
        return None
    return mover.rebuild(op, [mover.get(o) for o in op.operands], axis, axis=int_attr(_after(along, axis)))


def _transpose(mover: _Mover, op: nn.TransposeOp, axis: int) -> SSAValue | None:
    own = mover.axis(op.x)
    if own is None:
        return None
    value = mover.get(op.x)
    order = [0, *(_after(source, own) for place, source in enumerate(op.permutation) if place != axis)]
    return value if order == sorted(order) else mover.emit(nn.TransposeOp(value, order))


def _reshape(mover: _Mover, op: nn.ReshapeOp, axis: int) -> SSAValue | None:
    """The tokens have as many elements before them, and so as many after, on both sides."""
    own, dims = mover.axis(op.x), dims_of(op.result)
    if own is None or reduce(mul, dims_of(op.x)[:own], ONE) != reduce(mul, dims[:axis], ONE):
        return None
    return mover.reshape(mover.get(op.x), moved(dims, axis))


def _broadcast(mover: _Mover, op: nn.BroadcastOp, axis: int) -> SSAValue | None:
    dims = dims_of(op.result)
    value = mover.aligned(op.x, len(dims), axis)
    return None if value is None else mover.emit(nn.BroadcastOp(value, moved(dims, axis)))


def _reduce(mover: _Mover, op: nn.ReduceOp, axis: int) -> SSAValue | None:
    own = mover.axis(op.x)
    if own is None or own in op.reduced:
        return None
    axes: DenseArrayBase = ints_attr(sorted(_after(a, own) for a in op.reduced))
    return mover.rebuild(op, [mover.get(op.x)], axis, axes=axes)


def _gather(mover: _Mover, op: nn.GatherOp, axis: int) -> SSAValue | None:
    along, own = property_int(op, "axis"), mover.axis(op.x)
    if own is None and mover.free(op.x) and mover.axis(op.index) is not None and along == 0:
        return mover.rebuild(op, [op.x, mover.get(op.index)], axis)
    if own is None or along == own or not mover.free(op.index):
        return None
    return mover.rebuild(op, [mover.get(op.x), op.index], axis, axis=int_attr(_after(along, own)))


_RULES: dict[type[Operation], Callable[[_Mover, Any, int], SSAValue | None]] = {
    nn.LinearOp: _last_axis,
    nn.RmsNormOp: _last_axis,
    nn.LayerNormOp: _last_axis,
    nn.EmbeddingOp: _last_axis,
    nn.SoftmaxOp: _one_axis,
    nn.CumsumOp: _one_axis,
    nn.SliceOp: _one_axis,
    nn.ConcatOp: _one_axis,
    nn.TakeAlongOp: _one_axis,
    nn.TransposeOp: _transpose,
    nn.ReshapeOp: _reshape,
    nn.BroadcastOp: _broadcast,
    nn.ReduceOp: _reduce,
    nn.GatherOp: _gather,
}
