"""Tokens of IR text, without its meaning: strings and comments end with their line, so a line can be read alone."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

Kind = Literal["comment", "string", "value", "symbol", "attribute", "type", "block", "word", "number", "open", "close", "arrow"]

SUFFIX = r"(?:\d+|[A-Za-z$._-][\w$.-]*)"
WORD = r"[A-Za-z_][\w$.]*"
STRING = r'"(?:[^"\\\n]|\\.)*"?'
TOKEN = re.compile(
    rf"(?P<comment>//[^\n]*)|(?P<string>{STRING})|(?P<value>%{SUFFIX})|(?P<symbol>@(?:{WORD}|{STRING}))|(?P<attribute>#{SUFFIX})"
    rf"|(?P<type>!{SUFFIX})|(?P<block>\^{SUFFIX})|(?P<word>{WORD})|(?P<number>\d+(?:\.\d*)?(?:[eE][+-]?\d+)?)"
    r"|(?P<open>[({\[])|(?P<close>[)}\]])|(?P<arrow>->)",
    re.ASCII,
)
RESULTS = re.compile(rf"%{SUFFIX}(?::\d+)?(?:\s*,\s*%{SUFFIX}(?::\d+)?)*\s*=(?!=)", re.ASCII)
OPENS = {")": "(", "]": "[", "}": "{"}


@dataclass(frozen=True, slots=True)
class Token:
    """A token from `start` to before `end`."""

    kind: Kind
    start: int
    end: int
    text: str


def tokens(text: str, start: int = 0, end: int | None = None) -> Iterator[Token]:
    """The tokens between two offsets, comments among them; punctuation other than brackets and arrows is left out."""
    for match in TOKEN.finditer(text, start, len(text) if end is None else end):
        yield Token(match.lastgroup, match.start(), match.end(), match.group())  # pyright: ignore[reportArgumentType]


def line_bounds(text: str, offset: int) -> tuple[int, int]:
    """Where the line of an offset begins and ends, its line end left out."""
    end = text.find("\n", offset)
    return text.rfind("\n", 0, offset) + 1, len(text) if end < 0 else end


def token_at(text: str, offset: int) -> Token | None:
    """The token that an offset is in or directly behind; the one that begins there goes first."""
    begin, end = line_bounds(text, offset)
    before: Token | None = None
    for token in tokens(text, begin, end):
        if token.start <= offset < token.end:
            return token if before is None or token.kind not in ("open", "close", "arrow") else before
        if token.end == offset:
            before = token
        if token.start > offset:
            break
    return before


def first_on_line(text: str, offset: int) -> bool:
    """Whether only blanks stand before an offset on its line."""
    return not text[text.rfind("\n", 0, offset) + 1 : offset].strip()


def begins_op(text: str, token: Token) -> bool:
    """Whether an op can begin at a token: results with `=`, a dotted name (or `module`), or a name in quotes with `(` behind."""
    match token.kind:
        case "value":
            return RESULTS.match(text, token.start) is not None
        case "word":
            return "." in token.text or token.text == "module"
        case "string":
            return text[token.end : token.end + 8].lstrip()[:1] == "("
        case _:
            return False


def begins_alias(text: str, token: Token) -> bool:
    """Whether `#name =` or `!name =` stands at a token."""
    return token.kind in ("attribute", "type") and re.match(r"\s*=(?!=)", text[token.end : token.end + 80]) is not None


def pairs(found: list[Token]) -> list[tuple[Token, Token]]:
    """The brackets that belong together, in order of their opening; a closing one passes over others that were left open."""
    stack: list[Token] = []
    closed: list[tuple[Token, Token]] = []
    for token in found:
        if token.kind == "open":
            stack.append(token)
        elif token.kind == "close" and any(other.text == OPENS[token.text] for other in stack):
            while stack[-1].text != OPENS[token.text]:
                stack.pop()
            closed.append((stack.pop(), token))
    return sorted(closed, key=lambda pair: pair[0].start)


def symbol_text(token: str) -> str:
    """The name that `@name` or `@"name"` stands for."""
    return token[2:].removesuffix('"') if token.startswith('@"') else token[1:]
