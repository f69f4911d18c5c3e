"""The numerics contract as a judgement over two arrays and an exact one.

Intermediates may stay wider than their type and roundings may move, so that bits say nothing. What holds: the error of the module
after a pass is not a multiple of the error of the module before, both against an f64 run without rounding. Below the floor (a rounding
of the result's type at the result's scale) errors are equal. Two errors count, the root mean square and the largest, since a single
wrong element hides in the one and scatter in the other.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]

UNITS: dict[str, float] = {
    "bfloat16": 2.0**-8,
    "float16": 2.0**-11,
    "float32": 2.0**-18,
    "float64": 2.0**-40,
    "float8_e4m3fn": 2.0**-4,
    "float8_e5m2": 2.0**-3,
}
"""The floor relative to a result's scale: half a unit in the last place; for f32 and f64, whose sums are reordered, 64 and 2^13 units."""


@dataclass(frozen=True)
class Verdict:
    """The judgement of one result: the error ratio, and, where it is too large, the worst element and the first ones."""

    ratio: float
    wrong: bool = False
    worst: tuple[int, ...] = ()
    errors: tuple[float, float] = (0.0, 0.0)
    count: int = 0
    first: tuple[tuple[int, ...], ...] = ()


EQUAL = Verdict(0.0)


def is_float_array(array: Array) -> bool:
    return array.dtype.kind == "f" or array.dtype.name in UNITS


def unit_of(*arrays: Array) -> float:
    """The coarsest floor of the arrays' types."""
    return max(UNITS.get(a.dtype.name, 2.0**-18) for a in arrays)


def same_bits(before: Array, after: Array) -> bool:
    """Whether two arrays are equal bit by bit (NaN equals NaN)."""
    if before.dtype != after.dtype:
        before, after = wide(before), wide(after)
    return bool(np.array_equal(before, after, equal_nan=is_float_array(before)))


def wide(array: Array) -> Array:
    return array.astype(np.float64) if is_float_array(array) else array


def judge_exactly(before: Array, after: Array) -> Verdict:
    """Integers, indices, booleans: equal, or wrong."""
    different = np.asarray(before != after)
    if not different.any():
        return EQUAL
    at = np.argwhere(different)
    return Verdict(np.inf, True, _coordinates(at[0]), (0.0, 1.0), len(at), tuple(_coordinates(c) for c in at[:4]))


def judge(before: Array, after: Array, exact: Array, tolerance: float, allowance: float = 0.0) -> Verdict:
    """Floats, by the contract. `allowance`: an error relative to the result's scale that a pass says it may make (quantisation)."""
    b, a, e = wide(before), wide(after), wide(exact)
    unit = max(unit_of(before, after), allowance)
    with np.errstate(all="ignore"):
        holes = ~np.isfinite(b)
        lost = ~np.isfinite(a) & ~holes
        gained = holes & (np.isfinite(a) | ~((a == b) | (np.isnan(a) & np.isnan(b))))
        # Infinities and NaN must stay, unless the exact run has a number there: then before was the one at fault.
        broken = lost | (gained & ~np.isfinite(e))
        good = np.isfinite(b) & np.isfinite(a) & np.isfinite(e)
        error_b, error_a = np.where(good, np.abs(b - e), 0.0), np.where(good, np.abs(a - e), 0.0)
    count = max(int(good.sum()), 1)
    scale = np.where(good, np.abs(e), 0.0)
    top = float(scale.max(initial=0.0))
    rms = [float(np.sqrt((x**2).sum() / count)) for x in (error_b, error_a, scale)]
    tiny = np.finfo(np.float64).tiny
    largest = _ratio(float(error_a.max(initial=0.0)), max(float(error_b.max(initial=0.0)), unit * top))
    mean = _ratio(rms[1], max(rms[0], unit * rms[2]))
    ratio = max(largest, mean)
    if broken.any():
        at = np.argwhere(broken)
        return Verdict(np.inf, True, _coordinates(at[0]), (0.0, np.inf), len(at), tuple(_coordinates(c) for c in at[:4]))
    if ratio <= tolerance:
        return Verdict(ratio)
    limit = tolerance * np.maximum(error_b, max(unit * top, tiny)) if largest > tolerance else max(rms[0], unit * rms[2])
    at = np.argwhere(error_a > limit)
    worst = _coordinates(np.argwhere(error_a == error_a.max())[0])
    errors = (float(error_b.max()), float(error_a.max()))
    return Verdict(ratio, True, worst, errors, len(at), tuple(_coordinates(c) for c in at[:4]))


def _ratio(error: float, legal: float) -> float:
    return error / legal if legal else 0.0 if error == 0.0 else float("inf")


def _coordinates(index: Any) -> tuple[int, ...]:
    return tuple(int(i) for i in index)


__all__ = ["EQUAL", "Verdict", "is_float_array", "judge", "judge_exactly", "same_bits", "unit_of", "wide"]
