"""Rotary positions as PyTorch code writes them, for `recognise`."""

from __future__ import annotations

from typing import Any

import numpy as np
from xdsl.ir import Operation, SSAValue

from ...dialects.ir.rewriting import replace
from ...dialects.nn import ops as nn
from ...dialects.nn.sizes import Size
from ...dialects.nn.types import dims_of, elem_of
from .matching import ONE, defined, orders, squeezed
from .values import constant_array, definition, property_int


def rotated(op: Any) -> bool:
    """x·cos + rotate_half(x)·sin, for x [T, H, D] with cos [T, 1, D] or x [H, T, D] with cos [T, D]"""
    for plain, turned in orders(op):
        first, second = defined(plain, nn.MulOp), defined(turned, nn.MulOp)
        if first is None or second is None:
            continue
        for x, cos in orders(first):
            for half, sin in orders(second):
                if len(dims_of(x)) == 3 and _half_turned(half, x) and _apply_rope(op, x, cos, sin):
                    return True
    return False


def _half_turned(value: SSAValue, x: SSAValue) -> bool:
    """Whether a value is concat(-x[D/2:], x[:D/2])."""
    op = defined(value, nn.ConcatOp)
    if op is None or len(op.inputs) != 2 or property_int(op, "axis") != len(dims_of(x)) - 1:
        return False
    negated = defined(op.inputs[0], nn.NegOp)
    high = defined(negated.operands[0], nn.SliceOp) if negated is not None else None
    low = defined(op.inputs[1], nn.SliceOp)
    width = dims_of(x)[-1].constant
    if high is None or low is None or high.x is not x or low.x is not x or width is None:
        return False
    half = Size.of(width // 2)
    return low.bounds == (Size.of(0), half) and high.bounds == (half, Size.of(width))


def _apply_rope(op: Any, x: SSAValue, cos: SSAValue, sin: SSAValue) -> bool:
    if cos.type != sin.type or elem_of(cos) != elem_of(x) or not (repeats(cos) and repeats(sin)):
        return False
    dims, table = dims_of(x), squeezed(cos)
    if len(table) != 2 or table[1] != dims[2]:
        return False
    heads_first = table[0] == dims[1] and len(dims_of(cos)) in (2, 3) and dims_of(cos)[-2] == dims[1]
    if not heads_first and not (table[0] == dims[0] and len(dims_of(cos)) == 3 and dims_of(cos)[0] == dims[0]):
        return False
    made: list[Operation] = [nn.ReshapeOp(cos, table), nn.ReshapeOp(sin, table)]
    source = x
    if heads_first:
        made.append(nn.TransposeOp(x, (1, 0, 2)))
        source = made[-1].results[0]
    made.append(nn.RopeOp(source, made[0].results[0], made[1].results[0]))
    if heads_first:
        made.append(nn.TransposeOp(made[-1].results[0], (1, 0, 2)))
    replace(op, made)
    return True


def repeats(value: SSAValue) -> bool:
    """Whether the second half of a tensor's last axis is provably the first again, as `nn.rope` takes its angles: from a concat of one
    value with itself, through casts, elementwise functions (cos, sin, a scale), views and lookups that leave the last axis alone."""
    dims, op = dims_of(value), definition(value)
    if not dims or dims[-1] == ONE:
        return True  # the same number everywhere, once it meets a wider tensor
    last = len(dims) - 1
    match op:
        case nn.ConcatOp() if property_int(op, "axis") == last:
            return len(op.inputs) == 2 and op.inputs[0] is op.inputs[1]
        case nn.ConcatOp() | nn.PointwiseOp():
            return all(repeats(x) for x in op.operands)
        case nn.ConstantOp():
            return _equal_halves(value)
        case nn.ReshapeOp():
            return (dims_of(op.x)[-1:] == dims[-1:] and repeats(op.x)) or _written_several_times(op)
        case nn.BroadcastOp():
            return repeats(op.x)
        case nn.TransposeOp():
            return op.permutation[-1] == last and repeats(op.x)
        case nn.SliceOp() | nn.GatherOp():
            return property_int(op, "axis") != len(dims_of(op.x)) - 1 and repeats(op.x)
        case nn.EmbeddingOp():
            return repeats(op.table)
        case _:
            return False


def _equal_halves(constant: SSAValue) -> bool:
    numbers = constant_array(constant)
    if numbers is None or numbers.shape[-1] % 2:
        return False
    first, second = np.split(numbers, 2, axis=-1)
    return bool(np.array_equal(first, second))


def _written_several_times(op: nn.ReshapeOp) -> bool:
    """torch.repeat along the last axis: [.., 1, d] is broadcast to [.., n, d] and flattened, with an even n."""
    spread, last = defined(op.x, nn.BroadcastOp), dims_of(op.result)[-1]
    source = dims_of(spread.x) if spread is not None else ()
    if spread is None or not source or len(dims_of(spread.result)) < 2:
        return False
    times, width = dims_of(spread.result)[-2:]
    once = source[-1] == width and source[-2:-1] in ((), (ONE,))
    return once and times * width == last and times.constant is not None and times.constant % 2 == 0
