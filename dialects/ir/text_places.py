"""Where in the text that a module was read from an error of a pass stands.

Passes see ops without the lines of their text: locations are those of the model, and dumps must not change by being read. A symbol
keeps its name through the passes, so that the text is read once more, with places, for the line of its definition.
"""

from __future__ import annotations

from collections.abc import Callable

from xdsl.context import Context
from xdsl.dialects.builtin import FileLineColLoc, FusedLoc, ModuleOp
from xdsl.ir import Attribute, Operation

from .diagnostics import LlmcError
from .parsing import parse_module
from .surroundings import op_of
from .symbols import defined_symbols, symbol_name


def tell_place(
    error: LlmcError, context: Context, text: str, name: str, again: Callable[[], LlmcError | None] = lambda: None
) -> None:
    """Add a note to an error that points at an op: its `file:line:column` in `text`, or that of the symbol that the op is or is in.
    Nothing for ops that carry a place of that file, and for symbols that the text does not define. `again` gives the error of another
    run, in which ops carry their places."""
    op = op_of(error.where)
    if op is None or place_of(op.location, name) is not None:
        return
    located = again() if symbol_name(op) is None else None
    same = op_of(located.where) if located is not None and (located.code, located.what) == (error.code, error.what) else None
    place = place_of(same.location, name) if same is not None and same.name == op.name else None
    if place is not None:
        error.notes = (*error.notes, f"the op comes from {place}")
        return
    symbol = outermost_symbol(op)
    defined = defined_symbols(parse_module(context, text, name, locate=True)) if symbol is not None else {}
    if symbol in defined:
        place = place_of(defined[symbol].location, name)
        error.notes = (*error.notes, f"{'' if symbol == symbol_name(op) else 'the op is in '}@{symbol} at {place}")


def outermost_symbol(op: Operation) -> str | None:
    """The name of the op directly inside the module that an op is or is in; None without one."""
    around: Operation | None = op
    name: str | None = None
    while around is not None and not isinstance(around, ModuleOp):
        name = symbol_name(around)
        around = around.parent_op()
    return name


def place_of(location: Attribute, name: str) -> str | None:
    """`file:line:column` of a location that has a place in the file `name`."""
    match location:
        case FileLineColLoc() if location.filename.data == name:
            return f"{name}:{location.line.data}:{location.column.data}"
        case FusedLoc():
            return next((p for part in location.locations if (p := place_of(part, name)) is not None), None)  # pyright: ignore
        case _:
            return None
