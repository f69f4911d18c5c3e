"""`llmc explain` for dialects, their ops, types and attributes."""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Mapping, Sequence
from importlib import import_module
from types import ModuleType

from xdsl.ir import Attribute, Dialect, Operation

from ...dialects.ir.context import OWN
from ...dialects.nn.pointwise import PointwiseOp
from ...dialects.ptx.ops import INSTRUCTIONS
from ...passes.framework.registry import Registry
from ..reference.dialects import dialect_of, instruction_rows, op_section, pointwise_row, rows_by_base
from ..reference.text import documentation

# dialect → the phases in whose dumps its ops occur
LEVELS: dict[str, Sequence[str]] = {
    "nn": ("import", "nn", "fusion", "quant", "layout"),
    "fusion": ("fusion", "quant"),
    "quantized": ("nn", "fusion"),
    "layout": ("layout",),
    "rt": ("layout", "tile", "ptx"),
    "tile": ("tile",),
    "ptx": ("ptx",),
}


def dialects(registry: Registry) -> Mapping[str, Dialect]:
    """llmc's own dialects and those of plugins, by name."""
    return {name: dialect_of(name) for name in OWN} | {d.name: d for plugin in registry.plugins for d in plugin.dialects}


def dialect_lines(name: str, registry: Registry) -> list[str]:
    """A dialect in short: what it is for, and its types and ops with a line each; nothing for no dialect's name."""
    dialect = dialects(registry).get(name)
    if dialect is None:
        return []
    lines = [f"dialect {name}{level(name)}", "", documentation(_home(dialect)), ""]
    kinds: Sequence[tuple[str, Sequence[type[Attribute] | type[Operation]]]] = (
        ("types and attributes", list(dialect.attributes)),
        ("ops", [op for op in dialect.operations if op not in INSTRUCTIONS.values()]),
    )
    for heading, items in kinds:
        lines += [f"{heading}:", *(f"  {item.name:24s} {_summary(item)}".rstrip() for item in items), ""] if items else []
    if name == "ptx":
        lines += ["instructions:", f"  {', '.join(f'ptx.{base}' for base in sorted(INSTRUCTIONS))}", ""]
    return [*lines, f"`llmc explain {next((op.name for op in dialect.operations), name)}` explains one op."]


def member_lines(name: str, registry: Registry) -> list[str]:
    """An op, a type or an attribute: its docstring and what it takes and gives; nothing for a name that is none's. The `!` or `#`
    of a type may be left out."""
    bare = name.lstrip("!#")
    dialect = dialects(registry).get(bare.split(".", 1)[0])
    if dialect is None or "." not in bare:
        return []
    level_ = level(dialect.name)
    for op in dialect.operations:
        if op.name != bare or name != bare:
            continue
        if op in INSTRUCTIONS.values():
            base = bare.removeprefix("ptx.")
            return [
                f"op {bare}, an instruction{level_}",
                "",
                documentation(op),
                "",
                *instruction_rows(rows_by_base().get(base, ())),
            ]
        if issubclass(op, PointwiseOp):
            return [f"op {bare}{level_}", "", documentation(op), "", *pointwise_row(op)]
        return [f"op {bare}{level_}", *list(op_section(op, ""))[1:]]
    kinds = [a for a in dialect.attributes if a.name == bare]
    return [line for a in kinds for line in (f"type or attribute {bare}", "", documentation(a) or documentation(_home_of(a)))]


def names(registry: Registry) -> list[str]:
    """The names of all dialects, ops, types and attributes."""
    known = dialects(registry)
    return [*known, *(item.name for d in known.values() for item in (*d.operations, *d.attributes))]


def level(dialect: str) -> str:
    """The phases at which a dialect's ops occur, as the end of a heading."""
    return f" (dumps at {', '.join(LEVELS[dialect])})" if dialect in LEVELS else ""


def _home(dialect: Dialect) -> ModuleType:
    if dialect.name in OWN:
        return import_module(f"...dialects.{OWN[dialect.name][0]}", __package__)
    return next((_home_of(item) for item in (*dialect.operations, *dialect.attributes)), sys.modules[__name__])


def _home_of(item: type) -> ModuleType:
    return sys.modules[item.__module__]


def _summary(item: type) -> str:
    """The first sentence of an item's own docstring; for an op of the table, the PyTorch ops that it stands for."""
    if issubclass(item, PointwiseOp):
        return f"elementwise; {', '.join(item.ROW.aten)}".removesuffix("; ")
    text = " ".join((inspect.getdoc(item) or "").split("\n\n", 1)[0].split())
    sentence = re.split(r"(?<=[\w)`])\. ", text, maxsplit=1)[0].removesuffix(".")
    return sentence if len(sentence) <= 100 else sentence[:99] + "…"
