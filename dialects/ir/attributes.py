"""What attributes are made of."""

from __future__ import annotations

from collections.abc import Iterator

from xdsl.dialects.builtin import ArrayAttr, DictionaryAttr
from xdsl.ir import Attribute, ParametrizedAttribute


def children(attribute: Attribute) -> Iterator[Attribute]:
    """The attributes directly inside another."""
    if isinstance(attribute, ArrayAttr):
        yield from attribute.data  # pyright: ignore
    elif isinstance(attribute, DictionaryAttr):
        yield from attribute.data.values()
    elif isinstance(attribute, ParametrizedAttribute):
        yield from attribute.parameters
