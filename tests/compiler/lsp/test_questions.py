"""Answers about a text, without the protocol."""

from __future__ import annotations

import pytest
from llmc.compiler.lsp.completion import complete
from llmc.compiler.lsp.document import Document
from llmc.compiler.lsp.highlighting import highlights
from llmc.compiler.lsp.hover import hover
from llmc.compiler.lsp.navigation import definitions, occurrences, target_at
from llmc.compiler.lsp.outline import folds, outline
from llmc.compiler.lsp.positions import LineIndex
from llmc.compiler.lsp.rename import rename
from llmc.compiler.lsp.vocabulary import Vocabulary
from llmc.dialects.ir.diagnostics import LlmcError

LOOP = """#T = #nn.dims<["T"]>
func.func @loop(%x: tensor<4xf32>, %n: index) -> tensor<4xf32> {
  %zero = arith.constant 0 : index
  %r:2 = scf.for %i = %zero to %n step %n iter_args(%a = %x, %b = %x) -> (tensor<4xf32>, tensor<4xf32>) {
    %0 = nn.neg %a : (tensor<4xf32>) -> tensor<4xf32>
    scf.yield %0, %b : tensor<4xf32>, tensor<4xf32>
  }
  %0 = nn.neg %r#1 : (tensor<4xf32>) -> tensor<4xf32>
  func.return %0 : tensor<4xf32>
}
func.func @blocks(%x: i1) {
  cf.cond_br %x, ^bb1, ^bb2
^bb1:
  cf.br ^bb2
^bb2:
  func.return
}
func.func @call(%x: tensor<4xf32>, %n: index) {
  %0 = func.call @loop(%x, %n) : (tensor<4xf32>, index) -> tensor<4xf32>
  func.return
}
"""


@pytest.fixture(scope="module")
def vocabulary() -> Vocabulary:
    return Vocabulary()


@pytest.fixture
def document(vocabulary: Vocabulary) -> Document:
    return Document(LOOP, vocabulary.context, vocabulary.symbol_ops)


def offset(text: str, occurrence: int = 0) -> int:
    found = -1
    for _ in range(occurrence + 1):
        found = LOOP.index(text, found + 1)
    return found


def lines(document: Document, at: int) -> list[int]:
    """The lines, from 1, that name what stands at an offset."""
    target = target_at(document, at)
    assert target is not None
    return [LOOP.count("\n", 0, place.start) + 1 for place in occurrences(document, target)]


def test_a_name_means_the_value_of_its_own_region(document: Document):
    assert lines(document, offset("%0 = nn.neg %a")) == [5, 6]
    assert lines(document, offset("%0 = nn.neg %r")) == [8, 9]


def test_iteration_arguments_and_grouped_results_are_values(document: Document):
    assert lines(document, offset("%a = %x")) == [4, 5]
    assert lines(document, offset("%r#1")) == [4, 8]
    assert lines(document, offset("#1 :")) == [4, 8]


def test_blocks_are_found_from_branches_and_back(document: Document):
    assert lines(document, offset("^bb2")) == [12, 14, 15]
    assert lines(document, offset("^bb1:")) == [12, 13]


def test_a_call_leads_to_the_function(document: Document):
    target = target_at(document, offset("@loop", 1))
    assert target is not None
    assert [place.start for place in definitions(document, target)] == [offset("@loop")]


def test_hover_picks_the_result_that_is_named(document: Document, vocabulary: Vocabulary):
    target = target_at(document, offset("%r#1"))
    assert target is not None
    text = hover(document, target, vocabulary)
    assert text is not None and "%r#0: tensor<4xf32>\n%r#1: tensor<4xf32>" in text and "result 1 of `scf.for`; 1 use" in text


@pytest.mark.parametrize("name", ["nn.linear", "nn.add", "ptx.mma", "tile.mma", "rt.launch", "scf.for"])
def test_every_kind_of_op_has_a_text(name: str, vocabulary: Vocabulary):
    text = vocabulary.op_text(name)
    assert text is not None and f"`{name}`" in text and len(text) > 60


def test_rename_keeps_the_index_of_a_result(document: Document):
    edits = rename(document, target_at(document, offset("%r#1")), "pair")
    changed = LOOP
    for place, text in reversed(edits):
        changed = changed[: place.start] + text + changed[place.end :]
    assert "%pair:2 = scf.for" in changed and "nn.neg %pair#1 :" in changed and "%r" not in changed


@pytest.mark.parametrize(
    ("text", "occurrence", "name", "why"),
    [
        ("%a = %x", 0, "zero", "is defined where"),
        ("%x: tensor", 0, "0", "is defined where"),
        ("^bb1:", 0, "bb2", "in this region"),
        ("@loop", 0, "blocks", "in this module"),
        ("%n: index", 0, "not a name", "no name of a value"),
    ],
)
def test_rename_refuses_what_would_change_the_meaning(document: Document, text: str, occurrence: int, name: str, why: str):
    with pytest.raises(LlmcError) as error:
        rename(document, target_at(document, offset(text, occurrence)), name)
    assert error.value.code == "LLMC0273" and why in str(error.value)


def test_rename_of_a_value_waits_for_syntax_errors(vocabulary: Vocabulary):
    text = LOOP.replace("nn.neg %r#1", "nn.ngg %r#1")
    document = Document(text, vocabulary.context, vocabulary.symbol_ops)
    with pytest.raises(LlmcError, match="syntax error"):
        rename(document, target_at(document, text.index("%r:2")), "pair")


def test_the_outline_needs_no_readable_bodies(vocabulary: Vocabulary):
    text = LOOP.replace("nn.neg", "nn.").replace("(%x: i1)", "(%x: ")
    document = Document(text, vocabulary.context, vocabulary.symbol_ops)
    assert [node.name for node in outline(document)] == ["loop", "blocks", "call"]


@pytest.mark.parametrize("name", ["f", "k", "n", "func"])
def test_the_detail_of_a_symbol_begins_behind_its_name(name: str, vocabulary: Vocabulary):
    text = f"func.func @{name}(%x: f32) -> f32 {{\n  func.return %x : f32\n}}\n"
    (node,) = outline(Document(text, vocabulary.context, vocabulary.symbol_ops))
    assert node.detail == "(%x: f32) -> f32"


def test_symbols_inside_modules_inside_are_nested(vocabulary: Vocabulary):
    text = "builtin.module @outer {\n  builtin.module @inner {\n    func.func @f() {\n      func.return\n    }\n  }\n}\n"
    (outer,) = outline(Document(text, vocabulary.context, vocabulary.symbol_ops))
    assert outer.name == "outer" and [n.name for n in outer.children] == ["inner"]
    assert [n.name for n in outer.children[0].children] == ["f"]


def test_generic_form_has_symbols(vocabulary: Vocabulary):
    text = '"builtin.module"() ({\n  "func.func"() <{sym_name = "f", function_type = () -> ()}> ({\n    "func.return"() : () -> ()\n  }) : () -> ()\n}) : () -> ()\n'
    document = Document(text, vocabulary.context, vocabulary.symbol_ops)
    (module,) = outline(document)
    assert [n.name for n in module.children] == ["f"]
    edits = rename(document, target_at(document, text.index('"f"')), "g")
    assert [text for _, text in edits] == ['"g"']


def test_folds_are_regions_comments_and_aliases(vocabulary: Vocabulary):
    text = '// one\n// two\n#a = #nn.dims<["T"]>\n#b = #nn.dims<["B"]>\nfunc.func @f() {\n  func.return\n}\n'
    kinds = [kind for _, _, kind in folds(Document(text, vocabulary.context, vocabulary.symbol_ops))]
    assert kinds == ["comment", "imports", "region"]


def test_results_and_names_of_ops_are_told_apart(document: Document):
    told = {LOOP[start:end]: (kind, defines) for start, end, kind, defines in highlights(document) if LOOP[start:end] != "%0"}
    assert told["%zero"][0] == "variable" and told["arith.constant"][0] == "method" and told["@loop"][0] == "function"
    first = next(item for item in highlights(document) if LOOP[item[0] : item[1]] == "%r")
    assert first[2:] == ("variable", True)


def proposals(text: str, vocabulary: Vocabulary) -> list[str]:
    """What is proposed where `|` stands."""
    at = text.index("|")
    document = Document(text.replace("|", "", 1), vocabulary.context, vocabulary.symbol_ops)
    return [proposal.text for proposal in complete(document, at, vocabulary)]


@pytest.mark.parametrize(
    ("line", "proposed"),
    [
        ("%r = nn.lin|", ["nn.linear"]),
        ("func.ret|", ["func.return"]),
        ("%r = nn.neg %l|", ["%long"]),
        ("%r = func.call @|", ["@f"]),
        ("%r = nn.reduce %long {k|", ["kind", "keepdims"]),
        ("// RUN: llmc-opt --pass-pipeline='merge-lin|", ["merge-linears"]),
        ("// RUN: llmc-opt --pass-pipeline='quantise-linears{sch|", ["scheme"]),
        ("// RUN: llmc-opt --split-in|", ["--split-input-file"]),
        ("// only words: nn.lin|", []),
    ],
)
def test_completion(line: str, proposed: list[str], vocabulary: Vocabulary):
    text = f"func.func @f(%long: tensor<4xf32>) {{\n  {line}\n  func.return\n}}\n"
    assert proposals(text, vocabulary) == proposed


@pytest.mark.parametrize(("encoding", "column"), [("utf-8", 6), ("utf-16", 4), ("utf-32", 3)])
def test_columns_count_units_of_the_encoding(encoding: str, column: int):
    lines = LineIndex("x\n𝄞ab", encoding)
    assert lines.position(5) == (1, column)
    assert lines.offset(1, column) == 5
