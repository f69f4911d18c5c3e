"""Small matchers over nn IR: through casts and views, either order of a commutative op, numbers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from xdsl.ir import Operation, SSAValue

from ...dialects.nn import ops as nn
from ...dialects.nn.sizes import Size
from ...dialects.nn.types import dims_of
from .values import definition, splat

ONE = Size.of(1)


def defined(value: SSAValue, *kinds: type[Operation]) -> Any:
    """The op of one of these kinds that makes a value, else None."""
    op = definition(value)
    return op if isinstance(op, kinds) else None


def uncast(value: SSAValue) -> SSAValue:
    """The value before casts."""
    while (op := defined(value, nn.CastOp)) is not None:
        value = op.operands[0]
    return value


def orders(op: Operation) -> Iterator[tuple[SSAValue, SSAValue]]:
    """The two operands of a commutative op, in both orders."""
    a, b = op.operands
    yield a, b
    yield b, a


def times_number(value: SSAValue) -> tuple[SSAValue, float]:
    """(x, s) for a value x·s with a number s, through casts, x/c and repeated scaling; (value, 1) for any other."""
    scale = 1.0
    while True:
        if (op := defined(value, nn.MulOp)) is not None:
            found = next(((x, n) for x, c in orders(op) if (n := splat(c)) is not None and splat(x) is None), None)
            if found is None or found[0].type != op.results[0].type:
                return value, scale
            value, scale = found[0], scale * found[1]
        elif (op := defined(value, nn.DivOp)) is not None:
            number = splat(op.operands[1])
            if not number or op.operands[0].type != op.results[0].type:
                return value, scale
            value, scale = op.operands[0], scale / number
        elif (op := defined(value, nn.CastOp)) is not None:
            value = op.operands[0]
        else:
            return value, scale


def plus_number(value: SSAValue) -> tuple[SSAValue, float] | None:
    """(x, c) for a value x + c with a number c."""
    op = defined(value, nn.AddOp)
    if op is None:
        return None
    return next(((x, float(n)) for x, c in orders(op) if (n := splat(c)) is not None and splat(x) is None), None)


def squeezed(value: SSAValue) -> tuple[Size, ...]:
    """The sizes that are not 1."""
    return tuple(d for d in dims_of(value) if d != ONE)
