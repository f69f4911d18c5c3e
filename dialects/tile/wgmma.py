"""Which registers and which shared memory feed which `wgmma` instruction, derived from the layouts alone.

A warpgroup (four neighbouring warps w) multiplies m64nNk16. For lane l with g = l / 4, c = l % 4 (PTX ISA, "Asynchronous Warpgroup
Level Matrix Multiply-Accumulate", register fragments; they are those of mma.m16n8k16, 16 rows a warp):

    A  (row 16 w + g + 8 h, slots 2 c + 8 q + 0..1)     register h + 2 q
    D  (row 16 w + g + 8 h, column 8 j + 2 c + e)       register e + 2 h + 4 j
    B  [N, 16 slots] in shared memory: rows of 128 bytes (four k16 steps), eight rows a pattern of 128-byte swizzle

A may lie in shared memory as well, eight rows a pattern of the 128-, 64- or 32-byte swizzle: then the rows 8 j … 8 j + 7 of an instruction
(warp w has j = 2 w and 2 w + 1) begin at a constant stride from each other, which need not be that of neighbouring rows of a.

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
PATTERNS = {64: PATTERN, 32: (2, 3, 3), 16: (1, 3, 3)}
"""Elements in a row → the swizzle of such rows: of 128, 64 or 32 bytes."""


class WgmmaMismatch(ValueError):
    """The layouts do not fit wgmma; the message says where."""


@dataclass(frozen=True)
class WgmmaAtom:
    """One instruction: element indices of A and D in PTX order, and where B's slots start (in elements, before the swizzle)."""

    a: tuple[int, ...]
    b: int
    d: tuple[int, ...]


@dataclass(frozen=True)
class SharedAtom:
    """One instruction with both operands in shared memory: where their slots start for the first warpgroup (in elements, before the
    swizzle), and element indices of D in PTX order."""

    a: int
    b: int
    d: tuple[int, ...]


@dataclass(frozen=True)
class Rows:
    """An operand in shared memory: rows of `span` elements, eight of them every `stride`, those of warpgroup i `group` times i further
    on."""

    span: int
    stride: int
    group: int


@dataclass(frozen=True)
class SharedPlan:
    """Instructions `columns` wide with both operands in shared memory."""

    atoms: tuple[SharedAtom, ...]
    columns: int
    a: Rows
    b: Rows


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
    coords = _groups(d, "d")
    tiles = _accumulators(_rows(coords, "d"), coords[..., 1], n)
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


@lru_cache(maxsize=64)
def wgmma_shared_plan(
    a_shape: tuple[int, ...], a: MemLayout, b_shape: tuple[int, ...], b: MemLayout, d: Tv, start: int = 0
) -> SharedPlan:
    """The instructions of `d += a · b[:, start : start + K]ᵀ` for a [M, K] in shared memory, too.

    Warpgroups divide the rows of d or its columns, in whole or by turns with eights of them. Ordered by k, then as the registers of d stand. Raises WgmmaMismatch when the
    layouts do not agree.
    """
    if not len(a_shape) == d.rank == len(b_shape) == 2:
        raise WgmmaMismatch(f"ranks {len(a_shape)}, {len(b_shape)}, {d.rank}: all must be 2")
    (m, k), n = a_shape, b_shape[0]
    if not 0 <= start <= b_shape[1] - k or d.shape != (m, n):
        raise WgmmaMismatch(f"a {list(a_shape)}, b {list(b_shape)}, d {list(d.shape)}: expected [M, K], [N, K], [M, N]")
    _check_panels(b, b_shape)
    coords = _groups(d, "d")
    group = _step(coords[:, 0, 0, 0, 0, 1], "d: the columns of its warpgroups")
    columns = coords[..., 1] - group * np.arange(len(coords)).reshape(-1, 1, 1, 1, 1)
    taken = np.unique(columns)
    if (
        len(taken) % 8
        or not 8 <= len(taken) <= 256
        or group % 8
        or (taken - np.repeat(taken[::8], 8) != np.arange(len(taken)) % 8).any()
    ):
        raise WgmmaMismatch(f"d: a warpgroup has {len(taken)} columns; wgmma takes 8 to 256 in eights")
    right = Rows(SPAN, SPAN * (_step(taken[::8], "d: the eights of columns of a warpgroup") or 8), SPAN * group)
    tiles = _accumulators(_rows(coords, "d"), np.searchsorted(taken, columns), len(taken))
    span = next((s for s, pattern in PATTERNS.items() if a.swizzle == pattern), None)
    if span is None:
        raise WgmmaMismatch(f"a: swizzle {a.swizzle}; descriptors have {', '.join(str(list(p)) for p in PATTERNS.values())}")
    steps = _shared_steps(a, k, b, start, span)
    starts: list[int] = []
    found: set[Rows] = set()
    for halves, _ in tiles:
        rows = np.stack([np.frombuffer(half, np.int64).reshape(-1, 4, 8) for half in halves], 2)
        first, left = _row_groups(a, rows, span)
        starts.append(first)
        found.add(left)
    if len(found) != 1:
        raise WgmmaMismatch(f"a: its instructions have rows at different strides, {sorted(r.stride for r in found)}")
    atoms = [
        SharedAtom(first + a_slot, b_slot, registers)
        for a_slot, b_slot in steps
        for first, (_, registers) in zip(starts, tiles, strict=True)
    ]
    return SharedPlan(tuple(atoms), len(taken), found.pop(), right)


def _step(values: np.ndarray, what: str) -> int:
    """The constant difference of neighbouring values."""
    steps = {int(step) for step in np.diff(values)}
    if len(steps) > 1:
        raise WgmmaMismatch(f"{what} are at {values.tolist()}, not one step apart")
    return steps.pop() if steps else 0


def _shared_steps(a: MemLayout, k: int, b: MemLayout, start: int, span: int) -> list[tuple[int, int]]:
    """Where each sixteen of k lie in a row of a and of b."""
    zero, along = np.zeros(1, np.int64), np.arange(k)
    left, right = linear_offset(a, (zero, along)), linear_offset(b, (zero, along + start))
    order = np.argsort(right)
    if k % 16:
        raise WgmmaMismatch(f"K = {k} is no multiple of 16")
    steps: list[tuple[int, int]] = []
    for chosen in order.reshape(-1, 16):
        first, second = int(left[chosen[0]]), int(right[chosen[0]])
        for name, offsets, base in (("a", left[chosen], first), ("b", right[chosen], second)):
            if base % 16 or (offsets - base != np.arange(16)).any():
                raise WgmmaMismatch(f"{name}: the places of k = {chosen.tolist()}, {offsets.tolist()}, are no 16 in a row")
        if first // span % 8:
            raise WgmmaMismatch(f"a: k = {int(chosen[0])} lies {first} elements on, inside a pattern of eight rows of {span}")
        steps.append((first, second))
    return steps


def _row_groups(a: MemLayout, rows: np.ndarray, span: int) -> tuple[int, Rows]:
    """For the rows [group, warp, half, g] of an instruction: where the first lies, and how the others follow."""
    offsets = linear_offset(a, (rows.reshape(len(rows), 8, 8), np.zeros(1, np.int64)))
    if (offsets - offsets[..., :1] != span * np.arange(8)).any():
        raise WgmmaMismatch(f"a: the eight rows of a quad lie at {offsets[0, 0].tolist()}; they must be {span} elements apart")
    if (offsets[..., 0] % (8 * span)).any():
        raise WgmmaMismatch(f"a: eight rows begin at {offsets[0, :, 0].tolist()}, not all at patterns of {8 * span} elements")
    strides = {_step(group[:, 0], "a: the eights of rows of an instruction") for group in offsets}
    if len(strides) != 1:
        raise WgmmaMismatch(f"a: the strides of its warpgroups differ, {sorted(strides)}")
    return int(offsets[0, 0, 0]), Rows(span, strides.pop(), _step(offsets[:, 0, 0], "a: its warpgroups"))


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


def _accumulators(rows: np.ndarray, columns: np.ndarray, n: int) -> list[tuple[tuple[bytes, bytes], tuple[int, ...]]]:
    """For each m64 tile of a warpgroup: the rows of its two halves, and the registers in PTX order."""
    if (columns != columns[:1, :1, :1]).any():
        raise WgmmaMismatch("d: n varies between warps or quads (lane / 4)")
    column_of = columns[0, 0, 0]  # c, register
    places: dict[bytes, dict[int, int]] = {}
    order: list[bytes] = []
    for register in range(rows.shape[-1]):
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
