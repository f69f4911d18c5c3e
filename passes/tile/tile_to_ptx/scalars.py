"""arith and math ops on scalars → PTX: for the uniform scalars of a kernel and for the bodies of maps alike."""

from __future__ import annotations

import math as pymath
from collections.abc import Callable, Sequence
from typing import Any, cast

from xdsl.dialects import arith, math
from xdsl.dialects.builtin import Float64Type, FloatAttr, IndexType, IntegerAttr, IntegerType
from xdsl.ir import Attribute, Operation, SSAValue

from ..divisibility import is_non_negative
from . import maths
from .emitter import Emitter
from .packing import Element, as_kind, rounded, to_f32
from .values import Narrow, elem_size, is_narrow_float, unsupported

Lower = Callable[[Emitter, Operation, Sequence[Element]], Element]


def width_of(type_: Attribute) -> int:
    """Bits of an integer type; an index is 32 bits wide here."""
    return type_.width.data if isinstance(type_, IntegerType) else 32


def is_float_type(type_: Attribute) -> bool:
    return not isinstance(type_, IntegerType | IndexType)


def lower_scalar(emitter: Emitter, op: Operation, args: Sequence[Element]) -> Element:
    """The result of an arith or math op, or LlmcError LLMC0602."""
    lower = TABLE.get(type(op))
    if lower is None:
        raise unsupported(f"'{op.name}'", op)
    return lower(emitter, op, args)


def is_scalar_op(op: Operation) -> bool:
    return type(op) in TABLE


# -- floats ---------------------------------------------------------------------------------------------------------
def _like(type_: Attribute, value: SSAValue | float) -> Element:
    """A computed f32 as a scalar of `type_`."""
    return Narrow(value, False) if is_narrow_float(type_) else value


def _float_op(opcode: str, double: str | None = None) -> Lower:
    def lower(e: Emitter, op: Operation, args: Sequence[Element]) -> Element:
        type_ = op.results[0].type
        if isinstance(type_, Float64Type):
            if double is None:
                raise unsupported(f"'{op.name}' on f64", op)
            return e.op(double, *args)
        return _like(type_, e.op(opcode, *(to_f32(a) for a in args)))

    return lower


def _function(fn: Callable[..., SSAValue]) -> Lower:
    def lower(e: Emitter, op: Operation, args: Sequence[Element]) -> Element:
        type_ = op.results[0].type
        if isinstance(type_, Float64Type):
            raise unsupported(f"'{op.name}' on f64", op)
        return _like(type_, fn(e, *(to_f32(a) for a in args)))

    return lower


def _exact_choice(opcode: str, swapped: bool = False) -> Lower:
    """For ops that return one of their operands, up to the sign: the result is exact if they are."""

    def lower(e: Emitter, op: Operation, args: Sequence[Element]) -> Element:
        operands = [to_f32(a) for a in args]
        value = e.op(opcode, *(reversed(operands) if swapped else operands))
        if is_narrow_float(op.results[0].type):
            return Narrow(value, all(isinstance(a, Narrow) and a.exact for a in args))
        return value

    return lower


# -- integers -------------------------------------------------------------------------------------------------------
LOGIC_OF = {
    "add": "xor", "sub": "xor", "mul.lo": "and", "max.s": "and", "min.s": "or", "max.u": "or", "min.u": "and",
}  # fmt: skip
"""Integer op → what it is on i1, whose True is -1 where signs count."""


def _logic(e: Emitter, word: str, a: Any, b: Any) -> Element:
    if isinstance(a, int) and isinstance(b, int) and word in ("and", "or", "xor"):
        return {"and": a & b, "or": a | b, "xor": a ^ b}[word] & 1
    return e.op(f"{word}.pred", as_kind(e, a, "pred"), as_kind(e, b, "pred"))


def _int_op(stem: str, fold: Callable[[int, int], int] | None = None, signed: str = "s") -> Lower:
    def lower(e: Emitter, op: Operation, args: Sequence[Element]) -> Element:
        a, b = cast(Any, args[0]), cast(Any, args[1])
        width = width_of(op.results[0].type)
        if width == 1:
            return _logic(e, LOGIC_OF.get(stem) or LOGIC_OF.get(f"{stem}.{signed}", stem), a, b)
        if fold is not None and isinstance(a, int) and isinstance(b, int) and width <= 32:
            return _wrap(fold(a, b), width)
        if width == 64:
            return e.op(f"{stem}.{signed}64", a, b)
        if stem in ("div", "rem") and isinstance(b, int) and b > 0 and (signed == "u" or is_non_negative(op.operands[0])):
            return e.div(a, b) if stem == "div" else e.rem(a, b)
        if stem == "add":
            result = e.add(a, b)
        elif stem == "sub":
            result = e.sub(a, b)
        elif stem == "mul.lo":
            result = e.mul(a, b)
        elif stem in ("and", "xor"):
            result = e.and_(a, b) if stem == "and" else e.xor(a, b)
        else:
            if isinstance(a, int) and isinstance(b, int):
                a = e.reg(a)
            result = e.op(f"{stem}.{signed}32", a, b)
        return _narrowed(e, result, width)

    return lower


def _wrap(value: int, width: int) -> int:
    value &= (1 << width) - 1
    return value - (1 << width) if width > 1 and value >> (width - 1) else value


def _narrowed(e: Emitter, value: Any, width: int) -> Any:
    """8- and 16-bit integers stay sign-extended in 32 bits."""
    if width >= 32:
        return value
    return _wrap(value, width) if isinstance(value, int) else e.op("bfe.s32", value, 0, width)


def _truncated_quotient(a: int, b: int) -> int:
    return int(pymath.copysign(abs(a) // abs(b), a * b)) if b else 0


def _floor_div(e: Emitter, op: Operation, args: Sequence[Element]) -> Element:
    a, b = cast(Any, args[0]), cast(Any, args[1])
    if isinstance(a, int) and isinstance(b, int):
        return a // b if b else 0
    if width_of(op.results[0].type) != 32:
        raise unsupported(f"'{op.name}' other than 32 bits wide", op)
    if isinstance(b, int) and b > 0 and is_non_negative(op.operands[0]):
        return e.div(a, b)
    if isinstance(b, int) and b > 0 and b & (b - 1) == 0:
        return e.op("shr.s32", a, b.bit_length() - 1)
    quotient = e.op("div.s32", a, b)
    rest = e.sub(a, e.mul(quotient, b))
    wrong = e.op("and.pred", e.op("setp.ne.s32", rest, 0), e.op("setp.lt.s32", e.op("xor.b32", rest, b), 0))
    return e.op("selp.b32", e.add(quotient, -1), quotient, wrong)


def _ceil_div(e: Emitter, op: Operation, args: Sequence[Element]) -> Element:
    """For a ≥ 0 and b > 0: (a + b - 1) / b."""
    a, b = cast(Any, args[0]), cast(Any, args[1])
    if isinstance(a, int) and isinstance(b, int):
        return -(-a // b)
    top = e.add(e.add(a, b), -1)
    return e.div(top, b) if isinstance(b, int) else e.op("div.s32", top, b)


def _shift(stem: str, kind: str) -> Lower:
    def lower(e: Emitter, op: Operation, args: Sequence[Element]) -> Element:
        a, amount = cast(Any, args[0]), cast(Any, args[1])
        width = width_of(op.results[0].type)
        if isinstance(a, int) and isinstance(amount, int) and width == 32:
            shifted = a << amount if stem == "shl" else (a if kind == "s" else a & 0xFFFFFFFF) >> amount
            return _wrap(shifted, 32)
        if width == 64 and isinstance(amount, SSAValue):
            amount = e.op("cvt.u32.u64", amount)
        return _narrowed(e, e.op(f"{stem}.{kind}{max(width, 32)}", e.reg(a) if width <= 32 else a, amount), width)

    return lower


INT_RELATIONS = ("eq", "ne", "lt.s", "le.s", "gt.s", "ge.s", "lt.u", "le.u", "gt.u", "ge.u")
FLOAT_RELATIONS = {
    1: "eq", 2: "gt", 3: "ge", 4: "lt", 5: "le", 6: "ne", 7: "num",
    8: "equ", 9: "gtu", 10: "geu", 11: "ltu", 12: "leu", 13: "neu", 14: "nan",
}  # fmt: skip


def _compare_bools(e: Emitter, word: str, sign: str, a: Any, b: Any) -> Element:
    """a < b is b without a, unless True is -1; ≥, > and ≤ are that one negated, swapped and both."""
    if word in ("eq", "ne"):
        different = _logic(e, "xor", a, b)
        return different if word == "ne" else _negated(e, different)
    if (word in ("gt", "le")) != (sign == "s"):
        a, b = b, a
    less = _logic(e, "and", _negated(e, a), b)
    return less if word in ("lt", "gt") else _negated(e, less)


def _negated(e: Emitter, a: Any) -> Element:
    return 1 - (a & 1) if isinstance(a, int) else e.op("not.pred", a)


def _cmpi(e: Emitter, op: Operation, args: Sequence[Element]) -> Element:
    assert isinstance(op, arith.CmpiOp)
    relation = INT_RELATIONS[op.predicate.value.data]
    a, b = cast(Any, args[0]), cast(Any, args[1])
    width = width_of(op.lhs.type)
    word, _, sign = relation.partition(".")
    if width == 1:
        return _compare_bools(e, word, sign, a, b)
    if width == 64:
        return e.op(f"setp.{word}.{sign or 's'}64", a, b)
    result = e.compare(f"{word}.{sign or 's'}32", a, b)
    return int(result) if isinstance(result, bool) else result


def _cmpf(e: Emitter, op: Operation, args: Sequence[Element]) -> Element:
    assert isinstance(op, arith.CmpfOp)
    number = op.predicate.value.data
    if number in (0, 15):
        return int(number == 15)
    kind = "f64" if isinstance(op.lhs.type, Float64Type) else "f32"
    return e.op(f"setp.{FLOAT_RELATIONS[number]}.{kind}", to_f32(args[0]), to_f32(args[1]))


def _select(e: Emitter, op: Operation, args: Sequence[Element]) -> Element:
    condition, a, b = args
    if isinstance(condition, int):
        return a if condition else b
    type_ = op.results[0].type
    if isinstance(type_, IntegerType) and type_.width.data == 1:
        p, q = as_kind(e, cast(Any, a), "pred"), as_kind(e, cast(Any, b), "pred")
        first = e.op("and.pred", condition, p)
        return e.op("or.pred", first, e.op("and.pred", e.op("not.pred", condition), q))
    if is_float_type(type_):
        if isinstance(type_, Float64Type):
            return e.op("selp.f64", a, b, condition)
        value = e.op("selp.f32", to_f32(a), to_f32(b), condition)
        if is_narrow_float(type_):
            return Narrow(value, all(isinstance(v, Narrow) and v.exact for v in (a, b)))
        return value
    return e.op("selp.b64" if width_of(type_) == 64 else "selp.b32", a, b, condition)


# -- constants and casts --------------------------------------------------------------------------------------------
def constant_of(attribute: Attribute) -> Element:
    """A constant as an int or a float; narrow floats keep their rounded value."""
    if isinstance(attribute, IntegerAttr):
        value = attribute.value.data
        return _wrap(value, width_of(attribute.type)) if width_of(attribute.type) > 1 else value & 1
    assert isinstance(attribute, FloatAttr)
    value = float(attribute.value.data)
    if is_narrow_float(attribute.type):
        from ....dialects.ir.numeric import dtype_of

        return Narrow(float(dtype_of(attribute.type).type(value)), True)
    return value


def _constant(e: Emitter, op: Operation, args: Sequence[Element]) -> Element:
    assert isinstance(op, arith.ConstantOp)
    return constant_of(op.value)


def _extf(e: Emitter, op: Operation, args: Sequence[Element]) -> Element:
    source, target = op.operands[0].type, op.results[0].type
    value = rounded(e, source, args[0]) if is_narrow_float(source) else args[0]
    if isinstance(target, Float64Type):
        return e.op("cvt.f64.f32", value)
    return Narrow(cast(Any, value), True) if is_narrow_float(target) else cast(Any, value)


def _truncf(e: Emitter, op: Operation, args: Sequence[Element]) -> Element:
    source, target = op.operands[0].type, op.results[0].type
    if isinstance(source, Float64Type):
        value = e.op("cvt.rn.f32.f64", args[0])
    elif is_narrow_float(source):
        value = rounded(e, source, args[0])
    else:
        value = to_f32(args[0])
    if not is_narrow_float(target):
        return value
    return Narrow(rounded(e, target, Narrow(value, False)), True) if _escapes(op) else Narrow(value, False)


def _escapes(op: Operation) -> bool:
    """Whether a rounded value is computed with, so that it must be rounded now rather than when it is packed."""
    return any(not use.operation.name.endswith("yield") for use in op.results[0].uses)


def _int_to_float(signed: bool) -> Lower:
    def lower(e: Emitter, op: Operation, args: Sequence[Element]) -> Element:
        value, target = cast(Any, args[0]), op.results[0].type
        width = width_of(op.operands[0].type)
        if isinstance(value, int):
            number = float(value if signed or width > 32 else value & ((1 << width) - 1))
            return Narrow(number, False) if is_narrow_float(target) else number
        if width == 1:
            result = e.op("selp.f32", -1.0 if signed else 1.0, 0.0, value)
            return Narrow(result, True) if is_narrow_float(target) else result
        if not signed and width < 32:
            value = e.op("and.b32", value, (1 << width) - 1)
        name = f"{'s' if signed else 'u'}{max(width, 32)}"
        if isinstance(target, Float64Type):
            return e.op(f"cvt.rn.f64.{name}", value)
        return _like(target, e.op(f"cvt.rn.f32.{name}", value))

    return lower


def _float_to_int(signed: bool) -> Lower:
    def lower(e: Emitter, op: Operation, args: Sequence[Element]) -> Element:
        source, target = op.operands[0].type, op.results[0].type
        value = rounded(e, source, args[0]) if is_narrow_float(source) else args[0]
        width = width_of(target)
        kind = "f64" if isinstance(source, Float64Type) else "f32"
        if width == 1:
            return e.op(f"setp.ne.{kind}", value, 0.0)
        return _narrowed(e, e.op(f"cvt.rzi.{'s' if signed else 'u'}{max(width, 32)}.{kind}", value), width)

    return lower


def _extend(signed: bool) -> Lower:
    def lower(e: Emitter, op: Operation, args: Sequence[Element]) -> Element:
        value = cast(Any, args[0])
        source, target = width_of(op.operands[0].type), width_of(op.results[0].type)
        if isinstance(value, int):
            return value if signed and source > 1 else value & ((1 << source) - 1) if not signed else -value
        if source == 1:
            value = e.op("selp.b32", -1 if signed else 1, 0, value)
        elif not signed and source < 32:
            value = e.op("and.b32", value, (1 << source) - 1)
        if target == 64:
            return e.op("cvt.s64.s32" if signed else "cvt.u64.u32", value)
        return value

    return lower


def _trunci(e: Emitter, op: Operation, args: Sequence[Element]) -> Element:
    value = cast(Any, args[0])
    source, target = width_of(op.operands[0].type), width_of(op.results[0].type)
    if isinstance(value, int):
        return _wrap(value, target) if target > 1 else value & 1
    if source == 64:
        value = e.op("cvt.u32.u64", value)
    if target == 1:
        return e.op("setp.ne.u32", e.op("and.b32", value, 1), 0)
    return _narrowed(e, value, target)


def _index_cast(e: Emitter, op: Operation, args: Sequence[Element]) -> Element:
    value = cast(Any, args[0])
    source, target = width_of(op.operands[0].type), width_of(op.results[0].type)
    if source == target or isinstance(value, int):
        return value
    return e.op("cvt.s64.s32", value) if target == 64 else e.op("cvt.u32.u64", value)


def _bitcast(e: Emitter, op: Operation, args: Sequence[Element]) -> Element:
    source, target = op.operands[0].type, op.results[0].type
    if elem_size(source) != 4 or elem_size(target) != 4:
        raise unsupported("a bitcast of other than 32 bits", op)
    value = cast(Any, args[0])
    return e.op("mov.f32" if is_float_type(target) else "mov.b32", value)


def _absi(e: Emitter, op: Operation, args: Sequence[Element]) -> Element:
    return e.op("abs.s64" if width_of(op.results[0].type) == 64 else "abs.s32", args[0])


def _ipow(e: Emitter, op: Operation, args: Sequence[Element]) -> Element:
    value, exponent = cast(Any, args[0]), cast(Any, args[1])
    width = width_of(op.results[0].type)
    if width in (1, 64):
        raise unsupported(f"an integer power {width} bits wide", op)
    if not isinstance(exponent, int) or not 0 <= exponent <= 64:
        return _narrowed(e, maths.power_by_squaring(e, e.reg(value), e.reg(exponent)), width)
    result: Any = 1
    for _ in range(exponent):
        result = e.mul(result, value)
    return _narrowed(e, result, width)


def _fpowi(e: Emitter, op: Operation, args: Sequence[Element]) -> Element:
    exponent = args[1]
    if not isinstance(exponent, int):
        raise unsupported("a run-time integer exponent", op)
    return _like(op.results[0].type, maths.power(e, to_f32(args[0]), float(exponent)))


TABLE: dict[type[Operation], Lower] = {
    arith.ConstantOp: _constant,
    # floats
    arith.AddfOp: _float_op("add.f32", "add.f64"),
    arith.SubfOp: _float_op("sub.f32", "sub.f64"),
    arith.MulfOp: _float_op("mul.f32", "mul.f64"),
    arith.DivfOp: _function(maths.divide),
    arith.NegfOp: _exact_choice("neg.f32"),
    arith.MaximumfOp: _exact_choice("max.NaN.f32"),
    arith.MinimumfOp: _exact_choice("min.NaN.f32"),
    arith.MaxnumfOp: _exact_choice("max.f32"),
    arith.MinnumfOp: _exact_choice("min.f32"),
    arith.CmpfOp: _cmpf,
    math.FmaOp: _float_op("fma.rn.f32", "fma.rn.f64"),
    math.AbsFOp: _exact_choice("abs.f32"),
    math.CopySignOp: _exact_choice("copysign.f32", swapped=True),
    math.ExpOp: _function(maths.exp),
    math.Exp2Op: _function(maths.exp2),
    math.ExpM1Op: _function(maths.expm1),
    math.LogOp: _function(maths.log),
    math.Log2Op: _function(maths.log2),
    math.Log10Op: _function(maths.log10),
    math.Log1pOp: _function(maths.log1p),
    math.SqrtOp: _function(maths.sqrt),
    math.RsqrtOp: _function(maths.rsqrt),
    math.TanhOp: _function(maths.tanh),
    math.SinOp: _function(maths.sin),
    math.CosOp: _function(maths.cos),
    math.TanOp: _function(maths.tan),
    math.ErfOp: _function(maths.erf),
    math.PowFOp: _function(maths.power),
    math.FPowIOp: _fpowi,
    math.FloorOp: _function(maths.round_to("rmi")),
    math.CeilOp: _function(maths.round_to("rpi")),
    math.TruncOp: _function(maths.round_to("rzi")),
    math.RoundEvenOp: _function(maths.round_to("rni")),
    math.RoundOp: _function(maths.round_half_away),
    # integers
    arith.AddiOp: _int_op("add", lambda a, b: a + b),
    arith.SubiOp: _int_op("sub", lambda a, b: a - b),
    arith.MuliOp: _int_op("mul.lo", lambda a, b: a * b),
    arith.DivSIOp: _int_op("div", _truncated_quotient),
    arith.DivUIOp: _int_op("div", lambda a, b: (a & 0xFFFFFFFF) // (b & 0xFFFFFFFF), "u"),
    arith.RemSIOp: _int_op("rem", lambda a, b: a - b * _truncated_quotient(a, b)),
    arith.RemUIOp: _int_op("rem", lambda a, b: (a & 0xFFFFFFFF) % (b & 0xFFFFFFFF), "u"),
    arith.FloorDivSIOp: _floor_div,
    arith.CeilDivSIOp: _ceil_div,
    arith.CeilDivUIOp: _ceil_div,
    arith.MinSIOp: _int_op("min", min),
    arith.MaxSIOp: _int_op("max", max),
    arith.MinUIOp: _int_op("min", None, "u"),
    arith.MaxUIOp: _int_op("max", None, "u"),
    arith.AndIOp: _int_op("and", lambda a, b: a & b, "b"),
    arith.OrIOp: _int_op("or", lambda a, b: a | b, "b"),
    arith.XOrIOp: _int_op("xor", lambda a, b: a ^ b, "b"),
    arith.ShLIOp: _shift("shl", "b"),
    arith.ShRSIOp: _shift("shr", "s"),
    arith.ShRUIOp: _shift("shr", "u"),
    arith.CmpiOp: _cmpi,
    arith.SelectOp: _select,
    math.AbsIOp: _absi,
    math.IPowIOp: _ipow,
    # casts
    arith.ExtFOp: _extf,
    arith.TruncFOp: _truncf,
    arith.SIToFPOp: _int_to_float(True),
    arith.UIToFPOp: _int_to_float(False),
    arith.FPToSIOp: _float_to_int(True),
    arith.FPToUIOp: _float_to_int(False),
    arith.ExtSIOp: _extend(True),
    arith.ExtUIOp: _extend(False),
    arith.TruncIOp: _trunci,
    arith.IndexCastOp: _index_cast,
    arith.BitcastOp: _bitcast,
}
"""Scalar op → how it is emitted."""
