"""cp.async.bulk.tensor: boxes of tensor maps, loaded on an mbarrier or stored in a bulk group."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...dialects.ptx.program import Register, TensorAddress
from .addresses import RANK_SHIFT, Index, address_of, multicast, shared_offsets
from .asynchrony import Bulk
from .binder import DTYPES, Binder, Bound
from .decode import Instr
from .fault import Fault
from .tensor import box_of, map_at

Array = np.ndarray[Any, Any]


def tensor_copy(b: Binder, instr: Instr) -> Bound:
    """One box for each thread that executes it."""
    if "prefetch" in instr.mods:
        return (lambda: None), (lambda mask: None)
    ctx, asynchrony, args = b.ctx, b.asynchrony, instr.args
    mask = b.source(args[3], DTYPES["u16"]) if "multicast::cluster" in instr.mods else None
    is_store = "bulk_group" in instr.mods
    place, shared = (args[0], args[1]) if is_store else (args[1], args[0])
    if not isinstance(place, TensorAddress) or not isinstance(place.map, Register):
        raise Fault(f"{instr.opcode} takes [map, {{coordinates}}] with the map's address in a register")
    maps = b.source(place.map, DTYPES["u64"])
    coordinates = [b.source(c, DTYPES["s32"]) for c in place.coordinates]
    address = address_of(b, shared)
    barrier = None if is_store else address_of(b, args[2])

    def run(index: Index, slots: Array) -> None:
        near = address(index)
        inner = near & np.uint64((1 << RANK_SHIFT) - 1)
        base = shared_offsets(b, near, slots, 16) - inner.view(np.int64)
        chosen = np.broadcast_to(maps if len(maps) == 1 else maps[index], slots.shape)
        at = [np.broadcast_to(c if len(c) == 1 else c[index], slots.shape) for c in coordinates]
        boxes = [
            box_of(ctx, map_at(ctx, int(chosen[i])), [int(c[i]) for c in at], int(inner[i]), int(base[i]))
            for i in range(len(slots))
        ]
        nbytes = np.array([box.nbytes for box in boxes], np.int64)
        shared_offsets(b, near + (nbytes - 16).astype(np.uint64), slots, 16)
        nothing = np.zeros(len(slots), np.int64)
        if is_store:
            group = asynchrony.store_group[slots]
            asynchrony.stores.append(Bulk(slots, nothing, nothing, nbytes, None, group, instr.pc, boxes=boxes))
            return
        assert barrier is not None
        where = shared_offsets(b, barrier(index), slots, 8) >> 3
        asynchrony.check_exists(where)
        bulk = Bulk(slots, nothing, nothing, nbytes, where, None, instr.pc, boxes=boxes)
        if mask is not None:
            bulk = bulk.sent(*multicast(b, np.broadcast_to(mask if len(mask) == 1 else mask[index], slots.shape), slots))
            asynchrony.check_exists(bulk.barrier)  # pyright: ignore[reportArgumentType]
        asynchrony.loads.append(bulk)

    return b.indexed(instr, run)
