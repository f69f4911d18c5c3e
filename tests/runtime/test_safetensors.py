"""The safetensors reader believes nothing that the file does not bear out; shards are one mapping."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from llmc.dialects.ir.diagnostics import LlmcError
from llmc.runtime.safetensors import SafetensorsFile, fingerprint, write_safetensors
from llmc.runtime.weights import Weights

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
    ("code", "header", "data", "length"),
    [
        ("LLMC0860", {"x": entry()}, b"\0" * 4, None),
        ("LLMC0861", {}, b"", 10**9),
        ("LLMC0861", {}, b"", 2**63),
        ("LLMC0862", [1], b"", None),
        ("LLMC0862", b"{not json", b"", None),
        ("LLMC0862", b"\xff\xfe{}", b"", None),
        ("LLMC0862", b"[" * 100_000, b"", None),
        ("LLMC0863", b'{"x": 1, "x": 1}', b"", None),
        ("LLMC0863", b'{"x": {"dtype": "F32", "dtype": "I32", "shape": [2], "data_offsets": [0, 8]}}', b"\0" * 8, None),
        ("LLMC0864", {"x": {"dtype": "F32"}}, b"", None),
        ("LLMC0864", {"x": 3}, b"", None),
        ("LLMC0865", {"x": entry(shape=(-2,))}, b"\0" * 8, None),
        ("LLMC0865", {"x": entry(shape=[2.5])}, b"\0" * 8, None),
        ("LLMC0865", {"x": entry(shape=(1 << 70,))}, b"\0" * 8, None),
        ("LLMC0865", {"x": entry(shape=(1,) * 40)}, b"\0" * 8, None),
        ("LLMC0865", {"x": entry(offsets=(0,))}, b"\0" * 8, None),
        ("LLMC0865", {"x": entry(offsets=(-8, 0))}, b"\0" * 8, None),
        ("LLMC0865", {"x": entry(offsets=(False, 8))}, b"\0" * 8, None),
        ("LLMC0866", {"x": entry(dtype="Q4")}, b"\0" * 8, None),
        ("LLMC0866", {"x": entry() | {"dtype": ["F32"]}}, b"\0" * 8, None),
        ("LLMC0867", {"x": entry(offsets=(8, 0))}, b"\0" * 8, None),
        ("LLMC0867", {"x": entry(), "y": entry(offsets=(4, 12))}, b"\0" * 12, None),
        ("LLMC0867", {"x": entry(), "y": entry(offsets=(16, 24))}, b"\0" * 24, None),
        ("LLMC0867", {"x": entry()}, b"\0" * 9, None),
        ("LLMC0868", {"x": entry(shape=(3,))}, b"\0" * 8, None),
        ("LLMC0868", {"x": entry(shape=(0, 1 << 61, 1 << 61), offsets=(0, 0))}, b"", None),
    ],
)
def test_each_lie_of_a_header_has_its_code(tmp_path: Path, code: str, header: Any, data: bytes, length: int | None) -> None:
    with pytest.raises(LlmcError) as error:
        SafetensorsFile(raw(tmp_path / "x.safetensors", header, data, length))
    assert error.value.code == code
    assert error.value.where and error.value.fix


def test_short_and_missing_files(tmp_path: Path) -> None:
    (tmp_path / "x.safetensors").write_bytes(b"abc")
    with pytest.raises(LlmcError, match="3 bytes"):
        SafetensorsFile(tmp_path / "x.safetensors")
    with pytest.raises(LlmcError, match="cannot read"):
        SafetensorsFile(tmp_path / "y.safetensors")


def test_only_known_dtypes_are_written(tmp_path: Path) -> None:
    with pytest.raises(LlmcError, match="LLMC0866"):
        write_safetensors(tmp_path / "x.safetensors", {"c": np.zeros(2, np.complex64)})


def test_a_fingerprint_follows_the_bytes_and_not_the_name(tmp_path: Path) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    write_safetensors(one, ARRAYS)
    other.write_bytes(one.read_bytes())
    assert fingerprint(one) == fingerprint(other)
    other.write_bytes(one.read_bytes()[:-1] + b"\x55")
    assert fingerprint(one) != fingerprint(other)


@given(st.data())
@settings(max_examples=300, deadline=None)
def test_no_edit_of_the_bytes_ends_in_anything_but_arrays_or_an_error(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    path = tmp_path_factory.getbasetemp() / "mangled.safetensors"
    write_safetensors(path, ARRAYS)
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(content) - 1))
        match data.draw(st.sampled_from(["set", "insert", "delete", "cut"])):
            case "set":
                content[place] = data.draw(st.integers(0, 255))
            case "insert":
                content[place:place] = data.draw(st.binary(min_size=1, max_size=3))
            case "delete" if len(content) > 1:
                del content[place]
            case _:
                del content[max(place, 1) :]
    path.unlink()  # a mapping of the last example may be alive
    path.write_bytes(content)
    try:
        file = SafetensorsFile(path)
    except LlmcError:
        return
    for name in file:
        assert file[name].nbytes == file.tensors[name].end - file.tensors[name].begin


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


def test_a_directory_without_weights_is_refused(tmp_path: Path) -> None:
    with pytest.raises(LlmcError, match=r"no \*.safetensors"):
        Weights(tmp_path)
    with pytest.raises(LlmcError, match="is no directory"):
        Weights(tmp_path / "nowhere")


def test_a_tensor_in_two_files_is_refused(tmp_path: Path) -> None:
    for name in ("m-1", "m-2"):
        write_safetensors(tmp_path / f"{name}.safetensors", {"a": ARRAYS["a"]})
    with pytest.raises(LlmcError, match=r"is in m-1\.safetensors and in m-2"):
        Weights(tmp_path)


def test_a_fingerprint_sees_every_byte_of_a_file_of_few_megabytes(tmp_path: Path) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    one.write_bytes(bytes(6 << 20))
    damaged = bytearray(6 << 20)
    damaged[(3 << 20) + 12345] = 1  # between the samples of a larger file
    other.write_bytes(damaged)
    assert fingerprint(one) != fingerprint(other)
