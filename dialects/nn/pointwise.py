"""The pointwise ops, from one table.

A row gives an op its name, its ATen names, how one element is computed in arith/math ops, and its numpy meaning. Adding an
op is adding a row. Operands broadcast as in numpy (size-1 and missing leading dimensions) and have one element type, unless
the row's `result` says otherwise.
"""

# The tables hold one-line lambdas whose parameters are scalars or arrays of any type.
# pyright: reportUnknownLambdaType=false

from __future__ import annotations

import math as pymath
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, cast

import numpy as np
from xdsl.dialects import arith, math
from xdsl.dialects.builtin import FloatAttr, IntegerAttr, IntegerType, LocationAttr, StringAttr, TensorType, f32, i1
from xdsl.ir import Attribute, Operation, SSAValue
from xdsl.irdl import irdl_op_definition, opt_prop_def, result_def, traits_def, var_operand_def
from xdsl.traits import Pure
from xdsl.utils.exceptions import VerifyException

from ..ir.numeric import power
from .base import NNOp, Value, is_float, is_int, require
from .types import broadcast_dims, dims_of, elem_of, tensor

Emit = Callable[[Operation], SSAValue]
"""Inserts an op and returns its only result."""

Build = Callable[[Emit, Sequence[SSAValue], Attribute, Mapping[str, Attribute]], SSAValue]
"""(emit, scalar operands, element type of the result, properties) → scalar result."""

PREDICATES = ("eq", "ne", "lt", "le", "gt", "ge")
ROUNDS = "rounds"
"""The attribute of a scalar op that stands for an explicit `nn.cast` to a narrower float: kernels, which else compute in f32, round there."""


def constant(b: Emit, value: float, like: Attribute) -> SSAValue:
    """A scalar constant of the element type `like`."""
    if isinstance(like, IntegerType):
        return b(arith.ConstantOp(IntegerAttr(int(value), like)))
    return b(arith.ConstantOp(FloatAttr(float(value), cast(Any, like))))


def emit_cast(b: Emit, x: SSAValue, target: Attribute) -> SSAValue:
    """Convert a scalar between element types: rounding to nearest even, towards zero into integers, ≠ 0 into i1."""
    source = x.type
    if source == target:
        return x
    if is_float(source) and is_float(target):
        wide, narrow = cast(Any, source).bitwidth, cast(Any, target).bitwidth
        if wide < narrow:
            return b(arith.ExtFOp(x, cast(Any, target)))
        if wide > narrow:
            return b(arith.TruncFOp(x, cast(Any, target)))
        return b(arith.TruncFOp(b(arith.ExtFOp(x, f32)), cast(Any, target)))
    if is_int(source) and is_float(target):
        unsigned = source == i1
        return b(arith.UIToFPOp(x, cast(Any, target)) if unsigned else arith.SIToFPOp(x, cast(Any, target)))
    if target == i1:
        zero = constant(b, 0, source)
        return b(arith.CmpfOp(x, zero, "une") if is_float(source) else arith.CmpiOp(x, zero, "ne"))
    if is_float(source):
        return b(arith.FPToSIOp(x, cast(Any, target)))
    wide, narrow = cast(IntegerType, source).bitwidth, cast(IntegerType, target).bitwidth
    if wide > narrow:
        return b(arith.TruncIOp(x, cast(Any, target)))
    return b(arith.ExtUIOp(x, cast(Any, target)) if source == i1 else arith.ExtSIOp(x, cast(Any, target)))


def _by_kind(on_float: type[Operation] | None, on_int: type[Operation] | None, on_bool: type[Operation] | None = None) -> Build:
    """The op for floats, for integers or, where it is another one, for i1, chosen by the first operand."""

    def build(b: Emit, args: Sequence[SSAValue], elem: Attribute, properties: Mapping[str, Attribute]) -> SSAValue:
        chosen = on_float if is_float(args[0].type) else on_bool or on_int if args[0].type == i1 else on_int
        if chosen is None:
            raise VerifyException(f"no scalar op for elements of type {args[0].type}")
        return b(cast(Any, chosen)(*args))

    return build


def _formula(fn: Callable[..., SSAValue]) -> Build:
    """A build from `fn(b, x, y, …)`."""
    return lambda b, args, elem, properties: fn(b, *args)


def _mul(b: Emit, x: SSAValue, y: SSAValue) -> SSAValue:
    return b(arith.MulfOp(x, y) if is_float(x.type) else arith.MuliOp(x, y))


def _add(b: Emit, x: SSAValue, y: SSAValue) -> SSAValue:
    return b(arith.AddfOp(x, y) if is_float(x.type) else arith.AddiOp(x, y))


def _neg(b: Emit, x: SSAValue) -> SSAValue:
    """-x; of i1, which has no signs, the complement: it turns the order as -x does."""
    if x.type == i1:
        return _not(b, x)
    return b(arith.NegfOp(x)) if is_float(x.type) else b(arith.SubiOp(constant(b, 0, x.type), x))


def _abs(b: Emit, x: SSAValue) -> SSAValue:
    if is_float(x.type):
        return b(math.AbsFOp(x))
    return b(arith.MaxSIOp(x, _neg(b, x)))


def _recip(b: Emit, x: SSAValue) -> SSAValue:
    return b(arith.DivfOp(constant(b, 1, x.type), x))


def _sigmoid(b: Emit, x: SSAValue) -> SSAValue:
    return _recip(b, _add(b, b(math.ExpOp(_neg(b, x))), constant(b, 1, x.type)))


def _gelu(b: Emit, x: SSAValue) -> SSAValue:
    erf = b(math.ErfOp(_mul(b, x, constant(b, pymath.sqrt(0.5), x.type))))
    return _mul(b, _mul(b, x, constant(b, 0.5, x.type)), _add(b, erf, constant(b, 1, x.type)))


def _gelu_tanh(b: Emit, x: SSAValue) -> SSAValue:
    cube = _mul(b, _mul(b, _mul(b, x, x), x), constant(b, 0.044715, x.type))
    inner = _mul(b, _add(b, x, cube), constant(b, pymath.sqrt(2 / pymath.pi), x.type))
    return _mul(b, _mul(b, x, constant(b, 0.5, x.type)), _add(b, b(math.TanhOp(inner)), constant(b, 1, x.type)))


def _relu(b: Emit, x: SSAValue) -> SSAValue:
    zero = constant(b, 0, x.type)
    return b(arith.MaximumfOp(x, zero) if is_float(x.type) else arith.MaxSIOp(x, zero))


def _clamp(b: Emit, x: SSAValue, low: SSAValue, high: SSAValue) -> SSAValue:
    if is_float(x.type):
        return b(arith.MinimumfOp(b(arith.MaximumfOp(x, low)), high))
    return b(arith.MinSIOp(b(arith.MaxSIOp(x, low)), high))


def _fma(b: Emit, x: SSAValue, y: SSAValue, z: SSAValue) -> SSAValue:
    return b(math.FmaOp(x, y, z)) if is_float(x.type) else _add(b, _mul(b, x, y), z)


def _not(b: Emit, x: SSAValue) -> SSAValue:
    return b(arith.XOrIOp(x, constant(b, 1 if x.type == i1 else -1, x.type)))


def _cmp(b: Emit, args: Sequence[SSAValue], elem: Attribute, properties: Mapping[str, Attribute]) -> SSAValue:
    predicate = cast(StringAttr, properties["predicate"]).data
    if is_float(args[0].type):
        return b(arith.CmpfOp(args[0], args[1], "une" if predicate == "ne" else "o" + predicate))
    signs = "" if predicate in ("eq", "ne") else "u" if args[0].type == i1 else "s"
    return b(arith.CmpiOp(args[0], args[1], signs + predicate))


_erf = np.frompyfunc(pymath.erf, 1, 1)


def erf(x: np.ndarray) -> np.ndarray:
    """The error function, element by element in double precision."""
    return np.asarray(_erf(np.asarray(x, np.float64))).astype(x.dtype)


def _np_sigmoid(x: np.ndarray) -> np.ndarray:
    with np.errstate(over="ignore"):
        return 1 / (1 + np.exp(-x))


@dataclass(frozen=True)
class Pointwise:
    """One pointwise op. `result` is the element type it makes: the operands' ("same"), i1 ("bool"), any ("given"),
    or the second operand's after an i1 ("select")."""

    name: str
    arity: int
    aten: tuple[str, ...]
    build: Build
    numpy: Callable[..., Any]
    result: Literal["same", "bool", "given", "select"] = "same"
    elems: Literal["any", "float", "int"] = "any"


def _float_unary(name: str, aten: str | tuple[str, ...], op: type[Operation], fn: Callable[..., Any]) -> Pointwise:
    return Pointwise(name, 1, (aten,) if isinstance(aten, str) else aten, _by_kind(op, None), fn, elems="float")


# fmt: off
TABLE: tuple[Pointwise, ...] = (
    # name, arity, ATen names, one element in arith/math, numpy
    Pointwise("add", 2, ("aten.add.Tensor", "aten.add.Scalar", "aten.add_.Tensor"), _by_kind(arith.AddfOp, arith.AddiOp, arith.OrIOp), np.add),
    Pointwise("sub", 2, ("aten.sub.Tensor", "aten.sub.Scalar"), _by_kind(arith.SubfOp, arith.SubiOp), np.subtract),
    Pointwise("mul", 2, ("aten.mul.Tensor", "aten.mul.Scalar", "aten.mul_.Tensor"), _by_kind(arith.MulfOp, arith.MuliOp, arith.AndIOp), np.multiply),
    Pointwise("div", 2, ("aten.div.Tensor", "aten.div.Scalar"), _by_kind(arith.DivfOp, None), np.divide, elems="float"),
    Pointwise("floordiv", 2, (), _by_kind(None, arith.FloorDivSIOp), np.floor_divide, elems="int"),
    Pointwise("rem", 2, (), _by_kind(None, arith.RemSIOp), np.fmod, elems="int"),
    Pointwise("pow", 2, ("aten.pow.Tensor_Tensor", "aten.pow.Tensor_Scalar", "aten.pow.Scalar"), _by_kind(math.PowFOp, math.IPowIOp), power),
    Pointwise("max", 2, ("aten.maximum.default",), _by_kind(arith.MaximumfOp, arith.MaxSIOp, arith.OrIOp), np.maximum),
    Pointwise("min", 2, ("aten.minimum.default",), _by_kind(arith.MinimumfOp, arith.MinSIOp, arith.AndIOp), np.minimum),
    Pointwise("fma", 3, (), _formula(_fma), lambda x, y, z: x * y + z),
    Pointwise("clamp", 3, (), _formula(_clamp), lambda x, low, high: np.minimum(np.maximum(x, low), high)),
    Pointwise("neg", 1, ("aten.neg.default",), _formula(_neg), lambda x: ~x if x.dtype == bool else -x),
    Pointwise("abs", 1, ("aten.abs.default",), _formula(_abs), np.abs),
    Pointwise("square", 1, ("aten.square.default",), _formula(lambda b, x: _mul(b, x, x)), np.square),
    Pointwise("recip", 1, ("aten.reciprocal.default",), _formula(_recip), np.reciprocal, elems="float"),
    _float_unary("exp", "aten.exp.default", math.ExpOp, np.exp),
    _float_unary("exp2", "aten.exp2.default", math.Exp2Op, np.exp2),
    _float_unary("log", "aten.log.default", math.LogOp, np.log),
    _float_unary("log2", "aten.log2.default", math.Log2Op, np.log2),
    _float_unary("log1p", "aten.log1p.default", math.Log1pOp, np.log1p),
    _float_unary("sqrt", "aten.sqrt.default", math.SqrtOp, np.sqrt),
    _float_unary("rsqrt", "aten.rsqrt.default", math.RsqrtOp, lambda x: 1 / np.sqrt(x)),
    _float_unary("tanh", "aten.tanh.default", math.TanhOp, np.tanh),
    _float_unary("sin", "aten.sin.default", math.SinOp, np.sin),
    _float_unary("cos", "aten.cos.default", math.CosOp, np.cos),
    _float_unary("erf", ("aten.erf.default", "aten.special_erf.default"), math.ErfOp, erf),
    _float_unary("floor", "aten.floor.default", math.FloorOp, np.floor),
    _float_unary("ceil", "aten.ceil.default", math.CeilOp, np.ceil),
    _float_unary("round", "aten.round.default", math.RoundEvenOp, np.rint),
    _float_unary("trunc", "aten.trunc.default", math.TruncOp, np.trunc),
    Pointwise("sigmoid", 1, ("aten.sigmoid.default",), _formula(_sigmoid), _np_sigmoid, elems="float"),
    Pointwise(
        "silu", 1, ("aten.silu.default", "aten.silu_.default"),
        _formula(lambda b, x: b(arith.DivfOp(x, _add(b, b(math.ExpOp(_neg(b, x))), constant(b, 1, x.type))))),
        lambda x: x * _np_sigmoid(x), elems="float",
    ),
    Pointwise("gelu", 1, (), _formula(_gelu), lambda x: x * 0.5 * (1 + erf(x * np.asarray(pymath.sqrt(0.5), x.dtype))), elems="float"),
    Pointwise(
        "gelu_tanh", 1, (), _formula(_gelu_tanh),
        lambda x: 0.5 * x * (1 + np.tanh(pymath.sqrt(2 / pymath.pi) * (x + 0.044715 * x * x * x))), elems="float",
    ),
    Pointwise("relu", 1, ("aten.relu.default", "aten.relu_.default"), _formula(_relu), lambda x: np.maximum(x, 0)),
    Pointwise(
        "and", 2, ("aten.bitwise_and.Tensor", "aten.bitwise_and.Scalar", "aten.logical_and.default", "aten.__and__.Tensor", "aten.__and__.Scalar"),
        _by_kind(None, arith.AndIOp), np.bitwise_and, elems="int",
    ),
    Pointwise(
        "or", 2, ("aten.bitwise_or.Tensor", "aten.bitwise_or.Scalar", "aten.logical_or.default", "aten.__or__.Tensor", "aten.__or__.Scalar"),
        _by_kind(None, arith.OrIOp), np.bitwise_or, elems="int",
    ),
    Pointwise(
        "xor", 2, ("aten.bitwise_xor.Tensor", "aten.bitwise_xor.Scalar", "aten.logical_xor.default", "aten.__xor__.Tensor", "aten.__xor__.Scalar"),
        _by_kind(None, arith.XOrIOp), np.bitwise_xor, elems="int",
    ),
    Pointwise("not", 1, ("aten.bitwise_not.default", "aten.logical_not.default"), _formula(_not), np.invert, elems="int"),
    Pointwise("cmp", 2, (), _cmp, lambda x, y: x == y, result="bool"),  # the predicate chooses: COMPARISONS
    Pointwise("select", 3, ("aten.where.self",), _formula(lambda b, c, x, y: b(arith.SelectOp(c, x, y))), np.where, result="select"),
    Pointwise("cast", 1, (), lambda b, args, elem, properties: emit_cast(b, args[0], elem), lambda x: x, result="given"),
)
# fmt: on

COMPARISONS: dict[str, Callable[..., Any]] = {
    "eq": np.equal, "ne": np.not_equal, "lt": np.less, "le": np.less_equal, "gt": np.greater, "ge": np.greater_equal,
}  # fmt: skip


class PointwiseOp(NNOp):
    """The base class of the generated ops: `AddOp(x, y, location=…)`, `CastOp(x, elem=…)`, `CmpOp(x, y, predicate="lt")`."""

    ROW: ClassVar[Pointwise]

    traits = traits_def(Pure())
    inputs = var_operand_def(TensorType)
    predicate = opt_prop_def(StringAttr)
    result = result_def(TensorType)

    def __init__(
        self, *inputs: Value, elem: Attribute | None = None, predicate: str | None = None, location: LocationAttr | None = None
    ) -> None:
        self._setup(
            [inputs],
            {"predicate": None if predicate is None else StringAttr(predicate)},
            location,
            elem=elem if self.ROW.result == "given" else None,
        )

    @classmethod
    def infer(cls, operands: Sequence[Attribute], properties: Mapping[str, Attribute]) -> Sequence[Attribute]:
        row = cls.ROW
        require(len(operands) == row.arity, f"{cls.name} takes {row.arity} operands, not {len(operands)}")
        elems = [elem_of(o) for o in operands]
        values = elems[1:] if row.result == "select" else elems
        require(len(set(values)) == 1, f"{cls.name} takes operands of one element type, not {', '.join(map(str, values))}")
        if row.result == "select":
            require(elems[0] == i1, f"nn.select chooses by i1, not by {elems[0]}")
        if row.elems != "any":
            fits = (is_float if row.elems == "float" else is_int)(values[0])
            require(fits, f"{cls.name} works on {row.elems} elements, not on {values[0]}")
        predicate = properties.get("predicate")
        if row.name == "cmp":
            good = isinstance(predicate, StringAttr) and predicate.data in PREDICATES
            require(good, f"nn.cmp needs a predicate, one of {', '.join(PREDICATES)}")
        else:
            require(predicate is None, f"{cls.name} has no predicate")
        return [tensor(i1 if row.result == "bool" else values[0], broadcast_dims([dims_of(o) for o in operands]))]

    def scalar(self, b: Emit, args: Sequence[SSAValue], elem: Attribute | None = None) -> SSAValue:
        """One element of the result from one element of each operand. `args` may be wider than the op's own element types
        (a body computing in f32); `elem` is the type that `nn.cast` goes to, by default the op's."""
        return self.ROW.build(b, args, elem or elem_of(self.results[0]), self.properties)


def _op_class(row: Pointwise) -> type[PointwiseOp]:
    """The op class of a row: `add` → `AddOp`, with the row's name."""
    camel = "".join(part.capitalize() for part in row.name.split("_"))
    doc = f"`nn.{row.name}`: pointwise, {row.arity} operand{'s' if row.arity > 1 else ''}, from the table."
    return irdl_op_definition(
        type(f"{camel}Op", (PointwiseOp,), {
            "name": f"nn.{row.name}", "ROW": row, "RESULT_ELEM_IS_FREE": row.result == "given", "__doc__": doc,
            "__module__": __name__, "__annotations__": {"ROW": "ClassVar[Pointwise]", "RESULT_ELEM_IS_FREE": "ClassVar[bool]"},
        })
    )  # fmt: skip


POINTWISE: dict[str, type[PointwiseOp]] = {row.name: _op_class(row) for row in TABLE}
"""Op name without `nn.` → op class."""

BY_ATEN: dict[str, type[PointwiseOp]] = {name: POINTWISE[row.name] for row in TABLE for name in row.aten}
"""ATen overload, such as `aten.add.Tensor` → op class."""

AddOp, SubOp, MulOp, DivOp = POINTWISE["add"], POINTWISE["sub"], POINTWISE["mul"], POINTWISE["div"]
FloordivOp, RemOp, PowOp, MaxOp, MinOp = (POINTWISE[n] for n in ("floordiv", "rem", "pow", "max", "min"))
FmaOp, ClampOp, NegOp, AbsOp, SquareOp, RecipOp = (POINTWISE[n] for n in ("fma", "clamp", "neg", "abs", "square", "recip"))
ExpOp, Exp2Op, LogOp, Log2Op, SqrtOp, RsqrtOp = (POINTWISE[n] for n in ("exp", "exp2", "log", "log2", "sqrt", "rsqrt"))
TanhOp, SinOp, CosOp, ErfOp = (POINTWISE[n] for n in ("tanh", "sin", "cos", "erf"))
FloorOp, CeilOp, RoundOp, TruncOp, Log1pOp = (POINTWISE[n] for n in ("floor", "ceil", "round", "trunc", "log1p"))
SigmoidOp, SiluOp, GeluOp, GeluTanhOp, ReluOp = (POINTWISE[n] for n in ("sigmoid", "silu", "gelu", "gelu_tanh", "relu"))
AndOp, OrOp, XorOp, NotOp = (POINTWISE[n] for n in ("and", "or", "xor", "not"))
CmpOp, SelectOp, CastOp = POINTWISE["cmp"], POINTWISE["select"], POINTWISE["cast"]
