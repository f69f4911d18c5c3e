"""`--split-input-file` and `--verify-diagnostics`: files of small modules, and the errors that they should give.

Chunks are separated by lines `// -----`; each runs whatever the others do. An expected error is a comment that names the line of
the error, as mlir-opt has it:

    // expected-error @+1 {{part of the message}}
    %0 = nn.add %x, %y : …

`@+n`, `@-n` count lines; `@below` and `@above` are the next and the previous line that is no such comment; `@unknown` is an error
without a line; nothing is the comment's own line.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from dataclasses import dataclass

from xdsl.dialects.builtin import FileLineColLoc, FusedLoc, NameLoc
from xdsl.ir import Attribute, Block, Operation, Region, SSAValue

from ...dialects.ir.diagnostics import LlmcError

SEPARATOR = re.compile(r"^// -----[ \t]*\n", re.MULTILINE)
EXPECTED = re.compile(r"//\s*expected-error\s*(@\s*(?:[+-]\d+|above|below|unknown))?\s*\{\{(.*?)\}\}")
UNKNOWN = 0  # the line of an error that has none


@dataclass(frozen=True)
class Expected:
    """An error that should occur: part of its message, and the line it stands at."""

    line: int
    text: str

    def matches(self, error: LlmcError, line: int) -> bool:
        return line == self.line and self.text in error.what


def split_chunks(text: str) -> list[str]:
    """The chunks of a file; each begins with as many empty lines as stand before it, so that lines keep their numbers."""
    chunks: list[str] = []
    start = 0
    for separator in [*SEPARATOR.finditer(text), None]:
        end = separator.start() if separator is not None else len(text)
        chunks.append("\n" * text.count("\n", 0, start) + text[start:end])
        start = separator.end() if separator is not None else end
    return chunks


def expected_errors(text: str) -> list[Expected]:
    """What the comments of a chunk expect."""
    lines = text.split("\n")

    def neighbour(index: int, step: int) -> int:
        index += step
        while 0 <= index < len(lines) and EXPECTED.search(lines[index]):
            index += step
        return index + 1

    found: list[Expected] = []
    for index, line in enumerate(lines):
        for match in EXPECTED.finditer(line):
            place = (match.group(1) or "@+0")[1:].strip()
            if place in ("above", "below"):
                number = neighbour(index, 1 if place == "below" else -1)
            else:
                number = UNKNOWN if place == "unknown" else index + 1 + int(place)
            found.append(Expected(number, match.group(2)))
    return found


def line_of(where: object, name: str) -> int:
    """The line of file `name` that an error's `where` points at, or UNKNOWN."""
    match where:
        case str():
            found = re.match(re.escape(name) + r":(\d+)", where)
            return int(found.group(1)) if found else UNKNOWN
        case Operation():
            op: Operation | None = where
            while op is not None:
                line = _line_in(op.location, name)
                if line != UNKNOWN:
                    return line
                op = op.parent_op()
            return UNKNOWN
        case SSAValue():
            return line_of(where.owner, name)
        case Block() | Region():
            return line_of(where.parent_op(), name)
        case Attribute():
            return _line_in(where, name)
        case _:
            return UNKNOWN


def _line_in(location: Attribute, name: str) -> int:
    match location:
        case FileLineColLoc() if location.filename.data == name:
            return location.line.data
        case NameLoc():
            return _line_in(location.location, name)
        case FusedLoc():
            return next((line for part in location.locations if (line := _line_in(part, name)) != UNKNOWN), UNKNOWN)  # pyright: ignore
        case _:
            return UNKNOWN


def run_chunks(
    text: str,
    name: str,
    process: Callable[[str], str],
    *,
    split: bool,
    verify: bool,
    render: Callable[[LlmcError], str] = LlmcError.render,
) -> tuple[str, int]:
    """Run every chunk of `text` through `process`, which gives its output or raises an LlmcError.

    Returns the outputs of the chunks without error, and the exit code. Errors, and with `verify` the differences from what the
    comments expect, go to stderr.
    """
    outputs: list[str] = []
    failures = 0
    for chunk in split_chunks(text) if split else [text]:
        expected = expected_errors(chunk) if verify else []
        try:
            outputs.append(process(chunk))
        except LlmcError as error:
            line = line_of(error.where, name)
            match = next((e for e in expected if e.matches(error, line)), None)
            if match is not None:
                expected.remove(match)
            else:
                failures += 1
                note = f"{name}:{line or '?'}: unexpected error\n" if verify else ""
                print(f"{note}{render(error)}", file=sys.stderr)
        for missing in expected:
            failures += 1
            print(f'{name}:{missing.line or "?"}: expected error "{missing.text}" was not produced', file=sys.stderr)
    return "// -----\n".join(outputs), int(failures > 0)
