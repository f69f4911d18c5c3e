"""The text of pipelines, in mlir-opt's grammar: `builtin.module(func.func(canonicalize),quantise-linears{scheme=int8},…)`.

pipeline ::= `builtin.module` `(` list `)` | list
list     ::= (element (`,` element)*)?
element  ::= name (`{` option* `}`)? | anchor `(` list `)`
option   ::= key (`=` value)?
value    ::= item (`,` item)* | `{` (item (`,` item)*)? `}`

An item is any text without spaces, commas and braces, as in `file=/tmp/x.mlir`. Quotes, `"…"` with escapes or `'…'` without, and
braces group: `s='a b'` and `s={a b}` say `a b`. A name is a pass's or a named pipeline's; an anchor is an op's name, or `any`. `// …` is a comment up to the end of its line.
"""

from __future__ import annotations

import re
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NoReturn

from ...dialects.ir.diagnostics import LlmcError
from .anchor import ANY, ROOT
from .named_pipeline import NamedPipeline
from .options import Values, print_options, quote, read_option, with_options
from .pass_ import Pass
from .registry import Registry

_QUOTED = r""""(?:[^"\\]|\\.)*"|'[^']*'"""
_SPACE = re.compile(r"(?:\s|//[^\n]*)*")
_TOKEN = re.compile(rf"([A-Za-z_][\w.\-]*|{_QUOTED}|-?\d[\w.+\-]*|[{{}}(),=]|$)", re.DOTALL)
_PART = re.compile(rf"""{_QUOTED}|[^\s,{{}}"']+""", re.DOTALL)
_BRACE = re.compile(rf"{_QUOTED}|[{{}}]", re.DOTALL)
_OPTION = re.compile(r"([A-Za-z_][\w.\-]*)=")
QUOTING = "put the value in quotes, as in OPTION='a b'"


@dataclass(frozen=True)
class Nested:
    """Passes anchored on every op named `anchor` directly inside the op that the list around it runs on."""

    anchor: str
    elements: tuple[Element, ...]

    def __str__(self) -> str:
        return f"{self.anchor}({print_elements(self.elements)})"


Element = Pass | NamedPipeline | Nested


def print_elements(elements: Sequence[Element]) -> str:
    """The text of a list of passes; parsing it gives them back."""
    return ",".join(str(e) if isinstance(e, Nested) else print_pass(e) for e in elements)


def print_pipeline(elements: Sequence[Element]) -> str:
    """The text of a whole pipeline."""
    return f"{ROOT}({print_elements(elements)})"


def print_pass(pass_: Pass | NamedPipeline) -> str:
    """`name{key=value …}` with the options that differ from their defaults."""
    return pass_.name + print_options(pass_)


def parse_pipeline(text: str, registry: Registry | None = None) -> tuple[Element, ...]:
    """The passes of a pipeline; an outer `builtin.module(…)` is optional. `registry` says what the names mean; without one they
    are llmc's own.

    Every error has a caret under the mistake: LLMC0201 for a name that nothing has, LLMC0202 for the grammar, LLMC0203 for
    options, LLMC0206 for an anchor that a pass
    can't run on, LLMC0208 for an option that is given twice, LLMC0209 for an anchor that is no op.
    """
    return _Reader(text, registry or Registry()).pipeline()


def check_anchor(pass_: Pass, anchor: str) -> None:
    """Raise LLMC0206 when a pass can't run on ops named `anchor`."""
    if pass_.anchors and anchor not in pass_.anchors:
        raise LlmcError(
            "LLMC0206",
            f"pass '{pass_.name}' can't run on {anchor}",
            why=f"it runs on {' or '.join(pass_.anchors)}",
            fix=f"put it into {pass_.anchors[0]}(…)",
        )


class _Reader:
    def __init__(self, text: str, registry: Registry) -> None:
        self.text = text
        self.registry = registry
        self.inside = 0  # how many lists of anchors are open
        self.go(0)

    # Errors ----------------------------------------------------------------------------------------------------------

    def place(self, position: int) -> str:
        """The line of the text, and a caret under the column."""
        begin = self.text.rfind("\n", 0, position) + 1
        line = self.text[begin:].split("\n", 1)[0]
        column = position - begin
        shown, offset = line, column
        if len(line) > 160:
            cut = max(0, column - 80)
            shown, offset = line[cut : cut + 160], column - cut
        return f"column {column + 1}\n      {shown}\n      {' ' * offset}^"

    def fail(self, what: str, position: int | None = None, fix: str | None = None) -> NoReturn:
        position = self.position if position is None else position
        raise LlmcError(
            "LLMC0202",
            f"pass pipeline: {what}",
            self.place(position),
            fix=fix
            or "write a pipeline as PASS{OPTION=VALUE},OTHER,OP(PASS,…); a value of other characters can be put in quotes",
        )

    # Tokens ----------------------------------------------------------------------------------------------------------

    def scan(self, position: int) -> tuple[str, int]:
        """The token after spaces and comments, and where it begins; '' at the end."""
        start = self.after_space(position)
        match = _TOKEN.match(self.text, start)
        if match is None:
            self.fail(f"unexpected character '{self.text[start]}'", start)
        return match.group(), start

    def after_space(self, position: int) -> int:
        match = _SPACE.match(self.text, position)
        return match.end() if match is not None else position

    def go(self, position: int) -> None:
        """Read on from a position of the text."""
        self.token, self.position = self.scan(position)

    @property
    def end(self) -> int:
        return self.position + len(self.token)

    def peek(self) -> str:
        return self.token

    def take(self, expected: str | None = None) -> str:
        token = self.peek()
        if expected is not None and token != expected:
            self.fail(f"expected '{expected}'" + (f", found '{token}'" if token else " at the end"))
        if not token:
            self.fail("ends too early")
        self.go(self.end)
        return token

    def name(self, what: str) -> str:
        token = self.peek()
        if token and not re.match(r"[A-Za-z_]", token):
            self.fail(f"expected {what}, found '{token}'")
        return self.take()

    # Grammar ---------------------------------------------------------------------------------------------------------

    def pipeline(self) -> tuple[Element, ...]:
        if not self.peek():
            return ()
        whole = self.peek() == ROOT and self.scan(self.end)[0] == "("
        if whole:
            self.take()
            self.take("(")
            self.inside += 1
        elements = self.elements(ROOT)
        if whole:
            self.take(")")
        if self.peek():
            self.fail(f"unexpected '{self.peek()}'")
        return elements

    def elements(self, anchor: str) -> tuple[Element, ...]:
        if self.peek() == ")":
            return ()
        found = [self.element(anchor)]
        while self.peek() == ",":
            self.take()
            found.append(self.element(anchor))
        return tuple(found)

    def element(self, anchor: str) -> Element:
        start = self.position
        name = self.name("the name of a pass")
        if self.peek() == "(":
            if name == ROOT and not self.inside:
                self.fail(f"{ROOT}(…) holds the whole pipeline, and nothing stands beside it", start)
            self.check_op(name, start)
            self.take()
            self.inside += 1
            inner = self.elements(name)
            self.inside -= 1
            self.take(")")
            return Nested(name, inner)
        with self.blaming(start):
            cls = self.registry.find(name)
            kind = f"pass '{name}'" if issubclass(cls, Pass) else f"pipeline '{name}'"
            made = self.made(cls, kind, start)
            if isinstance(made, Pass) and anchor != ANY:
                check_anchor(made, anchor)
        return made

    def made(self, cls: type[Pass] | type[NamedPipeline], kind: str, start: int) -> Pass | NamedPipeline:
        """The pass with the options that stand here."""
        arguments: dict[str, Any] = {}
        if self.peek() == "{":
            self.take()
            while self.peek() != "}":
                at = self.position
                key = self.name("the name of an option")
                with self.blaming(at):
                    field, value = read_option(cls, kind, key, self.values())
                    if field in arguments:
                        raise LlmcError("LLMC0208", f"option '{key}' of {kind} is given twice", fix="give it once")
                arguments[field] = value
            self.take("}")
        with self.blaming(start):
            return with_options(cls, kind, arguments)

    @contextmanager
    def blaming(self, position: int) -> Generator[None]:
        """Errors inside that say no place are at a position of the text."""
        try:
            yield
        except LlmcError as error:
            if error.where is None:
                error.where = self.place(position)
            raise

    def values(self) -> Values:
        """The items after `=`; None where there is no `=`."""
        if self.peek() != "=":
            return None
        begin = self.end
        if self.text[begin : begin + 1].isspace():  # or `//` begins a path
            begin = self.after_space(begin)
        braced = self.text.startswith("{", begin)
        if braced:
            close = self.closing(begin)
            begin = self.after_space(begin + 1)
            if begin == close:
                self.go(close + 1)
                return []
        values: list[str] = []
        while True:
            end = self.item_end(begin, braced)
            values.append(self.item(begin, end))
            following = self.after_space(end)
            if not self.text.startswith(",", following):
                break
            begin = self.after_space(following + 1)
        self.go(following + 1 if braced else end)
        return values

    def item_end(self, begin: int, spaces: bool) -> int:
        """Where an item ends; with `spaces`, in braces, there may be some in it."""
        position = begin
        while True:
            if (part := _PART.match(self.text, position)) is not None:
                position = part.end()
            elif self.text.startswith("{", position):
                position = self.closing(position) + 1
            elif spaces and position < (end := self.after_space(position)) and not self.text.startswith((",", "}"), end):
                position = end
            else:
                break
        found = self.text[position : position + 1]
        if found and found in "\"'":
            self.fail(f"the quote {found} is not closed", position, f"close it; or {QUOTING}")
        if position == begin:
            self.fail("expected a value" + (f", found '{found}'" if found else " at the end"), position, QUOTING)
        before = _OPTION.match(self.text, begin, position)
        if before is not None and not spaces and self.text[begin - 1].isspace():
            self.fail(f"expected a value, found the option '{before.group(1)}'", begin, f"give one; or {QUOTING}")
        return position

    def item(self, begin: int, end: int) -> str:
        """An item as `options.unquote` reads it: in double quotes, or plain; quotes and braces around all of it are no part of it."""
        text = self.text[begin:end]
        if re.fullmatch(_QUOTED, text, re.DOTALL):
            return text if text.startswith('"') else quote(text[1:-1])
        if text.startswith("{") and self.closing(begin) == end - 1:
            return quote(text[1:-1].strip())
        return quote(text) if text.startswith('"') else text

    def closing(self, begin: int) -> int:
        """The position of the brace that closes the one at `begin`; those in quotes do not count."""
        depth = 0
        for part in _BRACE.finditer(self.text, begin):
            depth += {"{": 1, "}": -1}.get(part.group(), 0)
            if not depth:
                return part.start()
        self.fail("the brace is not closed", begin, f"close it; or {QUOTING}")

    def check_op(self, name: str, start: int) -> None:
        if name != ANY and not self.registry.knows_op(name):
            near = self.registry.ops_like(name)
            raise LlmcError(
                "LLMC0209",
                f"no op is called '{name}', so that passes can't be anchored on it",
                self.place(start),
                fix=f"did you mean {', '.join(near)}?" if near else "an anchor is an op, as in func.func(…), or any(…)",
            )
