"""Locations: making them, merging them, measuring how many ops still have one.

While a trace runs, each op's location also carries *tags*: numbers in the metadata of a fused location that say which ops it derives
from. Nothing that reads locations sees them; `fused` joins them, and printing leaves them out.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

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
from xdsl.ir import Attribute, Data, Operation
from xdsl.irdl import irdl_attr_definition
from xdsl.parser import AttrParser
from xdsl.printer import Printer

UNKNOWN = UnknownLoc()


@irdl_attr_definition
class TagsAttr(Data[frozenset[int]]):
    """The tags of a location: the ops from which its op derives, by the numbers that a trace gave them. In no dialect: it is never
    printed."""

    name: ClassVar[str] = "trace.tags"

    @classmethod
    def parse_parameter(cls, parser: AttrParser) -> frozenset[int]:
        with parser.in_angle_brackets():
            return frozenset(parser.parse_comma_separated_list(parser.Delimiter.NONE, parser.parse_integer))

    def print_parameter(self, printer: Printer) -> None:
        with printer.in_angle_brackets():
            printer.print_string(", ".join(str(tag) for tag in sorted(self.data)))


def tags_of(location: Attribute) -> frozenset[int]:
    """The tags that a location carries."""
    if isinstance(location, FusedLoc) and isinstance(location.metadata, TagsAttr):
        return location.metadata.data
    return frozenset()


def tagged(location: LocationAttr, tags: Iterable[int]) -> LocationAttr:
    """The location with these tags instead of its own; without tags, the plain location."""
    location = untagged(location)
    found = frozenset(tags)
    if not found:
        return location
    parts = location.locations if isinstance(location, FusedLoc) else ArrayAttr[Attribute]([location])
    return FusedLoc(parts, TagsAttr(found))  # pyright: ignore


def untagged(location: LocationAttr) -> LocationAttr:
    """The location without its tags; itself when it has none."""
    if not (isinstance(location, FusedLoc) and isinstance(location.metadata, TagsAttr)):
        return location
    parts: list[LocationAttr] = list(location.locations)  # pyright: ignore
    return parts[0] if len(parts) == 1 else FusedLoc(ArrayAttr(parts), NoneAttr())


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
    """One location for an op that came from several; equal and unknown ones fall away, at most `limit` are kept. Tags are all
    kept."""
    flat: dict[Attribute, None] = {}
    tags: set[int] = set()
    for location in locations:
        tags |= tags_of(location)
        parts = location.locations if isinstance(location, FusedLoc) else (location,)  # pyright: ignore
        for part in parts:  # pyright: ignore
            if is_known(part):  # pyright: ignore
                flat[part] = None  # pyright: ignore
    kept = list(flat)[:limit]
    if not kept:
        return tagged(UNKNOWN, tags)
    if len(kept) == 1:
        return tagged(kept[0], tags)  # pyright: ignore
    return tagged(FusedLoc(ArrayAttr(kept), NoneAttr()), tags)


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
