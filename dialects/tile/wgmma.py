"""Which registers and which shared memory feed which `wgmma` instruction, derived from the layouts alone.

A warpgroup (four neighbouring warps w) multiplies m64nNk16. For lane l with g = l / 4, c = l % 4 (PTX ISA, "Asynchronous Warpgroup
Level Matrix Multiply-Accumulate", register fragments; they are those of mma.m16n8k16, 16 rows a warp):

    A  (row 16 w + g + 8 h, slots 2 c + 8 q + 0..1)     register h + 2 q
    D  (row 16 w + g + 8 h, column 8 j + 2 c + e)       register e + 2 h + 4 j
    B  [N, 16 slots] in shared memory: rows of 128 bytes (four k16 steps), eight rows a pattern of 128-byte swizzle

As with mma.sync the hardware sums over slots, not over the numbers in them: any order of m (the same in A and D) and of k is as good,
as long as element (n, k) of B lies at the slot that A's register gives to k.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from ..layout.mem import MemLayout, merge_digits, split_digits
from ..layout.tv import Tv

SPAN = 64
"""Elements (of 16 bits) in a row of a panel: 128 bytes."""
PATTERN = (3, 3, 3)
"""The 128-byte swizzle in units of 16-bit elements."""


class WgmmaMismatch(ValueError):
    """The layouts do not fit wgmma; the message says where."""


@dataclass(frozen=True)
class WgmmaAtom:
    """One instruction: element indices of A and D in PTX order, and where B's slots start (in elements, before the swizzle)."""

    a: tuple[int, ...]
    b: int
    d: tuple[int, ...]


def linear_offset(mem: MemLayout, coords: tuple[np.ndarray, ...]) -> np.ndarray:
    """Element offsets before the swizzle."""
    total = np.zeros(1, np.int64)
    for value, digits in zip(coords, mem.dims, strict=True):
        parts = split_digits(value, [size for size, _ in digits])
        for part, (_, stride) in zip(parts, digits, strict=True):
            total = total + part * stride
    return total


def _groups(tv: Tv, name: str) -> np.ndarray:
    """[group, warp in it, g, c, register, rank]."""
    coords = tv.all_coords()
    warps, _, regs, rank = coords.shape
    if warps % 4:
        raise WgmmaMismatch(f"{name}: {warps} warps are no whole warpgroups (fours)")
    return coords.reshape(warps // 4, 4, 8, 4, regs, rank)


def _rows(coords: np.ndarray, name: str) -> np.ndarray:
    rows = coords[..., 0]
    if (rows != rows[:, :, :, :1]).any():
        raise WgmmaMismatch(f"{name}: m varies between the four lanes of a quad (lane % 4)")
    return rows[:, :, :, 0]  # group, warp, g, register


@lru_cache(maxsize=64)
def wgmma_plan(a: Tv, b_shape: tuple[int, ...], b: MemLayout, d: Tv, start: int = 0) -> tuple[WgmmaAtom, ...]:
    """The instructions of `d += a · b[:, start : start + K]ᵀ` for a [M, K] and d [M, N] in registers, b in shared memory (16-bit
    operands).

    Ordered by k, then as the registers of d stand. Raises WgmmaMismatch when the layouts do not agree.
    """
    if not a.rank == d.rank == len(b_shape) == 2:
        raise WgmmaMismatch(f"ranks {a.rank}, {len(b_shape)}, {d.rank}: all must be 2")
    (m, k), n = a.shape, b_shape[0]
    if not 0 <= start <= b_shape[1] - k or d.shape != (m, n) or a.num_warps != d.num_warps:
        raise WgmmaMismatch(
            f"a {list(a.shape)}, b {list(b_shape)}, d {list(d.shape)}: expected [M, K], [N, K], [M, N] of the same warps"
        )
    if n % 8 or not 8 <= n <= 256:
        raise WgmmaMismatch(f"N = {n}: wgmma takes 8 to 256 columns in eights")
    _check_panels(b, b_shape)
    tiles = _accumulators(d, n)
    left = _groups(a, "a")
    a_rows = _rows(left, "a")
    k_of = left[..., 1]
    if (k_of != k_of[:1, :1, :1]).any():
        raise WgmmaMismatch("a: k varies between warps or quads (lane / 4)")
    slots = linear_offset(b, (np.zeros(1, np.int64), k_of[0, 0, 0] + start))  # c, register
    words: dict[tuple[bytes, int], int] = {}
    for first in range(0, a.num_regs, 2):
        pair = slots[:, first : first + 2]
        base = int(pair[0, 0])
        if base % 8 or (pair - base != np.arange(8).reshape(4, 2)).any():
            raise WgmmaMismatch(
                f"a: registers {first}, {first + 1} hold k whose places in b, {pair.reshape(-1).tolist()}, are no 8 in a row"
            )
        rows = np.ascontiguousarray(a_rows[..., first : first + 2])
        if (rows[..., 0] != rows[..., 1]).any():
            raise WgmmaMismatch(f"a: elements {first} and {first + 1} share a register but not a row")
        words[rows[..., 0].tobytes(), base] = first
    steps = sorted({base - base % 16 for _, base in words})
    if len(steps) * 16 != k:
        raise WgmmaMismatch(f"a: its registers hold {len(steps)} steps of 16, K is {k}")
    plan: list[WgmmaAtom] = []
    for slot in steps:
        for halves, registers in tiles:
            try:
                operand = [words[half, slot + q] + e for q in (0, 8) for half in halves for e in range(2)]
            except KeyError:
                raise WgmmaMismatch("a: no register holds the rows of one of d's registers in every warp") from None
            plan.append(WgmmaAtom(tuple(operand), slot, registers))
    return tuple(plan)


def _check_panels(b: MemLayout, shape: tuple[int, ...]) -> None:
    """Rows of 128 bytes under each other, swizzled: what a descriptor of mode 1 with a stride of 1024 bytes says."""
    n = shape[0]
    if b.swizzle != PATTERN:
        raise WgmmaMismatch(f"b: swizzle {b.swizzle}; descriptors here have the 128-byte one, {list(PATTERN)}")
    if merge_digits(b.dims[0]) != ((b.dims[0][0][0], SPAN),) or b.shape[0] < n:
        raise WgmmaMismatch(f"b: rows lie at {b.dims[0]}; they must be {SPAN} elements (128 bytes) apart")
    offsets = linear_offset(b, (np.zeros(1, np.int64), np.arange(shape[1])))
    if len(np.unique(offsets)) != shape[1] or (offsets % (SPAN * n) >= SPAN).any():
        raise WgmmaMismatch(f"b: k does not fill panels of {SPAN} elements by {n} rows")


def _accumulators(d: Tv, n: int) -> list[tuple[tuple[bytes, bytes], tuple[int, ...]]]:
    """For each m64 tile of a warpgroup: the rows of its two halves, and the registers in PTX order."""
    coords = _groups(d, "d")
    rows, columns = _rows(coords, "d"), coords[..., 1]
    if (columns != columns[:1, :1, :1]).any():
        raise WgmmaMismatch("d: n varies between warps or quads (lane / 4)")
    column_of = columns[0, 0, 0]  # c, register
    places: dict[bytes, dict[int, int]] = {}
    order: list[bytes] = []
    for register in range(d.num_regs):
        first = int(column_of[0, register])
        if (column_of[:, register] != first + 2 * np.arange(4)).any() or first % 8 > 1:
            raise WgmmaMismatch(
                f"d: register {register} holds columns {column_of[:, register].tolist()}, not every second of eight"
            )
        key = np.ascontiguousarray(rows[..., register]).tobytes()
        if key not in places:
            places[key] = {}
            order.append(key)
        places[key][first] = register
    if len(order) % 2:
        raise WgmmaMismatch(f"d: {len(order)} rows a thread; an instruction takes two")
    tiles: list[tuple[tuple[bytes, bytes], tuple[int, ...]]] = []
    for index in range(0, len(order), 2):
        low, high = order[index], order[index + 1]
        try:
            registers = tuple(places[half][8 * j + e] for j in range(n // 8) for half in (low, high) for e in range(2))
        except KeyError:
            raise WgmmaMismatch("d: a thread lacks columns of one of its rows") from None
        tiles.append(((low, high), registers))
    return tiles
