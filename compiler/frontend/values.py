"""Values while a graph is imported, and the builder that emits `nn` ops for them.

Torch models carry a batch dimension that is 1 here. A `Value` knows the torch shape and which size-1 axis its nn tensor
lacks, so that the imported function works on tokens alone: x [1, T, 64] is held as tensor<?x64, #T> with `axis` 0.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from xdsl.dialects.builtin import LocationAttr, i32
from xdsl.ir import Attribute, Block, Operation, SSAValue

from ...dialects.ir.diagnostics import LlmcError
from ...dialects.nn import ops as nn
from ...dialects.nn.base import is_float, is_int
from ...dialects.nn.sizes import Size
from ...dialects.nn.types import broadcast_dims, dims_of, elem_of, tensor

ONE = Size.of(1)


@dataclass(frozen=True)
class Value:
    """An imported tensor: torch's shape, and the axis of it (of size 1) that `ssa` lacks, if any."""

    ssa: SSAValue
    dims: tuple[Size, ...]
    axis: int | None = None

    @property
    def rank(self) -> int:
        return len(self.dims)

    @property
    def elem(self) -> Attribute:
        return elem_of(self.ssa)

    def without(self, dims: Sequence[Size]) -> list[Size]:
        """`dims` without the missing axis."""
        return [d for i, d in enumerate(dims) if i != self.axis]

    def inner(self, axis: int) -> int:
        """The axis of the nn tensor for a torch axis (which must not be the missing one)."""
        axis %= self.rank
        assert axis != self.axis
        return axis - (self.axis is not None and axis > self.axis)


class Builder:
    """Emits ops into a block at the current location; small identities never come into being."""

    def __init__(self, block: Block, location: LocationAttr) -> None:
        self.block = block
        self.location = location

    def emit(self, op: Operation) -> SSAValue:
        """Insert an op at the current location; its first result."""
        op.location = self.location
        self.block.add_op(op)
        return op.results[0]

    def reshape(self, x: SSAValue, dims: Sequence[Size]) -> SSAValue:
        if tuple(dims) == dims_of(x):
            return x
        source = x.owner
        if isinstance(source, nn.ReshapeOp):
            return self.reshape(source.x, dims)
        return self.emit(nn.ReshapeOp(x, list(dims)))

    def transpose(self, x: SSAValue, perm: Sequence[int]) -> SSAValue:
        if list(perm) == sorted(perm):
            return x
        source = x.owner
        if isinstance(source, nn.TransposeOp):
            return self.transpose(source.x, [source.permutation[p] for p in perm])
        dims = dims_of(x)
        if [p for p in perm if dims[p] != ONE] == sorted(p for p in perm if dims[p] != ONE):
            return self.reshape(x, [dims[p] for p in perm])
        return self.emit(nn.TransposeOp(x, perm))

    def cast(self, x: SSAValue, elem: Attribute) -> SSAValue:
        if elem_of(x) == elem:
            return x
        return self.emit(nn.CastOp(x, elem=elem))

    def broadcast(self, x: SSAValue, dims: Sequence[Size]) -> SSAValue:
        if tuple(dims) == dims_of(x):
            return x
        return self.emit(nn.BroadcastOp(x, list(dims)))

    def constant(self, value: Any, elem: Attribute, shape: Sequence[int] = ()) -> SSAValue:
        array = np.asarray(value)
        if is_int(elem):
            self.refuse_wide(array)
        return self.emit(nn.ConstantOp.of(array, tensor(elem, shape), None))

    def refuse_wide(self, array: np.ndarray) -> None:
        """Raise LLMC0333 for an integer that does not fit 32 bits."""
        if array.dtype.kind in "iuO" and array.size and not -(2**31) <= array.min() <= array.max() < 2**31:
            raise LlmcError(
                "LLMC0333",
                "an integer constant does not fit 32 bits",
                where=self.location,
                fix="use a smaller constant: indices are 32 bits wide",
            )

    def slice(self, x: SSAValue, axis: int, start: Size, stop: Size, step: int = 1) -> SSAValue:
        if start == Size.of(0) and stop == dims_of(x)[axis] and step == 1:
            return x
        return self.emit(nn.SliceOp(x, axis=axis, start=start, stop=stop, step=step))

    def pointwise(self, name: str, *args: SSAValue) -> SSAValue:
        return self.emit(nn.POINTWISE[name](*args))

    # -- values with a missing axis -----------------------------------------------------------------------------------

    def full(self, value: Value) -> Value:
        """The value with all of torch's axes."""
        if value.axis is None:
            return value
        return Value(self.reshape(value.ssa, value.dims), value.dims)

    def leave_out(self, value: Value, axis: int) -> Value:
        """The value without this size-1 axis."""
        if value.axis == axis:
            return value
        assert value.dims[axis] == ONE
        return Value(self.reshape(value.ssa, [d for i, d in enumerate(value.dims) if i != axis]), value.dims, axis)

    def reshaped(self, value: Value, dims: Sequence[Size]) -> Value:
        """torch.reshape: the missing axis stays missing where it can be found in the new shape."""
        axis: int | None = None
        if value.axis is not None:
            before = math.prod(value.dims[: value.axis], start=ONE)
            candidates = [i for i, d in enumerate(dims) if d == ONE and math.prod(dims[:i], start=ONE) == before]
            axis = candidates[0] if candidates else None
        elif len(dims) > 1 and dims[0] == ONE:
            axis = 0
        kept = [d for i, d in enumerate(dims) if i != axis]
        return Value(self.reshape(value.ssa, kept), tuple(dims), axis)

    def permuted(self, value: Value, perm: Sequence[int]) -> Value:
        dims = tuple(value.dims[p] for p in perm)
        if value.axis is None:
            return Value(self.transpose(value.ssa, perm), dims)
        inner = [p - (p > value.axis) for p in perm if p != value.axis]
        return Value(self.transpose(value.ssa, inner), dims, list(perm).index(value.axis))

    def aligned(self, values: Sequence[Value]) -> tuple[list[SSAValue], tuple[Size, ...], int | None]:
        """nn operands that broadcast as the torch values do, torch's shape of the result, and its missing axis."""
        dims = broadcast_dims([v.dims for v in values])
        distances = {v.rank - 1 - v.axis for v in values if v.axis is not None}
        if len(distances) == 1:
            (distance,) = distances
            fits = all(v.axis is not None or v.rank <= distance or v.dims[v.rank - 1 - distance] == ONE for v in values)
            if fits:
                operands = [v if v.rank <= distance else self.leave_out(v, v.rank - 1 - distance) for v in values]
                return [v.ssa for v in operands], dims, len(dims) - 1 - distance
        return [self.full(v).ssa for v in values], dims, None

    def iota(self, dims: Sequence[Size], axis: int) -> SSAValue:
        return self.emit(nn.IotaOp(i32, list(dims), axis))


def exactly(value: float, elem: Attribute) -> bool:
    """Whether a number is itself in this element type (0.5 is in bf16, 0.1 is not)."""
    from ...dialects.ir.numeric import dtype_of

    if not is_float(elem):
        return float(value).is_integer()
    if not math.isfinite(value):
        return True
    if dtype_of(elem).itemsize >= 4:
        return True
    return float(np.asarray(value, np.float32).astype(dtype_of(elem)).astype(np.float64)) == float(value)
