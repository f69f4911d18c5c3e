"""Sizes are polynomials: arithmetic, text and evaluation agree."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from llmc.dialects.nn.sizes import Size

NAMES = ("T", "B", "N0")
MONOMIALS = st.lists(st.sampled_from(NAMES), max_size=3)


@st.composite
def sizes(draw: st.DrawFn) -> Size:
    total = Size.of(0)
    for names, factor in draw(st.lists(st.tuples(MONOMIALS, st.integers(-9, 9)), max_size=4)):
        term = Size.of(factor)
        for name in names:
            term = term * Size.name(name)
        total = total + term
    return total


@given(sizes())
def test_text_reads_back(size: Size) -> None:
    assert Size.parse(str(size)) == size


@given(sizes(), sizes(), st.tuples(*[st.integers(0, 50)] * 3))
def test_arithmetic_is_that_of_the_numbers(a: Size, b: Size, values: tuple[int, int, int]) -> None:
    env = dict(zip(NAMES, values))
    assert (a + b).evaluate(env) == a.evaluate(env) + b.evaluate(env)
    assert (a - b).evaluate(env) == a.evaluate(env) - b.evaluate(env)
    assert (a * b).evaluate(env) == a.evaluate(env) * b.evaluate(env)
    assert (a * b == b * a) and (a + b == b + a)


@given(sizes(), st.integers(1, 9))
def test_division_undoes_multiplication(a: Size, n: int) -> None:
    assert (a * n) // n == a
    assert (a * Size.name("T")) // Size.name("T") == a


def test_division_that_leaves_a_rest_is_refused() -> None:
    assert Size.parse("8*T+4").divide(8) is None
    with pytest.raises(ValueError, match="not divisible"):
        Size.parse("T") // 2


@pytest.mark.parametrize("text", ["", "T+", "(T", "T T", "2**T", "T/2", "é"])
def test_nonsense_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a size"):
        Size.parse(text)


def test_substitution() -> None:
    assert Size.parse("T*B+1").substitute({"T": Size.parse("2*B"), "B": 3}) == Size.parse("6*B+1")
