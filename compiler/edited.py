"""Builds from edited IR: any dump of an artefact, changed by hand, compiled on into an artefact of its own.

    llmc build out --ir edited.layout -o mine        a schedule was changed at layout
    llmc build out --ir edited.ptx -o mine           an instruction was changed at ptx

The artefact gives what no IR holds: tokenizer, stop tokens, constants, where the weights are. At `tile` and `ptx` it also gives the
host programs, which those levels leave alone.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

from xdsl.dialects.builtin import ModuleOp

from ..codegen.ptx.assemble import assemble
from ..dialects.ir.diagnostics import LlmcError
from ..dialects.ir.parsing import parse_module
from ..dialects.ir.printer import print_module
from ..dialects.ir.text_places import tell_place
from ..dialects.ir.verifying import verify
from ..dialects.ptx.ops import KernelOp as PtxKernelOp
from ..passes.framework.manager import PassManager
from ..passes.framework.pass_ import PassContext
from .artefact import Model, read_artefact, read_manifest, read_model
from .build import Compiled, Settings, compile_module, ptxas_of
from .kernels import KernelCode, code_of
from .phases import CompileOptions, lower, phase_of

KERNEL_PHASES = ("tile", "ptx")


def build_edited(base: Path, text: str, name: str, settings: Settings, target: str | None = None) -> tuple[Compiled, Model]:
    """Compile the module in `text` (called `name` in errors) with the model of the artefact `base`, whose own dumps may have been
    edited too.

    Raises LLMC0001 and LLMC0121 for text that is no valid IR, LLMC0247 for IR of another model.
    """
    context = settings.registry.context()
    module = parse_module(context, text, name)
    try:
        verify(module)
    except LlmcError:
        verify(parse_module(context, text, name, locate=True))
        raise
    options = CompileOptions.of(module)
    if target is not None:
        options = replace(options, target=target)
    try:
        if phase_of(module) in KERNEL_PHASES:
            original, model = read_artefact(base, context)
            return compile_kernels(module, options, original, name, settings), model
        return compile_module(module, options, settings), read_model(base, read_manifest(base, edited=True))
    except LlmcError as error:
        tell_place(error, context, text, name)
        raise


def compile_kernels(module: ModuleOp, options: CompileOptions, original: Compiled, name: str, settings: Settings) -> Compiled:
    """Take the kernels of a module at `tile` or `ptx` on to code, and put them in the place of those of `original`."""
    if options != original.options:
        changed = [k for k, v in vars(options).items() if v != vars(original.options)[k]]
        raise LlmcError(
            "LLMC0247", f"{name} was compiled with other options: {', '.join(changed)}", name,
            why="at tile and ptx only kernels can be replaced, the host programs are the artefact's",
            fix="edit a dump of the same build, or go on from its model.layout",
        )  # fmt: skip
    ptxas, _ = ptxas_of(settings.knobs) if settings.assemble else (None, "")
    passes = PassContext(settings.registry.context(), registry=settings.registry)
    phase, start = phase_of(module), time.perf_counter()
    dumps = {phase: print_module(module, locations=True)} if settings.dumps else {}
    if settings.trace is not None:
        settings.trace.start(passes, module)
    lower(PassManager(passes, True, settings.observers), module, phase, "ptx", options.target)
    if settings.trace is not None:
        settings.trace.finish()
    if settings.dumps:
        dumps["ptx"] = print_module(module, locations=True)
    arch = settings.registry.targets.find(options.target).arch
    kernels = {op.sym_name.data: code_of(op, arch, "") for op in module.body.block.ops if isinstance(op, PtxKernelOp)}
    if kernels.keys() != original.kernels.keys():
        odd = sorted(kernels.keys() ^ original.kernels.keys())
        raise LlmcError(
            "LLMC0247", f"the kernels of {name} are not those of the artefact: @{odd[0]} is in one of the two only", name,
            why="the host programs launch kernels by name", fix="edit a dump of the same build, or go on from its model.layout",
        )  # fmt: skip
    if ptxas is not None:
        kernels = assembled(kernels, arch, ptxas, settings)
    seconds = {"kernels": time.perf_counter() - start}
    return Compiled(original.module, kernels, options, dumps, passes.remarks, seconds)


def assembled(kernels: Mapping[str, KernelCode], arch: str, ptxas: Path, settings: Settings) -> dict[str, KernelCode]:
    """The kernels with cubins; ptxas runs in threads."""
    done: dict[str, KernelCode] = {}
    with ThreadPoolExecutor(max_workers=max(2, os.cpu_count() or 2)) as pool:
        pending = {n: pool.submit(assemble, c.ptx, arch, ptxas=ptxas, where=f"@{n}") for n, c in kernels.items()}
        for number, (name, future) in enumerate(pending.items()):
            settings.progress("ptx", name, number, len(pending))
            result = future.result()
            done[name] = replace(kernels[name], cubin=result.cubin, registers=result.registers, spills=result.spills)
    return done
