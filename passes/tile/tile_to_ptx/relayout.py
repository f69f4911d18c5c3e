"""`tile.relayout`: a permutation of each thread's registers where that is enough, else through shared memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

from xdsl.dialects.builtin import IntegerType
from xdsl.ir import Attribute

from ....dialects.layout.mem import MemLayout
from ....dialects.layout.tv import Tv
from ....dialects.tile.ops import RelayoutOp
from ....dialects.tile.types import frag_of
from .compute import pick
from .memory import TileAccess, load_tile, store_tile
from .values import Smem, elem_size

if TYPE_CHECKING:
    from .kernel import KernelLowering


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
    size = 1 if isinstance(elem, IntegerType) and elem.width.data == 1 else elem_size(elem)
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


def scratch_bytes(source: Tv, target: Tv, elem: Attribute) -> int:
    """Shared memory that a relayout needs."""
    if register_permutation(source, target) is not None:
        return 0
    return scratch_layout(source.shape, elem).size() * elem_size(elem)


def lower_relayout(k: KernelLowering, op: RelayoutOp) -> None:
    frag, target = k.frag(op.value), frag_of(op.result).tv
    permutation = register_permutation(frag.tv, target)
    if permutation is not None:
        k.set_frag(op.result, pick(k, frag, target, permutation))
        return
    shape = frag.tv.shape
    layout = scratch_layout(shape, frag.elem)
    memory = Smem(layout, shape, frag.elem, k.shared_base(), k.scratch(op), 16)
    zeros = [0] * len(shape)
    k.enter_scratch()
    store_tile(k, TileAccess(k, memory, frag.tv, zeros, {}, {}), frag)
    k.barrier()
    k.set_frag(op.result, load_tile(k, TileAccess(k, memory, target, zeros, {}, {})))
    k.scratch_dirty = True
