"""Reading IR text, with the errors of `LlmcError`."""

from __future__ import annotations

import re

from xdsl.context import Context
from xdsl.dialects.builtin import FileLineColLoc, IntAttr, ModuleOp, StringAttr, UnknownLoc
from xdsl.ir import Operation
from xdsl.parser import Parser
from xdsl.parser.generic_parser import ParserState
from xdsl.utils.exceptions import ParseError, VerifyException
from xdsl.utils.lexer import Input

from .diagnostics import LlmcError
from .lexing import IrLexer


class _OpParser(Parser):
    """xDSL's parser, which also knows where ops begin in the text."""

    failed: int | None = None
    """Where the innermost op that could not be read begins."""

    def __init__(self, context: Context, text: str, name: str) -> None:
        super().__init__(context, "", name)
        self._parser_state = ParserState(IrLexer(Input(text, name)))

    def parse_operation(self) -> Operation:
        begin = self._current_token.span.start
        try:
            return super().parse_operation()
        except Exception:
            self.failed = begin if self.failed is None else self.failed
            raise


class _LocatingParser(_OpParser):
    """Gives ops without a location the place where they stand in the text."""

    def parse_operation(self) -> Operation:
        begin = self._current_token.span.start
        op = super().parse_operation()
        if isinstance(op.location, UnknownLoc):
            text = self.lexer.input.content
            line = text.count("\n", 0, begin) + 1
            column = begin - text.rfind("\n", 0, begin)
            op.location = FileLineColLoc(StringAttr(self.lexer.input.name), IntAttr(line), IntAttr(column))
        return op


def parse_module(context: Context, text: str, name: str = "<text>", *, locate: bool = False) -> ModuleOp:
    """The module in `text`; with `locate`, ops without a location get `name:line:column`. Raises LLMC0001 with file, line,
    column and the line itself for text that does not parse."""
    parser: _OpParser | None = None
    try:
        parser = (_LocatingParser if locate else _OpParser)(context, text, name)
        module = parser.parse_module()
    except ParseError as error:
        message = re.sub(r"\s+", " ", str(error.msg)).strip()
        raise LlmcError("LLMC0001", f"syntax error: {message}", _place(error.span.start, text, name)) from None
    except (
        VerifyException,
        ValueError,
        KeyError,
        AssertionError,
        NotImplementedError,
        TypeError,
        IndexError,
        RecursionError,
    ) as error:
        where = name if parser is None or parser.failed is None else _place(parser.failed, text, name)
        raise LlmcError("LLMC0001", f"{name} is no valid IR: {error or type(error).__name__}", where) from None
    return module


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
