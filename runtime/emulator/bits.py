"""Short cuts for byte and bit selections (prmt, lop3, bfe) and for packed halves; what they leave out goes to the table."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import ml_dtypes
import numpy as np

from ...dialects.ptx.program import Immediate, Register
from .binder import DTYPES, UNSIGNED_OF, Binder, Bound
from .decode import Instr

Array = np.ndarray[Any, Any]
U32 = np.dtype(np.uint32)
PACKED: dict[str, np.dtype[Any]] = {
    "bf16": np.dtype(ml_dtypes.bfloat16), "bf16x2": np.dtype(ml_dtypes.bfloat16), "f16": np.dtype(np.float16), "f16x2": np.dtype(np.float16),
}  # fmt: skip


def _multiply_add(x: Array, y: Array, z: Array) -> Array:
    return x * y + z


HALF_FUNCTIONS: dict[str, Callable[..., Array]] = {
    "add": np.add, "sub": np.subtract, "mul": np.multiply, "min": np.fmin, "max": np.fmax, "fma": _multiply_add,
}  # fmt: skip
LOGIC: dict[int, Callable[[Array, Array, Array], Array]] = {
    0xC0: lambda a, b, c: a & b, 0xFC: lambda a, b, c: a | b, 0x3C: lambda a, b, c: a ^ b, 0xEA: lambda a, b, c: (a & b) | c,
    0x80: lambda a, b, c: a & b & c, 0xFE: lambda a, b, c: a | b | c, 0x96: lambda a, b, c: a ^ b ^ c, 0x6A: lambda a, b, c: (a & b) ^ c,
    0xF8: lambda a, b, c: a | (b & c), 0x78: lambda a, b, c: a ^ (b & c), 0xA8: lambda a, b, c: (a | b) & c, 0xE0: lambda a, b, c: a & (b | c),
}  # fmt: skip
"""lop3 tables that have a short form; index bits are (a, b, c) = (0xF0, 0xCC, 0xAA)."""


def permute(b: Binder, instr: Instr) -> Bound | None:
    """prmt.b32 with a constant selector: copies of bytes, or of halves."""
    selector = instr.args[3]
    if instr.mods != ("b32",) or not isinstance(selector, Immediate) or selector.value & 0x8888:
        return None
    nibbles = [selector.value >> 4 * i & 7 for i in range(4)]
    sources = [
        np.ascontiguousarray(np.broadcast_to(b.source(a, U32), (b.count,))) if isinstance(a, Immediate) else b.source(a, U32)
        for a in instr.args[1:3]
    ]
    halves = all(nibbles[i] % 2 == 0 and nibbles[i + 1] == nibbles[i] + 1 for i in (0, 2))
    part = UNSIGNED_OF[2 if halves else 1]
    step = 4 // part.itemsize
    chosen = [n // part.itemsize for n in nibbles[:: part.itemsize]]
    columns = [sources[n // step].view(part)[n % step :: step] for n in chosen]

    def gather(*values: Array) -> Array:
        out = np.empty((b.count, step), part)
        for i, value in enumerate(values):
            out[:, i] = value
        return out.view(U32)[:, 0]

    return b.assign(gather, columns, [b.target(instr.args[0], U32)])


def logic(b: Binder, instr: Instr) -> Bound | None:
    table = instr.args[4]
    function = LOGIC.get(table.value & 0xFF) if isinstance(table, Immediate) else None
    if function is None:
        return None
    return b.assign(function, [b.source(a, U32) for a in instr.args[1:4]], [b.target(instr.args[0], U32)])


def extract(b: Binder, instr: Instr) -> Bound | None:
    """bfe.{u32,s32} of a constant field inside the word."""
    position, length = instr.args[2], instr.args[3]
    if instr.type not in ("u32", "s32") or not isinstance(position, Immediate) or not isinstance(length, Immediate):
        return None
    p, n = position.value, length.value
    if not (p >= 0 and n > 0 and p + n <= 32):
        return None
    dtype = DTYPES[instr.type]
    up, down = dtype.type(32 - p - n), dtype.type(32 - n)
    return b.assign(lambda x: (x << up) >> down, [b.source(instr.args[1], dtype)], [b.target(instr.args[0], dtype)])


def halves(b: Binder, instr: Instr) -> Bound | None:
    """Arithmetic of (packed) bf16 and f16 through f32. fma rounds to f32 first, which the table does not."""
    function = HALF_FUNCTIONS.get(instr.base)
    if function is None or set(instr.mods[:-1]) - {"rn"} or not all(isinstance(a, Register) for a in instr.args):
        return None
    dtype = PACKED[instr.type]
    sources = [b.storage(a).view(dtype) for a in instr.args[1:] if isinstance(a, Register)]
    target = b.storage(instr.args[0]) if isinstance(instr.args[0], Register) else None
    if target is None:
        return None
    bits = target.dtype

    def run(*values: Array) -> Array:
        return function(*(v.astype(np.float32) for v in values)).astype(dtype).view(bits)

    return b.assign(run, sources, [target])


BIT_SHORT_CUTS = {"prmt": permute, "lop3": logic, "bfe": extract}
