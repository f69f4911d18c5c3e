"""Checkpoints as mappings from tensor names to numpy arrays on mapped files; nothing is read before it is used.

A strict reader of the safetensors format (https://github.com/huggingface/safetensors#format): its numpy front end has no BF16
or F8, which here are ml_dtypes arrays.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np

from ..dialects.ir.diagnostics import LlmcError

DTYPES: dict[str, Any] = {
    "BOOL": np.bool_,
    "U8": np.uint8,
    "I8": np.int8,
    "I16": np.int16,
    "I32": np.int32,
    "I64": np.int64,
    "F16": np.float16,
    "F32": np.float32,
    "F64": np.float64,
    "BF16": ml_dtypes.bfloat16,
    "F8_E4M3": ml_dtypes.float8_e4m3fn,
    "F8_E5M2": ml_dtypes.float8_e5m2,
}
LARGEST_HEADER = 100_000_000


@dataclass(frozen=True)
class Place:
    """Where a tensor lies: which file, from which byte on, and what it is."""

    file: Path
    begin: int
    end: int
    dtype: np.dtype[Any]
    shape: tuple[int, ...]


def _bad(path: Path, why: str) -> LlmcError:
    return LlmcError("LLMC0860", f"{path} is no valid safetensors file", str(path), why=why, fix="download the file again")


def read_header(path: Path) -> dict[str, Place]:
    """The tensors of one safetensors file; LLMC0860 for a malformed one."""
    size = path.stat().st_size
    with path.open("rb") as file:
        prefix = file.read(8)
        length = int.from_bytes(prefix, "little")
        if len(prefix) < 8 or length > min(LARGEST_HEADER, size - 8):
            raise _bad(path, "its header is longer than the file")
        try:
            header = json.loads(file.read(length))
        except ValueError as problem:
            raise _bad(path, "its header is no JSON") from problem
    begin = 8 + length
    found: dict[str, Place] = {}
    for name, entry in header.items():
        if name == "__metadata__":
            continue
        dtype = DTYPES.get(entry.get("dtype"))
        if dtype is None:
            raise LlmcError("LLMC0861", f"tensor {name} has dtype {entry.get('dtype')}", str(path), why="llmc has no such element type")
        low, high = entry["data_offsets"]
        shape = tuple(entry["shape"])
        if not 0 <= low <= high <= size - begin or (high - low) != int(np.prod(shape, dtype=np.int64)) * np.dtype(dtype).itemsize:
            raise _bad(path, f"tensor {name} does not lie in the file or has another size than its shape says")
        found[name] = Place(path, begin + low, begin + high, np.dtype(dtype), shape)
    return found


class Checkpoint(Mapping[str, Any]):
    """Tensors by name, on memory-mapped safetensors files."""

    def __init__(self, files: list[Path]):
        self._places: dict[str, Place] = {}
        self._maps: dict[Path, np.memmap[Any, Any]] = {}
        for path in files:
            self._places.update(read_header(path))

    @staticmethod
    def open(path: str | Path) -> Checkpoint:
        """A safetensors file, or a directory of them (with or without an index). LLMC0862 when there is none."""
        place = Path(path)
        if place.is_file():
            return Checkpoint([place])
        index = place / "model.safetensors.index.json"
        if index.is_file():
            names = sorted(set(json.loads(index.read_text())["weight_map"].values()))
            files = [place / name for name in names]
        else:
            files = sorted(place.glob("*.safetensors"))
        missing = [f for f in files if not f.is_file()]
        if missing or not files:
            raise LlmcError(
                "LLMC0862",
                f"no safetensors checkpoint at {place}",
                why=f"{missing[0].name} is missing" if missing else "there is no .safetensors file",
                fix="give the directory that save_pretrained wrote",
            )
        return Checkpoint(files)

    def __getitem__(self, name: str) -> np.ndarray[Any, Any]:
        place = self._places[name]
        if place.file not in self._maps:
            self._maps[place.file] = np.memmap(place.file, np.uint8, "r")
        raw = self._maps[place.file][place.begin : place.end]
        return np.frombuffer(raw, place.dtype).reshape(place.shape)

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)

    def __contains__(self, name: object) -> bool:
        return name in self._places


@dataclass(frozen=True)
class Layered(Mapping[str, Any]):
    """Several mappings seen as one; the first that has a name gives it (checkpoint, then sidecar)."""

    layers: tuple[Mapping[str, Any], ...]

    def __getitem__(self, name: str) -> Any:
        for layer in self.layers:
            if name in layer:
                return layer[name]
        raise KeyError(name)

    def __iter__(self) -> Iterator[str]:
        return iter(dict.fromkeys(name for layer in self.layers for name in layer))

    def __len__(self) -> int:
        return len({name for layer in self.layers for name in layer})

    def __contains__(self, name: object) -> bool:
        return any(name in layer for layer in self.layers)
