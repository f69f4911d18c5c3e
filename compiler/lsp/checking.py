"""What is wrong with a file: what llmc-opt would say of it, and all of it rather than the first."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Set

from xdsl.dialects.builtin import ModuleOp
from xdsl.ir import Block, Operation
from xdsl.parser.core import ForwardDeclaredValue
from xdsl.traits import SymbolTable

from ...dialects.ir.diagnostics import LlmcError
from ...dialects.ir.dominance import verify_dominance
from ...dialects.ir.symbols import defined_symbols, symbols_of
from ...dialects.ir.verifying import error_around, own_error
from .document import Document, Part, Reading
from .recovering import Finding, RecoveringParser

NO_OWNER = "Forward declared values do not have an owner"
"""What xDSL says when a verifier looks at a value that is not defined."""

MOST = 100
"""Findings of one part that are told."""


def check(document: Document) -> list[Finding]:
    """All findings of a file, which is read as far as it was not; offsets are those of the file, in order."""
    found: list[Finding] = []
    for step in check_steps(document, found):
        del step
    return found


def check_steps(document: Document, found: list[Finding]) -> Iterator[None]:
    """`check` in steps, each short; `found` is complete after the last."""
    yield from document.steps()
    for number in range(len(document.chunks)):
        parts = document.chunk_parts(number)
        module = _module(document, parts)
        texts: dict[str, str] = {}
        for part, symbol in document.symbols(number):
            texts[symbol.name] = texts.get(symbol.name, "") + part.piece.text
        for part in parts:
            reading = document.read(part)
            if part.piece.kind != "alias":
                yield from _verify_part(document, part, reading, module, texts)
            verified = reading.verified[1] if reading.verified is not None else []
            found.extend(_place(part, finding) for finding in [*reading.findings, *verified][:MOST])
        found.extend(_doubles(document, number))
    found.sort(key=lambda f: f.start)


def _place(part: Part, finding: Finding) -> Finding:
    """A finding with the offsets of the file."""
    at = part.piece.absolute
    related = tuple((at(start), at(end), text) for start, end, text in finding.related)
    return Finding(at(finding.start), at(finding.end), finding.code, finding.what, finding.why, finding.fix, related)


def _module(document: Document, parts: list[Part]) -> ModuleOp:
    """The module that the parts make up."""
    readings = [document.read(part) for part in parts if part.piece.kind == "ops"]
    wrapper = next((document.read(part).ops for part in parts if part.piece.kind == "wrapper"), [])
    module = wrapper[0] if wrapper and isinstance(wrapper[0], ModuleOp) else ModuleOp([])
    if not module.body.blocks:
        module.body.add_block(Block())
    block = module.body.blocks[0]
    for op in list(block.ops):
        op.detach()
    for reading in readings:
        for op in reading.ops:
            if op.parent is not None:
                op.detach()
            block.add_op(op)
    return module


def _verify_part(document: Document, part: Part, reading: Reading, module: ModuleOp, symbols: dict[str, str]) -> Iterator[None]:
    """Verify what stands in a part, unless that was done and what its symbols (name → text) stand for is the same."""
    own = {s.name for s in part.symbols}
    named = tuple((name, symbols.get(name)) for name in sorted(part.mentions - own))
    head = next((p.piece.text for p in document.chunk_parts(part.chunk) if p.piece.kind == "wrapper"), "")
    state = (head, named)
    if reading.verified is not None and reading.verified[0] == state:
        return
    found: list[Finding] = []
    if reading.parser is not None:
        if part.piece.kind == "wrapper":
            found.extend(_told(own_error(module), module, reading.parser))
        else:
            known = defined_symbols(module)
            unread = symbols.keys() - known.keys()  # defined by text that is no op yet
            for op in reading.ops:
                found.extend(_verify_below(op, reading.parser, known, unread))
                yield
                found.extend(_dominance(op, reading.parser))
    reading.verified = (state, found)


def _verify_below(
    root: Operation, parser: RecoveringParser, known: Mapping[str, Operation], unread: Set[str]
) -> Iterator[Finding]:
    """What the verifiers say of each op, of what it passes on and of the symbols it names; ops that hold a part that could not be
    read, or name a symbol that could not, are left out."""
    for op in root.walk():
        record = parser.of_op.get(op)
        if record is not None and any(record.start <= a < record.end for a, _ in parser.broken):
            continue
        if any(isinstance(operand, ForwardDeclaredValue) for operand in op.operands):
            continue
        symbols = known if unread.isdisjoint(symbols_of(op)) else None
        yield from _told(own_error(op) or error_around(op, symbols), op, parser)


def _told(error: LlmcError | None, op: Operation, parser: RecoveringParser) -> Iterator[Finding]:
    """An error of a verifier, unless it is told elsewhere: at the symbols, or where the value is used."""
    if error is None:
        return
    said = str(error.__cause__)
    if said != NO_OWNER and not (op.has_trait(SymbolTable) and said.startswith("Redefinition of symbol")):
        yield _at(op, parser, error)


def _at(op: Operation, parser: RecoveringParser, error: LlmcError) -> Finding:
    inner: Operation | None = op
    while inner is not None and inner not in parser.of_op:
        inner = inner.parent_op()
    record = parser.of_op[inner] if inner is not None else None
    start, end = (record.name_start, record.name_end) if record is not None else (0, 1)
    return Finding(start, end, error.code, error.what, error.why, error.fix)


def _dominance(root: Operation, parser: RecoveringParser) -> list[Finding]:
    """Every use that its definition does not dominate, at the use."""
    found: list[Finding] = []
    uses = sorted(parser.uses.values(), key=lambda use: use.start)
    owners = {value: definition for definition in parser.definitions for value in definition.values}

    def report(op: Operation, index: int, error: LlmcError) -> None:
        operand = op.operands[index]
        if isinstance(operand, ForwardDeclaredValue):
            return
        record, definition = parser.of_op.get(op), owners.get(operand)
        finding = _at(op, parser, error)
        if record is not None and definition is not None:
            use = next((u for u in uses if record.start <= u.start < record.end and u.name == definition.name), None)
            related = ((definition.start, definition.end, "it is defined here"),)
            start, end = (use.start, use.end) if use is not None else (finding.start, finding.end)
            finding = Finding(start, end, error.code, error.what, error.why, error.fix, related)
        if finding not in found:
            found.append(finding)

    verify_dominance(root, report)
    return found


def _doubles(document: Document, chunk: int) -> Iterator[Finding]:
    """Symbols of the module itself that are defined twice."""
    first: dict[str, tuple[Part, int, int]] = {}
    for part, symbol in document.symbols(chunk):
        if part.piece.kind != "ops" or not _outermost(part, symbol.op_start):
            continue
        at = part.piece.absolute
        if symbol.name not in first:
            first[symbol.name] = (part, at(symbol.start), at(symbol.end))
            continue
        _, start, end = first[symbol.name]
        yield Finding(
            at(symbol.start),
            at(symbol.end),
            "LLMC0121",
            f'invalid IR: Redefinition of symbol "{symbol.name}"',
            fix="give it another name",
            related=((start, end, "it is defined here"),),
        )


def _outermost(part: Part, offset: int) -> bool:
    """Whether no bracket of the piece is around an offset."""
    return offset == 0 or not any(a.start < offset < b.start for a, b in part.brackets)
