"""Compiled models kept between runs: what `llmc run DIR` built once it starts from next time, without capture.

An entry is an artefact (see artefact.py) in `<cache>/models/<key>`. The key covers all that a build reads: the model's
configuration, names, shapes and dtypes of its tensors, the options, llmc's own source and that of plugins, the versions of torch and transformers.
"""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from xdsl.context import Context

from ..dialects.ir.diagnostics import LlmcError
from .artefact import Model, is_artefact, read_artefact, write_artefact
from .build import Compiled

SMALL_FILES = ("config.json", "generation_config.json", "tokenizer.json", "model.safetensors.index.json")
FOLDERS = ("dialects", "codegen", "passes", "runtime", "compiler")


def model_key(place: Path, options: Sequence[object], plugins: str = "") -> str | None:
    """The key of a checkpoint under some options and plugins (the fingerprint of the registry); None when its files can't be read (the build then says what is wrong)."""
    digest = hashlib.sha256(json.dumps([str(place.resolve()), *map(str, options), plugins]).encode())
    root = Path(__file__).resolve().parent.parent
    try:
        for name in SMALL_FILES:
            file = place / name
            digest.update(file.read_bytes() if file.exists() else b"-")
        for file in sorted(place.glob("*.safetensors")):
            with file.open("rb") as stream:
                (length,) = struct.unpack("<Q", stream.read(8))
                digest.update(stream.read(min(length, 1 << 28)))
        for folder in FOLDERS:
            for file in sorted((root / folder).rglob("*.py")):
                digest.update(file.read_bytes())
    except (OSError, struct.error):
        return None
    for package in ("torch", "transformers", "xdsl"):
        try:
            digest.update(version(package).encode())
        except PackageNotFoundError:
            digest.update(b"-")
    return digest.hexdigest()


def find_model(cache: Path, key: str, context: Context | None = None) -> tuple[Compiled, Model] | None:
    """The entry of a key; None when there is none, or a damaged one."""
    place = cache / "models" / key
    if not is_artefact(place):
        return None
    try:
        return read_artefact(place, context)
    except LlmcError:
        return None


def keep_model(cache: Path, key: str, compiled: Compiled, model: Model) -> None:
    """Store an entry. A cache that can't be written costs only time."""
    try:
        write_artefact(compiled, model, cache / "models" / key)
    except (OSError, LlmcError):
        return
