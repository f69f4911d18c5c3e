"""What can stand at the cursor."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields
from typing import Literal

from xdsl.ir import TypeAttribute
from xdsl.irdl import IRDLOperation

from ...passes.framework.options import option_name, type_text
from ..commandline.opt_arguments import parser as opt_parser
from .document import Document, Part
from .lexical import WORD, line_bounds
from .navigation import aliases_of
from .recovering import Scope
from .vocabulary import Vocabulary

RESULT = r"(?:%[\w$.-]+(?::\d+)?\s*,?\s*)+=\s*"
TYPED = re.compile(r"[%@#!^]?[\w$.-]*$")


@dataclass(frozen=True)
class Proposal:
    """A text that can replace what was typed from `start` on."""

    text: str
    kind: Literal["op", "value", "symbol", "alias", "attribute", "block", "pass", "option", "flag", "property"]
    start: int
    detail: str = ""


def complete(document: Document, offset: int, vocabulary: Vocabulary) -> list[Proposal]:
    """The proposals at an offset: those that go on with what is typed."""
    begin, _ = line_bounds(document.text, offset)
    line = document.text[begin:offset]
    if "//" in line:
        return list(_in_comment(line, offset, vocabulary)) if "RUN:" in line else []
    typed = TYPED.search(line)
    word = typed.group() if typed is not None else ""
    start = offset - len(word)
    before = line[: len(line) - len(word)]
    part = document.part_at(offset)
    if part is None or part.piece.kind == "wrapper":
        part = next((p for p in reversed(document.parts) if p.piece.start <= offset and p.piece.kind != "wrapper"), part)
    found: Iterable[Proposal]
    match word[:1]:
        case "%":
            found = _values(document, part, start)
        case "@":
            found = _symbols(document, part, start)
        case "#" | "!":
            found = _attributes(document, part, word[0], start, vocabulary)
        case "^":
            found = _blocks(document, part, start)
        case _ if re.fullmatch(rf'\s*(?:{RESULT})?"?', before):
            found = (Proposal(name, "op", start) for name in vocabulary.ops)
        case _:
            found = _properties(line, start, vocabulary)
    return [p for p in found if p.text.startswith(word) and p.text != word]


def _scopes(document: Document, part: Part, offset: int) -> Iterator[Scope]:
    """The regions around an offset of the file, inner ones first."""
    document.read(part)
    scope = part.innermost(offset - part.piece.start)
    while scope is not None:
        yield scope
        scope = scope.parent


def _values(document: Document, part: Part | None, start: int) -> Iterator[Proposal]:
    if part is None:
        return
    at = start - part.piece.start
    for scope in _scopes(document, part, start):
        for definition in scope.values.values():
            if definition.start < at:
                several = len(definition.values) > 1
                for i, value in enumerate(definition.values):
                    name = f"%{definition.name}#{i}" if several else f"%{definition.name}"
                    yield Proposal(name, "value", start, str(value.type)[:200])


def _symbols(document: Document, part: Part | None, start: int) -> Iterator[Proposal]:
    for name, op in {s.name: s.op for _, s in document.symbols(part.chunk if part is not None else 0)}.items():
        yield Proposal(f"@{name}" if re.fullmatch(WORD, name) else f'@"{name}"', "symbol", start, op)


def _attributes(document: Document, part: Part | None, sigil: str, start: int, vocabulary: Vocabulary) -> Iterator[Proposal]:
    for other in document.chunk_parts(part.chunk) if part is not None else ():
        for alias in aliases_of(other):
            if alias[0] == sigil and other is not part:
                yield Proposal(alias, "alias", start, other.piece.text.split("=", 1)[1].strip()[:200])
    for name, found in vocabulary.attributes.items():
        if "." in name and issubclass(found, TypeAttribute) == (sigil == "!") and not name.startswith("builtin."):
            yield Proposal(f"{sigil}{name}", "attribute", start)


def _blocks(document: Document, part: Part | None, start: int) -> list[Proposal]:
    scope = next(_scopes(document, part, start), None) if part is not None else None
    return [Proposal(f"^{name}", "block", start) for name in scope.blocks] if scope is not None else []


def _properties(line: str, start: int, vocabulary: Vocabulary) -> Iterator[Proposal]:
    """Inside `{…}` of an op: the attributes that it takes and that are not given."""
    match = re.match(rf'\s*(?:{RESULT})?"?([A-Za-z_]\w*\.[\w.]+)', line)
    op = vocabulary.ops.get(match.group(1)) if match is not None else None
    opened = line.rfind("{")
    if op is None or not issubclass(op, IRDLOperation) or opened < line.rfind("}") or not re.search(r"[{,]\s*\w*$", line):
        return
    definition = op.get_irdl_definition()
    given = {*re.findall(r"(\w+)\s*=", line[opened:]), "operandSegmentSizes", "resultSegmentSizes", "sym_name"}
    for name in (*definition.properties, *definition.attributes):
        if name not in given:
            yield Proposal(name, "property", start)


def _in_comment(line: str, offset: int, vocabulary: Vocabulary) -> Iterator[Proposal]:
    """RUN lines: flags of llmc-opt, passes in `--pass-pipeline`, and their options."""
    word = re.search(r"[\w-]*$", line)
    typed = word.group() if word is not None else ""
    start = offset - len(typed)
    before = line[: len(line) - len(typed)]
    found: Iterable[Proposal] = ()
    pipeline = re.search(r"--pass-pipeline[= ](?:'[^']*|\"[^\"]*|[^\s'\"]*)$", before)
    if pipeline is not None:
        options = re.search(r"([\w-]+)\{[^}]*$", pipeline.group())
        if options is None:
            found = (Proposal(name, "pass", start) for name in vocabulary.passes)
        elif (cls := vocabulary.passes.get(options.group(1))) is not None and before[-1:] in "{ ,":
            found = (Proposal(option_name(f.name), "option", start, type_text(cls, f)) for f in fields(cls))
    elif typed.startswith("-"):
        flags = [o for action in opt_parser()._actions for o in action.option_strings]  # pyright: ignore[reportPrivateUsage]
        found = (Proposal(flag, "flag", start) for flag in flags)
    yield from (p for p in found if p.text.startswith(typed) and p.text != typed)
