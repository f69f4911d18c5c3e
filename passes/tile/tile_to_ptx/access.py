"""Which instructions a tile access takes: decided from layouts and divisors alone, without emitting anything.

Access.of(tv, memory layout, …) → tables of offsets, then
.runs()      vector accesses of 16, 8, 4, 2 or 1 bytes, or
.matrices()  ldmatrix, where a warp's words form 8x8 matrices whose rows are 16 bytes in shared memory
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import gcd

import numpy as np
from xdsl.ir import Attribute

from ....dialects.layout.mem import Digit, MemLayout, merge_digits
from ....dialects.layout.tv import Tv
from ..divisibility import UNLIMITED
from .addressing import Run, TilePlan, carries, find_runs, origin_alignment, plan_table, plan_tile
from .values import elem_size, pack_of


@dataclass(frozen=True)
class Origin:
    """One coordinate of a tile's origin: a constant, or a multiple of `divisor` known at run time only."""

    constant: int | None
    divisor: int


@dataclass(frozen=True)
class Check:
    """A checked dimension: its bound's known divisor (UNLIMITED is none)."""

    bound_divisor: int


@dataclass(frozen=True)
class Matrices:
    """ldmatrix accesses: words filled by each (1, 2 or 4), and the plan of the row addresses (one register each)."""

    words: tuple[tuple[int, ...], ...]
    plan: TilePlan
    transposed: bool


@dataclass(frozen=True)
class Access:
    """A tile of `tv` in memory. `walked`: dimensions whose digits are computed at run time, register by register
    (gathered ones, and those in which the origin may carry); `plan` covers the others."""

    tv: Tv
    layout: MemLayout
    elem: Attribute
    origins: tuple[Origin, ...]
    gathered: tuple[int, ...]
    walked: tuple[int, ...]
    plan: TilePlan
    granularity: tuple[tuple[int, int], ...]
    alignment: int

    @staticmethod
    def of(
        tv: Tv,
        layout: MemLayout,
        elem: Attribute,
        origins: Sequence[Origin],
        checks: Mapping[int, Check],
        gathered: Sequence[int] = (),
        base_alignment: int = 256,
    ) -> Access:
        """`base_alignment`: bytes to which the memory's start is aligned."""
        digits = [merge_digits(d) for d in layout.dims]
        walked = set(gathered)
        for dim, origin in enumerate(origins):
            if origin.constant is None and carries(digits[dim], origin.divisor, tv.shape[dim]):
                walked.add(dim)
        constants = tuple((o.constant or 0) if dim not in walked else 0 for dim, o in enumerate(origins))
        plan = plan_tile(tv, layout, constants, tuple(sorted(walked)))
        if plan is None:
            walked |= {dim for dim, d in enumerate(digits) if len(d) > 1}
            constants = tuple(c if dim not in walked else 0 for dim, c in enumerate(constants))
            plan = plan_tile(tv, layout, constants, tuple(sorted(walked)))
            assert plan is not None, "coordinates are sums of thread digits"
        alignment = max(base_alignment // elem_size(elem), 1)
        for dim, origin in enumerate(origins):
            if dim in walked:
                for _, stride in digits[dim]:
                    alignment = gcd(alignment, stride) if stride else alignment
            elif origin.constant is None:
                alignment = gcd(alignment, origin_alignment(digits[dim], origin.divisor))
        if layout.swizzle is not None:
            alignment = gcd(alignment, 1 << layout.swizzle[1])
        granularity = tuple((dim, _granularity(tv, dim, origins[dim], check)) for dim, check in checks.items())
        return Access(tv, layout, elem, tuple(origins), tuple(gathered), tuple(sorted(walked)), plan, granularity, alignment)

    @property
    def digits(self) -> list[tuple[Digit, ...]]:
        return [merge_digits(d) for d in self.layout.dims]

    @cached_property
    def reg_coords(self) -> list[tuple[int, ...]]:
        """Coordinates of each register in lane 0 of warp 0."""
        return [tuple(c) for c in self.tv.reg_coords().tolist()]

    def keys(self, extra: Sequence[object] | None = None) -> list[object]:
        """Registers share an access only if these agree."""
        keys: list[object] = []
        for register, coords in enumerate(self.reg_coords):
            key: list[object] = [coords[dim] for dim in self.walked if dim not in self.gathered]
            key.extend(coords[dim] // grain for dim, grain in self.granularity)
            if extra is not None:
                key.append(extra[register])
            keys.append(tuple(key))
        return keys

    def runs(self, extra: Sequence[object] | None = None, max_bytes: int = 16) -> list[Run]:
        """`extra[r]`: what else must agree, such as the gathered indices of a register."""
        if self.layout.swizzle is not None:
            max_bytes = min(max_bytes, elem_size(self.elem) << self.layout.swizzle[1])
        return find_runs(self.plan.table, elem_size(self.elem), pack_of(self.elem), self.alignment, self.keys(extra), max_bytes)

    def matrices(self) -> Matrices | None:
        """The ldmatrix form, if the words of a warp are rows of 16 aligned bytes."""
        table = self.plan.table
        count = table.shape[2]
        if elem_size(self.elem) != 2 or self.walked or self.granularity or self.alignment % 8 or count % 2:
            return None
        if self.layout.swizzle is not None and self.layout.swizzle[1] < 3:
            return None
        lanes = np.arange(32)
        words = table.reshape(table.shape[0], 32, count // 2, 2)
        plain_rows = words[..., 0][:, (lanes // 4) * 4]
        plain = plain_rows + 2 * (lanes % 4)[None, :, None]
        fits = np.array_equal(words[..., 0], plain) and np.array_equal(words[..., 1], plain + 1)
        if fits and not (plain_rows % 8).any():
            return self._matrix_plan(words[..., 0][:, ::4], False)
        columns = words[:, lanes % 4] + (lanes // 4)[None, :, None, None]
        if np.array_equal(words, columns) and not (words[:, :4] % 8).any():
            rows = words[:, :4].transpose(0, 1, 3, 2).reshape(table.shape[0], 8, count // 2)
            return self._matrix_plan(rows, True)
        return None

    def _matrix_plan(self, rows: np.ndarray, transposed: bool) -> Matrices | None:
        """`rows[w, row, word]`: offset of each matrix row; matrix m of an access is addressed by lanes 8m..8m+7."""
        count = rows.shape[2]
        for group in (4, 2, 1):
            if count % group:
                continue
            columns: list[np.ndarray] = []
            groups: list[tuple[int, ...]] = []
            for first in range(0, count, group):
                chosen = tuple(range(first, first + group))
                lanes = [rows[:, lane % 8, chosen[(lane // 8) % group]] for lane in range(32)]
                columns.append(np.stack(lanes, axis=1))
                groups.append(chosen)
            plan = plan_table(np.stack(columns, axis=2), tuple(size for size, _ in self.tv.warp))
            if plan is not None:
                return Matrices(tuple(groups), plan, transposed)
        return None


def _granularity(tv: Tv, dim: int, origin: Origin, check: Check) -> int:
    """Aligned blocks of this many elements along `dim` are in or out of bounds as a whole, in every thread."""
    known = gcd(check.bound_divisor, origin.divisor if origin.constant is None else origin.constant)
    threads = tv.all_coords()[:, :, 0, dim]
    known = gcd(known, int(np.gcd.reduce(threads.reshape(-1))))
    grain = 1
    while grain < 16 and known % (grain * 2) == 0:
        grain *= 2
    return grain


__all__ = ["UNLIMITED", "Access", "Check", "Matrices", "Origin"]
