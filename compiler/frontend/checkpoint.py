"""Reading checkpoints: safetensors files through our own strict reader, and the JSON files beside them.

The reader maps the file and checks the header before it believes a word of it: sizes, offsets, overlaps, dtypes. (The
safetensors package's numpy path refuses BF16 and F8.)
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, cast

import ml_dtypes
import numpy as np

from ...dialects.ir.diagnostics import LlmcError

DTYPES: dict[str, Any] = {
    "BOOL": np.bool_, "U8": np.uint8, "I8": np.int8, "I16": np.int16, "U16": np.uint16, "I32": np.int32, "U32": np.uint32,
    "I64": np.int64, "U64": np.uint64, "F16": np.float16, "F32": np.float32, "F64": np.float64, "BF16": ml_dtypes.bfloat16,
    "F8_E4M3": ml_dtypes.float8_e4m3fn, "F8_E5M2": ml_dtypes.float8_e5m2,
}  # fmt: skip
"""safetensors dtype → numpy dtype."""

LARGEST_HEADER = 100 * 1024 * 1024
"""Bytes; the format's own limit on a header."""


@dataclass(frozen=True)
class TensorInfo:
    """One tensor of a file: where its bytes are and what they mean."""

    name: str
    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    begin: int
    end: int


def _bad(path: Path, why: str, fix: str = "download the file again; it is damaged or not a safetensors file") -> LlmcError:
    return LlmcError("LLMC0301", f"{path.name} is not a sound safetensors file", where=str(path), why=why, fix=fix)


def read_header(path: str | Path) -> dict[str, TensorInfo]:
    """The tensors of a safetensors file, every claim of its header checked against the file. Raises LLMC0301/LLMC0302."""
    path = Path(path)
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            prefix = file.read(8)
            if len(prefix) < 8:
                raise _bad(path, f"it has {size} bytes; the length of the header alone takes 8")
            length = int.from_bytes(prefix, "little")
            if length > LARGEST_HEADER or 8 + length > size:
                raise _bad(path, f"its header claims {length} bytes, the file has {size}")
            text = file.read(length)
    except OSError as error:
        raise LlmcError("LLMC0302", f"cannot read {path}", why=str(error.strerror or error), fix="check the path") from error
    try:
        header = json.loads(text)
    except ValueError as error:
        raise _bad(path, f"its header is not JSON: {error}") from error
    if not isinstance(header, dict):
        raise _bad(path, "its header is no JSON object")
    start = 8 + length
    tensors: dict[str, TensorInfo] = {}
    for name, entry in cast("dict[str, Any]", header).items():
        if name != "__metadata__":
            tensors[name] = _tensor(path, name, entry, start, size)
    last_end, last_name = start, ""
    for info in sorted(tensors.values(), key=lambda t: (t.begin, t.end)):
        if info.begin < last_end:
            raise _bad(path, f"tensors {last_name!r} and {info.name!r} overlap")
        last_end, last_name = info.end, info.name
    return tensors


def _tensor(path: Path, name: str, entry: Any, start: int, size: int) -> TensorInfo:
    """One entry of a header, checked."""
    if not isinstance(entry, dict) or not {"dtype", "shape", "data_offsets"} <= entry.keys():
        raise _bad(path, f"tensor {name!r} lacks dtype, shape or data_offsets")
    fields = cast("dict[str, Any]", entry)
    dtype, shape, offsets = fields["dtype"], fields["shape"], fields["data_offsets"]
    if dtype not in DTYPES:
        raise _bad(path, f"tensor {name!r} has dtype {dtype!r}; known are {', '.join(DTYPES)}", fix="convert the checkpoint")

    def is_sizes(value: Any) -> bool:
        return isinstance(value, list) and all(
            isinstance(n, int) and not isinstance(n, bool) and n >= 0 for n in cast("list[Any]", value)
        )

    if not is_sizes(shape):
        raise _bad(path, f"tensor {name!r} has shape {shape!r}")
    if not is_sizes(offsets) or len(offsets) != 2:
        raise _bad(path, f"tensor {name!r} has data_offsets {offsets!r}")
    begin, end = start + offsets[0], start + offsets[1]
    if end > size or begin > end:
        raise _bad(path, f"tensor {name!r} ends at byte {end}, the file at {size}: it is truncated")
    numpy_dtype = np.dtype(DTYPES[dtype])
    wanted = numpy_dtype.itemsize
    for n in shape:
        wanted *= n
    if wanted != end - begin:
        raise _bad(path, f"tensor {name!r} of {dtype}{shape} takes {wanted} bytes, its offsets give {end - begin}")
    return TensorInfo(name, numpy_dtype, tuple(shape), begin, end)


class SafetensorsFile(Mapping[str, np.ndarray]):
    """A mapped safetensors file: name → array, a read-only view that touches the disk only when it is read."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.tensors = read_header(self.path)
        self._map = np.memmap(self.path, np.uint8, mode="r") if self.path.stat().st_size else np.zeros(0, np.uint8)

    def __getitem__(self, name: str) -> np.ndarray:
        info = self.tensors[name]
        raw = self._map[info.begin : info.end]
        if info.begin % info.dtype.itemsize:
            raw = np.array(raw)
        return np.asarray(raw).view(info.dtype).reshape(info.shape)

    def __iter__(self) -> Iterator[str]:
        return iter(self.tensors)

    def __len__(self) -> int:
        return len(self.tensors)


def write_safetensors(path: str | Path, tensors: Mapping[str, np.ndarray]) -> None:
    """Write arrays as a safetensors file (sidecars of large constants), names sorted, so that equal contents are equal files."""
    names = {np.dtype(v): k for k, v in DTYPES.items()}
    header: dict[str, Any] = {}
    offset = 0
    arrays = {name: np.ascontiguousarray(tensors[name]).reshape(np.shape(tensors[name])) for name in sorted(tensors)}
    for name, array in arrays.items():
        header[name] = {
            "dtype": names[array.dtype],
            "shape": list(array.shape),
            "data_offsets": [offset, offset + array.nbytes],
        }
        offset += array.nbytes
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with Path(path).open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for array in arrays.values():
            file.write(array.tobytes())


class Weights(Mapping[str, np.ndarray]):
    """All tensors of a checkpoint directory, by name, from one file or from the shards that an index names."""

    def __init__(self, directory: str | Path) -> None:
        self.directory = Path(directory)
        self._files: dict[str, SafetensorsFile] = {}
        self._where: dict[str, str] = {}
        index = self.directory / "model.safetensors.index.json"
        if index.is_file():
            self._read_index(index)
        else:
            self._read_files()

    def _read_index(self, index: Path) -> None:
        content = read_json(index)
        where = content.get("weight_map")
        if not isinstance(where, dict) or not all(isinstance(v, str) for v in cast("dict[str, Any]", where).values()):
            raise LlmcError("LLMC0303", f"{index.name} has no weight_map from tensors to files", where=str(index))
        for file in sorted(set(cast("dict[str, str]", where).values())):
            if Path(file).name != file:
                raise LlmcError("LLMC0303", f"{index.name} names {file!r}, which is outside its folder", where=str(index))
            if not (self.directory / file).is_file():
                raise LlmcError("LLMC0304", f"shard {file} is missing", where=str(index), fix="download the whole checkpoint")
            self._files[file] = SafetensorsFile(self.directory / file)
        for name, file in cast("dict[str, str]", where).items():
            if name not in self._files[file]:
                raise LlmcError(
                    "LLMC0304", f"tensor {name!r} is not in {file}, where {index.name} says it is", where=str(index)
                )
            self._where[name] = file

    def _read_files(self) -> None:
        found = sorted(self.directory.glob("*.safetensors"))
        if not found:
            what = "has no *.safetensors file" if self.directory.is_dir() else "is no directory"
            fix = "give the directory of a checkpoint in safetensors format (not .bin, .pth or .gguf)"
            raise LlmcError("LLMC0304", f"{self.directory} {what}", fix=fix)
        single = self.directory / "model.safetensors"
        for path in [single] if single in found else found:
            self._files[path.name] = SafetensorsFile(path)
            for name in self._files[path.name]:
                if name in self._where:
                    raise LlmcError(
                        "LLMC0304", f"tensor {name!r} is in {self._where[name]} and in {path.name}", where=str(path)
                    )
                self._where[name] = path.name

    def info(self, name: str) -> TensorInfo:
        """Shape and dtype without reading the data."""
        return self._files[self._where[name]].tensors[name]

    def path(self, name: str) -> Path:
        """The file that holds a tensor."""
        return self.directory / self._where[name]

    def __getitem__(self, name: str) -> np.ndarray:
        return self._files[self._where[name]][name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._where)

    def __len__(self) -> int:
        return len(self._where)


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object from a file; LLMC0305 when it is missing or none."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise LlmcError("LLMC0305", f"cannot read {path.name}", where=str(path), why=str(error.strerror or error)) from error
    except ValueError as error:
        raise LlmcError("LLMC0305", f"{path.name} is not JSON", where=str(path), why=str(error)) from error
    if not isinstance(content, dict):
        raise LlmcError("LLMC0305", f"{path.name} is no JSON object", where=str(path))
    return cast("dict[str, Any]", content)


@dataclass
class Checkpoint:
    """A checkpoint directory: config.json, generation_config.json, tokenizer.json, *.safetensors. Read on demand."""

    directory: Path

    @staticmethod
    def open(directory: str | Path) -> Checkpoint:
        path = Path(directory)
        if not path.is_dir():
            fix = "give a local directory; download one with `huggingface-cli download NAME --local-dir DIR`"
            raise LlmcError("LLMC0304", f"{directory} is no directory", fix=fix)
        return Checkpoint(path)

    @cached_property
    def config(self) -> dict[str, Any]:
        return read_json(self.directory / "config.json")

    @cached_property
    def weights(self) -> Weights:
        return Weights(self.directory)

    @property
    def eos_ids(self) -> tuple[int, ...]:
        """Token ids that end a sequence, from generation_config.json, else config.json."""
        generation = self.directory / "generation_config.json"
        found = read_json(generation).get("eos_token_id") if generation.is_file() else None
        found = self.config.get("eos_token_id") if found is None else found
        if found is None:
            return ()
        return tuple(int(i) for i in cast("list[Any]", found)) if isinstance(found, list) else (int(found),)

    @property
    def tokenizer_path(self) -> Path | None:
        path = self.directory / "tokenizer.json"
        return path if path.is_file() else None

    def tokenizer(self) -> Any:
        """The `tokenizers.Tokenizer`; LLMC0306 where there is no tokenizer.json."""
        path = self.tokenizer_path
        if path is None:
            raise LlmcError("LLMC0306", f"{self.directory} has no tokenizer.json", fix="pass token ids instead of text")
        from tokenizers import Tokenizer

        try:
            return Tokenizer.from_file(str(path))
        except Exception as error:
            raise LlmcError("LLMC0306", "tokenizer.json cannot be read", where=str(path), why=str(error)) from error
