"""Runs a kernel case under a schedule: in numpy on logical coordinates, or lowered to PTX on a device."""

from __future__ import annotations

from typing import Any

import numpy as np
from kernel_cases import Case
from llmc.codegen.ptx.assemble import assemble
from llmc.codegen.schedules.base import load_schedule
from llmc.codegen.targets import find_target
from llmc.dialects.layout import expressions
from llmc.dialects.layout.ops import KernelOp
from llmc.dialects.layout.types import BufferType, ScheduleAttr
from llmc.dialects.ptx.text import kernel_to_ptx
from llmc.dialects.tile.ops import KernelOp as TileKernelOp
from llmc.dialects.tile.semantics import run_kernel, storage_of, tensor_in
from llmc.passes.layout.finalise_abi import add_workspace
from llmc.passes.ptx.assign_registers import assign_registers
from llmc.passes.ptx.legalise import legalise
from llmc.passes.tile.allocate_shared import allocate
from llmc.passes.tile.expand_rings import expand_rings
from llmc.passes.tile.insert_fences import insert_fences
from llmc.passes.tile.tile_to_ptx import lower_kernel
from llmc.runtime.device import KernelImage
from llmc.runtime.tensor_map import tensor_map

TARGET = find_target("sm_90a")


def programs_of(case: Case, schedule: ScheduleAttr) -> list[TileKernelOp]:
    """The CTA programs of a case: the kernel's and those that follow. The kernel gets its workspace."""
    chosen, kernel = load_schedule(schedule.family.data), case.kernel
    reason = chosen.accepts(kernel)
    assert reason is None, reason
    abi = chosen.abi(kernel, schedule)
    for workspace in abi.workspace:
        add_workspace(kernel, BufferType.of(workspace.dims, workspace.elem), workspace.name)
    programs = [chosen.build(kernel, schedule, TARGET)]
    for launch in abi.then:
        follower = kernel.clone()
        assert isinstance(follower, KernelOp)
        programs.append(load_schedule(launch.schedule.family.data).build(follower, launch.schedule, TARGET))
    for program in programs:
        program.verify()
    return programs


def image_of(program: TileKernelOp) -> KernelImage:
    """A program lowered to PTX."""
    name = program.sym_name.data
    expand_rings(program)
    smem = allocate(program)
    insert_fences(program)
    lowered = lower_kernel(program)
    legalise(lowered, TARGET)
    assign_registers(lowered)
    text = kernel_to_ptx(lowered, TARGET.name)
    return KernelImage(name, text, dyn_smem=smem, threads=32 * program.num_warps)


def run(case: Case, schedule: ScheduleAttr, device: Any = None, seed: int = 0) -> dict[str, np.ndarray]:
    """Logical arrays of every buffer after the case ran; `device` None: in numpy. A GPU gets a cubin."""
    layouts = load_schedule(schedule.family.data).abi(case.kernel, schedule).operand_layouts
    programs = programs_of(case, schedule)
    arrays = case.arrays(seed)
    storage: list[np.ndarray] = []
    for index, argument in enumerate(case.kernel.buffers):
        if index < len(case.names):
            array = arrays[case.names[index]]
            storage.append(storage_of(array, layouts[index]) if index in layouts else array.copy())
        else:
            type_ = argument.type
            assert isinstance(type_, BufferType)
            storage.append(np.full(type_.extents(case.sizes), np.nan, np.float32))
    if device is None:
        for program in programs:
            run_kernel(program, storage, case.sizes)
    else:
        storage = _on_device(case, programs, storage, device)
    after: dict[str, np.ndarray] = {}
    for index, name in enumerate(case.names):
        shape = arrays[name].shape
        after[name] = (
            tensor_in(storage[index].reshape(-1), layouts[index], shape) if index in layouts else storage[index].reshape(shape)
        )
    return after


def _on_device(case: Case, programs: list[TileKernelOp], storage: list[np.ndarray], device: Any) -> list[np.ndarray]:
    allocations = []
    for array in storage:
        allocation = device.alloc(max(array.nbytes, 16))
        device.upload(allocation, array)
        allocations.append(allocation)
    for program in programs:
        grid = tuple(expressions.evaluate(g.data, case.sizes) for g in program.grid.data)
        sizes = [case.sizes[s.data] for s in program.sizes.data]
        image = image_of(program)
        if device.name != "emulator":
            image = KernelImage(**{**vars(image), "cubin": assemble(image.ptx, TARGET.name).cubin})
        function = device.load(image)
        maps = [
            tensor_map(m, program.buffers[m.buffer].type, case.sizes, allocations[m.buffer].ptr) for m in program.tensor_maps
        ]
        device.launch(function, grid, [*(a.ptr for a in allocations), *maps, *sizes])
    return [
        device.download(allocation, array.nbytes).view(array.dtype).reshape(array.shape)
        for allocation, array in zip(allocations, storage, strict=True)
    ]
