"""Simplifications of arith's binary ops: constants fold and go right, neutral and absorbing elements vanish.

They do what the folders and canonicalization patterns of these ops do, in one look at the operands instead of five: these ops are
most of what a kernel's address arithmetic is made of.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import cast

from xdsl.dialects import arith
from xdsl.dialects.builtin import FloatAttr, IndexType, IntegerAttr, IntegerType
from xdsl.ir import Operation, SSAValue
from xdsl.traits import Commutative
from xdsl.transforms.canonicalization_patterns.arith import FoldConstsByReassociation

from ..framework.patterns import Pattern, Rule, RulePattern, XdslPattern

INTEGER = tuple(
    op for op in arith.Arith.operations if issubclass(op, arith.SignlessIntegerBinaryOperation) and hasattr(op, "py_operation")
)
FLOAT: dict[type[Operation], Callable[[float, float], float]] = {
    arith.AddfOp: lambda a, b: a + b,
    arith.SubfOp: lambda a, b: a - b,
    arith.MulfOp: lambda a, b: a * b,
    arith.DivfOp: lambda a, b: _divided(a, b),
}
REPLACED = (*INTEGER, *FLOAT)
"""Ops whose own folders and patterns are not needed beside these rules."""


def _divided(a: float, b: float) -> float:
    """IEEE division; Python's own raises for b = 0."""
    if b:
        return a / b
    if a == 0 or math.isnan(a):
        return math.nan
    return math.copysign(math.inf, a) * math.copysign(1.0, b)


def integer_rule(cls: type[Operation]) -> Rule:
    """The rule of one class of integer ops."""
    kind = cast(type[arith.SignlessIntegerBinaryOperation], cls)
    compute, is_zero, is_unit = kind.py_operation, kind.is_right_zero, kind.is_right_unit
    commutes = kind.has_trait(Commutative)

    def rule(op: arith.SignlessIntegerBinaryOperation) -> SSAValue | None:
        lhs, rhs = op.operands
        left, right = lhs.owner, rhs.owner
        if type(right) is arith.ConstantOp:
            value = right.value
            if not isinstance(value, IntegerAttr):
                return None
            if type(left) is arith.ConstantOp and isinstance(left.value, IntegerAttr):
                result = compute(left.value.value.data, value.value.data)
                type_ = op.results[0].type
                if result is not None and isinstance(type_, IntegerType | IndexType):
                    return arith.ConstantOp.from_int_and_width(result, type_, truncate_bits=True).result
            if is_unit(value):
                return lhs
            return rhs if is_zero(value) else None
        if commutes and type(left) is arith.ConstantOp:
            swapped = cls.create(
                operands=[rhs, lhs], result_types=[op.results[0].type], properties=op.properties, attributes=op.attributes
            )
            return swapped.results[0]
        return None

    return rule


def float_rule(compute: Callable[[float, float], float]) -> Rule:
    """The rule of one class of float ops."""

    def rule(op: arith.FloatingPointLikeBinaryOperation) -> SSAValue | None:
        left, right = op.operands[0].owner, op.operands[1].owner
        if type(left) is not arith.ConstantOp or type(right) is not arith.ConstantOp:
            return None
        a, b = left.value, right.value
        if not isinstance(a, FloatAttr) or not isinstance(b, FloatAttr):
            return None
        return arith.ConstantOp(FloatAttr(compute(a.value.data, b.value.data), a.type)).result

    return rule


PATTERNS: tuple[Pattern, ...] = (
    *(RulePattern(integer_rule(cls), (cls,), name=f"simplify-{cls.name}") for cls in INTEGER),
    *(RulePattern(float_rule(compute), (cls,), name=f"simplify-{cls.name}") for cls, compute in FLOAT.items()),
    XdslPattern(FoldConstsByReassociation(), (arith.AddfOp, arith.MulfOp)),
)
