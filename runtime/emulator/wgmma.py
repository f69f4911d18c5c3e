"""wgmma.mma_async m64nNk16 / k32: operands by shared-memory descriptor (or A from registers), accumulators in place.

Executed when issued: the emulator does not see a stage that is overwritten too early. Layouts: PTX ISA, "Asynchronous Warpgroup Level
Matrix Multiply-Accumulate", descriptors and canonical layouts. Not here: MN-major operands without swizzle.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...dialects.ptx.program import Immediate, Register, Vector
from .binder import DTYPES, Binder, Bound, nothing
from .decode import Instr
from .fault import Fault
from .warp_ops import ELEMENTS

Array = np.ndarray[Any, Any]
SPANS = {0: 16, 1: 128, 2: 64, 3: 32}
"""Swizzle field of a descriptor (bits 62–63) → bytes of a row of its pattern."""
ROW_BYTES = 32
"""One k step of any element type."""


def operand_addresses(descriptor: Array, rows: int, transposed: bool) -> Array:
    """Shared addresses [pairs, rows, 32 bytes / element] in units of bytes: of elements along k for each row.

    K-major: of all 32 bytes. Transposed (MN-major, 16-bit types only): of the 16 elements along k.
    """
    start = ((descriptor & 0x3FFF) << 4)[:, None, None]
    leading = (((descriptor >> 16) & 0x3FFF) << 4)[:, None, None]
    stride = (((descriptor >> 32) & 0x3FFF) << 4)[:, None, None]
    modes = np.unique(descriptor >> 62)
    if len(modes) != 1:
        raise Fault("descriptors of one wgmma differ in their swizzle")
    mode = int(modes[0]) & 3
    span = SPANS[mode]
    row = np.arange(rows)[None, :, None]
    if transposed:
        if mode == 0:
            raise Fault("the emulator has no MN-major wgmma operands without swizzle")
        k, width = np.arange(16)[None, None, :], span // 2
        address = start + row // width * leading + k // 8 * stride + k % 8 * span + row % width * 2
    else:
        byte = np.arange(ROW_BYTES)[None, None, :]
        if mode == 0:
            address = start + row // 8 * stride + row % 8 * 16 + byte // 16 * leading + byte % 16
        else:
            address = start + row // 8 * stride + row % 8 * span + byte
    if mode:
        address = address ^ (((address >> 7) & (span // 16 - 1)) << 4)
    return address


@dataclass(frozen=True)
class _Form:
    """What the text of a `wgmma.mma_async` says: n, element types, operands, factors and transpositions."""

    columns: int
    out: np.dtype[Any]
    a: np.dtype[Any]
    b: np.dtype[Any]
    scale: Any
    factor: np.float32
    transposed: tuple[bool, bool]


def _form(instr: Instr) -> _Form:
    shape = next(m for m in instr.mods if m.startswith("m64n"))
    types = [m for m in instr.mods if m in ELEMENTS or m in ("f32", "s32", "f16")]
    if types[0] == "f16" and len(types) == 3:
        raise Fault(f"the emulator does not have {instr.opcode}", fix="accumulate in f32")
    operands = instr.args[1:]
    numbers = [o.value for o in operands[3:] if isinstance(o, Immediate)]
    flips = numbers[:2] or [1, 1]
    a_trans, b_trans = (numbers[2], numbers[3]) if len(numbers) > 3 else (0, numbers[2] if len(numbers) > 2 else 0)
    return _Form(
        int(shape[4 : shape.index("k")]),
        DTYPES[types[0]],
        ELEMENTS[types[-2]],
        ELEMENTS[types[-1]],
        operands[2] if len(operands) > 2 else None,
        np.float32(flips[0] * flips[1]),
        (bool(a_trans), bool(b_trans)),
    )


class _Warpgroups:
    """The warpgroups of the bound threads, in all CTAs at once; arrays over them are [groups * ctas]."""

    def __init__(self, b: Binder) -> None:
        self.b = b
        self.ctas = b.ctx.ctas
        self.groups = (b.hi - b.lo) // 4
        self.base = np.tile(np.arange(self.ctas) * b.ctx.smem_stride, self.groups)

    def leader(self, values: Array) -> Array:
        """A register of every warpgroup's first thread."""
        shape = (self.groups, 4, self.ctas, 32)
        return np.broadcast_to(values, (self.b.count,)).reshape(shape)[:, 0, :, 0].reshape(-1)

    def active(self, index: Array | slice, opcode: str) -> Array:
        """Which warpgroups execute an instruction: whole ones."""
        mask = np.ones(self.b.count, np.bool_) if isinstance(index, slice) else np.isin(np.arange(self.b.count), index)
        lanes = mask.reshape(self.groups, 4, self.ctas, 32).sum(axis=(1, 3)).reshape(-1)
        if ((lanes != 0) & (lanes != 128)).any():
            raise Fault(f"{opcode} is executed by a part of a warpgroup", 0)
        return np.flatnonzero(lanes)

    def matrix(self, descriptors: Array, rows: int, element: np.dtype[Any], transposed: bool, active: Array) -> Array:
        """An operand in shared memory, f32 [active, rows, k]."""
        ctx = self.b.ctx
        addresses = operand_addresses(self.leader(descriptors)[active].astype(np.int64), rows, transposed)
        if int(addresses.max()) + (2 if transposed else 1) > ctx.smem_size:
            raise Fault(f"a wgmma descriptor reaches shared address {int(addresses.max())} of {ctx.smem_size} bytes")
        place = addresses + self.base[active][:, None, None]
        if transposed:
            return ctx.shared[2][place >> 1].view(element).astype(np.float32)
        return ctx.shared[1][place].view(element).astype(np.float32)

    def registers(self, operand: Vector, element: np.dtype[Any], active: Array) -> Array:
        """An operand A in registers, f32 [active, 64, k]."""
        groups, ctas = self.groups, self.ctas
        words = np.stack([self.b.source(r, DTYPES["b32"]) for r in operand.items]).reshape(2, 2, groups, 4, ctas, 8, 4)
        values = words.view(element).reshape(2, 2, groups, 4, ctas, 8, 4, 4 // element.itemsize).astype(np.float32)
        return values.transpose(2, 4, 3, 1, 5, 0, 6, 7).reshape(groups * ctas, 64, -1)[active]


def warpgroup(b: Binder, instr: Instr) -> Bound:
    if instr.mods[0] != "mma_async":
        return nothing(b, instr)  # fence, commit_group, wait_group: everything is done when issued
    form, threads = _form(instr), _Warpgroups(b)
    if b.lo % 4 or b.hi % 4:
        raise Fault("wgmma is executed by warps that are no warpgroup")
    destination, first, second = instr.args[:3]
    accumulators = [b.source(r, form.out) for r in (destination.items if isinstance(destination, Vector) else (destination,))]
    keep = b.source(form.scale, DTYPES["pred"]) if form.scale is not None else np.array([True])
    keep_negated = isinstance(form.scale, Register) and form.scale.negated

    def run(index: Array | slice, slots: Array) -> None:
        active = threads.active(index, instr.opcode)
        if isinstance(first, Vector):
            a = threads.registers(first, form.a, active)
        else:
            a = threads.matrix(b.source(first, DTYPES["u64"]), 64, form.a, form.transposed[0], active)
        w = threads.matrix(b.source(second, DTYPES["u64"]), form.columns, form.b, form.transposed[1], active)
        product = np.matmul(a, w.transpose(0, 2, 1)) * form.factor
        # pair, warp, half, row, column block, column pair, column
        tile = product.reshape(len(active), 4, 2, 8, form.columns // 8, 4, 2)
        add = threads.leader(~keep if keep_negated else keep)[active]
        group, cta = active // threads.ctas, active % threads.ctas
        for j, register in enumerate(accumulators):
            view = register.reshape(threads.groups, 4, threads.ctas, 8, 4)
            value = tile[:, :, (j >> 1) & 1, :, j >> 2, :, j & 1].astype(form.out)
            old = view[group, :, cta]
            view[group, :, cta] = np.where(add[:, None, None, None], old + value, value)

    return b.indexed(instr, run)


WARPGROUP_OPS: dict[str, Callable[[Binder, Instr], Bound]] = {"wgmma": warpgroup}
