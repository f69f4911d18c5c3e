"""Asynchronous copies and the mbarriers that count them: `cp.async` in all its forms, and `mbarrier`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ...dialects.ptx.program import Immediate, Operand
from .addresses import Index, address_of, multicast, shared_offsets
from .asynchrony import Bulk
from .binder import DTYPES, Binder, Bound, nothing
from .decode import Instr
from .fault import Fault
from .tensor_ops import tensor_copy

Array = np.ndarray[Any, Any]


def _number(operand: Operand) -> int:
    if not isinstance(operand, Immediate):
        raise Fault(f"{operand} must be an immediate")
    return operand.value


def copy_async(b: Binder, instr: Instr) -> Bound:
    """Everything that begins with cp.async."""
    mods = instr.mods
    asynchrony = b.asynchrony
    if "tensor" in mods:
        return tensor_copy(b, instr)
    if "bulk" in mods:
        return _bulk(b, instr)
    if mods[1] == "commit_group":
        return b.indexed(instr, lambda index, slots: asynchrony.commit(slots))
    if mods[1] == "wait_group":
        pending = _number(instr.args[0])
        return b.indexed(instr, lambda index, slots: asynchrony.wait(slots, pending))
    if mods[1] == "wait_all":
        return b.indexed(instr, lambda index, slots: asynchrony.wait(slots, -1))
    if mods[1] == "mbarrier":
        raise Fault(
            f"the emulator does not have {instr.opcode}", fix="wait with cp.async.wait_group and arrive with mbarrier.arrive"
        )
    return _copy(b, instr)


def _copy(b: Binder, instr: Instr) -> Bound:
    target, source = address_of(b, instr.args[0]), address_of(b, instr.args[1])
    nbytes = _number(instr.args[2])
    hinted = "L2::cache_hint" in instr.mods
    extra = instr.args[3:-1] if hinted else instr.args[3:]
    given = b.source(extra[0], DTYPES["u32"]) if extra else None
    memory = b.ctx.memory

    def run(index: Index, slots: Array) -> None:
        to = shared_offsets(b, target(index), slots, nbytes)
        addresses = source(index)
        if given is None:
            count = None
            offsets = memory.locate(addresses, nbytes, nbytes)
        else:
            count = np.minimum(np.broadcast_to(given if len(given) == 1 else given[index], to.shape), nbytes).astype(np.int64)
            offsets = np.zeros(len(to), np.int64)
            whole = np.flatnonzero(count > 0)
            if len(whole):
                try:
                    offsets[whole] = memory.locate(addresses[whole], int(count[whole].min()), nbytes)
                    partial = whole[count[whole] < nbytes]
                    full = whole[count[whole] == nbytes]
                    if len(full) and len(partial):
                        memory.locate(addresses[full], nbytes, nbytes)
                except Fault as fault:
                    fault.thread = None if fault.thread is None else int(whole[fault.thread])
                    raise
        if memory.shadow is not None and given is None:
            memory.check_defined(offsets, nbytes)
        b.asynchrony.copy(slots, offsets, to, nbytes, count, instr.pc)

    return b.indexed(instr, run)


REDUCE_TYPES = {"u32": "u4", "s32": "i4", "u64": "u8", "f32": "f4", "f64": "f8", "f16": "f2"}


def _bulk(b: Binder, instr: Instr) -> Bound:
    mods, args, asynchrony, ctx = instr.mods, instr.args, b.asynchrony, b.ctx
    if "commit_group" in mods:
        return b.indexed(instr, lambda index, slots: asynchrony.store_commit(slots))
    if "wait_group" in mods:
        pending = _number(args[0])
        return b.indexed(instr, lambda index, slots: asynchrony.store_wait(slots, pending))
    if "prefetch" in mods:
        return nothing(b, instr)
    mask = b.source(args[4], DTYPES["u16"]) if "multicast::cluster" in mods else None
    is_store = "bulk_group" in mods
    if not is_store and "global" not in mods:
        raise Fault(f"the emulator does not have {instr.opcode}")
    target, source = address_of(b, args[0]), address_of(b, args[1])
    size = b.source(args[2], DTYPES["u32"])
    barrier = None if is_store else address_of(b, args[3])
    reduce = REDUCE_TYPES[instr.type] if instr.base == "cp" and "reduce" in mods else ""

    def run(index: Index, slots: Array) -> None:
        nbytes = np.broadcast_to(size if len(size) == 1 else size[index], slots.shape).astype(np.int64)
        if (nbytes & 15).any() or (nbytes <= 0).any():
            bad = int(np.flatnonzero((nbytes & 15) | (nbytes <= 0))[0])
            raise Fault(f"a bulk copy of {int(nbytes[bad])} bytes: a positive multiple of 16 is needed", bad)
        inner, outer = (source, target) if is_store else (target, source)
        shared_addresses = inner(index)
        near = shared_offsets(b, shared_addresses, slots, 16)
        shared_offsets(b, shared_addresses + (nbytes - 16).astype(np.uint64), slots, 16)
        addresses = outer(index)
        far = np.array(
            [int(ctx.memory.locate(addresses[i : i + 1], int(nbytes[i]), 16)[0]) for i in range(len(slots))], np.int64
        )
        if is_store:
            asynchrony.stores.append(Bulk(slots, near, far, nbytes, None, asynchrony.store_group[slots], instr.pc, reduce))
            return
        assert barrier is not None
        index8 = shared_offsets(b, barrier(index), slots, 8) >> 3
        asynchrony.check_exists(index8)
        bulk = Bulk(slots, far, near, nbytes, index8, None, instr.pc)
        if mask is not None:
            bulk = bulk.sent(*multicast(b, np.broadcast_to(mask if len(mask) == 1 else mask[index], slots.shape), slots))
            asynchrony.check_exists(bulk.barrier)  # pyright: ignore[reportArgumentType]
        asynchrony.loads.append(bulk)

    return b.indexed(instr, run)


def mbarrier(b: Binder, instr: Instr) -> Bound:
    mods, asynchrony = instr.mods, b.asynchrony
    form = instr.source.form
    has_result = bool(instr.source.results) if form is not None else mods[0] in ("arrive", "test_wait", "try_wait")
    args = instr.args[1:] if has_result else instr.args
    address = address_of(b, args[0])
    value = b.source(args[1], DTYPES["u32"]) if len(args) > 1 else np.array([1], np.uint32)

    def amount(index: Index, slots: Array) -> Array:
        return np.broadcast_to(value if len(value) == 1 else value[index], slots.shape).astype(np.int64)

    def place(index: Index, slots: Array) -> Array:
        return shared_offsets(b, address(index), slots, 8) >> 3

    def run(index: Index, slots: Array) -> None:
        where = place(index, slots)
        if mods[0] == "init":
            asynchrony.barrier_init(where, amount(index, slots))
        elif mods[0] == "inval":
            asynchrony.phase[where] = -1
        elif "expect_tx" in mods:
            asynchrony.expect(where, amount(index, slots))
            if mods[0] == "arrive":
                asynchrony.arrive(where, 1)
        elif mods[0] == "arrive":
            asynchrony.arrive(where, amount(index, slots))
        elif "parity" in mods:
            passes[index] = asynchrony.passed(where, amount(index, slots))
        else:
            raise Fault(f"the emulator does not have {instr.opcode}", fix="use the .parity form")

    passes = b.target(instr.args[0], DTYPES["pred"]) if mods[0] in ("test_wait", "try_wait") else np.empty(0, np.bool_)
    return b.indexed(instr, run)


COPY_OPS: dict[str, Callable[[Binder, Instr], Bound]] = {"cp": copy_async, "mbarrier": mbarrier}
