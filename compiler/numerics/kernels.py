"""Running kernels on their own: what each buffer argument is filled with, and `layout`, `tile` and `ptx` kernels on that."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from xdsl.dialects.builtin import ArrayAttr, ModuleOp, StringAttr

from ...codegen.schedules.base import Schedules
from ...codegen.targets import Target
from ...dialects.ir.interpret import Frame, Interpreter, Options
from ...dialects.ir.numeric import dtype_of
from ...dialects.layout.ops import KernelOp
from ...dialects.layout.semantics import Buffer, run_kernel, storage_dtype
from ...dialects.ptx.ops import KernelOp as PtxKernelOp
from ...dialects.tile.ops import KernelOp as TileKernelOp
from ...dialects.tile.semantics import run_kernel as run_tile_kernel
from ...passes.tile.layout_to_tile import build
from .emulated import run_emulated
from .inputs import Array, Source
from .outcome import NumericsOptions
from .results import Results
from .scenario import plan, sampling_arrays
from .signature import PARTS, AnyKernel, Argument, Signature

STARTS = {"eos": -1, "limit": 3, "alive": 1, "tokens": 5}


@dataclass(frozen=True)
class KernelCase:
    """Sizes, and what every buffer's memory holds before a launch."""

    signature: Signature
    sizes: dict[str, int]
    memory: dict[str, Array]

    @staticmethod
    def of(signature: Signature, source: Source) -> KernelCase:
        """Fill every buffer: batch and pages consistently, integers within the tables they index, floats at random."""
        sizes = {
            **signature.values(source.options.sizes),
            **{k: v for k, v in source.options.sizes.items() if k.startswith("grid_")},
        }
        by_role = {a.role: a for a in signature.arguments if a.role}
        fixed = _batch(by_role, sizes, source)
        memory: dict[str, Array] = {}
        for index, argument in enumerate(signature.arguments):
            type_ = argument.type
            extents, elem = type_.extents(sizes), type_.element_type
            if argument.role in fixed:
                memory[argument.name] = fixed[argument.role].astype(dtype_of(elem)).reshape(-1)
                continue
            if argument.role in STARTS or argument.role in ("step", "ring"):
                value: Array = np.full(extents, STARTS.get(argument.role, 0), dtype_of(elem))
            elif argument.effect == "w":
                value = np.zeros(extents, dtype_of(elem))
            elif argument.workspace:
                value = np.abs(source.random(("workspace", argument.name), extents, elem))
            else:
                value = source.tensor(argument.name, index, extents, elem, argument.use)
            buffer = Buffer.empty(type_, sizes)
            buffer.write(value)
            memory[argument.name] = buffer.memory
        return KernelCase(signature, sizes, memory)

    @cached_property
    def digest(self) -> str:
        """Names what a run on this case depends on besides the kernel."""
        parts = [repr(sorted(self.sizes.items())), repr(self.signature), *(name for name in self.memory)]
        return hashlib.sha256("".join(parts).encode() + b"".join(m.tobytes() for m in self.memory.values())).hexdigest()

    def fits(self, signature: Signature) -> bool:
        """Whether a kernel takes the same buffers, by name and element count."""
        if [a.name for a in signature.arguments] != list(self.memory) or set(signature.sizes) - set(self.sizes):
            return False
        return all(
            a.type.num_elements(self.sizes) == len(self.memory[a.name]) and b.type.element_type == a.type.element_type
            for a, b in zip(signature.arguments, self.signature.arguments, strict=True)
        )

    def copies(self) -> list[Array]:
        return [self.memory[a.name].copy() for a in self.signature.arguments]


def _batch(by_role: Mapping[str, Argument], sizes: dict[str, int], source: Source) -> dict[str, Array]:
    """The parts of one batch of `T` tokens, and the number of pages; empty when the kernel takes none."""
    if not any(role in by_role for role in PARTS):
        return {}
    tokens = next((by_role[r].type.extents(sizes)[0] for r in ("positions", "sequence") if r in by_role), None)
    sequences = next((by_role[r].type.extents(sizes)[0] for r in ("kv_len", "page_table", "temperature") if r in by_role), None)
    if sequences is None:
        sequences = by_role["query_start"].type.extents(sizes)[0] - 1 if "query_start" in by_role else min(3, tokens or 1)
    if tokens is None:
        tokens = max(sizes.get("T", sequences), sequences)
    one = all(str(by_role[r].type.dims[0]) != "B" for r in ("kv_len", "page_table") if r in by_role) or tokens == sequences
    wanted = {"T": tokens, "B": sequences}
    scenario = plan(Source(_sized(source, wanted)), past=True, steps=False, single=one, ranges=wanted)
    batch = scenario.batch(0)
    pool = by_role.get("k_pages")
    page = pool.type.dims[2] if pool is not None and isinstance(pool.type.dims[2], int) else 64
    table_type = by_role.get("page_table")
    columns = table_type.type.dims[1] if table_type is not None and isinstance(table_type.type.dims[1], int) else 1
    counts = [-(-int(n) // page) for n in batch.kv_len]
    order = iter(source.generator("pages").permutation(sum(counts)) + 1)
    table = np.zeros((batch.sequences, columns), np.int32)
    for sequence, count in enumerate(counts):
        table[sequence, :count] = [next(order) for _ in range(count)]
    if "P" in sizes and "P" not in source.options.sizes:
        sizes["P"] = sum(counts) + 1
    return {
        "positions": batch.positions,
        "sequence": batch.sequence,
        "query_start": batch.query_start,
        "kv_len": batch.kv_len,
        "page_table": table,
        **sampling_arrays(scenario.sampling()),
    }


def _sized(source: Source, sizes: Mapping[str, int]) -> Any:
    return replace(source.options, sizes=dict(sizes), inputs={})


# Running ----------------------------------------------------------------------------------------------------------------


def run_kernels(
    kernels: Sequence[AnyKernel],
    case: KernelCase,
    options: Options,
    target: Target,
    known: NumericsOptions,
    traced: bool = False,
) -> Results:
    """Run one kernel, or a split one and what follows it, on the same memory; the results are the buffers that they write.
    `known` tells what ops of plugins mean."""
    results = Results()
    memory = case.copies()
    if options.round is False:
        memory = [
            m.astype(storage_dtype(a.type.element_type, options)) if isinstance(kernels[0], KernelOp) else m
            for m, a in zip(memory, case.signature.arguments)
        ]

    for kernel in kernels:
        match kernel:
            case KernelOp():
                _run_layout(kernel, case, memory, options, known, results.observe if traced else None)
            case TileKernelOp():
                exact = Options(compute=options.compute, round=True)
                with np.errstate(all="ignore"):
                    observer, plugins = results.observe if traced else None, known.registry.semantics
                    run_tile_kernel(kernel, memory, case.sizes, options=exact, observer=observer, plugins=plugins)
            case PtxKernelOp():
                memory = run_emulated(kernel, memory, case.sizes, case.signature, target)
    for argument, held in zip(case.signature.arguments, memory, strict=True):
        if argument.effect != "r":
            buffer = Buffer(held, argument.type, argument.type.extents(case.sizes))
            array = buffer.read()
            if argument.role in ("k_pages", "v_pages"):
                array[:1] = 0  # page 0 is scratch: rows that pad a tile are written there
            results.add(argument.name, array)
    return results


def _run_layout(
    kernel: KernelOp, case: KernelCase, memory: Sequence[Array], options: Options, known: NumericsOptions, observer: Any
) -> None:
    module = kernel.parent_op()
    interpreter = Interpreter(
        module if isinstance(module, ModuleOp) else ModuleOp([]), known.semantics, options, observer=observer
    )
    buffers = [Buffer(m, a.type, a.type.extents(case.sizes)) for m, a in zip(memory, case.signature.arguments)]
    with np.errstate(all="ignore"):
        run_kernel(kernel, buffers, case.sizes, Frame(interpreter, dict(case.sizes)))


def followers(kernel: KernelOp, target: Target, schedules: Schedules) -> list[TileKernelOp]:
    """The CTA programs that a split kernel is followed by, built from it."""
    if kernel.schedule is None:
        return []
    built: list[TileKernelOp] = []
    for launch in schedules.named(kernel.schedule.family.data, kernel).abi(kernel, kernel.schedule).then:
        clone = kernel.clone()
        clone.properties |= {"schedule": launch.schedule, "grid": ArrayAttr([StringAttr(g) for g in launch.grid])}
        built.append(build(clone, target, schedules))
    return built


def is_follower(kernel: KernelOp, schedules: Schedules) -> bool:
    """Whether a kernel is the second half of a split one: its schedule reads a workspace that another launch has to fill."""
    signature = Signature.of(kernel)
    if kernel.schedule is None or signature is None or not any(a.workspace for a in signature.arguments):
        return False
    return not schedules.named(kernel.schedule.family.data, kernel).abi(kernel, kernel.schedule).workspace


__all__ = ["KernelCase", "followers", "is_follower", "run_kernels"]
