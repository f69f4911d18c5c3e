"""Loads, stores, atomics, asynchronous copies and mbarriers, for all threads at once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import ml_dtypes
import numpy as np

from ...dialects.ptx.program import Address, Immediate, Operand, Register, Symbol, Vector
from .bind import DTYPES, UNSIGNED_OF, Binder, Bound
from .decode import Instr
from .fault import Fault
from .memory import BASE
from .tensor import PARAM_WINDOW

Array = np.ndarray[Any, Any]
Index = Array | slice
SHARED_WINDOW = 1 << 56
"""Where shared memory stands among generic addresses."""
RANK_SHIFT = 24
"""A shared::cluster address of another CTA is (rank + 1) << 24 | its address there."""
WIDTHS = {f"{letter}{bits}": bits // 8 for letter in "busf" for bits in (8, 16, 32, 64)}


def space_of(instr: Instr) -> str:
    """global, shared, param, or generic."""
    for mod in instr.mods:
        if mod in ("global", "param"):
            return mod
        if mod.startswith("shared"):
            return "shared"
        if mod in ("local", "const"):
            raise Fault(f"the emulator has no .{mod} memory")
    return "generic"


def address_of(b: Binder, operand: Operand) -> Callable[[Index], Array]:
    """A function from the active index to their addresses (uint64)."""
    if not isinstance(operand, Address):
        raise Fault(f"{operand} is no address")
    offset = np.uint64(operand.offset & 0xFFFF_FFFF_FFFF_FFFF)
    match operand.base:
        case Register():
            base = b.storage(operand.base)
            if base.dtype == np.uint32:
                narrow = np.uint32(operand.offset & 0xFFFF_FFFF)
                return lambda index: (base[index] + narrow).astype(np.uint64)
            return (lambda index: base[index] + offset) if operand.offset else (lambda index: base[index])
        case Symbol():
            if operand.base.name not in b.ctx.kernel.symbols:
                raise Fault(f"{operand.base.name} is no shared array of this kernel")
            fixed = b.ctx.kernel.symbols[operand.base.name] + operand.offset
        case _:
            fixed = operand.offset
    whole = np.full(b.count, fixed, np.uint64)
    return lambda index: whole[index]


def shared_offsets(b: Binder, addresses: Array, slots: Array, width: int) -> Array:
    """Offsets into the batch's shared memory, each good for an aligned access of `width` bytes."""
    size = b.ctx.smem_size
    base = b.ctx.smem_base[slots]
    if int(addresses.max()) >> RANK_SHIFT:
        base, addresses = _in_cluster(b, addresses, slots)
    if int(addresses.max()) + width > size:
        bad = int(np.flatnonzero(addresses + np.uint64(width) > size)[0])
        raise Fault(f"shared address {int(addresses[bad])} ({width} bytes) is outside the CTA's {size} bytes", bad)
    if width > 1 and int(np.bitwise_or.reduce(addresses)) & (width - 1):
        bad = int(np.flatnonzero(addresses & np.uint64(width - 1))[0])
        raise Fault(f"misaligned shared address {int(addresses[bad])}: a multiple of {width} is needed", bad)
    return addresses.view(np.int64) + base


def _in_cluster(b: Binder, addresses: Array, slots: Array) -> tuple[Array, Array]:
    """(where the memory of the CTA begins, addresses in it) of addresses in the window of the cluster."""
    rank = (addresses >> np.uint64(RANK_SHIFT)).astype(np.int64) - 1
    if int(rank.max()) >= b.ctx.cluster:
        bad = int(np.flatnonzero(rank >= b.ctx.cluster)[0])
        raise Fault(f"shared address of rank {int(rank[bad])} in a cluster of {b.ctx.cluster}", bad)
    base = np.where(rank < 0, b.ctx.smem_base[slots], b.ctx.cluster_base[slots] + rank * b.ctx.smem_stride)
    return base, addresses & np.uint64((1 << RANK_SHIFT) - 1)


def multicast(b: Binder, mask: Array, slots: Array) -> tuple[Array, Array]:
    """(index of the active thread, bytes from its CTA's shared memory to the receiver's) of every copy of a multicast."""
    ranks = [np.flatnonzero((int(m) >> np.arange(16)) & 1) for m in mask]
    if any(len(r) == 0 or r[-1] >= b.ctx.cluster for r in ranks):
        bad = next(i for i, r in enumerate(ranks) if len(r) == 0 or r[-1] >= b.ctx.cluster)
        raise Fault(f"the multicast mask {int(mask[bad]):#x} in a cluster of {b.ctx.cluster}", bad)
    rows = np.repeat(np.arange(len(slots)), [len(r) for r in ranks])
    moved = b.ctx.cluster_base[slots][rows] + np.concatenate(ranks) * b.ctx.smem_stride - b.ctx.smem_base[slots][rows]
    return rows, moved.astype(np.int64)


def resolve(
    b: Binder, space: str, addresses: Array, slots: Array, width: int
) -> tuple[dict[int, Array], Array, Array | None, bool]:
    """(views by access width, byte offsets, shadow, is shared) of an access."""
    if space == "generic":
        space = "shared" if int(addresses[0]) >= SHARED_WINDOW else "global"
        if space == "shared":
            addresses = addresses - np.uint64(SHARED_WINDOW)
    if space == "shared":
        return b.ctx.shared, shared_offsets(b, addresses, slots, width), b.ctx.shared_shadow, True
    return b.ctx.memory.views, b.ctx.memory.locate(addresses, width, width), b.ctx.memory.shadow, False


def _check_shadow(shadow: Array, offsets: Array, width: int, shared: bool) -> None:
    for byte in range(width):
        if not shadow[offsets + byte].all():
            bad = int(np.flatnonzero(shadow[offsets + byte] == 0)[0])
            raise Fault(
                f"reads {'shared' if shared else 'global'} memory that nobody has written (byte {byte} of {width})", bad
            )


def _items(operand: Operand) -> tuple[Operand, ...]:
    return operand.items if isinstance(operand, Vector) else (operand,)


def load(b: Binder, instr: Instr) -> Bound:
    space = space_of(instr)
    size = WIDTHS[instr.type]
    targets = _items(instr.args[0])
    signed = instr.type[0] == "s"
    dtype = np.dtype(f"{'i' if signed else 'u'}{size}")
    places = [b.target(t, dtype) for t in targets]
    if space == "param":
        return _load_param(b, instr, places, dtype)
    address = address_of(b, instr.args[1])
    width = size * len(targets)
    if width > 16:
        raise Fault("loads of more than 16 bytes need sm_100")
    shift = width.bit_length() - 1

    def run(index: Index, slots: Array) -> None:
        views, offsets, shadow, shared = resolve(b, space, address(index), slots, width)
        if shadow is not None:
            _check_shadow(shadow, offsets, width, shared)
        if shared and b.ctx.races is not None:
            b.ctx.races.read(offsets, width, slots)
        raw = views[width][offsets >> shift]
        if len(places) == 1:
            places[0][index] = raw.view(dtype)
            return
        parts = raw.view(dtype).reshape(-1, len(places))
        for i, place in enumerate(places):
            place[index] = parts[:, i]

    return b.indexed(instr, run)


def _load_param(b: Binder, instr: Instr, places: list[Array], dtype: np.dtype[Any]) -> Bound:
    address = instr.args[1]
    if not isinstance(address, Address) or not isinstance(address.base, Symbol):
        raise Fault("parameters are read by name")
    name = address.base.name
    offset = next((p.offset for p in b.ctx.kernel.params if p.name == name), None)
    if offset is None:
        raise Fault(f"the kernel has no parameter {name}")
    offset += address.offset
    parts = [b.ctx.param_bytes[offset + i * dtype.itemsize :][: dtype.itemsize].view(dtype) for i in range(len(places))]
    return b.assign(lambda: parts[0] if len(parts) == 1 else parts, [], places)


def store(b: Binder, instr: Instr) -> Bound:
    space = space_of(instr)
    size = WIDTHS[instr.type]
    dtype = UNSIGNED_OF[size]
    values = [
        b.source(v, np.dtype(f"f{size}") if isinstance(v, Immediate) and v.float_width else dtype)
        for v in _items(instr.args[1])
    ]
    values = [v.view(dtype) if v.dtype != dtype and v.dtype.itemsize == size else v for v in values]
    address = address_of(b, instr.args[0])
    width = size * len(values)
    if width > 16:
        raise Fault("stores of more than 16 bytes need sm_100")
    shift = width.bit_length() - 1
    asynchrony = b.asynchrony

    def run(index: Index, slots: Array) -> None:
        views, offsets, shadow, shared = resolve(b, space, address(index), slots, width)
        asynchrony.changes += 1
        if shared and b.ctx.races is not None:
            b.ctx.races.write(offsets, width, slots)
        if shadow is not None:
            for byte in range(width):
                shadow[offsets + byte] = 1
        if len(values) == 1:
            value = values[0]
            views[width][offsets >> shift] = value if len(value) == 1 else value[index]
            return
        raw = np.empty((len(offsets), len(values)), dtype)
        for i, value in enumerate(values):
            raw[:, i] = value if len(value) == 1 else value[index]
        views[width][offsets >> shift] = raw.view(views[width].dtype)[:, 0]

    return b.indexed(instr, run)


# -- atomics ---------------------------------------------------------------------------------------------------------------------------

BF16 = np.dtype(ml_dtypes.bfloat16)
ATOMIC_TYPES = DTYPES | {"bf16": BF16, "f16x2": np.dtype(np.float16), "bf16x2": BF16}


def _increment(old: Array, top: Array) -> Array:
    return np.where(old >= top, old.dtype.type(0), old + old.dtype.type(1))


def _decrement(old: Array, top: Array) -> Array:
    return np.where((old == 0) | (old > top), top, old - old.dtype.type(1))


COMBINE: dict[str, Callable[[Array, Array], Array] | Callable[[Array, Array, Array], Array]] = {
    "add": np.add, "min": np.minimum, "max": np.maximum, "and": np.bitwise_and, "or": np.bitwise_or, "xor": np.bitwise_xor,
    "exch": lambda old, new: new,
    "inc": _increment,
    "dec": _decrement,
    "cas": lambda old, compare, new: np.where(old == compare, new, old),
}  # fmt: skip


def atomic(b: Binder, instr: Instr) -> Bound:
    """atom and red: sequential in thread order where addresses coincide."""
    space = space_of(instr)
    operation = next(m for m in instr.mods if m in COMBINE)
    dtype = ATOMIC_TYPES[instr.type]
    returns = instr.base == "atom"
    pointer = instr.args[1 if returns else 0]
    operands = instr.args[2 if returns else 1 :]
    packed = 2 if instr.type.endswith("x2") else 1
    lanes = [item for v in operands for item in _items(v)]
    vector = len(lanes) if isinstance(operands[0], Vector) else 1
    if packed > 1 or vector > 1:
        if returns:
            raise Fault(f"the emulator does not have {instr.opcode}; red does the same without a result")
        return _vector_red(b, instr, space, address_of(b, pointer), lanes, dtype, packed)
    values = [b.source(v, dtype if dtype != BF16 else np.dtype(np.uint16)).view(dtype) for v in operands]
    target = b.target(instr.args[0], UNSIGNED_OF[dtype.itemsize]) if returns else None
    address = address_of(b, pointer)
    width = dtype.itemsize
    shift = width.bit_length() - 1
    combine = COMBINE[operation]
    asynchrony = b.asynchrony

    def run(index: Index, slots: Array) -> None:
        views, offsets, shadow, shared = resolve(b, space, address(index), slots, width)
        if shadow is not None:
            _check_shadow(shadow, offsets, width, shared)
        asynchrony.changes += 1
        memory = views[width].view(dtype)
        where = offsets >> shift
        given = [v if len(v) == 1 else v[index] for v in values]
        if target is None and operation == "add" and dtype != BF16:
            np.add.at(memory, where, given[0])
            return
        if len(where) == 1 or len(np.unique(where)) == len(where):
            old = memory[where]
            memory[where] = combine(old, *given)
        else:
            given = [np.broadcast_to(v, where.shape) for v in given]
            old = np.empty(len(where), dtype)
            for i, place in enumerate(where.tolist()):
                old[i] = memory[place]
                memory[place] = combine(old[i : i + 1], *(v[i : i + 1] for v in given))[0]
        if target is not None:
            target[index] = old.view(UNSIGNED_OF[width])

    return b.indexed(instr, run)


def _vector_red(
    b: Binder,
    instr: Instr,
    space: str,
    address: Callable[[Index], Array],
    lanes: list[Operand],
    dtype: np.dtype[Any],
    packed: int,
) -> Bound:
    """red.add of packed halves or of a vector of floats."""
    width = dtype.itemsize * packed * len(lanes)
    values = [b.source(v, UNSIGNED_OF[dtype.itemsize * packed]) for v in lanes]
    step = dtype.itemsize * packed

    def run(index: Index, slots: Array) -> None:
        views, offsets, _, _ = resolve(b, space, address(index), slots, width)
        b.asynchrony.changes += 1
        memory = views[step].view(dtype)
        for i, value in enumerate(values):
            parts = (
                np.ascontiguousarray(np.broadcast_to(value[index] if len(value) > 1 else value, offsets.shape))
                .view(dtype)
                .reshape(-1, packed)
            )
            for half in range(packed):
                places = (offsets + i * step) // dtype.itemsize + half
                for place, term in zip(places.tolist(), parts[:, half], strict=True):
                    memory[place] = memory[place] + term

    return b.indexed(instr, run)


# -- asynchronous copies and mbarriers -------------------------------------------------------------------------------------------------


def _number(operand: Operand) -> int:
    if not isinstance(operand, Immediate):
        raise Fault(f"{operand} must be an immediate")
    return operand.value


def copy_async(b: Binder, instr: Instr) -> Bound:
    """Everything that begins with cp.async."""
    mods = instr.mods
    asynchrony = b.asynchrony
    if "tensor" in mods:
        from .tensor_ops import tensor_copy

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
    from .asynchrony import Bulk

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


def nothing(b: Binder, instr: Instr) -> Bound:
    """Fences, prefetches and hints: order is program order here."""
    return (lambda: None), (lambda mask: None)


def policy(b: Binder, instr: Instr) -> Bound:
    return b.assign(lambda: np.zeros(1, np.uint64), [], [b.target(instr.args[0], DTYPES["u64"])])


def address_conversion(b: Binder, instr: Instr) -> Bound:
    """cvta and mapa: shared addresses and parameters move into windows of the generic ones, a peer's shared addresses into that of
    the cluster."""
    target, source = instr.args[0], instr.args[1]
    dtype = DTYPES[instr.type]
    shared = any(m.startswith("shared") for m in instr.mods)
    place, value = b.target(target, dtype), b.source(source, dtype)
    if instr.base == "mapa":
        rank, low = b.source(instr.args[2], DTYPES["u32"]), dtype.type((1 << RANK_SHIFT) - 1)
        up = dtype.type(RANK_SHIFT)
        return b.assign(lambda v, r: (r.astype(dtype) + dtype.type(1) << up) | (v & low), [value, rank], [place])
    if not (shared or "param" in instr.mods) or dtype.itemsize == 4:
        return b.assign(lambda v: v, [value], [place])
    window = np.uint64(PARAM_WINDOW if "param" in instr.mods else SHARED_WINDOW)
    return b.assign((lambda v: v - window) if "to" in instr.mods else (lambda v: v + window), [value], [place])


MEMORY_OPS: dict[str, Callable[[Binder, Instr], Bound]] = {
    "ld": load, "ldu": load, "st": store, "atom": atomic, "red": atomic, "cp": copy_async, "mbarrier": mbarrier,
    "fence": nothing, "membar": nothing, "prefetch": nothing, "griddepcontrol": nothing, "nanosleep": nothing, "setmaxnreg": nothing,
    "discard": nothing, "applypriority": nothing, "createpolicy": policy, "cvta": address_conversion, "mapa": address_conversion,
}  # fmt: skip
assert BASE < SHARED_WINDOW
