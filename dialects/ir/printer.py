"""Printing IR for people: aliases on top, large constants elided on demand, locations on demand.

An attribute or type class that sets `alias_stem` (a short name such as `"tv"`) is defined once at the top and printed by its alias
after that, when it occurs more than once; so are affine maps (`#map`) and, where locations are printed, locations (`#loc`). The
definitions stand before the op because xDSL's parser reads aliases only after their definition.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from io import StringIO
from math import prod

from xdsl.dialects.builtin import (
    AffineMapAttr,
    ArrayAttr,
    CallSiteLoc,
    DenseIntOrFPElementsAttr,
    DictionaryAttr,
    FileLineColLoc,
    FusedLoc,
    NameLoc,
)
from xdsl.dialects.linalg.ops import GenericOp
from xdsl.ir import Attribute, Block, Operation, ParametrizedAttribute, Region, TypeAttribute
from xdsl.printer import Printer

from .diagnostics import LlmcError
from .locations import is_known, untagged

DROPS_ATTRIBUTES = frozenset({"arith.cmpf", "arith.cmpi", "tensor.empty", "tensor.extract"})
"""Ops of xDSL whose own format leaves their discardable attributes out: those with some are printed in generic form."""
DROPS_LOCATION = frozenset({"scf.while"})
"""Ops of xDSL whose own format with a location does not parse: located, they are printed in generic form."""
LOCATIONS = (NameLoc, FileLineColLoc, FusedLoc, CallSiteLoc)
BUILTIN_STEMS: dict[type[Attribute], str] = {AffineMapAttr: "map", **dict.fromkeys(LOCATIONS, "loc")}


def stem_of(attribute: Attribute) -> str | None:
    """What aliases of an attribute are called; None: it is always written out."""
    return BUILTIN_STEMS.get(type(attribute)) or getattr(attribute, "alias_stem", None)


def children(attribute: Attribute) -> Iterator[Attribute]:
    """The attributes directly inside another that may have an alias of their own."""
    if isinstance(attribute, ArrayAttr):
        yield from attribute.data  # pyright: ignore
    elif isinstance(attribute, DictionaryAttr):
        yield from attribute.data.values()
    elif isinstance(attribute, FusedLoc):
        yield from children(attribute.locations)
    elif isinstance(attribute, ParametrizedAttribute) and not isinstance(attribute, LOCATIONS):
        yield from attribute.parameters


def repeated(root: Operation, locations: bool = False) -> frozenset[Attribute]:
    """The attributes that have a stem and are printed more than once, inside others that are written out included."""
    uses: dict[int, int] = {}
    objects: list[Attribute] = []

    def count(attribute: Attribute) -> None:
        known = uses.get(id(attribute))
        if known is None:
            uses[id(attribute)] = 1
            objects.append(attribute)
        else:
            uses[id(attribute)] = known + 1

    for op in root.walk():
        for attribute in op.properties.values():
            count(attribute)
        for attribute in op.attributes.values():
            count(attribute)
        for result in op.results:
            count(result.type)
        if locations:
            count(untagged(op.location))
        for region in op.regions:
            for block in region.blocks:
                for argument in block.args:
                    count(argument.type)
                    if locations:
                        count(untagged(argument.location))
    counts: dict[Attribute, int] = {}

    def visit(attribute: Attribute, times: int) -> None:
        if stem_of(attribute) is None:
            for child in children(attribute):
                visit(child, times)
            return
        known = counts.get(attribute)
        counts[attribute] = times if known is None else known + times
        if known is None:
            for child in children(attribute):
                visit(child, 1)

    for attribute in objects:
        visit(attribute, uses[id(attribute)])
    return frozenset(attribute for attribute, times in counts.items() if times > 1)


@dataclass
class Aliases:
    """Names for attributes that are printed more than once, given at the first use (`tv`, `tv1`, …), so that equal modules print
    alike and nothing is defined that does not occur."""

    candidates: frozenset[Attribute] = frozenset()
    names: dict[Attribute, str] = field(default_factory=dict[Attribute, str])
    definitions: list[str] = field(default_factory=list[str])
    _used: dict[str, int] = field(default_factory=dict[str, int])
    _printed: dict[int, str] = field(default_factory=dict[int, str])
    _kept: list[Attribute] = field(default_factory=list[Attribute])  # so that no id below `_printed` is used again
    _classes: frozenset[type] = frozenset()

    def __post_init__(self) -> None:
        self._classes = frozenset(type(a) for a in self.candidates)

    def of(self, attribute: Attribute, define: Callable[[Attribute], str]) -> str | None:
        """The alias with its `#` or `!`, or None; `define` gives the text of one that is used for the first time."""
        if type(attribute) not in self._classes:
            return None
        name = self._printed.get(id(attribute))
        if name is None:
            name = self._name(attribute, define)
            self._printed[id(attribute)] = name
            self._kept.append(attribute)
        return name or None

    def _name(self, attribute: Attribute, define: Callable[[Attribute], str]) -> str:
        if attribute not in self.candidates:
            return ""
        name = self.names.get(attribute)
        if name is None:
            text = define(attribute)  # first, because what is inside gets its name before
            stem = stem_of(attribute) or "attr"
            number = self._used.get(stem, 0)
            self._used[stem] = number + 1
            prefix = "!" if isinstance(attribute, TypeAttribute) else "#"
            name = self.names[attribute] = f"{prefix}{stem}{number or ''}"
            self.definitions.append(f"{name} = {text}\n")
        return name


@dataclass(eq=False)
class IrPrinter(Printer):
    """xDSL's printer with aliases and elision. `elide` leaves out dense constants of more elements than that (such a text
    is for reading; it does not parse back). `spans`, where given, gets the first and the last line of every op, from 0."""

    aliases: Aliases | None = None
    elide: int | None = None
    spans: dict[Operation, tuple[int, int]] | None = None
    fold: bool = False
    """Print `{…}` for every region: the head of an op."""
    _bare_results: bool = field(default=False, init=False)
    _defining: Attribute | None = field(default=None, init=False)

    def print_string(self, text: str, *, indent: int | None = None) -> None:
        if "\n" in text or self.stream is None:
            super().print_string(text, indent=indent)
        else:
            self._current_column += len(text)
            self.stream.write(text)

    def _needs_generic_form(self, op: Operation) -> bool:
        return (op.name in DROPS_ATTRIBUTES and bool(op.attributes)) or (op.name in DROPS_LOCATION and self.print_debuginfo)

    def print_op(self, op: Operation) -> None:
        if not self.print_generic_format and self._needs_generic_form(op):
            self.print_generic_format = True
            self.print_op(op)
            self.print_generic_format = False
            return
        # xDSL prints the types of a linalg.generic with several results in parentheses, and does not parse them back
        outer = self._bare_results
        self._bare_results = isinstance(op, GenericOp) and len(op.results) > 1 and not self.print_generic_format
        if self.spans is None:
            super().print_op(op)
        else:
            first = self._current_line
            super().print_op(op)
            self.spans[op] = (first, self._current_line)
        self._bare_results = outer

    def print_region(
        self,
        region: Region,
        print_entry_block_args: bool = True,
        print_empty_block: bool = True,
        print_block_terminators: bool = True,
    ) -> None:
        if self.fold:
            self.print_string("{…}")
        else:
            super().print_region(region, print_entry_block_args, print_empty_block, print_block_terminators)

    def print_block(self, block: Block, print_block_args: bool = True, print_block_terminator: bool = True) -> None:
        outer, self._bare_results = self._bare_results, False
        if not print_block_terminator and (last := block.last_op) is not None:  # one that says something is not left out
            print_block_terminator = bool(last.attributes) or (self.print_debuginfo and is_known(last.location))
        super().print_block(block, print_block_args, print_block_terminator)
        self._bare_results = outer

    def in_parens(self) -> AbstractContextManager[None]:
        return nullcontext() if self._bare_results else super().in_parens()

    def print_attribute(self, attribute: Attribute) -> None:
        if isinstance(attribute, FusedLoc):
            attribute = untagged(attribute)
        if self.aliases is not None and attribute is not self._defining:
            alias = self.aliases.of(attribute, self._definition)
            if alias is not None:
                self.print_string(f"loc({alias})" if isinstance(attribute, LOCATIONS) and not self.printing_location else alias)
                return
        if self.elide is not None and isinstance(attribute, DenseIntOrFPElementsAttr):
            kind = attribute.type
            if kind.get_shape() and prod(kind.get_shape()) > self.elide:
                self.print_string("dense<…> : ")
                self.print_attribute(kind)
                return
        super().print_attribute(attribute)

    def _definition(self, attribute: Attribute) -> str:
        printer = IrPrinter(stream=StringIO(), aliases=self.aliases, elide=self.elide)
        printer._defining = attribute
        printer.print_attribute(attribute)
        assert isinstance(printer.stream, StringIO)
        return printer.stream.getvalue()


@dataclass(frozen=True)
class Printed:
    """A text and where its ops stand in it: the first and the last line of each, from 0."""

    text: str
    spans: dict[Operation, tuple[int, int]]


def print_module(
    op: Operation, *, locations: bool = False, generic: bool = False, elide: int | None = None, aliases: bool = True
) -> str:
    """The text of `op` with a final newline. With `locations` every op carries its `loc(…)`; `generic` gives MLIR's generic
    form without aliases; `aliases` False writes everything out where it stands."""
    return _print(op, locations, generic, elide, aliases, None)


def print_with_spans(
    op: Operation, *, locations: bool = False, generic: bool = False, elide: int | None = None, aliases: bool = True
) -> Printed:
    """What `print_module` prints, and the lines of every op."""
    spans: dict[Operation, tuple[int, int]] = {}
    text = _print(op, locations, generic, elide, aliases, spans)
    return Printed(text, spans)


def _print(
    op: Operation,
    locations: bool,
    generic: bool,
    elide: int | None,
    aliases: bool,
    spans: dict[Operation, tuple[int, int]] | None,
) -> str:
    try:
        return _print_whole(op, locations, generic, elide, aliases, spans)
    except RecursionError:
        raise LlmcError("LLMC0006", "the module nests too deeply to be printed", "the printer", fix="take it apart") from None


def _print_whole(
    op: Operation,
    locations: bool,
    generic: bool,
    elide: int | None,
    aliases: bool,
    spans: dict[Operation, tuple[int, int]] | None,
) -> str:
    out = StringIO()
    names = Aliases(repeated(op, locations)) if aliases and not generic else Aliases()
    printer = IrPrinter(
        stream=out,
        print_generic_format=generic,
        print_debuginfo=locations,
        aliases=names if names.candidates else None,
        elide=elide,
        spans=spans,
    )
    printer.print_op(op)
    if spans is not None:
        shift = len(names.definitions)
        for key, (first, last) in spans.items():
            spans[key] = (first + shift, last + shift)
    return "".join([*names.definitions, out.getvalue(), "\n"])
