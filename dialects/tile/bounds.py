"""Tiles and elements that leave their memory whatever the kernel's arguments are: a mistake that a verifier can see."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from xdsl.ir import Operation, SSAValue
from xdsl.utils.exceptions import VerifyException

from ..ir.constants import constant_value
from ..layout.types import Dim


def verify_inside(
    op: Operation, offsets: Sequence[SSAValue], extents: Sequence[int], dims: Sequence[Dim], skipped: Collection[int] = ()
) -> None:
    """VerifyException where the offset along a dimension is constant and `[offset, offset + extent)` leaves the memory's.

    Dimensions in `skipped` are checked when the kernel runs. An op under a condition or in a loop may never run, so it passes.
    """
    if not _always_runs(op):
        return
    for dim, (offset, extent, size) in enumerate(zip(offsets, extents, dims, strict=True)):
        start = constant_value(offset) if dim not in skipped else None
        if start is None:
            continue
        if start < 0 or (isinstance(size, int) and start + extent > size):
            raise VerifyException(f"dimension {dim}: [{start}, {start + extent}) leaves the memory's {size}")


def _always_runs(op: Operation) -> bool:
    parent = op.parent_op()
    while parent is not None and parent.name == "tile.roles":
        parent = parent.parent_op()
    return parent is None or parent.name == "tile.kernel"
