"""`!layout.buffer`: elements in memory with a layout; `#layout.schedule`: how a kernel is to run.

!layout.buffer<["T", 4096], bf16>                                            row-major
!layout.buffer<[64, 64], bf16, #layout.mem<[[64, 1]], [[64, 64]]>>           any other layout
#layout.schedule<"skinny", {m = 16, warps = 8}>
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from xdsl.dialects.builtin import ArrayAttr, DictionaryAttr, IntAttr, IntegerAttr, StringAttr
from xdsl.ir import Attribute, ParametrizedAttribute, TypeAttribute
from xdsl.irdl import irdl_attr_definition
from xdsl.parser import AttrParser
from xdsl.printer import Printer
from xdsl.utils.exceptions import VerifyException

from ..ir.diagnostics import LlmcError
from ..ir.numeric import dtype_of
from . import expressions
from .attributes import MemAttr
from .mem import MemLayout

Dim = int | str


def row_major(dims: Sequence[Dim]) -> MemLayout:
    """The row-major layout of `dims`; only the leading one may be dynamic (ValueError otherwise)."""
    return MemLayout.row_major([d if isinstance(d, int) else 0 for d in dims])


def elem_bytes(elem: Attribute) -> int:
    """Bytes of one element in memory (booleans take one)."""
    return dtype_of(elem).itemsize


@irdl_attr_definition
class BufferType(ParametrizedAttribute, TypeAttribute):
    """Memory that holds a tensor. A dimension is an int or a size expression; `layout` maps coordinates to elements."""

    name = "layout.buffer"

    shape: ArrayAttr[IntAttr | StringAttr]
    element_type: Attribute
    mem: MemAttr

    @staticmethod
    def of(dims: Sequence[Dim], elem: Attribute, layout: MemLayout | None = None) -> BufferType:
        """A buffer of `dims`; row-major unless a layout is given."""
        shape = ArrayAttr([IntAttr(d) if isinstance(d, int) else StringAttr(d) for d in dims])
        return BufferType(shape, elem, MemAttr(row_major(dims) if layout is None else layout))

    @property
    def dims(self) -> tuple[Dim, ...]:
        return tuple(d.data for d in self.shape.data)

    @property
    def rank(self) -> int:
        return len(self.shape.data)

    @property
    def layout(self) -> MemLayout:
        return self.mem.data

    @property
    def is_row_major(self) -> bool:
        try:
            return self.layout == row_major(self.dims)
        except ValueError:
            return False

    @property
    def sizes(self) -> frozenset[str]:
        """The size names that the dimensions use."""
        return frozenset().union(*(expressions.names(d) for d in self.dims)) if self.dims else frozenset()

    def with_layout(self, layout: MemLayout) -> BufferType:
        return BufferType(self.shape, self.element_type, MemAttr(layout))

    def extents(self, sizes: Mapping[str, int]) -> tuple[int, ...]:
        """The dimensions' values."""
        return tuple(expressions.evaluate(d, sizes) for d in self.dims)

    def num_elements(self, sizes: Mapping[str, int]) -> int:
        """Elements of memory that the buffer spans, padding of its layout included."""
        return storage(self.layout, self.extents(sizes))

    def num_bytes(self, sizes: Mapping[str, int]) -> int:
        return self.num_elements(sizes) * elem_bytes(self.element_type)

    def bytes_expression(self) -> str | int:
        """`num_bytes` as a size expression (static padding of the trailing dimensions included)."""
        dims = self.dims
        width = elem_bytes(self.element_type)
        if all(isinstance(d, int) for d in dims):
            return self.num_elements({}) * width
        if not self.is_row_major:
            raise LlmcError(
                "LLMC0703", f"{self} has a dynamic dimension and is not row-major", str(self), fix="use a row-major layout"
            )
        return expressions.product([*dims, width])

    def verify(self) -> None:
        try:
            dtype_of(self.element_type)
        except (TypeError, KeyError):
            raise VerifyException(f"{self.element_type} is no element type that memory holds") from None
        if self.layout.rank != self.rank:
            raise VerifyException(f"a buffer of rank {self.rank} has a layout of rank {self.layout.rank}")
        for index, (dim, size) in enumerate(zip(self.dims, self.layout.shape, strict=True)):
            if isinstance(dim, int) and 0 < size < dim:
                raise VerifyException(f"dimension {index} is {dim}, its layout holds {size}")
            if isinstance(dim, str):
                try:
                    expressions.names(dim)
                except LlmcError as problem:
                    raise VerifyException(problem.what) from problem
                if size != 0:
                    raise VerifyException(f"dimension {index} is {dim}, its layout is bounded by {size}")

    @classmethod
    def parse_parameters(cls, parser: AttrParser) -> Sequence[Attribute]:
        def dim() -> IntAttr | StringAttr:
            text = parser.parse_optional_str_literal()
            return (
                StringAttr(text)
                if text is not None
                else IntAttr(parser.parse_integer(allow_boolean=False, allow_negative=False))
            )

        with parser.in_angle_brackets():
            dims = ArrayAttr(parser.parse_comma_separated_list(parser.Delimiter.SQUARE, dim))
            parser.parse_punctuation(",")
            elem = parser.parse_type()
            if parser.parse_optional_punctuation(",") is not None:
                mem = parser.parse_attribute()
                if not isinstance(mem, MemAttr):
                    parser.raise_error("expected #layout.mem<…>")
            else:
                try:
                    mem = MemAttr(row_major([d.data for d in dims.data]))
                except ValueError as problem:
                    parser.raise_error(str(problem))
        return [dims, elem, mem]

    def print_parameters(self, printer: Printer) -> None:
        with printer.in_angle_brackets():
            printer.print_string("[" + ", ".join(f'"{d}"' if isinstance(d, str) else str(d) for d in self.dims) + "], ")
            printer.print_attribute(self.element_type)
            if not self.is_row_major:
                printer.print_string(", ")
                printer.print_attribute(self.mem)


def storage(layout: MemLayout, extents: Sequence[int]) -> int:
    """Elements that a buffer of `extents` spans: bounded layouts in full (their padding is real memory)."""
    padded = [max(extent, size) for extent, size in zip(extents, layout.shape, strict=True)]
    return layout.size(padded) if padded else 1


ScheduleValue = int | str | bool | list[int]


@irdl_attr_definition
class ScheduleAttr(ParametrizedAttribute):
    """A schedule: the name of its family and its parameters (ints, strings, lists of ints)."""

    name = "layout.schedule"

    family: StringAttr
    entries: DictionaryAttr

    @staticmethod
    def of(family: str, /, **parameters: ScheduleValue) -> ScheduleAttr:
        """`ScheduleAttr.of("skinny", m=16, warps=8)`"""
        return ScheduleAttr(StringAttr(family), DictionaryAttr({k: _encode(v) for k, v in parameters.items()}))

    def __getitem__(self, key: str) -> ScheduleValue:
        """A parameter's value; KeyError when the schedule has none of that name."""
        return _decode(self.entries.data[key])

    def get(self, key: str, default: ScheduleValue | None = None) -> ScheduleValue | None:
        found = self.entries.data.get(key)
        return default if found is None else _decode(found)

    def integer(self, key: str, default: int | None = None) -> int:
        """An integer parameter."""
        value = self.get(key, default)
        if not isinstance(value, int):
            raise KeyError(f"schedule {self.family.data} has no integer {key}")
        return value

    def updated(self, **parameters: ScheduleValue) -> ScheduleAttr:
        """The same family with some parameters changed."""
        values = {**self.entries.data, **{k: _encode(v) for k, v in parameters.items()}}
        return ScheduleAttr(self.family, DictionaryAttr(values))

    @classmethod
    def parse_parameters(cls, parser: AttrParser) -> Sequence[Attribute]:
        with parser.in_angle_brackets():
            family = StringAttr(parser.parse_str_literal())
            parser.parse_punctuation(",")
            entries = parser.parse_comma_separated_list(parser.Delimiter.BRACES, lambda: _parse_entry(parser))
        return [family, DictionaryAttr(dict(entries))]

    def print_parameters(self, printer: Printer) -> None:
        with printer.in_angle_brackets():
            printer.print_string_literal(self.family.data)
            printer.print_string(", {")
            for index, (key, value) in enumerate(self.entries.data.items()):
                printer.print_string(f"{', ' if index else ''}{key} = ")
                _print_value(printer, _decode(value))
            printer.print_string("}")


def _encode(value: ScheduleValue) -> Attribute:
    match value:
        case bool():
            return IntegerAttr.from_bool(value)
        case int():
            return IntegerAttr(value, 64)
        case str():
            return StringAttr(value)
        case _:
            return ArrayAttr([IntegerAttr(v, 64) for v in value])


def _decode(attr: Attribute) -> ScheduleValue:
    match attr:
        case IntegerAttr():
            width = getattr(attr.type, "width", None)
            return bool(attr.value.data) if width is not None and width.data == 1 else attr.value.data
        case StringAttr():
            return attr.data
        case ArrayAttr():
            return [_decode(item) for item in attr.data]  # pyright: ignore
        case _:
            raise TypeError(f"{attr} is no schedule parameter")


def _print_value(printer: Printer, value: ScheduleValue) -> None:
    match value:
        case bool():
            printer.print_string("true" if value else "false")
        case str():
            printer.print_string_literal(value)
        case _:
            printer.print_string(str(value))


def _parse_entry(parser: AttrParser) -> tuple[str, Attribute]:
    key = parser.parse_identifier()
    parser.parse_punctuation("=")
    text = parser.parse_optional_str_literal()
    if text is not None:
        return key, StringAttr(text)
    items = parser.parse_optional_comma_separated_list(
        parser.Delimiter.SQUARE, lambda: parser.parse_integer(allow_boolean=False, allow_negative=True)
    )
    if items is not None:
        return key, _encode(items)
    flag = parser.parse_optional_boolean()
    if flag is not None:
        return key, _encode(flag)
    return key, _encode(parser.parse_integer(allow_boolean=False, allow_negative=True))


__all__ = ["BufferType", "Dim", "ScheduleAttr", "elem_bytes", "row_major", "storage"]
