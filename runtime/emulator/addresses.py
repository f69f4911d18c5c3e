"""Where an access goes: the state space that an instruction names, shared addresses of a CTA and of its cluster, generic ones."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ...dialects.ptx.program import Address, Operand, Register, Symbol
from .binder import Binder
from .decode import Instr
from .fault import Fault
from .memory import BASE

Array = np.ndarray[Any, Any]
Index = Array | slice
SHARED_WINDOW = 1 << 56
"""Where shared memory stands among generic addresses."""
RANK_SHIFT = 24
"""A shared::cluster address of another CTA is (rank + 1) << 24 | its address there."""
assert BASE < SHARED_WINDOW


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
