"""Size expressions ("8 * T", "ceildiv(T, 64)") as i32 code of a kernel; the host's evaluator is in dialects/layout/expressions.py."""

from __future__ import annotations

import ast
from typing import Protocol

from xdsl.ir import SSAValue

from ...dialects.ir.diagnostics import LlmcError
from .async_builder import Index


class SizeArithmetic(Protocol):
    """What of a builder an expression needs: i32 arithmetic in which Python ints fold, and the size arguments."""

    def size(self, name: str) -> SSAValue: ...
    def add(self, x: Index, y: Index, /) -> Index: ...
    def sub(self, x: Index, y: Index, /) -> Index: ...
    def mul(self, x: Index, y: Index, /) -> Index: ...
    def div(self, x: Index, y: Index, /) -> Index: ...
    def rem(self, x: Index, y: Index, /) -> Index: ...
    def min(self, x: Index, y: Index, /) -> Index: ...
    def max(self, x: Index, y: Index, /) -> Index: ...
    def ceildiv(self, x: Index, y: Index, /) -> Index: ...


def emit_expression(b: SizeArithmetic, text: str) -> Index:
    """The value of a size expression in the kernel that `b` writes; its names are size arguments."""
    return _emit(b, ast.parse(text.strip(), mode="eval").body, text)


def _emit(b: SizeArithmetic, node: ast.expr, text: str) -> Index:
    match node:
        case ast.Constant(value=int(value)):
            return value
        case ast.Name(id=name):
            return b.size(name)
        case ast.BinOp(left=left, op=op, right=right):
            x, y = _emit(b, left, text), _emit(b, right, text)
            match op:
                case ast.Add():
                    return b.add(x, y)
                case ast.Sub():
                    return b.sub(x, y)
                case ast.Mult():
                    return b.mul(x, y)
                case ast.FloorDiv() | ast.Div():
                    return b.div(x, y)
                case ast.Mod():
                    return b.rem(x, y)
                case _:
                    pass
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return b.sub(0, _emit(b, operand, text))
        case ast.Call(func=ast.Name(id=name), args=args) if name in ("min", "max", "ceildiv"):
            values = [_emit(b, a, text) for a in args]
            result = values[0]
            for value in values[1:]:
                result = getattr(b, name)(result, value)
            return result
        case _:
            pass
    raise LlmcError(
        "LLMC0701", f"{text!r} is no size expression", text, fix="use integers, size names, + - * // %, min, max and ceildiv"
    )
