"""Printing IR for people: attribute aliases on top, large constants elided on demand, locations on demand.

An attribute class that sets `alias_stem` (a short name such as `"tv"`) is printed once at the top and by its alias after
that, when it occurs more than once; the parser reads it back.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from io import StringIO

from xdsl.dialects.builtin import DenseIntOrFPElementsAttr
from xdsl.dialects.linalg.ops import GenericOp
from xdsl.ir import Attribute, Block, Operation, TypeAttribute
from xdsl.printer import Printer

from .attributes import children
from .diagnostics import LlmcError
from .locations import is_known

DROPS_ATTRIBUTES = frozenset({"arith.cmpf", "arith.cmpi", "tensor.empty", "tensor.extract"})
"""Ops of xDSL whose own format leaves their discardable attributes out: those with some are printed in generic form."""
DROPS_LOCATION = frozenset({"scf.while"})
"""Ops of xDSL whose own format with a location does not parse: located, they are printed in generic form."""


def collect_aliases(root: Operation, locations: bool = False) -> dict[Attribute, str]:
    """Attributes that deserve an alias, inner ones before outer ones, with their names (`tv`, `tv1`, …) in order of first
    use, so that equal modules print alike."""
    counts: dict[Attribute, int] = {}
    order: list[Attribute] = []

    def visit(attribute: Attribute) -> None:
        if attribute in counts:
            counts[attribute] += 1
            return
        counts[attribute] = 1
        for child in children(attribute):
            visit(child)
        if getattr(attribute, "alias_stem", None) is not None:
            order.append(attribute)

    for op in root.walk():
        for store in (op.properties, op.attributes):
            for attribute in store.values():
                visit(attribute)
        for result in op.results:
            visit(result.type)
        for region in op.regions:
            for block in region.blocks:
                for argument in block.args:
                    visit(argument.type)
    names: dict[Attribute, str] = {}
    used: dict[str, int] = {}
    for attribute in order:
        if counts[attribute] < 2:
            continue
        stem: str = attribute.alias_stem
        number = used.get(stem, 0)
        used[stem] = number + 1
        names[attribute] = stem if number == 0 else f"{stem}{number}"
    return names


@dataclass(eq=False)
class IrPrinter(Printer):
    """xDSL's printer with aliases and elision. `elide` leaves out dense constants of more elements than that (such a text
    is for reading; it does not parse back)."""

    aliases: dict[Attribute, str] = field(default_factory=dict[Attribute, str])
    elide: int | None = None
    _bare_results: bool = field(default=False, init=False)

    def print_op(self, op: Operation) -> None:
        if not self.print_generic_format and self._needs_generic_form(op):
            self.print_generic_format = True
            self.print_op(op)
            self.print_generic_format = False
            return
        # xDSL prints the types of a linalg.generic with several results in parentheses, and does not parse them back
        outer = self._bare_results
        self._bare_results = isinstance(op, GenericOp) and len(op.results) > 1 and not self.print_generic_format
        super().print_op(op)
        self._bare_results = outer

    def _needs_generic_form(self, op: Operation) -> bool:
        return (op.name in DROPS_ATTRIBUTES and bool(op.attributes)) or (op.name in DROPS_LOCATION and self.print_debuginfo)

    def print_block(self, block: Block, print_block_args: bool = True, print_block_terminator: bool = True) -> None:
        outer, self._bare_results = self._bare_results, False
        if not print_block_terminator and (last := block.last_op) is not None:  # one that says something is not left out
            print_block_terminator = bool(last.attributes) or (self.print_debuginfo and is_known(last.location))
        super().print_block(block, print_block_args, print_block_terminator)
        self._bare_results = outer

    def in_parens(self) -> AbstractContextManager[None]:
        return nullcontext() if self._bare_results else super().in_parens()

    def print_attribute(self, attribute: Attribute) -> None:
        alias = self.aliases.get(attribute) if self.aliases else None
        if alias is not None:
            self.print_string(("!" if isinstance(attribute, TypeAttribute) else "#") + alias)
            return
        if self.elide is not None and isinstance(attribute, DenseIntOrFPElementsAttr) and attribute.get_type().get_shape():
            size = 1
            for extent in attribute.get_type().get_shape():
                size *= extent
            if size > self.elide:
                self.print_string("dense<…> : ")
                self.print_attribute(attribute.type)
                return
        super().print_attribute(attribute)

    def print_aliases(self) -> None:
        """The definitions, before the op that uses them."""
        for attribute, alias in list(self.aliases.items()):
            prefix = "!" if isinstance(attribute, TypeAttribute) else "#"
            self.print_string(f"{prefix}{alias} = ")
            del self.aliases[attribute]
            self.print_attribute(attribute)
            self.aliases[attribute] = alias
            self.print_string("\n")


def print_module(
    op: Operation, *, locations: bool = False, generic: bool = False, elide: int | None = None, aliases: bool = True
) -> str:
    """The text of `op` with a final newline. With `locations` every op carries its `loc(…)`; `generic` gives MLIR's generic
    form without aliases."""
    try:
        return _print(op, locations, generic, elide, aliases)
    except RecursionError:
        raise LlmcError("LLMC0001", "the module nests too deeply to be printed", fix="take it apart") from None


def _print(op: Operation, locations: bool, generic: bool, elide: int | None, aliases: bool) -> str:
    out = StringIO()
    names = collect_aliases(op) if aliases and not generic else {}
    printer = IrPrinter(stream=out, print_generic_format=generic, print_debuginfo=locations, aliases=names, elide=elide)
    printer.print_aliases()
    printer.print_op(op)
    out.write("\n")
    return out.getvalue()
