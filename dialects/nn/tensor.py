"""Ops that move data: shapes, slices, gathers, iota, constants of sizes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import reduce
from operator import mul
from typing import Any, cast

from xdsl.dialects.builtin import DenseArrayBase, IntegerAttr, LocationAttr, StringAttr, TensorType
from xdsl.ir import Attribute, SSAValue
from xdsl.irdl import irdl_op_definition, operand_def, prop_def, result_def, traits_def, var_operand_def
from xdsl.traits import Pure
from xdsl.utils.exceptions import VerifyException

from .base import NNOp, Value, int_attr, ints_attr, is_int, normalise_axis, require, size_attr
from .sizes import Size
from .types import broadcast_dims, dims_of, elem_of, show_dims, tensor


def axis_of(properties: Mapping[str, Attribute], rank: int, name: str = "axis") -> int:
    """The axis property, checked against the rank."""
    return normalise_axis(cast("IntegerAttr[Any]", properties[name]).value.data, rank)


def int_list(attribute: Attribute | None) -> tuple[int, ...]:
    """The numbers of an `array<i64: …>` property."""
    return tuple(cast("DenseArrayBase[Any]", attribute).iter_values())


class ShapedOp(NNOp):
    """An op whose result type is given, not inferred; subclasses check it in `check`."""

    @classmethod
    def infer(cls, operands: Sequence[Attribute], properties: Mapping[str, Attribute]) -> Sequence[Attribute]:
        raise VerifyException(f"the result type of {cls.name} does not follow from its operands")

    def verify_(self) -> None:
        self.check()

    def check(self) -> None:
        raise VerifyException(f"{self.name} has no `check` of the result type that it is given")


@irdl_op_definition
class ReshapeOp(ShapedOp):
    """`nn.reshape %x : T1 -> T2`: the same elements in row-major order."""

    name = "nn.reshape"
    x = operand_def(TensorType)
    result = result_def(TensorType)
    traits = traits_def(Pure())

    def __init__(self, x: Value, dims: Sequence[Size | int | str], location: LocationAttr | None = None) -> None:
        self._setup([x], {}, location, [tensor(elem_of(SSAValue.get(x)), dims)])

    def check(self) -> None:
        source, target = dims_of(self.x), dims_of(self.result)
        same = reduce(mul, source, Size.of(1)) == reduce(mul, target, Size.of(1))
        require(same, f"nn.reshape from {show_dims(source)} to {show_dims(target)} changes the number of elements")
        require(elem_of(self.x) == elem_of(self.result), "nn.reshape keeps the element type")


@irdl_op_definition
class BroadcastOp(ShapedOp):
    """`nn.broadcast %x : T1 -> T2`: stretch size-1 dimensions and add leading ones, as numpy.broadcast_to."""

    name = "nn.broadcast"
    x = operand_def(TensorType)
    result = result_def(TensorType)
    traits = traits_def(Pure())

    def __init__(self, x: Value, dims: Sequence[Size | int | str], location: LocationAttr | None = None) -> None:
        self._setup([x], {}, location, [tensor(elem_of(SSAValue.get(x)), dims)])

    def check(self) -> None:
        source, target = dims_of(self.x), dims_of(self.result)
        good = len(source) <= len(target) and broadcast_dims([source, target]) == target
        require(good, f"{show_dims(source)} does not broadcast to {show_dims(target)}")
        require(elem_of(self.x) == elem_of(self.result), "nn.broadcast keeps the element type")


@irdl_op_definition
class IotaOp(ShapedOp):
    """`nn.iota {axis = 0} : tensor<?xi32>`: each element is its index along the axis."""

    name = "nn.iota"
    axis = prop_def(IntegerAttr)
    result = result_def(TensorType)
    traits = traits_def(Pure())

    def __init__(
        self, elem: Attribute, dims: Sequence[Size | int | str], axis: int = 0, location: LocationAttr | None = None
    ) -> None:
        self._setup([], {"axis": int_attr(axis)}, location, [tensor(elem, dims)])

    def check(self) -> None:
        axis_of(self.properties, len(dims_of(self.result)))


@irdl_op_definition
class EmptyOp(ShapedOp):
    """`nn.empty : () -> T`: zeros that nothing reads, where a `linalg.generic` puts its result. Its sizes have names, so that it
    takes none, as `tensor.empty` has to."""

    name = "nn.empty"
    result = result_def(TensorType)
    traits = traits_def(Pure())

    def __init__(self, kind: TensorType[Attribute], location: LocationAttr | None = None) -> None:
        self._setup([], {}, location, [kind])

    def check(self) -> None:
        dims_of(self.result)


@irdl_op_definition
class SizeOp(ShapedOp):
    """`nn.size {size = "T"} : tensor<i32>`: the run-time value of a size, as a number in a tensor without dimensions."""

    name = "nn.size"
    size = prop_def(StringAttr)
    result = result_def(TensorType)
    traits = traits_def(Pure())

    def __init__(self, size: Size | int | str, elem: Attribute, location: LocationAttr | None = None) -> None:
        self._setup([], {"size": size_attr(size)}, location, [tensor(elem, [])])

    def check(self) -> None:
        _size(self.size)
        require(not dims_of(self.result), "nn.size makes a tensor without dimensions")


def _size(attribute: Attribute) -> Size:
    try:
        return Size.parse(cast(StringAttr, attribute).data)
    except ValueError as error:
        raise VerifyException(str(error)) from error


@irdl_op_definition
class TransposeOp(NNOp):
    """`nn.transpose %x {perm}`: dimension i of the result is dimension perm[i] of x."""

    name = "nn.transpose"
    x = operand_def(TensorType)
    perm = prop_def(DenseArrayBase)
    result = result_def(TensorType)
    traits = traits_def(Pure())

    def __init__(self, x: Value, perm: Sequence[int], location: LocationAttr | None = None) -> None:
        self._setup([x], {"perm": ints_attr(perm)}, location)

    @property
    def permutation(self) -> tuple[int, ...]:
        return int_list(self.perm)

    @classmethod
    def infer(cls, operands: Sequence[Attribute], properties: Mapping[str, Attribute]) -> Sequence[Attribute]:
        dims, perm = dims_of(operands[0]), int_list(properties["perm"])
        require(sorted(perm) == list(range(len(dims))), f"{list(perm)} is no permutation of {len(dims)} dimensions")
        return [tensor(elem_of(operands[0]), [dims[p] for p in perm])]


@irdl_op_definition
class SliceOp(NNOp):
    """`nn.slice %x {axis, start, stop, step}`: elements start, start + step, … before stop. Start and stop are sizes ("T-1")."""

    name = "nn.slice"
    x = operand_def(TensorType)
    axis = prop_def(IntegerAttr)
    start = prop_def(StringAttr, default_value=size_attr(0))
    stop = prop_def(StringAttr)
    step = prop_def(IntegerAttr, default_value=int_attr(1))
    result = result_def(TensorType)
    traits = traits_def(Pure())

    def __init__(
        self,
        x: Value,
        *,
        axis: int,
        start: Size | int | str = 0,
        stop: Size | int | str,
        step: int = 1,
        location: LocationAttr | None = None,
    ) -> None:
        rank = len(dims_of(SSAValue.get(x)))
        properties = {
            "axis": int_attr(normalise_axis(axis, rank)),
            "start": size_attr(start),
            "stop": size_attr(stop),
            "step": int_attr(step),
        }
        self._setup([x], properties, location)

    @property
    def bounds(self) -> tuple[Size, Size]:
        """(start, stop) as sizes."""
        return _size(self.start), _size(self.stop)

    @classmethod
    def infer(cls, operands: Sequence[Attribute], properties: Mapping[str, Attribute]) -> Sequence[Attribute]:
        dims = list(dims_of(operands[0]))
        axis = axis_of(properties, len(dims))
        start, stop = _size(properties.get("start", size_attr(0))), _size(properties["stop"])
        step = cast("IntegerAttr[Any]", properties.get("step", int_attr(1))).value.data
        require(step > 0, f"nn.slice steps forward, not by {step}")
        length = stop - start
        limit = (dims[axis] - stop).constant
        require(limit is None or limit >= 0, f"nn.slice up to {stop} of a dimension of {dims[axis]}")
        if length.constant is not None:
            require(length.constant >= 0, f"nn.slice from {start} to {stop} is empty the wrong way round")
            length = Size.of(-(-length.constant // step))
        elif step != 1:
            raise VerifyException(f"nn.slice with step {step} needs a static length, not {length}")
        dims[axis] = length
        return [tensor(elem_of(operands[0]), dims)]


@irdl_op_definition
class ConcatOp(NNOp):
    """`nn.concat %a, %b, … {axis}`: one after the other along the axis."""

    name = "nn.concat"
    inputs = var_operand_def(TensorType)
    axis = prop_def(IntegerAttr)
    result = result_def(TensorType)
    traits = traits_def(Pure())

    def __init__(self, inputs: Sequence[Value], axis: int, location: LocationAttr | None = None) -> None:
        require(bool(inputs), "nn.concat takes at least one operand")
        rank = len(dims_of(SSAValue.get(inputs[0])))
        self._setup([inputs], {"axis": int_attr(normalise_axis(axis, rank))}, location)

    @classmethod
    def infer(cls, operands: Sequence[Attribute], properties: Mapping[str, Attribute]) -> Sequence[Attribute]:
        require(bool(operands), "nn.concat takes at least one operand")
        shapes = [list(dims_of(o)) for o in operands]
        axis = axis_of(properties, len(shapes[0]))
        total = Size.of(0)
        for operand, shape in zip(operands, shapes):
            same = len(shape) == len(shapes[0]) and all(a == b for i, (a, b) in enumerate(zip(shape, shapes[0])) if i != axis)
            require(same, f"nn.concat along axis {axis} of {show_dims(shapes[0])} and {show_dims(shape)}")
            require(elem_of(operand) == elem_of(operands[0]), "nn.concat takes one element type")
            total = total + shape[axis]
        dims = [total if i == axis else d for i, d in enumerate(shapes[0])]
        return [tensor(elem_of(operands[0]), dims)]


@irdl_op_definition
class GatherOp(NNOp):
    """`nn.gather %x, %index {axis}`: numpy.take of indices from 0 on; the axis is replaced by the dimensions of the index (i32)."""

    name = "nn.gather"
    x = operand_def(TensorType)
    index = operand_def(TensorType)
    axis = prop_def(IntegerAttr)
    result = result_def(TensorType)
    traits = traits_def(Pure())

    def __init__(self, x: Value, index: Value, axis: int = 0, location: LocationAttr | None = None) -> None:
        rank = len(dims_of(SSAValue.get(x)))
        self._setup([x, index], {"axis": int_attr(normalise_axis(axis, rank))}, location)

    @classmethod
    def infer(cls, operands: Sequence[Attribute], properties: Mapping[str, Attribute]) -> Sequence[Attribute]:
        dims, index = dims_of(operands[0]), dims_of(operands[1])
        require(is_int(elem_of(operands[1])), f"nn.gather takes an integer index, not {elem_of(operands[1])}")
        axis = axis_of(properties, len(dims))
        return [tensor(elem_of(operands[0]), [*dims[:axis], *index, *dims[axis + 1 :]])]


@irdl_op_definition
class TakeAlongOp(NNOp):
    """`nn.take_along %x, %index {axis}`: numpy.take_along_axis of indices from 0 on (torch.gather)."""

    name = "nn.take_along"
    x = operand_def(TensorType)
    index = operand_def(TensorType)
    axis = prop_def(IntegerAttr)
    result = result_def(TensorType)
    traits = traits_def(Pure())

    def __init__(self, x: Value, index: Value, axis: int, location: LocationAttr | None = None) -> None:
        rank = len(dims_of(SSAValue.get(x)))
        self._setup([x, index], {"axis": int_attr(normalise_axis(axis, rank))}, location)

    @classmethod
    def infer(cls, operands: Sequence[Attribute], properties: Mapping[str, Attribute]) -> Sequence[Attribute]:
        dims, index = dims_of(operands[0]), dims_of(operands[1])
        require(is_int(elem_of(operands[1])), f"nn.take_along takes an integer index, not {elem_of(operands[1])}")
        require(len(dims) == len(index), f"nn.take_along of {show_dims(dims)} by {show_dims(index)}")
        axis_of(properties, len(dims))
        return [tensor(elem_of(operands[0]), index)]
