"""Generators of `tile`: barriers, bulk copies, tensor maps, clusters, dependencies between kernels."""

from __future__ import annotations

from llmc.dialects.layout.mem import MemLayout
from llmc.dialects.layout.tensor_map import TensorMap
from llmc.dialects.layout.types import BufferType
from llmc.dialects.tile import ops_barrier as barrier
from llmc.dialects.tile import ops_cluster as cluster
from llmc.dialects.tile import ops_dependency as dependency
from llmc.dialects.tile import ops_tma as tma
from llmc.dialects.tile import ops_transfer as transfer
from llmc.dialects.tile.ops_kernel import map_type
from llmc.dialects.tile.ops_memory import CACHE_HINTS
from llmc.dialects.tile.types import MbarriersType, RingType, SmemType
from xdsl.dialects.builtin import bf16, f16, f32, i32, i64
from xdsl.ir import SSAValue

from .attributes import texts
from .modules import MAKERS
from .scope import Scope, generates
from .tile import elem, fragment, layout, offsets

MAKERS[MbarriersType] = lambda b, kind: b.put(barrier.MbarrierInitOp(kind.count, b.number(1, 4)))  # pyright: ignore


def barriers(b: Scope) -> SSAValue:
    return b.value(MbarriersType.of(b.number(1, 4)))


def multicast(b: Scope) -> SSAValue | None:
    return b.value(i32) if b.flag() else None


@generates(
    barrier.MbarrierInitOp, barrier.MbarrierExpectOp, barrier.MbarrierArriveOp, barrier.MbarrierWaitOp, place="tile.kernel"
)
def phases(b: Scope) -> None:
    made = b.put(barrier.MbarrierInitOp(b.number(1, 8), b.pick(1, 2, (1 << 20) - 1)))
    b.put(barrier.MbarrierExpectOp(made, b.value(i32), b.pick(16, 1024)))
    b.put(barrier.MbarrierArriveOp(made, b.value(i32), by=b.pick(*barrier.ARRIVALS)))
    b.put(barrier.MbarrierWaitOp(made, b.value(i32), b.value(i32)))


@generates(barrier.BulkCopyOp, place="tile.kernel")
def bulk_copy(b: Scope) -> None:
    source, target = b.value(BufferType.of(["T", 64], bf16)), b.value(SmemType.of([512], b.pick(bf16, f32)))
    at = offsets(b, 2) if b.flag() else [b.value(b.pick(i32, i64))]
    where = barriers(b), b.value(i32)
    options = {"at": b.pick(0, 16), "cache": b.pick(*CACHE_HINTS), "multicast": multicast(b)}
    b.put(barrier.BulkCopyOp(source, at, target, *where, b.pick(16, 512), **options))  # pyright: ignore


@generates(transfer.BulkStoreOp, transfer.BulkCommitOp, transfer.BulkWaitOp, place="tile.kernel")
def bulk_store(b: Scope) -> None:
    kind = b.pick(bf16, f32)
    source, target = b.value(SmemType.of([512], kind)), b.value(BufferType.of(["T", 64], kind))
    at = offsets(b, 2) if b.flag() else [b.value(b.pick(i32, i64))]
    b.put(transfer.BulkStoreOp(source, target, at, b.pick(16, 256), at=b.pick(0, 16)))
    b.put(transfer.BulkCommitOp())
    b.put(transfer.BulkWaitOp(b.number(0, 3), read=b.flag()))


@generates(tma.TmaLoadOp, tma.TmaCopyOp, tma.TmaStoreOp, place="tile.kernel")
def tensor_copies(b: Scope) -> None:
    kind, swizzle, rows = b.pick(bf16, f16), b.pick(0, 128), b.pick(8, 16, 64)
    buffer = b.value(BufferType.of(b.pick(["T", 128], [64, 128]), kind))
    args = b.block.args
    buffers = [a for a in args if isinstance(a.type, BufferType)]
    spec = TensorMap(buffers.index(buffer), (rows, 64), swizzle)  # pyright: ignore
    b.state.setdefault("maps", []).append(spec)
    tensor_map = b.block.insert_arg(map_type(spec, [a.type for a in buffers]), len(args))
    memory = SmemType.of([rows, 64], kind, MemLayout(MemLayout.row_major([rows, 64]).dims, (3, 3, 3) if swizzle else None))
    ring, shared = b.value(RingType.of(b.number(1, 3), memory)), b.value(memory)
    cache = b.pick(*CACHE_HINTS)
    b.put(tma.TmaLoadOp(tensor_map, offsets(b, 2), ring, b.value(i32), cache=cache))
    where = barriers(b), b.value(i32)
    b.put(tma.TmaCopyOp(tensor_map, offsets(b, 2), shared, *where, cache=cache, multicast=multicast(b)))
    b.put(tma.TmaStoreOp(shared, tensor_map, offsets(b, 2)))


@generates(cluster.RankOp, cluster.ElectOp, cluster.ClusterBarrierOp, place="tile.kernel")
def ranks(b: Scope) -> None:
    b.put(cluster.RankOp())
    b.put(cluster.ElectOp())
    b.put(cluster.ClusterBarrierOp())


@generates(cluster.PeerOp, place="tile.kernel")
def peer(b: Scope) -> None:
    kind = b.pick(SmemType.of([64], elem(b)), MbarriersType.of(2))
    memory = MAKERS[type(kind)](b, kind)
    made = b.put(cluster.PeerOp(memory, b.value(i32)))
    b.pool.remove(made)  # a peer has no peers


@generates(cluster.SplitReduceOp, place="tile.kernel")
def split_reduce(b: Scope) -> None:
    b.put(cluster.SplitReduceOp(fragment(b, f32, layout(b)), b.pick(*cluster.SCOPES), ordered=b.flag()))


@generates(dependency.AwaitOp, dependency.PublishOp, place="tile.kernel")
def dependencies(b: Scope) -> None:
    name, form = b.draw(texts), b.pick(*dependency.FORMS)
    if form == "counter":
        counters = b.value(BufferType.of(["T"], i32))
        b.put(dependency.AwaitOp(name, counters, b.value(i32), b.value(i32)))
        b.put(dependency.PublishOp(name, counters, b.value(i32)))
    else:
        b.put(dependency.AwaitOp(name, by=form))
        b.put(dependency.PublishOp(name, by=form))
