"""Attention: our custom ops, scaled_dot_product_attention, and the masks and repeated heads around them."""

from __future__ import annotations

from math import prod
from typing import Any, cast

import torch
from xdsl.dialects import arith, math
from xdsl.dialects.builtin import FloatAttr, f32, i1, i32
from xdsl.ir import Block, Region, SSAValue

from ....dialects.nn import ops as nn
from ....dialects.nn.base import is_float
from ....dialects.nn.types import MaskAttr, dims_of, elem_of
from ..call import Call
from ..importer import Importer
from ..values import ONE, Value
from .registry import argument, row


@row("llmc.rope.default")
def rope(im: Importer, node: Call) -> Value:
    """x [B, H, T, D] by cos, sin [B, T, R]."""
    x, cos, sin = (im.value(a) for a in node.args[:3])
    interleaved = bool(node.args[3])
    if x.axis == 0 and cos.axis == 0 and sin.axis == 0:
        tokens_first = im.b.transpose(x.ssa, (1, 0, 2))
        turned = im.b.emit(nn.RopeOp(tokens_first, cos.ssa, sin.ssa, interleaved=interleaved))
        return Value(im.b.transpose(turned, (1, 0, 2)), x.dims, 0)
    whole = im.b.transpose(im.b.full(x).ssa, (0, 2, 1, 3))
    batch = dims_of(whole)[:2]
    angles = [im.b.broadcast(im.b.full(a).ssa, [*batch, a.dims[-1]]) for a in (cos, sin)]
    turned = im.b.emit(nn.RopeOp(whole, *angles, interleaved=interleaved))
    return Value(im.b.transpose(turned, (0, 2, 1, 3)), x.dims)


@row("llmc.attention.default")
def attention(im: Importer, node: Call) -> Value:
    q, k, v = (im.value(a) for a in node.args[:3])
    mask = cast("torch.fx.Node | None", node.args[3])
    scale, causal, window, softcap = cast("tuple[float, bool, int, float]", node.args[4:8])
    form = MaskAttr.of(bool(causal), int(window) or None)
    return _attend(im, q, k, v, mask, float(scale), form, float(softcap))


@row("aten.scaled_dot_product_attention.default")
def scaled_dot_product_attention(im: Importer, node: Call) -> Value:
    q, k, v = (im.value(a) for a in node.args[:3])
    mask = argument(node, 3, "attn_mask")
    causal, scale = bool(argument(node, 5, "is_causal", False)), argument(node, 6, "scale")
    width = q.dims[-1].constant
    assert width is not None
    if q.rank == 2 or q.rank > 4:
        q, k, v = (_of_rank_4(im, x) for x in (q, k, v))
    elif q.rank == 3:  # [H, T, D] without batch
        q, k, v = (
            Value(x.ssa, (ONE, *x.dims), 0) if x.axis is None else im.b.reshaped(im.b.full(x), (ONE, *x.dims))
            for x in (q, k, v)
        )
    result = _attend(im, q, k, v, mask, float(width**-0.5 if scale is None else scale), MaskAttr.of(causal), 0.0)
    swapped = im.b.permuted(result, (0, 2, 1, 3))
    return im.b.reshaped(swapped, im.shape(node))


def _of_rank_4(im: Importer, x: Value) -> Value:
    """[T, D] with one text and one head, or […, H, T, D] with its leading axes as one."""
    outer = (prod(x.dims[:-3], start=ONE), x.dims[-3]) if x.rank > 2 else (ONE, ONE)
    return im.b.reshaped(im.b.full(x), (*outer, *x.dims[-2:]))


def _softcap(cap: float) -> Region:
    """cap · tanh(score / cap), as the score region of an attention."""
    block = Block(arg_types=[f32, i32, i32, i32])
    limit = arith.ConstantOp(FloatAttr(cap, f32))
    ratio = arith.DivfOp(block.args[0], limit)
    bent = math.TanhOp(ratio)
    scaled = arith.MulfOp(bent, limit)
    block.add_ops([limit, ratio, bent, scaled, nn.YieldOp(scaled)])
    return Region(block)


def _mask_form(im: Importer, node: torch.fx.Node) -> MaskAttr | None:
    """The causal, windowed or empty mask that a constant mask spells out, found by computing it for two lengths."""
    forms: list[MaskAttr | None] = []
    for tokens in (11, 13):
        found = im.concrete(node, tokens)
        if found is None or found.ndim < 2:
            return None
        seen = found if found.dtype == torch.bool else found == 0
        if found.dtype != torch.bool and bool((found[~seen] > -1e4).any()):
            return None
        if seen.numel() != seen.shape[-1] * seen.shape[-2] or seen.shape[-1] != seen.shape[-2]:
            return None
        forms.append(_form_of(seen.reshape(seen.shape[-2:])))
    return forms[0] if forms[0] == forms[1] else None


def _form_of(seen: torch.Tensor) -> MaskAttr | None:
    tokens = len(seen)
    i, j = torch.arange(tokens)[:, None], torch.arange(tokens)[None, :]
    if bool(seen.all()):
        return MaskAttr.of(False)
    for window in (None, *range(1, tokens)):
        near = j > i - (window or tokens)
        if bool((seen == ((j <= i) & near)).all()):
            return MaskAttr.of(True, window)
        if window is not None and bool((seen == ((i - j).abs() < window)).all()):
            return MaskAttr.of(False, window)
    return None


def _unrepeated(k: SSAValue) -> SSAValue:
    """The keys before `repeat_kv`: reshape(broadcast(reshape k)) that copies each head (k is [H, S, D])."""
    outer = k.owner
    if not isinstance(outer, nn.ReshapeOp) or not isinstance(outer.x.owner, nn.BroadcastOp):
        return k
    copies = outer.x.owner
    source, stretched, final = dims_of(copies.x), dims_of(copies.result), dims_of(k)
    good = (
        len(source) == 4
        and len(final) == 3
        and source[1] == ONE
        and source[0] == stretched[0]
        and source[2:] == stretched[2:] == final[1:]
    )
    if not good:
        return k
    before = copies.x.owner
    wanted = (source[0], *source[2:])
    if isinstance(before, nn.ReshapeOp) and dims_of(before.x) == wanted:
        return before.x
    return k


def _attend(
    im: Importer, q: Value, k: Value, v: Value, mask: torch.fx.Node | None, scale: float, form: MaskAttr, softcap: float
) -> Value:
    """q [B, H, T, D], k, v [B, Hk, S, D] → [B, T, H, Dv]."""
    if mask is not None and not form.causal and form.window is None:
        known = _mask_form(im, mask)
        if known is not None:
            mask, form = None, known
    dims = (q.dims[0], q.dims[2], q.dims[1], v.dims[-1])
    batch = q.dims[0].constant
    q, k, v = (im.b.leave_out(x, 0) if x.axis is None and x.dims[0] == ONE else x for x in (q, k, v))
    if all(x.axis == 0 for x in (q, k, v)):
        queries = q.ssa
        keys, values = (_unrepeated(x.ssa) for x in (k, v))
        if dims_of(keys)[0] != dims_of(values)[0]:
            keys, values = k.ssa, v.ssa
    elif batch is not None and all(x.axis is None and x.dims[0] == q.dims[0] for x in (q, k, v)):
        # texts of one length do not see each other, and neither do heads: a batch is more heads
        queries, keys, values = (im.b.reshape(x.ssa, [x.dims[0] * x.dims[1], *x.dims[2:]]) for x in (q, k, v))
    else:
        return _generic(im, q, k, v, mask, scale, form, softcap, dims)
    mask_tensor = None if mask is None else _mask_operand(im, mask, q, k)
    turned = [im.b.transpose(x, (1, 0, 2)) for x in (queries, keys, values)]
    region = _softcap(softcap) if softcap else None
    if region is not None:
        for op in region.block.ops:
            op.location = im.b.location
    op = nn.AttentionOp(*turned, mask_tensor=mask_tensor, scale=scale, mask=form, score=region)
    mixed = im.b.emit(op)
    if q.axis == 0:
        return Value(mixed, dims, 0)
    tokens, _, width = dims_of(mixed)
    apart = im.b.reshape(mixed, [tokens, dims[0], dims[2], width])
    return Value(im.b.transpose(apart, (1, 0, 2, 3)), dims)


def _mask_operand(im: Importer, mask: torch.fx.Node, q: Value, k: Value) -> SSAValue:
    """A mask as [T, S], or [M, T or 1, S] with one mask for each of M groups of heads (or of texts of a batch): i1 (true: seen) or
    float, added to the scores."""
    value, batch, heads = im.value(mask), q.dims[0], q.dims[1]
    if value.rank == 2 and value.dims != (q.dims[2], k.dims[2]):  # padding [B, S]
        padding = im.b.cast(im.b.full(value).ssa, i1)
        if batch == ONE:
            return im.b.broadcast(im.b.reshape(padding, [ONE, k.dims[2]]), [q.dims[2], k.dims[2]])
        return im.b.reshape(padding, [value.dims[0], ONE, k.dims[2]])
    ssa, dims = im.b.full(value).ssa, list(value.dims)
    while len(dims) > 2 and dims[0] == ONE:
        dims = dims[1:]
    ssa = im.b.reshape(ssa, dims)
    if len(dims) == 2:
        return im.b.broadcast(ssa, [q.dims[2], k.dims[2]])
    if len(dims) == 4 and dims[1] == ONE:  # one for each text
        return im.b.reshape(ssa, [dims[0], *dims[2:]])
    if batch != ONE:
        ssa = im.b.reshape(im.b.broadcast(ssa, [batch, heads, *dims[-2:]]), [batch * heads, *dims[-2:]])
        dims = [batch * heads, *dims[-2:]]
    return im.b.broadcast(ssa, [dims[0], q.dims[2], k.dims[2]])


def _generic(
    im: Importer,
    q: Value,
    k: Value,
    v: Value,
    mask: torch.fx.Node | None,
    scale: float,
    form: MaskAttr,
    softcap: float,
    dims: Any,
) -> Value:
    """Attention with a batch dimension, from products and softmax."""
    elem = q.elem
    a, b, c = (im.b.full(x).ssa for x in (q, k, v))
    batch, heads, tokens, _ = dims_of(a)
    key_heads, keys = dims_of(b)[1:3]
    group = heads.divide(key_heads)
    if group is not None and group != ONE:
        repeated: list[SSAValue] = []
        for x in (b, c):
            width = dims_of(x)[-1]
            split = im.b.reshape(x, [batch, key_heads, ONE, keys, width])
            repeated.append(
                im.b.reshape(im.b.broadcast(split, [batch, key_heads, group, keys, width]), [batch, heads, keys, width])
            )
        b, c = repeated
    scores = im.b.emit(nn.MatmulOp(a, im.b.transpose(b, (0, 1, 3, 2)), elem=f32))
    scores = im.b.pointwise("mul", scores, im.b.constant(scale, f32))
    if softcap:
        ratio = im.b.pointwise("mul", scores, im.b.constant(1 / softcap, f32))
        scores = im.b.pointwise("mul", im.b.pointwise("tanh", ratio), im.b.constant(softcap, f32))
    low = im.b.constant(float("-inf"), f32)
    i, j = im.b.reshape(im.b.iota([tokens], 0), [tokens, ONE]), im.b.iota([keys], 0)
    if form.causal:
        scores = im.b.pointwise("select", im.b.emit(nn.CmpOp(j, i, predicate="le")), scores, low)
    if form.window is not None:
        distance = im.b.pointwise("abs", im.b.pointwise("sub", i, j))
        near = im.b.emit(nn.CmpOp(distance, im.b.constant(form.window, i32), predicate="lt"))
        scores = im.b.pointwise("select", near, scores, low)
    if mask is not None:
        value = im.b.full(im.value(mask))
        extra = value.ssa
        if value.rank == 2 and value.dims != (tokens, keys):
            extra = im.b.reshape(im.b.cast(extra, i1), [value.dims[0], ONE, ONE, keys])
        if is_float(elem_of(extra)):
            scores = im.b.pointwise("add", scores, im.b.cast(extra, f32))
        else:
            scores = im.b.pointwise("select", extra, scores, low)
    weights = im.b.emit(nn.SoftmaxOp(scores, -1, elem=elem))
    mixed = im.b.emit(nn.MatmulOp(weights, c, elem=elem))
    return Value(im.b.transpose(mixed, (0, 2, 1, 3)), dims)
