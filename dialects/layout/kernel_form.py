"""What kernels on buffers have in common at every level: how their arguments stand, and how their text begins."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, ClassVar, Self

from xdsl.dialects.builtin import ArrayAttr, StringAttr
from xdsl.ir import Block, BlockArgument, Region
from xdsl.parser import Parser

from ..ir.located import LocatedOp
from .types import BufferType


def strings(values: Iterable[str]) -> ArrayAttr[StringAttr]:
    return ArrayAttr([StringAttr(v) for v in values])


class KernelForm(LocatedOp):
    """A symbol with a region on buffers and, last, one i32 per name in `sizes`; `PRINTED` are the properties of its text."""

    if TYPE_CHECKING:  # xDSL takes annotations for definitions
        sizes: ArrayAttr[StringAttr]
        body: Region

    PRINTED: ClassVar[tuple[str, ...]]

    @property
    def block(self) -> Block:
        return self.body.block

    @property
    def buffers(self) -> tuple[BlockArgument, ...]:
        """The buffer arguments, in order."""
        return tuple(a for a in self.block.args if isinstance(a.type, BufferType))

    @property
    def size_args(self) -> dict[str, BlockArgument]:
        """The i32 argument of each size name."""
        names = [s.data for s in self.sizes.data]
        return dict(zip(names, self.block.args[len(self.block.args) - len(names) :], strict=True))

    @classmethod
    def parse(cls, parser: Parser) -> Self:
        name = parser.parse_symbol_name()

        def argument() -> Parser.Argument:
            found = parser.parse_argument()
            found.location = parser.parse_optional_location()
            return found

        arguments = parser.parse_comma_separated_list(parser.Delimiter.PAREN, argument)
        attributes = parser.parse_optional_attr_dict_with_keyword()
        region = parser.parse_region(arguments)
        stored = dict(attributes.data) if attributes is not None else {}
        properties = {key: stored.pop(key) for key in cls.PRINTED if key in stored}
        return cls.create(properties={"sym_name": name, **properties}, attributes=stored, regions=[region])
