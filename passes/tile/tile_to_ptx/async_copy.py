"""`tile.cp_async` → `cp.async`, with zero fill through the source size; plain copies where vectors do not fit."""

from __future__ import annotations

from typing import Any

import numpy as np
from xdsl.ir import SSAValue

from ....dialects.tile.ops import CpAsyncOp
from .emitter import Scalar
from .lowering import KernelLowering
from .memory import TileAccess, cache_of, load_tile, one_writer, policy_of, positive, store_tile
from .values import Buffer, Frag, Smem, elem_size


def lower_cp_async(k: KernelLowering, op: CpAsyncOp) -> None:
    e = k.e
    tv = op.tv.data
    source, target = k.memory(op.src), k.memory(op.dst)
    assert isinstance(target, Smem)
    size, vector = elem_size(source.elem), op.vector
    nbytes = size * vector
    src = TileAccess(k, source, tv, op.src_offsets, op.bound_map(tv.rank), op.gather_map())
    dst_tv = tv
    while dst_tv.rank > len(target.shape):
        dst_tv = dst_tv.drop(0)
    dst = TileAccess(k, target, dst_tv, op.dst_offsets, {}, {})
    writer = one_writer(k, tv)
    if not (_contiguous(src, vector) and _contiguous(dst, vector) and isinstance(source, Buffer)):
        frag = load_tile(k, src)
        store_tile(k, dst, Frag(dst_tv, frag.elem, frag.words))
        return
    cache = cache_of(op)
    opcode = "cp.async.cg.shared.global" if nbytes == 16 else "cp.async.ca.shared.global"
    policy = policy_of(k, cache)
    if policy is not None:
        opcode += ".L2::cache_hint"
    elif nbytes == 16:
        opcode += ".L2::128B"
    predicate, happens = positive(k, writer)
    if not happens:
        return
    for first in range(0, tv.num_regs, vector):
        valid = _valid_bytes(k, src, first, vector, size)
        operands: list[Any] = [dst.pointers.address(first), src.pointers.address(first), nbytes]
        if valid is not None:
            if policy is not None:
                opcode = opcode.replace(".L2::cache_hint", "")
            operands.append(valid)
        elif policy is not None:
            operands.append(policy)
        e.do(opcode, *operands, pred=predicate)


def _contiguous(tile: TileAccess, vector: int) -> bool:
    """Whether every run of `vector` registers is contiguous and aligned in memory."""
    table = tile.access.plan.table
    flat = table.reshape(len(table) * 32, -1, vector)
    if tile.access.alignment % vector or (flat[:, :, 0] % vector).any():
        return False
    coords = tile.access.reg_coords
    for dim in tile.access.walked:
        if dim in tile.gathered:
            indices = tile.gathered[dim]
            if any(indices[r] is not indices[r - r % vector] for r in range(len(coords))):
                return False
        elif any(coords[r][dim] != coords[r - r % vector][dim] for r in range(len(coords))):
            return False
    return bool((flat == flat[:, :, :1] + np.arange(vector)).all())


def _valid_bytes(k: KernelLowering, src: TileAccess, first: int, vector: int, size: int) -> Scalar | None:
    """Bytes to copy, the rest is zero; None for all. Constant conditions fold."""
    e = k.e
    grains = dict(src.access.granularity)
    coords = src.access.reg_coords
    condition: SSAValue | bool | None = None
    partial: Scalar | None = None
    for dim, bound in src.bounds.items():
        grain = grains[dim]
        along = coords[first][dim] != coords[first + vector - 1][dim]
        if along and grain < vector:
            at = e.add(src.pointers.thread_coord(dim), coords[first][dim])
            left = e.sub(bound, at)
            if isinstance(left, int):
                partial = max(0, min(left, vector)) * size
                continue
            left = e.op("max.s32", e.op("min.s32", left, vector), 0)
            partial = e.mul(left, size)
        else:
            condition = e.both(condition, src.pointers.in_bounds(dim, first, grain, bound))
    nbytes = vector * size
    if condition is None or condition is True:
        return partial
    if condition is False:
        return 0
    return e.op("selp.b32", partial if partial is not None else nbytes, 0, condition)
