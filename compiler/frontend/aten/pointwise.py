"""Pointwise ATen ops: those of the nn table, casts, comparisons, and the ones that are a few nn ops."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import torch
from xdsl.dialects.builtin import f32, i1
from xdsl.ir import Attribute, SSAValue

from ....dialects.nn import ops as nn
from ....dialects.nn.base import is_float
from ....dialects.nn.pointwise import BY_ATEN
from ..values import Value, exactly
from .registry import argument, row

if TYPE_CHECKING:
    from ..importer import Importer


def apply(im: Importer, node: torch.fx.Node, op: str, arguments: list[Any], compute: Attribute, **options: Any) -> Value:
    """nn.`op` on tensors and numbers with torch's promotion: operands in `compute`, the result in the node's type."""
    result = im.elem(node)
    numbers = [a for a in arguments if not isinstance(a, torch.fx.Node | Value)]
    if any(not exactly(float(n), compute) for n in numbers):
        compute = f32  # torch computes with the unrounded number, too
    tensors = [a if isinstance(a, Value) else im.value(a) for a in arguments if isinstance(a, torch.fx.Node | Value)]
    operands, dims, axis = im.b.aligned(tensors)
    queue = iter(operands)
    final: list[SSAValue] = []
    for a in arguments:
        if isinstance(a, torch.fx.Node | Value):
            final.append(im.b.cast(next(queue), compute))
        else:
            final.append(im.b.constant(a, compute))
    ssa = im.b.emit(nn.POINTWISE[op](*final, **options))
    return Value(im.b.cast(ssa, result), dims, axis)


def promoted(im: Importer, arguments: list[Any]) -> Attribute:
    """The element type in which torch computes with these operands."""
    values = [a.meta["val"] if isinstance(a, torch.fx.Node) else a for a in arguments]
    dtype = torch.result_type(values[0], values[1]) if len(values) > 1 else values[0].dtype
    return im.elem(dtype)


def _table_row(name: str, cls: type[nn.PointwiseOp]) -> None:
    op = cls.ROW

    @row(name)
    def handle(im: Importer, node: torch.fx.Node) -> Value:
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
    def handle(im: Importer, node: torch.fx.Node) -> Value:
        arguments = list(node.args[:2])
        return apply(im, node, "cmp", arguments, promoted(im, arguments), predicate=predicate)


for _predicate in ("eq", "ne", "lt", "le", "gt", "ge"):
    _comparison(_predicate)


@row("aten.rsub.Scalar", "aten.rsub.Tensor")
def rsub(im: Importer, node: torch.fx.Node) -> Value:
    return apply(im, node, "sub", [node.args[1], node.args[0]], im.elem(node))


@row("aten.div.Tensor_mode", "aten.div.Scalar_mode", "aten.floor_divide.default", "aten.floor_divide.Scalar")
def div_mode(im: Importer, node: torch.fx.Node) -> Value:
    mode = "floor" if "floor_divide" in str(node.target) else node.kwargs.get("rounding_mode")
    elem = im.elem(node)
    if mode == "floor" and not is_float(elem):
        return apply(im, node, "floordiv", list(node.args[:2]), elem)
    quotient = apply(im, node, "div", list(node.args[:2]), elem if is_float(elem) else f32)
    if mode is None:
        return quotient
    return Value(im.b.pointwise("floor" if mode == "floor" else "trunc", quotient.ssa), quotient.dims, quotient.axis)


@row("aten.gelu.default")
def gelu(im: Importer, node: torch.fx.Node) -> Value:
    form = node.kwargs.get("approximate", "none")
    return apply(im, node, "gelu_tanh" if form == "tanh" else "gelu", [node.args[0]], im.elem(node))


@row("aten.clamp.default", "aten.clamp_min.default", "aten.clamp_max.default")
def clamp(im: Importer, node: torch.fx.Node) -> Value:
    name = str(node.target)
    low = argument(node, 1, "min") if "max" not in name else None
    high = argument(node, 1, "max") if "clamp_max" in name else argument(node, 2, "max")
    elem = im.elem(node)
    if low is not None and high is not None:
        return apply(im, node, "clamp", [node.args[0], low, high], elem)
    return apply(im, node, "max" if low is not None else "min", [node.args[0], high if low is None else low], elem)


@row("aten.leaky_relu.default")
def leaky_relu(im: Importer, node: torch.fx.Node) -> Value:
    x, elem = node.args[0], im.elem(node)
    scaled = apply(im, node, "mul", [x, argument(node, 1, "negative_slope", 0.01)], elem)
    positive = apply(im, node, "max", [x, 0.0], elem)
    negative = apply(im, node, "min", [scaled, 0.0], elem)
    return apply(im, node, "add", [positive, negative], elem)


@row("aten.softplus.default")
def softplus(im: Importer, node: torch.fx.Node) -> Value:
    elem = im.elem(node)
    return apply(im, node, "log1p", [apply(im, node, "exp", [node.args[0]], elem)], elem)


@row("aten.hardtanh.default", "aten.relu6.default")
def hardtanh(im: Importer, node: torch.fx.Node) -> Value:
    low, high = (
        (0.0, 6.0) if "relu6" in str(node.target) else (argument(node, 1, "min_val", -1.0), argument(node, 2, "max_val", 1.0))
    )
    return apply(im, node, "clamp", [node.args[0], low, high], im.elem(node))


@row("aten.where.self", "aten.where.ScalarSelf", "aten.where.ScalarOther", "aten.where.Scalar")
def where(im: Importer, node: torch.fx.Node) -> Value:
    return select(im, node, *node.args[:3])


@row("aten.masked_fill.Scalar", "aten.masked_fill.Tensor", "aten.masked_fill_.Scalar")
def masked_fill(im: Importer, node: torch.fx.Node) -> Value:
    x, mask, value = node.args[:3]
    return select(im, node, mask, value, x)


def select(im: Importer, node: torch.fx.Node, condition: Any, yes: Any, no: Any) -> Value:
    """condition ? yes : no, in the node's element type."""
    elem = im.elem(node)
    values = [im.value(a) if isinstance(a, torch.fx.Node) else None for a in (condition, yes, no)]
    operands, dims, axis = im.b.aligned([v for v in values if v is not None])
    queue = iter(operands)
    picked = [next(queue) if v is not None else im.b.constant(a, elem) for v, a in zip(values, (condition, yes, no))]
    return Value(im.b.pointwise("select", picked[0], im.b.cast(picked[1], elem), im.b.cast(picked[2], elem)), dims, axis)


@row(
    "aten.to.dtype", "aten.to.device", "aten.to.dtype_layout", "aten.to.other", "aten._to_copy.default", "aten.type_as.default",
    "aten.float.default", "aten.contiguous.default", "aten.clone.default", "aten.alias.default", "aten.detach.default",
    "aten.detach_.default", "aten.lift_fresh_copy.default", "aten.dropout.default", "aten.native_dropout.default",
    "aten.feature_dropout.default", "aten.alpha_dropout.default",
)  # fmt: skip
def convert(im: Importer, node: torch.fx.Node) -> Value:
    """Casts, and what does nothing in inference."""
    value = im.value(node.args[0])
    return Value(im.b.cast(value.ssa, im.elem(node)), value.dims, value.axis)


@row("aten.isnan.default")
def isnan(im: Importer, node: torch.fx.Node) -> Value:
    value = im.value(node.args[0])
    return Value(im.b.emit(nn.CmpOp(value.ssa, value.ssa, predicate="ne")), value.dims, value.axis)


@row("aten.isinf.default")
def isinf(im: Importer, node: torch.fx.Node) -> Value:
    value = im.value(node.args[0])
    infinity = im.b.constant(math.inf, value.elem)
    return Value(im.b.emit(nn.CmpOp(im.b.pointwise("abs", value.ssa), infinity, predicate="eq")), value.dims, value.axis)


@row("aten.expm1.default", "aten.sign.default", "aten.sgn.default")
def about_zero(im: Importer, node: torch.fx.Node) -> Value:
    """eˣ - 1; and -1, 0 or 1."""
    x = node.args[0]
    if "expm1" in str(node.target):
        return apply(im, node, "sub", [apply(im, node, "exp", [x], f32), 1.0], f32)
    elem = im.elem(node)
    value = im.value(x)
    zero = im.b.constant(0, elem)
    above, below = (
        im.b.cast(im.b.emit(nn.CmpOp(a, b, predicate="lt")), elem) for a, b in ((zero, value.ssa), (value.ssa, zero))
    )
    return Value(im.b.pointwise("sub", above, below), value.dims, value.axis)


@row("aten.remainder.Scalar", "aten.remainder.Tensor")
def remainder(im: Importer, node: torch.fx.Node) -> Value:
    """x - ⌊x / y⌋ · y, with the sign of y."""
    x, y = node.args[:2]
    elem = im.elem(node)
    if is_float(elem):
        count = apply(im, node, "floor", [apply(im, node, "div", [x, y], f32)], f32)
    else:
        count = apply(im, node, "floordiv", [x, y], elem)
    return apply(im, node, "sub", [x, apply(im, node, "mul", [count, y], elem)], elem)


ATAN = (1.0, -0.3333314528, 0.1999355085, -0.1420889944, 0.1065626393, -0.0752896400, 0.0429096138, -0.0161657367, 0.0028662257)
"""atan(x) / x in powers of x² for |x| ≤ 1, to 2e-8: Abramowitz and Stegun 4.4.49."""


@row("aten.atan.default")
def atan(im: Importer, node: torch.fx.Node) -> Value:
    """A polynomial of x, or of 1 / x from 1 on: atan(x) = π/2 - atan(1 / x)."""
    value, b = im.value(node.args[0]), im.b
    x = b.cast(value.ssa, f32)
    size, one = b.pointwise("abs", x), b.constant(1.0, f32)
    far = b.emit(nn.CmpOp(size, one, predicate="gt"))
    near = b.pointwise("select", far, b.pointwise("recip", size), size)
    square = b.pointwise("square", near)
    total = b.constant(ATAN[-1], f32)
    for factor in reversed(ATAN[:-1]):
        total = b.pointwise("fma", total, square, b.constant(factor, f32))
    angle = b.pointwise("mul", near, total)
    angle = b.pointwise("select", far, b.pointwise("sub", b.constant(math.pi / 2, f32), angle), angle)
    negative = b.emit(nn.CmpOp(x, b.constant(0.0, f32), predicate="lt"))
    angle = b.pointwise("select", negative, b.pointwise("neg", angle), angle)
    return Value(b.cast(angle, im.elem(node)), value.dims, value.axis)
