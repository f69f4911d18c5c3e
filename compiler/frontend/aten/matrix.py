"""Matrix products and norms."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch

from ....dialects.ir.diagnostics import LlmcError
from ....dialects.nn import ops as nn
from ....dialects.nn.types import dims_of
from ..values import Value
from .composite import convolution
from .pointwise import apply
from .registry import argument, row

if TYPE_CHECKING:
    from ..importer import Importer


def _linear(im: Importer, x: Value, weight: Value, bias: Value | None, dims: Any, elem: Any) -> Value:
    """x · weightᵀ + bias."""
    x = im.b.full(x) if x.axis == x.rank - 1 else x
    add = None if bias is None else im.b.full(bias).ssa
    return Value(im.b.emit(nn.LinearOp(x.ssa, im.b.full(weight).ssa, add, elem=elem)), dims, x.axis)


@row("aten.linear.default")
def linear(im: Importer, node: torch.fx.Node) -> Value:
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
def addmm(im: Importer, node: torch.fx.Node) -> Value:
    if any(node.kwargs.get(k, 1) != 1 for k in ("alpha", "beta")):
        raise LlmcError(
            "LLMC0338",
            "addmm with alpha or beta is not supported",
            where=im.location(node),
            fix="multiply by them in the model",
        )
    bias, x, right = (im.value(a) for a in node.args[:3])
    weight = _right_weight(im, right)
    if weight is not None and bias.rank == 1:
        return _linear(im, x, weight, bias, im.shape(node), im.elem(node))
    product = matmul(im, node, x, right)
    return apply(im, node, "add", [product, bias], im.elem(node))


@row("aten.matmul.default", "aten.mm.default", "aten.bmm.default", "aten.__matmul__.default")
def product(im: Importer, node: torch.fx.Node) -> Value:
    return matmul(im, node, im.value(node.args[0]), im.value(node.args[1]))


@row("aten.baddbmm.default")
def baddbmm(im: Importer, node: torch.fx.Node) -> Value:
    extra, a, b = (im.value(v) for v in node.args[:3])
    elem = im.elem(node)
    result = matmul(im, node, a, b)
    if node.kwargs.get("alpha", 1) != 1:
        result = apply(im, node, "mul", [result, node.kwargs["alpha"]], elem)
    beta = node.kwargs.get("beta", 1)
    return result if beta == 0 else apply(im, node, "add", [result, extra], elem)


def matmul(im: Importer, node: torch.fx.Node, a: Value, b: Value) -> Value:
    """torch.matmul: a linear where the right side is a weight."""
    dims, elem = im.shape(node), im.elem(node)
    weight = _right_weight(im, b)
    if weight is not None and a.rank >= 1:
        return _linear(im, a, weight, None, dims, elem)
    if a.rank < 2 or b.rank < 2:
        raise LlmcError(
            "LLMC0338", "a product with a vector is not supported", where=im.location(node), fix="unsqueeze the vector"
        )
    distances = {v.rank - 1 - v.axis for v in (a, b) if v.axis is not None}
    distance = distances.pop() if len(distances) == 1 else None
    if distance is not None and distance >= 2 and all(v.axis is not None or v.rank <= distance for v in (a, b)):
        return Value(im.b.emit(nn.MatmulOp(a.ssa, b.ssa, elem=elem)), dims, len(dims) - 1 - distance)
    ssa = im.b.emit(nn.MatmulOp(im.b.full(a).ssa, im.b.full(b).ssa, elem=elem))
    return im.b.reshaped(Value(ssa, dims), dims)


def _norm_input(im: Importer, node: torch.fx.Node) -> Value:
    shape = cast("list[Any]", node.args[1])
    if len(shape) != 1:
        raise LlmcError(
            "LLMC0338",
            "a norm over several axes is not supported",
            where=im.location(node),
            fix="take the norm of a reshaped tensor, over one axis",
        )
    x = im.value(node.args[0])
    return im.b.full(x) if x.axis == x.rank - 1 else x


def _ones(im: Importer, x: Value) -> Any:
    width = x.dims[-1].constant
    assert width is not None
    return im.constant(np.ones(width, np.float32), x.elem).ssa


@row("aten.layer_norm.default")
def layer_norm(im: Importer, node: torch.fx.Node) -> Value:
    x = _norm_input(im, node)
    weight, bias = argument(node, 2, "weight"), argument(node, 3, "bias")
    scale = _ones(im, x) if weight is None else im.b.full(im.value(weight)).ssa
    shift = None if bias is None else im.b.full(im.value(bias)).ssa
    eps = float(argument(node, 4, "eps", 1e-5))
    return Value(im.b.emit(nn.LayerNormOp(x.ssa, scale, shift, eps=eps)), x.dims, x.axis)


@row("aten.rms_norm.default")
def rms_norm(im: Importer, node: torch.fx.Node) -> Value:
    x = _norm_input(im, node)
    weight, eps = argument(node, 2, "weight"), argument(node, 3, "eps")
    scale = _ones(im, x) if weight is None else im.b.full(im.value(weight)).ssa
    default = torch.finfo(node.meta["val"].dtype).eps
    return Value(im.b.emit(nn.RmsNormOp(x.ssa, scale, eps=float(default if eps is None else eps))), x.dims, x.axis)


@row("llmc.rms_norm.default")
def swapped_rms_norm(im: Importer, node: torch.fx.Node) -> Value:
    x, weight = im.value(node.args[0]), im.value(node.args[1])
    eps, offset = (float(cast(float, a)) for a in node.args[2:4])
    x = im.b.full(x) if x.axis == x.rank - 1 else x
    return Value(im.b.emit(nn.RmsNormOp(x.ssa, im.b.full(weight).ssa, eps=eps, offset=offset)), x.dims, x.axis)


@row("aten.conv1d.default")
def conv1d(im: Importer, node: torch.fx.Node) -> Value:
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
