"""Decoders in `nn`, as the front end would give them, built without torch: for tests of passes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from llmc.dialects.ir.locations import named
from llmc.dialects.nn import ops as nn
from llmc.dialects.nn.types import MaskAttr, tensor
from xdsl.dialects.builtin import ModuleOp, bf16, f32, i32
from xdsl.dialects.func import FuncOp, ReturnOp
from xdsl.ir import Attribute, Block, Operation, Region, SSAValue


@dataclass(frozen=True)
class Shape:
    layers: int = 2
    hidden: int = 64
    heads: int = 4
    kv_heads: int = 2
    head: int = 16
    inner: int = 96
    vocab: int = 128
    qk_norm: bool = False
    bias: bool = False
    gelu: bool = False
    elem: Attribute = bf16


class _Builder:
    def __init__(self, shape: Shape) -> None:
        self.shape = shape
        self.weights: list[Operation] = []
        self.block = Block(arg_types=[tensor(i32, ["T"]), tensor(i32, ["T"])])
        self.ids, self.positions = self.block.args
        self.ids.name_hint, self.positions.name_hint = "input_ids", "position_ids"
        self.path = "model"

    def put(self, op: Operation) -> SSAValue:
        op.location = named(self.path, "modeling_tiny.py", 7)
        self.block.add_op(op)
        return op.results[0]

    def param(self, name: str, *dims: int) -> SSAValue:
        kind = tensor(self.shape.elem, dims)
        self.weights.append(nn.WeightOp.entry(name, kind, name, location=named(name)))
        return self.put(nn.ParamOp(name, kind))

    def linear(self, x: SSAValue, name: str, n: int, bias: bool = False) -> SSAValue:
        outer, self.path = self.path, name
        k = x.type.get_shape()[-1]  # pyright: ignore
        y = self.put(nn.LinearOp(x, self.param(name + ".weight", n, k), self.param(name + ".bias", n) if bias else None))
        self.path = outer
        return y

    def norm(self, x: SSAValue, name: str) -> SSAValue:
        outer, self.path = self.path, name
        y = self.put(nn.RmsNormOp(x, self.param(name + ".weight", x.type.get_shape()[-1]), eps=1e-5))  # pyright: ignore
        self.path = outer
        return y


def decoder(shape: Shape = Shape()) -> ModuleOp:
    """A Llama-like decoder before `introduce-state`: @main(ids [T], positions [T]) → logits [T, V]."""
    b, s = _Builder(shape), shape
    x = b.put(nn.EmbeddingOp(b.ids, b.param("model.embed_tokens.weight", s.vocab, s.hidden)))
    b.path = "model.rotary_emb"
    inverse = b.put(nn.ConstantOp.of(1.0 / 10000 ** (np.arange(0, s.head, 2) / s.head), tensor(f32, [1, s.head // 2])))
    angle = b.put(nn.MulOp(b.put(nn.ReshapeOp(b.put(nn.CastOp(b.positions, elem=f32)), ["T", 1])), inverse))
    twice = b.put(nn.ConcatOp([angle, angle], 1))
    cos, sin = (b.put(nn.CastOp(b.put(op(twice)), elem=s.elem)) for op in (nn.CosOp, nn.SinOp))
    for i in range(s.layers):
        p = b.path = f"model.layers.{i}"
        h = b.norm(x, f"{p}.input_layernorm")
        q = b.put(nn.ReshapeOp(b.linear(h, f"{p}.self_attn.q_proj", s.heads * s.head, s.bias), ["T", s.heads, s.head]))
        k = b.put(nn.ReshapeOp(b.linear(h, f"{p}.self_attn.k_proj", s.kv_heads * s.head, s.bias), ["T", s.kv_heads, s.head]))
        v = b.put(nn.ReshapeOp(b.linear(h, f"{p}.self_attn.v_proj", s.kv_heads * s.head, s.bias), ["T", s.kv_heads, s.head]))
        if s.qk_norm:
            q, k = b.norm(q, f"{p}.self_attn.q_norm"), b.norm(k, f"{p}.self_attn.k_norm")
        b.path = f"{p}.self_attn"
        q, k = b.put(nn.RopeOp(q, cos, sin)), b.put(nn.RopeOp(k, cos, sin))
        o = b.put(nn.AttentionOp(q, k, v, scale=s.head**-0.5, mask=MaskAttr.of()))
        o = b.put(nn.ReshapeOp(o, ["T", s.heads * s.head]))
        x = b.put(nn.AddOp(x, b.linear(o, f"{p}.self_attn.o_proj", s.hidden)))
        h = b.norm(x, f"{p}.post_attention_layernorm")
        b.path = f"{p}.mlp"
        act = nn.GeluTanhOp if s.gelu else nn.SiluOp
        g = b.put(act(b.linear(h, f"{p}.mlp.gate_proj", s.inner)))
        u = b.put(nn.MulOp(g, b.linear(h, f"{p}.mlp.up_proj", s.inner)))
        x = b.put(nn.AddOp(x, b.linear(u, f"{p}.mlp.down_proj", s.hidden)))
    b.path = "model"
    logits = b.linear(b.norm(x, "model.norm"), "lm_head", s.vocab)
    b.block.add_op(ReturnOp(logits))
    main = FuncOp("main", ([a.type for a in b.block.args], [logits.type]), Region(b.block))
    module = ModuleOp([*b.weights, main])
    module.verify()
    return module


def weights(module: ModuleOp, seed: int = 0) -> dict[str, np.ndarray]:
    """Random values for every checkpoint entry a module names, in f32."""
    generator = np.random.default_rng(seed)
    found: dict[str, np.ndarray] = {}
    for op in module.walk():
        if isinstance(op, nn.EntryOp) and op.entry.data not in found:
            dims = op.result.type.get_shape()
            scale = 1.0 if len(dims) == 1 else dims[-1] ** -0.5
            found[op.entry.data] = (generator.standard_normal(dims) * scale).astype(np.float32)
    return found
