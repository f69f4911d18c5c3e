"""Boxes of tensor maps: which bytes they are in global and in shared memory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..tensor_map import PARAMETER_BYTES, TensorMapArgument
from .context import Context
from .fault import Fault

Array = np.ndarray[Any, Any]
PARAM_WINDOW = 1 << 57
"""Where kernel parameters stand among generic addresses."""
CHUNK_BITS = {0: 0, 32: 1, 64: 2, 128: 3}


@dataclass(frozen=True, slots=True)
class Box:
    """One box: `source` offsets in the arena and `target` offsets in shared memory of its elements, `inside` the tensor or not."""

    source: Array
    target: Array
    inside: Array
    width: int

    @property
    def nbytes(self) -> int:
        return len(self.target) * self.width


def map_at(ctx: Context, address: int) -> TensorMapArgument:
    """The tensor map at a generic address, which must be a parameter of the kernel."""
    offset = address - PARAM_WINDOW
    param = next((p for p in ctx.kernel.params if p.offset == offset and p.size == PARAMETER_BYTES), None)
    if param is None:
        raise Fault(f"there is no tensor map at {address:#x}", fix="take the address of a 128-byte parameter (cvta.param.u64)")
    return TensorMapArgument.unpack(ctx.param_bytes[offset : offset + PARAMETER_BYTES].tobytes())


def box_of(ctx: Context, mapped: TensorMapArgument, coordinates: list[int], shared: int, base: int) -> Box:
    """The box at `coordinates` (innermost first), in shared memory at address `shared` of the CTA that begins at `base`."""
    rank, width = len(mapped.extents), mapped.elem_bytes
    if len(coordinates) != rank:
        raise Fault(f"{len(coordinates)} coordinates for a tensor map of rank {rank}")
    if shared % 128:
        raise Fault(f"a box at shared address {shared}: a multiple of 128 is needed")
    axes = [np.arange(n, dtype=np.int64) + c for n, c in zip(mapped.box, coordinates, strict=True)]
    strides = (width, *mapped.strides)
    address: Array = np.zeros(1, np.int64)
    inside: Array = np.ones(1, np.bool_)
    for axis, stride, extent in zip(axes, strides, mapped.extents, strict=True):  # innermost first: later axes go in front
        within = (axis >= 0) & (axis < extent)
        address = (np.where(within, axis, 0)[:, None] * stride + address[None, :]).reshape(-1)
        inside = (within[:, None] & inside[None, :]).reshape(-1)
    linear = np.arange(len(address), dtype=np.int64) * width + shared
    mask = (1 << CHUNK_BITS[mapped.swizzle]) - 1
    swizzled = linear ^ (((linear >> 7) & mask) << 4)
    source = np.zeros(len(address), np.int64)
    if inside.any():
        source[inside] = ctx.memory.locate((address[inside] + mapped.pointer).astype(np.uint64), width, width)
    return Box(source, swizzled + base, inside, width)


def land_load(ctx: Context, box: Box) -> None:
    memory, shared, size = ctx.memory.views, ctx.shared, box.width
    shift = size.bit_length() - 1
    shared[size][box.target >> shift] = np.where(box.inside, memory[size][box.source >> shift], 0)
    if ctx.shared_shadow is not None:
        for byte in range(size):
            ctx.shared_shadow[box.target + byte] = 1


def land_store(ctx: Context, box: Box) -> None:
    memory, shared, size = ctx.memory, ctx.shared, box.width
    shift = size.bit_length() - 1
    source, target = box.source[box.inside], box.target[box.inside]
    memory.views[size][source >> shift] = shared[size][target >> shift]
    if memory.shadow is not None:
        for byte in range(size):
            memory.shadow[source + byte] = 1
