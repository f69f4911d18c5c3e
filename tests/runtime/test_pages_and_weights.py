"""Pages of the pool, and weights in layers."""

from __future__ import annotations

from pathlib import Path

import ml_dtypes
import numpy as np
import pytest
from llmc.dialects.ir.diagnostics import LlmcError
from llmc.runtime.pages import PagePool, Pages
from llmc.runtime.safetensors import write_safetensors
from llmc.runtime.weights import Layered, Weights


def test_pages_are_owned_and_given_back():
    pool = PagePool(6, 4)
    one, other = Pages(pool), Pages(pool)
    one.reserve(5)
    other.reserve(12)
    assert sorted(one.pages + other.pages) == [1, 2, 3, 4, 5]
    assert other.row(4).tolist() == [*other.pages, 0]
    with pytest.raises(LlmcError, match="LLMC0870"):
        one.reserve(9)
    other.release()
    one.reserve(9)
    assert len(one.pages) == 3


def test_the_first_layer_that_has_a_name_gives_it(tmp_path: Path):
    value = np.arange(6).reshape(2, 3).astype(ml_dtypes.bfloat16)
    write_safetensors(tmp_path / "model.safetensors", {"a": value, "b": np.ones(2, np.float32)})
    weights = Weights(tmp_path)
    both = Layered((weights, {"b": np.zeros(2), "c": np.zeros(1)}))
    assert "c" in both and len(both) == 3
    assert np.array_equal(both["a"], value) and np.array_equal(both["b"], np.ones(2))
