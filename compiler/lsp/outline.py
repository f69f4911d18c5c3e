"""The symbols of a file as a tree, and what can be folded."""

from __future__ import annotations

from dataclasses import dataclass, field

from .document import Document, Part
from .hover import head
from .lexical import symbol_text


@dataclass
class Node:
    """A symbol, or a module around some. `start` to `end` is the whole op, `name_start` to `name_end` its name."""

    name: str
    op: str
    detail: str
    start: int
    end: int
    name_start: int
    name_end: int
    children: list[Node] = field(default_factory=list["Node"])


def outline(document: Document) -> list[Node]:
    """The symbols of all modules of a file. The text alone is asked: a file that can't be read has an outline too."""
    roots: list[Node] = []
    for number in range(len(document.chunks)):
        parts = document.chunk_parts(number)
        inside = [node for part in parts if part.piece.kind == "ops" for node in _nodes(document, part)]
        wrapper = next((part for part in parts if part.piece.kind == "wrapper"), None)
        if wrapper is None:
            roots.extend(inside)
            continue
        piece = wrapper.piece
        named = next((t for t in wrapper.tokens if t.kind == "symbol" and t.end <= (piece.joint or 0)), None)
        token = named or wrapper.tokens[0]
        name = symbol_text(named.text) if named is not None else "builtin.module"
        start, end = piece.absolute(token.start), piece.absolute(token.end)
        roots.append(Node(name, "builtin.module", "", piece.start, piece.end, start, end, inside))
    return roots


def _nodes(document: Document, part: Part) -> list[Node]:
    found: list[Node] = []
    around: list[Node] = []
    at = part.piece.absolute
    symbols = [s for s in part.symbols if document.defines_symbols(s.op)]
    for symbol in symbols:
        end = part.piece.end if len(symbols) == 1 and symbol.op_start == 0 else at(_end(part, symbol.op_start))
        detail = head(part, symbol)[symbol.end - symbol.op_start :].strip()
        start, name_end = at(symbol.op_start), at(symbol.end)
        node = Node(symbol.name, symbol.op, detail[:120], start, max(end, name_end), at(symbol.start), name_end)
        while around and around[-1].end <= start:
            around.pop()
        (around[-1].children if around else found).append(node)
        around.append(node)
    return found


def _end(part: Part, start: int) -> int:
    """The end of the op that begins at an offset: of its last region, or of its line."""
    text = part.piece.text
    line = text.find("\n", start)
    end = line if line >= 0 else len(text)
    for opening, closing in part.brackets:
        if start <= opening.start < end:
            end = max(end, closing.end)
    return end


def folds(document: Document) -> list[tuple[int, int, str]]:
    """Start and end of what may be folded, and its kind: regions and lists over several lines, runs of comments, of aliases."""
    text = document.text
    found: list[tuple[int, int, str]] = _comments(text)
    for part in document.parts:
        at = part.piece.absolute
        for opening, closing in part.brackets:
            if text.find("\n", at(opening.end), at(closing.start)) >= 0:
                found.append((at(opening.start), at(closing.start), "region"))
    run: list[tuple[int, int]] = []
    for part in [*document.parts, None]:
        if part is not None and part.piece.kind == "alias" and (not run or not text[run[-1][1] : part.piece.start].strip()):
            run.append((part.piece.start, part.piece.end))
            continue
        if len(run) > 1:
            found.append((run[0][0], run[-1][1], "imports"))
        run = [(part.piece.start, part.piece.end)] if part is not None and part.piece.kind == "alias" else []
    return sorted(found)


def _comments(text: str) -> list[tuple[int, int, str]]:
    """Runs of lines that are comments."""
    found: list[tuple[int, int, str]] = []
    start, count, position = 0, 0, 0
    for line in [*text.split("\n"), ""]:
        if line.lstrip().startswith("//"):
            start, count = (position, 1) if count == 0 else (start, count + 1)
        else:
            if count > 1:
                found.append((start, position - 1, "comment"))
            count = 0
        position += len(line) + 1
    return found
