"""The safetensors reader believes nothing that the file does not bear out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from llmc.compiler.frontend.checkpoint import Checkpoint, SafetensorsFile, Weights, write_safetensors
from llmc.dialects.ir.diagnostics import LlmcError

ARRAYS: dict[str, Any] = {
    "a": np.arange(6, dtype=np.float32).reshape(2, 3),
    "b": np.arange(5).astype(ml_dtypes.bfloat16),
    "c": np.array([0.5, -2], ml_dtypes.float8_e4m3fn),
    "scalar": np.array(7, np.int64),
    "empty": np.zeros((0, 4), np.float16),
}


def raw(path: Path, header: Any, data: bytes = b"", length: int | None = None) -> Path:
    """A file with this header as it stands."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes((len(text) if length is None else length).to_bytes(8, "little") + text + data)
    return path


def entry(dtype: str = "F32", shape: Any = (2,), offsets: Any = (0, 8)) -> dict[str, Any]:
    return {"dtype": dtype, "shape": list(shape) if isinstance(shape, tuple) else shape, "data_offsets": list(offsets)}


def test_what_is_written_reads_back(tmp_path: Path) -> None:
    write_safetensors(tmp_path / "x.safetensors", ARRAYS)
    file = SafetensorsFile(tmp_path / "x.safetensors")
    assert set(file) == set(ARRAYS)
    for name, array in ARRAYS.items():
        assert file[name].dtype == array.dtype
        assert file[name].shape == array.shape
        assert file[name].tobytes() == array.tobytes()


def test_the_safetensors_package_reads_what_we_write(tmp_path: Path) -> None:
    safetensors = pytest.importorskip("safetensors.numpy")
    write_safetensors(tmp_path / "x.safetensors", {"a": ARRAYS["a"]})
    np.testing.assert_array_equal(safetensors.load_file(tmp_path / "x.safetensors")["a"], ARRAYS["a"])


@pytest.mark.parametrize(
    ("header", "data", "length", "why"),
    [
        ({"x": entry()}, b"\0" * 4, None, "truncated"),
        ({"x": entry(shape=(3,))}, b"\0" * 8, None, "takes 12 bytes, its offsets give 8"),
        ({"x": entry(), "y": entry(offsets=(4, 12))}, b"\0" * 12, None, "overlap"),
        ({"x": entry(dtype="Q4")}, b"\0" * 8, None, "dtype 'Q4'"),
        ({"x": entry(shape=(-2,))}, b"\0" * 8, None, r"shape \[-2\]"),
        ({"x": entry(shape=[2.5])}, b"\0" * 8, None, "shape"),
        ({"x": entry(offsets=(8, 0))}, b"\0" * 8, None, "truncated"),
        ({"x": entry(offsets=(0,))}, b"\0" * 8, None, "data_offsets"),
        ({"x": {"dtype": "F32"}}, b"", None, "lacks"),
        ([1], b"", None, "no JSON object"),
        (b"{not json", b"", None, "not JSON"),
        ({}, b"", 10**9, "claims"),
        ({}, b"", 2**63, "claims"),
    ],
)
def test_lying_headers_are_found_out(tmp_path: Path, header: Any, data: bytes, length: int | None, why: str) -> None:
    with pytest.raises(LlmcError, match=why) as error:
        SafetensorsFile(raw(tmp_path / "x.safetensors", header, data, length))
    assert error.value.code == "LLMC0301"


def test_short_and_missing_files(tmp_path: Path) -> None:
    (tmp_path / "x.safetensors").write_bytes(b"abc")
    with pytest.raises(LlmcError, match="3 bytes"):
        SafetensorsFile(tmp_path / "x.safetensors")
    with pytest.raises(LlmcError, match="cannot read"):
        SafetensorsFile(tmp_path / "y.safetensors")


def sharded(path: Path, where: dict[str, str]) -> Path:
    (path / "model.safetensors.index.json").write_text(json.dumps({"weight_map": where}))
    return path


def test_shards_are_one_mapping(tmp_path: Path) -> None:
    write_safetensors(tmp_path / "m-1.safetensors", {"a": ARRAYS["a"]})
    write_safetensors(tmp_path / "m-2.safetensors", {"b": ARRAYS["b"]})
    weights = Weights(sharded(tmp_path, {"a": "m-1.safetensors", "b": "m-2.safetensors"}))
    assert sorted(weights) == ["a", "b"]
    assert weights.info("b").dtype == ml_dtypes.bfloat16
    assert weights.path("a").name == "m-1.safetensors"


@pytest.mark.parametrize(
    ("where", "why"),
    [
        ({"a": "gone.safetensors"}, "gone.safetensors is missing"),
        ({"z": "m.safetensors"}, "'z' is not in m.safetensors"),
        ({"a": "../m.safetensors"}, "outside its folder"),
        ({"a": 3}, "no weight_map"),
    ],
)
def test_a_bad_index_is_refused(tmp_path: Path, where: Any, why: str) -> None:
    write_safetensors(tmp_path / "m.safetensors", {"a": ARRAYS["a"]})
    with pytest.raises(LlmcError, match=why):
        Weights(sharded(tmp_path, where))


def test_a_directory_without_a_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(LlmcError, match=r"no \*.safetensors"):
        Weights(tmp_path)
    with pytest.raises(LlmcError, match="is no directory"):
        Checkpoint.open(tmp_path / "nowhere")
    with pytest.raises(LlmcError, match=r"cannot read config.json"):
        _ = Checkpoint.open(tmp_path).config
    with pytest.raises(LlmcError, match=r"no tokenizer.json"):
        Checkpoint.open(tmp_path).tokenizer()


def test_end_tokens_come_from_the_generation_config_first(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"eos_token_id": 2}')
    assert Checkpoint.open(tmp_path).eos_ids == (2,)
    (tmp_path / "generation_config.json").write_text('{"eos_token_id": [5, 6]}')
    assert Checkpoint.open(tmp_path).eos_ids == (5, 6)
