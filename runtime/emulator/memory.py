"""Device memory of the emulator: a flat 64-bit address space with guard gaps over one lazily committed arena."""

from __future__ import annotations

import mmap
from bisect import bisect_right, insort
from typing import Any

import numpy as np

from ...dialects.ir.diagnostics import LlmcError
from .fault import Fault

Array = np.ndarray[Any, Any]

BASE = 0x7_0000_0000
"""Device address of the arena's first byte: far from 0, so that small integers are never valid pointers."""
ALIGN = 256
GUARD = 256

WIDE = np.dtype([("lo", np.uint64), ("hi", np.uint64)])
UNSIGNED = {
    1: np.dtype(np.uint8),
    2: np.dtype(np.uint16),
    4: np.dtype(np.uint32),
    8: np.dtype(np.uint64),
    16: np.dtype(np.complex128),
}
"""Element type that moves 1, 2, 4, 8 or 16 bytes at once (16: complex128, the only 16-byte type that `take` moves quickly)."""


class GlobalMemory:
    """Allocations in an arena of `capacity` bytes; pages of the host are used only once written.

    `strict` keeps one shadow byte per byte (0 = never written), so that reading undefined data is an error.
    """

    def __init__(self, capacity: int = 1 << 36, strict: bool = False) -> None:
        self._map = self._reserve(capacity)
        self.capacity = len(self._map)
        self.bytes = np.frombuffer(self._map, np.uint8)
        self.views = {size: self.bytes[: self.capacity // 16 * 16].view(dtype) for size, dtype in UNSIGNED.items()}
        self.shadow = np.frombuffer(self._reserve(self.capacity), np.uint8) if strict else None
        self._starts: list[int] = []  # sorted device addresses of live allocations
        self._sizes: dict[int, int] = {}
        self._free: list[tuple[int, int]] = []  # (offset, size) holes, by offset
        self._top = 0

    @staticmethod
    def _reserve(capacity: int) -> mmap.mmap:
        flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | getattr(mmap, "MAP_NORESERVE", 0)
        while True:
            try:
                return mmap.mmap(-1, capacity, flags=flags)
            except OSError:
                if capacity <= 1 << 28:
                    raise
                capacity //= 2

    @property
    def used(self) -> int:
        """Bytes in live allocations."""
        return sum(self._sizes.values())

    def alloc(self, nbytes: int) -> int:
        """Device address of `nbytes` fresh bytes, with a gap of at least 256 bytes after them."""
        if nbytes < 0:
            raise LlmcError(
                "LLMC0905", f"an allocation of {nbytes} bytes", "the emulator's memory", fix="ask for 0 bytes or more"
            )
        need = (max(nbytes, 1) + GUARD + ALIGN - 1) // ALIGN * ALIGN
        offset = self._take_hole(need)
        if offset is None:
            if self._top + need > self.capacity:
                raise LlmcError(
                    "LLMC0906",
                    f"the emulator is out of memory: {nbytes} bytes wanted",
                    "the emulator's memory",
                    why=f"{self.capacity - self._top} bytes of {self.capacity} are free",
                    fix="use a smaller model or fewer KV pages (--max-context, --max-sequences), or free allocations",
                )
            offset = self._top
            self._top += need
        ptr = BASE + offset
        insort(self._starts, ptr)
        self._sizes[ptr] = nbytes
        return ptr

    def _take_hole(self, need: int) -> int | None:
        for i, (offset, size) in enumerate(self._free):
            if size >= need:
                if size == need:
                    del self._free[i]
                else:
                    self._free[i] = (offset + need, size - need)
                return offset
        return None

    def free(self, ptr: int) -> None:
        nbytes = self._sizes.pop(ptr)
        self._starts.remove(ptr)
        size = (max(nbytes, 1) + GUARD + ALIGN - 1) // ALIGN * ALIGN
        offset = ptr - BASE
        if self.shadow is not None:
            self.shadow[offset : offset + size] = 0
        insort(self._free, (offset, size))
        self._merge_holes()

    def _merge_holes(self) -> None:
        merged: list[tuple[int, int]] = []
        for offset, size in self._free:
            if merged and merged[-1][0] + merged[-1][1] == offset:
                merged[-1] = (merged[-1][0], merged[-1][1] + size)
            else:
                merged.append((offset, size))
        if merged and merged[-1][0] + merged[-1][1] == self._top:
            self._top = merged.pop()[0]
        self._free = merged

    def range(self, ptr: int, nbytes: int) -> Array:
        """The bytes `[ptr, ptr + nbytes)` as a writable view; the host's way in."""
        return self.bytes[ptr - BASE : ptr - BASE + nbytes]

    def mark(self, ptr: int, nbytes: int) -> None:
        """Note that these bytes now hold defined data (strict)."""
        if self.shadow is not None:
            self.shadow[ptr - BASE : ptr - BASE + nbytes] = 1

    def locate(self, addresses: Array, nbytes: int, aligned: int) -> Array:
        """Offsets into the arena for device `addresses` (uint64), each good for `nbytes`, or a Fault for the first bad one."""
        low = int(addresses.min())
        high = int(addresses.max()) + nbytes
        i = bisect_right(self._starts, low) - 1
        if i < 0 or high > self._starts[i] + self._sizes[self._starts[i]]:
            self._check_each(addresses, nbytes)
        if aligned > 1 and int(np.bitwise_or.reduce(addresses, axis=None)) & (aligned - 1):
            bad = int(np.flatnonzero(addresses & np.uint64(aligned - 1))[0])
            raise Fault(f"misaligned address {int(addresses[bad]):#x}: a multiple of {aligned} is needed", bad)
        return (addresses - np.uint64(BASE)).view(np.int64)

    def _check_each(self, addresses: Array, nbytes: int) -> None:
        starts = np.array(self._starts, np.uint64)
        if not len(starts):
            raise Fault(f"address {int(addresses[0]):#x} is in no allocation (there are none)", 0)
        ends = starts + np.array([self._sizes[s] for s in self._starts], np.uint64)
        index = np.searchsorted(starts, addresses, side="right").astype(np.int64) - 1
        bad = (index < 0) | (addresses + np.uint64(nbytes) > ends[np.maximum(index, 0)])
        if bad.any():
            first = int(np.flatnonzero(bad)[0])
            raise Fault(f"address {int(addresses[first]):#x} ({nbytes} bytes) is {self._nearest(int(addresses[first]))}", first)

    def _nearest(self, address: int) -> str:
        i = bisect_right(self._starts, address) - 1
        if i < 0:
            return f"below every allocation (the first is at {self._starts[0]:#x})" if address else "null"
        start = self._starts[i]
        size = self._sizes[start]
        return f"outside every allocation: {address - start - size} bytes past the end of the {size} bytes at {start:#x}"

    def check_defined(self, offsets: Array, nbytes: int) -> None:
        """Strict only: a Fault when any byte read was never written."""
        assert self.shadow is not None
        for byte in range(nbytes):
            defined = self.shadow[offsets + byte]
            if not defined.all():
                bad = int(np.flatnonzero(defined == 0)[0])
                raise Fault(f"reads undefined global memory at {BASE + int(offsets[bad]) + byte:#x}: nobody wrote it", bad)
