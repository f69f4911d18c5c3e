"""Quantised values as ONE value: the element type says how it is stored and scaled, until phase `quant` splits it.

    tensor<4096x4096x!quantized.elem<i8, scale = f32, block = [1, -1]>>     int8 weights, one scale per row

`block` is how many elements along each axis share a scale (-1: the whole axis), so tensor, channel, token, group and
128x128 are one form. Nothing here chooses a precision; `passes/nn/choose_precision.py` does.
"""

from xdsl.ir import Dialect

from .ops import DequantizeOp, QuantizeOp
from .semantics import SEMANTICS, QuantizedArray
from .types import ElemType

Quantized = Dialect("quantized", [QuantizeOp, DequantizeOp], [ElemType])

__all__ = ["SEMANTICS", "DequantizeOp", "ElemType", "QuantizeOp", "Quantized", "QuantizedArray"]
