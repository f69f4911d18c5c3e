"""Reading IR text, with the errors of `LlmcError`."""

from __future__ import annotations

import re

from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp
from xdsl.parser import Parser
from xdsl.utils.exceptions import ParseError, VerifyException

from .diagnostics import LlmcError


def parse_module(context: Context, text: str, name: str = "<text>") -> ModuleOp:
    """The module in `text`. Raises LLMC0001 with file, line, column and the line itself for text that does not parse."""
    try:
        module = Parser(context, text, name).parse_module()
    except ParseError as error:
        raise _from_parse_error(error, text, name) from None
    except (VerifyException, ValueError, KeyError, AssertionError, NotImplementedError, TypeError, IndexError, RecursionError) as error:
        raise LlmcError("LLMC0001", f"{name} is no valid IR: {error or type(error).__name__}", name) from None
    return module


def _from_parse_error(error: ParseError, text: str, name: str) -> LlmcError:
    span = error.span
    line = text.count("\n", 0, span.start) + 1
    begin = text.rfind("\n", 0, span.start) + 1
    end = text.find("\n", span.start)
    source = text[begin : end if end >= 0 else len(text)]
    column = span.start - begin + 1
    shown, offset = source, column - 1
    if len(source) > 160:
        cut = max(0, offset - 80)
        shown, offset = source[cut : cut + 160], offset - cut
    message = re.sub(r"\s+", " ", str(error.msg)).strip()
    return LlmcError("LLMC0001", f"syntax error: {message}", f"{name}:{line}:{column}\n      {shown}\n      {' ' * offset}^")
