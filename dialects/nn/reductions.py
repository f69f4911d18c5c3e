"""Ops that combine the elements of an axis: reductions, softmax, prefix sums, order, convolution."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, cast

from xdsl.dialects.builtin import BoolAttr, DenseArrayBase, IntegerAttr, LocationAttr, StringAttr, TensorType, i1, i32
from xdsl.ir import Attribute, SSAValue
from xdsl.irdl import irdl_op_definition, operand_def, opt_operand_def, prop_def, result_def, traits_def
from xdsl.traits import Pure

from .base import NNOp, Value, bool_attr, int_attr, ints_attr, is_float, normalise_axis, require, require_rank
from .sizes import Size
from .tensor import axis_of, int_list
from .types import dims_of, elem_of, show_dims, tensor

REDUCTIONS = ("add", "max", "min", "mul", "any", "all", "mean")


@irdl_op_definition
class ReduceOp(NNOp):
    """`nn.reduce %x {kind = "add", axes = [1], keepdims = false}`: kinds add, max, min, mul, mean; any and all on i1."""

    name = "nn.reduce"
    x = operand_def(TensorType)
    kind = prop_def(StringAttr)
    axes = prop_def(DenseArrayBase)
    keepdims = prop_def(BoolAttr, default_value=bool_attr(False))
    result = result_def(TensorType)
    traits = traits_def(Pure())

    def __init__(
        self, x: Value, kind: str, axes: Sequence[int], keepdims: bool = False, location: LocationAttr | None = None
    ) -> None:
        rank = len(dims_of(SSAValue.get(x)))
        positive = sorted(normalise_axis(a, rank) for a in axes)
        self._setup([x], {"kind": StringAttr(kind), "axes": ints_attr(positive), "keepdims": bool_attr(keepdims)}, location)

    @property
    def reduced(self) -> tuple[int, ...]:
        return int_list(self.axes)

    @classmethod
    def infer(cls, operands: Sequence[Attribute], properties: Mapping[str, Attribute]) -> Sequence[Attribute]:
        kind = cast(StringAttr, properties["kind"]).data
        require(kind in REDUCTIONS, f"nn.reduce has no kind {kind!r}, only {', '.join(REDUCTIONS)}")
        dims, elem = dims_of(operands[0]), elem_of(operands[0])
        require(kind not in ("any", "all") or elem == i1, f"nn.reduce {kind} works on i1, not on {elem}")
        axes = int_list(properties["axes"])
        good = bool(axes) and len(set(axes)) == len(axes) and all(0 <= a < len(dims) for a in axes)
        require(good, f"nn.reduce over axes {list(axes)} of {show_dims(dims)}")
        keep = "keepdims" in properties and bool(cast("IntegerAttr[Any]", properties["keepdims"]).value.data)
        sizes = [Size.of(1) if i in axes else d for i, d in enumerate(dims) if keep or i not in axes]
        return [tensor(elem, sizes)]


@irdl_op_definition
class SoftmaxOp(NNOp):
    """`nn.softmax %x {axis}`: exp(x - max) / Σ exp(x - max), computed in f32."""

    name = "nn.softmax"
    x = operand_def(TensorType)
    axis = prop_def(IntegerAttr)
    result = result_def(TensorType)
    traits = traits_def(Pure())
    RESULT_ELEM_IS_FREE: ClassVar[bool] = True

    def __init__(
        self, x: Value, axis: int = -1, *, elem: Attribute | None = None, location: LocationAttr | None = None
    ) -> None:
        rank = len(dims_of(SSAValue.get(x)))
        self._setup([x], {"axis": int_attr(normalise_axis(axis, rank))}, location, elem=elem)

    @classmethod
    def infer(cls, operands: Sequence[Attribute], properties: Mapping[str, Attribute]) -> Sequence[Attribute]:
        require(is_float(elem_of(operands[0])), "nn.softmax works on floats")
        axis_of(properties, len(dims_of(operands[0])))
        return [operands[0]]


@irdl_op_definition
class ArgmaxOp(NNOp):
    """`nn.argmax %x {axis}`: index of the (first) largest element along the axis, i32; NaN is the largest."""

    name = "nn.argmax"
    x = operand_def(TensorType)
    axis = prop_def(IntegerAttr)
    result = result_def(TensorType)
    traits = traits_def(Pure())

    def __init__(self, x: Value, axis: int = -1, location: LocationAttr | None = None) -> None:
        rank = len(dims_of(SSAValue.get(x)))
        self._setup([x], {"axis": int_attr(normalise_axis(axis, rank))}, location)

    @classmethod
    def infer(cls, operands: Sequence[Attribute], properties: Mapping[str, Attribute]) -> Sequence[Attribute]:
        dims = dims_of(operands[0])
        axis = axis_of(properties, len(dims))
        return [tensor(i32, [*dims[:axis], *dims[axis + 1 :]])]


@irdl_op_definition
class CumsumOp(NNOp):
    """`nn.cumsum %x {axis}`: inclusive prefix sums."""

    name = "nn.cumsum"
    x = operand_def(TensorType)
    axis = prop_def(IntegerAttr)
    result = result_def(TensorType)
    traits = traits_def(Pure())

    def __init__(self, x: Value, axis: int, location: LocationAttr | None = None) -> None:
        rank = len(dims_of(SSAValue.get(x)))
        self._setup([x], {"axis": int_attr(normalise_axis(axis, rank))}, location)

    @classmethod
    def infer(cls, operands: Sequence[Attribute], properties: Mapping[str, Attribute]) -> Sequence[Attribute]:
        axis_of(properties, len(dims_of(operands[0])))
        return [operands[0]]


@irdl_op_definition
class TopkOp(NNOp):
    """`nn.topk %x {k}`: the k largest of the last axis in descending order, and their indices (i32); ties by index, NaN the largest."""

    name = "nn.topk"
    x = operand_def(TensorType)
    k = prop_def(IntegerAttr)
    values = result_def(TensorType)
    indices = result_def(TensorType)
    traits = traits_def(Pure())

    def __init__(self, x: Value, k: int, location: LocationAttr | None = None) -> None:
        self._setup([x], {"k": int_attr(k)}, location)

    @classmethod
    def infer(cls, operands: Sequence[Attribute], properties: Mapping[str, Attribute]) -> Sequence[Attribute]:
        dims = dims_of(operands[0])
        require(bool(dims), "nn.topk takes at least one dimension")
        k = cast("IntegerAttr[Any]", properties["k"]).value.data
        size = dims[-1].constant
        require(k > 0 and (size is None or k <= size), f"nn.topk takes {k} of {dims[-1]}")
        sizes = [*dims[:-1], Size.of(k)]
        return [tensor(elem_of(operands[0]), sizes), tensor(i32, sizes)]


@irdl_op_definition
class SortOp(NNOp):
    """`nn.sort %x {descending}`: the last axis in order, and the indices it came from (i32); stable, NaN the largest."""

    name = "nn.sort"
    x = operand_def(TensorType)
    descending = prop_def(BoolAttr, default_value=bool_attr(False))
    values = result_def(TensorType)
    indices = result_def(TensorType)
    traits = traits_def(Pure())

    def __init__(self, x: Value, descending: bool = False, location: LocationAttr | None = None) -> None:
        self._setup([x], {"descending": bool_attr(descending)}, location)

    @classmethod
    def infer(cls, operands: Sequence[Attribute], properties: Mapping[str, Attribute]) -> Sequence[Attribute]:
        dims = dims_of(operands[0])
        require(bool(dims), "nn.sort takes at least one dimension")
        return [operands[0], tensor(i32, dims)]


@irdl_op_definition
class Conv1dOp(NNOp):
    """`nn.conv1d %x, %w, %bias {padding, groups}`: x [C, L], w [O, C/groups, K], stride 1 → [O, L + 2·padding - K + 1]."""

    name = "nn.conv1d"
    x = operand_def(TensorType)
    weight = operand_def(TensorType)
    bias = opt_operand_def(TensorType)
    padding = prop_def(IntegerAttr, default_value=int_attr(0))
    groups = prop_def(IntegerAttr, default_value=int_attr(1))
    result = result_def(TensorType)
    traits = traits_def(Pure())

    def __init__(
        self,
        x: Value,
        weight: Value,
        bias: Value | None = None,
        *,
        padding: int = 0,
        groups: int = 1,
        location: LocationAttr | None = None,
    ) -> None:
        self._setup([x, weight, bias], {"padding": int_attr(padding), "groups": int_attr(groups)}, location)

    @classmethod
    def infer(cls, operands: Sequence[Attribute], properties: Mapping[str, Attribute]) -> Sequence[Attribute]:
        require_rank(operands[0], 2, "x of nn.conv1d")
        require_rank(operands[1], 3, "the weight of nn.conv1d")
        (channels, length), (out, per_group, width) = dims_of(operands[0]), dims_of(operands[1])
        groups = cast("IntegerAttr[Any]", properties["groups"]).value.data
        padding = cast("IntegerAttr[Any]", properties["padding"]).value.data
        require(per_group * groups == channels, f"nn.conv1d of {channels} channels by {per_group} in {groups} groups")
        return [tensor(elem_of(operands[0]), [out, length + 2 * padding - width + 1])]
