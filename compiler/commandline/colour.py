"""Colour on terminals: IR text and errors. `--color` decides, then NO_COLOR, CLICOLOR_FORCE and CLICOLOR, then whether the stream is
a terminal. The sixteen colours of the terminal's own theme are all that is used."""

from __future__ import annotations

import re
from typing import TextIO

from ..knobs import Knobs, read_knobs

CHOICES = ("auto", "always", "never")
RESET = "\x1b[0m"
BOLD = "\x1b[1m"
STYLES = {
    "comment": "\x1b[2m",
    "location": "\x1b[2m",
    "string": "\x1b[32m",
    "value": "\x1b[36m",
    "symbol": "\x1b[33m",
    "attribute": "\x1b[35m",
    "type": "\x1b[34m",
    "block": "\x1b[33m",
    "op": BOLD,
    "number": "\x1b[95m",
}
IR = re.compile(
    r"""(?P<comment>//[^\n]*)
      | (?P<location>\bloc\((?:[^()"]|"(?:[^"\\]|\\.)*"|\((?:[^()"]|"(?:[^"\\]|\\.)*")*\))*\))
      | (?P<string>"(?:[^"\\\n]|\\.)*")
      | (?P<value>%[\w$.-]+(?:\#\d+)?)
      | (?P<symbol>@(?:[\w$.-]+|"[^"]*"))
      | (?P<attribute>\#[A-Za-z_][\w$.]*)
      | (?P<op>(?<![\w.\#!])[a-z_]\w*\.[A-Za-z_][\w.]*)
      | (?P<type>![A-Za-z_][\w$.]*|(?:\b|(?<=[\d?]x))(?:tensor|memref|vector|index|none|bf16|tf32|f\d+(?:E\d+M\d+\w*)?|[su]?i\d+)\b)
      | (?P<block>\^\w+)
      | (?P<number>(?<![\w.])-?\d[\d_]*(?:\.\d+)?(?:[eE][+-]?\d+)?(?![\w.]))""",
    re.VERBOSE,
)
ERROR = re.compile(r"^(?P<head>(?:error|warning|remark)\[\w[\w ]*\]:?)(?P<rest>.*)$")


def wanted(choice: str, stream: TextIO, knobs: Knobs | None = None) -> bool:
    """Whether text for `stream` is to be coloured. `choice` is auto, always or never."""
    if choice != "auto":
        return choice == "always"
    settings = read_knobs() if knobs is None else knobs
    if settings.no_color:
        return False
    return settings.clicolor_force or (settings.clicolor and stream.isatty())


def paint_ir(text: str) -> str:
    """IR with values, symbols, types, attributes, ops, strings and comments in colours of their own."""
    return IR.sub(lambda found: f"{STYLES[found.lastgroup or 'op']}{found.group()}{RESET}", text)


def paint_error(text: str) -> str:
    """An error's paragraph: its head in red, the words that lead its parts in blue, the op at fault bold."""
    lines: list[str] = []
    for line in text.split("\n"):
        head = ERROR.match(line)
        if head:
            tone = {"e": "31", "w": "33"}.get(line[0], "36")
            lines.append(f"\x1b[1;{tone}m{head['head']}{RESET}{BOLD}{head['rest']}{RESET}")
        elif part := re.match(r"( +)(-->|in|why:|fix:|try:|at)( .*)$", line):
            lines.append(f"{part[1]}\x1b[1;34m{part[2]}{RESET}{part[3]}")
        elif part := re.match(r"( +\| )([> ] )(.*)$", line):
            mark = f"\x1b[1;31m{part[2]}{RESET}" if part[2] == "> " else part[2]
            lines.append(f"\x1b[1;34m{part[1]}{RESET}{mark}{paint_ir(part[3])}")
        else:
            lines.append(line)
    return "\n".join(lines)
