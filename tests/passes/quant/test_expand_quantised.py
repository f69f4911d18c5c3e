"""expand-quantised keeps a linear's meaning for every scale it takes, and refuses the elements that it can't expand."""

from __future__ import annotations

import numpy as np
import pytest
from llmc.dialects.ir.context import make_context
from llmc.dialects.ir.diagnostics import LlmcError
from llmc.dialects.ir.interpret import Interpreter
from running import SEMANTICS, run_passes
from xdsl.dialects.builtin import ModuleOp
from xdsl.parser import Parser

TEXT = """
func.func @main(%x: tensor<4x8xf32>) -> tensor<4x9xf32> {{
  %w = nn.param @w : tensor<9x8x{elem}>
  %0 = nn.linear %x, %w : (tensor<4x8xf32>, tensor<9x8x{elem}>) -> tensor<4x9xf32>
  func.return %0 : tensor<4x9xf32>
}}
nn.weight @w {{
  %0 = nn.entry "w" : tensor<9x8xf32>
  %1 = quantized.quantize %0 : tensor<9x8xf32> -> tensor<9x8x{elem}>
  nn.yield %1 : tensor<9x8x{elem}>
}}
"""
RNG = np.random.default_rng(0)


def parse(elem: str) -> ModuleOp:
    return Parser(make_context(), TEXT.format(elem=elem)).parse_module()


@pytest.mark.parametrize("scale", ["f32", "f16", "bf16"])
@pytest.mark.parametrize("block", ["1, -1", "-1, -1"])
def test_a_linear_keeps_its_meaning_for_scales_of(scale: str, block: str) -> None:
    module = parse(f"!quantized.elem<i8, scale = {scale}, block = [{block}]>")
    x, w = (RNG.standard_normal(shape).astype(np.float32) for shape in ((4, 8), (9, 8)))
    w[0] = 0  # a row whose scale f16 could not hold
    w[1] = 3e-7
    environment = {"weights": {"w": w}}
    (before,) = Interpreter(module, SEMANTICS, environment=environment).call("main", (x,))
    run_passes(module, "expand-quantised")
    (after,) = Interpreter(module, SEMANTICS, environment=environment).call("main", (x,))
    np.testing.assert_allclose(after, before, rtol=2**-7 if scale != "f32" else 1e-5, atol=0.02 if scale != "f32" else 1e-5)
    assert not after[:, 0].any()
    assert np.abs(after - x @ w.T).max() < 0.1


@pytest.mark.parametrize(
    "elem",
    [
        "!quantized.elem<f8E4M3FN, scale = f32, block = [1, -1]>",
        "!quantized.elem<i4, scale = f32, block = [1, -1]>",
        "!quantized.elem<i8, scale = f64, block = [1, -1]>",
        "!quantized.elem<i8, scale = f32, block = [1, -1], zero = i8>",
    ],
)
def test_elements_that_can_not_be_expanded_are_refused(elem: str) -> None:
    with pytest.raises(LlmcError, match="can't be expanded") as caught:
        run_passes(parse(elem), "expand-quantised", unchecked="nothing to compare")
    assert caught.value.code == "LLMC0442"
