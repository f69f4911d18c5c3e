"""Remarks: what a pass did, left undone or found out, each with a location, one line and a suggestion."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

from xdsl.ir import Operation

from ...dialects.ir.diagnostics import LlmcError, describe_location

Kind = Literal["passed", "missed", "analysis"]
CATEGORIES = (
    "access", "cache", "fusion", "layout", "merging", "precision", "quantisation", "regimes", "sampling", "schedule", "state", "weight image",
)  # fmt: skip
"""What remarks are about; `all` stands for all of them where a user chooses."""


def check_category(category: str | None) -> None:
    """Raise LLMC0238 for a category that no remark has."""
    if category is not None and category not in ("all", *CATEGORIES):
        raise LlmcError(
            "LLMC0238", f"no remarks are called '{category}'", "--remarks", fix=f"categories are {', '.join(CATEGORIES)}, all"
        )


@dataclass(frozen=True)
class Remark:
    """One remark. `category` is the subject (fusion, quantisation, layout, schedule); `where` is words, not an op, so that a
    remark outlives the IR it speaks of."""

    kind: Kind
    category: str
    pass_name: str
    where: str
    message: str
    suggestion: str = ""

    def render(self) -> str:
        text = f"remark[{self.category}] {self.kind}: {self.message}"
        if self.where:
            text += f"\n  --> {self.where}"
        if self.suggestion:
            text += f"\n  try: {self.suggestion}"
        return text


@dataclass
class Remarks:
    """The remarks of one compilation, in order."""

    items: list[Remark] = field(default_factory=list[Remark])

    def add(self, kind: Kind, category: str, pass_name: str, op: Operation | None, message: str, suggestion: str = "") -> None:
        where = "" if op is None else f"{op.name} at {describe_location(op.location) or 'an unknown place'}"
        self.items.append(Remark(kind, category, pass_name, where, message, suggestion))

    def of(self, category: str) -> Iterator[Remark]:
        return (r for r in self.items if category in ("all", r.category))
