"""`#layout.tensor_map`: which box of which buffer a kernel copies by tensor map (TMA).

    #layout.tensor_map<buffer = 1, box = [64, 64], swizzle = 128>

The element type and the extents are the buffer's; the runtime encodes the map for each launch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from xdsl.dialects.builtin import ArrayAttr
from xdsl.ir import Attribute, Data
from xdsl.irdl import irdl_attr_definition
from xdsl.parser import AttrParser
from xdsl.printer import Printer

from ..ir.diagnostics import LlmcError
from .panels import box_problem
from .types import BufferType


@dataclass(frozen=True)
class TensorMap:
    """A map over the buffer argument of this index; `box` outermost first, `swizzle` in bytes (0: none)."""

    buffer: int
    box: tuple[int, ...]
    swizzle: int = 0


@irdl_attr_definition
class TensorMapAttr(Data[TensorMap]):
    """See the module docstring."""

    name = "layout.tensor_map"

    @classmethod
    def parse_parameter(cls, parser: AttrParser) -> TensorMap:
        with parser.in_angle_brackets():
            parser.parse_keyword("buffer")
            parser.parse_punctuation("=")
            buffer = parser.parse_integer(allow_boolean=False, allow_negative=False)
            parser.parse_punctuation(",")
            parser.parse_keyword("box")
            parser.parse_punctuation("=")
            box = parser.parse_comma_separated_list(
                parser.Delimiter.SQUARE, lambda: parser.parse_integer(allow_boolean=False, allow_negative=False)
            )
            swizzle = 0
            if parser.parse_optional_punctuation(",") is not None:
                parser.parse_keyword("swizzle")
                parser.parse_punctuation("=")
                swizzle = parser.parse_integer(allow_boolean=False, allow_negative=False)
        return TensorMap(buffer, tuple(box), swizzle)

    def print_parameter(self, printer: Printer) -> None:
        spec = self.data
        swizzle = f", swizzle = {spec.swizzle}" if spec.swizzle else ""
        with printer.in_angle_brackets():
            printer.print_string(f"buffer = {spec.buffer}, box = {list(spec.box)}{swizzle}")


def maps_attr(maps: Sequence[TensorMap]) -> ArrayAttr[TensorMapAttr] | None:
    """The attribute of a kernel or launch; None without maps."""
    return ArrayAttr([TensorMapAttr(m) for m in maps]) if maps else None


def maps_problem(maps: ArrayAttr[TensorMapAttr] | None, buffers: Sequence[Attribute]) -> str | None:
    """Why these maps can't be made of arguments of these types; None when they can."""
    for number, attribute in enumerate(maps.data if maps is not None else ()):
        spec = attribute.data
        if spec.buffer >= len(buffers):
            return f"tensor map {number} is of buffer {spec.buffer}, there are {len(buffers)}"
        type_ = buffers[spec.buffer]
        if not isinstance(type_, BufferType):
            return f"tensor map {number} is of a {type_}"
        problem = box_problem(type_, spec.box, spec.swizzle)
        if problem is not None:
            return f"tensor map {number}: {problem}"
    return None


def check_map(spec: TensorMap, type_: BufferType, where: object = None) -> None:
    """Raises LlmcError LLMC0751 for a box that no tensor map has."""
    problem = box_problem(type_, spec.box, spec.swizzle)
    if problem is not None:
        raise LlmcError(
            "LLMC0751",
            f"no tensor map has the box {list(spec.box)} over {type_}",
            where,
            why=problem,
            fix="choose another box or swizzle in the schedule",
        )


__all__ = ["TensorMap", "TensorMapAttr", "check_map", "maps_attr", "maps_problem"]
