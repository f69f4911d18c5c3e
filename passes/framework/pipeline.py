"""The text of pipelines, in mlir-opt's grammar: `builtin.module(func.func(canonicalize),quantise-linears{scheme=int8},…)`.

pipeline ::= `builtin.module` `(` list `)` | list
list     ::= (element (`,` element)*)?
element  ::= name (`{` option* `}`)? | anchor `(` list `)`
option   ::= key (`=` value)?
value    ::= item (`,` item)* | `{` (item (`,` item)*)? `}`          an item may be quoted

A name is a pass's or a named pipeline's; an anchor is an op's name, or `any`. `// …` is a comment up to the end of its line.
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
from .options import Values, print_options, read_option, with_options
from .pass_ import Pass
from .registry import Registry

_TOKEN = re.compile(r'(?:\s|//[^\n]*)*(?:([A-Za-z_][\w.\-]*)|("(?:[^"\\]|\\.)*")|(-?\d[\w.+\-]*)|([{}(),=])|($))', re.DOTALL)


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
        self.tokens: list[tuple[str, int]] = []
        position = 0
        while True:
            match = _TOKEN.match(text, position)
            if match is None:
                lead = re.compile(r"(?:\s|//[^\n]*)*").match(text, position)
                self.fail("unexpected character", position if lead is None else lead.end())
            group = match.lastindex or 0
            self.tokens.append((match.group(group), match.start(group)))
            position = match.end()
            if group == 5:
                break
        self.index = 0
        self.inside = 0  # how many lists of anchors are open

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

    def fail(self, what: str, position: int | None = None) -> NoReturn:
        position = self.position if position is None else position
        raise LlmcError(
            "LLMC0202",
            f"pass pipeline: {what}",
            self.place(position),
            fix="write a pipeline as PASS{OPTION=VALUE},OTHER,OP(PASS,…)",
        )

    # Tokens ----------------------------------------------------------------------------------------------------------

    @property
    def position(self) -> int:
        return self.tokens[self.index][1]

    def peek(self, ahead: int = 0) -> str:
        return self.tokens[min(self.index + ahead, len(self.tokens) - 1)][0]

    def take(self, expected: str | None = None) -> str:
        token = self.peek()
        if expected is not None and token != expected:
            self.fail(f"expected '{expected}'" + (f", found '{token}'" if token else " at the end"))
        if not token:
            self.fail("ends too early")
        self.index += 1
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
        whole = self.peek() == ROOT and self.peek(1) == "("
        if whole:
            self.index += 2
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
        if self.peek() != "=":
            return None
        self.take()
        braced = self.peek() == "{"
        if braced:
            self.take()
            if self.peek() == "}":
                self.take()
                return []
        values = [self.value()]
        while self.peek() == ",":
            self.take()
            values.append(self.value())
        if braced:
            self.take("}")
        return values

    def value(self) -> str:
        if self.peek() in ("{", "}", "(", ")", ",", "="):
            self.fail(f"expected a value, found '{self.peek()}'")
        return self.take()

    def check_op(self, name: str, start: int) -> None:
        if name != ANY and not self.registry.knows_op(name):
            near = self.registry.ops_like(name)
            raise LlmcError(
                "LLMC0209",
                f"no op is called '{name}', so that passes can't be anchored on it",
                self.place(start),
                fix=f"did you mean {', '.join(near)}?" if near else "an anchor is an op, as in func.func(…), or any(…)",
            )
