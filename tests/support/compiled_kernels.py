"""One kernel of a compiled model on random inputs: the tile program in numpy, and its PTX on the emulator.

kernel = find_kernel(compiled, "skinny", has=("nn.append",))
arrays = random_arrays(kernel, {"T": 3, "P": 9}, batch_of([70, 1, 33], [1, 1, 1], 2))
wanted, got = run_both(compiled, kernel, arrays, sizes)   # storage of every buffer, by name
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from llmc.codegen.targets import find_target
from llmc.compiler.build import Compiled
from llmc.compiler.kernels import KernelCode
from llmc.dialects.ir.numeric import dtype_of
from llmc.dialects.layout import expressions
from llmc.dialects.layout.ops import KernelOp
from llmc.dialects.layout.types import BufferType
from llmc.dialects.tile.semantics import run_kernel
from llmc.passes.tile.layout_to_tile import build, grid_of
from llmc.runtime.devices import open_device
from llmc.runtime.tensor_map import tensor_map

Arrays = dict[str, np.ndarray[Any, Any]]


def find_kernel(compiled: Compiled, schedule: str, has: tuple[str, ...] = (), lacks: tuple[str, ...] = ()) -> KernelOp:
    """The first kernel under a schedule whose body has some ops and lacks others."""
    for op in compiled.module.body.block.ops:
        if isinstance(op, KernelOp) and op.schedule is not None and op.schedule.family.data == schedule:
            inside = {o.name for o in op.block.ops}
            if inside.issuperset(has) and inside.isdisjoint(lacks):
                return op
    raise LookupError(f"no kernel under {schedule} has {has} and lacks {lacks}")


def buffer_types(kernel: KernelOp) -> dict[str, BufferType]:
    """The type of each buffer argument, by name."""
    found: dict[str, BufferType] = {}
    for argument in kernel.buffers:
        assert argument.name_hint is not None and isinstance(argument.type, BufferType)
        found[argument.name_hint] = argument.type
    return found


def random_arrays(kernel: KernelOp, sizes: Mapping[str, int], given: Mapping[str, np.ndarray], seed: int = 0) -> Arrays:
    """Storage of every buffer: what is given, normal numbers in what is read (weights scaled by their width), zeros elsewhere."""
    rng = np.random.default_rng(seed)
    arrays: Arrays = {}
    for (name, type_), effect in zip(buffer_types(kernel).items(), kernel.arg_effects.data, strict=True):
        dtype, count, extents = dtype_of(type_.element_type), type_.num_elements(sizes), type_.extents(sizes)
        if name in given:
            arrays[name] = np.ascontiguousarray(given[name].astype(dtype)).reshape(-1)
            assert len(arrays[name]) == count, name
        elif effect.data == "w" or name.startswith("partial"):
            arrays[name] = np.zeros(count, dtype)
        else:
            is_weight = len(extents) == 2 and isinstance(type_.dims[0], int)
            arrays[name] = (rng.standard_normal(count) * (extents[-1] ** -0.5 if is_weight else 1.0)).astype(dtype)
    return arrays


def run_emulated(
    code: KernelCode, kernel: KernelOp, arrays: Arrays, sizes: Mapping[str, int], target: str = "sm_90a"
) -> Arrays:
    """The kernel's PTX on the emulator; `arrays` are not changed."""
    device = open_device("emulator", target=target)
    function = device.load(code.image)
    places = {name: device.alloc(max(array.nbytes, 16)) for name, array in arrays.items()}
    for name, array in arrays.items():
        device.upload(places[name], array)
    types, pointers = list(buffer_types(kernel).values()), [p.ptr for p in places.values()]
    maps = [tensor_map(m.data, types[m.data.buffer], sizes, pointers[m.data.buffer]) for m in kernel.maps or ()]
    x, y, z = (expressions.evaluate(text.data, sizes) for text in grid_of(kernel).data)
    device.launch(function, (x, y, z), [*pointers, *maps, *(np.int32(sizes[s.data]) for s in kernel.sizes.data)])
    device.synchronize()
    return {name: device.download(places[name], array.nbytes).view(array.dtype) for name, array in arrays.items()}


def run_both(compiled: Compiled, kernel: KernelOp, arrays: Arrays, sizes: Mapping[str, int]) -> tuple[Arrays, Arrays]:
    """(after the tile program ran in numpy, after its PTX ran on the emulator)."""
    wanted = {name: array.copy() for name, array in arrays.items()}
    target = compiled.options.target
    run_kernel(build(kernel, find_target(target)), list(wanted.values()), dict(sizes))
    return wanted, run_emulated(compiled.kernels[kernel.sym_name.data], kernel, arrays, sizes, target)
