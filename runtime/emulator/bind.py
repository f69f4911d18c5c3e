"""From an instruction to two closures over one slice of the registers: `fast()` for all its threads, `slow(mask)` for some.

Everything that can be resolved ahead is: which array, which view, which function. A closure of an elementwise instruction is a
`functools.partial` of a numpy ufunc that writes straight into the destination register.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .arithmetic import bind_arithmetic
from .binder import Binder, Bound
from .copy_ops import COPY_OPS
from .decode import Instr
from .fault import Fault
from .memory_ops import MEMORY_OPS
from .warp_ops import WARP_OPS
from .wgmma import WARPGROUP_OPS

Array = np.ndarray[Any, Any]
OPS = MEMORY_OPS | COPY_OPS | WARP_OPS | WARPGROUP_OPS
"""What has a room of its own, by base opcode; all else is arithmetic."""


def bind(b: Binder, instr: Instr) -> Bound:
    """The closures of one instruction, its predicate included. Raises Fault for what the emulator does not have."""
    try:
        bound = OPS.get(instr.base, bind_arithmetic)(b, instr)
    except Fault as fault:
        fault.pc = instr.pc
        raise
    predicate = instr.source.predicate
    if predicate is None or instr.kind == "control":
        return bound
    return _predicated(bound, b.storage(predicate), predicate.negated)


def _predicated(bound: Bound, predicate: Array, negated: bool) -> Bound:
    whole, some = bound
    total = len(predicate)

    def fast() -> None:
        count = int(np.count_nonzero(predicate))
        if negated:
            count = total - count
        if count == total:
            whole()
        elif count:
            some(~predicate if negated else predicate)

    def slow(mask: Array) -> None:
        active = mask & ~predicate if negated else mask & predicate
        if active.any():
            some(active)

    return fast, slow
