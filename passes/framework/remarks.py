"""Remarks: what a pass did, left undone or found out, each with a location, one line and a suggestion."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal

from xdsl.dialects.builtin import FileLineColLoc, FusedLoc, NameLoc
from xdsl.ir import Attribute, Operation

from ...dialects.ir.diagnostics import LlmcError, describe_location
from ...dialects.ir.locations import UNKNOWN, module_path
from ...dialects.ir.symbols import symbol_name

Kind = Literal["passed", "missed", "analysis"]
KINDS: tuple[Kind, ...] = ("passed", "missed", "analysis")
CATEGORIES = (
    "access", "cache", "fusion", "layout", "merging", "occupancy", "precision", "quantisation", "regimes", "roofline", "sampling",
    "schedule", "state", "weight image",
)  # fmt: skip
"""What remarks are about; `all` stands for all of them where a user chooses."""

_NUMBER = re.compile(r"(?<=\.)\d+(?=\.|$|\W)")


@dataclass(frozen=True)
class Remark:
    """One remark. `category` is the subject (fusion, quantisation, layout, schedule); the place is kept as text and location
    attribute, not as an op, so that a remark outlives the IR it speaks of. `symbol` is the function or kernel it is in."""

    kind: Kind
    category: str
    pass_name: str
    where: str
    message: str
    suggestion: str = ""
    location: Attribute = UNKNOWN
    symbol: str = ""

    def render(self, others: Sequence[Remark] = ()) -> str:
        """The paragraph that commands print; `others` say the same of other layers."""
        text = f"remark[{self.category}] {self.kind}: {self.message}"
        if self.where:
            text += f"\n  --> {self.where}"
        if others:
            last = module_path(others[-1].location) or others[-1].where
            text += f"\n      and {len(others)} more like it, to {last}"
        if self.suggestion:
            text += f"\n  try: {self.suggestion}"
        return text

    @property
    def likeness(self) -> tuple[str, ...]:
        """Equal for remarks that differ in the number of their layer alone."""
        texts = (self.message, module_path(self.location) or "", self.suggestion, self.symbol)
        return (self.kind, self.category, self.pass_name, *(_NUMBER.sub("*", t) for t in texts))


@dataclass(frozen=True)
class Selection:
    """The remarks that a user asked for: categories and kinds, `all` of them where nothing is said."""

    categories: frozenset[str] = frozenset({"all"})
    kinds: frozenset[str] = frozenset(KINDS)

    @staticmethod
    def parse(categories: str | None, kinds: str | None = None) -> Selection | None:
        """From comma lists, None for no remarks at all. Raises LLMC0238 for a word that names none."""
        if categories is None:
            return None
        wanted = frozenset(part.strip() for part in categories.split(","))
        _check(wanted, ("all", *CATEGORIES), "--remarks", "no remarks are called", "categories")
        chosen = frozenset(part.strip() for part in kinds.split(",")) if kinds is not None else frozenset(KINDS)
        _check(chosen, KINDS, "--remarks-filter", "no remarks are of the kind", "kinds")
        return Selection(wanted, chosen)

    def __contains__(self, remark: Remark) -> bool:
        return remark.kind in self.kinds and ("all" in self.categories or remark.category in self.categories)


def _check(words: frozenset[str], known: Sequence[str], flag: str, what: str, plural: str) -> None:
    for word in sorted(words - set(known)):
        raise LlmcError("LLMC0238", f"{what} '{word}'", flag, fix=f"{plural} are {', '.join(known)}")


@dataclass
class Remarks:
    """The remarks of one compilation, in order."""

    items: list[Remark] = field(default_factory=list[Remark])

    def add(self, kind: Kind, category: str, pass_name: str, op: Operation | None, message: str, suggestion: str = "") -> None:
        """Raises TypeError for a missed remark without a suggestion: where nothing can be done, `nothing: why` says so."""
        if kind == "missed" and not suggestion:
            raise TypeError(f"a missed remark needs a suggestion: {message}")
        symbol = _symbol_of(op)
        where, location = "", UNKNOWN
        if op is not None:
            inside = f"{' in' if symbol_name(op) is None else ''} @{symbol}" if symbol else ""
            where = f"{op.name}{inside} at {describe_location(op.location) or 'an unknown place'}"
            location = op.location
        self.items.append(Remark(kind, category, pass_name, where, message, suggestion, location, symbol))

    def of(self, category: str) -> Iterator[Remark]:
        return (r for r in self.items if category in ("all", r.category))

    def select(self, selection: Selection) -> list[Remark]:
        return [r for r in self.items if r in selection]


def _symbol_of(op: Operation | None) -> str:
    while op is not None:
        name = symbol_name(op)
        if name is not None:
            return name
        op = op.parent_op()
    return ""


def grouped(remarks: Iterable[Remark]) -> list[list[Remark]]:
    """Remarks that say the same of several layers, together, in order of the first of each."""
    groups: dict[tuple[str, ...], list[Remark]] = {}
    for remark in remarks:
        groups.setdefault(remark.likeness, []).append(remark)
    return list(groups.values())


def to_yaml(remarks: Iterable[Remark]) -> str:
    """Remarks as LLVM's optimisation records: one YAML document each, which LLVM's own tools and viewers read."""
    return "".join(_document(remark) for remark in remarks)


def _document(remark: Remark) -> str:
    lines = [
        f"--- !{remark.kind.capitalize()}",
        f"Pass: {json.dumps(remark.pass_name)}",
        f"Name: {json.dumps(remark.category)}",
    ]
    place = _file_place(remark.location)
    if place is not None:
        file, line, column = place
        lines.append(f"DebugLoc: {{ File: {json.dumps(file)}, Line: {line}, Column: {column} }}")
    lines.append(f"Function: {json.dumps(remark.symbol)}")
    lines.append("Args:")
    arguments = {"String": remark.message, "Module": module_path(remark.location), "Suggestion": remark.suggestion}
    lines += [f"  - {key}: {json.dumps(value, ensure_ascii=False)}" for key, value in arguments.items() if value]
    return "\n".join(lines) + "\n...\n"


def _file_place(location: Attribute) -> tuple[str, int, int] | None:
    match location:
        case FileLineColLoc():
            return location.filename.data, location.line.data, location.column.data
        case NameLoc():
            return _file_place(location.location)
        case FusedLoc():
            return next((p for part in location.locations if (p := _file_place(part)) is not None), None)  # pyright: ignore
        case _:
            return None
