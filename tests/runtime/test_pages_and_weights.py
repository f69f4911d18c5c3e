"""Pages of the pool, and checkpoints on mapped files."""

from __future__ import annotations

import json
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest
from llmc.dialects.ir.diagnostics import LlmcError
from llmc.runtime.pages import PagePool, Pages
from llmc.runtime.weights import Checkpoint, Layered


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


def write_safetensors(path: Path, tensors: dict[str, tuple[str, np.ndarray]]) -> None:
    header: dict[str, object] = {"__metadata__": {"format": "pt"}}
    body = b""
    for name, (dtype, array) in tensors.items():
        raw = array.tobytes()
        header[name] = {"dtype": dtype, "shape": list(array.shape), "data_offsets": [len(body), len(body) + len(raw)]}
        body += raw
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + body)


def test_a_checkpoint_reads_bf16(tmp_path: Path):
    value = np.arange(6).reshape(2, 3).astype(ml_dtypes.bfloat16)
    write_safetensors(tmp_path / "model.safetensors", {"a": ("BF16", value), "b": ("F32", np.ones(2, np.float32))})
    checkpoint = Checkpoint.open(tmp_path)
    assert set(checkpoint) == {"a", "b"}
    assert checkpoint["a"].dtype == ml_dtypes.bfloat16 and np.array_equal(checkpoint["a"], value)
    both = Layered((checkpoint, {"c": np.zeros(1)}))
    assert "c" in both and len(both) == 3 and np.array_equal(both["a"], value)


def test_a_broken_checkpoint_is_explained(tmp_path: Path):
    with pytest.raises(LlmcError, match="LLMC0862"):
        Checkpoint.open(tmp_path)
    file = tmp_path / "model.safetensors"
    write_safetensors(file, {"a": ("F32", np.ones(4, np.float32))})
    file.write_bytes(file.read_bytes()[:-4])
    with pytest.raises(LlmcError, match="LLMC0860"):
        Checkpoint.open(file)
