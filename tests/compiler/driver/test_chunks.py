"""Files of several modules, and the errors that their comments expect."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from commands import Command
from llmc.compiler.driver.chunks import Diagnostic, Expected, expected_errors, run_chunks, split_chunks
from llmc.dialects.ir.diagnostics import LlmcError


def process(chunk: str) -> str:
    """Fails at each line that says `bad`."""
    for number, line in enumerate(chunk.split("\n"), 1):
        if line == "bad":
            raise LlmcError("LLMC0001", "this is bad", f"f.mlir:{number}:1")
    return chunk.strip() + "\n"


def run(text: str, split: bool = True, verify: bool = True) -> tuple[str, int]:
    return run_chunks(text, "f.mlir", process, split=split, verify=verify)


def test_chunks_keep_their_line_numbers():
    first, second = split_chunks("a\nb\n// -----\nc\n")
    assert first == "a\nb\n" and second.split("\n")[3] == "c"


def test_a_chunk_runs_after_one_that_failed(capsys: pytest.CaptureFixture[str]):
    output, code = run("bad\n// -----\ngood\n", verify=False)
    assert (output, code) == ("good\n", 1)
    assert "error[LLMC0001]: this is bad" in capsys.readouterr().err


@pytest.mark.parametrize(
    "text",
    [
        "// expected-error @+1 {{is bad}}\nbad\n",
        "bad\n// expected-error @-1 {{is bad}}\n",
        "// expected-error @below {{is bad}}\nbad\n",
        "bad\n// expected-error @above {{this}}\n",
    ],
)
def test_an_expected_error_is_no_failure(text: str):
    assert run(text)[1] == 0


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("// expected-error @below {{is good}}\nbad\n", 'expected error "is good" was not produced'),
        ("// expected-error @+2 {{is bad}}\nbad\n", "unexpected error"),
        ("// expected-error @below {{is bad}}\nfine\n", "was not produced"),
        ("bad\n", "f.mlir:1: unexpected error"),
    ],
)
def test_differences_from_what_is_expected_are_failures(text: str, message: str, capsys: pytest.CaptureFixture[str]):
    assert run(text)[1] == 1
    assert message in capsys.readouterr().err


def test_comments_in_a_row_point_at_the_same_line():
    text = "// expected-error @below {{a}}\n// expected-error @below {{b}}\nop\n// expected-error @unknown {{c}}\n"
    assert expected_errors(text) == [Expected(3, "a"), Expected(3, "b"), Expected(0, "c")]


@pytest.mark.parametrize(
    ("comment", "code"),
    [
        ("// expected-error-re @below {{this {{i[a-z]}} bad}}", 0),
        ("// expected-error-re @below {{this {{[0-9]+}} bad}}", 1),
        ("// expected-error @below {{this i. bad}}", 1),
        ("// expected-error @below {{is bad}}\n// expected-note @below {{because}}", 0),
        ("// expected-error @below {{is bad}}\n// expected-note @below {{for no reason}}", 1),
        ("// expected-error @below {{is bad}}\n// expected-warning @below {{is bad}}", 1),
        ("// expected-remark @below {{is bad}}", 1),
    ],
)
def test_kind_and_text_of_a_diagnostic_must_match(comment: str, code: int):
    def refuse(chunk: str) -> str:
        raise LlmcError("LLMC0001", "this is bad", f"f.mlir:{chunk[: chunk.index('bad!')].count(chr(10)) + 1}:1", why="because")

    assert run_chunks(comment + "\nbad!\n", "f.mlir", refuse, split=False, verify=True)[1] == code


def test_remarks_are_matched_and_must_all_be_expected_only_where_they_are_asked_for(capsys: pytest.CaptureFixture[str]):
    def go(text: str, all_remarks: bool) -> int:
        given = [Diagnostic("remark", 2, "fused two ops", lambda: "remark: fused two ops")]
        return run_chunks(text, "f.mlir", process, split=False, verify=True, remarks=lambda: given, all_remarks=all_remarks)[1]

    assert go("// expected-remark @below {{fused two}}\nx\n", True) == 0
    assert go("// expected-remark @below {{fused three}}\nx\n", False) == 1
    assert go("\nx\n", False) == 0
    assert go("\nx\n", True) == 1
    assert "f.mlir:2: unexpected remark" in capsys.readouterr().err


def test_a_text_that_is_no_regular_expression_is_told(capsys: pytest.CaptureFixture[str]):
    assert run("// expected-error-re @below {{is {{(}}}}\nbad\n")[1] == 1
    assert re.search("no regular expression\n  --> f.mlir:1:1\n", capsys.readouterr().err)


TWO_WRONG = """\
func.func @first(%x: tensor<4xf32>) {
  func.return
}
// -----
func.func @second(%x: tensor<4xf32>) {
  %0 = nn.neg %x : (tensor<4xf32>) -> tensor<5xf32>
  %1 = nn.neg %x : (tensor<4xf32>) -> tensor<4xf32> loc("model.neg"("model.py":7:0))
  %2 = nn.neg %x : (tensor<4xf32>) -> tensor<6xf32> loc("model.neg"("model.py":7:0))
  %3 = nn.neg %4 : (tensor<4xf32>) -> tensor<4xf32>
  %4 = nn.neg %x : (tensor<4xf32>) -> tensor<4xf32>
  func.return
}
"""
CHUNKS = ("--split-input-file", "--verify-diagnostics")


def expecting(text: str, *wanted: tuple[int, str]) -> str:
    """The text with comments behind its end that expect these errors, by line."""
    lines = text.count("\n")
    return text + "".join(f"// expected-error @{line - lines - n} {{{{{what}}}}}\n" for n, (line, what) in enumerate(wanted, 1))


def test_all_errors_of_a_chunk_are_expected_at_their_lines_whatever_location_they_carry(command: Command, tmp_path: Path):
    (tmp_path / "f.mlir").write_text(
        expecting(
            TWO_WRONG, (6, "the result is tensor<5xf32>"), (8, "tensor<6xf32>"), (9, "operand 0 of nn.neg is used before")
        )
    )
    outcome = command("opt", tmp_path / "f.mlir", *CHUNKS)
    assert (outcome.code, outcome.err) == (0, "")
    assert "@first" in outcome.out


def test_every_difference_is_told(command: Command, tmp_path: Path):
    file = tmp_path / "f.mlir"
    file.write_text(expecting(TWO_WRONG, (6, "tensor<5xf32>"), (7, "nothing"), (8, "something else"), (5, "nobody says this")))
    outcome = command("opt", file, *CHUNKS)
    heads = [line.removeprefix(f"{file}:") for line in outcome.err.split("\n") if line.startswith(str(file))]
    assert outcome.code == 1
    assert heads == [
        "8: unexpected error",
        "9: unexpected error",
        '7: expected error "nothing" was not produced',
        '8: expected error "something else" was not produced',
        '5: expected error "nobody says this" was not produced',
    ]
    assert outcome.err.count("error[LLMC") == 2


def test_errors_of_every_chunk_are_compared(command: Command, tmp_path: Path):
    wrong = "func.func @a(%x: tensor<4xf32>) {\n  %0 = nn.neg %x : (tensor<4xf32>) -> tensor<5xf32>\n  func.return\n}\n"
    file = tmp_path / "f.mlir"
    file.write_text(
        f"{wrong}// -----\nbuiltin.module {{}} // expected-error @unknown {{{{told without a line}}}}\n// -----\n{wrong}// -----\n{{\n"
    )
    outcome = command("opt", file, *CHUNKS)
    heads = [line.removeprefix(f"{file}:") for line in outcome.err.split("\n") if line.startswith(str(file))]
    assert heads == [
        "2: unexpected error",
        '?: expected error "told without a line" was not produced',
        "9: unexpected error",
        "13: unexpected error",
    ]


def test_an_error_without_a_line_is_expected_at_unknown():
    def refuse(chunk: str) -> str:
        raise LlmcError("LLMC0001", "this is bad", "the arguments", others=[LlmcError("LLMC0001", "worse", "f.mlir:1:1")])

    text = "// expected-error {{worse}}\n// expected-error @unknown {{is bad}}\n"
    assert run_chunks(text, "f.mlir", refuse, split=False, verify=True)[1] == 0
    assert run_chunks(text.replace("@unknown", ""), "f.mlir", refuse, split=False, verify=True)[1] == 1


def test_a_plain_run_tells_twenty_errors_and_how_many_more(command: Command, tmp_path: Path):
    ops = "".join(f"  %{i} = nn.neg %x : (tensor<4xf32>) -> tensor<5xf32>\n" for i in range(23))
    (tmp_path / "f.mlir").write_text(f"func.func @a(%x: tensor<4xf32>) {{\n{ops}  func.return\n}}\n")
    outcome = command("opt", tmp_path / "f.mlir")
    assert (outcome.code, outcome.out) == (1, "")
    assert len(re.findall(r"^error\[LLMC0121\]: ", outcome.err, re.MULTILINE)) == 20
    assert outcome.err.endswith("\n\n… and 3 more\n")


@pytest.mark.parametrize(
    "comment",
    [
        "// expected-error {{unterminated",
        "// expected-nothing {{x}}",
        "// expected-error-re @+1 contracts",
        "//expected-error @next {{x}}",
    ],
)
def test_a_comment_that_nearly_expects_something_is_told_with_its_line(comment: str) -> None:
    with pytest.raises(LlmcError, match="expects nothing") as caught:
        expected_errors(f"func.func @f() {{\n  {comment}\n  func.return\n}}\n", "x.mlir")
    assert caught.value.where == "x.mlir:2:3" and caught.value.code == "LLMC0239"


@pytest.mark.parametrize(
    ("comment", "message"),
    [("// expected-error {{unterminated", "expects nothing"), ("// expected-error-re {{is {{(}}}}", "no regular expression")],
)
def test_the_other_chunks_go_on_after_such_a_comment(comment: str, message: str, capsys: pytest.CaptureFixture[str]) -> None:
    output, code = run(f"good\n// -----\nfine\n {comment}\n// -----\nbad\n// -----\nlast\n")
    assert (output, code) == ("good\n// -----\nlast\n", 1)
    err = capsys.readouterr().err
    assert message in err and "f.mlir:4:2" in err and "f.mlir:6: unexpected error" in err


def test_all_such_comments_of_a_chunk_are_told() -> None:
    with pytest.raises(LlmcError) as caught:
        expected_errors("// expected-error-re {{ {{[}} }}\n// expected-nothing\n", "f.mlir")
    assert [error.where for error in (caught.value, *caught.value.others)] == ["f.mlir:1:1", "f.mlir:2:1"]


@pytest.mark.parametrize("text", ["", "\n\n", "// nothing here\n", "  // a // b // c"])
def test_text_without_an_op_is_an_empty_module(text: str, command: Command, tmp_path: Path) -> None:
    (tmp_path / "x.mlir").write_text(f"{text}\n// -----\nfunc.func @f() {{\n  func.return\n}}\n// -----\n")
    done = command("opt", tmp_path / "x.mlir", "--split-input-file", "--verify-diagnostics")
    assert done.code == 0, done
    assert done.out.count("builtin.module {\n}\n") == 2 and "func.func @f" in done.out
