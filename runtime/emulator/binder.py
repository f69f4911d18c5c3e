"""What an instruction is bound with: the registers of a range of warps as arrays, and the two closures that it becomes, `fast()` for
all its threads and `slow(mask)` for some.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ...dialects.ptx.program import Immediate, Operand, Register, Sink, Special, Symbol
from .asynchrony import Asynchrony
from .context import Context
from .decode import Instr
from .fault import Fault

Array = np.ndarray[Any, Any]
Fast = Callable[[], Any]
Slow = Callable[[Array], Any]
Bound = tuple[Fast, Slow]
LaneFunction = Callable[[], Any] | Callable[[Array], Any] | Callable[[Array, Array], Any] | Callable[[Array, Array, Array], Any]
"""From the sources of an instruction to its result, or to a sequence of results."""

DTYPES: dict[str, np.dtype[Any]] = {
    "pred": np.dtype(np.bool_),
    "b8": np.dtype(np.uint8), "u8": np.dtype(np.uint8), "s8": np.dtype(np.int8),
    "b16": np.dtype(np.uint16), "u16": np.dtype(np.uint16), "s16": np.dtype(np.int16), "f16": np.dtype(np.float16),
    "b32": np.dtype(np.uint32), "u32": np.dtype(np.uint32), "s32": np.dtype(np.int32), "f32": np.dtype(np.float32),
    "b64": np.dtype(np.uint64), "u64": np.dtype(np.uint64), "s64": np.dtype(np.int64), "f64": np.dtype(np.float64),
}  # fmt: skip
"""PTX type → numpy type. bf16 and packed types are bits (b16, b32) here; their arithmetic unpacks them."""
UNSIGNED_OF = {1: np.dtype(np.uint8), 2: np.dtype(np.uint16), 4: np.dtype(np.uint32), 8: np.dtype(np.uint64)}
SIGNED_OF = {1: np.dtype(np.int8), 2: np.dtype(np.int16), 4: np.dtype(np.int32), 8: np.dtype(np.int64)}


def constant(immediate: Immediate, dtype: np.dtype[Any]) -> Array:
    """An immediate as a one-element array of `dtype`: floats by value, integers wrapped to the width."""
    if immediate.float_width:
        bits = np.array([immediate.value], np.uint32 if immediate.float_width == 32 else np.uint64)
        value = bits.view(np.float32 if immediate.float_width == 32 else np.float64)
        if dtype.kind == "f":
            return value.astype(dtype)
        return bits if bits.dtype.itemsize == dtype.itemsize else value.astype(np.float32).view(np.uint32).astype(dtype)
    if dtype.kind == "b":
        return np.array([immediate.value != 0])
    if dtype.kind == "f":
        return np.array([immediate.value], dtype)
    unsigned = UNSIGNED_OF[dtype.itemsize]
    return np.array([immediate.value & ((1 << 8 * dtype.itemsize) - 1)], unsigned).view(dtype)


class Binder:
    """Binds the instructions of `ctx`'s kernel to the threads of warps `lo..hi-1`."""

    def __init__(self, ctx: Context, asynchrony: Asynchrony, lo: int, hi: int) -> None:
        self.ctx = ctx
        self.asynchrony = asynchrony
        self.lo, self.hi = lo, hi
        width = ctx.ctas * 32
        self.slice = slice(lo * width, hi * width)
        self.first = lo * width
        self.count = (hi - lo) * width
        self.warps = (hi - lo) * ctx.ctas
        self.slots = np.arange(self.first, self.first + self.count)

    # -- operands -----------------------------------------------------------------------------------------------------------------

    def storage(self, register: Register) -> Array:
        """The register's bits for this range, in its own width."""
        try:
            return self.ctx.registers[register.name][self.slice]
        except KeyError:
            raise Fault(f"register {register.name} is not declared") from None

    def source(self, operand: Operand, dtype: np.dtype[Any]) -> Array:
        """An operand as `dtype`: a view of a register (its low part when it is wider), or a one-element constant."""
        match operand:
            case Register():
                return self._view(self.storage(operand), dtype, operand)
            case Immediate():
                return constant(operand, dtype)
            case Special():
                try:
                    return self._view(self.ctx.special[operand.name][self.slice], dtype, operand)
                except KeyError:
                    raise Fault(f"the emulator has no special register {operand.name}") from None
            case Symbol():
                if operand.name in self.ctx.kernel.symbols:
                    return np.array([self.ctx.kernel.symbols[operand.name]], dtype)
                for param in self.ctx.kernel.params:  # its address in the space of parameters
                    if param.name == operand.name:
                        return np.array([param.offset], dtype)
                raise Fault(f"{operand.name} has no address that the emulator knows")
            case _:
                raise Fault(f"the emulator cannot read the operand {operand}")

    @staticmethod
    def _view(storage: Array, dtype: np.dtype[Any], operand: Operand) -> Array:
        if storage.dtype == dtype:
            return storage
        have, want = storage.dtype.itemsize, dtype.itemsize
        if (storage.dtype.kind == "b") != (dtype.kind == "b") or want > have:
            raise Fault(f"{getattr(operand, 'name', operand)} has {8 * have} bits, {dtype} is wanted")
        view = storage.view(dtype)
        return view if want == have else view[:: have // want]

    def target(self, operand: Operand, dtype: np.dtype[Any]) -> Array:
        """Where a result of `dtype` goes: the register in its own width, signed, unsigned or float so that assignment extends."""
        if isinstance(operand, Sink):
            return np.empty(self.count, dtype)
        if not isinstance(operand, Register):
            raise Fault(f"{operand} is no register")
        storage = self.storage(operand)
        if storage.dtype == dtype or dtype.kind == "b":
            return storage
        have, want = storage.dtype.itemsize, dtype.itemsize
        if want > have:
            raise Fault(f"{operand.name} has {8 * have} bits, a result of {8 * want} does not fit")
        if want == have:
            return storage.view(dtype)
        return storage.view(SIGNED_OF[have]) if dtype.kind == "i" else storage

    def assign(self, function: LaneFunction, sources: list[Array], targets: list[Array]) -> Bound:
        """Closures for `targets = function(*sources)`; one result, or a tuple of them."""
        if len(targets) == 1:
            target = targets[0]

            def fast() -> None:
                np.copyto(target, function(*sources), casting="unsafe")

            def slow(mask: Array) -> None:
                np.copyto(target, function(*sources), casting="unsafe", where=mask)

            return fast, slow

        def fast_many() -> None:
            for target, value in zip(targets, function(*sources), strict=True):
                np.copyto(target, value, casting="unsafe")

        def slow_many(mask: Array) -> None:
            for target, value in zip(targets, function(*sources), strict=True):
                np.copyto(target, value, casting="unsafe", where=mask)

        return fast_many, slow_many

    def indexed(self, instr: Instr, function: Callable[[Array | slice, Array], None]) -> Bound:
        """Closures for an instruction that touches memory: `function(index, slots)`, index into this range (a full slice when all)."""
        everything = slice(None)

        def located(index: Array | slice, slots: Array) -> None:
            try:
                function(index, slots)
            except Fault as fault:
                if fault.pc is None:
                    fault.pc = instr.pc
                    fault.slot = None if fault.thread is None else int(slots[fault.thread])
                raise

        def slow(mask: Array) -> None:
            index = np.flatnonzero(mask)
            if len(index):
                located(index, index + self.first)

        return (lambda: located(everything, self.slots)), slow


def nothing(b: Binder, instr: Instr) -> Bound:
    """Fences, prefetches and hints: order is program order here."""
    return (lambda: None), (lambda mask: None)
