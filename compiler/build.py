"""From an imported model to everything that a runtime needs: the module at each phase, and the kernels.

compiled = compile_module(imported.module, CompileOptions(target="sm_90a"), settings)
"""

from __future__ import annotations

import os
import subprocess
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from xdsl.dialects.builtin import ModuleOp, StringAttr
from xdsl.ir import Operation

from ..codegen.ptx.assemble import find_ptxas, ptxas_version, search_paths
from ..dialects.ir.diagnostics import LlmcError
from ..dialects.ir.printer import print_module
from ..passes.framework.instrument import Instrument
from ..passes.framework.manager import PassManager
from ..passes.framework.pass_ import PassContext
from ..passes.framework.registry import Registry
from ..passes.framework.remarks import Remarks
from .kernels import Failed, KernelCode, KernelCompiler, Lowered, update_grids
from .knobs import Knobs
from .phases import CompileOptions, lower, make_registry, phase_of, pipeline_between

if TYPE_CHECKING:
    from .trace import LowerTrace

Progress = Callable[[str, str, int, int], None]
MODULE_PHASES = ("nn", "fusion", "quant", "layout")


def silent(phase: str, what: str, done: int, total: int) -> None:
    """A progress callback that says nothing."""


def warn(text: str) -> None:
    """A warning as Python gives them."""
    warnings.warn(text, stacklevel=2)


@dataclass(frozen=True)
class Settings:
    """How to compile, which is not part of what is compiled.

    codegen: make PTX (the reference needs none). assemble: make cubins (needs ptxas). cache: where kernels are kept; None keeps none. verify: check the IR after each pass.
    dumps: keep the text of every phase. progress: called with (phase, what, done, total). warn: called with
    what is odd about a checkpoint, but no error. trace: sees every pass; kernels then come
    from no cache, for a cached one has no passes to see. registry: the passes, dialects, targets and schedules that there are.
    failed: called with the error of a pass, a module and the pipeline that fails on it, before the error is raised.
    """

    knobs: Knobs = field(default_factory=Knobs)
    codegen: bool = True
    assemble: bool = True
    cache: bool = True
    verify: bool = False
    dumps: bool = False
    progress: Progress = silent
    warn: Callable[[str], None] = warn
    instruments: Sequence[Instrument] = ()
    registry: Registry = field(default_factory=make_registry)
    trace: LowerTrace | None = None
    failed: Failed | None = None

    @property
    def observers(self) -> list[Instrument]:
        """Everything that sees the passes."""
        return [*self.instruments, *([self.trace] if self.trace is not None else ())]


@dataclass
class Compiled:
    """A compiled model: its module at `layout`, its kernels by name, the dumps that were asked for, remarks, seconds by phase."""

    module: ModuleOp
    kernels: dict[str, KernelCode]
    options: CompileOptions
    dumps: dict[str, str] = field(default_factory=dict[str, str])
    remarks: Remarks = field(default_factory=Remarks)
    seconds: dict[str, float] = field(default_factory=dict[str, float])


def compile_module(module: ModuleOp, options: CompileOptions, settings: Settings) -> Compiled:
    """Take a module from where it stands through all phases. `module` is changed in place and ends at `layout`; the kernels
    go on from there one by one."""
    ptxas, toolchain = (
        ptxas_of(settings.knobs) if settings.codegen and settings.assemble else (None, "none")
    )  # before minutes of work
    passes = PassContext(settings.registry.context(), registry=settings.registry)
    manager = PassManager(passes, settings.verify, settings.observers)
    if settings.trace is not None:
        settings.trace.start(passes, module)
    options.attach(module)
    dumps: dict[str, str] = {}
    seconds: dict[str, float] = {}
    standing = phase_of(module)
    order = ("import", *MODULE_PHASES)
    if standing not in order:
        raise LlmcError(
            "LLMC0212",
            f"a module at phase '{standing}' can't be built into a model",
            module,
            fix="start from a dump at layout or before",
        )
    source = module.clone() if settings.failed is not None else None
    for phase in MODULE_PHASES[order.index(standing) :]:
        settings.progress(phase, "", 0, 1)
        start = time.perf_counter()
        try:
            lower(manager, module, phase_of(module), phase, options.target)
        except LlmcError as error:
            if source is not None and settings.failed is not None and error.passes:
                settings.failed(error, source, pipeline_between(standing, phase))
            raise
        seconds[phase] = time.perf_counter() - start
        if settings.dumps:
            dumps[phase] = print_module(module, locations=True)
    start = time.perf_counter()
    compiler = KernelCompiler(
        manager,
        options.target,
        ptxas,
        toolchain,
        settings.knobs.cache_dir / "kernels" if settings.cache and settings.trace is None else None,
        lambda what, done, total: settings.progress("ptx", what, done, total),
        settings.failed,
    )
    kernels = compiler.compile(module) if settings.codegen else {}
    update_grids(module, settings.registry)
    if settings.trace is not None:
        settings.trace.finish()
    seconds["kernels"] = time.perf_counter() - start
    if settings.dumps:
        dumps["layout"] = print_module(module, locations=True)
        settings.progress("dump", "", 0, 1)
        unseen = replace(manager, instruments=())  # no compilation: nothing to see
        dumps |= kernel_dumps(unseen, module, options.target, compiler.lowered)
    return Compiled(module, kernels, options, dumps, passes.remarks, seconds)


def ptxas_of(knobs: Knobs) -> tuple[Path, str]:
    """ptxas and its version: the knob's, else the first in the wheel, the toolkit, PATH. Raises LLMC0840 without one."""
    fix = "pip install 'nvidia-cuda-nvcc==13.0.*', or set CUDA_HOME to a CUDA 13.0 toolkit; --device emulator needs no ptxas"
    if knobs.ptxas is not None:
        path = knobs.ptxas / "ptxas" if knobs.ptxas.is_dir() else knobs.ptxas
        if not (path.is_file() and os.access(path, os.X_OK)):
            why = f"LLMC_PTXAS names {path}, which is no program"
            raise LlmcError(
                "LLMC0840", "ptxas was not found", str(path), why=why, fix=f"unset LLMC_PTXAS or correct it; or {fix}"
            )
    else:
        environment = {"PATH": knobs.path, "CUDA_HOME": str(knobs.cuda_home or "")}
        try:
            path = find_ptxas(search_paths(environment))
        except LlmcError as error:
            raise LlmcError("LLMC0840", "ptxas was not found", "the search for ptxas", why=error.why, fix=fix) from None
    try:
        return path, ptxas_version(path)
    except (OSError, ValueError, subprocess.SubprocessError) as error:
        raise LlmcError("LLMC0844", f"{path} does not run", str(path), why=str(error), fix=fix) from None


def kernel_dumps(manager: PassManager, module: ModuleOp, target: str, lowered: Mapping[str, Lowered]) -> dict[str, str]:
    """The whole module at `tile` and at `ptx`; kernels that have been lowered before are taken from there."""
    copy = module.clone()
    order = [name_of(op) for op in module.body.block.ops]
    for op in list(copy.body.block.ops):
        if name_of(op) in lowered:
            op.detach()
            op.erase()
    dumps: dict[str, str] = {}
    for phase in ("tile", "ptx"):
        lower(manager, copy, phase_of(copy), phase, target)
        rest = {name_of(op): op for op in copy.body.block.ops}
        whole = ModuleOp([(rest[n] if n in rest else lowered[n].at(phase)).clone() for n in order], dict(copy.attributes))
        dumps[phase] = print_module(whole, locations=True)
    return dumps


def name_of(op: Operation) -> str:
    """The name of a symbol."""
    name = op.get_attr_or_prop("sym_name")
    assert isinstance(name, StringAttr)
    return name.data
