"""Strict only: two warps that touch the same shared byte between two barriers, one of them writing.

Time is counted in barriers of the whole CTA. A kernel that synchronises in other ways too (mbarriers, named barriers) is not checked:
what orders its accesses is not known here. Writes of two warps to one byte are allowed, as replicated fragments store equal values.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ...dialects.ptx.program import Immediate
from .decode import Kernel
from .fault import Fault

Array = np.ndarray[Any, Any]
NOBODY, MANY = -1, -2
FIX = "put a tile.barrier (bar.sync) between the two accesses"


def checkable(kernel: Kernel) -> bool:
    """Whether whole-CTA barriers are all that orders the kernel's warps."""
    for instr in kernel.code:
        if instr.base == "mbarrier" or (instr.base in ("bar", "barrier") and "arrive" in instr.mods):
            return False
        if instr.base in ("bar", "barrier") and "warp" not in instr.mods:
            whole = len(instr.args) == 1 and isinstance(instr.args[0], Immediate) and instr.args[0].value == 0
            if not whole:
                return False
    return True


class Races:
    """Who last read and wrote each byte of shared memory, and in which barrier interval."""

    def __init__(self, nbytes: int, ctas: int, warp_of_slot: Array, cta_of_slot: Array) -> None:
        self.warp_of_slot, self.cta_of_slot = warp_of_slot, cta_of_slot
        self.interval = np.zeros(ctas, np.int32)
        self.writer, self.reader = np.full(nbytes, NOBODY, np.int16), np.full(nbytes, NOBODY, np.int16)
        self.written, self.seen = np.full(nbytes, -1, np.int32), np.full(nbytes, -1, np.int32)

    def start(self) -> None:
        self.interval[:] = 0
        self.written.fill(-1)
        self.seen.fill(-1)

    def barrier(self, ctas: Array | slice) -> None:
        """These CTAs pass a barrier."""
        self.interval[ctas] += 1

    def read(self, offsets: Array, width: int, slots: Array) -> None:
        warp, now = self.warp_of_slot[slots], self.interval[self.cta_of_slot[slots]]
        for byte in range(width):
            at = offsets + byte
            bad = (self.written[at] == now) & (self.writer[at] != warp)
            if bad.any():
                first = int(np.flatnonzero(bad)[0])
                raise Fault(
                    f"race: reads shared memory that warp {int(self.writer[at[first]])} has written since the last barrier",
                    first,
                    fix=FIX,
                )
            shared = (self.seen[at] == now) & (self.reader[at] != warp)
            self.reader[at] = np.where(shared, MANY, warp)
            self.seen[at] = now

    def write(self, offsets: Array, width: int, slots: Array) -> None:
        warp, now = self.warp_of_slot[slots], self.interval[self.cta_of_slot[slots]]
        for byte in range(width):
            at = offsets + byte
            bad = (self.seen[at] == now) & (self.reader[at] != warp)
            if bad.any():
                first = int(np.flatnonzero(bad)[0])
                who = int(self.reader[at[first]])
                raise Fault(
                    f"race: overwrites shared memory that {'other warps' if who == MANY else f'warp {who}'} may still be reading",
                    first,
                    fix=FIX,
                )
            self.writer[at] = warp
            self.written[at] = now
