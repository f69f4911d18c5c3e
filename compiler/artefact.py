"""Artefacts: what `llmc build` writes and `llmc run` loads without torch.

OUT/manifest.json              versions, options, the hash of every file, where the weights are
OUT/ir/model.<phase>           the module after each phase; model.layout is what runs
OUT/ptx, OUT/cubin             a file for each kernel
OUT/constants.safetensors      large constants of the graph
OUT/tokenizer.json             as in the checkpoint
OUT/weights                    the checkpoint's safetensors files, with --copy-weights
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from xdsl.context import Context

from .. import __version__
from ..dialects.ir.context import make_context
from ..dialects.ir.diagnostics import LlmcError
from ..dialects.ir.parsing import parse_module
from ..dialects.ir.printer import print_module
from ..runtime.safetensors import SafetensorsFile, fingerprint, write_safetensors
from ..runtime.weights import INDEX, Weights
from .build import Compiled
from .kernels import KernelCode
from .phases import CompileOptions

MANIFEST = "manifest.json"
REBUILD = "build it again with llmc build"


@dataclass(frozen=True)
class Model:
    """What an artefact holds besides code: where the weights are, constants of the graph, tokenizer, stop tokens.

    `weights` maps the names of the checkpoint's files to their fingerprints; empty where nothing was recorded.
    """

    checkpoint: Path | None
    sidecar: Mapping[str, Any]
    tokenizer: Path | None
    eos: tuple[int, ...]
    kind: str
    context: int
    weights: Mapping[str, str] | None = None


def is_artefact(path: Path) -> bool:
    """Whether a directory was written by `llmc build`."""
    return os.path.isfile(path / MANIFEST)  # Path.is_file raises for a name that is too long


# Writing --------------------------------------------------------------------------------------------------------------


def check_output(out: Path) -> None:
    """Raise LLMC0220 when `out` is something else than an artefact or an empty directory."""
    if out.is_dir():
        if any(out.iterdir()) and not is_artefact(out):
            raise LlmcError(
                "LLMC0220", f"{out} is no artefact of llmc, and not empty", str(out), fix="choose another directory"
            )
    elif out.exists() or out.is_symlink():
        raise LlmcError("LLMC0220", f"{out} is no directory", str(out), fix="choose another name")


@contextmanager
def whole_directory(out: Path) -> Generator[Path]:
    """A directory to fill that takes the place of `out` at the end, and vanishes if anything is raised before."""
    work: Path | None = None
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        work = Path(tempfile.mkdtemp(prefix=f".{out.name}-", dir=out.parent))
        yield work
        work.chmod(0o777 & ~_umask())
        if out.exists():
            old = Path(tempfile.mkdtemp(prefix=f".{out.name}-", dir=out.parent))
            out.rename(old)
            work.rename(out)
            shutil.rmtree(old)
        else:
            work.rename(out)
    except BaseException as error:
        if work is not None:
            shutil.rmtree(work, ignore_errors=True)
        if isinstance(error, OSError):
            why = error.strerror or str(error)
            raise LlmcError(
                "LLMC0228", f"{out} cannot be written", str(out), why=why, fix="choose a place with room and permission"
            ) from None
        raise


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def write_artefact(compiled: Compiled, model: Model, out: Path, copy_weights: bool = False) -> None:
    """Write a build to a directory that appears whole or not at all; an artefact that is there already is replaced."""
    check_output(out)
    with whole_directory(out) as work:
        _fill(compiled, model, work, copy_weights)


def _fill(compiled: Compiled, model: Model, work: Path, copy_weights: bool) -> None:
    (work / "ir").mkdir()
    for phase, text in compiled.dumps.items():
        (work / "ir" / f"model.{phase}").write_text(text, encoding="utf-8")
    if "layout" not in compiled.dumps:
        (work / "ir" / "model.layout").write_text(print_module(compiled.module, locations=True), encoding="utf-8")
    for folder, suffix in (("ptx", "ptx"), ("cubin", "cubin")):
        (work / folder).mkdir()
        for name, code in compiled.kernels.items():
            data = code.ptx.encode() if suffix == "ptx" else code.cubin
            if data is not None:
                (work / folder / f"{name}.{suffix}").write_bytes(data)
    if model.sidecar:
        write_safetensors(work / "constants.safetensors", dict(model.sidecar))
    if model.tokenizer is not None:
        shutil.copyfile(model.tokenizer, work / "tokenizer.json")
    files = {str(p.relative_to(work)): digest(p) for p in sorted(work.rglob("*")) if p.is_file()}
    weights: dict[str, str] = {}
    if model.checkpoint is not None:
        sources = Weights(model.checkpoint).files
        weights = {file.name: fingerprint(file) for file in sources}
        if copy_weights:
            (work / "weights").mkdir()
            index = model.checkpoint / INDEX
            for file in [*sources, *([index] if index.is_file() else [])]:
                shutil.copyfile(file, work / "weights" / file.name)
    manifest: dict[str, Any] = {
        "llmc": __version__,
        "options": vars(compiled.options),
        "checkpoint": None if model.checkpoint is None else "weights" if copy_weights else str(model.checkpoint.resolve()),
        "weights": weights,
        "eos": list(model.eos),
        "kind": model.kind,
        "context": model.context,
        "kernels": {
            n: {"threads": c.threads, "dyn_smem": c.dyn_smem, "registers": c.registers} for n, c in compiled.kernels.items()
        },
        "files": files,
    }
    manifest["digest"] = manifest_digest(manifest)
    (work / MANIFEST).write_text(json.dumps(manifest, indent=1) + "\n", encoding="utf-8")


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def manifest_digest(manifest: Mapping[str, Any]) -> str:
    """The hash of a manifest's other entries."""
    text = json.dumps({k: v for k, v in manifest.items() if k != "digest"}, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


# Reading --------------------------------------------------------------------------------------------------------------


def read_manifest(path: Path, edited: bool = False) -> dict[str, Any]:
    """An artefact's manifest; it and every file are checked against their hashes, the IR only if it may not have been `edited`.
    Raises LLMC0221 for a damaged artefact, LLMC0222 for one of another version."""
    place = path / MANIFEST
    try:
        manifest = json.loads(place.read_text(encoding="utf-8"))
        version, stated = manifest["llmc"], manifest["digest"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise LlmcError(
            "LLMC0221", f"{MANIFEST} is damaged", str(place), why=f"{type(error).__name__}: {error}", fix=REBUILD
        ) from None
    if manifest_digest(manifest) != stated:
        raise LlmcError(
            "LLMC0221", f"{MANIFEST} is damaged", str(place), why="its hash is not the one that it states", fix=REBUILD
        )
    if version != __version__:
        raise LlmcError(
            "LLMC0222", f"{path} was built by llmc {version}", str(path), why=f"this is llmc {__version__}", fix=REBUILD
        )
    files: dict[str, str] = manifest["files"]
    for name, expected in files.items():
        file = path / name
        is_ir = name.startswith("ir/")
        if is_ir and edited:
            continue
        if not file.is_file():
            raise LlmcError("LLMC0221", f"{name} is missing from the artefact", str(path), fix=REBUILD)
        if digest(file) != expected:
            fix = f"if it was edited, llmc build {path} --ir {file} -o NEW compiles it; else {REBUILD}" if is_ir else REBUILD
            raise LlmcError("LLMC0221", f"{name} is damaged", str(file), why="its hash is not the one in the manifest", fix=fix)
    return manifest


def read_artefact(path: Path, context: Context | None = None) -> tuple[Compiled, Model]:
    """Load a build: no capture, no code generation. The weights are not looked at; see `open_weights`."""
    manifest = read_manifest(path)
    layout = path / "ir" / "model.layout"
    module = parse_module(context or make_context(), layout.read_text(encoding="utf-8"), str(layout))
    kernels: dict[str, KernelCode] = {}
    for name, entry in manifest["kernels"].items():
        cubin = path / "cubin" / f"{name}.cubin"
        kernels[name] = KernelCode(
            name, "", (path / "ptx" / f"{name}.ptx").read_text(encoding="utf-8"), entry["threads"], entry["dyn_smem"],
            cubin.read_bytes() if cubin.exists() else None, entry["registers"], cached=True,
        )  # fmt: skip
    return Compiled(module, kernels, CompileOptions(**manifest["options"])), read_model(path, manifest)


def read_model(path: Path, manifest: Mapping[str, Any]) -> Model:
    """What an artefact holds besides code."""
    constants = path / "constants.safetensors"
    sidecar: Mapping[str, Any] = SafetensorsFile(constants) if constants.exists() else {}
    tokenizer = path / "tokenizer.json"
    return Model(
        path / manifest["checkpoint"] if manifest["checkpoint"] is not None else None,  # an absolute path stays what it is
        sidecar,
        tokenizer if tokenizer.exists() else None,
        tuple(manifest["eos"]),
        manifest["kind"],
        manifest["context"],
        manifest["weights"],
    )


def open_weights(model: Model, artefact: Path) -> Mapping[str, Any]:
    """The weights that an artefact was built from. Raises LLMC0229 when they are gone or others."""
    if model.checkpoint is None:
        return {}
    fix = f"{REBUILD}; with --copy-weights an artefact keeps its own"
    try:
        weights = Weights(model.checkpoint)
    except LlmcError as error:
        raise LlmcError(
            "LLMC0229", f"the weights of {artefact} cannot be read", str(model.checkpoint), why=error.what, fix=fix
        ) from None
    now = {file.name: fingerprint(file) for file in weights.files}
    if model.weights is not None and now != dict(model.weights):
        changed = sorted(name for name in {*now, *model.weights} if now.get(name) != model.weights.get(name))
        why = f"{', '.join(changed)} changed since"
        raise LlmcError(
            "LLMC0229", f"the weights are not those that {artefact} was built from", str(model.checkpoint), why=why, fix=fix
        )
    return weights
