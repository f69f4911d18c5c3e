"""Planted defects, a file a dialect: well-formed text, and named changes to it that must each be refused with a code and words.

A defect is a change of the text of one of the file's bases, so that it reads as what a person could have done. New ops add to them
what must not be accepted.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Defect:
    """`old` becomes `new` (its first occurrence) in a well-formed `base`; the error has `code`, and `says` in what it says."""

    name: str
    base: str
    old: str
    new: str
    code: str
    says: str

    @property
    def text(self) -> str:
        assert self.old in self.base, f"{self.name}: the base has no {self.old!r}"
        return self.base.replace(self.old, self.new, 1)


def planted(base: str, *rows: tuple[str, str, str, str] | tuple[str, str, str, str, str]) -> list[Defect]:
    """Defects of one base, as rows (name, old, new, says[, code]); the code is LLMC0121 where none is given."""
    return [Defect(row[0], base, row[1], row[2], row[4] if len(row) == 5 else "LLMC0121", row[3]) for row in rows]


def find(dialect: str) -> list[Defect]:
    from importlib import import_module

    return import_module(f".{dialect}", __package__).DEFECTS
