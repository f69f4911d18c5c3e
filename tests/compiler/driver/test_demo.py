"""What the demo says about its tokens and PyTorch's."""

from __future__ import annotations

import argparse
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from llmc.compiler import api
from llmc.compiler.driver import demo
from llmc.compiler.language_model import Timings

EXPECTED = [3, 1, 4]


def logits(margin: float) -> list[np.ndarray[Any, Any]]:
    """Of three steps; at the second, token 2 is `margin` behind token 1, and token 0 is next to it."""
    rows = [np.zeros(5, np.float32) for _ in EXPECTED]
    for row, token in zip(rows, EXPECTED, strict=True):
        row[token] = 15.0
    rows[1][0], rows[1][2] = 15.0 - 0.01, 15.0 - margin
    return rows


def test_the_same_tokens_are_equal() -> None:
    good, words = demo.verdict(EXPECTED, EXPECTED, logits(0.1))
    assert good and "EQUAL" in words


def test_a_difference_within_rounding_is_a_tie_whatever_follows() -> None:
    good, words = demo.verdict([3, 2, 0], EXPECTED, logits(0.2))
    assert good and "TIE" in words and "at 1;" in words and "0.200" in words


def test_a_difference_beyond_rounding_is_no_tie_even_where_another_token_was_close() -> None:
    good, words = demo.verdict([3, 2, 4], EXPECTED, logits(0.3))
    assert not good and "DIFFERENT" in words and "0.300" in words


@pytest.mark.parametrize(("good", "code"), [(True, 0), (False, 1)])
def test_the_demo_exits_with_1_for_a_difference(
    good: bool, code: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = SimpleNamespace(target="sm_80")
    model = SimpleNamespace(
        compiled=SimpleNamespace(seconds={}, kernels={}, dumps={}, options=options), model=SimpleNamespace(eos=()), device="none",
        encode=lambda text: [1], generate=lambda ids, count: iter(EXPECTED), tokenizer=SimpleNamespace(decode=str),
        timings=Timings(),
    )  # fmt: skip
    monkeypatch.setattr(api, "load", lambda *a, **k: model)
    monkeypatch.setattr("llmc.compiler.artefact.write_artefact", lambda *a: None)
    monkeypatch.setattr("llmc.compiler.driver.showcase.excerpts", lambda compiled: ())
    monkeypatch.setattr(demo, "compare", lambda ids, made: (good, "VERDICT"))
    arguments = argparse.Namespace(device=None, prompt="once", max_tokens=3, out=str(tmp_path))
    assert demo.run(arguments) == code
    assert "4. VERDICT" in capsys.readouterr().out
