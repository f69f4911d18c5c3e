"""Writing one `tile.kernel`, lowering it to PTX, and running both on the same data."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from llmc.codegen.schedules.builder import TileBuilder
from llmc.compiler.kernels import code_of
from llmc.dialects.ir.locations import named
from llmc.dialects.layout import expressions
from llmc.dialects.ptx.ops import KernelOp as PtxKernelOp
from llmc.dialects.ptx.text import kernel_to_ptx
from llmc.dialects.tile import ops
from llmc.dialects.tile.semantics import run_kernel
from llmc.passes.ptx.assign_registers import assign_registers
from llmc.passes.tile.expand_rings import expand_rings
from llmc.passes.tile.insert_fences import insert_fences
from llmc.passes.tile.tile_to_ptx import lower_kernel
from llmc.runtime.device import KernelImage
from llmc.runtime.devices import open_device
from xdsl.ir import Attribute


def start(
    name: str,
    buffers: Sequence[Attribute],
    effects: Sequence[str],
    sizes: Sequence[str] = (),
    warps: int = 1,
    grid: Sequence[str | int] = (1, 1, 1),
    features: Sequence[str] = (),
    **options: Any,
) -> TileBuilder:
    """A builder on an empty kernel."""
    op = ops.KernelOp(
        name,
        buffers,
        effects,
        sizes,
        warps=warps,
        grid=grid,
        target_features=features or None,
        location=named(name),
        **options,
    )
    return TileBuilder(op)


def to_text(kernel: ops.KernelOp, target: str = "sm_90a") -> tuple[str, PtxKernelOp]:
    """PTX text of a kernel, verified on the way."""
    kernel.verify()
    expand_rings(kernel)
    insert_fences(kernel)
    kernel.verify()
    lowered = lower_kernel(kernel)
    lowered.verify()
    assign_registers(lowered)
    return kernel_to_ptx(lowered, target), lowered


def image_of(kernel: ops.KernelOp, target: str = "sm_90a") -> KernelImage:
    """What a device loads for a kernel."""
    _, lowered = to_text(kernel, target)
    return code_of(lowered, target, "").image


def run_both(
    kernel: ops.KernelOp, arrays: Sequence[np.ndarray], sizes: dict[str, int] | None = None, target: str = "sm_90a"
) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """(arrays after the tile semantics, arrays after the emulator ran the PTX). Inputs are not changed."""
    sizes = sizes or {}
    wanted = [np.array(a) for a in arrays]
    run_kernel(kernel, wanted, sizes)
    device = open_device("emulator", target=target, strict=True)
    function = device.load(image_of(kernel, target))
    allocations = [device.alloc(max(a.nbytes, 16)) for a in arrays]
    for allocation, array in zip(allocations, arrays, strict=True):
        device.upload(allocation, array)
    x, y, z = (expressions.evaluate(g.data, sizes) for g in kernel.grid.data)
    names = [s.data for s in kernel.sizes.data]
    device.launch(function, (x, y, z), [*(a.ptr for a in allocations), *(sizes[n] for n in names)])
    device.synchronize()
    got = [
        device.download(allocation, array.nbytes).view(array.dtype).reshape(array.shape)
        for allocation, array in zip(allocations, arrays, strict=True)
    ]
    return wanted, got
