"""Loads, stores, atomics and what is said of memory, for all threads at once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import ml_dtypes
import numpy as np

from ...dialects.ptx.program import Address, Immediate, Operand, Symbol, Vector
from .addresses import RANK_SHIFT, SHARED_WINDOW, Index, address_of, resolve, space_of
from .binder import DTYPES, UNSIGNED_OF, Binder, Bound, nothing
from .decode import Instr
from .fault import Fault
from .tensor import PARAM_WINDOW

Array = np.ndarray[Any, Any]
WIDTHS = {f"{letter}{bits}": bits // 8 for letter in "busf" for bits in (8, 16, 32, 64)}


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
    "ld": load, "ldu": load, "st": store, "atom": atomic, "red": atomic,
    "fence": nothing, "membar": nothing, "prefetch": nothing, "griddepcontrol": nothing, "nanosleep": nothing, "setmaxnreg": nothing,
    "discard": nothing, "applypriority": nothing, "createpolicy": policy, "cvta": address_conversion, "mapa": address_conversion,
}  # fmt: skip
