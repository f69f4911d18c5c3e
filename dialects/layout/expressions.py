"""Size expressions that the host evaluates before a launch: `ceildiv(T, 128)`, `max(2 * T, 64)`, `(T + 127) // 128`.

Integers and size names with `+ - * // / %`, `min`, `max` and `ceildiv`; `/` is floor division. Grids, arena slots and the
dynamic dimensions of buffers are written in it.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache

from ..ir.diagnostics import LlmcError


def ceildiv(a: int, b: int) -> int:
    """The quotient rounded up."""
    return -(-a // b)


_CALLS: dict[str, Callable[..., int]] = {"min": min, "max": max, "ceildiv": ceildiv}
_LARGE = 2**20
"""Stands for a size without a largest value."""
_BINARY: dict[type[ast.operator], Callable[[int, int], int]] = {
    ast.Add: lambda a, b: a + b,
    ast.Sub: lambda a, b: a - b,
    ast.Mult: lambda a, b: a * b,
    ast.FloorDiv: lambda a, b: a // b,
    ast.Div: lambda a, b: a // b,
    ast.Mod: lambda a, b: a % b,
}


def _check(node: ast.AST) -> bool:
    match node:
        case ast.Constant(value=int()):
            return True
        case ast.Name():
            return True
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return _check(operand)
        case ast.BinOp(left=left, op=op, right=right):
            return type(op) in _BINARY and _check(left) and _check(right)
        case ast.Call(func=ast.Name(id=name), args=args, keywords=[]):
            counted = len(args) == 2 if name == "ceildiv" else len(args) > 1
            return name in _CALLS and counted and all(_check(a) for a in args)
        case _:
            return False


@lru_cache(maxsize=4096)
def _tree(text: str) -> ast.expr:
    try:
        node = ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):  # no Python at all, NUL characters, too deep
        node = None
    if node is None or not _check(node):
        raise LlmcError(
            "LLMC0701",
            f"{text!r} is no size expression",
            text,
            fix="use integers, size names, + - * // %, min, max and ceildiv",
        )
    return node


def _value(node: ast.expr, sizes: Mapping[str, int], text: str) -> int:
    match node:
        case ast.Constant(value=int() as value):
            return value
        case ast.Name(id=name):
            if name not in sizes:
                known = ", ".join(sorted(sizes)) or "none"
                raise LlmcError(
                    "LLMC0702",
                    f"size {name} of {text!r} has no value",
                    text,
                    why=f"the sizes given are {known}",
                    fix="give the size a value, or use a name that has one",
                )
            return int(sizes[name])
        case ast.UnaryOp(operand=operand):
            return -_value(operand, sizes, text)
        case ast.BinOp(left=left, op=op, right=right):
            return _BINARY[type(op)](_value(left, sizes, text), _value(right, sizes, text))
        case ast.Call(func=ast.Name(id=name), args=args):
            return _CALLS[name](*(_value(a, sizes, text) for a in args))
        case _:
            raise AssertionError(ast.dump(node))


def evaluate(expression: str | int, sizes: Mapping[str, int]) -> int:
    """The value of a size expression; LLMC0701 when it is malformed or divides by zero, LLMC0702 when a size is unknown."""
    if isinstance(expression, int):
        return expression
    try:
        return _value(_tree(expression), sizes, expression)
    except ZeroDivisionError:
        given = ", ".join(f"{name} = {sizes[name]}" for name in sorted(names(expression)))
        raise LlmcError(
            "LLMC0701",
            f"{expression!r} divides by zero" + (f" for {given}" if given else ""),
            expression,
            fix="divide by something that is at least 1 for every size",
        ) from None


def corners(used: Iterable[str], ranges: Mapping[str, tuple[int, int]]) -> tuple[dict[str, int], dict[str, int]]:
    """The sizes `used`, all at their smallest and all at their largest: from 1 up where `ranges` gives none."""
    small, large = ({name: ranges.get(name, (1, _LARGE))[end] for name in used} for end in (0, 1))
    return small, large


def names(expression: str | int) -> frozenset[str]:
    """The size names that an expression uses."""
    if isinstance(expression, int):
        return frozenset()
    tree = _tree(expression)
    called = {id(n.func) for n in ast.walk(tree) if isinstance(n, ast.Call)}
    return frozenset(n.id for n in ast.walk(tree) if isinstance(n, ast.Name) and id(n) not in called)


def product(factors: list[str | int]) -> str | int:
    """The product of dimensions as one expression; an int when all are."""
    constant = 1
    symbolic: list[str] = []
    for factor in factors:
        if isinstance(factor, int):
            constant *= factor
        else:
            symbolic.append(factor if factor.isidentifier() else f"({factor})")
    if not symbolic:
        return constant
    return " * ".join([str(constant), *symbolic]) if constant != 1 else " * ".join(symbolic)


__all__ = ["ceildiv", "corners", "evaluate", "names", "product"]
