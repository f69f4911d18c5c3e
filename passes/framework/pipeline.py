"""The text of pipelines, in mlir-opt's grammar: `builtin.module(cse,quantise-linears{scheme=int8},…)`.

pipeline ::= anchor `(` list `)` | list
list     ::= element (`,` element)*
element  ::= name (`{` option* `}`)? | anchor `(` list `)`
option   ::= key (`=` value)?            value may be a comma list or quoted
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, fields
from types import UnionType
from typing import Any, NoReturn, Union, get_args, get_origin, get_type_hints

from ...dialects.ir.diagnostics import LlmcError
from .pass_ import Pass
from .registry import lookup_pass

_TOKEN = re.compile(r'\s*(?:([A-Za-z_][\w.\-]*)|("(?:[^"\\]|\\.)*")|(-?\d[\w.+\-]*)|([{}(),=]))')


@dataclass(frozen=True)
class Nested:
    """Passes anchored on every op named `anchor`."""

    anchor: str
    elements: tuple[Element, ...]

    def __str__(self) -> str:
        return f"{self.anchor}({print_elements(self.elements)})"


Element = Pass | Nested


def print_elements(elements: Sequence[Element]) -> str:
    """The text of a list of passes; parsing it gives them back."""
    return ",".join(str(e) if isinstance(e, Nested) else print_pass(e) for e in elements)


def print_pass(pass_: Pass) -> str:
    """`name{key=value …}` with the options that differ from their defaults."""
    options = pass_.options()
    if not options:
        return pass_.name
    return pass_.name + "{" + " ".join(f"{k.replace('_', '-')}={_print_value(v)}" for k, v in options.items()) + "}"


def _print_value(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, tuple):
        return ",".join(_print_value(v) for v in value)  # pyright: ignore
    if isinstance(value, str) and not re.fullmatch(r"[A-Za-z_][\w.\-]*", value):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return str(value)


class _Reader:
    def __init__(self, text: str) -> None:
        self.text = text
        self.tokens: list[tuple[str, int]] = []
        position = 0
        end = len(text.rstrip())
        while position < end:
            match = _TOKEN.match(text, position)
            if match is None:
                self.fail("unexpected character", position)
            self.tokens.append((match.group(match.lastindex or 0), match.start(match.lastindex or 0)))
            position = match.end()
        self.index = 0

    def fail(self, what: str, position: int | None = None) -> NoReturn:
        if position is None:
            position = self.tokens[self.index][1] if self.index < len(self.tokens) else len(self.text)
        caret = " " * position + "^"
        raise LlmcError("LLMC0202", f"pass pipeline: {what}", f"column {position + 1}\n      {self.text}\n      {caret}")

    def peek(self) -> str:
        return self.tokens[self.index][0] if self.index < len(self.tokens) else ""

    def take(self, expected: str | None = None) -> str:
        token = self.peek()
        if expected is not None and token != expected:
            self.fail(f"expected '{expected}'" + (f", found '{token}'" if token else " at the end"))
        if not token:
            self.fail("ends too early")
        self.index += 1
        return token

    def elements(self) -> tuple[Element, ...]:
        found = [self.element()]
        while self.peek() == ",":
            self.take()
            found.append(self.element())
        return tuple(found)

    def element(self) -> Element:
        start = self.tokens[self.index][1] if self.index < len(self.tokens) else None
        name = self.take()
        if not re.match(r"[A-Za-z_]", name):
            self.index -= 1
            self.fail(f"expected the name of a pass, found '{name}'")
        if self.peek() == "(":
            self.take()
            inner = self.elements()
            self.take(")")
            return Nested(name, inner)
        options: dict[str, list[str]] = {}
        if self.peek() == "{":
            self.take()
            while self.peek() != "}":
                key = self.take()
                values: list[str] = []
                if self.peek() == "=":
                    self.take()
                    values.append(self.take())
                    while self.peek() == ",":
                        self.take()
                        values.append(self.take())
                options[key] = values
            self.take("}")
        try:
            return make_pass(name, options)
        except LlmcError as error:
            if error.where is None and start is not None:
                error.where = f"column {start + 1} of '{self.text}'" if len(self.text) < 200 else f"column {start + 1}"
            raise


def parse_pipeline(text: str) -> tuple[Element, ...]:
    """The passes of a pipeline; an outer `builtin.module(…)` is optional. Raises LLMC0202 with a caret under the mistake,
    LLMC0201 for unknown passes, LLMC0203 for wrong options."""
    reader = _Reader(text)
    if not reader.tokens:
        return ()
    elements = reader.elements()
    if reader.index != len(reader.tokens):
        reader.fail(f"unexpected '{reader.peek()}'")
    if len(elements) == 1 and isinstance(elements[0], Nested) and elements[0].anchor == "builtin.module":
        return elements[0].elements
    return elements


def make_pass(name: str, options: dict[str, list[str]]) -> Pass:
    """A pass from its name and its options' texts, checked against the types of its fields."""
    cls = lookup_pass(name)
    hints = get_type_hints(cls)
    known = {f.name: hints[f.name] for f in fields(cls)}
    arguments: dict[str, Any] = {}
    for key, values in options.items():
        attribute = key.replace("-", "_")
        if attribute not in known:
            takes = ", ".join(k.replace("_", "-") for k in known) or "none"
            raise LlmcError("LLMC0203", f"pass '{name}' has no option '{key}'", fix=f"its options are: {takes}")
        try:
            arguments[attribute] = _convert(values, known[attribute])
        except ValueError as error:
            raise LlmcError("LLMC0203", f"option '{key}' of pass '{name}': {error}") from None
    try:
        return cls(**arguments)
    except TypeError as error:
        raise LlmcError("LLMC0203", f"pass '{name}': {error}") from None


def _convert(values: list[str], hint: Any) -> Any:
    origin = get_origin(hint)
    if origin is tuple:
        return tuple(_convert([v], get_args(hint)[0]) for v in values)
    if origin in (Union, UnionType):
        return _convert(values, next(a for a in get_args(hint) if a is not type(None)))
    if len(values) > 1:
        raise ValueError(f"takes one value, not {len(values)}")
    text = values[0] if values else "true"
    if text.startswith('"'):
        text = text[1:-1].replace('\\"', '"').replace("\\\\", "\\")
    if hint is bool:
        if text not in ("true", "false", "0", "1"):
            raise ValueError(f"expected true or false, not '{text}'")
        return text in ("true", "1")
    if hint in (int, float):
        try:
            return hint(text)
        except ValueError:
            raise ValueError(f"expected {'an integer' if hint is int else 'a number'}, not '{text}'") from None
    return text
