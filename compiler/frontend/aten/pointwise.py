"""Pointwise ATen ops: those of the nn table, casts, comparisons, and the ones that are a few nn ops."""

from __future__ import annotations

import math
from typing import Any, cast

import torch
from xdsl.dialects.builtin import f32, i1
from xdsl.ir import Attribute, SSAValue

from ....dialects.ir.diagnostics import LlmcError
from ....dialects.nn import ops as nn
from ....dialects.nn.base import is_float
from ....dialects.nn.pointwise import BY_ATEN
from ....dialects.nn.sizes import Size
from ....dialects.nn.types import elem_of
from ..call import Call
from ..importer import Importer
from ..values import Builder, Value, exactly
from .registry import argument, row


def apply(im: Importer, node: Call, op: str, arguments: list[Any], compute: Attribute, **options: Any) -> Value:
    """nn.`op` on tensors and numbers with torch's promotion: operands in `compute`, the result in the node's type."""
    result = im.elem(node)
    numbers = [a for a in arguments if not isinstance(a, torch.fx.Node | Value)]
    if any(not exactly(float(n), compute) for n in numbers):
        compute = f32  # torch computes with the unrounded number, too
    final, dims, axis = operands(im, arguments, compute)
    ssa = im.b.emit(nn.POINTWISE[op](*final, **options))
    return Value(im.b.cast(ssa, result), dims, axis)


def operands(im: Importer, arguments: list[Any], elem: Attribute) -> tuple[list[SSAValue], tuple[Size, ...], int | None]:
    """Tensors and numbers in one element type, the shape they broadcast to, and its missing axis."""
    tensors = [a if isinstance(a, Value) else im.value(a) for a in arguments if isinstance(a, torch.fx.Node | Value)]
    aligned, dims, axis = im.b.aligned(tensors)
    queue = iter(aligned)
    found = [
        im.b.cast(next(queue), elem) if isinstance(a, torch.fx.Node | Value) else im.b.constant(a, elem) for a in arguments
    ]
    return found, dims, axis


def promoted(im: Importer, arguments: list[Any]) -> Attribute:
    """The element type in which torch computes with these operands."""
    values = [a.meta["val"] if isinstance(a, torch.fx.Node) else a for a in arguments]
    dtype = torch.result_type(values[0], values[1]) if len(values) > 1 else values[0].dtype
    return im.elem(dtype)


def _table_row(name: str, cls: type[nn.PointwiseOp]) -> None:
    op = cls.ROW

    @row(name)
    def handle(im: Importer, node: Call) -> Value:
        arguments = list(node.args[: op.arity])
        alpha = node.kwargs.get("alpha", 1)
        if alpha != 1:
            scaled = apply(im, node, "mul", [arguments[1], alpha], im.elem(node))
            return apply(im, node, op.name, [arguments[0], scaled], im.elem(node))
        compute = im.elem(node)
        if (
            op.name in ("mul", "div")
            and len(arguments) == 2
            and arguments[1] == 1
            and not isinstance(arguments[1], torch.fx.Node)
        ):
            value = im.value(arguments[0])
            return Value(im.b.cast(value.ssa, compute), value.dims, value.axis)
        exponent = arguments[1] if op.name == "pow" else None
        if isinstance(exponent, int | float) and exponent in (2, 0.5, -0.5):
            unary = {2: "square", 0.5: "sqrt", -0.5: "rsqrt"}[exponent]
            return apply(im, node, unary, arguments[:1], compute)
        if exponent in (3, 4):
            square = apply(im, node, "square", arguments[:1], compute)
            return apply(im, node, "mul", [square, arguments[0] if exponent == 3 else square], compute)
        if name in (
            "aten.logical_and.default",
            "aten.logical_or.default",
            "aten.logical_xor.default",
            "aten.logical_not.default",
        ):
            compute = i1
        if op.elems == "float" and not is_float(compute):
            compute = f32
        return apply(im, node, op.name, arguments, compute)


for _name, _cls in BY_ATEN.items():
    if _name != "aten.where.self":
        _table_row(_name, _cls)


def _comparison(predicate: str) -> None:
    @row(f"aten.{predicate}.Tensor", f"aten.{predicate}.Scalar")
    def handle(im: Importer, node: Call) -> Value:
        arguments = list(node.args[:2])
        return apply(im, node, "cmp", arguments, promoted(im, arguments), predicate=predicate)


for _predicate in ("eq", "ne", "lt", "le", "gt", "ge"):
    _comparison(_predicate)


@row("aten.rsub.Scalar", "aten.rsub.Tensor")
def rsub(im: Importer, node: Call) -> Value:
    taken, elem, alpha = node.args[0], im.elem(node), argument(node, 2, "alpha", 1)
    if alpha != 1:
        taken = apply(im, node, "mul", [taken, alpha], elem)
    return apply(im, node, "sub", [node.args[1], taken], elem)


@row("aten.div.Tensor_mode", "aten.div.Scalar_mode", "aten.floor_divide.default", "aten.floor_divide.Scalar")
def div_mode(im: Importer, node: Call) -> Value:
    mode = "floor" if "floor_divide" in str(node.target) else node.kwargs.get("rounding_mode")
    elem = im.elem(node)
    if mode is not None and not is_float(elem):
        (x, y), dims, axis = operands(im, list(node.args[:2]), elem)
        if mode == "trunc":  # what is left after the remainder has an exact quotient
            x = im.b.pointwise("sub", x, im.b.pointwise("rem", x, y))
        return Value(im.b.pointwise("floordiv", x, y), dims, axis)
    quotient = apply(im, node, "div", list(node.args[:2]), elem if is_float(elem) else f32)
    if mode is None:
        return quotient
    return Value(im.b.pointwise("floor" if mode == "floor" else "trunc", quotient.ssa), quotient.dims, quotient.axis)


@row("aten.gelu.default")
def gelu(im: Importer, node: Call) -> Value:
    form = node.kwargs.get("approximate", "none")
    return apply(im, node, "gelu_tanh" if form == "tanh" else "gelu", [node.args[0]], im.elem(node))


@row("aten.clamp.default", "aten.clamp_min.default", "aten.clamp_max.default")
def clamp(im: Importer, node: Call) -> Value:
    name = str(node.target)
    low = argument(node, 1, "min") if "max" not in name else None
    high = argument(node, 1, "max") if "clamp_max" in name else argument(node, 2, "max")
    elem = im.elem(node)
    if low is not None and high is not None:
        return apply(im, node, "clamp", [node.args[0], low, high], elem)
    return apply(im, node, "max" if low is not None else "min", [node.args[0], high if low is None else low], elem)


@row("aten.leaky_relu.default")
def leaky_relu(im: Importer, node: Call) -> Value:
    x, elem = node.args[0], im.elem(node)
    scaled = apply(im, node, "mul", [x, argument(node, 1, "negative_slope", 0.01)], elem)
    positive = apply(im, node, "max", [x, 0.0], elem)
    negative = apply(im, node, "min", [scaled, 0.0], elem)
    return apply(im, node, "add", [positive, negative], elem)


@row("aten.softplus.default")
def softplus(im: Importer, node: Call) -> Value:
    """log(1 + exp(βx)) / β without overflow: (max(βx, 0) + log1p(exp(-|βx|))) / β; x above the threshold."""
    value, b = im.value(node.args[0]), im.b
    beta, threshold = (float(argument(node, i, name, default)) for i, name, default in ((1, "beta", 1), (2, "threshold", 20)))
    x = b.cast(value.ssa, f32)
    scaled = x if beta == 1 else b.pointwise("mul", x, b.constant(beta, f32))
    tail = b.pointwise("log1p", b.pointwise("exp", b.pointwise("neg", b.pointwise("abs", scaled))))
    soft = b.pointwise("add", b.pointwise("max", scaled, b.constant(0.0, f32)), tail)
    soft = soft if beta == 1 else b.pointwise("div", soft, b.constant(beta, f32))
    above = b.emit(nn.CmpOp(scaled, b.constant(threshold, f32), predicate="gt"))
    return Value(b.cast(b.pointwise("select", above, x, soft), im.elem(node)), value.dims, value.axis)


@row("aten.hardtanh.default", "aten.relu6.default")
def hardtanh(im: Importer, node: Call) -> Value:
    low, high = (
        (0.0, 6.0) if "relu6" in str(node.target) else (argument(node, 1, "min_val", -1.0), argument(node, 2, "max_val", 1.0))
    )
    return apply(im, node, "clamp", [node.args[0], low, high], im.elem(node))


@row("aten.where.self", "aten.where.ScalarSelf", "aten.where.ScalarOther", "aten.where.Scalar")
def where(im: Importer, node: Call) -> Value:
    return select(im, node, *node.args[:3])


@row("aten.masked_fill.Scalar", "aten.masked_fill.Tensor", "aten.masked_fill_.Scalar")
def masked_fill(im: Importer, node: Call) -> Value:
    x, mask, value = node.args[:3]
    return select(im, node, mask, value, x)


def select(im: Importer, node: Call, condition: Any, yes: Any, no: Any) -> Value:
    """condition ? yes : no, in the node's element type."""
    elem = im.elem(node)
    values = [im.value(a) if isinstance(a, torch.fx.Node) else None for a in (condition, yes, no)]
    aligned, dims, axis = im.b.aligned([v for v in values if v is not None])
    queue = iter(aligned)
    picked = [next(queue) if v is not None else im.b.constant(a, elem) for v, a in zip(values, (condition, yes, no))]
    return Value(im.b.pointwise("select", picked[0], im.b.cast(picked[1], elem), im.b.cast(picked[2], elem)), dims, axis)


@row(
    "aten.to.dtype", "aten.to.device", "aten.to.dtype_layout", "aten.to.other", "aten._to_copy.default", "aten.type_as.default",
    "aten.float.default", "aten.contiguous.default", "aten.clone.default", "aten.alias.default", "aten.detach.default",
    "aten.detach_.default", "aten.lift_fresh_copy.default", "aten.dropout.default", "aten.native_dropout.default",
    "aten.feature_dropout.default", "aten.alpha_dropout.default",
)  # fmt: skip
def convert(im: Importer, node: Call) -> Value:
    """Casts, and what does nothing in inference."""
    value = im.value(node.args[0])
    return Value(im.b.cast(value.ssa, im.elem(node)), value.dims, value.axis)


@row("aten.isnan.default")
def isnan(im: Importer, node: Call) -> Value:
    value = im.value(node.args[0])
    return Value(im.b.emit(nn.CmpOp(value.ssa, value.ssa, predicate="ne")), value.dims, value.axis)


@row("aten.isinf.default")
def isinf(im: Importer, node: Call) -> Value:
    value = im.value(node.args[0])
    infinity = im.b.constant(math.inf, value.elem)
    return Value(im.b.emit(nn.CmpOp(im.b.pointwise("abs", value.ssa), infinity, predicate="eq")), value.dims, value.axis)


@row("aten.expm1.default")
def expm1(im: Importer, node: Call) -> Value:
    (x,), dims, axis = operands(im, [node.args[0]], f32)
    less = im.b.pointwise("sub", im.b.pointwise("exp", x), im.b.constant(1.0, f32))
    return Value(im.b.cast(less, im.elem(node)), dims, axis)


@row("aten.sign.default", "aten.sgn.default")
def sign(im: Importer, node: Call) -> Value:
    value = im.value(node.args[0])
    return Value(_sign(im.b, value.ssa), value.dims, value.axis)


@row("aten.fmod.Scalar", "aten.fmod.Tensor", "aten.remainder.Scalar", "aten.remainder.Tensor")
def remainder(im: Importer, node: Call) -> Value:
    """What a division leaves: with the sign of x from fmod, with that of y from remainder."""
    elem, of_divisor = im.elem(node), "remainder" in str(node.target)
    (x, y), dims, axis = operands(im, list(node.args[:2]), elem)
    if is_float(elem):
        x, y = im.b.cast(x, f32), im.b.cast(y, f32)
        rest = _fmod(im.b, x, y)
        return Value(im.b.cast(_signed_as(im.b, rest, y) if of_divisor else rest, elem), dims, axis)
    if not of_divisor:
        return Value(im.b.pointwise("rem", x, y), dims, axis)
    count = im.b.pointwise("floordiv", x, y)
    return Value(im.b.pointwise("sub", x, im.b.pointwise("mul", count, y)), dims, axis)


def _fmod(b: Builder, x: SSAValue, y: SSAValue) -> SSAValue:
    """|x| - ⌊|x| / |y|⌋ · |y| with the sign of x; the rounded quotient may be one too large or too small."""
    size, unit, zero = b.pointwise("abs", x), b.pointwise("abs", y), b.constant(0.0, f32)
    count = b.pointwise("floor", b.pointwise("div", size, unit))
    rest = b.pointwise("fma", b.pointwise("neg", count), unit, size)
    rest = b.pointwise("select", b.emit(nn.CmpOp(rest, zero, predicate="lt")), b.pointwise("add", rest, unit), rest)
    rest = b.pointwise("select", b.emit(nn.CmpOp(rest, unit, predicate="ge")), b.pointwise("sub", rest, unit), rest)
    rest = b.pointwise("select", b.emit(nn.CmpOp(size, unit, predicate="lt")), size, rest)
    return _mirrored(b, b.emit(nn.CmpOp(x, zero, predicate="lt")), rest, 0.0)


def _signed_as(b: Builder, rest: SSAValue, y: SSAValue) -> SSAValue:
    """A remainder of a division by y, moved by y where their signs differ."""
    zero = b.constant(0.0, f32)
    opposite = b.emit(nn.CmpOp(b.pointwise("mul", rest, _sign(b, y)), zero, predicate="lt"))
    return b.pointwise("select", opposite, b.pointwise("add", rest, y), rest)


def _sign(b: Builder, x: SSAValue) -> SSAValue:
    """-1, 0 or 1, in x's element type."""
    elem = elem_of(x)
    zero = b.constant(0, elem)
    above, below = (b.cast(b.emit(nn.CmpOp(*pair, predicate="lt")), elem) for pair in ((zero, x), (x, zero)))
    return b.pointwise("sub", above, below)


ATAN = (1.0, -0.3333314528, 0.1999355085, -0.1420889944, 0.1065626393, -0.0752896400, 0.0429096138, -0.0161657367, 0.0028662257)
"""atan(x) / x in powers of x² for |x| ≤ 1, to 2e-8: Abramowitz and Stegun 4.4.49."""


def _atan_to_1(b: Builder, x: SSAValue) -> SSAValue:
    """The angle whose tangent is x, for x from 0 to 1."""
    square = b.pointwise("square", x)
    total = b.constant(ATAN[-1], f32)
    for factor in reversed(ATAN[:-1]):
        total = b.pointwise("fma", total, square, b.constant(factor, f32))
    return b.pointwise("mul", x, total)


def _mirrored(b: Builder, where: SSAValue, angle: SSAValue, mirror: float) -> SSAValue:
    """mirror - angle where a condition holds, the angle elsewhere."""
    return b.pointwise("select", where, b.pointwise("sub", b.constant(mirror, f32), angle), angle)


def _below_zero(b: Builder, x: SSAValue) -> SSAValue:
    """Whether x has the sign of negative numbers, as -0 has."""
    zero = b.constant(0.0, f32)
    at_zero = b.emit(nn.CmpOp(x, zero, predicate="eq"))
    return b.emit(nn.CmpOp(b.pointwise("select", at_zero, b.pointwise("recip", x), x), zero, predicate="lt"))


@row("aten.atan.default")
def atan(im: Importer, node: Call) -> Value:
    """A polynomial of x, or of 1 / x from 1 on: atan(x) = π/2 - atan(1 / x)."""
    value, b = im.value(node.args[0]), im.b
    x = b.cast(value.ssa, f32)
    size, one = b.pointwise("abs", x), b.constant(1.0, f32)
    far = b.emit(nn.CmpOp(size, one, predicate="gt"))
    angle = _atan_to_1(b, b.pointwise("select", far, b.pointwise("recip", size), size))
    angle = _mirrored(b, far, angle, math.pi / 2)
    negative = b.emit(nn.CmpOp(x, b.constant(0.0, f32), predicate="lt"))
    angle = _mirrored(b, negative, angle, 0.0)
    return Value(b.cast(angle, im.elem(node)), value.dims, value.axis)


@row("aten.atan2.default")
def atan2(im: Importer, node: Call) -> Value:
    """The angle of (x, y) in the first eighth of the circle, mirrored at x = y, at the y axis and at the x axis."""
    b = im.b
    (y, x), dims, axis = operands(im, list(node.args[:2]), f32)
    high, wide = b.pointwise("abs", y), b.pointwise("abs", x)
    equal = b.emit(nn.CmpOp(high, wide, predicate="eq"))  # 0 by 0 and ∞ by ∞ have no quotient
    at_zero = b.emit(nn.CmpOp(high, b.constant(0.0, f32), predicate="eq"))
    diagonal = b.pointwise("select", at_zero, b.constant(0.0, f32), b.constant(1.0, f32))
    slope = b.pointwise("div", b.pointwise("min", high, wide), b.pointwise("max", high, wide))
    angle = _atan_to_1(b, b.pointwise("select", equal, diagonal, slope))
    angle = _mirrored(b, b.emit(nn.CmpOp(high, wide, predicate="gt")), angle, math.pi / 2)
    angle = _mirrored(b, _below_zero(b, x), angle, math.pi)
    angle = _mirrored(b, _below_zero(b, y), angle, 0.0)
    return Value(b.cast(angle, im.elem(node)), dims, axis)


@row("aten.log10.default")
def log10(im: Importer, node: Call) -> Value:
    (x,), dims, axis = operands(im, [node.args[0]], f32)
    found = im.b.pointwise("mul", im.b.pointwise("log", x), im.b.constant(1 / math.log(10), f32))
    return Value(im.b.cast(found, im.elem(node)), dims, axis)


@row("aten.round.decimals")
def round_decimals(im: Importer, node: Call) -> Value:
    (x,), dims, axis = operands(im, [node.args[0]], f32)
    decimals = cast(int, argument(node, 1, "decimals", 0))
    unit = im.b.constant(10.0 ** abs(decimals), f32)
    there, back = ("mul", "div") if decimals > 0 else ("div", "mul")
    rounded = im.b.pointwise(back, im.b.pointwise("round", im.b.pointwise(there, x, unit)), unit)
    return Value(im.b.cast(rounded, im.elem(node)), dims, axis)


@row("aten.__lshift__.Scalar", "aten.bitwise_left_shift.Tensor_Scalar")
@row("aten.__rshift__.Scalar", "aten.bitwise_right_shift.Tensor_Scalar")
def shift(im: Importer, node: Call) -> Value:
    """A product with a power of two, or a quotient rounded down."""
    by = cast(int, node.args[1])
    if not 0 <= by < 31:
        raise LlmcError("LLMC0338", f"a shift by {by} is not supported", where=im.location(node), fix="shift by 0 to 30 bits")
    name = "mul" if "lshift" in str(node.target) or "left" in str(node.target) else "floordiv"
    return apply(im, node, name, [node.args[0], 1 << by], im.elem(node))
