"""Verification tells every mistake of a module once."""

from __future__ import annotations

import pytest
from llmc.dialects.ir.context import make_context
from llmc.dialects.ir.diagnostics import LlmcError
from llmc.dialects.ir.parsing import parse_module
from llmc.dialects.ir.verifying import verify
from xdsl.dialects.builtin import ModuleOp
from xdsl.ir import ErasedSSAValue, Operation

NEG = "nn.neg %x : (tensor<4xf32>) -> "
CONTEXT = make_context()


def module(text: str) -> ModuleOp:
    return parse_module(CONTEXT, text, "f.mlir", locate=True)


def errors(found: ModuleOp) -> list[LlmcError]:
    with pytest.raises(LlmcError) as caught:
        verify(found)
    return [caught.value, *caught.value.others]


def told(text: str) -> list[tuple[str, str]]:
    """The op at fault of each error, with its line, and a word of what is wrong."""
    return [((e.render().split("f.mlir:")[1]).split("\n")[0], e.what) for e in errors(module(text))]


def test_errors_of_all_kinds_are_told_in_the_order_of_the_text():
    found = told(f"""func.func @a(%x: tensor<4xf32>, %c: i1) {{
  %0 = {NEG}tensor<5xf32>
  %1 = nn.neg %2 : (tensor<4xf32>) -> tensor<4xf32>
  %2 = {NEG}tensor<4xf32>
  %3 = {NEG}tensor<6xf32>
  cf.br ^end(%c : i1)
^end(%y: f32):
  func.return
}}
func.func @b(%x: tensor<4xf32>) -> tensor<4xf32> {{
  %0 = fusion.launch @nowhere (%x) : (tensor<4xf32>) -> tensor<4xf32>
  %1 = {NEG}tensor<7xf32>
  func.return %0 : tensor<4xf32>
}}
""")
    assert [line for line, _ in found] == ["2", "3", "5", "6", "11", "12"]
    words = [
        "tensor<5xf32>",
        "used before it is defined",
        "tensor<6xf32>",
        "cf.br passes",
        "no symbol @nowhere",
        "tensor<7xf32>",
    ]
    assert all(word in what for word, (_, what) in zip(words, found))


def test_what_holds_an_invalid_op_is_not_asked():
    """A program must end in rt.return: of the op that it ends in instead, xDSL says so already."""
    found = told("rt.program @ends attributes {sizes = []} {\n  %0 = rt.temp : !layout.buffer<[8], f32>\n}\n")
    assert [(line, "is not a terminator" in what) for line, what in found] == [("2", True)]


def test_an_isolated_op_tells_of_outer_values_once():
    found = told(f"""func.func @a(%x: tensor<4xf32>) {{
  fusion.group "generic" (%a = %x : tensor<4xf32>) {{
    %0 = {NEG}tensor<4xf32>
    fusion.yield
  }}
  func.return
}}
""")
    assert [(line, "IsolatedFromAbove" in what) for line, what in found] == [("2", True)]


def test_a_symbol_defined_twice_hides_mistakes_inside_of_neither():
    function = f"func.func @a(%x: tensor<4xf32>) {{\n  %0 = {NEG}tensor<5xf32>\n  func.return\n}}\n"
    found = errors(module(function + function))
    assert [("nn.neg" in e.what, "Redefinition" in e.what) for e in found] == [(True, False), (True, False), (False, True)]


def test_an_erased_value_is_one_error():
    """What a pass leaves that erases an op which is used."""
    found = module(f"func.func @a(%x: tensor<4xf32>) {{\n  %0 = {NEG}tensor<4xf32>\n  func.return\n}}\n")
    neg = next(op for op in found.walk() if op.name == "nn.neg")
    neg.operands[0] = ErasedSSAValue(neg.operands[0].type, neg.operands[0])
    assert [e.what for e in errors(found)] == ["invalid IR: Erased SSA value is used by the operation"]


def test_a_verifier_that_breaks_down_speaks_only_where_nothing_else_is_wrong(monkeypatch: pytest.MonkeyPatch):

    def breaks(self: Operation) -> None:
        raise IndexError("no such thing")

    found = module(f"""func.func @a(%x: tensor<4xf32>) {{
  %0 = {NEG}tensor<4xf32>
  %1 = nn.exp %x : (tensor<4xf32>) -> tensor<5xf32>
  func.return
}}
""")
    neg, exp = (next(op for op in found.walk() if op.name == name) for name in ("nn.neg", "nn.exp"))
    monkeypatch.setattr(type(neg), "verify_", breaks)
    assert ["nn.exp" in e.what for e in errors(found)] == [True]
    exp.detach()
    assert [e.what for e in errors(found)] == ["invalid IR: no such thing"]


def test_a_symbol_defined_twice_is_an_error_of_the_second_definition():
    function = "func.func @a() {\n  func.return\n}\n"
    (error,) = errors(module(function + function))
    assert error.render().split("\n")[1:3] == ["  --> func.func @a()", "      at f.mlir:4"]
