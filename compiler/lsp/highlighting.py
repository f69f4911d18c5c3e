"""Tokens with what they mean, for the editor to colour."""

from __future__ import annotations

from .document import Document, Part
from .lexical import RESULTS, Token

TYPES = ("comment", "string", "variable", "function", "macro", "type", "label", "keyword", "method", "number")
MODIFIERS = ("definition",)
BY_KIND = {
    "comment": "comment",
    "string": "string",
    "symbol": "function",
    "attribute": "macro",
    "type": "type",
    "block": "label",
    "number": "number",
}
KEYWORDS = frozenset(
    {"attributes", "private", "public", "nested", "loc", "fused", "unknown", "true", "false", "unit", "dense", "array"}
)


def highlights(document: Document, start: int = 0, end: int | None = None) -> list[tuple[int, int, str, bool]]:
    """(start, end, one of TYPES, whether it is a definition) in order, for the tokens between two offsets. Punctuation and
    comments in front of the first op are left out."""
    found: list[tuple[int, int, str, bool]] = []
    last = len(document.text) if end is None else end
    for part in document.parts:
        if part.piece.end < start or part.piece.start > last:
            continue
        at = part.piece.absolute
        for token, kind, defines in _meanings(part):
            if start <= at(token.start) <= last:
                found.append((at(token.start), at(token.end), kind, defines))
    return sorted(found)


def _meanings(part: Part) -> list[tuple[Token, str, bool]]:
    text = part.piece.text
    found: list[tuple[Token, str, bool]] = []
    results_until = -1
    for token in part.tokens:
        if token.kind == "word":
            if _names_op(text, token):
                found.append((token, "method", False))
            elif token.text in KEYWORDS:
                found.append((token, "keyword", False))
        elif token.kind == "value":
            if token.start >= results_until and (match := RESULTS.match(text, token.start)) is not None:
                results_until = match.end()
            found.append((token, "variable", token.start < results_until))
        elif (kind := BY_KIND.get(token.kind)) is not None:
            found.append((token, kind, False))
    return found


def _names_op(text: str, token: Token) -> bool:
    """Whether a word is the name of an op: dotted, and first on its line or behind `=`."""
    if "." not in token.text:
        return False
    before = text[text.rfind("\n", 0, token.start) + 1 : token.start].rstrip()
    return not before or before.endswith("=")
