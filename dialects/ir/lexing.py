"""xDSL's lexer with one regular expression for the tokens that make up nearly all of a module.

A quarter of the time that parsing takes goes into the lexer, which looks at each character in Python. Here one match skips blanks and
comments and finds a name, a value, a small number or punctuation; whatever it does not match (strings, floats, hexadecimal numbers,
mistakes) is left to xDSL.
"""

from __future__ import annotations

import re

from xdsl.utils.lexer import Span, Token
from xdsl.utils.mlir_lexer import KIND_BY_PUNCTUATION_SPELLING, MLIRLexer, MLIRToken, MLIRTokenKind, StringLiteral

_BLANK = r"(?:[ \t\n\r\f\v]++|//[^\n]*+)*+"
_SUFFIX = r"(?:[0-9]++|[a-zA-Z$._-][a-zA-Z0-9$._-]*+)"
_COMMON = re.compile(
    _BLANK
    + r"(?:([a-zA-Z_][a-zA-Z0-9_$.]*+)"
    + rf"|(%{_SUFFIX})"
    + r"|([:,()}\[\]<>=+/*?|]|->|\{(?!-#))"
    + r"|([0-9]++)(?![.x])"
    + rf"|(!{_SUFFIX})"
    + r"|(@[a-zA-Z_][a-zA-Z0-9_$.]*+)"
    + rf"|(#(?!-\}}){_SUFFIX})"
    + rf"|(\^{_SUFFIX}))"
)
_PUNCTUATION = 3
_KINDS = (
    MLIRTokenKind.EOF,
    MLIRTokenKind.BARE_IDENT,
    MLIRTokenKind.PERCENT_IDENT,
    MLIRTokenKind.COLON,
    MLIRTokenKind.INTEGER_LIT,
    MLIRTokenKind.EXCLAMATION_IDENT,
    MLIRTokenKind.AT_IDENT,
    MLIRTokenKind.HASH_IDENT,
    MLIRTokenKind.CARET_IDENT,
)


class IrLexer(MLIRLexer):
    """The lexer of our parser; gives the tokens that xDSL's own would give, but for strings that are not ASCII."""

    # xDSL's pattern takes 2ⁿ steps for n characters after a quote that nothing closes
    _unescaped_characters_regex = re.compile(r'"(?:[^"\\\n\v\f]++|\\(?:["nt\\]|[0-9A-Fa-f]{2}))*+"')

    def lex(self) -> MLIRToken:
        match = _COMMON.match(self.input.content, self.pos)
        if match is None:
            return super().lex()
        group = match.lastindex or 0
        start, end = match.span(group)
        self.pos = end
        kind = KIND_BY_PUNCTUATION_SPELLING[match.group(group)] if group == _PUNCTUATION else _KINDS[group]  # pyright: ignore
        return Token(kind, Span(start, end, self.input))

    def _lex_string_literal(self, start_pos: int) -> MLIRToken:
        """A string, escaped UTF-8 included; xDSL's lexer takes what is not ASCII for bytes, which strings are not read from."""
        token = super()._lex_string_literal(start_pos)
        if token.kind is MLIRTokenKind.BYTES_LIT:
            try:
                StringLiteral.from_span(token.span).bytes_contents.decode()
            except UnicodeDecodeError:
                return token
            return Token(MLIRTokenKind.STRING_LIT, token.span)
        return token
