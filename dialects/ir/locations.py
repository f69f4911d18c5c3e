"""Locations: making them, merging them, measuring how many ops still have one."""

from __future__ import annotations

from collections.abc import Iterable

from xdsl.dialects.builtin import (
    ArrayAttr,
    FileLineColLoc,
    FusedLoc,
    IntAttr,
    LocationAttr,
    NameLoc,
    NoneAttr,
    StringAttr,
    UnknownLoc,
)
from xdsl.ir import Attribute, Operation

UNKNOWN = UnknownLoc()


def named(name: str, file: str | None = None, line: int = 0, column: int = 0) -> NameLoc:
    """The location of a PyTorch module path, with the source line of its forward where that is known."""
    inner: LocationAttr = UNKNOWN if file is None else FileLineColLoc(StringAttr(file), IntAttr(line), IntAttr(column))
    return NameLoc(StringAttr(name), inner)


def is_known(location: Attribute) -> bool:
    """Whether a location names anything."""
    if isinstance(location, FusedLoc):
        return any(is_known(part) for part in location.locations)  # pyright: ignore
    return not isinstance(location, UnknownLoc)


def fused(locations: Iterable[LocationAttr], limit: int = 4) -> LocationAttr:
    """One location for an op that came from several; equal and unknown ones fall away, at most `limit` are kept."""
    flat: dict[Attribute, None] = {}
    for location in locations:
        parts = location.locations if isinstance(location, FusedLoc) else (location,)  # pyright: ignore
        for part in parts:  # pyright: ignore
            if is_known(part):  # pyright: ignore
                flat[part] = None  # pyright: ignore
    kept = list(flat)[:limit]
    if not kept:
        return UNKNOWN
    if len(kept) == 1:
        return kept[0]  # pyright: ignore
    return FusedLoc(ArrayAttr(kept), NoneAttr())


def module_path(location: Attribute) -> str | None:
    """The first PyTorch module path in a location, if it has one."""
    if isinstance(location, NameLoc):
        return location.desc.data
    if isinstance(location, FusedLoc):
        for part in location.locations:  # pyright: ignore
            path = module_path(part)
            if path is not None:
                return path
    return None


def coverage(root: Operation) -> float:
    """The share of ops below `root` (itself and `builtin.module` left out) whose location is known."""
    known = total = 0
    for op in root.walk():
        if op is root or op.name == "builtin.module":
            continue
        total += 1
        known += is_known(op.location)
    return known / total if total else 1.0
