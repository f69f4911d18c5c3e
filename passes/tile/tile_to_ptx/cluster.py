"""Clusters: ranks, peers' memory (mapa), cluster barriers, and sums over CTAs or over the parts of one."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, cast

from xdsl.ir import SSAValue

from ....dialects.ptx.build import Sreg
from ....dialects.tile.ops import ElectOp, PeerOp, RankOp, SplitReduceOp
from ....dialects.tile.types import frag_of
from ..scratch import scratch_layout
from .lowering import KernelLowering
from .memory import TileAccess, load_tile, store_tile
from .packing import pack_all
from .values import Frag, Mbarriers, Smem


def lower_rank(k: KernelLowering, op: RankOp) -> None:
    k.values[op.result] = k.e.entry_op("mov.u32", Sreg("%cluster_ctarank"))


def lower_peer(k: KernelLowering, op: PeerOp) -> None:
    mine: Smem | Mbarriers = k.values[op.value]
    k.values[op.result] = peer_of(k, mine, k.scalar(op.rank))


def peer_of(k: KernelLowering, mine: Any, rank: Any) -> Any:
    """Memory or barriers as the CTA of a rank has them."""
    base = k.e.op("mapa.shared::cluster.u32", k.e.reg(mine.base), rank)
    return replace(mine, base=base, cluster=True)


def lower_elect(k: KernelLowering, op: ElectOp) -> None:
    e = k.e
    _, leads = e.do("elect.sync", -1)
    k.values[op.result] = e.both(cast(SSAValue, leads), e.compare("eq.s32", k.warp, 0))


def cluster_barrier(k: KernelLowering) -> None:
    if k.feeds_async:
        k.e.do("fence.proxy.async")
    k.e.do("barrier.cluster.arrive.release.aligned")
    k.e.do("barrier.cluster.wait.acquire.aligned")
    k.scratch_dirty = False


def lower_split_reduce(k: KernelLowering, op: SplitReduceOp) -> None:
    """Every part goes to shared memory; who needs the sum reads them all, in order."""
    frag, result = k.frag(op.value), frag_of(op.result)
    shape = frag.tv.shape
    mine = Smem(scratch_layout(shape, frag.elem), shape, frag.elem, k.shared_base(), k.scratch(op), 16)
    zeros = [0] * len(shape)
    k.enter_scratch()
    store_tile(k, TileAccess(k, mine, frag.tv, zeros, {}, {}), frag)
    if op.scope.data == "cluster":
        cluster_barrier(k)
        parts = [(peer_of(k, mine, rank), zeros) for rank in range(k.cluster)]
    else:
        k.barrier()
        parts = [(mine, [part, *zeros[1:]]) for part in range(shape[0])]
    total: list[Any] = []
    for memory, at in parts:
        words = k.elements(load_tile(k, TileAccess(k, memory, result.tv, at, {}, {})))
        total = [k.e.op("add.f32", a, b) for a, b in zip(total, words, strict=True)] if total else list(words)
    if op.scope.data == "cluster":
        cluster_barrier(k)  # nobody writes its part again, or ends, while others read it
    else:
        k.scratch_dirty = True
    k.set_frag(op.result, Frag(result.tv, frag.elem, tuple(pack_all(k.e, frag.elem, total))))
