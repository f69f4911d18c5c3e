"""Symbols of a module: looking them up, adding, renaming, erasing those that nothing uses."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from xdsl.dialects.builtin import ArrayAttr, DictionaryAttr, ModuleOp, StringAttr, SymbolRefAttr
from xdsl.ir import Attribute, Operation
from xdsl.utils.exceptions import VerifyException

from .diagnostics import LlmcError


def symbol_name(op: Operation) -> str | None:
    """The `sym_name` of an op, or None."""
    attr = op.get_attr_or_prop("sym_name")
    return attr.data if isinstance(attr, StringAttr) else None


def references(attribute: Attribute) -> Iterator[str]:
    """Every root symbol that an attribute names."""
    match attribute:
        case SymbolRefAttr():
            yield attribute.root_reference.data
        case ArrayAttr():
            for item in attribute.data:  # pyright: ignore
                yield from references(item)  # pyright: ignore
        case DictionaryAttr():
            for item in attribute.data.values():
                yield from references(item)
        case _:
            return


def used_symbols(root: Operation) -> Iterator[str]:
    """Every symbol named by an op below `root`."""
    for op in root.walk():
        yield from symbols_of(op)


def symbols_of(op: Operation) -> Iterator[str]:
    """Every symbol that an op names itself."""
    for attr in (*op.properties.values(), *op.attributes.values()):
        yield from references(attr)


def verify_symbols(module: Operation) -> None:
    """Check what ops say of the symbols they name: an op class with a method `verify_symbols(find)`, `find` giving the definition
    of a symbol, is asked. Linear time, which a look-up in each op's own verifier would not be. Raises LLMC0101 for a symbol that
    the module lacks and LLMC0121 for one that does not fit."""
    table: dict[str, Operation] | None = None
    for op in module.walk():
        if hasattr(type(op), "verify_symbols"):
            table = defined_symbols(module) if table is None else table
            check_symbols(op, table)


def defined_symbols(module: Operation) -> dict[str, Operation]:
    """The ops that define symbols directly in a module, by name."""
    return {name: op for op in module.regions[0].block.ops if (name := symbol_name(op)) is not None}


def check_symbols(op: Operation, symbols: Mapping[str, Operation]) -> None:
    """`verify_symbols` of one op, in a module that defines `symbols`."""
    check = getattr(type(op), "verify_symbols", None)
    if check is None:
        return

    def find(name: str) -> Operation:
        if name not in symbols:
            why = f"{op.name} names it"
            raise LlmcError("LLMC0101", f"no symbol @{name} in the module", op, why=why, fix="define it, or correct the name")
        return symbols[name]

    try:
        check(op, find)
    except VerifyException as error:
        raise LlmcError("LLMC0121", f"invalid IR: {error}", op, fix="correct this op, or what it names") from error


@dataclass
class SymbolTable:
    """The symbols of one module, kept current by its own methods."""

    module: ModuleOp
    by_name: dict[str, Operation] = field(init=False)

    def __post_init__(self) -> None:
        self.by_name = {}
        for op in self.module.body.block.ops:
            name = symbol_name(op)
            if name is None:
                continue
            if name in self.by_name:
                raise LlmcError("LLMC0110", f"symbol @{name} is defined twice", op, fix="rename one of the two")
            self.by_name[name] = op

    def lookup(self, name: str) -> Operation:
        found = self.by_name.get(name)
        if found is None:
            raise LlmcError("LLMC0101", f"no symbol @{name} in the module", self.module, fix="define it, or correct the name")
        return found

    def unique(self, stem: str) -> str:
        """`stem`, or `stem_1`, `stem_2`, …: the first that is free."""
        name, n = stem, 0
        while name in self.by_name:
            n += 1
            name = f"{stem}_{n}"
        return name

    def insert(self, op: Operation, before: Operation | None = None) -> str:
        """Put a symbol op in the module (at its end, or before another op); its name is made unique and returned."""
        name = symbol_name(op)
        if name is None:
            raise ValueError(f"{op.name} has no sym_name")
        fresh = self.unique(name)
        if fresh != name:
            set_symbol_name(op, fresh)
        if before is None:
            self.module.body.block.add_op(op)
        else:
            self.module.body.block.insert_op_before(op, before)
        self.by_name[fresh] = op
        return fresh

    def erase(self, name: str) -> None:
        op = self.by_name.pop(name)
        op.detach()
        op.erase()

    def erase_unused(self, removable: Callable[[Operation], bool], roots: Iterable[str] = ()) -> int:
        """Erase symbols for which `removable` holds and that nothing names, until none is left; returns how many."""
        erased = 0
        while True:
            used = set(used_symbols(self.module)) | set(roots)
            dead = [n for n, op in self.by_name.items() if n not in used and removable(op)]
            if not dead:
                return erased
            for name in dead:
                self.erase(name)
            erased += len(dead)


def set_symbol_name(op: Operation, name: str) -> None:
    """Rename an op's own definition (uses are the caller's business)."""
    store = op.properties if "sym_name" in op.properties else op.attributes
    store["sym_name"] = StringAttr(name)
