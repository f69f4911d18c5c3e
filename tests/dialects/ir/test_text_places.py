"""An error of a pass says where in the text that was read it stands."""

from __future__ import annotations

from llmc.dialects.ir.context import make_context
from llmc.dialects.ir.diagnostics import LlmcError
from llmc.dialects.ir.parsing import parse_module
from llmc.dialects.ir.text_places import tell_place

CONTEXT = make_context()
TEXT = """func.func @first() {
  func.return
}
func.func @second() {
  func.return
}
"""


def notes(index: int, inside: bool = False, text: str = TEXT, locate: bool = False) -> list[str]:
    op = list(parse_module(CONTEXT, TEXT, "f.mlir", locate=locate).body.block.ops)[index]
    error = LlmcError("LLMC0282", "", op.regions[0].block.first_op if inside else op)
    tell_place(error, CONTEXT, text, "f.mlir")
    return list(error.notes)


def test_a_symbol_is_told_with_its_line():
    assert notes(1) == ["@second at f.mlir:4:1"]


def test_an_op_inside_is_told_with_the_symbol_around_it():
    assert notes(1, inside=True) == ["the op is in @second at f.mlir:4:1"]


def test_nothing_is_told_of_an_op_that_has_its_place():
    assert notes(1, locate=True) == []


def test_nothing_is_told_of_a_symbol_that_a_pass_made():
    assert notes(1, text="func.func @other() {\n  func.return\n}\n") == []


def test_the_line_of_an_op_names_its_symbol():
    op = parse_module(CONTEXT, TEXT).body.block.first_op
    assert LlmcError("LLMC0282", "wrong", op).render().endswith("--> func.func @first()")
