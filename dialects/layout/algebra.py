"""Questions about layouts: inverses, contiguous runs, the cost of changing layout, shared-memory bank conflicts.

Everything is derived from the digits; nothing here knows an instruction's name.  Shared memory has 32 banks of four bytes;
a warp's access of 8 (16) bytes a lane is served in two (four) phases of 16 (8) lanes.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np

from .mem import Digit, MemLayout, merge_digits
from .tv import Tv

BANKS = 32
BANK_BYTES = 4


def invert(layout: MemLayout) -> MemLayout:
    """The layout from element offset to row-major position: `invert(l).offset([l.offset(c)]) == position of c`.

    Takes static layouts that fill their storage without gaps and without a swizzle (which is its own inverse); ValueError otherwise.
    """
    if layout.swizzle is not None:
        raise ValueError("invert the layout without its swizzle, then apply the swizzle first")
    if not layout.is_static:
        raise ValueError("an unbounded layout has no inverse here")
    digits: list[tuple[int, int, int]] = []  # stride, size, unit of the row-major position
    unit = 1
    for axis in range(layout.rank - 1, -1, -1):
        inner = unit
        for size, stride in layout.dims[axis]:
            if size > 1:
                digits.append((stride, size, inner))
            inner *= size
        unit = inner
    digits.sort()
    expected = 1
    for stride, size, _ in digits:
        if stride != expected:
            raise ValueError(f"offsets are not gapless: a stride of {stride} where {expected} was due")
        expected *= size
    inverse: tuple[Digit, ...] = tuple((size, position) for _, size, position in digits)
    return MemLayout((merge_digits(inverse),))


# registers and memory -----------------------------------------------------------------------------
def element_offsets(tv: Tv, layout: MemLayout) -> np.ndarray:
    """Element offset of every register of every thread: int64 [warps, 32, registers]."""
    coords = tv.all_coords()
    if tv.rank == 0:
        return np.zeros(coords.shape[:-1], dtype=np.int64)
    return np.asarray(layout.offset([coords[..., axis] for axis in range(tv.rank)]), dtype=np.int64)


@lru_cache(maxsize=1024)
def vector_width(tv: Tv, layout: MemLayout, elem_bytes: int, limit_bytes: int = 16) -> int:
    """How many consecutive registers of every thread are consecutive and aligned in memory (a power of two)."""
    offsets = element_offsets(tv, layout)
    registers = offsets.shape[-1]
    width = 1
    while 2 * width * elem_bytes <= limit_bytes and registers % (2 * width) == 0:
        runs = offsets.reshape(*offsets.shape[:-1], -1, 2 * width)
        steps = runs - runs[..., :1]
        if (steps != np.arange(2 * width)).any() or (runs[..., 0] % (2 * width)).any():
            break
        width *= 2
    return width


@lru_cache(maxsize=1024)
def bank_conflicts(tv: Tv, layout: MemLayout, elem_bytes: int, vector: int | None = None) -> int:
    """The most often a bank is asked for different words in one phase; 1 is free of conflicts."""
    vector = vector or vector_width(tv, layout, elem_bytes)
    width = vector * elem_bytes
    addresses = element_offsets(tv, layout)[..., ::vector] * elem_bytes
    words = max(width // BANK_BYTES, 1)
    lanes = 32 // max(width // BANK_BYTES, 1)
    worst = 1
    for warp in addresses:
        for access in np.moveaxis(warp, -1, 0):
            for phase in access.reshape(-1, min(lanes, 32)):
                touched = np.unique((phase[:, None] // BANK_BYTES + np.arange(words)).reshape(-1))
                worst = max(worst, int(np.bincount(touched % BANKS).max()))
    return worst


# between register layouts -------------------------------------------------------------------------
@dataclass(frozen=True)
class Conversion:
    """What it takes to get from one register layout to another.

    `none`: the same registers. `registers`: every thread has what it needs, in other registers. `shuffle`: every warp has.
    `shared`: through shared memory. `cost` counts 32-bit moves, shuffles (x2) or shared accesses and a barrier (x4) a thread.
    """

    kind: Literal["none", "registers", "shuffle", "shared"]
    cost: int


@lru_cache(maxsize=512)
def conversion(source: Tv, target: Tv) -> Conversion:
    """The cheapest way from `source` to `target`; ValueError for tiles of other shapes or warps."""
    if source.shape != target.shape or source.num_warps != target.num_warps:
        raise ValueError(f"{list(source.shape)} on {source.num_warps} warps to {list(target.shape)} on {target.num_warps}")
    mine, wanted = _positions(source), _positions(target)
    if mine.shape == wanted.shape and (mine == wanted).all():
        return Conversion("none", 0)
    if _rows_contain(mine.reshape(-1, mine.shape[-1]), wanted.reshape(-1, wanted.shape[-1])):
        return Conversion("registers", target.num_regs)
    if _rows_contain(mine.reshape(mine.shape[0], -1), wanted.reshape(wanted.shape[0], -1)):
        return Conversion("shuffle", 2 * max(source.num_regs, target.num_regs))
    return Conversion("shared", 4 * (source.num_regs + target.num_regs))


def _positions(tv: Tv) -> np.ndarray:
    return element_offsets(tv, MemLayout.row_major(tv.shape))


def _rows_contain(have: np.ndarray, want: np.ndarray) -> bool:
    return all(np.isin(w, h).all() for h, w in zip(have, want, strict=True))
