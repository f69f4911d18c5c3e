"""fusion: text round trips, verifiers refuse, launches and groups mean their bodies."""

from io import StringIO

import numpy as np
import pytest
from llmc.dialects.fusion import SEMANTICS
from llmc.dialects.ir.context import make_context
from llmc.dialects.ir.diagnostics import LlmcError
from llmc.dialects.ir.interpret import Interpreter
from llmc.dialects.ir.symbols import verify_symbols
from xdsl.dialects.arith import AddfOp
from xdsl.ir import Operation
from xdsl.parser import Parser
from xdsl.printer import Printer
from xdsl.utils.exceptions import VerifyException

KERNEL = """
fusion.kernel @double(%x: tensor<4xf32>, %y: tensor<4xf32>) -> (tensor<4xf32>, tensor<4xf32>) attributes {family = "pointwise"} {
  %z = arith.addf %x, %y : tensor<4xf32>
  fusion.return %z, %x : tensor<4xf32>, tensor<4xf32>
}
func.func @main(%a: tensor<4xf32>, %b: tensor<4xf32>) -> tensor<4xf32> {
  %c, %d = fusion.launch @double(%a, %b) : (tensor<4xf32>, tensor<4xf32>) -> (tensor<4xf32>, tensor<4xf32>)
  %e = fusion.group "pointwise" (%p = %c : tensor<4xf32>, %q = %d : tensor<4xf32>) -> tensor<4xf32> attributes {note = 1 : i32} {
    %r = arith.addf %p, %q : tensor<4xf32>
    fusion.yield %r : tensor<4xf32>
  }
  func.return %e : tensor<4xf32>
}
"""


def _parse(text: str):
    module = Parser(make_context(), text).parse_module()
    module.verify()
    return module


def _print(op: Operation, generic: bool = False) -> str:
    stream = StringIO()
    Printer(stream, print_generic_format=generic).print_op(op)
    return stream.getvalue()


def test_text_round_trips_in_both_forms() -> None:
    module = _parse(KERNEL)
    verify_symbols(module)
    text = _print(module)
    assert _print(_parse(text)) == text
    assert _print(_parse(_print(module, generic=True))) == text


def test_launch_and_group_mean_their_bodies() -> None:
    a, b = np.arange(4, dtype=np.float32), np.ones(4, dtype=np.float32)
    semantics = SEMANTICS | {AddfOp: lambda op, args, frame: (args[0] + args[1],)}
    (out,) = Interpreter(_parse(KERNEL), semantics).call("main", (a, b))
    np.testing.assert_array_equal(out, (a + b) + a)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('family = "pointwise"', 'family = "magic"', "is none of"),
        ("fusion.return %z, %x : tensor<4xf32>, tensor<4xf32>", "fusion.return %z : tensor<4xf32>", "the results are"),
    ],
)
def test_kernel_verifier_refuses(old: str, new: str, message: str) -> None:
    with pytest.raises(VerifyException, match=message):
        _parse(KERNEL.replace(old, new))


def test_launch_of_an_unknown_kernel_is_refused() -> None:
    with pytest.raises(LlmcError, match="no symbol @other"):
        verify_symbols(_parse(KERNEL.replace("launch @double", "launch @other")))
