"""Running a `ptx.kernel` on the emulator. A kernel that is still in SSA form gets registers on a copy, by
`registers.py`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from xdsl.dialects.builtin import ArrayAttr, StringAttr

from ...codegen.targets import Target
from ...dialects.ir.diagnostics import LlmcError
from ...dialects.layout import expressions
from ...dialects.ptx.ops import KernelOp
from ...dialects.ptx.text import kernel_to_ptx
from ...runtime.device import KernelImage
from ...runtime.devices import open_device
from .registers import name_registers
from .signature import Signature

Array = np.ndarray[Any, Any]


def image_of(kernel: KernelOp, target: Target) -> KernelImage:
    """What the emulator loads. The kernel is left as it is."""
    copy = kernel.clone()
    name_registers(copy)
    shared = copy.dyn_smem.value.data if copy.dyn_smem is not None else 0
    return KernelImage(copy.sym_name.data, kernel_to_ptx(copy, target.arch), dyn_smem=shared, threads=copy.reqntid.value.data)


def run_emulated(
    kernel: KernelOp, memory: Sequence[Array], sizes: Mapping[str, int], signature: Signature, target: Target
) -> list[Array]:
    """The memory of every buffer after one launch; what is given is not changed."""
    device = open_device("emulator", target=target.arch)
    function = device.load(image_of(kernel, target))
    places = [device.alloc(max(array.nbytes, 16)) for array in memory]
    for place, array in zip(places, memory, strict=True):
        device.upload(place, array)
    pointers = {a.name: place.ptr for a, place in zip(signature.arguments, places, strict=True)}
    values = [pointers[name] if name in pointers else np.int32(sizes[name]) for name in signature.order]
    device.launch(function, grid_of(kernel, sizes), values)
    device.synchronize()
    return [device.download(p, a.nbytes).view(a.dtype).reshape(a.shape) for p, a in zip(places, memory, strict=True)]


def grid_of(kernel: KernelOp, sizes: Mapping[str, int]) -> tuple[int, int, int]:
    """The kernel's own grid, else the sizes `grid_x`, `grid_y`, `grid_z` that the user gives; LLMC0265 for one without."""
    grid = kernel.attributes.get("grid")
    if isinstance(grid, ArrayAttr) and len(grid.data) == 3:
        x, y, z = (expressions.evaluate(g.data, sizes) for g in grid.data if isinstance(g, StringAttr))
        return x, y, z
    if "grid_x" not in sizes:
        raise LlmcError(
            "LLMC0265",
            f"@{kernel.sym_name.data} does not say on how many CTAs it runs",
            kernel,
            fix="give them: --check-numerics-sizes grid_x=4",
        )
    return sizes["grid_x"], sizes.get("grid_y", 1), sizes.get("grid_z", 1)
