"""`tile.kernel` → `ptx.kernel`: which op has which lowering."""

from __future__ import annotations

from typing import Any, cast

from xdsl.dialects import scf
from xdsl.ir import Operation

from ....dialects.ptx.build import Sreg
from ....dialects.ptx.ops import KernelOp as PtxKernelOp
from ....dialects.tile import ops as tile
from ..allocate_shared import allocate
from . import (
    async_copy,
    cluster,
    compute,
    control_flow,
    dependencies,
    mbarriers,
    memory,
    mma,
    reduce,
    relayout,
    scalar_memory,
    transfers,
    wgmma,
)
from . import map as map_
from .lowering import Handler, KernelLowering
from .values import Smem


def lower_kernel(kernel: tile.KernelOp) -> PtxKernelOp:
    """The PTX form of a `tile.kernel`, its registers still in SSA form. The kernel is left as it is, except for the
    shared-memory offsets that `allocate-shared` writes on it if it has not run.

    Parameters: `u64` per buffer, `tensormap` per tensor map, `u32` per size, named `p0`, `p1`, … in order.
    Raises LlmcError LLMC0601 when the kernel unrolls too far, LLMC0602 for what has no lowering.
    """
    if kernel.smem_bytes is None:
        allocate(kernel)
    return KernelLowering(kernel, HANDLERS).run()


# -- small ops --------------------------------------------------------------------------------------------------------
def lower_task(k: KernelLowering, op: tile.TaskOp) -> None:
    for result, axis in zip(op.results, "xyz", strict=True):
        k.values[result] = k.e.entry_op("mov.u32", Sreg(f"%ctaid.{axis}")) if result.uses else 0


def lower_is_thread(k: KernelLowering, op: tile.IsThreadOp) -> None:
    k.values[op.result] = k.e.compare("eq.s32", k.thread_in_role(), op.id.value.data)


def lower_alloc(k: KernelLowering, op: tile.AllocOp) -> None:
    type_: Any = op.result.type
    assert op.offset is not None
    offset = op.offset.value.data
    k.values[op.result] = Smem(
        type_.layout, type_.shape, type_.element_type, k.shared_base(), offset, min(1024, offset & -offset or 1024)
    )


def lower_view(k: KernelLowering, op: tile.ViewOp) -> None:
    source = cast(Smem, k.memory(op.smem))
    type_: Any = op.result.type
    moved = op.offset.value.data
    alignment = min(source.alignment, moved & -moved) if moved else source.alignment
    k.values[op.result] = Smem(
        type_.layout, type_.shape, type_.element_type, source.base, source.offset + moved, alignment, source.cluster
    )


HANDLERS: dict[type[Operation], Handler] = {
    scf.ForOp: control_flow.lower_for,
    scf.IfOp: control_flow.lower_if,
    scf.WhileOp: control_flow.lower_while,
    tile.RolesOp: control_flow.lower_roles,
    tile.TaskOp: lower_task,
    tile.IsThreadOp: lower_is_thread,
    tile.AwaitOp: dependencies.lower_await,
    tile.PublishOp: dependencies.lower_publish,
    tile.BarrierOp: lambda k, op: k.barrier(fenced=op.fenced is not None),
    tile.AsyncFenceOp: lambda k, op: k.e.do("fence.proxy.async.shared::cta"),
    tile.FenceOp: lambda k, op: k.e.do("fence.acq_rel.gpu"),
    tile.AllocOp: lower_alloc,
    tile.ViewOp: lower_view,
    tile.StageOp: scalar_memory.lower_stage,
    tile.LoadOp: memory.lower_load,
    tile.PrefetchOp: memory.lower_prefetch,
    tile.StoreOp: memory.lower_store,
    tile.LoadScalarOp: scalar_memory.lower_load_scalar,
    tile.StoreScalarOp: scalar_memory.lower_store_scalar,
    tile.AtomicAddOp: scalar_memory.lower_atomic_add,
    tile.CpAsyncOp: async_copy.lower_cp_async,
    tile.CpAsyncCommitOp: lambda k, op: k.e.do("cp.async.commit_group"),
    tile.CpAsyncWaitOp: lambda k, op: k.e.do("cp.async.wait_group", op.pending.value.data),
    tile.MapOp: map_.lower_map,
    tile.IotaOp: compute.lower_iota,
    tile.FullOp: compute.lower_full,
    tile.SplatOp: compute.lower_splat,
    tile.ExtractOp: compute.lower_extract,
    tile.BroadcastOp: compute.lower_broadcast,
    tile.SliceOp: compute.lower_slice,
    tile.ConcatOp: compute.lower_concat,
    tile.RelabelOp: compute.lower_relabel,
    tile.UnpackOp: compute.lower_unpack,
    tile.ReduceOp: reduce.lower_reduce,
    tile.RelayoutOp: relayout.lower_relayout,
    tile.MmaOp: mma.lower_mma,
    tile.WgmmaBeginOp: wgmma.lower_wgmma_begin,
    tile.WgmmaOp: wgmma.lower_wgmma,
    tile.WgmmaWaitOp: wgmma.lower_wgmma_wait,
    tile.MbarrierInitOp: mbarriers.lower_init,
    tile.MbarrierArriveOp: mbarriers.lower_arrive,
    tile.MbarrierExpectOp: mbarriers.lower_expect,
    tile.MbarrierWaitOp: mbarriers.lower_wait,
    tile.BulkCopyOp: mbarriers.lower_bulk_copy,
    tile.RankOp: cluster.lower_rank,
    tile.PeerOp: cluster.lower_peer,
    tile.ElectOp: cluster.lower_elect,
    tile.ClusterBarrierOp: lambda k, op: cluster.cluster_barrier(k),
    tile.SplitReduceOp: cluster.lower_split_reduce,
    tile.TmaCopyOp: mbarriers.lower_tma_copy,
    tile.BulkStoreOp: transfers.lower_bulk_store,
    tile.TmaStoreOp: transfers.lower_tma_store,
    tile.BulkCommitOp: transfers.lower_commit,
    tile.BulkWaitOp: transfers.lower_wait,
}
"""Op → its lowering. Scalar arith and math ops are in scalars.TABLE."""
