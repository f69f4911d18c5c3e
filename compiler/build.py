"""From an imported model to everything that a runtime needs: the module at each phase, the kernels, the manifest.

    compiled = compile_module(imported.module, CompileOptions(target="sm_90a"), settings)
    write_artefact(compiled, model, Path("out"))
"""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp, StringAttr

from .. import __version__
from ..codegen.ptx.assemble import find_ptxas, ptxas_version, search_paths
from ..dialects.ir.context import make_context
from ..dialects.ir.diagnostics import LlmcError
from ..dialects.ir.parsing import parse_module
from ..dialects.ir.printer import print_module
from ..passes.framework.manager import Instrument, PassManager
from ..passes.framework.pass_ import PassContext
from ..passes.framework.remarks import Remarks
from .kernels import KernelCode, KernelCompiler, generate, update_grids
from .knobs import Knobs
from .phases import PHASES, CompileOptions, lower, phase_of

Progress = Callable[[str, str, int, int], None]
MANIFEST = "manifest.json"
MODULE_PHASES = ("nn", "fusion", "quant", "layout")


def silent(phase: str, what: str, done: int, total: int) -> None:
    """A progress callback that says nothing."""


@dataclass(frozen=True)
class Settings:
    """How to compile, which is not part of what is compiled.

    assemble: make cubins (needs ptxas). cache: where kernels are kept; None keeps none. verify: check the IR after each pass.
    dumps: keep the text of every phase. progress: called with (phase, what, done, total).
    """

    knobs: Knobs = field(default_factory=Knobs)
    assemble: bool = True
    cache: bool = True
    verify: bool = False
    dumps: bool = False
    progress: Progress = silent
    instruments: Sequence[Instrument] = ()


@dataclass
class Compiled:
    """A compiled model: its module at `layout`, its kernels by name, the dumps that were asked for, remarks, seconds by phase."""

    module: ModuleOp
    kernels: dict[str, KernelCode]
    options: CompileOptions
    dumps: dict[str, str] = field(default_factory=dict[str, str])
    remarks: Remarks = field(default_factory=Remarks)
    seconds: dict[str, float] = field(default_factory=dict[str, float])


def compile_module(module: ModuleOp, options: CompileOptions, settings: Settings, context: Context | None = None) -> Compiled:
    """Take a module from where it stands through all phases. `module` is changed in place and ends at `layout`; the kernels
    go on from there one by one."""
    passes = PassContext(context or make_context())
    manager = PassManager(passes, settings.verify, list(settings.instruments))
    options.attach(module)
    dumps: dict[str, str] = {}
    seconds: dict[str, float] = {}
    standing = phase_of(module)
    order = ("import", *MODULE_PHASES)
    if standing not in order:
        raise LlmcError("LLMC0212", f"a module at phase '{standing}' can't be built into a model", fix="start from a dump at layout or before")
    for phase in MODULE_PHASES[order.index(standing) :]:
        settings.progress(phase, "", 0, 1)
        start = time.perf_counter()
        lower(manager, module, phase_of(module), phase, options.target)
        seconds[phase] = time.perf_counter() - start
        if settings.dumps:
            dumps[phase] = print_module(module, locations=True)
    start = time.perf_counter()
    ptxas = find_ptxas(ptxas_paths(settings.knobs)) if settings.assemble else None
    compiler = KernelCompiler(
        manager,
        options.target,
        ptxas,
        ptxas_version(ptxas) if ptxas is not None else "none",
        settings.knobs.cache_dir / "kernels" if settings.cache else None,
        lambda what, done, total: settings.progress("ptx", what, done, total),
    )
    kernels = compiler.compile(module)
    update_grids(module)
    seconds["kernels"] = time.perf_counter() - start
    if settings.dumps:
        dumps["layout"] = print_module(module, locations=True)
        dumps |= kernel_dumps(manager, module, options.target)
    return Compiled(module, kernels, options, dumps, passes.remarks, seconds)


def ptxas_paths(knobs: Knobs) -> list[Path]:
    """Where to look for ptxas: the knob, the toolkit, then what `search_paths` knows."""
    found = [knobs.ptxas] if knobs.ptxas is not None else []
    if knobs.cuda_home is not None:
        found.append(knobs.cuda_home / "bin")
    return [*found, *search_paths()]


def kernel_dumps(manager: PassManager, module: ModuleOp, target: str) -> dict[str, str]:
    """The whole module at `tile` and at `ptx`."""
    copy = module.clone()
    dumps: dict[str, str] = {}
    for phase in ("tile", "ptx"):
        lower(manager, copy, phase_of(copy), phase, target)
        dumps[phase] = print_module(copy, locations=True)
    return dumps


# Artefacts on disk ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Model:
    """What an artefact holds besides code: where the weights are, constants of the graph, tokenizer, stop tokens."""

    checkpoint: Path | None
    sidecar: Mapping[str, Any]
    tokenizer: Path | None
    eos: tuple[int, ...]
    kind: str
    context: int


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def write_artefact(compiled: Compiled, model: Model, out: Path) -> None:
    """Write a build to a directory that appears whole or not at all. An existing artefact at `out` is replaced; any other
    directory with something in it is refused (LLMC0220)."""
    if out.exists() and any(out.iterdir()) and not (out / MANIFEST).exists():
        raise LlmcError("LLMC0220", f"{out} is no artefact of llmc, and not empty", str(out), fix="choose another directory")
    out.parent.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(prefix=f".{out.name}-", dir=out.parent))
    try:
        _fill(compiled, model, work)
        if out.exists():
            shutil.rmtree(out)
        work.rename(out)
    except BaseException:
        shutil.rmtree(work, ignore_errors=True)
        raise


def _fill(compiled: Compiled, model: Model, work: Path) -> None:
    from ..runtime.safetensors import write_safetensors

    (work / "ir").mkdir()
    for phase, text in compiled.dumps.items():
        (work / "ir" / f"model.{phase}").write_text(text)
    if "layout" not in compiled.dumps:
        (work / "ir" / "model.layout").write_text(print_module(compiled.module, locations=True))
    for folder, suffix in (("ptx", "ptx"), ("cubin", "cubin")):
        (work / folder).mkdir()
        for name, code in compiled.kernels.items():
            data = code.ptx.encode() if suffix == "ptx" else code.cubin
            if data is not None:
                (work / folder / f"{name}.{suffix}").write_bytes(data)
    if model.sidecar:
        write_safetensors(work / "constants.safetensors", dict(model.sidecar))
    if model.tokenizer is not None:
        shutil.copy(model.tokenizer, work / "tokenizer.json")
    files = {str(p.relative_to(work)): digest(p) for p in sorted(work.rglob("*")) if p.is_file()}
    manifest = {
        "llmc": __version__,
        "options": vars(compiled.options),
        "checkpoint": str(model.checkpoint.resolve()) if model.checkpoint is not None else None,
        "eos": list(model.eos),
        "kind": model.kind,
        "context": model.context,
        "kernels": {n: {"threads": c.threads, "dyn_smem": c.dyn_smem, "registers": c.registers} for n, c in compiled.kernels.items()},
        "files": files,
    }
    (work / MANIFEST).write_text(json.dumps(manifest, indent=1) + "\n")


def is_artefact(path: Path) -> bool:
    """Whether a directory was written by `llmc build`."""
    return (path / MANIFEST).is_file()


def read_manifest(path: Path) -> dict[str, Any]:
    """An artefact's manifest, with every file checked against its hash. Raises LLMC0221 for a damaged one, LLMC0222 for one
    of another version."""
    try:
        manifest = json.loads((path / MANIFEST).read_text())
        files: dict[str, str] = manifest["files"]
        version = manifest["llmc"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise LlmcError("LLMC0221", f"{path / MANIFEST} is damaged", str(path), why=str(error), fix="build it again") from None
    if version != __version__:
        raise LlmcError("LLMC0222", f"{path} was built by llmc {version}", str(path), why=f"this is {__version__}", fix="build it again")
    for name, expected in files.items():
        file = path / name
        if not file.is_file():
            raise LlmcError("LLMC0221", f"{name} is missing from the artefact", str(path), fix="build it again")
        if digest(file) != expected:
            raise LlmcError("LLMC0221", f"{name} is damaged: its hash is not the manifest's", str(path), fix="build it again")
    return manifest


def read_artefact(path: Path, context: Context | None = None) -> tuple[Compiled, Model]:
    """Load a build: no capture, no code generation."""
    from ..runtime.weights import Checkpoint

    manifest = read_manifest(path)
    module = parse_module(context or make_context(), (path / "ir" / "model.layout").read_text(), str(path / "ir" / "model.layout"))
    options = CompileOptions(**manifest["options"])
    kernels: dict[str, KernelCode] = {}
    for name, entry in manifest["kernels"].items():
        cubin = path / "cubin" / f"{name}.cubin"
        kernels[name] = KernelCode(
            name, "", (path / "ptx" / f"{name}.ptx").read_text(), entry["threads"], entry["dyn_smem"],
            cubin.read_bytes() if cubin.exists() else None, entry["registers"], cached=True,
        )  # fmt: skip
    constants = path / "constants.safetensors"
    sidecar: Mapping[str, Any] = Checkpoint([constants]) if constants.exists() else {}
    tokenizer = path / "tokenizer.json"
    checkpoint = Path(manifest["checkpoint"]) if manifest["checkpoint"] else None
    model = Model(checkpoint, sidecar, tokenizer if tokenizer.exists() else None, tuple(manifest["eos"]), manifest["kind"], manifest["context"])
    return Compiled(module, kernels, options), model


_ = (PHASES, StringAttr, generate)
