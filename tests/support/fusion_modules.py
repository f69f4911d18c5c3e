"""Small decoders as the fusion passes would leave them, as text: for tests of what comes after."""

from __future__ import annotations

from typing import Any

import ml_dtypes
import numpy as np

VOCAB, HIDDEN, HEADS, KV_HEADS, HEAD = 128, 64, 4, 2, 16
_T, _T2, _T3 = '#nn.dims<["T"]>', '#nn.dims<["T", "_"]>', '#nn.dims<["T", "_", "_"]>'


def _function(name: str, rows: str, sequences: str, ranges: str, select: bool) -> str:
    batch = f'!nn.batch<"T", "{sequences}">'
    hidden = f"tensor<?x64xbf16, {_T2}>"
    logits = f'tensor<?x128xf32, #nn.dims<["{rows}", "_"]>>'
    last = f'tensor<?x64xbf16, #nn.dims<["{rows}", "_"]>>'
    state = "!nn.state<token, tensor<2x2x16xbf16>>"
    pick = f"%s = fusion.launch @last(%y, %b) : ({hidden}, {batch}) -> {last}" if select else ""
    return f"""
func.func @{name}(%ids: tensor<?xi32, {_T}>, %b: {batch}, %kv: {state}) -> ({logits}, {state}) attributes {{nn.ranges = {ranges}}} {{
  %table = nn.param @embed : tensor<128x64xbf16>
  %gain = nn.param @norm : tensor<64xbf16>
  %qkv = nn.param @qkv : tensor<128x64xbf16>
  %out = nn.param @out : tensor<64x64xbf16>
  %x = fusion.launch @embed_k(%ids, %table) : (tensor<?xi32, {_T}>, tensor<128x64xbf16>) -> {hidden}
  %q, %kv1 = fusion.launch @qkv_{name}(%x, %gain, %qkv, %kv, %b) : ({hidden}, tensor<64xbf16>, tensor<128x64xbf16>, {state}, {batch}) -> (tensor<?x4x16xbf16, {_T3}>, {state})
  %o = fusion.launch @attend_{name}(%q, %kv1, %b) : (tensor<?x4x16xbf16, {_T3}>, {state}, {batch}) -> tensor<?x4x16xbf16, {_T3}>
  %o2 = nn.reshape %o : (tensor<?x4x16xbf16, {_T3}>) -> {hidden}
  %y = fusion.launch @out_k(%o2, %out, %x) : ({hidden}, tensor<64x64xbf16>, {hidden}) -> {hidden}
  {pick}
  %l = fusion.launch @head_{name}({"%s" if select else "%y"}, %table) : ({last}, tensor<128x64xbf16>) -> {logits}
  func.return %l, %kv1 : {logits}, {state}
}}
fusion.kernel @qkv_{name}(%x: {hidden}, %gain: tensor<64xbf16>, %w: tensor<128x64xbf16>, %kv: {state}, %b: {batch}) -> (tensor<?x4x16xbf16, {_T3}>, {state}) attributes {{family = "linear"}} {{
  %h = nn.rms_norm %x, %gain {{eps = 1.0e-05 : f64, offset = 0.0 : f64}} : ({hidden}, tensor<64xbf16>) -> {hidden}
  %y = nn.linear %h, %w {{acc = f32}} : ({hidden}, tensor<128x64xbf16>) -> tensor<?x128xbf16, {_T2}>
  %q = nn.slice %y {{axis = 1 : i64, start = "0", stop = "64", step = 1 : i64}} : (tensor<?x128xbf16, {_T2}>) -> {hidden}
  %k = nn.slice %y {{axis = 1 : i64, start = "64", stop = "96", step = 1 : i64}} : (tensor<?x128xbf16, {_T2}>) -> tensor<?x32xbf16, {_T2}>
  %v = nn.slice %y {{axis = 1 : i64, start = "96", stop = "128", step = 1 : i64}} : (tensor<?x128xbf16, {_T2}>) -> tensor<?x32xbf16, {_T2}>
  %q3 = nn.reshape %q : ({hidden}) -> tensor<?x4x16xbf16, {_T3}>
  %k3 = nn.reshape %k : (tensor<?x32xbf16, {_T2}>) -> tensor<?x2x16xbf16, {_T3}>
  %v3 = nn.reshape %v : (tensor<?x32xbf16, {_T2}>) -> tensor<?x2x16xbf16, {_T3}>
  %kv1 = nn.append %kv, %k3, %v3, %b : ({state}, tensor<?x2x16xbf16, {_T3}>, tensor<?x2x16xbf16, {_T3}>, {batch}) -> {state}
  fusion.return %q3, %kv1 : tensor<?x4x16xbf16, {_T3}>, {state}
}}
fusion.kernel @attend_{name}(%q: tensor<?x4x16xbf16, {_T3}>, %kv: {state}, %b: {batch}) -> tensor<?x4x16xbf16, {_T3}> attributes {{family = "attention"}} {{
  %o = nn.attention %q state(%kv) batch(%b) {{scale = 0.25 : f64, mask = #nn.mask<causal = true>}} : (tensor<?x4x16xbf16, {_T3}>, {state}, {batch}) -> tensor<?x4x16xbf16, {_T3}>
  fusion.return %o : tensor<?x4x16xbf16, {_T3}>
}}
fusion.kernel @head_{name}(%x: {last}, %w: tensor<128x64xbf16>) -> {logits} attributes {{family = "linear"}} {{
  %l = nn.linear %x, %w {{acc = f32}} : ({last}, tensor<128x64xbf16>) -> {logits}
  fusion.return %l : {logits}
}}
"""


def tiny_decoder() -> str:
    """One layer: embedding, norm and q, k, v in one kernel, attention on the state, output and residual, tied head."""
    hidden = f"tensor<?x64xbf16, {_T2}>"
    weights = f"""
nn.weight @embed {{ %0 = nn.entry "embed" : tensor<128x64xbf16>  nn.yield %0 : tensor<128x64xbf16> }}
nn.weight @norm {{ %0 = nn.entry "norm" : tensor<64xbf16>  nn.yield %0 : tensor<64xbf16> }}
nn.weight @qkv {{
  %q = nn.entry "q" : tensor<64x64xbf16>
  %k = nn.entry "k" : tensor<32x64xbf16>
  %v = nn.entry "v" : tensor<32x64xbf16>
  %0 = nn.concat %q, %k, %v {{axis = 0 : i64}} : (tensor<64x64xbf16>, tensor<32x64xbf16>, tensor<32x64xbf16>) -> tensor<128x64xbf16>
  nn.yield %0 : tensor<128x64xbf16>
}}
nn.weight @out {{ %0 = nn.entry "o" : tensor<64x64xbf16>  nn.yield %0 : tensor<64x64xbf16> }}
fusion.kernel @embed_k(%ids: tensor<?xi32, {_T}>, %table: tensor<128x64xbf16>) -> {hidden} attributes {{family = "gather"}} {{
  %x = nn.embedding %ids, %table : (tensor<?xi32, {_T}>, tensor<128x64xbf16>) -> {hidden}
  fusion.return %x : {hidden}
}}
fusion.kernel @out_k(%x: {hidden}, %w: tensor<64x64xbf16>, %r: {hidden}) -> {hidden} attributes {{family = "linear"}} {{
  %0 = nn.linear %x, %w {{acc = f32}} : ({hidden}, tensor<64x64xbf16>) -> {hidden}
  %1 = nn.add %0, %r : ({hidden}, {hidden}) -> {hidden}
  fusion.return %1 : {hidden}
}}
fusion.kernel @last(%x: {hidden}, %b: !nn.batch<"T", "B">) -> tensor<?x64xbf16, #nn.dims<["B", "_"]>> attributes {{family = "select"}} {{
  %0 = nn.select_token %x, %b {{which = "last"}} : ({hidden}, !nn.batch<"T", "B">) -> tensor<?x64xbf16, #nn.dims<["B", "_"]>>
  fusion.return %0 : tensor<?x64xbf16, #nn.dims<["B", "_"]>>
}}
"""
    prefill = _function("prefill", "B", "B", "{B = [1, 64], T = [1, 8192]}", True)
    decode = _function("decode", "T", "T", "{T = [1, 64]}", False)
    return weights + prefill + decode


def tiny_checkpoint(seed: int = 0) -> dict[str, np.ndarray[Any, Any]]:
    """Random weights for `tiny_decoder`."""
    generator = np.random.default_rng(seed)
    shapes = {"embed": (128, 64), "norm": (64,), "q": (64, 64), "k": (32, 64), "v": (32, 64), "o": (64, 64)}
    return {
        n: (generator.standard_normal(s) * (1.0 if n in ("embed", "norm") else 0.3)).astype(ml_dtypes.bfloat16)
        for n, s in shapes.items()
    }


def expected_logits(ids: list[int], weights: dict[str, np.ndarray[Any, Any]]) -> np.ndarray[Any, Any]:
    """Logits [T, V] of `tiny_decoder` in float64."""
    w = {n: a.astype(np.float64) for n, a in weights.items()}
    x = w["embed"][ids]
    h = x / np.sqrt((x * x).mean(axis=1, keepdims=True) + 1e-5) * w["norm"]
    q, k, v = ((h @ w[n].T).reshape(len(ids), -1, HEAD) for n in "qkv")
    out = np.zeros_like(q)
    for t in range(len(ids)):
        for head in range(HEADS):
            other = head // (HEADS // KV_HEADS)
            score = k[: t + 1, other] @ q[t, head] * 0.25
            p = np.exp(score - score.max())
            out[t, head] = (p / p.sum()) @ v[: t + 1, other]
    y = out.reshape(len(ids), -1) @ w["o"].T + x
    return y @ w["embed"].T
