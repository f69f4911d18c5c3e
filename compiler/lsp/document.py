"""A file, read as far as it was asked for. A later version takes over what the edit left as it was."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from xdsl.context import Context
from xdsl.ir import Attribute, Operation
from xdsl.utils.exceptions import ParseError

from .lexical import STRING, WORD, Token, pairs, symbol_text, tokens
from .recovering import Finding, RecoveringParser, Scope
from .splitting import Chunk, Piece, split

CUSTOM_SYMBOL = re.compile(
    rf"^[ \t]*(?P<op>[A-Za-z_]\w*(?:\.[\w$.]+)?)\s+(?:(?:private|public|nested)\s+)?(?P<at>@(?:{WORD}|{STRING}))", re.M
)
GENERIC_SYMBOL = re.compile(r'^[ \t]*"(?P<op>[\w$.]+)"\([^\n]*?\bsym_name = (?P<at>"[^"\n]*")', re.M)


@dataclass(frozen=True)
class Symbol:
    """A symbol's definition: its name, the op that defines it, and the offsets of the name's token and of the op, in its part."""

    name: str
    op: str
    start: int
    end: int
    op_start: int


@dataclass
class Reading:
    """What reading a piece gave; offsets are those of the piece."""

    ops: list[Operation]
    parser: RecoveringParser | None
    findings: list[Finding]
    aliases: dict[str, Attribute]
    verified: tuple[object, list[Finding]] | None = None
    """What the symbols that it names were when it was verified, and what that gave."""


@dataclass(eq=False)
class Part:
    """A piece of one version of a file."""

    piece: Piece
    chunk: int
    key: tuple[str, str, str]
    reading: Reading | None = None

    @cached_property
    def tokens(self) -> list[Token]:
        return list(tokens(self.piece.text))

    @cached_property
    def brackets(self) -> list[tuple[Token, Token]]:
        return pairs([t for t in self.tokens if t.kind in ("open", "close")])

    @cached_property
    def symbols(self) -> list[Symbol]:
        """The symbols defined here, nested ones too, as the text has them."""
        found = [
            Symbol(
                symbol_text(m["at"]) if m["at"][0] == "@" else m["at"][1:-1], m["op"], m.start("at"), m.end("at"), m.start("op")
            )
            for pattern in (CUSTOM_SYMBOL, GENERIC_SYMBOL)
            for m in pattern.finditer(self.piece.text)
        ]
        return sorted(found, key=lambda s: s.start)

    @cached_property
    def mentions(self) -> frozenset[str]:
        """The symbols that are named here."""
        return frozenset(symbol_text(m) for m in re.findall(rf"@(?:{WORD}|{STRING})", self.piece.text))

    def innermost(self, offset: int) -> Scope | None:
        """The region that an offset of the piece stands in."""
        parser = self.reading.parser if self.reading is not None else None
        if parser is None:
            return None
        found = parser.root
        for record in parser.scopes:
            if record.start < offset < record.end and record.within(found):
                found = record
        return found


class Document:
    """One version of a file. `symbol_ops` are the names of the ops that define symbols."""

    def __init__(self, text: str, context: Context, symbol_ops: frozenset[str], previous: Document | None = None) -> None:
        self.text = text
        self.context = context
        self.symbol_ops = symbol_ops
        self.chunks: tuple[Chunk, ...] = split(text)
        self.parts: list[Part] = []
        self._symbols: dict[int, list[tuple[Part, Symbol]]] = {}
        self._by_chunk: list[list[Part]] = [[] for _ in self.chunks]
        kept: dict[tuple[str, str, str], list[Part]] = {}
        for part in previous.parts if previous is not None else ():
            kept.setdefault(part.key, []).append(part)
        for number, chunk in enumerate(self.chunks):
            aliases = ""
            for piece in chunk.pieces:
                part = Part(piece, number, (piece.kind, piece.text, aliases))
                before = kept.get(part.key)
                if before:
                    old = before.pop(0)
                    part.reading = old.reading
                    for name in ("tokens", "brackets", "symbols", "mentions"):  # cached by the text alone
                        if name in old.__dict__:
                            part.__dict__[name] = old.__dict__[name]
                self.parts.append(part)
                self._by_chunk[number].append(part)
                if piece.kind == "alias":
                    aliases += piece.text + "\n"

    def part_at(self, offset: int) -> Part | None:
        """The part that an offset stands in; the wrapper only where no other does."""
        wrapper: Part | None = None
        for part in self.parts:
            if part.piece.relative(offset) is not None:
                if part.piece.kind != "wrapper":
                    return part
                wrapper = part
        return wrapper

    def chunk_parts(self, chunk: int) -> list[Part]:
        return self._by_chunk[chunk]

    def read(self, part: Part) -> Reading:
        """The ops of a part, read at the first call."""
        if part.reading is not None:
            return part.reading
        known: dict[str, Attribute] = {}
        failed: set[str] = set()
        for other in self.chunk_parts(part.chunk):
            if other.piece.kind != "alias" or other.piece.start >= part.piece.start:
                continue
            reading = self.read(other)
            known = reading.aliases
            if reading.findings:
                failed.add(other.piece.text.split("=", 1)[0].strip())
        text = part.piece.text
        try:
            parser = RecoveringParser(self.context, text, "<editor>", known, failed)
        except ParseError as error:  # the first token is none
            finding = Finding(
                error.span.start, max(error.span.end, error.span.start + 1), "LLMC0001", f"syntax error: {error.msg}"
            )
            part.reading = Reading([], None, [finding], known)
            return part.reading
        ops = parser.parse_piece()
        part.reading = Reading(ops, parser, parser.findings, parser.attribute_aliases)
        return part.reading

    def steps(self) -> Iterator[None]:
        """Read all parts, one at a step."""
        for part in self.parts:
            if part.reading is None:
                self.read(part)
                yield

    def defines_symbols(self, op: str) -> bool:
        """Whether an op of that name defines a symbol."""
        return op in self.symbol_ops or op == "module"

    def symbols(self, chunk: int) -> list[tuple[Part, Symbol]]:
        """The definitions of symbols in a module."""
        if chunk not in self._symbols:
            self._symbols[chunk] = [(p, s) for p in self.chunk_parts(chunk) for s in p.symbols if self.defines_symbols(s.op)]
        return self._symbols[chunk]

    def definitions_of(self, chunk: int, name: str) -> list[tuple[Part, Symbol]]:
        return [(p, s) for p, s in self.symbols(chunk) if s.name == name]
