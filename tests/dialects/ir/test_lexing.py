"""Our lexer gives the tokens of xDSL's, and its errors."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from llmc.dialects.ir.lexing import IrLexer
from xdsl.utils.exceptions import ParseError
from xdsl.utils.lexer import Input
from xdsl.utils.mlir_lexer import MLIRLexer, MLIRTokenKind

ROOT = Path(__file__).parents[3]
PIECES = [
    "func.func",
    "@f",
    "%0",
    "%x_1",
    "%0#1",
    "#a",
    "!b",
    "^bb0",
    "->",
    "-",
    ":",
    ",",
    "(",
    ")",
    "{",
    "}",
    "[",
    "]",
    "<",
    ">",
    "=",
    "+",
    "/",
    "*",
    "?",
    "|",
    "...",
    "{-#",
    "#-}",
    "0",
    "12",
    "0x1F",
    "0xz",
    "1.5",
    "2.e3",
    "3.0E-7",
    "12i32",
    '"text"',
    '"a\\"b"',
    '@"q"',
    "//",
    "note\n",
    "\n",
    "\t",
    "é",
    "$",
    ".",
    "..",
    "#",
    "!",
    "%",
    '"',
    "@",
    "tensor<?x4xf32>",
    "loc(unknown)",
    "a.b$c",
    "_x",
    "4x8",
    "#-x",
]


def tokens(cls: type[MLIRLexer], text: str) -> list[tuple[str, int, int]]:
    """Kind and place of every token; the last entry is the error that ends them, if one does."""
    lexer, found = cls(Input(text, "x")), []
    while True:
        try:
            token = lexer.lex()
        except ParseError as error:
            return [*found, (error.msg, error.span.start, error.span.end)]
        found.append((token.kind.name, token.span.start, token.span.end))
        if token.kind == MLIRTokenKind.EOF:
            return found


@pytest.mark.parametrize(
    "path", sorted((ROOT / "tests" / "filecheck").rglob("*.mlir")), ids=lambda p: f"{p.parent.name}-{p.stem}"
)
def test_files_have_the_same_tokens(path: Path) -> None:
    text = path.read_text()
    assert tokens(IrLexer, text) == tokens(MLIRLexer, text)


@given(st.lists(st.sampled_from(PIECES), max_size=12), st.sampled_from(["", " "]))
def test_any_text_has_the_same_tokens(pieces: list[str], between: str) -> None:
    text = between.join(pieces)
    assert tokens(IrLexer, text) == tokens(MLIRLexer, text)


def test_a_quote_that_nothing_closes_takes_no_time() -> None:
    assert tokens(IrLexer, '"' + "a\\t" * 5000)[-1][0].startswith("End of file reached")
