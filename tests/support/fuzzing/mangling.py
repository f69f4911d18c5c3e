"""Text that was IR: flipped, cut, swapped, doubled, nested and swollen."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache
from pathlib import Path

from hypothesis import strategies as st

FILECHECK = Path(__file__).parents[2] / "filecheck"
SEPARATOR = re.compile(r"^// -----[ \t]*\n", re.MULTILINE)
TOKEN = re.compile(r'"[^"\n]*"|[%@#!^]?[\w.$:-]+|->|\S')
STRANGE = ("\0", '"', "'", "\\", "{", "}", "(", ")", "[", "]", "<", ">", ",", ":", "=", "%", "@", "#", "!", "^", "?", "é", "\u202e", "\ud7ff", "💥", "\r", "\x1b", "-", "0x", "//")  # fmt: skip
HUGE = ("9" * 30, "-" + "9" * 30, "18446744073709551616", "-1", "0", "4294967296", "1e999", "9" * 5000, "0xFFFFFFFFFFFFFFFFF", "00", "1e-999")  # fmt: skip
DEEP = (
    "(",
    "[",
    "{",
    "<",
    '"',
    "tensor<4x",
    "module {",
    "loc(fused[",
    "tuple<",
    "() -> (",
    "affine_map<(d0) -> (d0 + ",
    "{a = ",
)


@cache
def chunks() -> tuple[str, ...]:
    """Every chunk of every file for FileCheck, without the lines that are for FileCheck alone."""
    found: list[str] = []
    for file in sorted(FILECHECK.rglob("*.mlir")):
        text = "\n".join(line for line in file.read_text().split("\n") if not line.lstrip().startswith("// CHECK"))
        found.extend(chunk for chunk in SEPARATOR.split(text) if chunk.strip())
    return tuple(found)


@cache
def words() -> tuple[str, ...]:
    """What the files are written in."""
    return tuple(sorted({token for chunk in chunks() for token in TOKEN.findall(chunk)}))


def _place(draw: st.DrawFn, text: str) -> int:
    return draw(st.integers(0, len(text)))


def replace_character(draw: st.DrawFn, text: str) -> str:
    at = _place(draw, text)
    return text[:at] + draw(st.sampled_from(STRANGE)) + text[at + 1 :]


def insert_character(draw: st.DrawFn, text: str) -> str:
    at = _place(draw, text)
    return text[:at] + draw(st.sampled_from(STRANGE)) + text[at:]


def flip_bit(draw: st.DrawFn, text: str) -> str:
    at = _place(draw, text)
    return text[:at] + "".join(chr(ord(c) ^ (1 << draw(st.integers(0, 6)))) for c in text[at : at + 1]) + text[at + 1 :]


def cut_out(draw: st.DrawFn, text: str) -> str:
    at = _place(draw, text)
    return text[:at] + text[at + draw(st.integers(1, 40)) :]


def truncate(draw: st.DrawFn, text: str) -> str:
    return text[: _place(draw, text)]


def double_line(draw: st.DrawFn, text: str) -> str:
    lines = text.split("\n")
    at, to = (draw(st.integers(0, len(lines) - 1)) for _ in range(2))
    return "\n".join([*lines[:to], lines[at], *lines[to:]])


def drop_line(draw: st.DrawFn, text: str) -> str:
    lines = text.split("\n")
    del lines[draw(st.integers(0, len(lines) - 1))]
    return "\n".join(lines)


def swap_lines(draw: st.DrawFn, text: str) -> str:
    lines = text.split("\n")
    a, b = (draw(st.integers(0, len(lines) - 1)) for _ in range(2))
    lines[a], lines[b] = lines[b], lines[a]
    return "\n".join(lines)


def _spans(text: str) -> list[re.Match[str]]:
    return list(TOKEN.finditer(text))


def swap_tokens(draw: st.DrawFn, text: str) -> str:
    spans = _spans(text)
    if len(spans) < 2:
        return text
    a, b = sorted(draw(st.lists(st.integers(0, len(spans) - 1), min_size=2, max_size=2, unique=True)))
    x, y = spans[a], spans[b]
    return text[: x.start()] + y.group() + text[x.end() : y.start()] + x.group() + text[y.end() :]


def replace_token(draw: st.DrawFn, text: str) -> str:
    spans = _spans(text)
    if not spans:
        return text
    x = spans[draw(st.integers(0, len(spans) - 1))]
    return text[: x.start()] + draw(st.sampled_from(words())) + text[x.end() :]


def _kind(token: str) -> str:
    return "0" if token[0].isdigit() else "a" if token[0].isalpha() else token[0]


@cache
def _words_of(kind: str) -> tuple[str, ...]:
    return tuple(word for word in words() if _kind(word) == kind)


def replace_by_another(draw: st.DrawFn, text: str) -> str:
    """A token by one of its kind: what is left often parses."""
    spans = _spans(text)
    if not spans:
        return text
    x = spans[draw(st.integers(0, len(spans) - 1))]
    others = _words_of(_kind(x.group())) or (x.group(),)
    return text[: x.start()] + draw(st.sampled_from(others)) + text[x.end() :]


def drop_token(draw: st.DrawFn, text: str) -> str:
    spans = _spans(text)
    if not spans:
        return text
    x = spans[draw(st.integers(0, len(spans) - 1))]
    return text[: x.start()] + text[x.end() :]


def swell_number(draw: st.DrawFn, text: str) -> str:
    numbers = list(re.finditer(r"\d+", text))
    if not numbers:
        return text
    x = numbers[draw(st.integers(0, len(numbers) - 1))]
    return text[: x.start()] + draw(st.sampled_from(HUGE)) + text[x.end() :]


def change_number(draw: st.DrawFn, text: str) -> str:
    numbers = list(re.finditer(r"\d+", text))
    if not numbers:
        return text
    x = numbers[draw(st.integers(0, len(numbers) - 1))]
    return text[: x.start()] + str(draw(st.integers(0, 70))) + text[x.end() :]


def nest(draw: st.DrawFn, text: str) -> str:
    at = _place(draw, text)
    return text[:at] + draw(st.sampled_from(DEEP)) * draw(st.sampled_from((1, 3, 50, 4000))) + text[at:]


def splice(draw: st.DrawFn, text: str) -> str:
    other = draw(st.sampled_from(chunks()))
    return text[: _place(draw, text)] + other[_place(draw, other) :]


MANGLINGS: tuple[Callable[[st.DrawFn, str], str], ...] = (
    replace_character,
    insert_character,
    flip_bit,
    cut_out,
    truncate,
    double_line,
    drop_line,
    swap_lines,
    swap_tokens,
    replace_token,
    replace_by_another,
    drop_token,
    swell_number,
    change_number,
    nest,
    splice,
)

GENTLE = (double_line, drop_line, swap_lines, replace_by_another, replace_by_another, change_number, change_number)
"""What leaves text that mostly parses, for verifiers and passes to judge."""


@st.composite
def mangled(draw: st.DrawFn, sources: st.SearchStrategy[str]) -> str:
    """One of the texts after one to three manglings."""
    text = draw(sources)
    gentle = draw(st.booleans())
    for mangling in draw(st.lists(st.sampled_from(GENTLE if gentle else MANGLINGS), min_size=1, max_size=1 if gentle else 3)):
        text = mangling(draw, text)
    return text
