"""Reading IR behind errors: pieces, findings, what an edit leaves alone."""

from __future__ import annotations

from pathlib import Path

import pytest
from llmc.compiler.driver.chunks import expected_errors, split_chunks
from llmc.compiler.lsp.checking import check
from llmc.compiler.lsp.document import Document
from llmc.compiler.lsp.splitting import split
from llmc.compiler.lsp.vocabulary import Vocabulary
from llmc.dialects.ir.diagnostics import LlmcError
from llmc.dialects.ir.parsing import parse_module
from llmc.dialects.ir.verifying import verify

FILECHECK = Path(__file__).parents[2] / "filecheck"
FILES = sorted(FILECHECK.rglob("*.mlir"))
NEG = "(tensor<4xf32>) -> tensor<4xf32>"


@pytest.fixture(scope="module")
def vocabulary() -> Vocabulary:
    return Vocabulary()


def read(text: str, vocabulary: Vocabulary, previous: Document | None = None) -> Document:
    return Document(text, vocabulary.context, vocabulary.symbol_ops, previous)


def found(text: str, vocabulary: Vocabulary) -> list[tuple[str, str]]:
    """What each finding marks, and says."""
    return [(text[f.start : f.end], f.what) for f in check(read(text, vocabulary))]


def says_llmc_opt(text: str, vocabulary: Vocabulary) -> str | None:
    """The code that llmc-opt gives for a module."""
    try:
        verify(parse_module(vocabulary.context, text))
    except LlmcError as error:
        return error.code
    return None


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(FILECHECK)))
def test_what_llmc_opt_accepts_has_no_findings_and_what_it_rejects_has(path: Path, vocabulary: Vocabulary):
    for chunk in split_chunks(path.read_text()):
        if not any(line.strip() and not line.lstrip().startswith("//") for line in chunk.split("\n")):
            continue
        codes = {finding.code for finding in check(read(chunk, vocabulary))}
        said = says_llmc_opt(chunk, vocabulary)
        assert said in codes if said is not None else not codes


@pytest.mark.parametrize("path", [f for f in FILES if f.name == "invalid.mlir"], ids=lambda path: path.parent.name)
def test_expected_errors_are_found_at_their_lines(path: Path, vocabulary: Vocabulary):
    text = path.read_text()
    findings = check(read(text, vocabulary))
    expected = [
        error
        for chunk in split_chunks(text)
        for error in expected_errors(chunk)
        if error.line and error.line <= chunk.rstrip().count("\n") + 1  # behind its end llmc-opt has nothing to point at
    ]
    assert expected
    for error in expected:
        lines = [text.count("\n", 0, f.start) + 1 for f in findings if error.text in f.what]
        assert error.line in lines, error


def test_a_broken_function_hides_nothing_in_others(vocabulary: Vocabulary):
    text = f"""func.func @a(%x: tensor<4xf32>) {{
  %0 = nn.neg %x, : {NEG}
  func.return
}}
func.func @b(%x: tensor<4xf32>) {{
  %0 = nn.neg %x : (tensor<4xf32>) -> tensor<5xf32>
  func.return
}}
"""
    assert [marked for marked, _ in found(text, vocabulary)] == [":", "nn.neg"]


def test_several_syntax_errors_of_one_function_are_found_without_consequences(vocabulary: Vocabulary):
    text = f"""func.func @a(%x: tensor<4xf32>) -> tensor<4xf32> {{
  %0 = nn.ngg %x : {NEG}
  %1 = nn.neg %0 : {NEG}
  %2 = nn.neg %1 : tensr
  %3 = nn.add %2, %1 : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
  %4 = nn.neg %x : (tensor<4xf32>) -> tensor<5xf32>
  func.return %3 : tensor<4xf32>
}}
"""
    assert [marked for marked, _ in found(text, vocabulary)] == ["nn.ngg", "tensr", "nn.neg"]


def test_a_region_is_read_where_the_head_of_its_op_is_broken(vocabulary: Vocabulary):
    text = f"""func.func @a(%x: tensr<4xf32>) {{
  %0 = nn.neg %x : {NEG}
  %1 = nn.ngg %0 : {NEG}
  func.return
}}
"""
    document = read(text, vocabulary)
    marked = [text[f.start : f.end] for f in check(document)]
    assert marked == ["tensr", "nn.ngg"]
    parser = document.read(document.parts[0]).parser
    assert parser is not None and [d.name for d in parser.definitions] == ["0"]


@pytest.mark.parametrize("brace", ["a brace too few", "a brace too many"])
def test_unbalanced_braces_stay_in_their_function(brace: str, vocabulary: Vocabulary):
    end = "" if brace == "a brace too few" else "}\n}\n"
    text = f"""func.func @a(%x: tensor<4xf32>) {{
  func.return
{end}func.func @b(%x: tensor<4xf32>) {{
  %0 = nn.ngg %x : {NEG}
  func.return
}}
"""
    findings = check(read(text, vocabulary))
    lines = [text.count("\n", 0, f.start) for f in findings]
    assert len(findings) == 2 and text[findings[1].start : findings[1].end] == "nn.ngg"
    assert lines[0] <= 4


def test_a_value_that_is_nowhere_defined_is_marked_with_the_nearest_name(vocabulary: Vocabulary):
    text = f"func.func @a(%input: tensor<4xf32>) {{\n  %0 = nn.neg %inptu : {NEG}\n  func.return\n}}\n"
    (finding,) = check(read(text, vocabulary))
    assert text[finding.start : finding.end] == "%inptu" and finding.fix == "did you mean %input?"


def test_every_use_before_its_definition_is_found(vocabulary: Vocabulary):
    text = f"""func.func @a(%x: tensor<4xf32>) {{
  %0 = nn.neg %2 : {NEG}
  %1 = nn.neg %2 : {NEG}
  %2 = nn.neg %x : {NEG}
  func.return
}}
"""
    assert [marked for marked, what in found(text, vocabulary) if "before it is defined" in what] == ["%2", "%2"]


def test_a_symbol_defined_twice_points_at_the_first(vocabulary: Vocabulary):
    text = "func.func @a() {\n  func.return\n}\nfunc.func @a() {\n  func.return\n}\n"
    (finding,) = check(read(text, vocabulary))
    assert finding.start == text.rindex("@a") and finding.related[0][0] == text.index("@a")
    assert says_llmc_opt(text, vocabulary) == finding.code


def test_a_broken_alias_is_told_once(vocabulary: Vocabulary):
    text = '#a = #nn.dims<["T"\n\nfunc.func @a(%x: tensor<?xf32, #a>) {\n  func.return\n}\n'
    assert len(found(text, vocabulary)) == 1


def test_chunks_are_modules_of_their_own(vocabulary: Vocabulary):
    text = "func.func @a() {\n  func.return\n}\n// -----\nfunc.func @a() {\n  func.rturn\n}\n"
    assert [marked for marked, _ in found(text, vocabulary)] == ["func.rturn"]


@pytest.mark.parametrize(
    "text", ["", "}", "%", '"', "#a = ", "func.func", "builtin.module {", "@", "{-#", "^bb0:", "// only\n", "\x00"]
)
def test_no_text_ends_in_an_exception(text: str, vocabulary: Vocabulary):
    check(read(text, vocabulary))


@pytest.mark.parametrize("name", ["nn", "tile", "ptx", "layout"])
def test_no_beginning_of_a_file_ends_in_an_exception(name: str, vocabulary: Vocabulary):
    text = (FILECHECK / name / "roundtrip.mlir").read_text()
    document = None
    for end in range(0, len(text), max(1, len(text) // 40)):
        document = read(text[:end], vocabulary, document)
        check(document)


def test_pieces_cover_what_is_read():
    text = (FILECHECK / "nn" / "roundtrip.mlir").read_text()
    for chunk in split(text):
        for piece in chunk.pieces:
            assert text[piece.start : piece.end] == piece.text


def test_a_module_around_all_ops_is_split_as_its_body():
    text = "builtin.module attributes {a = {b}} {\n  func.func @f() {\n  }\n  func.func @g() {\n  }\n} loc(unknown)\n"
    (chunk,) = split(text)
    assert [piece.kind for piece in chunk.pieces] == ["wrapper", "ops", "ops"]
    wrapper = chunk.pieces[0]
    assert wrapper.text == "builtin.module attributes {a = {b}} {} loc(unknown)"
    assert text[wrapper.absolute(wrapper.text.index("loc"))] == "l"


def test_values_of_the_module_keep_its_ops_together(vocabulary: Vocabulary):
    text = "%0 = arith.constant 1 : i32\n%1 = arith.addi %0, %0 : i32\n"
    (chunk,) = split(text)
    assert len(chunk.pieces) == 1 and check(read(text, vocabulary)) == []


def test_an_edit_reads_only_what_it_changed(vocabulary: Vocabulary):
    text = "".join(f"func.func @f{i}(%x: tensor<4xf32>) {{\n  %0 = nn.neg %x : {NEG}\n  func.return\n}}\n" for i in range(5))
    before = read(text, vocabulary)
    check(before)
    after = read(text.replace("@f2(", "@changed("), vocabulary, before)
    assert [part.reading is None for part in after.parts] == [False, False, True, False, False]
    assert check(after) == []


def test_a_change_of_a_weight_is_told_where_it_is_used(vocabulary: Vocabulary):
    text = """nn.weight @w {
  %0 = nn.entry "w" : tensor<4xf32>
  nn.yield %0 : tensor<4xf32>
}
func.func @f() {
  %0 = nn.param @w : tensor<4xf32>
  func.return
}
"""
    before = read(text, vocabulary)
    assert check(before) == []
    changed = text.replace('"w" : tensor<4xf32>', '"w" : tensor<5xf32>').replace(
        "yield %0 : tensor<4xf32>", "yield %0 : tensor<5xf32>"
    )
    (finding,) = check(read(changed, vocabulary, before))
    assert changed[finding.start : finding.end] == "nn.param"
