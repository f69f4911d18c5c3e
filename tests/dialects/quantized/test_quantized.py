"""quantized: the type's text round trips, rounding errs by half a step at most, verifiers refuse."""

from io import StringIO

import numpy as np
import pytest
from llmc.dialects.ir.context import make_context
from llmc.dialects.ir.interpret import Interpreter
from llmc.dialects.quantized import SEMANTICS
from xdsl.parser import Parser
from xdsl.printer import Printer
from xdsl.utils.exceptions import VerifyException

TEXT = """
func.func @main(%w: tensor<4x8xf32>) -> tensor<4x8xf32> {{
  %q = quantized.quantize %w : tensor<4x8xf32> -> tensor<4x8x!quantized.elem<i8, scale = f32, block = [{0}]>>
  %d = quantized.dequantize %q : tensor<4x8x!quantized.elem<i8, scale = f32, block = [{0}]>> -> tensor<4x8xf32>
  func.return %d : tensor<4x8xf32>
}}
"""


def _parse(block: str):
    module = Parser(make_context(), TEXT.format(block)).parse_module()
    module.verify()
    return module


def test_text_round_trips() -> None:
    module = _parse("1, -1")
    stream = StringIO()
    Printer(stream).print_op(module)
    again = Parser(make_context(), stream.getvalue()).parse_module()
    assert str(again) == str(module)
    assert "block = [1, -1]" in stream.getvalue()


@pytest.mark.parametrize(("block", "shape"), [("1, -1", (4, 1)), ("-1, -1", (1, 1)), ("1, 4", (4, 2)), ("2, 4", (2, 2))])
def test_rounding_errs_by_half_a_step(block: str, shape: tuple[int, int]) -> None:
    w = np.random.default_rng(0).standard_normal((4, 8)).astype(np.float32)
    (out,) = Interpreter(_parse(block), SEMANTICS).call("main", (w,))
    split = w.reshape(shape[0], 4 // shape[0], shape[1], 8 // shape[1])
    step = np.abs(split).max(axis=(1, 3), keepdims=True) / 127
    assert np.all(np.abs(out.reshape(split.shape) - split) <= step / 2 + 1e-7)


def test_zeros_stay_zero() -> None:
    (out,) = Interpreter(_parse("1, -1"), SEMANTICS).call("main", (np.zeros((4, 8), np.float32),))
    assert not out.any()


@pytest.mark.parametrize("block", ["1, 3", "1", "0, -1"])
def test_blocks_that_do_not_fit_are_refused(block: str) -> None:
    with pytest.raises((VerifyException, Exception), match="block"):
        _parse(block)
