"""Defects of `quantized`."""

from . import planted

BASE = """
func.func @channel(%w: tensor<4x8xf32>) -> tensor<4x8xbf16> {
  %q = quantized.quantize %w : tensor<4x8xf32> -> tensor<4x8x!quantized.elem<i8, scale = f32, block = [1, -1]>>
  %d = quantized.dequantize %q : tensor<4x8x!quantized.elem<i8, scale = f32, block = [1, -1]>> -> tensor<4x8xbf16>
  func.return %d : tensor<4x8xbf16>
}
"""
QUANTISED = "tensor<4x8x!quantized.elem<i8, scale = f32, block = [1, -1]>>"
DEFECTS = [
    *planted(
        BASE,
        ("blocks that do not divide", f"-> {QUANTISED}", "-> tensor<4x8x!quantized.elem<i8, scale = f32, block = [1, 3]>>", "operand is used with type", "LLMC0001"),
        ("an empty block", f"-> {QUANTISED}", "-> tensor<4x8x!quantized.elem<i8, scale = f32, block = [1, 0]>>", "a block holds at least one element", "LLMC0001"),
        ("a quantise that makes a plain tensor", f"-> {QUANTISED}\n", "-> tensor<4x8xi8>\n", "operand is used with type", "LLMC0001"),
        ("sizes that change", "-> tensor<4x8xbf16>\n", "-> tensor<8x4xbf16>\n", "operand is used with type", "LLMC0001"),
        ("a dequantise of a plain tensor", f"quantized.dequantize %q : {QUANTISED}", "quantized.dequantize %w : tensor<4x8xf32>", "expected a tensor of !quantized.elem"),
        ("missing operand", "quantized.dequantize %q :", "quantized.dequantize :", "syntax error", "LLMC0001"),
        ("use before definition", f"quantized.quantize %w : tensor<4x8xf32> -> {QUANTISED}", f"quantized.quantize %q : {QUANTISED} -> {QUANTISED}", "used before", "LLMC0120"),
    ),
    *planted(
        "func.func @f(%w: tensor<4x8xf32>) {\n  %q = quantized.quantize %w : tensor<4x8xf32> -> tensor<4x8x!quantized.elem<i8, scale = f32, block = [1, 4]>>\n  func.return\n}\n",
        ("blocks that cut an axis", "block = [1, 4]", "block = [1, 3]", "blocks of 3 do not divide an axis of 8"),
        ("too few block sizes", "block = [1, 4]", "block = [4]", "1 block sizes for a tensor of 2 dimensions"),
        ("other sizes", "-> tensor<4x8x", "-> tensor<8x8x", "quantising keeps the sizes"),
        ("a quantise into integers", "tensor<4x8x!quantized.elem<i8, scale = f32, block = [1, 4]>>", "tensor<4x8xi8>", "expected a tensor of !quantized.elem"),
        ("a scale that is no float", "scale = f32", "scale = i8", "the scale is a float", "LLMC0001"),
        ("storage that is no number", "elem<i8,", "elem<index,", "the storage is integers or floats", "LLMC0001"),
    ),
]  # fmt: skip
