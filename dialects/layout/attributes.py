"""The text of layouts: `#layout.mem<…>` and `#layout.tv<…>`.

#layout.mem<[[0, 64]], [[64, 1]]>
#layout.mem<[[64, 64]], [[64, 1]], swizzle = [3, 3, 3]>
#layout.tv<shape = [16, 8], reg = [[2, [0, 1]], [2, [8, 0]]], lane = [[4, [0, 2]], [8, [1, 0]]], warp = []>
"""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar, TypeVar

from xdsl.ir import Data
from xdsl.irdl import irdl_attr_definition
from xdsl.parser import AttrParser
from xdsl.printer import Printer

from .mem import Digit, MemLayout
from .tv import Step, Tv, TvDigit

Item = TypeVar("Item")


def _list(parser: AttrParser, item: Callable[[], Item]) -> tuple[Item, ...]:
    return tuple(parser.parse_comma_separated_list(parser.Delimiter.SQUARE, item))


def _ints(parser: AttrParser) -> tuple[int, ...]:
    return _list(parser, lambda: parser.parse_integer(allow_boolean=False, allow_negative=True))


def _mem_digit(parser: AttrParser) -> Digit:
    values = _ints(parser)
    if len(values) != 2:
        parser.raise_error("a memory digit is [size, stride]")
    return values[0], values[1]


def _tv_digit(parser: AttrParser) -> TvDigit:
    parser.parse_punctuation("[")
    size = parser.parse_integer(allow_boolean=False, allow_negative=False)
    parser.parse_punctuation(",")
    step: Step = _ints(parser)
    parser.parse_punctuation("]")
    return size, step


@irdl_attr_definition
class MemAttr(Data[MemLayout]):
    """A memory layout: digits `[size, stride]` per dimension, innermost first, and a swizzle."""

    name = "layout.mem"
    alias_stem: ClassVar[str] = "mem"

    @classmethod
    def parse_parameter(cls, parser: AttrParser) -> MemLayout:
        with parser.in_angle_brackets():
            return parse_mem(parser)

    def print_parameter(self, printer: Printer) -> None:
        with printer.in_angle_brackets():
            printer.print_string(mem_text(self.data))


def parse_mem(parser: AttrParser) -> MemLayout:
    dims: list[tuple[Digit, ...]] = []
    swizzle: tuple[int, int, int] | None = None
    while True:
        if parser.parse_optional_keyword("swizzle"):
            parser.parse_punctuation("=")
            values = _ints(parser)
            if len(values) != 3:
                parser.raise_error("a swizzle is [bits, base, shift]")
            swizzle = (values[0], values[1], values[2])
            break
        digits = parser.parse_optional_comma_separated_list(parser.Delimiter.SQUARE, lambda: _mem_digit(parser))
        if digits is None:
            break
        dims.append(tuple(digits))
        if parser.parse_optional_punctuation(",") is None:
            break
    try:
        return MemLayout(tuple(dims), swizzle)
    except ValueError as problem:
        parser.raise_error(str(problem))


def mem_text(layout: MemLayout) -> str:
    parts = ["[" + ", ".join(f"[{size}, {stride}]" for size, stride in digits) + "]" for digits in layout.dims]
    if layout.swizzle is not None:
        parts.append(f"swizzle = {list(layout.swizzle)}")
    return ", ".join(parts)


@irdl_attr_definition
class TvAttr(Data[Tv]):
    """A register layout: digits `[size, [step…]]` of register, lane and warp, innermost first."""

    name = "layout.tv"
    alias_stem: ClassVar[str] = "tv"

    @classmethod
    def parse_parameter(cls, parser: AttrParser) -> Tv:
        with parser.in_angle_brackets():
            return parse_tv(parser)

    def print_parameter(self, printer: Printer) -> None:
        with printer.in_angle_brackets():
            printer.print_string(tv_text(self.data))


def parse_tv(parser: AttrParser) -> Tv:
    def field(name: str) -> None:
        parser.parse_keyword(name)
        parser.parse_punctuation("=")

    def digits() -> tuple[TvDigit, ...]:
        return _list(parser, lambda: _tv_digit(parser))

    field("shape")
    shape = _ints(parser)
    parser.parse_punctuation(",")
    field("reg")
    reg = digits()
    parser.parse_punctuation(",")
    field("lane")
    lane = digits()
    parser.parse_punctuation(",")
    field("warp")
    warp = digits()
    tv = Tv(shape, reg, lane, warp)
    if (problem := tv.problem()) is not None:
        parser.raise_error(f"malformed register layout: {problem}")
    return tv


def tv_text(tv: Tv) -> str:
    def digits(items: tuple[TvDigit, ...]) -> str:
        return "[" + ", ".join(f"[{size}, {list(step)}]" for size, step in items) + "]"

    return f"shape = {list(tv.shape)}, reg = {digits(tv.reg)}, lane = {digits(tv.lane)}, warp = {digits(tv.warp)}"


__all__ = ["MemAttr", "TvAttr", "mem_text", "parse_mem", "parse_tv", "tv_text"]
