"""Three torch custom ops that stand for what export would otherwise take apart: `llmc::attention`, `llmc::rope`, `llmc::rms_norm`.

Importing this module registers them, in a namespace of our own. Each has an eager meaning, so that a captured graph also
runs in PyTorch.
"""

from __future__ import annotations

import torch
from torch import Tensor


@torch.library.custom_op("llmc::rms_norm", mutates_args=())
def rms_norm(x: Tensor, weight: Tensor, eps: float, offset: float) -> Tensor:
    """x / √(mean(x²) + eps) · (offset + weight) over the last axis, in float32 inside."""
    wide = x.float()
    scale = torch.rsqrt(wide.pow(2).mean(-1, keepdim=True) + eps)
    return (wide * scale * (weight.float() + offset)).to(x.dtype)


@rms_norm.register_fake
def _(x: Tensor, weight: Tensor, eps: float, offset: float) -> Tensor:
    return torch.empty_like(x)


@torch.library.custom_op("llmc::rope", mutates_args=())
def rope(x: Tensor, cos: Tensor, sin: Tensor, interleaved: bool) -> Tensor:
    """Rotate x [B, H, T, D] by cos, sin [B, T, R]; the channels after R pass through."""
    width = cos.shape[-1]
    turned, rest = x[..., :width], x[..., width:]
    if interleaved:
        swapped = torch.stack((-turned[..., 1::2], turned[..., ::2]), dim=-1).flatten(-2)
    else:
        swapped = torch.cat((-turned[..., width // 2 :], turned[..., : width // 2]), dim=-1)
    return torch.cat((turned * cos.unsqueeze(1) + swapped * sin.unsqueeze(1), rest), dim=-1).to(x.dtype)


@rope.register_fake
def _(x: Tensor, cos: Tensor, sin: Tensor, interleaved: bool) -> Tensor:
    return torch.empty_like(x)


@torch.library.custom_op("llmc::attention", mutates_args=())
def attention(
    q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None, scale: float, causal: bool, window: int, softcap: float
) -> Tensor:
    """q [B, H, T, D], k, v [B, Hk, S, D] → [B, T, H, Dv]. `window` 0 and `softcap` 0 mean none; `mask` is 2-D padding
    [B, S] (true: present) or 4-D as in scaled_dot_product_attention."""
    group = q.shape[1] // k.shape[1]
    keys, values = k.repeat_interleave(group, 1).float(), v.repeat_interleave(group, 1).float()
    scores = q.float() @ keys.transpose(-1, -2) * scale
    if softcap:
        scores = torch.tanh(scores / softcap) * softcap
    i = torch.arange(q.shape[2], device=q.device)[:, None]
    j = torch.arange(k.shape[2], device=q.device)[None, :]
    seen = torch.ones_like(i * j, dtype=torch.bool)
    if causal:
        seen = j <= i
    if window:
        seen = seen & ((j > i - window) if causal else ((i - j).abs() < window))
    scores = scores.masked_fill(~seen, float("-inf"))
    if mask is not None:
        mask = mask[:, None, None, :].bool() if mask.ndim == 2 else mask
        scores = scores.masked_fill(~mask, float("-inf")) if mask.dtype == torch.bool else scores + mask
    return (torch.softmax(scores, -1) @ values).transpose(1, 2).contiguous().to(q.dtype)


@attention.register_fake
def _(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None, scale: float, causal: bool, window: int, softcap: float) -> Tensor:
    return q.new_empty((q.shape[0], q.shape[2], q.shape[1], v.shape[3]))
