"""Standalone `layout.kernel`s of given shapes, for tests and timing: one linear or attention with its surroundings.

case = linear_case(T=8, N=6144, K=4096, epilogue="qkv", norm=True, heads=(32, 8, 128))
case.kernel                      layout.kernel; case.inputs(sizes, rng) gives numpy arrays of every buffer argument
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np
from llmc.dialects.ir.locations import named
from llmc.dialects.layout.ops import BatchOp, KernelOp, ReadOp, ReturnOp, StateOp, WriteOp, WriteStateOp
from llmc.dialects.layout.types import BufferType, ScheduleAttr
from llmc.dialects.nn import ops as nn
from llmc.dialects.nn.types import BatchType, MaskAttr, StateType, dims_of, tensor
from ml_dtypes import bfloat16
from xdsl.builder import Builder
from xdsl.dialects import arith, math
from xdsl.dialects.builtin import AffineMapAttr, FloatAttr, ModuleOp, bf16, f32, i1, i8, i32
from xdsl.dialects.linalg.attrs import IteratorTypeAttr
from xdsl.dialects.linalg.ops import GenericOp
from xdsl.dialects.linalg.ops import YieldOp as LinalgYieldOp
from xdsl.ir import Attribute, Block, Region, SSAValue
from xdsl.ir.affine import AffineMap
from xdsl.rewriter import InsertPoint

PAGE = 64


@dataclass
class Case:
    """A kernel, the names of its buffers, and how to fill them."""

    kernel: KernelOp
    names: list[str]
    sizes: dict[str, int]
    fill: dict[str, np.ndarray] = field(default_factory=dict[str, np.ndarray])

    @property
    def module(self) -> ModuleOp:
        """The kernel alone in a module."""
        if self.kernel.parent is None:
            ModuleOp([self.kernel])
        module = self.kernel.parent_op()
        assert isinstance(module, ModuleOp)
        return module

    def arrays(self, seed: int = 0) -> dict[str, np.ndarray]:
        """A logical numpy array for every buffer argument; outputs are zero."""
        rng = np.random.default_rng(seed)
        arrays: dict[str, np.ndarray] = {}
        for name, argument, effect in zip(self.names, self.kernel.buffers, self.kernel.arg_effects.data, strict=False):
            type_ = argument.type
            assert isinstance(type_, BufferType)
            shape = type_.extents(self.sizes)
            if name in self.fill:
                arrays[name] = self.fill[name]
            elif effect.data == "w":
                arrays[name] = np.zeros(shape, _dtype(type_.element_type))
            elif type_.element_type == i1:
                arrays[name] = rng.random(shape) > 0.3
            elif type_.element_type == i8:
                arrays[name] = rng.integers(-127, 128, shape).astype(np.int8)
            else:
                scale = shape[-1] ** -0.5 if name == "w" else 1.0
                arrays[name] = (rng.standard_normal(shape) * scale).astype(_dtype(type_.element_type))
        return arrays


def _dtype(elem: Attribute) -> Any:
    return {bf16: bfloat16, f32: np.float32, i32: np.int32, i8: np.int8, i1: np.bool_}[elem]  # pyright: ignore


class _Maker:
    """Collects the arguments, then writes the body."""

    def __init__(self, name: str, family: str, sizes: dict[str, int]):
        self.name, self.family, self.sizes = name, family, sizes
        self.arguments: list[tuple[str, BufferType, str]] = []

    def buffer(self, name: str, dims: list[int | str], elem: Attribute, effect: str = "r") -> str:
        self.arguments.append((name, BufferType.of(dims, elem), effect))
        return name

    def begin(self, location: str) -> None:
        self.location = named(location)
        self.kernel = KernelOp(
            self.name,
            self.family,
            [t for _, t, _ in self.arguments],
            [e for _, _, e in self.arguments],
            sorted(self.sizes),
            names=[n for n, _, _ in self.arguments],
            location=self.location,
        )
        self.builder = Builder(InsertPoint.at_end(self.kernel.block))

    def add(self, op: Any) -> Any:
        op.location = self.location
        self.builder.insert(op)
        return op.results[0] if op.results else op

    def argument(self, name: str) -> SSAValue:
        index = [n for n, _, _ in self.arguments].index(name)
        return self.kernel.block.args[index]

    def read(self, name: str) -> SSAValue:
        return self.add(ReadOp(self.argument(name)))

    def write(self, value: SSAValue, name: str) -> None:
        self.add(WriteOp(value, self.argument(name)))

    def batch(self, parts: list[str]) -> SSAValue:
        return self.add(BatchOp({p: self.argument(p) for p in parts}, BatchType.of("T", "B")))

    def generic(self, inputs: list[SSAValue], maps: list[AffineMap], elem: Attribute, body: Any) -> SSAValue:
        """A pointwise generic shaped like its first input; `body(add, *scalars)` computes in f32 and is rounded to `elem`."""
        first = dims_of(inputs[0])
        out = self.add(nn.EmptyOp(tensor(elem, first)))
        block = Block(arg_types=[*(i.type.element_type for i in inputs), elem])  # pyright: ignore

        def add(op: Any) -> SSAValue:
            op.location = self.location
            block.add_op(op)
            return op.results[0]

        scalars = [add(arith.ExtFOp(a, f32)) if a.type == bf16 else a for a in block.args[: len(inputs)]]
        result = body(add, *scalars)
        if elem != f32:
            result = add(arith.TruncFOp(result, elem))
        block.add_op(LinalgYieldOp(result))
        rank = len(first)
        all_maps = [*maps, AffineMap.identity(rank)]
        return self.add(
            GenericOp(
                inputs,
                [out],
                Region(block),
                [AffineMapAttr(m) for m in all_maps],
                [IteratorTypeAttr.parallel()] * rank,
                [out.type],
            )
        )

    def finish(self) -> KernelOp:
        self.add(ReturnOp())
        self.kernel.verify()
        return self.kernel


def _silu_mul(add: Any, g: SSAValue, u: SSAValue) -> SSAValue:
    one = add(arith.ConstantOp(FloatAttr(1.0, f32)))
    e = add(math.ExpOp(add(arith.NegfOp(g))))
    return add(arith.MulfOp(add(arith.DivfOp(g, add(arith.AddfOp(one, e)))), u))


def batch_of(lengths: list[int], new: list[int], page_table_width: int | None = None) -> dict[str, np.ndarray]:
    """Batch buffers for sequences with `lengths[b]` tokens in the cache, `new[b]` of them from this step."""
    width = page_table_width or max(-(-n // PAGE) for n in lengths)
    table = np.zeros((len(lengths), width), np.int32)
    page = 1
    order = np.random.default_rng(7).permutation(sum(-(-n // PAGE) for n in lengths)) + 1
    for b, n in enumerate(lengths):
        for j in range(-(-n // PAGE)):
            table[b, j] = order[page - 1]
            page += 1
    positions = np.concatenate([np.arange(n - m, n) for n, m in zip(lengths, new, strict=True)]).astype(np.int32)
    return {
        "positions": positions,
        "sequence": np.repeat(np.arange(len(lengths)), new).astype(np.int32),
        "query_start": np.concatenate([[0], np.cumsum(new)]).astype(np.int32),
        "kv_len": np.asarray(lengths, np.int32),
        "page_table": table,
    }


def linear_case(
    T: int,
    N: int,
    K: int,
    epilogue: str = "none",
    *,
    norm: bool = False,
    bias: bool = False,
    weight: str = "bf16",
    heads: tuple[int, int, int] | None = None,
    schedule: ScheduleAttr | None = None,
    lengths: list[int] | None = None,
    x_heads: int | None = None,
) -> Case:
    """A linear [T, K] · [N, K]ᵀ with `epilogue` "none", "residual", "silu_mul" (N = gate and up) or "qkv" (rope and append).

    `heads` = (query heads, key heads, head size) for "qkv"; `weight` "bf16" or "int8" (scales per row in the epilogue).
    `x_heads`: x is [T, x_heads, K / x_heads] in memory.
    """
    sizes = {"T": T}
    maker = _Maker(f"linear_{epilogue}", "linear", sizes)
    maker.buffer("x", ["T", K] if x_heads is None else ["T", x_heads, K // x_heads], bf16)
    if norm:
        maker.buffer("gamma", [K], bf16)
    maker.buffer("w", [N, K], i8 if weight == "int8" else bf16)
    if weight == "int8":
        maker.buffer("scale", [N], f32)
    if bias:
        maker.buffer("bias", [N], bf16)
    fill: dict[str, np.ndarray] = {}
    match epilogue:
        case "none":
            maker.buffer("y", ["T", N], bf16, "w")
        case "residual":
            maker.buffer("residual", ["T", N], bf16)
            maker.buffer("y", ["T", N], bf16, "w")
        case "silu_mul":
            maker.buffer("y", ["T", N // 2], bf16, "w")
        case "qkv":
            assert heads is not None
            lengths = lengths or [T]
            new = [T] if len(lengths) == 1 else [1] * len(lengths)
            fill |= batch_of(lengths, new)
            pages = int(fill["page_table"].max()) + 1
            sizes |= {"B": len(lengths), "P": pages}
            for table in ("cos", "sin"):
                maker.buffer(table, ["T", heads[2]], f32)
            angle = fill["positions"][:, None] / 10000 ** (np.arange(0, heads[2], 2) / heads[2])
            fill |= {"cos": np.tile(np.cos(angle), 2).astype(np.float32), "sin": np.tile(np.sin(angle), 2).astype(np.float32)}
            maker.buffer("k_pages", ["P", heads[1], PAGE, heads[2]], bf16, "rw")
            maker.buffer("v_pages", ["P", heads[1], PAGE, heads[2]], bf16, "rw")
            maker.buffer("positions", ["T"], i32)
            maker.buffer("sequence", ["T"], i32)
            maker.buffer("page_table", ["B", fill["page_table"].shape[1]], i32)
            maker.buffer("q", ["T", heads[0], heads[2]], bf16, "w")
        case _:
            raise ValueError(epilogue)
    maker.begin(f"model.layers.0.{epilogue}")
    x = maker.read("x")
    if x_heads is not None:
        x = maker.add(nn.ReshapeOp(x, ["T", K]))
    if norm:
        x = maker.add(nn.RmsNormOp(x, maker.read("gamma"), eps=1e-5))
    w = maker.read("w")
    y = maker.add(nn.LinearOp(x, w, maker.read("bias") if bias else None, elem=f32 if weight == "int8" else None))
    if weight == "int8":
        along_n = AffineMap.from_callable(lambda t, n: (n,))
        y = maker.generic(
            [y, maker.read("scale")], [AffineMap.identity(2), along_n], bf16, lambda add, a, s: add(arith.MulfOp(a, s))
        )
    identity = AffineMap.identity(2)
    match epilogue:
        case "none":
            maker.write(y, "y")
        case "residual":
            total = maker.generic(
                [y, maker.read("residual")], [identity, identity], bf16, lambda add, a, r: add(arith.AddfOp(a, r))
            )
            maker.write(total, "y")
        case "silu_mul":
            gate = maker.add(nn.SliceOp(y, axis=1, start=0, stop=N // 2))
            up = maker.add(nn.SliceOp(y, axis=1, start=N // 2, stop=N))
            maker.write(maker.generic([gate, up], [identity, identity], bf16, _silu_mul), "y")
        case _:
            assert heads is not None
            hq, hk, d = heads
            bounds = [0, hq * d, (hq + hk) * d, (hq + 2 * hk) * d]
            assert bounds[-1] == N
            q, k, v = (
                maker.add(nn.ReshapeOp(maker.add(nn.SliceOp(y, axis=1, start=a, stop=z)), ["T", (z - a) // d, d]))
                for a, z in pairwise(bounds)
            )
            cos, sin = maker.read("cos"), maker.read("sin")
            q, k = maker.add(nn.RopeOp(q, cos, sin)), maker.add(nn.RopeOp(k, cos, sin))
            state_type = StateType.of(hk, d, bf16)
            state = maker.add(StateOp(maker.argument("k_pages"), maker.argument("v_pages"), state_type))
            batch = maker.batch(["positions", "sequence", "page_table"])
            new_state = maker.add(nn.AppendOp(state, k, v, batch))
            maker.write(q, "q")
            maker.add(WriteStateOp(new_state, maker.argument("k_pages"), maker.argument("v_pages")))
    case_sizes = {name: sizes[name] for name in sorted(sizes)}
    kernel = maker.finish()
    if schedule is not None:
        kernel.properties["schedule"] = schedule
    return Case(kernel, [n for n, _, _ in maker.arguments], case_sizes, fill)


def attention_case(
    lengths: list[int],
    new: list[int],
    heads: tuple[int, int, int],
    *,
    window: int | None = None,
    stateful: bool = True,
    soft_cap: float | None = None,
    mask: tuple[tuple[int | str, ...], Attribute] | None = None,
) -> Case:
    """Paged causal attention of `new[b]` queries at the end of sequences of `lengths[b]`; or bidirectional without state, with a
    mask tensor of these dims and element."""
    hq, hk, d = heads
    fill = batch_of(lengths, new)
    sizes = {"T": sum(new)}
    maker = _Maker("attention", "attention", sizes)
    tokens: int | str = "T" if mask is None else sum(new)  # inner dimensions of buffers are static, and the mask's are tokens
    maker.buffer("q", [tokens, hq, d], bf16)
    if stateful:
        sizes |= {"B": len(lengths), "P": int(fill["page_table"].max()) + 1}
        for name in ("k_pages", "v_pages"):
            maker.buffer(name, ["P", hk, PAGE, d], bf16)
        maker.buffer("positions", ["T"], i32)
        maker.buffer("sequence", ["T"], i32)
        maker.buffer("query_start", ["B + 1"], i32)
        maker.buffer("kv_len", ["B"], i32)
        maker.buffer("page_table", ["B", fill["page_table"].shape[1]], i32)
    else:
        fill = {}
        maker.buffer("k", [tokens, hk, d], bf16)
        maker.buffer("v", [tokens, hk, d], bf16)
    if mask is not None:
        maker.buffer("mask", [tokens if dim == "T" else dim for dim in mask[0]], mask[1])
    maker.buffer("o", [tokens, hq, d], bf16, "w")
    maker.begin("model.layers.0.self_attn")
    q = maker.read("q")
    score = None
    if soft_cap is not None:
        block = Block(arg_types=[f32, i32, i32, i32])
        cap = arith.ConstantOp(FloatAttr(soft_cap, f32))
        ratio = arith.DivfOp(block.args[0], cap.result)
        bent = math.TanhOp(ratio.result)
        product = arith.MulfOp(bent.result, cap.result)
        block.add_ops([cap, ratio, bent, product, nn.YieldOp(product.result)])
        score = Region(block)
    options: dict[str, Any] = {"scale": d**-0.5, "score": score}
    if stateful:
        state = maker.add(StateOp(maker.argument("k_pages"), maker.argument("v_pages"), StateType.of(hk, d, bf16)))
        batch = maker.batch(list(BatchOp.NAMES))
        o = maker.add(nn.AttentionOp(q, kv=state, batch=batch, mask=MaskAttr.of(True, window), **options))
    else:
        if mask is not None:
            options["mask_tensor"] = maker.read("mask")
        o = maker.add(nn.AttentionOp(q, maker.read("k"), maker.read("v"), mask=MaskAttr.of(False, window), **options))
    maker.write(o, "o")
    return Case(maker.finish(), [n for n, _, _ in maker.arguments], {n: sizes[n] for n in sorted(sizes)}, fill)
