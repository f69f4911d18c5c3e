"""Register layouts: which element of a tile a thread keeps in which register.

A `Tv` maps (register, lane, warp) to coordinates of a tile.  Each of the three indices is
split into mixed-radix digits, innermost first; every digit has a *step vector* in coordinate
space and the coordinates are the sum of `digit * step`.  A step of zeros means that threads
(or registers) hold copies of the same element.

    the C fragment of m16n8k16:  reg  (2, (0, 1)) (2, (8, 0))
                                 lane (4, (0, 2)) (8, (1, 0))
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from math import gcd, prod

import numpy as np

Step = tuple[int, ...]
TvDigit = tuple[int, Step]
"""(size, coordinate step per unit of the digit)."""


@dataclass(frozen=True)
class Tv:
    """Register layout of a tile of `shape`; see the module docstring."""

    shape: tuple[int, ...]
    reg: tuple[TvDigit, ...]
    lane: tuple[TvDigit, ...]
    warp: tuple[TvDigit, ...]

    def problem(self) -> str | None:
        """What is wrong with this layout, or None.  Covering is checked by `is_covering`."""
        rank = len(self.shape)
        for name, digits in (("reg", self.reg), ("lane", self.lane), ("warp", self.warp)):
            for size, step in digits:
                if size < 1:
                    return f"{name} digit of size {size}"
                if len(step) != rank:
                    return f"{name} step {list(step)} has rank {len(step)}, the shape {rank}"
        lanes = prod(size for size, _ in self.lane)
        if lanes != 32:
            return f"lane digits make {lanes} lanes, a warp has 32"
        for axis, extent in enumerate(self.shape):
            reach = 1 + sum((size - 1) * step[axis] for digits in (self.reg, self.lane, self.warp) for size, step in digits)
            if reach > extent:
                return f"axis {axis}: coordinates reach {reach - 1}, the extent is {extent}"
        return None

    # sizes ----------------------------------------------------------------------------
    @property
    def rank(self) -> int:
        return len(self.shape)

    @cached_property
    def num_regs(self) -> int:
        """Elements a thread holds."""
        return prod(size for size, _ in self.reg)

    @cached_property
    def num_warps(self) -> int:
        return prod(size for size, _ in self.warp)

    # meaning --------------------------------------------------------------------------
    def coords(self, reg: int, lane: int, warp: int) -> tuple[int, ...]:
        """Coordinates of the element in register `reg` of lane `lane` of warp `warp`."""
        total = [0] * len(self.shape)
        for index, digits in ((reg, self.reg), (lane, self.lane), (warp, self.warp)):
            for size, step in digits:
                digit = index % size
                index //= size
                for axis, value in enumerate(step):
                    total[axis] += digit * value
        return tuple(total)

    def all_coords(self) -> np.ndarray:
        """Coordinates of everything: int64 [warps, 32, registers, rank]; do not modify."""
        return _all_coords(self)

    def reg_coords(self) -> np.ndarray:
        """The register part alone: int64 [registers, rank] (lane 0, warp 0)."""
        return _digit_coords(self.reg, self.rank)

    def lane_coords(self) -> np.ndarray:
        return _digit_coords(self.lane, self.rank)

    def warp_coords(self) -> np.ndarray:
        return _digit_coords(self.warp, self.rank)

    def find_reg(self, coords: Sequence[int]) -> int | None:
        """The first register that holds `coords` in lane 0 of warp 0, or None."""
        hits = np.nonzero((self.reg_coords() == np.asarray(coords, dtype=np.int64)).all(axis=1))[0]
        return int(hits[0]) if len(hits) else None

    def _counts(self) -> np.ndarray:
        flat = np.zeros(self.shape or (1,), dtype=np.int64)
        coords = self.all_coords().reshape(-1, self.rank)
        if self.rank == 0:
            return np.full((1,), len(coords))
        np.add.at(flat, tuple(coords.T), 1)
        return flat

    def is_bijective(self) -> bool:
        """Every element is held exactly once."""
        return self.problem() is None and bool((self._counts() == 1).all())

    def is_covering(self) -> bool:
        """Every element is held at least once."""
        return self.problem() is None and bool((self._counts() >= 1).all())

    # algebra --------------------------------------------------------------------------
    def project(self, *axes: int) -> Tv:
        """The layout after `axes` became size 1: their steps are 0, duplicate registers dropped.

        Register `r` of the result is the register of `self` with the dropped digits at 0.
        """
        chosen = {axis % self.rank for axis in axes}

        def drop(digits: tuple[TvDigit, ...]) -> tuple[TvDigit, ...]:
            return tuple((size, tuple(0 if axis in chosen else s for axis, s in enumerate(step))) for size, step in digits)

        shape = tuple(1 if axis in chosen else extent for axis, extent in enumerate(self.shape))
        reg = tuple((size, step) for size, step in drop(self.reg) if any(step))
        return Tv(shape, reg, drop(self.lane), drop(self.warp))

    def project_to(self, shape: Sequence[int]) -> Tv:
        """Projects the axes in which `shape` has size 1 and `self` does not."""
        axes = [a for a, (mine, want) in enumerate(zip(self.shape, shape, strict=True)) if want == 1 != mine]
        return self.project(*axes) if axes else self

    def register_of_projection(self, axes: Sequence[int]) -> list[int]:
        """For every register of `self`, the register of `self.project(*axes)` it reads."""
        chosen = {axis % self.rank for axis in axes}
        kept: list[tuple[int, bool]] = []
        for size, step in self.reg:
            kept.append((size, any(s for axis, s in enumerate(step) if axis not in chosen)))
        return _selected_index(kept, self.num_regs, chosen_nonempty=bool(chosen))

    def expand(self, axis: int) -> Tv:
        """Inserts a dimension of size 1 at `axis`."""

        def widen(digits: tuple[TvDigit, ...]) -> tuple[TvDigit, ...]:
            return tuple((size, step[:axis] + (0,) + step[axis:]) for size, step in digits)

        shape = self.shape[:axis] + (1,) + self.shape[axis:]
        return Tv(shape, widen(self.reg), widen(self.lane), widen(self.warp))

    def squeeze(self, axis: int) -> Tv:
        """Removes a dimension of size 1."""
        if self.shape[axis] != 1:
            raise ValueError(f"axis {axis} has size {self.shape[axis]}, not 1")
        return self.drop(axis)

    def drop(self, axis: int) -> Tv:
        """Removes `axis` (its coordinates are forgotten)."""

        def narrow(digits: tuple[TvDigit, ...]) -> tuple[TvDigit, ...]:
            return tuple((size, step[:axis] + step[axis + 1 :]) for size, step in digits)

        return Tv(
            self.shape[:axis] + self.shape[axis + 1 :],
            narrow(self.reg),
            narrow(self.lane),
            narrow(self.warp),
        )

    def permute(self, order: Sequence[int]) -> Tv:
        """Axis `i` of the result is axis `order[i]` of `self`."""

        def turn(digits: tuple[TvDigit, ...]) -> tuple[TvDigit, ...]:
            return tuple((size, tuple(step[a] for a in order)) for size, step in digits)

        return Tv(tuple(self.shape[a] for a in order), turn(self.reg), turn(self.lane), turn(self.warp))

    def slice(self, axis: int, start: int, size: int) -> tuple[Tv, tuple[int, ...]]:
        """`[start, start + size)` along `axis` as a subset of the registers.

        Returns the layout of the slice and, for each of its registers, the register of `self`.
        Raises ValueError where the slice is no register subset (it would cut lanes or warps).
        """
        return _slice(self, axis % self.rank, start, size)

    def concat(self, axis: int, count: int) -> Tv:
        """`count` tiles of this layout after each other along `axis`; registers one after the other."""
        axis %= self.rank
        step = tuple(self.shape[axis] if a == axis else 0 for a in range(self.rank))
        shape = tuple(n * count if a == axis else n for a, n in enumerate(self.shape))
        reg = self.reg if count == 1 else self.reg + ((count, step),)
        return Tv(shape, reg, self.lane, self.warp)

    def broadcast(self, shape: Sequence[int]) -> Tv:
        """The given size-1 axes become larger: every thread keeps copies in new outer registers."""
        reg = self.reg
        for axis, (mine, want) in enumerate(zip(self.shape, shape, strict=True)):
            if mine == want:
                continue
            if mine != 1:
                raise ValueError(f"axis {axis} has size {mine}: only size 1 broadcasts")
            reg += ((want, tuple(int(a == axis) for a in range(self.rank))),)
        return Tv(tuple(shape), reg, self.lane, self.warp)

    def normalised(self) -> Tv:
        """Digits of size 1 dropped and digits that continue each other merged."""

        def merge(digits: tuple[TvDigit, ...]) -> tuple[TvDigit, ...]:
            merged: list[TvDigit] = []
            for size, step in digits:
                if size == 1:
                    continue
                if merged and tuple(merged[-1][0] * s for s in merged[-1][1]) == step:
                    merged[-1] = (merged[-1][0] * size, merged[-1][1])
                else:
                    merged.append((size, step))
            return tuple(merged)

        return Tv(self.shape, merge(self.reg), merge(self.lane), merge(self.warp))

    # constructors ---------------------------------------------------------------------
    @staticmethod
    def blocked(
        shape: Sequence[int],
        vec: int = 1,
        order: Sequence[int] | None = None,
        warps: int = 1,
    ) -> Tv:
        """Threads in contiguous runs: `vec` elements a thread along `order[0]`, then lanes, then
        warps, each along the axes of `order` (default: last axis first), then what is left of
        the tile in registers.  Lanes and warps that find no room hold copies.
        """
        shape = tuple(shape)
        rank = len(shape)
        axes = tuple(order) if order is not None else tuple(reversed(range(rank)))
        done = [1] * rank
        if rank and shape[axes[0]] % vec:
            raise ValueError(f"{vec} elements a thread do not divide axis of {shape[axes[0]]}")

        def unit(axis: int) -> Step:
            return tuple(done[axis] if a == axis else 0 for a in range(rank))

        def take(count: int) -> tuple[TvDigit, ...]:
            digits: list[TvDigit] = []
            for axis in axes:
                part = gcd(count, shape[axis] // done[axis])
                if part > 1:
                    digits.append((part, unit(axis)))
                    done[axis] *= part
                    count //= part
            if count > 1:
                digits.append((count, (0,) * rank))
            return tuple(digits)

        reg: list[TvDigit] = []
        if vec > 1:
            reg.append((vec, unit(axes[0])))
            done[axes[0]] = vec
        lane = take(32)
        warp = take(warps)
        for axis in axes:
            left = shape[axis] // done[axis]
            if left > 1:
                reg.append((left, unit(axis)))
                done[axis] *= left
        return Tv(shape, tuple(reg), lane, warp)

    @staticmethod
    def replicated(shape: Sequence[int], warps: int = 1) -> Tv:
        """Every thread holds the whole tile."""
        rank = len(shape)
        reg = tuple((shape[a], tuple(int(b == a) for b in range(rank))) for a in reversed(range(rank)) if shape[a] > 1)
        zero = (0,) * rank
        warp = ((warps, zero),) if warps > 1 else ()
        return Tv(tuple(shape), reg, ((32, zero),), warp)

    @staticmethod
    def mma_c(shape: Sequence[int], warps: tuple[int, int] = (1, 1)) -> Tv:
        """Accumulator [M, N] of m16n8k*; warps `(along M, along N)`, each a contiguous block.

        Registers: column pair, row half (+8), n tile, m tile.
        """
        m, n = shape
        wm, wn = warps
        _require(m % (16 * wm) == 0 and n % (8 * wn) == 0, f"mma_c {m}x{n} for warps {warps}")
        reg = _digits([(2, (0, 1)), (2, (8, 0)), (n // wn // 8, (0, 8)), (m // wm // 16, (16, 0))])
        return Tv((m, n), reg, _MMA_LANES, _digits([(wm, (m // wm, 0)), (wn, (0, n // wn))]))

    @staticmethod
    def mma_a(shape: Sequence[int], warps: tuple[int, int] = (1, 1)) -> Tv:
        """Operand A [M, K] of m16n8k16 (16-bit); warps along N hold copies.

        Registers: k pair, row half (+8), k half (+8), k tile, m tile.
        """
        m, k = shape
        wm, wn = warps
        _require(m % (16 * wm) == 0 and k % 16 == 0, f"mma_a {m}x{k} for warps {warps}")
        reg = _digits([(2, (0, 1)), (2, (8, 0)), (2, (0, 8)), (k // 16, (0, 16)), (m // wm // 16, (16, 0))])
        return Tv((m, k), reg, _MMA_LANES, _digits([(wm, (m // wm, 0)), (wn, (0, 0))]))

    @staticmethod
    def mma_b(shape: Sequence[int], warps: tuple[int, int] = (1, 1)) -> Tv:
        """Operand B, stored [N, K], of m16n8k16 (16-bit); warps along M hold copies.

        Registers: k pair, k half (+8), k tile, n tile.
        """
        n, k = shape
        wm, wn = warps
        _require(n % (8 * wn) == 0 and k % 16 == 0, f"mma_b {n}x{k} for warps {warps}")
        reg = _digits([(2, (0, 1)), (2, (0, 8)), (k // 16, (0, 16)), (n // wn // 8, (8, 0))])
        return Tv((n, k), reg, _MMA_LANES, _digits([(wm, (0, 0)), (wn, (n // wn, 0))]))


_MMA_LANES: tuple[TvDigit, ...] = ((4, (0, 2)), (8, (1, 0)))


def _require(condition: bool, what: str) -> None:
    if not condition:
        raise ValueError(f"sizes do not fit: {what}")


def _digits(digits: list[TvDigit]) -> tuple[TvDigit, ...]:
    return tuple((size, step) for size, step in digits if size > 1)


def _digit_coords(digits: tuple[TvDigit, ...], rank: int) -> np.ndarray:
    coords = np.zeros((1, rank), dtype=np.int64)
    for size, step in digits:
        here = np.arange(size, dtype=np.int64)[:, None, None] * np.asarray(step, dtype=np.int64).reshape(1, 1, rank)
        coords = (here + coords[None]).reshape(-1, rank)
    return coords


@lru_cache(maxsize=512)
def _all_coords(tv: Tv) -> np.ndarray:
    warp, lane, reg = tv.warp_coords(), tv.lane_coords(), tv.reg_coords()
    result = warp[:, None, None] + lane[None, :, None] + reg[None, None]
    result.setflags(write=False)
    return result


def _selected_index(digits: list[tuple[int, bool]], count: int, *, chosen_nonempty: bool) -> list[int]:
    if not chosen_nonempty:
        return list(range(count))
    result: list[int] = []
    for index in range(count):
        rest, position, unit = index, 0, 1
        for size, keep in digits:
            digit = rest % size
            rest //= size
            if keep:
                position += digit * unit
                unit *= size
        result.append(position)
    return result


@lru_cache(maxsize=1024)
def _slice(tv: Tv, axis: int, start: int, size: int) -> tuple[Tv, tuple[int, ...]]:
    what = f"slice [{start}, {start + size}) of axis {axis} of {list(tv.shape)}"
    kept: list[TvDigit] = []
    for count, step in tv.reg:
        along = step[axis]
        if along == 0:
            kept.append((count, step))
        elif along < size:
            fits = min(count, -(-size // along))
            kept.append((fits, step))
    shape = tuple(size if a == axis else n for a, n in enumerate(tv.shape))
    result = Tv(shape, tuple((n, s) for n, s in kept if n > 1), tv.lane, tv.warp)
    if result.problem() is not None:
        raise ValueError(f"{what} is no subset of the registers: {result.problem()}")
    base = tv.reg_coords()
    positions: dict[tuple[int, ...], list[int]] = {}
    for index, coordinate in enumerate(map(tuple, base.tolist())):
        positions.setdefault(coordinate, []).append(index)
    chosen: list[int] = []
    used: dict[tuple[int, ...], int] = {}
    for coordinate in result.reg_coords().tolist():
        coordinate[axis] += start
        key = tuple(coordinate)
        nth = used.get(key, 0)
        used[key] = nth + 1
        if nth >= len(positions.get(key, [])):
            raise ValueError(f"{what} is no subset of the registers")
        chosen.append(positions[key][nth])
    return result, tuple(chosen)
