"""Emits the addresses of an `Access`: thread parts once, one 64-bit add an origin that varies, the rest immediates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from xdsl.ir import SSAValue

from ....dialects.ptx.build import Addr
from .access import Access
from .addressing import TilePlan, emit_thread_part, fit_threads, origin_digits
from .emitter import Emitter, Scalar
from .values import Buffer, Memory, Smem, elem_size


class Pointers:
    """Addresses of the registers of one access. `origins[d]`: lowered scalars; `index_of(dim, register)`: the
    gathered coordinate of a register."""

    def __init__(
        self,
        emitter: Emitter,
        lane: Scalar,
        warp: Scalar,
        memory: Memory,
        access: Access,
        origins: Sequence[Scalar],
        gathered: Mapping[int, Sequence[SSAValue]] | None = None,
        plan: TilePlan | None = None,
    ):
        self.e = emitter
        self.lane = lane
        self.warp = warp
        self.memory = memory
        self.access = access
        self.origins = origins
        self.gathered = gathered or {}
        self.plan = plan or access.plan
        self.size = elem_size(access.elem)
        self._bases: dict[Any, Any] = {}
        self._coords: dict[tuple[int, int], Scalar] = {}

    # -- coordinates --------------------------------------------------------------------------------------------
    def thread_coord(self, dim: int) -> Scalar:
        """origin + thread part of the coordinate along `dim`."""
        key = (dim, 0)
        if key not in self._coords:
            tv = self.access.tv
            part = fit_threads(tv.all_coords()[:, :, 0, dim], [size for size, _ in tv.warp])
            assert part is not None
            thread = emit_thread_part(self.e, part, self.lane, self.warp)
            self._coords[key] = self.e.add(thread, self.origins[dim])
        return self._coords[key]

    def in_bounds(self, dim: int, register: int, grain: int, bound: Scalar) -> SSAValue | bool:
        """Whether the register's coordinate along a checked dimension is below `bound`."""
        e = self.e
        if dim in self.gathered:
            return e.compare("lt.u32", e.add(self.gathered[dim][register], self.origins[dim]), bound)
        own = self.access.reg_coords[register][dim] // grain * grain
        coordinate = self.thread_coord(dim)
        if isinstance(bound, int) or not isinstance(coordinate, SSAValue):
            return e.compare("lt.s32", coordinate, e.sub(bound, own))
        if e.depth(bound) <= e.depth(coordinate):
            return e.compare("lt.s32", coordinate, e.sub(bound, own))
        return e.compare("lt.s32", e.add(coordinate, own), bound)

    # -- addresses ----------------------------------------------------------------------------------------------
    def _terms(self, register: int | None) -> list[tuple[Scalar, int]]:
        """(value, elements per unit) of everything that is added at run time except the thread part."""
        terms: list[tuple[Scalar, int]] = []
        access = self.access
        for dim, origin in enumerate(self.origins):
            digits = access.digits[dim]
            if dim in self.gathered:
                assert register is not None
                value = self.e.add(self.gathered[dim][register], origin)
                terms.extend(origin_digits(self.e, value, digits, 1))
            elif dim in access.walked:
                assert register is not None
                value = self.e.add(self.thread_coord(dim), access.reg_coords[register][dim])
                terms.extend(origin_digits(self.e, value, digits, 1))
            elif not isinstance(origin, int):
                terms.extend(origin_digits(self.e, origin, digits, access.origins[dim].divisor))
        terms.sort(key=lambda term: self.e.depth(term[0]))
        return terms

    def address(self, register: int) -> Addr:
        """The address of element `register` (or of the plan's row)."""
        access = self.access
        walked_key = tuple(
            self.gathered[dim][register] if dim in self.gathered else access.reg_coords[register][dim] for dim in access.walked
        )
        part = self.plan.part_of[register]
        key = (part, walked_key)
        walked_register = register if access.walked else None
        if access.layout.swizzle is not None:
            return self._swizzled(self.memory, part, register, key, walked_register)
        if isinstance(self.memory, Buffer):
            if key not in self._bases:
                self._bases[key] = self._global_base(self.memory, part, walked_register)
            return Addr(self._bases[key], self.plan.imm[register] * self.size)
        if key not in self._bases:
            self._bases[key] = self._shared_base(self.memory, part, walked_register)
        base, constant = self._bases[key]
        return Addr(base, constant + self.plan.imm[register] * self.size)

    def _global_base(self, memory: Buffer, part: int, register: int | None) -> SSAValue:
        thread = emit_thread_part(self.e, self.plan.parts[part], self.lane, self.warp)
        base: Any = self.e.mad_wide(thread, self.size, memory.pointer)
        for value, stride in self._terms(register):
            base = self.e.mad_wide(value, stride * self.size, base)
        return base

    def _shared_base(self, memory: Smem, part: int, register: int | None) -> tuple[SSAValue, int]:
        terms = self._terms(register)
        base: Scalar = memory.base
        constant = memory.offset
        thread = emit_thread_part(self.e, self.plan.parts[part], self.lane, self.warp, self.size)
        outer = [(v, s) for v, s in terms if self.e.depth(v) <= self.e.depth(memory.base)]
        inner = [(v, s) for v, s in terms if self.e.depth(v) > self.e.depth(memory.base)]
        for value, stride in outer:
            thread = self.e.mad(value, stride * self.size, thread)
        base = self.e.add(thread, base)
        for value, stride in inner:
            base = self.e.mad(value, stride * self.size, base)
        return self.e.reg(base), constant

    def _swizzled(self, memory: Memory, part: int, register: int, key: Any, walked: int | None) -> Addr:
        """base + swizzle(linear), the register's bits xored or added after the thread's swizzle is done.

        Linear offsets are bytes in shared memory; elements in global memory, whose bytes may need 64 bits.
        """
        e, size = self.e, 1 if isinstance(memory, Buffer) else self.size
        assert self.access.layout.swizzle is not None
        bits, base, shift = self.access.layout.swizzle
        base += size.bit_length() - 1
        mask = ((1 << bits) - 1) << (base + shift)
        block = 1 << (bits + base + shift)

        def swizzle(value: int) -> int:
            return value ^ ((value & mask) >> shift)

        if key not in self._bases:
            thread = emit_thread_part(e, self.plan.parts[part], self.lane, self.warp, size)
            table = self.plan.table[:, :, register] - self.plan.table[0, 0, register]
            possible = 0
            for value in set((table * size).reshape(-1).tolist()):
                possible |= int(value)
            outside: list[tuple[Scalar, int]] = []
            inside: Scalar = thread
            for value, stride in self._terms(walked):
                dim_step = self._known_step(value, stride) * size
                if dim_step % block == 0:
                    outside.append((value, stride))
                    continue
                inside = e.mad(value, stride * size, inside)
                low = dim_step & -dim_step
                possible |= (block - 1) & ~(low - 1)
            self._bases[key] = (inside, self._swizzle_register(inside, mask, shift), outside, possible)
        inside, swizzled, outside, possible = self._bases[key]
        own = self.plan.imm[register] * size
        high, low = own - own % block, own % block
        if low & possible:
            total = self._swizzle_register(e.add(inside, low), mask, shift)
            return self._joined(memory, total, outside, high)
        moved = swizzle(low)
        reachable = possible | ((possible & mask) >> shift)
        overlap = moved & reachable
        return self._joined(memory, e.xor(swizzled, overlap), outside, high + (moved & ~reachable))

    def _joined(self, memory: Memory, swizzled: Scalar, outside: list[tuple[Scalar, int]], constant: int) -> Addr:
        """A swizzled offset, whole swizzle blocks and a constant added to the memory's start: in global memory what varies least first."""
        e = self.e
        if isinstance(memory, Buffer):
            pointer: Any = e.mad_wide(swizzled, self.size, memory.pointer)
            for value, stride in outside:
                pointer = e.mad_wide(value, stride * self.size, pointer)
            return Addr(pointer, constant * self.size)
        base = memory.base
        for value, stride in outside:
            base = e.mad(value, stride * self.size, base)
        return Addr(e.reg(e.add(swizzled, base)), memory.offset + constant)

    def _known_step(self, value: Scalar, stride: int) -> int:
        """A divisor, in elements, of value * stride."""
        for dim, origin in enumerate(self.origins):
            if origin is value:
                return stride * self.access.origins[dim].divisor
        return stride

    def _swizzle_register(self, value: Scalar, mask: int, shift: int) -> Scalar:
        e = self.e
        return e.xor(value, e.shr(e.and_(value, mask), shift))


__all__ = ["Pointers"]
