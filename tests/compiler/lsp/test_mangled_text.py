"""Whatever is typed, a check ends in findings and not in an exception, and so do the questions."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st
from llmc.compiler.lsp.checking import check
from llmc.compiler.lsp.completion import complete
from llmc.compiler.lsp.document import Document
from llmc.compiler.lsp.highlighting import highlights
from llmc.compiler.lsp.hover import hover
from llmc.compiler.lsp.navigation import occurrences, target_at
from llmc.compiler.lsp.outline import folds, outline
from llmc.compiler.lsp.vocabulary import Vocabulary

FILECHECK = Path(__file__).parents[2] / "filecheck"
TEXTS = {
    name: (FILECHECK / name / "roundtrip.mlir").read_text()[:6000] for name in ("nn", "fusion", "layout", "rt", "tile", "ptx")
}
BITS = [
    "",
    "{",
    "}",
    "(",
    ")",
    "%",
    "%x",
    "@",
    '"',
    "\n",
    "^bb0:",
    "#a = ",
    "nn.",
    "// -----\n",
    "loc(",
    "->",
    "builtin.module {\n",
    "\x00",
    "é𝄞",
]


@cache
def vocabulary() -> Vocabulary:
    return Vocabulary()


@st.composite
def mangled(draw: st.DrawFn) -> tuple[str, int]:
    """A file of a dialect with some spans replaced, and a place in it."""
    text = TEXTS[draw(st.sampled_from(sorted(TEXTS)))]
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(text)))
        end = min(len(text), start + draw(st.sampled_from([0, 1, 3, 20, 200])))
        text = text[:start] + draw(st.sampled_from(BITS)) + text[end:]
    return text, draw(st.integers(0, len(text)))


@settings(max_examples=60, deadline=None)
@given(mangled())
def test_mangled_text_has_answers(case: tuple[str, int]):
    text, offset = case
    known = vocabulary()
    document = Document(text, known.context, known.symbol_ops)
    for finding in check(document):
        assert 0 <= finding.start <= finding.end <= len(text) + 1
    outline(document)
    folds(document)
    highlights(document)
    complete(document, offset, known)
    target = target_at(document, offset)
    if target is not None:
        hover(document, target, known)
        for place in occurrences(document, target):
            assert 0 <= place.start < place.end <= len(text)
