"""What the error of a pass that changes numbers says."""

from __future__ import annotations

from llmc.compiler.numerics.outcome import Difference
from llmc.compiler.numerics.report import error_of


def told(*first: tuple[int, ...]) -> str:
    difference = Difference("@main", "logits", 9.0, (1,), 1.0, 2.0, 1.0, (0.1, 1.0), len(first), 4, first)
    return error_of("swap", difference, "look").why or ""


def test_the_element_that_is_reported_is_not_told_again():
    assert told((0,), (1,), (2,)).endswith("also at [0], [2]")


def test_one_wrong_element_is_at_no_other_place():
    assert "also at" not in told((1,))
