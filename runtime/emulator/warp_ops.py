"""Instructions that the lanes of a warp execute together: shuffles, votes, ldmatrix and mma, for all warps at once.

A register of the range is `[warps, 32]`. Fragment layouts: PTX ISA, "Matrix Fragments for mma.m16n8k*" and "ldmatrix".
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import ml_dtypes
import numpy as np

from ...dialects.ptx.program import Immediate, Operand, Pair, Register, Vector
from .addresses import address_of, shared_offsets
from .binder import DTYPES, Binder, Bound
from .decode import Instr
from .fault import Fault

Array = np.ndarray[Any, Any]
U32 = np.dtype(np.uint32)
LANES = np.arange(32)


def warp_wide(function: Callable[[Array | None], Any], targets: list[Array]) -> Bound:
    """Closures for `targets = function(active)`; active None means every lane."""

    def results(active: Array | None) -> Any:
        values = function(active)
        return (values,) if len(targets) == 1 else values

    def fast() -> None:
        for target, value in zip(targets, results(None), strict=True):
            np.copyto(target, value)

    def slow(mask: Array) -> None:
        for target, value in zip(targets, results(mask), strict=True):
            np.copyto(target, value, where=mask)

    return fast, slow


def _results(operand: Operand) -> tuple[Operand, ...]:
    return (operand.first, operand.second) if isinstance(operand, Pair) else (operand,)


def shuffle(b: Binder, instr: Instr) -> Bound:
    """shfl.sync.{idx,up,down,bfly}.b32 d|p, a, b, c, membermask"""
    mode = next(m for m in instr.mods if m in ("idx", "up", "down", "bfly"))
    places = _results(instr.args[0])
    value = b.source(instr.args[1], U32)
    by, clamp = instr.args[2], instr.args[3]
    lane = np.arange(b.count) % 32

    def lanes(distance: Array, control: Array) -> tuple[Array, Array]:
        segment = (control >> 8) & 31
        top = control & 31
        low = lane & segment
        high = low | (top & ~segment)
        if mode == "idx":
            source = low | (distance & 31 & ~segment)
            valid = source <= high
        elif mode == "up":
            source = lane - (distance & 31)
            valid = source >= high
        else:
            source = lane + (distance & 31) if mode == "down" else lane ^ (distance & 31)
            valid = source <= high
        return np.where(valid, source, lane), valid

    base = np.arange(b.count) - lane
    targets = [b.target(p, U32 if i == 0 else DTYPES["pred"]) for i, p in enumerate(places)]
    if isinstance(by, Immediate) and isinstance(clamp, Immediate):
        source, valid = lanes(np.array(by.value), np.array(clamp.value))
        index = base + source
        return warp_wide(lambda active: value[index] if len(targets) == 1 else (value[index], valid), targets)
    distance, control = b.source(by, DTYPES["s32"]), b.source(clamp, DTYPES["s32"])

    def run(active: Array | None) -> Any:
        source, valid = lanes(distance, control)
        moved = value[base + source]
        return moved if len(targets) == 1 else (moved, valid)

    return warp_wide(run, targets)


def _ballot(b: Binder, bits: Array) -> Array:
    """Per lane, the bits of its warp."""
    packed = np.packbits(bits.reshape(-1, 32), axis=1, bitorder="little").view(np.uint32)
    return np.repeat(packed[:, 0], 32)


def vote(b: Binder, instr: Instr) -> Bound:
    operand = instr.args[1]
    value = b.source(operand, DTYPES["pred"])
    negated = isinstance(operand, Register) and operand.negated
    ballot = "ballot" in instr.mods
    target = b.target(instr.args[0], U32 if ballot else DTYPES["pred"])

    def run(active: Array | None) -> Array:
        bits = np.broadcast_to(~value if negated else value, (b.count,))
        live = np.ones(b.count, np.bool_) if active is None else active
        if ballot:
            return _ballot(b, bits & live)
        rows, lanes = bits.reshape(-1, 32), live.reshape(-1, 32)
        some, every = (rows & lanes).any(axis=1), (rows | ~lanes).all(axis=1)
        answer = {"any": some, "all": every, "uni": every | ~some}[next(m for m in instr.mods if m in ("any", "all", "uni"))]
        return np.repeat(answer, 32)

    return warp_wide(run, [target])


REDUCTIONS: dict[str, Any] = {
    "add": np.add,
    "min": np.minimum,
    "max": np.maximum,
    "and": np.bitwise_and,
    "or": np.bitwise_or,
    "xor": np.bitwise_xor,
}


def redux(b: Binder, instr: Instr) -> Bound:
    operation = next(m for m in instr.mods if m in REDUCTIONS)
    dtype = DTYPES[instr.type]
    value = b.source(instr.args[1], dtype)
    info = np.iinfo(dtype)
    identity = {
        "add": 0,
        "or": 0,
        "xor": 0,
        "min": info.max,
        "max": info.min,
        "and": dtype.type(0) if dtype.kind == "i" else info.max,
    }[operation]

    def run(active: Array | None) -> Array:
        rows = np.broadcast_to(value, (b.count,))
        if active is not None:
            rows = np.where(active, rows, dtype.type(identity))
        return np.repeat(REDUCTIONS[operation].reduce(rows.reshape(-1, 32), axis=1).astype(dtype), 32)

    return warp_wide(run, [b.target(instr.args[0], dtype)])


def match(b: Binder, instr: Instr) -> Bound:
    if "any" not in instr.mods:
        raise Fault(f"the emulator does not have {instr.opcode}")
    value = b.source(instr.args[1], DTYPES[instr.type])

    def run(active: Array | None) -> Array:
        rows = np.broadcast_to(value, (b.count,)).reshape(-1, 32)
        equal = rows[:, :, None] == rows[:, None, :]
        if active is not None:
            equal &= active.reshape(-1, 32)[:, None, :]
        return np.packbits(equal, axis=2, bitorder="little").view(np.uint32).reshape(-1)

    return warp_wide(run, [b.target(instr.args[0], U32)])


def elect(b: Binder, instr: Instr) -> Bound:
    """The lowest lane of the member mask leads."""
    places = _results(instr.args[0])
    targets = (
        [b.target(places[0], U32), b.target(places[1], DTYPES["pred"])] if len(places) == 2 else [b.target(places[0], U32)]
    )
    member = b.source(instr.args[1], U32) if len(instr.args) > 1 else np.array([0xFFFF_FFFF], np.uint32)
    lane = np.arange(b.count) % 32

    def run(active: Array | None) -> Any:
        named = (np.broadcast_to(member, (b.count,)) >> lane.astype(np.uint32)) & 1 != 0
        if active is not None:
            named = named & active
        leader = np.repeat(named.reshape(-1, 32).argmax(axis=1), 32)
        return leader.astype(np.uint32) if len(targets) == 1 else (leader.astype(np.uint32), leader == lane)

    return warp_wide(run, targets)


def activemask(b: Binder, instr: Instr) -> Bound:
    return warp_wide(
        lambda active: _ballot(b, np.ones(b.count, np.bool_) if active is None else active), [b.target(instr.args[0], U32)]
    )


# -- matrices --------------------------------------------------------------------------------------------------------------------------


def _vector(operand: Operand) -> tuple[Operand, ...]:
    return operand.items if isinstance(operand, Vector) else (operand,)


def _rows(b: Binder, instr: Instr, pointer: Operand, matrices: int) -> Callable[[Array | slice], tuple[Array, Array]]:
    """A function to the arena offsets of the 16-byte rows, [warps, matrices, 8], and the warps that take part."""
    address = address_of(b, pointer)

    def offsets(index: Array | slice) -> tuple[Array, Array]:
        if isinstance(index, slice):
            warps = np.arange(b.warps)
        else:
            warps = np.unique(index // 32)
            if len(warps) * 32 != len(index):
                raise Fault(f"{instr.opcode} is executed by a part of a warp", 0)
        lanes = (warps[:, None] * 32 + np.arange(8 * matrices)).reshape(-1)
        try:
            found = shared_offsets(b, address(lanes), lanes + b.first, 16)
        except Fault as fault:
            if fault.thread is not None:
                fault.slot, fault.pc = int(lanes[fault.thread]) + b.first, instr.pc
            raise
        return found.reshape(len(warps), matrices, 8), warps

    return offsets


def load_matrix(b: Binder, instr: Instr) -> Bound:
    items = _vector(instr.args[0])
    targets = [b.target(t, U32) for t in items]
    rows = _rows(b, instr, instr.args[1], len(items))
    transposed = "trans" in instr.mods
    ctx = b.ctx

    def run(index: Array | slice, slots: Array) -> None:
        offsets, warps = rows(index)
        if ctx.shared_shadow is not None:
            for byte in range(16):
                if not ctx.shared_shadow[offsets + byte].all():
                    raise Fault("reads shared memory that nobody has written", 0)
        if ctx.races is not None:
            ctx.races.read(offsets.reshape(-1), 16, np.repeat(warps * 32 + b.first, offsets.shape[1] * 8))
        raw = ctx.shared[16][offsets >> 4]  # [warps, matrices, 8]
        halves = raw.view(np.uint16).reshape(len(warps), len(items), 8, 8)
        if transposed:
            halves = np.ascontiguousarray(halves.transpose(0, 1, 3, 2))
        words = halves.view(np.uint32).reshape(len(warps), len(items), 32)
        for i, target in enumerate(targets):
            if isinstance(index, slice):
                target.reshape(-1, 32)[:] = words[:, i]
            else:
                target.reshape(-1, 32)[warps] = words[:, i]

    return b.indexed(instr, run)


def store_matrix(b: Binder, instr: Instr) -> Bound:
    items = _vector(instr.args[1])
    values = [b.source(v, U32) for v in items]
    rows = _rows(b, instr, instr.args[0], len(items))
    transposed = "trans" in instr.mods
    ctx = b.ctx

    def run(index: Array | slice, slots: Array) -> None:
        offsets, warps = rows(index)
        words = np.stack([v.reshape(-1, 32)[warps] for v in values], axis=1)
        halves = words.view(np.uint16).reshape(len(warps), len(items), 8, 8)
        if transposed:
            halves = np.ascontiguousarray(halves.transpose(0, 1, 3, 2))
        b.asynchrony.changes += 1
        if ctx.races is not None:
            ctx.races.write(offsets.reshape(-1), 16, np.repeat(warps * 32 + b.first, offsets.shape[1] * 8))
        ctx.shared[16][offsets >> 4] = halves.reshape(len(warps), len(items), 8, 8).view(np.complex128)[..., 0]
        if ctx.shared_shadow is not None:
            for byte in range(16):
                ctx.shared_shadow[offsets + byte] = 1

    return b.indexed(instr, run)


def move_matrix(b: Binder, instr: Instr) -> Bound:
    value = b.source(instr.args[1], U32)

    def run(active: Array | None) -> Array:
        halves = np.ascontiguousarray(value).view(np.uint16).reshape(-1, 8, 8)
        return np.ascontiguousarray(halves.transpose(0, 2, 1)).view(np.uint32).reshape(-1)

    return warp_wide(run, [b.target(instr.args[0], U32)])


ELEMENTS: dict[str, np.dtype[Any]] = {
    "bf16": np.dtype(ml_dtypes.bfloat16), "f16": np.dtype(np.float16), "tf32": np.dtype(np.float32), "s8": np.dtype(np.int8),
    "u8": np.dtype(np.uint8), "e4m3": np.dtype(ml_dtypes.float8_e4m3fn), "e5m2": np.dtype(ml_dtypes.float8_e5m2),
}  # fmt: skip


def matrix_multiply(b: Binder, instr: Instr) -> Bound:
    """mma.sync.m16n8k*: register i of A holds row half i % 2 and k half i // 2; lane = 4 * row + column group."""
    mods = instr.mods
    if "m16n8" not in next((m for m in mods if m.startswith("m")), "") or "sp" in mods:
        raise Fault(f"the emulator does not have {instr.opcode}")
    d_type, a_type, b_type, c_type = (m for m in mods if m in ELEMENTS or m in ("f32", "s32"))
    if d_type != c_type or d_type == "f16":
        raise Fault(f"the emulator does not have {instr.opcode}", fix="accumulate in f32")
    registers = [[b.source(r, U32) for r in _vector(o)] for o in instr.args[1:3]]
    a_regs, b_regs = registers
    halves = len(b_regs)
    dtype = DTYPES[d_type]
    accumulators = [b.source(r, dtype) for r in _vector(instr.args[3])]
    targets = [b.target(r, dtype) for r in _vector(instr.args[0])]
    a_dtype, b_dtype = ELEMENTS[a_type], ELEMENTS[b_type]
    per = 4 // a_dtype.itemsize
    depth = halves * 4 * per
    warps, count = b.warps, b.count
    a_words = np.empty((halves, 2, count), np.uint32)
    b_words = np.empty((halves, count), np.uint32)
    sums = np.empty((warps, 2, 8, 4, 2), dtype)  # row half, row, column pair, column
    limited = "satfinite" in mods

    def run(active: Array | None) -> Any:
        for i, register in enumerate(a_regs):
            a_words[i // 2, i % 2] = register
        for i, register in enumerate(b_regs):
            b_words[i] = register
        a = (
            a_words.view(a_dtype)
            .astype(np.float32)
            .reshape(halves, 2, warps, 8, 4, per)
            .transpose(2, 1, 3, 0, 4, 5)
            .reshape(warps, 16, depth)
        )
        w = (
            b_words.view(b_dtype)
            .astype(np.float32)
            .reshape(halves, warps, 8, 4, per)
            .transpose(1, 2, 0, 3, 4)
            .reshape(warps, 8, depth)
        )
        product = np.matmul(a, w.transpose(0, 2, 1)).reshape(warps, 2, 8, 4, 2)
        for i, register in enumerate(accumulators):
            sums[:, i // 2, :, :, i % 2] = register.reshape(warps, 8, 4)
        if dtype.kind == "i":
            total = sums.astype(np.int64) + product.astype(np.int64)
            out = (np.clip(total, -(2**31), 2**31 - 1) if limited else total).astype(np.int32)
        else:
            out = np.add(sums, product, out=sums)
        return [out[:, i // 2, :, :, i % 2].reshape(-1) for i in range(4)]

    return warp_wide(run, targets)


WARP_OPS: dict[str, Callable[[Binder, Instr], Bound]] = {
    "shfl": shuffle, "vote": vote, "redux": redux, "match": match, "elect": elect, "activemask": activemask, "ldmatrix": load_matrix,
    "stmatrix": store_matrix, "movmatrix": move_matrix, "mma": matrix_multiply,
}  # fmt: skip
