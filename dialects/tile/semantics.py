"""What `tile` means in numpy: one CTA after the other, fragments and shared memory in logical coordinates.

A buffer is its storage: a flat array in memory order (`storage_of` packs, `tensor_in` unpacks). Shared memory starts as
poison (NaN, or the most negative integer); asynchronous copies land only when they are waited for; roles are threads
that meet in rings.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from itertools import product
from typing import Any, cast

import numpy as np
from xdsl.dialects.builtin import ModuleOp, f32
from xdsl.ir import Operation, Region, SSAValue

from ..ir import builtin_semantics
from ..ir.interpret import Fn, Frame, Interpreter, Observer, Options
from ..ir.numeric import dtype_of, rounded, widen
from ..layout import expressions
from ..layout.mem import MemLayout
from ..layout.types import BufferType
from . import ops
from .machine import Cluster, Cta, MappedBuffer, Memory, Values, cta_of, new_smem, poison, runners_of, scalar_offset
from .semantics_async import SEMANTICS as ASYNCHRONOUS
from .semantics_cluster import SEMANTICS as CLUSTERS
from .types import SmemType, frag_of


# memory -----------------------------------------------------------------------------------------
def _access(
    op: Any,
    memory: Memory,
    offsets: Sequence[SSAValue],
    shape: tuple[int, ...],
    frame: Frame,
) -> tuple[list[np.ndarray], Any]:
    """Coordinates of every element of a tile in memory, and which may be touched."""
    rank = len(shape)
    gather = op.gather_map()
    coords: list[np.ndarray] = []
    for axis, (offset, extent) in enumerate(zip(offsets, shape, strict=True)):
        start = int(frame.get(offset))
        if axis in gather:
            coords.append(start + np.asarray(frame.get(gather[axis])).astype(np.int64))
        else:
            line = [extent if a == axis else 1 for a in range(rank)]
            coords.append(start + np.arange(extent, dtype=np.int64).reshape(line))
    mask: Any = True
    for axis, bound in op.bound_map(rank).items():
        limit = int(frame.get(bound)) if bound is not None else memory.shape[axis]
        mask = mask & (coords[axis] < limit)
    return coords, mask


def _read(
    op: Any, memory: Memory, offsets: Sequence[SSAValue], shape: tuple[int, ...], other: float, frame: Frame
) -> np.ndarray:
    coords, mask = _access(op, memory, offsets, shape, frame)
    at = memory.offsets(coords, mask)
    values = memory.data[at]
    if mask is not True:
        values = np.where(mask, values, np.asarray(other).astype(values.dtype))
    return np.array(np.broadcast_to(values, shape))


def _load(op: Operation, args: Values, frame: Frame) -> Values:
    load = cast(ops.LoadOp, op)
    value = _read(load, args[0], load.offsets, load.frag.shape, load.other_value, frame)
    return (rounded(value, load.frag.element_type, frame.options),)


def _store(op: Operation, args: Values, frame: Frame) -> Values:
    store = cast(ops.StoreOp, op)
    memory: Memory = args[1]
    shape = store.frag.shape
    coords, mask = _access(store, memory, store.offsets, shape, frame)
    at = np.broadcast_to(memory.offsets(coords, mask), shape)
    keep = np.broadcast_to(mask, shape)
    memory.data[at[keep]] = rounded(args[0], store.frag.element_type, Options()).astype(memory.data.dtype)[keep]
    return ()


def _load_scalar(op: Operation, args: Values, frame: Frame) -> Values:
    memory: Memory = args[0]
    return (rounded(memory.data[scalar_offset(memory, args[1:])], op.results[0].type, frame.options),)


def _store_scalar(op: Operation, args: Values, frame: Frame) -> Values:
    memory: Memory = args[1]
    memory.data[scalar_offset(memory, args[2:])] = np.asarray(args[0]).astype(memory.data.dtype)
    return ()


def _atomic_add(op: Operation, args: Values, frame: Frame) -> Values:
    memory: Memory = args[1]
    at = scalar_offset(memory, args[2:])
    old = memory.data[at].copy()
    memory.data[at] = old + np.asarray(args[0]).astype(memory.data.dtype)
    return (np.asarray(old),)


def _alloc(op: Operation, args: Values, frame: Frame) -> Values:
    made = new_smem(cast(SmemType, op.results[0].type), f"shared memory %{op.results[0].name_hint or 'alloc'}")
    cta_of(frame).made[op] = made
    return (made,)


def _stage(op: Operation, args: Values, frame: Frame) -> Values:
    memory: Memory = args[0]
    index = int(args[1])
    if not 0 <= index < memory.shape[0]:
        raise IndexError(f"{memory.name}: stage {index} of {memory.shape[0]}")
    start = index * memory.layout.dims[0][0][1]
    type_ = cast(SmemType, op.results[0].type)
    return (Memory(memory.data[start:], type_.layout, type_.shape, memory.name),)


def _view(op: Operation, args: Values, frame: Frame) -> Values:
    memory: Memory = args[0]
    type_ = cast(SmemType, op.results[0].type)
    start = cast(ops.ViewOp, op).offset.value.data
    raw = memory.data.view(np.uint8)[start : start + type_.num_bytes]
    return (Memory(raw.view(dtype_of(type_.element_type)), type_.layout, type_.shape, memory.name),)


def _cp_async(op: Operation, args: Values, frame: Frame) -> Values:
    copy = cast(ops.CpAsyncOp, op)
    source, target = cast(Memory, frame.get(copy.src)), cast(Memory, frame.get(copy.dst))
    shape = copy.tv.data.shape
    values = _read(copy, source, copy.src_offsets, shape, 0.0, frame)
    inner = shape[len(shape) - len(target.shape) :]
    starts = [int(frame.get(o)) for o in copy.dst_offsets]
    coords = [
        start + np.arange(extent, dtype=np.int64).reshape([extent if a == axis else 1 for a in range(len(inner))])
        for axis, (start, extent) in enumerate(zip(starts, inner, strict=True))
    ]
    at = np.broadcast_to(target.offsets(coords), inner)

    def land() -> None:
        target.data[at] = values.reshape(inner)

    cta_of(frame).groups[-1].append(land)
    return ()


def _commit(op: Operation, args: Values, frame: Frame) -> Values:
    cta_of(frame).groups.append([])
    return ()


def _wait(op: Operation, args: Values, frame: Frame) -> Values:
    groups = cta_of(frame).groups
    pending = cast(ops.CpAsyncWaitOp, op).pending.value.data
    while len(groups) - 1 > pending:
        for land in groups.pop(0):
            land()
    return ()


# fragments --------------------------------------------------------------------------------------
def _map(op: Operation, args: Values, frame: Frame) -> Values:
    mapped = cast(ops.MapOp, op)
    yielded = frame.run_region(mapped.body, args)
    shape = mapped.tv.shape
    return tuple(
        np.array(np.broadcast_to(rounded(v, frag_of(o).element_type, frame.options), shape))
        for v, o in zip(yielded, mapped.outputs, strict=True)
    )


def _iota(op: Operation, args: Values, frame: Frame) -> Values:
    frag = frag_of(op.results[0])
    axis = cast(ops.IotaOp, op).axis.value.data
    line = np.arange(frag.shape[axis], dtype=np.int32).reshape([-1 if a == axis else 1 for a in range(frag.rank)])
    return (np.array(np.broadcast_to(line, frag.shape)),)


_REDUCE: dict[str, Any] = {
    "add": np.add,
    "mul": np.multiply,
    "max": np.maximum,
    "min": np.minimum,
    "and": np.bitwise_and,
    "or": np.bitwise_or,
}


def _reduce(op: Operation, args: Values, frame: Frame) -> Values:
    reduce = cast(ops.ReduceOp, op)
    value = widen(args[0], frame.options)
    result = _REDUCE[reduce.kind.data].reduce(value, axis=reduce.axis.value.data, keepdims=True)
    return (rounded(result, frag_of(op.results[0]).element_type, frame.options),)


def _mma(op: Operation, args: Values, frame: Frame) -> Values:
    a, b, c = args
    elem = frag_of(op.results[0]).element_type
    if np.asarray(a).dtype.kind in "iu":
        return ((c.astype(np.int64) + a.astype(np.int64) @ np.swapaxes(b.astype(np.int64), -1, -2)).astype(c.dtype),)
    wide = [widen(x, frame.options) for x in (a, b, c)]
    return (rounded(wide[2] + wide[0] @ np.swapaxes(wide[1], -1, -2), elem, frame.options),)


def _wgmma(op: Operation, args: Values, frame: Frame) -> Values:
    a, memory, c = args
    wgmma = cast(ops.WgmmaOp, op)
    if isinstance(a, Memory):
        a = a.data[a.layout.all_offsets(cast(SmemType, wgmma.a.type).shape)]
    shape = cast(SmemType, wgmma.b.type).shape
    b = memory.data[memory.layout.all_offsets(shape)][:, wgmma.first : wgmma.first + a.shape[1]]
    wide = [widen(x, frame.options) for x in (a, b, c)]
    return (rounded(wide[2] + wide[0] @ wide[1].T, f32, frame.options),)


def _same(op: Operation, args: Values, frame: Frame) -> Values:
    return (args[0],)


def _relabel(op: Operation, args: Values, frame: Frame) -> Values:
    source, target = frag_of(op.operands[0]).tv, frag_of(op.results[0]).tv
    value = np.asarray(args[0])
    read = (
        value[tuple(np.moveaxis(source.all_coords(), -1, 0))]
        if source.rank
        else np.broadcast_to(value, source.all_coords().shape[:-1])
    )
    result = poison(int(np.prod(target.shape)), value.dtype).reshape(target.shape)
    if target.rank:
        result[tuple(np.moveaxis(target.all_coords(), -1, 0))] = read
    else:
        result[...] = read.reshape(-1)[0]
    return (result,)


def _slice(op: Operation, args: Values, frame: Frame) -> Values:
    piece = cast(ops.SliceOp, op)
    start, size = piece.start.value.data, piece.size.value.data
    index = [slice(None)] * frag_of(piece.value).rank
    index[piece.axis.value.data] = slice(start, start + size)
    return (args[0][tuple(index)],)


def _concat(op: Operation, args: Values, frame: Frame) -> Values:
    return (np.concatenate(args, axis=cast(ops.ConcatOp, op).axis.value.data),)


def _broadcast(op: Operation, args: Values, frame: Frame) -> Values:
    return (np.array(np.broadcast_to(args[0], frag_of(op.results[0]).shape)),)


def _full(op: Operation, args: Values, frame: Frame) -> Values:
    frag = frag_of(op.results[0])
    value = cast(ops.FullOp, op).value.value.data
    return (rounded(np.full(frag.shape, value), frag.element_type, frame.options),)


def _splat(op: Operation, args: Values, frame: Frame) -> Values:
    return (np.array(np.broadcast_to(np.asarray(args[0]), frag_of(op.results[0]).shape)),)


def _extract(op: Operation, args: Values, frame: Frame) -> Values:
    return (np.asarray(args[0][cast(ops.ExtractOp, op).at]),)


def _unpack(op: Operation, args: Values, frame: Frame) -> Values:
    return (rounded(np.asarray(args[0]).astype(np.float32), frag_of(op.results[0]).element_type, frame.options),)


# roles --------------------------------------------------------------------------------------------
def _roles(op: Operation, args: Values, frame: Frame) -> Values:
    roles = cast(ops.RolesOp, op)

    def run(region: Region, warps: int) -> None:
        cta = cta_of(frame)
        cta.role.warps = warps
        frame.run_region(region, ())
        cta.land_stores()

    runners_of(frame).side_by_side([partial(run, r, w) for r, w in zip(roles.roles, roles.warp_counts, strict=True)])
    return ()


def _task(op: Operation, args: Values, frame: Frame) -> Values:
    return tuple(np.asarray(v, np.int32) for v in cta_of(frame).task)


def _nothing(op: Operation, args: Values, frame: Frame) -> Values:
    return ()


def _true(op: Operation, args: Values, frame: Frame) -> Values:
    return (np.asarray(True),)


SEMANTICS: dict[type[Operation], Fn] = {
    ops.TaskOp: _task,
    ops.RolesOp: _roles,
    ops.BarrierOp: _nothing,
    ops.AsyncFenceOp: _nothing,
    ops.FenceOp: _nothing,
    ops.IsThreadOp: _true,
    ops.AllocOp: _alloc,
    ops.StageOp: _stage,
    ops.ViewOp: _view,
    ops.LoadOp: _load,
    ops.StoreOp: _store,
    ops.LoadScalarOp: _load_scalar,
    ops.StoreScalarOp: _store_scalar,
    ops.AtomicAddOp: _atomic_add,
    ops.CpAsyncOp: _cp_async,
    ops.CpAsyncCommitOp: _commit,
    ops.CpAsyncWaitOp: _wait,
    ops.MapOp: _map,
    ops.IotaOp: _iota,
    ops.ReduceOp: _reduce,
    ops.MmaOp: _mma,
    ops.RelayoutOp: _same,
    ops.PrefetchOp: lambda op, args, frame: (),
    ops.WgmmaBeginOp: _same,
    ops.WgmmaOp: _wgmma,
    ops.WgmmaWaitOp: _same,
    ops.RelabelOp: _relabel,
    ops.SliceOp: _slice,
    ops.ConcatOp: _concat,
    ops.BroadcastOp: _broadcast,
    ops.FullOp: _full,
    ops.SplatOp: _splat,
    ops.ExtractOp: _extract,
    ops.UnpackOp: _unpack,
}


# whole kernels ----------------------------------------------------------------------------------
def storage_of(array: np.ndarray, layout: MemLayout) -> np.ndarray:
    """A logical array as the flat storage that a buffer of `layout` has (padding is zero)."""
    offsets = layout.all_offsets(array.shape)
    extents = [max(a, b) for a, b in zip(array.shape, layout.shape, strict=True)]
    flat = np.zeros(max(layout.size(extents), 1) if array.ndim else 1, array.dtype)
    flat[offsets] = array
    return flat


def tensor_in(flat: np.ndarray, layout: MemLayout, shape: Sequence[int]) -> np.ndarray:
    """The logical array in a buffer's flat storage."""
    return flat[layout.all_offsets(tuple(shape))]


def run_kernel(
    op: ops.KernelOp,
    buffers: Sequence[np.ndarray],
    sizes: Mapping[str, int],
    *,
    grid: tuple[int, int, int] | None = None,
    options: Options | None = None,
    observer: Observer | None = None,
    plugins: Mapping[type[Operation], Fn] | None = None,
) -> None:
    """Runs every task of a kernel on flat storage arrays, in place; tasks run in grid order, x fastest.

    A row-major buffer may also be given as its (contiguous) logical array. `observer` sees every op that runs. `plugins`: what ops of
    plugins mean.
    """
    module = op.parent_op()
    interp = Interpreter(
        module if isinstance(module, ModuleOp) else ModuleOp([]),
        dict(plugins or {}) | builtin_semantics.SEMANTICS | SEMANTICS | ASYNCHRONOUS | CLUSTERS,
        options or Options(),
        observer=observer,
    )
    memories: list[Any] = []
    for argument, data in zip(op.buffers, buffers, strict=True):
        type_ = argument.type
        assert isinstance(type_, BufferType)
        flat = data if data.ndim == 1 else data.reshape(-1)
        if not np.shares_memory(flat, data) and data.size:
            raise ValueError(f"buffer {argument.name_hint}: give a contiguous array")
        memories.append(Memory(flat, type_.layout, type_.extents(sizes), f"buffer %{argument.name_hint}"))
    maps = [MappedBuffer(memories[m.buffer], m.box, m.swizzle) for m in op.tensor_maps]
    scalars = [np.asarray(sizes[name.data], np.int32) for name in op.sizes.data]
    if grid is None:
        x, y, z = (expressions.evaluate(g.data, sizes) for g in op.grid.data)
        grid = (x, y, z)
    together = op.cluster_size
    if grid[0] % together:
        raise ValueError(f"a grid of {grid[0]} CTAs along x is no multiple of the cluster of {together}")
    for task_z, task_y, first in product(range(grid[2]), range(grid[1]), range(0, grid[0], together)):
        cluster = Cluster()
        cluster.ctas = [Cta((first + rank, task_y, task_z), op.num_warps, cluster=cluster) for rank in range(together)]

        def run(cta: Cta) -> None:
            frame = Frame(interp, dict(sizes))
            frame.data["tile.cta"] = cta
            frame.run_block(op.block, (*memories, *maps, *scalars))
            cta.land_stores()

        if together == 1:
            run(cluster.ctas[0])
        else:
            cluster.runners.side_by_side([partial(run, cta) for cta in cluster.ctas])


__all__ = ["SEMANTICS", "Memory", "run_kernel", "storage_of", "tensor_in"]
