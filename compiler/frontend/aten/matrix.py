"""Matrix products and norms."""

from __future__ import annotations

from math import prod
from typing import Any, cast

import numpy as np
import torch
from xdsl.ir import SSAValue

from ....dialects.nn import ops as nn
from ....dialects.nn.types import dims_of
from ..call import Call
from ..importer import Importer
from ..values import ONE, Value
from .composite import convolution
from .pointwise import apply
from .registry import argument, row


def _linear(im: Importer, x: Value, weight: Value, bias: Value | None, dims: Any, elem: Any) -> Value:
    """x · weightᵀ + bias; the bias alone where there is nothing to sum."""
    if x.dims[-1].constant == 0:
        return Value(
            im.b.broadcast(im.b.constant(0, elem) if bias is None else im.b.cast(im.b.full(bias).ssa, elem), dims), dims
        )
    x = im.b.full(x) if x.axis == x.rank - 1 else x
    add = None if bias is None else im.b.full(bias).ssa
    return Value(im.b.emit(nn.LinearOp(x.ssa, im.b.full(weight).ssa, add, elem=elem)), dims, x.axis)


@row("aten.linear.default")
def linear(im: Importer, node: Call) -> Value:
    bias = argument(node, 2, "bias")
    x, weight = im.value(node.args[0]), im.value(node.args[1])
    return _linear(im, x, weight, None if bias is None else im.value(bias), im.shape(node), im.elem(node))


def _right_weight(im: Importer, value: Value) -> Value | None:
    """For x @ value: the weight [N, K] of the linear it is, if the right side is a weight or the transpose of one."""
    if value.rank != 2 or value.axis is not None:
        return None
    source = value.ssa.owner
    if isinstance(source, nn.TransposeOp) and isinstance(source.x.owner, nn.ParamOp):
        return Value(source.x, dims_of(source.x))
    return im.transposed_weight(value)


@row("aten.addmm.default")
def addmm(im: Importer, node: Call) -> Value:
    bias, x, right = (im.value(a) for a in node.args[:3])
    plain = all(node.kwargs.get(k, 1) == 1 for k in ("alpha", "beta"))
    weight = _right_weight(im, right) if plain and bias.rank == 1 else None
    if weight is not None:
        return _linear(im, x, weight, bias, im.shape(node), im.elem(node))
    return baddbmm(im, node)


@row("aten.matmul.default", "aten.mm.default", "aten.bmm.default", "aten.__matmul__.default")
def product(im: Importer, node: Call) -> Value:
    return matmul(im, node, im.value(node.args[0]), im.value(node.args[1]))


@row("aten.baddbmm.default")
def baddbmm(im: Importer, node: Call) -> Value:
    """β · extra + α · a · b; without the first, whatever it holds, where β is 0."""
    extra, a, b = (im.value(v) for v in node.args[:3])
    elem, alpha, beta = im.elem(node), node.kwargs.get("alpha", 1), node.kwargs.get("beta", 1)
    result = matmul(im, node, a, b)
    result = result if alpha == 1 else apply(im, node, "mul", [result, alpha], elem)
    if beta == 0:
        return result
    extra = extra if beta == 1 else apply(im, node, "mul", [extra, beta], elem)
    return apply(im, node, "add", [result, extra], elem)


def matmul(im: Importer, node: Call, a: Value, b: Value) -> Value:
    """torch.matmul: a linear where the right side is a weight, and zeros where there is nothing to sum."""
    dims, elem = im.shape(node), im.elem(node)
    weight = _right_weight(im, b)
    if weight is not None or a.dims[-1].constant == 0:
        return _linear(im, a, weight or b, None, dims, elem)
    if a.rank < 2 or b.rank < 2:
        return _with_vector(im, node, im.b.full(a), im.b.full(b))
    distances = {v.rank - 1 - v.axis for v in (a, b) if v.axis is not None}
    distance = distances.pop() if len(distances) == 1 else None
    if distance is not None and distance >= 2 and all(v.axis is not None or v.rank <= distance for v in (a, b)):
        return Value(im.b.emit(nn.MatmulOp(a.ssa, b.ssa, elem=elem)), dims, len(dims) - 1 - distance)
    ssa = im.b.emit(nn.MatmulOp(im.b.full(a).ssa, im.b.full(b).ssa, elem=elem))
    return im.b.reshaped(Value(ssa, dims), dims)


def _with_vector(im: Importer, node: Call, a: Value, b: Value) -> Value:
    """A product with a vector, which is a row on the left and a column on the right."""
    left = im.b.reshape(a.ssa, [ONE, a.dims[0]]) if a.rank == 1 else a.ssa
    right = im.b.reshape(b.ssa, [b.dims[0], ONE]) if b.rank == 1 else b.ssa
    dims = im.shape(node)
    return Value(im.b.reshape(im.b.emit(nn.MatmulOp(left, right, elem=im.elem(node))), dims), dims)


def _norm_input(im: Importer, node: Call) -> Value:
    """The operand of a norm with the axes of the norm as one."""
    x, over = im.value(node.args[0]), len(node.args[1])
    x = im.b.full(x) if over > 1 or x.axis == x.rank - 1 else x
    return x if over == 1 else im.b.reshaped(x, (*x.dims[:-over], prod(x.dims[-over:], start=ONE)))


def _norm_factor(im: Importer, weight: Any, x: Value) -> SSAValue:
    """The weight of a norm of x: ones where it has none."""
    width = x.dims[-1].constant
    assert width is not None
    if weight is None:
        return im.constant(np.ones(width, np.float32), x.elem).ssa
    return im.b.reshape(im.b.full(im.value(weight)).ssa, [x.dims[-1]])


@row("aten.layer_norm.default")
def layer_norm(im: Importer, node: Call) -> Value:
    x = _norm_input(im, node)
    weight, bias = argument(node, 2, "weight"), argument(node, 3, "bias")
    shift = None if bias is None else im.b.reshape(im.b.full(im.value(bias)).ssa, [x.dims[-1]])
    op = nn.LayerNormOp(x.ssa, _norm_factor(im, weight, x), shift, eps=float(argument(node, 4, "eps", 1e-5)))
    return im.b.reshaped(Value(im.b.emit(op), x.dims, x.axis), im.shape(node))


@row("aten.rms_norm.default")
def rms_norm(im: Importer, node: Call) -> Value:
    x = _norm_input(im, node)
    weight, eps = argument(node, 2, "weight"), argument(node, 3, "eps")
    default = torch.finfo(node.meta["val"].dtype).eps
    op = nn.RmsNormOp(x.ssa, _norm_factor(im, weight, x), eps=float(default if eps is None else eps))
    return im.b.reshaped(Value(im.b.emit(op), x.dims, x.axis), im.shape(node))


@row("llmc.rms_norm.default")
def swapped_rms_norm(im: Importer, node: Call) -> Value:
    x, weight = im.value(node.args[0]), im.value(node.args[1])
    eps, offset = (float(cast(float, a)) for a in node.args[2:4])
    x = im.b.full(x) if x.axis == x.rank - 1 else x
    return Value(im.b.emit(nn.RmsNormOp(x.ssa, im.b.full(weight).ssa, eps=eps, offset=offset)), x.dims, x.axis)


@row("aten.conv1d.default")
def conv1d(im: Importer, node: Call) -> Value:
    x, weight = im.value(node.args[0]), im.value(node.args[1])
    bias = argument(node, 2, "bias")
    stride, padding, dilation = (
        argument(node, i, n, [d]) for i, n, d in ((3, "stride", 1), (4, "padding", 0), (5, "dilation", 1))
    )
    if x.axis != 0 or list(stride) != [1] or list(dilation) != [1]:
        return convolution(im, node)
    groups = int(argument(node, 6, "groups", 1))
    add = None if bias is None else im.b.full(im.value(bias)).ssa
    op = nn.Conv1dOp(x.ssa, im.b.full(weight).ssa, add, padding=int(padding[0]), groups=groups)
    return Value(im.b.emit(op), im.shape(node), 0)
