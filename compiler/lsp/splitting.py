"""The parts of a file that can be read alone.

A line `// -----` ends a module. A module is a run of alias definitions and ops, perhaps inside `builtin.module {…}`; each alias
and each top-level op is a piece, so that a mistake in one leaves the others alone, and an edit in one makes only that one be read
again. Where braces do not match, a line that begins no deeper than the module's ops do, with an op, is where the next piece begins.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from .lexical import Token, begins_alias, begins_op, first_on_line, tokens

SEPARATOR = re.compile(r"^// -----[ \t]*\r?$\n?", re.MULTILINE)


# Strings and comments are passed over. A line's first token is marked where it is no brace and no comment; what follows on a line
# without braces is taken along, which makes one match of most lines.
QUOTED = r'"(?:[^"\\\n]|\\.)*+'
SCAN = re.compile(
    rf"(?P<line>^[ \t]*+)(?=[^\s/{{}}])(?:(?:[^\n\"{{}}/]++|{QUOTED}\")*+(?=\n|\Z))?+"
    rf"|//[^\n]*+|{QUOTED}\"?|(?P<open>\{{)|(?P<close>\}})",
    re.MULTILINE,
)


class Mark(NamedTuple):
    """A brace, or where the first token of a line begins."""

    kind: Literal["open", "close", "line"]
    start: int


@dataclass(frozen=True)
class Piece:
    """A part of a module: an alias, ops, or the head and tail of the `builtin.module` around the others. Offset `i` of `text` is
    `start + i` in the file; behind `joint`, where the body is left out, it is `resumes + i - joint`."""

    kind: Literal["alias", "ops", "wrapper"]
    text: str
    start: int
    joint: int | None = None
    resumes: int = 0

    def absolute(self, offset: int) -> int:
        if self.joint is not None and offset >= self.joint:
            return self.resumes + offset - self.joint
        return self.start + offset

    def relative(self, offset: int) -> int | None:
        """The offset in `text` of an offset in the file; None where the piece does not reach."""
        if self.joint is not None and offset >= self.resumes:
            found = offset - self.resumes + self.joint
            return found if found <= len(self.text) else None
        found = offset - self.start
        return found if 0 <= found <= (len(self.text) if self.joint is None else self.joint) else None

    @property
    def end(self) -> int:
        return self.absolute(len(self.text))


@dataclass(frozen=True)
class Chunk:
    """A module's part of the file."""

    start: int
    end: int
    pieces: tuple[Piece, ...]


def split(text: str) -> tuple[Chunk, ...]:
    """The modules of a file, and their pieces."""
    chunks: list[Chunk] = []
    start = 0
    for separator in [*SEPARATOR.finditer(text), None]:
        end = separator.start() if separator is not None else len(text)
        chunks.append(Chunk(start, end, _pieces(text, start, end)))
        start = separator.end() if separator is not None else end
    return tuple(chunks)


def _pieces(text: str, start: int, end: int) -> tuple[Piece, ...]:
    if text.find("{-#", start, end) >= 0:  # resources, which belong to all ops
        return (Piece("ops", text[start:end], start),)
    marks = _scan(text, start, end)
    wrapper = _wrapper(text, marks, end)
    if wrapper is None:
        return tuple(_split_body(text, marks, end))
    first, brace, close = wrapper
    head, tail = text[first : brace + 1], text[close:end].rstrip()
    before = _split_body(text, [m for m in marks if m.start < first], first)
    body = _split_body(text, [m for m in marks if brace < m.start < close], close)
    return (*before, Piece("wrapper", head + tail, first, len(head), close), *body)


def _scan(text: str, start: int, end: int) -> list[Mark]:
    """Braces and the first tokens of lines, in order."""
    found: list[Mark] = []
    for match in SCAN.finditer(text, start, end):
        kind = match.lastgroup
        if kind == "line":
            if match.end("line") < end:
                found.append(Mark("line", match.end("line")))
        elif kind == "open" or kind == "close":
            found.append(Mark(kind, match.start()))
    return found


def _token(text: str, mark: Mark) -> Token | None:
    """The token that begins at a mark."""
    token = next(tokens(text, mark.start), None)
    return token if token is not None and token.start == mark.start and token.kind != "comment" else None


def _split_body(text: str, marks: Sequence[Mark], end: int) -> list[Piece]:
    first = next((t for m in marks if m.kind == "line" and (t := _token(text, m)) is not None), None)
    if first is None:
        return []
    starts, balanced = _starts(text, marks, first, resynchronise=False)
    if not balanced:
        starts, _ = _starts(text, marks, first, resynchronise=True)
    value = next((i for i, t in enumerate(starts) if t.kind == "value"), None)
    if value is not None:  # a value of the module itself: all ops of the module belong together
        op = next(i for i, t in enumerate(starts) if not begins_alias(text, t))
        starts = starts[: op + 1]
    if not starts or starts[0].start > first.start:
        starts = [first, *starts]
    bounds = [*(t.start for t in starts), end]
    return [
        Piece("alias" if begins_alias(text, token) else "ops", text[a:b].rstrip(), a)
        for token, a, b in zip(starts, bounds, bounds[1:])
    ]


def _starts(text: str, marks: Sequence[Mark], first: Token, resynchronise: bool) -> tuple[list[Token], bool]:
    """The tokens at which pieces begin, and whether all braces match."""
    starts: list[Token] = []
    depth, balanced = 0, True
    indent = _column(text, first.start)
    for mark in marks:
        if mark.kind == "open":
            depth += 1
        elif mark.kind == "close":
            balanced = balanced and depth > 0
            depth = max(0, depth - 1)
        elif depth == 0 or (resynchronise and _column(text, mark.start) <= indent):
            token = _token(text, mark)
            if token is None or (depth > 0 and token.kind == "value"):
                continue
            if begins_alias(text, token) or begins_op(text, token):
                starts.append(token)
                depth = 0
    return starts, balanced and depth == 0


def _column(text: str, offset: int) -> int:
    return offset - text.rfind("\n", 0, offset) - 1


def _wrapper(text: str, marks: Sequence[Mark], end: int) -> tuple[int, int, int] | None:
    """Where `builtin.module` begins, where its region opens and where it closes, if it is the only op of a module."""
    lines = ((i, t) for i, m in enumerate(marks) if m.kind == "line" and (t := _token(text, m)) is not None)
    index, first = next(((i, t) for i, t in lines if begins_op(text, t)), (0, None))
    if first is None or first.text not in ("builtin.module", "module", '"builtin.module"'):
        return None
    brace = _region(text, first, end)
    if brace is None:
        return None
    depth, close = 0, None
    for mark in marks[index:]:
        if mark.start >= brace and mark.kind != "line":
            depth += 1 if mark.kind == "open" else -1
            if depth == 0:
                close = mark.start
                break
    column = _column(text, first.start)
    outer = [m.start for m in marks if m.kind == "close" and m.start > brace and _stands_alone(text, m.start, column)]
    if close is None or (outer and close != outer[-1]):
        close = outer[-1] if outer else end
    behind = (t for m in marks if m.kind == "line" and m.start > close and (t := _token(text, m)) is not None)
    if any(begins_op(text, token) for token in behind):
        return None
    return first.start, brace, close


def _stands_alone(text: str, offset: int, column: int) -> bool:
    """Whether a brace is the first on its line, and no deeper than a column."""
    return first_on_line(text, offset) and _column(text, offset) <= column


def _region(text: str, first: Token, end: int) -> int | None:
    """The offset of the brace that opens the region of the op at `first`."""
    generic = first.kind == "string"
    depth, attributes, before = 0, False, ""
    for token in tokens(text, first.end, end):
        if token.text == "{" and token.kind == "open":
            if (generic and before == "(") or (not generic and depth == 0 and not attributes):
                return token.start
            depth += 1
            attributes = False
        elif token.text == "}" and token.kind == "close":
            depth -= 1
        elif token.text == "attributes" and depth == 0:
            attributes = True
        before = token.text
    return None
