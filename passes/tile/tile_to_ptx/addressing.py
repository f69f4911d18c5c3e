"""Offset algebra: where a thread's elements of a tile lie in memory.

For a register layout `tv` and a memory layout, the element offset of register `r` of lane `l` of warp `w` is

    offset(origin + coords(r, l, w)) = origin part + thread part(l, w) + register part(r)

The thread part is computed once and hoisted, the register part is an immediate. The sum is exact when no digit of the
memory layout carries between the parts. Constant origins are folded into the tables below, so carries are only a
question for run-time origins of multi-digit dimensions: `carries` answers it. All tables hold element offsets
*before* the xor swizzle.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import gcd

import numpy as np

from ....dialects.layout.mem import MemLayout, merge_digits
from ....dialects.layout.tv import Tv
from ..divisibility import UNLIMITED
from .emitter import Emitter, Scalar

Table = np.ndarray


@dataclass(frozen=True)
class ThreadTerm:
    """`((source >> shift) % modulo) * factor` with source "lane", or `((warp // shift) % modulo) * factor`.

    `modulo` 0: no wrap (the source's outermost digit).
    """

    source: str
    shift: int
    modulo: int
    factor: int


ThreadPart = tuple[ThreadTerm, ...]


def fit_threads(table: Table, warp_sizes: Sequence[int]) -> ThreadPart | None:
    """Terms whose sum is `table[warp, lane] - table[0, 0]`, or None if it is no such sum."""
    warps, lanes = table.shape
    base = table[0, 0]
    terms: list[ThreadTerm] = []
    fitted = np.zeros_like(table)
    lane_index = np.arange(lanes)
    bits = [int(table[0, 1 << bit] - base) for bit in range(5)]
    bit = 0
    while bit < 5:
        if bits[bit] == 0:
            bit += 1
            continue
        width = 1
        while bit + width < 5 and bits[bit + width] == bits[bit] << width:
            width += 1
        modulo = 0 if bit + width == 5 else 1 << width
        terms.append(ThreadTerm("lane", bit, modulo, bits[bit]))
        fitted += (((lane_index >> bit) % (1 << width)) * bits[bit])[None, :]
        bit += width
    warp_index = np.arange(warps)
    digits: list[tuple[int, int]] = []
    unit = 1
    for size in warp_sizes:
        if unit >= warps:
            break
        if size & (size - 1) == 0:
            for _ in range(size.bit_length() - 1):
                digits.append((unit, 2))
                unit *= 2
        else:
            digits.append((unit, size))
            unit *= size
    merged: list[tuple[int, int, int]] = []
    for unit, size in digits:
        if unit >= warps:
            continue
        factor = int(table[unit, 0] - base)
        if merged and factor == merged[-1][1] * merged[-1][2] and merged[-1][0] * merged[-1][1] == unit:
            merged[-1] = (merged[-1][0], merged[-1][1] * size, merged[-1][2])
        else:
            merged.append((unit, size, factor))
    for unit, size, factor in merged:
        if factor == 0:
            continue
        modulo = 0 if unit * size >= warps else size
        terms.append(ThreadTerm("warp", unit, modulo, factor))
        fitted += (((warp_index // unit) % size) * factor)[:, None]
    return tuple(terms) if np.array_equal(fitted, table - base) else None


def emit_thread_part(emitter: Emitter, part: ThreadPart, lane: Scalar, warp: Scalar, scale: int = 1) -> Scalar:
    """The sum of the terms times `scale`, as 32-bit arithmetic."""
    total: Scalar = 0
    for term in part:
        if term.source == "lane":
            digit = emitter.shr(lane, term.shift)
        else:
            digit = emitter.div(warp, term.shift)
        if term.modulo:
            digit = emitter.rem(digit, term.modulo)
        total = emitter.mad(digit, term.factor * scale, total)
    return total


@dataclass(frozen=True)
class TilePlan:
    """Offsets of a tile at constant part `constants` of its origin.

    `table[w, l, r]`: linear element offsets. `part_of[r]`: index into `parts`; `imm[r]`: register part.
    """

    table: Table
    parts: tuple[ThreadPart, ...]
    part_of: tuple[int, ...]
    imm: tuple[int, ...]


@lru_cache(maxsize=512)
def plan_tile(tv: Tv, mem: MemLayout, constants: tuple[int, ...], gathered: tuple[int, ...] = ()) -> TilePlan | None:
    """Tables for `tv` laid over `mem`; dimensions in `gathered` contribute nothing. None if nothing fits."""
    coords = tv.all_coords()
    table = np.zeros(coords.shape[:3], dtype=np.int64)
    for axis, digits in enumerate(mem.dims):
        if axis not in gathered:
            table += walk_digits(coords[..., axis] + constants[axis], merge_digits(digits))
    return plan_table(table, tuple(size for size, _ in tv.warp))


def plan_table(table: Table, warp_sizes: Sequence[int]) -> TilePlan | None:
    """Splits a table of linear offsets into thread parts and register immediates."""
    delta = table - table[:1, :1, :]
    parts: list[ThreadPart] = []
    seen: dict[bytes, int] = {}
    part_of: list[int] = []
    for register in range(table.shape[2]):
        column = np.ascontiguousarray(delta[:, :, register])
        key = column.tobytes()
        if key not in seen:
            part = fit_threads(column, warp_sizes)
            if part is None:
                return None
            seen[key] = len(parts)
            parts.append(part)
        part_of.append(seen[key])
    imm = tuple(int(v) for v in table[0, 0, :])
    return TilePlan(table, tuple(parts), tuple(part_of), imm)


def walk_digits(coords: Table, digits: Sequence[tuple[int, int]]) -> Table:
    """Linear offset of coordinates along one dimension."""
    total = np.zeros_like(coords)
    rest = coords
    for position, (size, stride) in enumerate(digits):
        if position == len(digits) - 1:
            total += rest * stride
        else:
            total += (rest % size) * stride
            rest = rest // size
    return total


def carries(digits: Sequence[tuple[int, int]], divisor: int, extent: int) -> bool:
    """Whether adding t < `extent` to a multiple of `divisor` may carry between digits of the dimension.

    >>> carries([(16, 1), (0, 512)], 16, 16)
    False
    >>> carries([(16, 1), (0, 512)], 8, 16)
    True
    """
    if len(digits) == 1 or extent == 1:
        return False
    below = 1
    for position, (size, _) in enumerate(digits):
        last = position == len(digits) - 1
        above = UNLIMITED if last or size == 0 else below * size
        room = gcd(divisor, above) if not last else divisor
        if room >= extent and room % below == 0:
            return False
        below = above
    return True


def origin_alignment(digits: Sequence[tuple[int, int]], divisor: int) -> int:
    """A divisor of the element offset that a run-time origin (multiple of `divisor`) contributes."""
    alignment = 0
    below = 1
    for position, (size, stride) in enumerate(digits):
        last = position == len(digits) - 1
        unit = divisor // below if divisor % below == 0 else 1
        if not last and unit % size == 0:
            below *= size
            continue  # this digit of the origin is always 0
        step = unit if last else gcd(unit, size)
        alignment = gcd(alignment, step * stride)
        below *= max(size, 1)
    return alignment if alignment else UNLIMITED


def origin_digits(emitter: Emitter, value: Scalar, digits: Sequence[tuple[int, int]], divisor: int) -> list[tuple[Scalar, int]]:
    """(digit value, stride) pairs of a run-time coordinate, digits that are known to be 0 left out."""
    pairs: list[tuple[Scalar, int]] = []
    below = 1
    for position, (size, stride) in enumerate(digits):
        last = position == len(digits) - 1
        if not last and divisor % below == 0 and (divisor // below) % size == 0:
            below *= size
            continue
        digit = emitter.div(value, below)
        if not last:
            digit = emitter.rem(digit, size)
        pairs.append((digit, stride))
        below *= max(size, 1)
    return pairs


@dataclass(frozen=True)
class Run:
    """One memory access of a thread: `registers` (packed words or single elements) side by side in memory.

    `first`: element register whose offset is the access's address. `words`: the words it fills, or elements if the
    access moves single elements (`by_element`).
    """

    first: int
    words: tuple[int, ...]
    nbytes: int
    by_element: bool


def find_runs(
    table: Table,
    elem_bytes: int,
    pack: int,
    alignment: int,
    keys: Sequence[object],
    max_bytes: int = 16,
) -> list[Run]:
    """Partitions a thread's registers into accesses of 16, 8, 4, 2 or 1 bytes.

    `alignment`: divisor, in elements, of everything that is added to the table at run time. `keys[r]`: registers may
    share an access only if their keys are equal (predicates, gathered indices).
    """
    count = table.shape[2]
    flat = table.reshape(-1, count)

    def aligned(register: int, elements: int) -> bool:
        return alignment % elements == 0 and not (flat[:, register] % elements).any()

    whole = count % pack == 0 and elem_bytes * pack <= max_bytes
    if whole and pack > 1:
        shaped = flat.reshape(len(flat), -1, pack)
        whole = bool((shaped == shaped[:, :, :1] + np.arange(pack)).all())
        whole = whole and alignment % pack == 0 and not (shaped[:, :, 0] % pack).any()
        whole = whole and all(keys[r] == keys[r - r % pack] for r in range(count))
    if not whole:
        return (
            [Run(r, (r,), elem_bytes, True) for r in range(count)]
            if pack > 1
            else [Run(r, (r,), elem_bytes, False) for r in range(count)]
        )
    words = count // pack
    order = sorted(range(words), key=lambda word: (int(flat[0, word * pack]), word))
    word_bytes = elem_bytes * pack
    runs: list[Run] = []
    position = 0
    while position < words:
        first = order[position] * pack
        length = 1
        for wanted in (4, 2):
            if wanted * word_bytes > max_bytes or position + wanted > words or not aligned(first, wanted * pack):
                continue
            group = order[position : position + wanted]
            if all(
                keys[word * pack] == keys[first] and np.array_equal(flat[:, word * pack], flat[:, first] + index * pack)
                for index, word in enumerate(group)
            ):
                length = wanted
                break
        runs.append(Run(first, tuple(order[position : position + length]), length * word_bytes, False))
        position += length
    return runs
