"""Files of several modules, and the errors that their comments expect."""

from __future__ import annotations

import pytest
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
        given = [Diagnostic("remark", 2, "fused two ops", "remark: fused two ops")]
        return run_chunks(text, "f.mlir", process, split=False, verify=True, remarks=lambda: given, all_remarks=all_remarks)[1]

    assert go("// expected-remark @below {{fused two}}\nx\n", True) == 0
    assert go("// expected-remark @below {{fused three}}\nx\n", False) == 1
    assert go("\nx\n", False) == 0
    assert go("\nx\n", True) == 1
    assert "f.mlir:2: unexpected remark" in capsys.readouterr().err


def test_a_text_that_is_no_regular_expression_is_told():
    with pytest.raises(LlmcError, match="no regular expression"):
        run("// expected-error-re @below {{is {{(}}}}\nbad\n")
