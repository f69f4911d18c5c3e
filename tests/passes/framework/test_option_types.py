# without `from __future__ import annotations`, as a plugin may be written
"""The type of an option reads the same however its annotation was written."""

from dataclasses import dataclass, fields
from typing import Literal, Optional

import pytest
from llmc.passes.framework.options import type_text


@dataclass(frozen=True)
class Options:
    at: int = 0
    quoted: "int" = 0
    words: tuple[str, ...] = ()
    kind: Literal["low", "high"] = "low"
    scheme: str | None = None
    older: Optional[Literal["a", "b"]] = None  # noqa: UP045


@dataclass(frozen=True)
class Unknown:
    thing: "Nowhere" = None  # noqa: F821  # pyright: ignore


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("at", "int"),
        ("quoted", "int"),
        ("words", "list of str"),
        ("kind", "low or high"),
        ("scheme", "str or {}"),
        ("older", "a or b or {}"),
    ],
)
def test_the_type_of_an_option_is_told_in_words(name: str, text: str):
    assert type_text(Options, {f.name: f for f in fields(Options)}[name]) == text


def test_a_type_that_is_defined_nowhere_is_told_by_its_name():
    (field,) = fields(Unknown)
    assert type_text(Unknown, field) == "Nowhere"
