"""The judgement of two arrays against an exact one."""

from __future__ import annotations

import ml_dtypes
import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from llmc.compiler.numerics.contract import judge, judge_exactly

EXACT = np.linspace(-3.0, 3.0, 64).reshape(8, 8)
BF16 = EXACT.astype(np.float32).astype(ml_dtypes.bfloat16)


def test_one_rounding_of_the_result_is_no_error() -> None:
    assert judge(EXACT.astype(np.float32), BF16, EXACT, 1.01).ratio <= 1.0


def test_an_error_like_the_one_before_is_legal_and_a_multiple_is_not() -> None:
    noise = np.random.default_rng(0).standard_normal(EXACT.shape) * 0.05
    before = (EXACT + noise).astype(np.float32)
    assert not judge(before, (EXACT - noise).astype(np.float32), EXACT, 4.0).wrong
    assert judge(before, (EXACT + 9 * noise).astype(np.float32), EXACT, 4.0).wrong


@given(st.integers(0, 63), st.floats(0.5, 50.0))
def test_a_single_wrong_element_is_found_where_it_is(place: int, amount: float) -> None:
    after = EXACT.astype(np.float32)
    after.reshape(-1)[place] += amount
    verdict = judge(EXACT.astype(np.float32), after, EXACT, 4.0)
    assert verdict.wrong and verdict.count == 1
    assert verdict.worst == (place // 8, place % 8)


def test_a_number_that_becomes_nan_is_wrong_and_nan_that_stays_is_not() -> None:
    after = EXACT.astype(np.float32)
    after[2, 3] = np.nan
    verdict = judge(EXACT.astype(np.float32), after, EXACT, 4.0)
    assert verdict.wrong and verdict.worst == (2, 3)
    assert not judge(after, after.copy(), EXACT, 4.0).wrong


def test_less_error_than_before_is_never_wrong() -> None:
    before = (EXACT * 1.5).astype(np.float32)
    assert not judge(before, EXACT.astype(np.float32), EXACT, 1.0).wrong


def test_an_allowance_widens_the_floor_alone() -> None:
    after = (EXACT + 0.04).astype(np.float32)
    before = EXACT.astype(np.float32)
    assert judge(before, after, EXACT, 4.0).wrong
    assert not judge(before, after, EXACT, 4.0, allowance=2.0**-6).wrong


def test_integers_are_equal_or_wrong() -> None:
    ids = np.arange(6, dtype=np.int32)
    assert not judge_exactly(ids, ids.copy()).wrong
    assert judge_exactly(ids, ids + (ids == 4)).worst == (4,)
