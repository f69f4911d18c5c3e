"""Following ops through a pass: numbers in their locations before it, read off whatever has the locations after it.

Every rewrite hands locations on (dialects/ir/rewriting.py), so the numbers arrive wherever a location does: exact, and no pass has
to help. A pass sees locations that mean what they meant; afterwards they are as they would have been without the tags.
"""

from __future__ import annotations

from collections.abc import Sequence

from xdsl.dialects.builtin import LocationAttr
from xdsl.ir import Operation

from ...dialects.ir.locations import tagged, tags_of, untagged


def attach(ops: Sequence[Operation], base: int) -> None:
    """Tag op i with `base + i`."""
    for index, op in enumerate(ops):
        op.location = tagged(op.location, (base + index,))


def detach(module: Operation, before: dict[Operation, int]) -> dict[Operation, tuple[int, ...]]:
    """Take the tags off all locations of `module`, those of block arguments included, and give each op's. An op of `before` whose
    location lost them derives from itself."""
    clean: dict[LocationAttr, LocationAttr] = {}

    def plain(location: LocationAttr) -> LocationAttr:
        found = clean.get(location)
        if found is None:
            found = clean[location] = untagged(location)
        return found

    found: dict[Operation, tuple[int, ...]] = {}
    for op in module.walk():
        tags = tags_of(op.location)
        number = before.get(op)
        found[op] = tuple(sorted(tags)) if tags else () if number is None else (number,)
        op.location = plain(op.location)
        for region in op.regions:
            for block in region.blocks:
                for argument in block.args:
                    argument.location = plain(argument.location)
    return found
