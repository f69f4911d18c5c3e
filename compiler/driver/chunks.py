"""`--split-input-file` and `--verify-diagnostics`: files of small modules, and the errors, remarks and notes that they should give.

Chunks are separated by lines `// -----`, or others that are asked for; each runs whatever the others do. An expected error is a
comment that names the line of the error, as mlir-opt has it:

    // expected-error @+1 {{part of the message}}
    %0 = nn.add %x, %y : …

`@+n`, `@-n` count lines; `@below` and `@above` are the next and the previous line that is no such comment; `@unknown` is an error
without a line; nothing is the comment's own line. `expected-remark` is a remark of a pass, `expected-note` what an error says of its
why, fix and notes, at the error's line; `expected-warning` is read too, and no pass gives one. In `expected-error-re` (and so on) what
stands between `{{` and `}}` within the text is a regular expression, as in `{{contracts {{[0-9]+}} with 9}}`.

Errors must all be expected, each by a comment of its own: a chunk gives all that its verification finds, or the one that ends it. An
op stands at its line of the text, whatever location it carries. Remarks must be where `--remarks` asks for them; notes may stay unsaid.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial

from xdsl.dialects.builtin import FileLineColLoc, FusedLoc, NameLoc
from xdsl.ir import Attribute, Block, Operation, Region, SSAValue

from ...dialects.ir.diagnostics import LlmcError
from ..commandline.error_text import ErrorStyle

SEPARATOR = "// -----"
EXPECTED = re.compile(
    r"//\s*expected-(error|warning|remark|note)(-re)?\s*(@\s*(?:[+-]\d+|above|below|unknown))?\s*"
    r"\{\{((?:\{\{.*?\}\}|.)*?)\}\}"
)
MEANT = re.compile(r"//\s*expected-\w[\w-]*")
"""What looks like an expectation; where EXPECTED does not match, it is a mistake."""
PART = re.compile(r"\{\{(.*?)\}\}")
UNKNOWN = 0  # the line of an error that has none


@dataclass(frozen=True)
class Expected:
    """A diagnostic that should occur: part of its message, the line it stands at, and its kind (error, warning, remark, note).
    `regex`: parts of the text in double braces are regular expressions. `where` is the comment's own place."""

    line: int
    text: str
    kind: str = "error"
    regex: bool = False
    where: str = field(default="", compare=False)

    def matches(self, told: Diagnostic) -> bool:
        return (told.kind, told.line) == (self.kind, self.line) and re.search(self.pattern(), told.text) is not None

    def pattern(self) -> str:
        """The text as a regular expression. Raises LLMC0239 for a part that is none."""
        if not self.regex:
            return re.escape(self.text)
        pieces = PART.split(self.text)
        pattern = "".join(f"(?:{piece})" if i % 2 else re.escape(piece) for i, piece in enumerate(pieces))
        try:
            re.compile(pattern)
        except re.error as error:
            raise LlmcError(
                "LLMC0239",
                f"'{self.text}' holds no regular expression",
                self.where or f"an expected-{self.kind}-re comment",
                why=str(error),
                fix="write a regular expression of Python's re between {{ and }}",
            ) from None
        return pattern


@dataclass(frozen=True)
class Diagnostic:
    """What a chunk gave: `line` is UNKNOWN where it has none; `shown` gives what people read."""

    kind: str
    line: int
    text: str
    shown: Callable[[], str] = str


def diagnostics_of(error: LlmcError, name: str, style: ErrorStyle) -> list[Diagnostic]:
    """An error, and its why, fix and notes as notes at the same line."""
    line = line_of(error.where, name)
    notes = [note for note in (error.why, error.fix, *error.notes) if note]
    return [
        Diagnostic("error", line, error.what, partial(style.paragraph, error)),
        *(Diagnostic("note", line, note) for note in notes),
    ]


def split_chunks(text: str, separator: str = SEPARATOR) -> list[str]:
    """The chunks of a file between lines `separator`; each begins with as many empty lines as stand before it, so that lines keep
    their numbers."""
    chunks: list[str] = []
    start = 0
    lines = re.compile(rf"^{re.escape(separator)}[ \t]*\n", re.MULTILINE)
    for line in [*lines.finditer(text), None]:
        end = line.start() if line is not None else len(text)
        chunks.append("\n" * text.count("\n", 0, start) + text[start:end])
        start = line.end() if line is not None else end
    return chunks


def expected_errors(text: str, name: str = "<text>") -> list[Expected]:
    """What the comments of a chunk of file `name` expect. Raises LLMC0239 for comments that begin as an expectation and are none, or
    hold no regular expression: the first, with the others."""
    lines = text.split("\n")

    def neighbour(index: int, step: int) -> int:
        index += step
        while 0 <= index < len(lines) and EXPECTED.search(lines[index]):
            index += step
        return index + 1

    found: list[Expected] = []
    wrong: list[LlmcError] = []
    for index, line in enumerate(lines):
        begun = {match.start() for match in EXPECTED.finditer(line)}
        for meant in MEANT.finditer(line):
            if meant.start() not in begun:
                error = LlmcError(
                    "LLMC0239",
                    f"'{line[meant.start() :].strip()[:80]}' expects nothing",
                    f"{name}:{index + 1}:{meant.start() + 1}",
                    why="it begins as the comment of an expected diagnostic, and is none",
                    fix="write '// expected-error @+1 {{part of the message}}': error, warning, remark or note, each also with -re; "
                    "@+n, @-n, @above, @below or @unknown; the text between {{ and }} on the same line",
                )
                wrong.append(error)
        for match in EXPECTED.finditer(line):
            kind, regex, at, wanted = match.groups()
            place = (at or "@+0")[1:].strip()
            if place in ("above", "below"):
                number = neighbour(index, 1 if place == "below" else -1)
            else:
                number = UNKNOWN if place == "unknown" else index + 1 + int(place)
            expected = Expected(number, wanted, kind, bool(regex), f"{name}:{index + 1}:{match.start() + 1}")
            try:
                expected.pattern()
            except LlmcError as error:
                wrong.append(error)
            found.append(expected)
    if wrong:
        wrong[0].others = wrong[1:]
        raise wrong[0]
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
    separator: str = SEPARATOR,
    only_expected: bool = False,
    style: ErrorStyle = ErrorStyle(),
    remarks: Callable[[], Sequence[Diagnostic]] = lambda: (),
    all_remarks: bool = False,
) -> tuple[str, int]:
    """Run every chunk of `text`, between lines `separator` with `split`, through `process`, which gives its output or
    raises an LlmcError; `remarks` then gives the remarks of that chunk, which with `all_remarks` must all be expected. With
    `only_expected` nothing must.

    Returns the outputs of the chunks without error, and the exit code. Errors, or with `verify` the differences from what the
    comments expect, go to stderr. A chunk with a comment that expects nothing does not run.
    """
    outputs: list[str] = []
    code = 0
    for chunk in split_chunks(text, separator) if split else [text]:
        error: LlmcError | None = None
        try:
            expected = expected_errors(chunk, name) if verify else []
        except LlmcError as caught:
            print(style.render(caught), file=sys.stderr)
            code = 1
            continue
        try:
            outputs.append(process(chunk))
        except LlmcError as caught:
            error = caught
        if verify:
            errors = [error, *error.others] if error is not None else []
            told = [diagnostic for each in errors for diagnostic in diagnostics_of(each, name, style)]
            lines = list(differences(expected, [*told, *remarks()], name, all_remarks, only_expected))
        else:
            lines = [style.render(error)] if error is not None else []
        for line in lines:
            code = 1
            print(line, file=sys.stderr)
    return f"{separator}\n".join(outputs), code


def differences(
    expected: list[Expected], told: Sequence[Diagnostic], name: str, all_remarks: bool, only_expected: bool = False
) -> Iterator[str]:
    """What a chunk gave though nobody expects it, unless `only_expected`, then what it did not give though it is expected."""
    for diagnostic in told:
        match = next((e for e in expected if e.matches(diagnostic)), None)
        if match is not None:
            expected.remove(match)
        elif not only_expected and (diagnostic.kind in ("error", "warning") or (diagnostic.kind == "remark" and all_remarks)):
            yield f"{name}:{diagnostic.line or '?'}: unexpected {diagnostic.kind}\n{diagnostic.shown()}"
    for missing in expected:
        yield f'{name}:{missing.line or "?"}: expected {missing.kind} "{missing.text}" was not produced'
