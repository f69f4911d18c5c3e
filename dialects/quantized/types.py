"""`!quantized.elem<i8, scale = f32, block = [1, -1], zero = none>`: the element of a quantised tensor."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from xdsl.dialects.builtin import DYNAMIC_INDEX, AnyFloat, ArrayAttr, IntAttr, IntegerType, NoneAttr, TensorType
from xdsl.ir import Attribute, ParametrizedAttribute, TypeAttribute
from xdsl.irdl import irdl_attr_definition, param_def
from xdsl.parser import AttrParser
from xdsl.printer import Printer
from xdsl.utils.exceptions import VerifyException


@irdl_attr_definition
class ElemType(ParametrizedAttribute, TypeAttribute):
    """A value `scale * (storage - zero)`; `zero` is the zero points' element type, or none for symmetric storage."""

    name = "quantized.elem"
    storage: Attribute = param_def()
    scale: Attribute = param_def()
    block: ArrayAttr[IntAttr] = param_def()
    zero: Attribute = param_def()

    @staticmethod
    def of(storage: Attribute, scale: Attribute, block: Sequence[int], zero: Attribute | None = None) -> ElemType:
        return ElemType(storage, scale, ArrayAttr(IntAttr(b) for b in block), NoneAttr() if zero is None else zero)

    @property
    def blocks(self) -> tuple[int, ...]:
        return tuple(b.data for b in self.block)

    @property
    def largest(self) -> int:
        """The largest magnitude that symmetric integer storage uses: 127 for i8 (-128 stays free)."""
        if not isinstance(self.storage, IntegerType):
            raise TypeError(f"{self.storage} is no integer storage")
        return 2 ** (self.storage.bitwidth - 1) - 1

    @classmethod
    def parse_parameters(cls, parser: AttrParser) -> Sequence[Attribute]:
        with parser.in_angle_brackets():
            storage = parser.parse_type()
            parser.parse_punctuation(",")
            parser.parse_keyword("scale")
            parser.parse_punctuation("=")
            scale = parser.parse_type()
            parser.parse_punctuation(",")
            parser.parse_keyword("block")
            parser.parse_punctuation("=")
            block = parser.parse_comma_separated_list(
                parser.Delimiter.SQUARE, lambda: parser.parse_integer(allow_boolean=False, allow_negative=True)
            )
            zero: Attribute | None = None
            if parser.parse_optional_punctuation(","):
                parser.parse_keyword("zero")
                parser.parse_punctuation("=")
                zero = None if parser.parse_optional_keyword("none") else parser.parse_type()
        return ElemType.of(storage, scale, block, zero).parameters

    def print_parameters(self, printer: Printer) -> None:
        with printer.in_angle_brackets():
            printer.print_attribute(self.storage)
            printer.print_string(", scale = ")
            printer.print_attribute(self.scale)
            printer.print_string(f", block = [{', '.join(map(str, self.blocks))}]")
            if not isinstance(self.zero, NoneAttr):
                printer.print_string(", zero = ")
                printer.print_attribute(self.zero)

    def verify(self) -> None:
        if not isinstance(self.storage, IntegerType | AnyFloat):
            raise VerifyException(f"the storage is integers or floats, not {self.storage}")
        if not isinstance(self.scale, AnyFloat | ElemType):
            raise VerifyException(f"the scale is a float, or quantised itself, not {self.scale}")
        if not isinstance(self.zero, NoneAttr | IntegerType | AnyFloat):
            raise VerifyException(f"zero points are integers or floats, not {self.zero}")
        for block in self.blocks:
            if block != -1 and block < 1:
                raise VerifyException(f"a block holds at least one element, or -1 for the whole axis, not {block}")


def scale_type(kind: TensorType[Any]) -> TensorType[Any]:
    """The tensor of a quantised tensor's scales: one per block, along each axis (1 where a block is the axis)."""
    elem = quantised_elem(kind)
    shape: list[int] = []
    for size, block in zip(kind.get_shape(), elem.blocks, strict=True):
        if block == -1:
            shape.append(1)
        elif size == DYNAMIC_INDEX and block == 1:
            shape.append(DYNAMIC_INDEX)
        elif size == DYNAMIC_INDEX or size % block:
            raise VerifyException(f"blocks of {block} do not divide an axis of {'?' if size < 0 else size}")
        else:
            shape.append(size // block)
    return TensorType(elem.scale, shape)


def quantised_elem(kind: Attribute) -> ElemType:
    """The `quantized.elem` of a tensor type; VerifyException if it is none."""
    if not isinstance(kind, TensorType) or not isinstance(kind.element_type, ElemType):
        raise VerifyException(f"expected a tensor of !quantized.elem, got {kind}")
    elem = kind.element_type
    if len(elem.blocks) != len(kind.get_shape()):
        raise VerifyException(f"{len(elem.blocks)} block sizes for a tensor of {len(kind.get_shape())} dimensions")
    return elem
