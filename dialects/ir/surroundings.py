"""The lines around an op, as its dump has them: what a diagnostic shows besides the op itself."""

from __future__ import annotations

from io import StringIO

from xdsl.ir import Operation, SSAValue
from xdsl.traits import IsolatedFromAbove

from .printer import IrPrinter

WIDTH = 160


def op_of(where: object) -> Operation | None:
    """The op that an error points at, if it points at one."""
    if isinstance(where, Operation):
        return where
    if isinstance(where, SSAValue):
        owner = where.owner
        return owner if isinstance(owner, Operation) else owner.parent_op()
    return None


def surroundings(op: Operation, around: int = 5) -> list[str]:
    """The op's line behind `> `, up to `around` ops of its block before and after it behind spaces, regions folded to `{…}`. Values
    are called as in a dump of the whole module. Empty for an op in no block, and where invalid IR can't be printed."""
    block = op.parent
    scope = op.parent_op()
    if block is None or scope is None:
        return []
    while scope.parent_op() is not None and not scope.has_trait(IsolatedFromAbove):
        scope = scope.parent_op()
        assert scope is not None
    for generic in (False, True):
        try:
            return _lines(scope, op, around, generic)
        except Exception:  # an op that does not verify need not print either: its neighbours are a help, not the message
            continue
    return []


def _lines(scope: Operation, op: Operation, around: int, generic: bool) -> list[str]:
    assert op.parent is not None
    ops = list(op.parent.ops)
    at = ops.index(op)
    printer = IrPrinter(stream=StringIO(), print_generic_format=generic)
    printer.print_op(scope)  # gives every value the name that it has in the dump
    printer.fold = True
    shown: list[str] = []
    for index in range(max(0, at - around), min(len(ops), at + around + 1)):
        printer.stream = text = StringIO()
        printer.print_op(ops[index])
        line = " ".join(text.getvalue().split("\n"))
        shown.append(("> " if index == at else "  ") + (line if len(line) <= WIDTH else line[: WIDTH - 1] + "…"))
    return shown
