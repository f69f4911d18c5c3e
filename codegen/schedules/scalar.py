"""Scalar code by method calls: what the regions of `tile.map` and the uniform arithmetic of a kernel are written in.

s.mul(s.exp2(s.sub(x, m)), 0.5)          Python numbers become constants of the other operand's type
s.inline(generic.body.block, [x, y])     the scalar region of a linalg.generic, copied
"""

from __future__ import annotations

from collections.abc import Sequence

from xdsl.dialects import arith, math
from xdsl.dialects.builtin import FloatAttr, IndexType, IntegerAttr, IntegerType, LocationAttr, f32, i1
from xdsl.ir import Attribute, Block, Operation, SSAValue

from ...dialects.ir.locations import UNKNOWN
from ...dialects.ir.numeric import dtype_of, is_float

Scalar = SSAValue | int | float

_INT_PREDICATES = {"eq": 0, "ne": 1, "lt": 2, "le": 3, "gt": 4, "ge": 5, "ult": 6, "ule": 7, "ugt": 8, "uge": 9}
# ordered comparisons, except ne (a NaN differs from everything)
_FLOAT_PREDICATES = {"eq": 1, "gt": 2, "ge": 3, "lt": 4, "le": 5, "ne": 13}


class ScalarBuilder:
    """Appends arith and math ops to a block. Every op gets `location`."""

    def __init__(self, block: Block, location: LocationAttr | None = None):
        self.block = block
        self.location: LocationAttr = location or UNKNOWN

    def insert(self, op: Operation) -> SSAValue:
        """Appends an op with one result."""
        op.location = self.location
        self.block.add_op(op)
        return op.results[0]

    def const(self, value: float | int | bool, type_: Attribute = f32) -> SSAValue:
        if isinstance(type_, IntegerType | IndexType):
            attr: IntegerAttr | FloatAttr = IntegerAttr(int(value), type_)
        else:
            attr = FloatAttr(float(value), type_)  # pyright: ignore
        return self.insert(arith.ConstantOp(attr))

    def value(self, value: Scalar, like: Attribute = f32) -> SSAValue:
        """A value as it is, a Python number as a constant of type `like`."""
        return value if isinstance(value, SSAValue) else self.const(value, like)

    def _pair(self, x: Scalar, y: Scalar) -> tuple[SSAValue, SSAValue]:
        like = x.type if isinstance(x, SSAValue) else y.type if isinstance(y, SSAValue) else f32
        return self.value(x, like), self.value(y, like)

    def _binary(
        self, float_op: type[Operation], int_op: type[Operation], x: Scalar, y: Scalar, bool_op: type[Operation] | None = None
    ) -> SSAValue:
        a, b = self._pair(x, y)
        chosen = float_op if is_float(a.type) else bool_op or int_op if a.type == i1 else int_op
        return self.insert(chosen(a, b))  # pyright: ignore

    def _unary(self, op: type[Operation], x: Scalar) -> SSAValue:
        return self.insert(op(self.value(x)))  # pyright: ignore

    # arithmetic: i1 counts as 0 and 1, where arith's signed ops take True as -1 ---------
    def add(self, x: Scalar, y: Scalar) -> SSAValue:
        return self._binary(arith.AddfOp, arith.AddiOp, x, y, arith.OrIOp)

    def sub(self, x: Scalar, y: Scalar) -> SSAValue:
        return self._binary(arith.SubfOp, arith.SubiOp, x, y)

    def mul(self, x: Scalar, y: Scalar) -> SSAValue:
        return self._binary(arith.MulfOp, arith.MuliOp, x, y, arith.AndIOp)

    def div(self, x: Scalar, y: Scalar) -> SSAValue:
        """Integers: towards zero."""
        return self._binary(arith.DivfOp, arith.DivSIOp, x, y)

    def rem(self, x: Scalar, y: Scalar) -> SSAValue:
        a, b = self._pair(x, y)
        return self.insert(arith.RemSIOp(a, b))

    def max(self, x: Scalar, y: Scalar) -> SSAValue:
        return self._binary(arith.MaximumfOp, arith.MaxSIOp, x, y, arith.OrIOp)

    def min(self, x: Scalar, y: Scalar) -> SSAValue:
        return self._binary(arith.MinimumfOp, arith.MinSIOp, x, y, arith.AndIOp)

    def neg(self, x: SSAValue) -> SSAValue:
        return self.insert(arith.NegfOp(x)) if is_float(x.type) else self.sub(0, x)

    def fma(self, x: Scalar, y: Scalar, z: Scalar) -> SSAValue:
        like = next((v.type for v in (x, y, z) if isinstance(v, SSAValue)), f32)
        return self.insert(math.FmaOp(self.value(x, like), self.value(y, like), self.value(z, like)))

    def and_(self, x: Scalar, y: Scalar) -> SSAValue:
        a, b = self._pair(x, y)
        return self.insert(arith.AndIOp(a, b))

    def or_(self, x: Scalar, y: Scalar) -> SSAValue:
        a, b = self._pair(x, y)
        return self.insert(arith.OrIOp(a, b))

    def xor(self, x: Scalar, y: Scalar) -> SSAValue:
        a, b = self._pair(x, y)
        return self.insert(arith.XOrIOp(a, b))

    def shl(self, x: Scalar, y: Scalar) -> SSAValue:
        a, b = self._pair(x, y)
        return self.insert(arith.ShLIOp(a, b))

    def shr(self, x: Scalar, y: Scalar) -> SSAValue:
        """Logical (zeros come in)."""
        a, b = self._pair(x, y)
        return self.insert(arith.ShRUIOp(a, b))

    # functions ------------------------------------------------------------------------
    def exp(self, x: Scalar) -> SSAValue:
        return self._unary(math.ExpOp, x)

    def exp2(self, x: Scalar) -> SSAValue:
        return self._unary(math.Exp2Op, x)

    def log(self, x: Scalar) -> SSAValue:
        return self._unary(math.LogOp, x)

    def log2(self, x: Scalar) -> SSAValue:
        return self._unary(math.Log2Op, x)

    def sqrt(self, x: Scalar) -> SSAValue:
        return self._unary(math.SqrtOp, x)

    def rsqrt(self, x: Scalar) -> SSAValue:
        return self._unary(math.RsqrtOp, x)

    def tanh(self, x: Scalar) -> SSAValue:
        return self._unary(math.TanhOp, x)

    def sin(self, x: Scalar) -> SSAValue:
        return self._unary(math.SinOp, x)

    def cos(self, x: Scalar) -> SSAValue:
        return self._unary(math.CosOp, x)

    def erf(self, x: Scalar) -> SSAValue:
        return self._unary(math.ErfOp, x)

    def floor(self, x: Scalar) -> SSAValue:
        return self._unary(math.FloorOp, x)

    def ceil(self, x: Scalar) -> SSAValue:
        return self._unary(math.CeilOp, x)

    def abs(self, x: SSAValue) -> SSAValue:
        return self.insert(math.AbsFOp(x) if is_float(x.type) else math.AbsIOp(x))

    def pow(self, x: Scalar, y: Scalar) -> SSAValue:
        a, b = self._pair(x, y)
        return self.insert(math.PowFOp(a, b))

    # choices and conversions ----------------------------------------------------------
    def cmp(self, predicate: str, x: Scalar, y: Scalar) -> SSAValue:
        """`eq ne lt le gt ge`, of i1 with True above False; for integers also `ult ule ugt uge`."""
        a, b = self._pair(x, y)
        if is_float(a.type):
            return self.insert(arith.CmpfOp(a, b, _FLOAT_PREDICATES[predicate]))
        if a.type == i1 and predicate in ("lt", "le", "gt", "ge"):
            predicate = f"u{predicate}"
        return self.insert(arith.CmpiOp(a, b, _INT_PREDICATES[predicate]))

    def select(self, condition: SSAValue, x: Scalar, y: Scalar) -> SSAValue:
        a, b = self._pair(x, y)
        return self.insert(arith.SelectOp(condition, a, b))

    def bitcast(self, x: SSAValue, type_: Attribute) -> SSAValue:
        return self.insert(arith.BitcastOp(x, type_))

    def cast(self, x: SSAValue, type_: Attribute) -> SSAValue:
        """Between any two scalar types; float to integer truncates, i1 counts as 0 and 1."""
        if x.type == type_:
            return x
        return self.insert(cast_op(x, type_))

    def inline(self, block: Block, args: Sequence[SSAValue]) -> list[SSAValue]:
        """Copies a scalar block (a linalg.generic's body); returns what its terminator yields.

        Arguments are converted to the block's types where they differ.
        """
        mapping: dict[SSAValue, SSAValue] = {}
        for argument, value in zip(block.args, args, strict=False):
            mapping[argument] = self.cast(value, argument.type)
        for op in block.ops:
            if op is block.last_op:
                return [mapping.get(v, v) for v in op.operands]
            copy = op.clone(value_mapper=mapping)
            self.block.add_op(copy)
        return []


def cast_op(x: SSAValue, type_: Attribute) -> Operation:
    """The arith op that converts `x` to `type_`."""
    source, target = dtype_of(x.type), dtype_of(type_)
    if is_float(x.type) and is_float(type_):
        if source.itemsize < target.itemsize:
            return arith.ExtFOp(x, type_)
        return arith.TruncFOp(x, type_)
    if is_float(x.type):
        return arith.FPToSIOp(x, type_)  # pyright: ignore
    if is_float(type_):
        return arith.UIToFPOp(x, type_) if x.type == i1 else arith.SIToFPOp(x, type_)  # pyright: ignore
    if isinstance(x.type, IndexType) or isinstance(type_, IndexType):
        return arith.IndexCastOp(x, type_)
    if x.type == i1:
        return arith.ExtUIOp(x, type_)  # pyright: ignore
    if source.itemsize < target.itemsize:
        return arith.ExtSIOp(x, type_)  # pyright: ignore
    return arith.TruncIOp(x, type_)  # pyright: ignore
