"""The safetensors format, read strictly and written: https://github.com/huggingface/safetensors#format.

    file = SafetensorsFile("model.safetensors")
    file["model.norm.weight"]                     # a read-only view of the mapped file
    write_safetensors("constants.safetensors", {"table": array})

Every claim of a header is checked against the file before any of it is believed, and each kind of damage has its own code. The
safetensors package's numpy front end has no BF16 and no F8, which here are ml_dtypes arrays.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import ml_dtypes
import numpy as np

from ..dialects.ir.diagnostics import LlmcError

DTYPES: dict[str, Any] = {
    "BOOL": np.bool_, "U8": np.uint8, "I8": np.int8, "I16": np.int16, "U16": np.uint16, "I32": np.int32, "U32": np.uint32,
    "I64": np.int64, "U64": np.uint64, "F16": np.float16, "F32": np.float32, "F64": np.float64, "BF16": ml_dtypes.bfloat16,
    "F8_E4M3": ml_dtypes.float8_e4m3fn, "F8_E5M2": ml_dtypes.float8_e5m2, "F8_E8M0": ml_dtypes.float8_e8m0fnu,
}  # fmt: skip
"""safetensors dtype → numpy dtype."""

LARGEST_HEADER = 100_000_000
"""Bytes; the format's own limit on a header."""
LARGEST_RANK = 32
LARGEST_SIZE = 1 << 62
DAMAGED = "download or write the file again"


@dataclass(frozen=True)
class TensorInfo:
    """One tensor of a file: where its bytes are (from the start of the file) and what they mean."""

    name: str
    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    begin: int
    end: int


class _DuplicateName(ValueError):
    """An object of the header has a key twice."""


def read_header(path: str | Path) -> dict[str, TensorInfo]:
    """The tensors of a safetensors file, in the order of its header.

    Raises LLMC0302 (unreadable), LLMC0860 (truncated), LLMC0861 (header length), LLMC0862 (no JSON), LLMC0863 (a name twice),
    LLMC0864 (entry of another form), LLMC0865 (sizes that are none), LLMC0866 (dtype), LLMC0867 (offsets), LLMC0868 (shape).
    """
    path = Path(path)
    text, size = _header_text(path)
    header = _header_object(path, text)
    start = 8 + len(text)
    tensors = {name: _tensor(path, name, entry, start) for name, entry in header.items() if name != "__metadata__"}
    _check_places(path, tensors, start, size)
    return tensors


def _header_text(path: Path) -> tuple[bytes, int]:
    """The bytes of the header, and the size of the file."""
    try:
        with path.open("rb") as file:
            size = path.stat().st_size
            prefix = file.read(8)
            if len(prefix) < 8:
                why = f"it has {size} bytes; the length of the header alone takes 8"
                raise LlmcError("LLMC0860", f"{path.name} is truncated", str(path), why=why, fix=DAMAGED)
            length = int.from_bytes(prefix, "little")
            if length > min(LARGEST_HEADER, size - 8):
                why = f"its header claims {length} bytes; the file has {size}, and a header at most {LARGEST_HEADER}"
                raise LlmcError(
                    "LLMC0861", f"{path.name} is no safetensors file, or a truncated one", str(path), why=why, fix=DAMAGED
                )
            return file.read(length), size
    except OSError as error:
        raise LlmcError(
            "LLMC0302", f"cannot read {path.name}", str(path), why=error.strerror or str(error), fix="check the path"
        ) from None


def _header_object(path: Path, text: bytes) -> dict[str, Any]:
    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) != len(pairs):
            names = [name for name, _ in pairs]
            raise _DuplicateName(next(n for n in names if names.count(n) > 1))
        return found

    try:
        header = json.loads(text.decode("utf-8"), object_pairs_hook=unique)
    except _DuplicateName as error:
        raise LlmcError("LLMC0863", f"the header of {path.name} has {str(error)!r} twice", str(path), fix=DAMAGED) from None
    except (ValueError, RecursionError) as error:
        why = str(error) or "it is nested too deeply"
        raise LlmcError("LLMC0862", f"the header of {path.name} is not JSON", str(path), why=why, fix=DAMAGED) from None
    if not isinstance(header, dict):
        raise LlmcError("LLMC0862", f"the header of {path.name} is no JSON object", str(path), fix=DAMAGED)
    return cast("dict[str, Any]", header)


def _sizes(value: Any) -> list[int] | None:
    """A list of non-negative integers that fit into an offset, else None."""
    if not isinstance(value, list):
        return None
    items = cast("list[Any]", value)
    if len(items) > LARGEST_RANK or not all(
        isinstance(n, int) and not isinstance(n, bool) and 0 <= n < LARGEST_SIZE for n in items
    ):
        return None
    return items


def _tensor(path: Path, name: str, entry: Any, start: int) -> TensorInfo:
    """One entry of a header, checked for itself."""
    if not isinstance(entry, dict) or not {"dtype", "shape", "data_offsets"} <= entry.keys():
        raise LlmcError(
            "LLMC0864", f"tensor {name!r} of {path.name} lacks dtype, shape or data_offsets", str(path), fix=DAMAGED
        )
    fields = cast("dict[str, Any]", entry)
    dtype, shape, offsets = fields["dtype"], _sizes(fields["shape"]), _sizes(fields["data_offsets"])
    if shape is None or offsets is None or len(offsets) != 2:
        what = f"tensor {name!r} of {path.name} has sizes that are none"
        why = f"shape {_shown(fields['shape'])}, data_offsets {_shown(fields['data_offsets'])}"
        raise LlmcError("LLMC0865", what, str(path), why=why, fix=DAMAGED)
    if not isinstance(dtype, str) or dtype not in DTYPES:
        why = f"known are {', '.join(DTYPES)}"
        what = f"tensor {name!r} of {path.name} has dtype {_shown(dtype)}"
        raise LlmcError("LLMC0866", what, str(path), why=why, fix="convert the checkpoint to BF16, F16 or F32")
    begin, end = offsets
    if begin > end:
        what = f"tensor {name!r} of {path.name} ends before it begins"
        raise LlmcError("LLMC0867", what, str(path), why=f"data_offsets {offsets}", fix=DAMAGED)
    numpy_dtype = np.dtype(DTYPES[dtype])
    wanted = numpy_dtype.itemsize * math.prod(shape)
    if wanted != end - begin or numpy_dtype.itemsize * math.prod(n or 1 for n in shape) >= LARGEST_SIZE:
        why = f"{dtype} {shape} takes {wanted} bytes, its offsets give {end - begin}"
        raise LlmcError(
            "LLMC0868", f"tensor {name!r} of {path.name} has another size than its shape", str(path), why=why, fix=DAMAGED
        )
    return TensorInfo(name, numpy_dtype, tuple(shape), start + begin, start + end)


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:59] + "…"


def _check_places(path: Path, tensors: Mapping[str, TensorInfo], start: int, size: int) -> None:
    """Tensors lie one behind the other and fill the file."""
    last_end, last_name = start, ""
    for info in sorted(tensors.values(), key=lambda t: (t.begin, t.end)):
        if info.begin < last_end:
            raise LlmcError(
                "LLMC0867", f"tensors {last_name!r} and {info.name!r} of {path.name} overlap", str(path), fix=DAMAGED
            )
        if info.begin > last_end:
            what = f"{info.begin - last_end} bytes before tensor {info.name!r} of {path.name} belong to no tensor"
            raise LlmcError("LLMC0867", what, str(path), fix=DAMAGED)
        last_end, last_name = info.end, info.name
    if last_end > size:
        why = f"tensor {last_name!r} ends at byte {last_end}, the file at {size}"
        raise LlmcError("LLMC0860", f"{path.name} is truncated", str(path), why=why, fix=DAMAGED)
    if last_end < size:
        what = f"{path.name} has {size - last_end} bytes that belong to no tensor"
        raise LlmcError("LLMC0867", what, str(path), why=f"the last tensor ends at byte {last_end}", fix=DAMAGED)


class SafetensorsFile(Mapping[str, np.ndarray]):
    """A mapped safetensors file: name → array, a read-only view that touches the disk only when it is read."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.tensors = read_header(self.path)
        self._map: np.ndarray[Any, Any] | None = None

    def __getitem__(self, name: str) -> np.ndarray:
        info = self.tensors[name]
        if self._map is None:
            self._map = np.memmap(self.path, np.uint8, mode="r")
        raw = np.asarray(self._map[info.begin : info.end])
        if info.begin % info.dtype.itemsize:
            raw = raw.copy()  # numpy's views of ml_dtypes want aligned bytes
        return raw.view(info.dtype).reshape(info.shape)

    def __iter__(self) -> Iterator[str]:
        return iter(self.tensors)

    def __len__(self) -> int:
        return len(self.tensors)

    def __contains__(self, name: object) -> bool:
        return name in self.tensors


def write_safetensors(path: str | Path, tensors: Mapping[str, np.ndarray]) -> None:
    """Write arrays as a safetensors file, names sorted, so that equal contents are equal files. LLMC0866 for other dtypes."""
    path = Path(path)
    names = {np.dtype(v): k for k, v in DTYPES.items()}
    header: dict[str, Any] = {}
    offset = 0
    arrays = {name: np.ascontiguousarray(tensors[name]).reshape(np.shape(tensors[name])) for name in sorted(tensors)}
    for name, array in arrays.items():
        if array.dtype not in names:
            raise LlmcError(
                "LLMC0866",
                f"tensor {name!r} has dtype {array.dtype}",
                str(path),
                why=f"the format has {', '.join(DTYPES)}",
                fix="convert the array to one of these",
            )
        shape = list(array.shape)
        header[name] = {"dtype": names[array.dtype], "shape": shape, "data_offsets": [offset, offset + array.nbytes]}
        offset += array.nbytes
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with path.open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for array in arrays.values():
            file.write(array.tobytes())


WHOLE = 256 << 20
"""Bytes of the largest file that is hashed whole."""
SAMPLES = 256
SAMPLE_BYTES = 4096


def fingerprint(path: Path) -> str:
    """A hash of a weights file that a file of 100 GB gives in a moment: all of it up to 256 MiB; of a larger one its size, its first
    megabyte (which holds the header of most), and 256 evenly spaced blocks of 4 KiB. Other weights of the same shapes differ in it;
    copying the file does not."""
    size = path.stat().st_size
    digest = hashlib.sha256(str(size).encode())
    with path.open("rb") as file:
        if size <= WHOLE:
            while block := file.read(1 << 20):
                digest.update(block)
            return digest.hexdigest()
        digest.update(file.read(1 << 20))
        for sample in range(SAMPLES):
            file.seek(sample * size // SAMPLES)
            digest.update(file.read(SAMPLE_BYTES))
        file.seek(max(0, size - SAMPLE_BYTES))
        digest.update(file.read())
    return digest.hexdigest()
