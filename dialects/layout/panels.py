"""Panels: the pieces of shared memory that tensor copies fill and wgmma reads, and the boxes of tensor maps that make them.

A panel is rows of `width` bytes under each other. With a swizzle its 16-byte chunks are xored with the row, so that a column
of eight rows meets no bank twice; its pattern repeats every eight rows. wgmma reads it K-major (a row of the operand is a row
of the panel) or, 16-bit elements only, MN-major (the other way round).

Sources: PTX ISA, "Tensor swizzling modes" and "Strides" of wgmma's matrix descriptor; driver API, cuTensorMapEncodeTiled.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

import numpy as np

from .mem import MemLayout
from .types import BufferType, elem_bytes

MAX_RANK = 5
MAX_EXTENT = 256
MAX_STRIDE = 1 << 40


@dataclass(frozen=True)
class Panel:
    """`width`: bytes of a row, 0 where any multiple of 16 is one. `mode`: its code in a wgmma descriptor. `majors`: how wgmma
    reads it."""

    swizzle: int
    width: int
    pattern: int
    mode: int
    majors: tuple[str, ...]


PANELS: dict[int, Panel] = {
    128: Panel(128, 128, 1024, 1, ("k", "mn")),
    64: Panel(64, 64, 512, 2, ("k", "mn")),
    32: Panel(32, 32, 256, 3, ("k", "mn")),
    0: Panel(0, 0, 128, 0, ()),
}
"""Swizzle in bytes → its panel. `pattern`: bytes after which it repeats, and to which it is aligned."""


def box_layout(box: Sequence[int], elem: int, swizzle: int) -> MemLayout:
    """Where the elements of a box lie once copied; `elem` in bytes."""
    return MemLayout.swizzled(box, elem, swizzle) if swizzle else MemLayout.row_major(box)


def box_bytes(box: Sequence[int], elem: int) -> int:
    """What a copy of a box counts, elements outside the tensor included."""
    return prod(box) * elem


def box_problem(type_: BufferType, box: Sequence[int], swizzle: int) -> str | None:
    """Why no tensor map has this box over this buffer; None when one does. Boxes are outermost first, as shapes are."""
    dims, elem = type_.dims, elem_bytes(type_.element_type)
    if swizzle not in PANELS:
        return f"a swizzle of {swizzle} bytes; there are {', '.join(map(str, PANELS))}"
    if len(box) != len(dims) or not 1 <= len(dims) <= MAX_RANK:
        return f"a box of rank {len(box)} in a buffer of rank {len(dims)}; both have the same rank, 1 to {MAX_RANK}"
    if any(not 1 <= extent <= MAX_EXTENT for extent in box):
        return f"the box {list(box)} has an extent outside 1..{MAX_EXTENT}"
    row = box[-1] * elem
    if row % 16:
        return f"rows of {row} bytes; the innermost extent of a box is a multiple of 16 bytes"
    panel = PANELS[swizzle]
    if panel.width and row != panel.width:
        fitting = next((w for w in (128, 64, 32) if row % w == 0), 0)
        hint = f"take {fitting // elem} columns" if row > panel.width else f"take a swizzle of {row if row in PANELS else 0}"
        return f"rows of {row} bytes in panels of {panel.width}: the {swizzle}-byte swizzle has rows of {panel.width} bytes; {hint}"
    return _stride_problem(type_, elem)


def _stride_problem(type_: BufferType, elem: int) -> str | None:
    strides = map_strides(type_)
    if strides is None:
        return f"the buffer's layout {type_.mem} is not one stride for each dimension"
    if strides[-1] != elem:
        return f"neighbours of the last dimension are {strides[-1]} bytes apart; they must be {elem}"
    for stride in strides[:-1]:
        if stride % 16 or not 0 < stride < MAX_STRIDE:
            return f"a stride of {stride} bytes; tensor maps have multiples of 16 below 2^40"
    return None


def map_strides(type_: BufferType) -> tuple[int, ...] | None:
    """Bytes from one element to the next, by dimension; None where the layout has digits or a swizzle.

    A dimension of extent 1 has any stride; here one that tensor maps take.
    """
    strides, elem = type_.layout.strides(), elem_bytes(type_.element_type)
    if strides is None:
        return None
    last = len(strides) - 1
    return tuple(
        elem * s if dim != 1 else (elem if axis == last else 16)
        for axis, (dim, s) in enumerate(zip(type_.dims, strides, strict=True))
    )


def holds_box(layout: MemLayout, shape: Sequence[int], start: int, box: Sequence[int], elem: int, swizzle: int) -> str | None:
    """Why the memory of `shape` from byte `start` on is not laid out as a copied box; None when it is.

    The elements that lie there are a box of the same extents (1s aside), and lie where a copy puts the box's.
    """
    pattern = PANELS[swizzle].pattern
    if start % pattern:
        return f"byte {start} is no multiple of {pattern}, after which the pattern of a {swizzle}-byte swizzle repeats"
    wanted = box_layout(box, elem, swizzle).all_offsets(tuple(box)).reshape(-1)
    offsets = layout.all_offsets(tuple(shape))
    first = start // elem
    here = (offsets >= first) & (offsets < first + len(wanted))
    inside = offsets[here]
    if len(inside) != len(wanted):
        return f"bytes {start}..{start + len(wanted) * elem} hold {len(inside)} of its elements, the box has {len(wanted)}"
    extents = [int(c.max() - c.min()) + 1 for c in np.nonzero(here)]
    if [e for e in extents if e > 1] != [e for e in box if e > 1]:
        return f"bytes {start}..{start + len(wanted) * elem} are {extents} of its elements, not a box of {list(box)}"
    if (inside - first != wanted).any():
        return f"elements do not lie where a box of {list(box)} with a {swizzle}-byte swizzle puts them"
    return None


__all__ = ["PANELS", "Panel", "box_bytes", "box_layout", "box_problem", "holds_box", "map_strides"]
