"""Weights as mappings from tensor names to numpy arrays on mapped files; nothing is read before it is used."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np

from ..dialects.ir.diagnostics import LlmcError
from .safetensors import SafetensorsFile, TensorInfo

INDEX = "model.safetensors.index.json"
SINGLE = "model.safetensors"


class Weights(Mapping[str, np.ndarray]):
    """All tensors of a checkpoint directory, by name, from one file or from the shards that an index names.

    Raises LLMC0303 for a bad index and LLMC0304 for missing files and tensors, besides what a damaged file raises.
    """

    def __init__(self, directory: str | Path) -> None:
        self.directory = Path(directory)
        self._files: dict[str, SafetensorsFile] = {}
        self._where: dict[str, str] = {}
        index = self.directory / INDEX
        if index.is_file():
            self._read_index(index)
        else:
            self._read_files()
        if not self._where:
            raise LlmcError(
                "LLMC0304",
                f"the safetensors files of {self.directory} hold no tensor",
                str(self.directory),
                fix="download the whole checkpoint",
            )

    def _read_index(self, index: Path) -> None:
        where = read_json(index).get("weight_map")
        if not isinstance(where, dict) or not all(isinstance(v, str) for v in cast("dict[str, Any]", where).values()):
            fix = "download the whole checkpoint"
            raise LlmcError("LLMC0303", f"{index.name} has no weight_map from tensors to files", str(index), fix=fix)
        places = cast("dict[str, str]", where)
        for file in sorted(set(places.values())):
            if Path(file).name != file or "\0" in file:
                fix = "shards lie beside their index; correct it"
                raise LlmcError("LLMC0303", f"{index.name} names {file!r}, which is outside its folder", str(index), fix=fix)
            if not (self.directory / file).is_file():
                raise LlmcError(
                    "LLMC0304",
                    f"shard {file} is missing",
                    str(index),
                    why="the index names it",
                    fix="download the whole checkpoint",
                )
            self._files[file] = SafetensorsFile(self.directory / file)
        for name, file in places.items():
            if name not in self._files[file]:
                what = f"tensor {name!r} is not in {file}, where {index.name} says it is"
                raise LlmcError("LLMC0304", what, str(index), fix="download the whole checkpoint")
            self._where[name] = file

    def _read_files(self) -> None:
        found = sorted(self.directory.glob("*.safetensors"))
        if not found:
            what = "has no *.safetensors file" if self.directory.is_dir() else "is no directory"
            fix = "give the directory of a checkpoint in safetensors format (not .bin, .pth or .gguf)"
            raise LlmcError("LLMC0304", f"{self.directory} {what}", str(self.directory), fix=fix)
        single = self.directory / SINGLE
        for path in [single] if single in found else found:
            self._files[path.name] = SafetensorsFile(path)
            for name in self._files[path.name]:
                if name in self._where:
                    what = f"tensor {name!r} is in {self._where[name]} and in {path.name}"
                    raise LlmcError("LLMC0304", what, str(path), fix=f"remove one of them, or add {INDEX}")
                self._where[name] = path.name

    @property
    def files(self) -> list[Path]:
        """The safetensors files that hold the weights."""
        return [self.directory / name for name in self._files]

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

    def __contains__(self, name: object) -> bool:
        return name in self._where


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object from a file; LLMC0305 when it is missing or none."""
    fix = "download the whole checkpoint"
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        why = error.strerror or str(error)
        raise LlmcError("LLMC0305", f"cannot read {path.name}", str(path), why=why, fix=fix) from None
    except (ValueError, RecursionError) as error:
        raise LlmcError("LLMC0305", f"{path.name} is not JSON", str(path), why=str(error), fix=fix) from None
    if not isinstance(content, dict):
        raise LlmcError("LLMC0305", f"{path.name} is no JSON object", str(path), fix=fix)
    return cast("dict[str, Any]", content)


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
