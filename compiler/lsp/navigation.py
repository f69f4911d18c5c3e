"""What stands at an offset, where it is defined, and where else it is named."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from .document import Document, Part, Symbol
from .lexical import Token, line_bounds, symbol_text, token_at
from .recovering import Definition, OpText, RecoveringParser, Scope

What = Literal["value", "block", "symbol", "alias", "op", "attribute", "code", "pass"]


@dataclass(frozen=True)
class Place:
    """From `start` to before `end` in the file."""

    start: int
    end: int
    defines: bool = False


@dataclass(frozen=True)
class Target:
    """What the cursor is on: `name` without `%`, `@` or `^`, aliases and attributes with their `#` or `!`."""

    what: What
    name: str
    place: Place
    part: Part
    index: int = 0
    scope: Scope | None = None
    definition: Definition | None = None
    op: OpText | None = None


def target_at(document: Document, offset: int) -> Target | None:
    """What stands at an offset; its part is read for it."""
    token = token_at(document.text, offset)
    if token is None:
        return None
    part = document.part_at(token.start) or next(iter(document.parts), None)
    if part is None:
        return None
    place = Place(token.start, token.end)
    match token.kind:
        case "comment":
            return _in_comment(document, token, offset, part)
        case "symbol":
            return Target("symbol", symbol_text(token.text), place, part)
        case "attribute" | "type":
            owner = token_at(document.text, token.start - 1) if token.text[1:].isdigit() and token.start > 0 else None
            if owner is not None and owner.kind == "value" and owner.end == token.start:  # the index of %name#1
                return target_at(document, owner.start)
            alias = any(token.text in aliases_of(p) for p in document.chunk_parts(part.chunk))
            return Target("alias" if alias else "attribute", token.text, place, part)
        case "value" | "block" | "word" | "string":
            reading = document.read(part)
            at = part.piece.relative(token.start)
            if reading.parser is None or at is None:
                return None
            return _in_ir(token, at, part, reading.parser)
        case _:
            return None


def _in_ir(token: Token, at: int, part: Part, parser: RecoveringParser) -> Target | None:
    place = Place(token.start, token.end)
    name = token.text[1:]
    if token.kind == "value":
        use = parser.uses.get(at)
        scope = use.scope if use is not None else part.innermost(at)
        definition = next((d for d in parser.definitions if d.start == at), None)
        if definition is None and scope is not None:
            definition = scope.lookup(name)
        return Target("value", name, place, part, use.index if use is not None else 0, scope, definition)
    if token.kind == "block":
        use = parser.block_uses.get(at)
        scope = use.scope if use is not None else part.innermost(at)
        return Target("block", name, place, part, 0, scope)
    if token.kind == "string" and any(at == symbol.start for symbol in part.symbols):
        return Target("symbol", token.text[1:-1], place, part)
    record = next((op for op in parser.ops if op.name_start == at), None)
    return None if record is None else Target("op", record.name, place, part, op=record)


def _in_comment(document: Document, token: Token, offset: int, part: Part) -> Target | None:
    begin, end = line_bounds(document.text, offset)
    for match in re.finditer(r"[\w.-]+", document.text[begin:end]):
        start, stop = begin + match.start(), begin + match.end()
        if start <= offset <= stop and start >= token.start:
            code = re.fullmatch(r"LLMC\d{4}", match.group())
            return Target("code" if code else "pass", match.group(), Place(start, stop), part)
    return None


def aliases_of(part: Part) -> list[str]:
    """The aliases that a part defines."""
    return [part.piece.text.split("=", 1)[0].strip()] if part.piece.kind == "alias" else []


def definitions(document: Document, target: Target) -> list[Place]:
    """Where a target is defined in its file; several for a symbol of several modules inside one another."""
    at = target.part.piece.absolute
    match target.what:
        case "value":
            return (
                [Place(at(target.definition.start), at(target.definition.end), True)] if target.definition is not None else []
            )
        case "block":
            found = target.scope.blocks.get(target.name) if target.scope is not None else None
            return [Place(at(found.start), at(found.end), True)] if found is not None else []
        case "symbol":
            return [_symbol_place(p, s) for p, s in document.definitions_of(target.part.chunk, target.name)]
        case "alias":
            return [
                Place(p.piece.start, p.piece.start + len(target.name), True)
                for p in document.chunk_parts(target.part.chunk)
                if target.name in aliases_of(p)
            ]
        case _:
            return []


def _symbol_place(part: Part, symbol: Symbol) -> Place:
    return Place(part.piece.absolute(symbol.start), part.piece.absolute(symbol.end), True)


def occurrences(document: Document, target: Target) -> list[Place]:
    """Every place that names a target, definitions among them, in order."""
    found = {place.start: place for place in [*_uses(document, target), *definitions(document, target)]}
    return [found[start] for start in sorted(found)]


def _uses(document: Document, target: Target) -> Iterator[Place]:
    match target.what:
        case "value" | "block":
            yield from _local_uses(document, target)
        case "symbol" | "alias":
            kinds = ("symbol",) if target.what == "symbol" else ("attribute", "type")
            for part in document.chunk_parts(target.part.chunk):
                if target.what == "symbol" and target.name not in part.mentions:
                    continue
                for token in part.tokens:
                    if (
                        token.kind in kinds
                        and (symbol_text(token.text) if target.what == "symbol" else token.text) == target.name
                    ):
                        yield Place(part.piece.absolute(token.start), part.piece.absolute(token.end))
        case "op":
            parser = document.read(target.part).parser
            for op in parser.ops if parser is not None else ():
                if op.name == target.name:
                    yield Place(target.part.piece.absolute(op.name_start), target.part.piece.absolute(op.name_end))
        case _:
            yield target.place


def _local_uses(document: Document, target: Target) -> Iterator[Place]:
    """The uses of a value or block, all in one part."""
    parser = document.read(target.part).parser
    if parser is None:
        return
    at = target.part.piece.absolute
    for use in (parser.uses if target.what == "value" else parser.block_uses).values():
        if use.name != target.name:
            continue
        if target.what == "block":
            same = use.scope is target.scope
        else:
            same = target.definition is not None and use.scope.lookup(use.name) is target.definition
        if same:
            yield Place(at(use.start), at(use.start) + 1 + len(use.name))
    if target.definition is None and target.what == "value":
        yield target.place
