"""`tile.relayout`: a permutation of each thread's registers where that is enough, else through shared memory."""

from __future__ import annotations

from ....dialects.tile.ops import RelayoutOp
from ....dialects.tile.types import frag_of
from ..scratch import register_permutation, scratch_layout
from .compute import pick
from .lowering import KernelLowering
from .memory import TileAccess, load_tile, store_tile
from .values import Smem


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
