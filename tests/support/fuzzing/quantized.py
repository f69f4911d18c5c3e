"""Generators of `quantized`."""

from __future__ import annotations

from llmc.dialects.nn.types import tensor
from llmc.dialects.quantized.ops import DequantizeOp, QuantizeOp
from llmc.dialects.quantized.types import ElemType
from xdsl.dialects.builtin import Float8E4M3FNType, Float8E5M2Type, IntegerType, bf16, f16, f32, i8
from xdsl.ir import Attribute

from .scope import Scope, generates


def quantised(b: Scope) -> tuple[list[int | str], ElemType]:
    """Sizes, and an element type whose blocks divide them."""
    dims: list[int | str] = []
    blocks: list[int] = []
    for _ in range(b.number(0, 3)):
        dim, block = b.pick(("T", 1), ("T", -1), (8, 1), (8, -1), (8, 4), (128, 64), (1, 1))
        dims.append(dim)
        blocks.append(block)
    storage: Attribute = b.pick(i8, IntegerType(4), Float8E4M3FNType(), Float8E5M2Type())
    zero: Attribute | None = storage if isinstance(storage, IntegerType) and b.flag() else None
    scale: Attribute = b.pick(f32, f16, bf16)
    return dims, ElemType.of(storage, scale, blocks, zero)


@generates(QuantizeOp)
def quantize(b: Scope) -> None:
    dims, elem = quantised(b)
    b.put(QuantizeOp(b.tensor(b.pick(bf16, f32), dims), elem))


@generates(DequantizeOp)
def dequantize(b: Scope) -> None:
    dims, elem = quantised(b)
    b.put(DequantizeOp(b.value(tensor(elem, dims)), b.pick(bf16, f32)))
