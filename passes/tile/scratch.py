"""Scratch memory: which ops need shared memory while they run, how much, and how it is laid out."""

from __future__ import annotations

import numpy as np
from xdsl.ir import Attribute, Operation

from ...dialects.ir.numeric import dtype_of
from ...dialects.layout.mem import MemLayout
from ...dialects.layout.tv import Tv
from ...dialects.tile.ops import AtomicAddOp, ReduceOp, RelayoutOp, SplitReduceOp
from ...dialects.tile.types import frag_of

SCRATCH_OPS = (ReduceOp, RelayoutOp, AtomicAddOp, SplitReduceOp)


def scratch_bytes(op: Operation) -> int:
    """Shared memory an op needs while it runs."""
    if isinstance(op, ReduceOp):
        return reduce_bytes(frag_of(op.value).tv, op.axis.value.data)
    if isinstance(op, RelayoutOp):
        source, target = frag_of(op.value), frag_of(op.result)
        return relayout_bytes(source.tv, target.tv, source.element_type)
    if isinstance(op, SplitReduceOp):
        frag = frag_of(op.value)
        return scratch_layout(frag.shape, frag.element_type).size() * 4
    return 16 if isinstance(op, AtomicAddOp) and op.result.uses else 0


def reduce_bytes(tv: Tv, axis: int) -> int:
    """What a reduction of `tv` along `axis` needs: partial results of its warps."""
    if not warps_reduced(tv, axis):
        return 0
    return tv.num_warps * distinct_lanes(tv, axis)[1] * tv.project(axis).num_regs * 4


def warps_reduced(tv: Tv, axis: int) -> list[tuple[int, int]]:
    """(unit, size) of the warp digits along the axis."""
    found: list[tuple[int, int]] = []
    unit = 1
    for size, step in tv.warp:
        if size > 1 and step[axis]:
            found.append((unit, size))
        unit *= size
    return found


def distinct_lanes(tv: Tv, axis: int) -> tuple[np.ndarray, int]:
    """After the lanes are combined: the number of each lane among those that hold different elements, and how many."""
    index = np.zeros(32, dtype=np.int64)
    lanes = np.arange(32)
    unit, count = 1, 1
    for size, step in tv.lane:
        if size > 1 and any(s for dim, s in enumerate(step) if dim != axis):
            index += (lanes // unit) % size * count
            count *= size
        unit *= size
    return index, count


def relayout_bytes(source: Tv, target: Tv, elem: Attribute) -> int:
    """What a relayout needs: the whole tile, unless each thread has what it wants."""
    if register_permutation(source, target) is not None:
        return 0
    return scratch_layout(source.shape, elem).size() * dtype_of(elem).itemsize


def register_permutation(source: Tv, target: Tv) -> list[int] | None:
    """For each register of `target` the register of `source` that holds its element in every thread, if there is."""
    if source.num_warps != target.num_warps:
        return None
    old, new = source.all_coords(), target.all_coords()
    where = {old[:, :, r].tobytes(): r for r in reversed(range(old.shape[2]))}
    chosen = [where.get(new[:, :, r].tobytes()) for r in range(new.shape[2])]
    return None if any(r is None for r in chosen) else chosen  # pyright: ignore


def scratch_layout(shape: tuple[int, ...], elem: Attribute) -> MemLayout:
    """Row-major, rows padded by 16 bytes so that columns do not fall into one bank."""
    size = dtype_of(elem).itemsize
    if len(shape) < 2:
        return MemLayout.row_major(shape)
    pitch = -(-shape[-1] * size // 16) * 16
    if pitch % 128 == 0 or pitch == 64:
        pitch += 16
    strides = [1]
    stride = pitch // size
    for extent in reversed(shape[1:-1]):
        strides.insert(0, stride)
        stride *= extent
    strides.insert(0, stride)
    return MemLayout.strided(shape, strides)
