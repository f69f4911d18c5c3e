"""Reading IR text, with the errors of `LlmcError`."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable, Iterable
from contextlib import suppress
from math import prod
from typing import Any, TypeVar

from xdsl.context import Context
from xdsl.dialects.builtin import (
    AnyFloat,
    ArrayAttr,
    DenseIntOrFPElementsAttr,
    DictionaryAttr,
    FileLineColLoc,
    FusedLoc,
    IntAttr,
    IntegerType,
    ModuleOp,
    NoneAttr,
    StringAttr,
    UnknownLoc,
)
from xdsl.ir import Attribute, Operation, ParametrizedAttribute, SSAValue, TypeAttribute
from xdsl.parser import AttrParser, Parser, UnresolvedOperand
from xdsl.parser.core import ForwardDeclaredValue
from xdsl.parser.generic_parser import ParserState
from xdsl.utils.exceptions import ParseError
from xdsl.utils.lexer import Input
from xdsl.utils.mlir_lexer import MLIRTokenKind

from .diagnostics import LlmcError
from .lexing import IrLexer

T = TypeVar("T")
EMPTY = re.compile(r"(?:\s++|//[^\n]*+)*+")


def _parts(attribute: Attribute) -> Iterable[Attribute]:
    """The attributes directly inside another, those of locations included."""
    match attribute:
        case ArrayAttr():
            return attribute.data  # pyright: ignore
        case DictionaryAttr():
            return attribute.data.values()
        case ParametrizedAttribute():
            return attribute.parameters
        case _:
            return ()


class _HexElement(AttrParser._TensorLiteralElement):  # pyright: ignore[reportPrivateUsage]
    """An element that gives its bits, as infinities and NaNs are written."""

    def to_type(self, parser: AttrParser, type: Any) -> Any:
        if not isinstance(type, AnyFloat):
            return super().to_type(parser, type)
        size = type.compile_time_size
        if not isinstance(self.value, int) or self.value >= 1 << 8 * size:
            parser.raise_error(f"{self.span.text} is more than the {8 * size} bits of {type}", self.span)
        return next(type.iter_unpack(self.value.to_bytes(size, "little")))


LARGEST_INTEGER = 4096
"""Bits of the widest integer type that is read (Python prints no number of more than 4300 digits)."""
LARGEST_ALIAS = 10**6
"""Attributes that an alias may stand for: aliases of aliases can double at every line."""
LARGEST_DENSE = 2**24
"""Elements of the largest dense constant that is read: xDSL keeps one repeated value as often as it is repeated."""


class _OpParser(Parser):
    """xDSL's parser, which also knows where ops begin in the text, and reads floats in hexadecimal inside dense constants."""

    failed: int | None = None
    """Where the innermost op that could not be read begins."""

    def __init__(self, context: Context, text: str, name: str) -> None:
        super().__init__(context, "", name)
        self.sizes: dict[int, tuple[int, Attribute]] = {}  # by identity, with the attribute so that its number stays its own
        self._parser_state = ParserState(IrLexer(Input(text, name)))

    def _parse_tensor_literal_element(self) -> AttrParser._TensorLiteralElement:  # pyright: ignore[reportPrivateUsage]
        element = super()._parse_tensor_literal_element()
        if element.span.text[:2].lower() == "0x":
            return _HexElement(False, element.value, element.span)
        return element

    def parse_dense_int_or_fp_elements_attr(self, type: Any) -> DenseIntOrFPElementsAttr[Any]:
        if type is not None:
            self._check_size(type)
        return super().parse_dense_int_or_fp_elements_attr(type)

    def _parse_dense_literal_type(self) -> Any:
        type_ = super()._parse_dense_literal_type()
        self._check_size(type_)
        return type_

    def _parse_optional_integer_or_float_type(self) -> TypeAttribute | None:
        token = self._current_token
        type_ = super()._parse_optional_integer_or_float_type()
        if isinstance(type_, IntegerType) and type_.bitwidth > LARGEST_INTEGER:
            self.raise_error(f"an integer has at most {LARGEST_INTEGER} bits, not {type_.bitwidth}", token.span)
        return type_

    def _parse_alias_def(self) -> None:
        token = self._current_token
        super()._parse_alias_def()
        if self._expanded(self.attribute_aliases[token.text]) > LARGEST_ALIAS:
            self.raise_error(f"{token.text} stands for more than {LARGEST_ALIAS} attributes", token.span)

    def _expanded(self, attribute: Attribute) -> int:
        """How many attributes an attribute is made of, aliases spelt out; linear, since what an alias stands for is shared."""
        known = self.sizes.get(id(attribute))
        if known is None:
            total = 1 + sum(self._expanded(part) for part in _parts(attribute))
            known = self.sizes[id(attribute)] = (total, attribute)
        return known[0]

    def _check_size(self, type_: Any) -> None:
        count = prod(type_.get_shape())
        if count > LARGEST_DENSE:
            self.raise_error(f"a dense constant of {count} elements is too large to read (at most {LARGEST_DENSE})")

    def parse_comma_separated_list(self, delimiter: Parser.Delimiter, parse: Callable[[], T], context_msg: str = "") -> list[T]:
        """The result types of a `linalg.generic` are the one list of bare attributes in our dialects. xDSL prints several in
        parentheses and does not read these back; what is a function type is told by the arrow behind it."""
        if delimiter is not Parser.Delimiter.NONE or parse != self.parse_attribute or self._current_token.text != "(":
            return super().parse_comma_separated_list(delimiter, parse, context_msg)
        begin = self.pos
        listed = super().parse_comma_separated_list(Parser.Delimiter.PAREN, parse, context_msg)
        if self._current_token.kind is not MLIRTokenKind.ARROW:
            return listed
        self._resume_from(begin)
        return super().parse_comma_separated_list(delimiter, parse, context_msg)

    def parse_operation(self) -> Operation:
        begin = self._current_token.span.start
        try:
            return super().parse_operation()
        except Exception:
            self.failed = begin if self.failed is None else self.failed
            raise


class _UsesParser(_OpParser):
    """Knows where a value that is not defined yet was first used."""

    def __init__(self, context: Context, text: str, name: str) -> None:
        super().__init__(context, text, name)
        self.first: dict[str, int] = {}

    def resolve_operand(self, operand: UnresolvedOperand, type: Attribute) -> SSAValue:
        value = super().resolve_operand(operand, type)
        if isinstance(value, ForwardDeclaredValue):
            self.first.setdefault(operand.operand_name, operand.span.start)
        return value


class _LocatingParser(_OpParser):
    """Gives ops the place where they stand in the text, before the location that they carry."""

    def __init__(self, context: Context, text: str, name: str) -> None:
        super().__init__(context, text, name)
        self.starts = [0, *(end.end() for end in re.finditer("\n", text))]

    def parse_operation(self) -> Operation:
        begin = self._current_token.span.start
        op = super().parse_operation()
        line = bisect_right(self.starts, begin)
        column = begin - self.starts[line - 1] + 1
        place = FileLineColLoc(StringAttr(self.lexer.input.name), IntAttr(line), IntAttr(column))
        carried = op.location
        op.location = place if isinstance(carried, UnknownLoc) else FusedLoc(ArrayAttr([place, carried]), NoneAttr())
        return op


def parse_module(context: Context, text: str, name: str = "<text>", *, locate: bool = False) -> ModuleOp:
    """The module in `text`, an empty one for nothing but blanks and comments. With `locate`, ops have the location
    `name:line:column`, and behind it the one that they carry. Raises LLMC0001 with file, line, column and the line itself for text that
    does not parse."""
    if EMPTY.fullmatch(text):
        return ModuleOp([])
    parser: _OpParser | None = None
    try:
        parser = (_LocatingParser if locate else _OpParser)(context, text, name)
        module = parser.parse_module()
    except ParseError as error:
        message, position = _pointed(re.sub(r"\s+", " ", str(error.msg)).strip(), error.span.start, text, parser)
        raise LlmcError(
            "LLMC0001", f"syntax error: {message}", _place(position, text, name), fix="correct the text at the mark"
        ) from None
    except MemoryError:
        raise
    except RecursionError:
        where = name if parser is None or parser.failed is None else _place(parser.failed, text, name)
        raise LlmcError("LLMC0001", f"{name} nests too deeply to be read", where, fix="take it apart") from None
    except Exception as error:  # attributes, types and ops are made while parsing, and what they raise is up to their dialects
        where = name if parser is None or parser.failed is None else _place(parser.failed, text, name)
        raise LlmcError(
            "LLMC0001",
            f"{name} is no valid IR: {error or type(error).__name__}",
            where,
            fix="correct the attribute, type or op at the mark",
        ) from None
    return module


RESULTS = re.compile(r"(?:(?:%[\w$.-]+(?::\d+)?[\s,]*)+=\s*)?")


def _pointed(message: str, position: int, text: str, parser: _OpParser | None) -> tuple[str, int]:
    """What xDSL says, and the place of what it speaks of: it tells of an unknown op at the token behind its name, and of values that
    nobody defines at the end of their region."""
    begin = 0 if parser is None or parser.failed is None else parser.failed
    if message.endswith("is not registered"):
        named = RESULTS.match(text, begin)
        return message, position if named is None else named.end()
    missing = re.fullmatch(r"values used but not defined: \[(.*)\]", message)
    if missing is None or parser is None:
        return message, position
    names = [name.strip() for name in missing.group(1).split(",")]
    uses = _UsesParser(parser.ctx, text, parser.lexer.input.name)
    with suppress(ParseError):
        uses.parse_module()
    position = min((uses.first[name[1:]] for name in names if name[1:] in uses.first), default=position)
    return f"{', '.join(names)} {'is' if len(names) == 1 else 'are'} used but never defined", position


def _place(position: int, text: str, name: str) -> str:
    """`file:line:column`, the line, and a mark below the column."""
    line = text.count("\n", 0, position) + 1
    begin = text.rfind("\n", 0, position) + 1
    end = text.find("\n", position)
    source = text[begin : end if end >= 0 else len(text)]
    column = position - begin + 1
    shown, offset = source, column - 1
    if len(source) > 160:
        cut = max(0, offset - 80)
        shown, offset = source[cut : cut + 160], offset - cut
    return f"{name}:{line}:{column}\n      {shown}\n      {' ' * offset}^"
