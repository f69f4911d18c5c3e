"""Every op of the dialect; they are defined by subject in the `ops_*` files."""

from __future__ import annotations

from xdsl.ir import Operation

from . import ops_barrier, ops_compute, ops_dependency, ops_kernel, ops_memory, ops_ring, ops_tma, ops_transfer, ops_wgmma
from .ops_barrier import BulkCopyOp, MbarrierArriveOp, MbarrierExpectOp, MbarrierInitOp, MbarrierWaitOp
from .ops_compute import (
    REDUCTIONS,
    BroadcastOp,
    ConcatOp,
    ExtractOp,
    FullOp,
    IotaOp,
    MapOp,
    MmaOp,
    ReduceOp,
    RelabelOp,
    RelayoutOp,
    SliceOp,
    SplatOp,
    UnpackOp,
)
from .ops_dependency import AwaitOp, PublishOp
from .ops_kernel import (
    BarrierOp,
    FenceOp,
    IsThreadOp,
    KernelOp,
    ReturnOp,
    RolesOp,
    TaskOp,
    YieldOp,
)
from .ops_memory import (
    AllocOp,
    AtomicAddOp,
    CpAsyncCommitOp,
    CpAsyncOp,
    CpAsyncWaitOp,
    LoadOp,
    LoadScalarOp,
    PrefetchOp,
    StageOp,
    StoreOp,
    StoreScalarOp,
    ViewOp,
)
from .ops_ring import BulkLoadOp, RingAcquireOp, RingOp, RingReleaseOp, RingWaitOp
from .ops_tma import TmaCopyOp, TmaLoadOp, TmaStoreOp
from .ops_transfer import BulkCommitOp, BulkStoreOp, BulkWaitOp
from .ops_wgmma import AsyncFenceOp, WgmmaBeginOp, WgmmaOp, WgmmaWaitOp

OPS: list[type[Operation]] = [
    *ops_kernel.OPS,
    *ops_memory.OPS,
    *ops_compute.OPS,
    *ops_ring.OPS,
    *ops_barrier.OPS,
    *ops_transfer.OPS,
    *ops_tma.OPS,
    *ops_dependency.OPS,
    *ops_wgmma.OPS,
]

__all__ = [
    "OPS",
    "REDUCTIONS",
    "AllocOp",
    "AsyncFenceOp",
    "AtomicAddOp",
    "AwaitOp",
    "BarrierOp",
    "BroadcastOp",
    "BulkCommitOp",
    "BulkCopyOp",
    "BulkLoadOp",
    "BulkStoreOp",
    "BulkWaitOp",
    "ConcatOp",
    "CpAsyncCommitOp",
    "CpAsyncOp",
    "CpAsyncWaitOp",
    "ExtractOp",
    "FenceOp",
    "FullOp",
    "IotaOp",
    "IsThreadOp",
    "KernelOp",
    "LoadOp",
    "LoadScalarOp",
    "MapOp",
    "MbarrierArriveOp",
    "MbarrierExpectOp",
    "MbarrierInitOp",
    "MbarrierWaitOp",
    "MmaOp",
    "PrefetchOp",
    "PublishOp",
    "ReduceOp",
    "RelabelOp",
    "RelayoutOp",
    "ReturnOp",
    "RingAcquireOp",
    "RingOp",
    "RingReleaseOp",
    "RingWaitOp",
    "RolesOp",
    "SliceOp",
    "SplatOp",
    "StageOp",
    "StoreOp",
    "StoreScalarOp",
    "TaskOp",
    "TmaCopyOp",
    "TmaLoadOp",
    "TmaStoreOp",
    "UnpackOp",
    "ViewOp",
    "WgmmaBeginOp",
    "WgmmaOp",
    "WgmmaWaitOp",
    "YieldOp",
]
