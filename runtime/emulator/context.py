"""The state of a batch of CTAs that run side by side: registers, shared memory, special registers, parameters.

Threads are ordered warp first, then CTA, then lane: slot = (warp * ctas + cta) * 32 + lane. A range of warps (a role of a
warp-specialised kernel) is then one contiguous slice of every register, for all CTAs at once.
"""

from __future__ import annotations

import struct
from typing import Any

import numpy as np

from ..tensor_map import as_tensor_map
from .decode import Kernel, Param
from .memory import UNSIGNED, GlobalMemory
from .races import Races, checkable

Array = np.ndarray[Any, Any]
Grid = tuple[int, int, int]

STORAGE = {
    1: np.dtype(np.bool_),
    8: np.dtype(np.uint8),
    16: np.dtype(np.uint16),
    32: np.dtype(np.uint32),
    64: np.dtype(np.uint64),
    128: np.dtype(np.complex128),
}
POISON = 0xFF
"""Fresh shared memory is filled with this byte: NaN in every float format."""


class Context:
    """Registers and memories for `ctas` CTAs of `block` threads, in clusters of `cluster`; reused from launch to launch (`start`)."""

    def __init__(
        self, kernel: Kernel, block: Grid, ctas: int, dyn_smem: int, memory: GlobalMemory, strict: bool, cluster: int = 1
    ) -> None:
        self.cluster = cluster
        self.kernel = kernel
        self.block = block
        self.threads = block[0] * block[1] * block[2]
        self.warps = (self.threads + 31) // 32
        self.ctas = ctas
        self.slots = self.warps * ctas * 32
        self.memory = memory
        self.strict = strict
        self.registers = self._allocate_registers()
        self.smem_size = kernel.smem_static + dyn_smem
        self.smem_stride = (self.smem_size + 127) // 128 * 128 + 128  # 128 bytes apart, so that overruns are seen
        self.shared: dict[int, Array] = {1: np.empty(self.smem_stride * ctas, np.uint8)}
        for size in (2, 4, 8, 16):
            self.shared[size] = self.shared[1].view(UNSIGNED[size])
        self.shared_shadow = np.zeros(len(self.shared[1]), np.uint8) if strict else None
        self.warp_of_slot = np.arange(self.slots) // (ctas * 32)
        self.cta_of_slot = np.arange(self.slots) // 32 % ctas
        self.lane_of_slot = np.arange(self.slots) % 32
        self.thread_of_slot = self.warp_of_slot * 32 + self.lane_of_slot
        self.smem_base = (self.cta_of_slot * self.smem_stride).astype(np.int64)
        self.cluster_of_slot = self.cta_of_slot // cluster
        self.cluster_base = (self.cluster_of_slot * cluster * self.smem_stride).astype(np.int64)
        self.races = (
            Races(len(self.shared[1]), ctas, self.warp_of_slot, self.cta_of_slot) if strict and checkable(kernel) else None
        )
        self.param_bytes = np.zeros((kernel.param_bytes + 15) // 16 * 16, np.uint8)
        self.special = self._special_registers()
        self.first_cta = 0

    def _allocate_registers(self) -> dict[str, Array]:
        return {name: np.zeros(self.slots, STORAGE[bits]) for name, bits in self.kernel.registers.items()}

    def _special_registers(self) -> dict[str, Array]:
        u32 = np.uint32
        thread = self.thread_of_slot
        x, y, _ = self.block
        lane = self.lane_of_slot.astype(u32)
        bit = np.left_shift(u32(1), lane)
        zero = np.zeros(self.slots, u32)
        special = {
            "%tid.x": thread % x, "%tid.y": thread // x % y, "%tid.z": thread // (x * y),
            "%laneid": lane, "%warpid": self.warp_of_slot,
            "%lanemask_eq": bit, "%lanemask_lt": bit - u32(1), "%lanemask_le": (bit - u32(1)) | bit,
            "%lanemask_gt": ~((bit - u32(1)) | bit), "%lanemask_ge": ~(bit - u32(1)),
        }  # fmt: skip
        for i, axis in enumerate("xyz"):
            special[f"%ntid.{axis}"] = zero + self.block[i]
            special[f"%cluster_ctaid.{axis}"] = self.cta_of_slot % self.cluster if axis == "x" else zero
            special[f"%cluster_nctaid.{axis}"] = zero + (self.cluster if axis == "x" else 1)
            for name in ("%ctaid", "%nctaid", "%clusterid", "%nclusterid"):
                special[f"{name}.{axis}"] = zero.copy()
        special |= {"%cluster_ctarank": self.cta_of_slot % self.cluster, "%cluster_nctarank": zero + self.cluster}
        special["%nwarpid"] = zero + self.warps
        special |= {"%smid": zero.copy(), "%nsmid": zero + 132, "%clock": zero, "%clock_hi": zero, "%globaltimer_lo": zero}
        special |= {
            "%dynamic_smem_size": zero + (self.smem_size - self.kernel.smem_static),
            "%total_smem_size": zero + self.smem_size,
        }
        out = {name: np.ascontiguousarray(value.astype(u32)) for name, value in special.items()}
        out |= {
            "%clock64": np.zeros(self.slots, np.uint64),
            "%globaltimer": np.zeros(self.slots, np.uint64),
            "%gridid": np.zeros(self.slots, np.uint64),
        }
        return out

    def start(self, grid: Grid, first: int) -> None:
        """Become CTAs `first … first + ctas - 1` (in launch order: x fastest) of `grid`."""
        self.first_cta = first
        linear = first + self.cta_of_slot
        ids = (linear % grid[0], linear // grid[0] % grid[1], linear // (grid[0] * grid[1]))
        for i, axis in enumerate("xyz"):
            self.special[f"%ctaid.{axis}"][:] = ids[i]
            across = self.cluster if axis == "x" else 1
            self.special[f"%clusterid.{axis}"][:] = ids[i] // across
            self.special[f"%nctaid.{axis}"][:] = grid[i]
            self.special[f"%nclusterid.{axis}"][:] = grid[i] // across
        self.special["%smid"][:] = linear % 132
        self.shared[1].fill(POISON)
        if self.shared_shadow is not None:
            self.shared_shadow.fill(0)
        if self.races is not None:
            self.races.start()

    def set_params(self, packed: bytes) -> None:
        """The kernel's parameters, laid out as `pack_params` does."""
        self.param_bytes[: len(packed)] = np.frombuffer(packed, np.uint8)

    def where(self, slot: int) -> str:
        """`thread 5 of CTA 12` for a slot."""
        return f"thread {int(self.thread_of_slot[slot])} of CTA {self.first_cta + int(self.cta_of_slot[slot])}"


FORMATS = {
    "u8": "B",
    "s8": "b",
    "b8": "B",
    "u16": "H",
    "s16": "h",
    "b16": "H",
    "u32": "I",
    "s32": "i",
    "b32": "I",
    "u64": "Q",
    "s64": "q",
    "b64": "Q",
    "f32": "f",
    "f64": "d",
}
MASKS = {"B": 0xFF, "H": 0xFFFF, "I": 0xFFFF_FFFF, "Q": 0xFFFF_FFFF_FFFF_FFFF}


def pack_params(params: list[Param], size: int, args: list[Any]) -> bytes:
    """Arguments as bytes in PTX's parameter layout. Integers wrap to the parameter's width."""
    buffer = bytearray(size)
    for param, arg in zip(params, args, strict=True):
        if (mapped := as_tensor_map(param.size, arg, param.name)) is not None:
            buffer[param.offset : param.offset + param.size] = mapped.pack()
            continue
        code = FORMATS[param.type]
        if code in "fd":
            value: Any = float(arg)
        else:
            unsigned = int(arg) & MASKS[code.upper()]
            code, value = code.upper(), unsigned
        struct.pack_into("<" + code, buffer, param.offset, value)
    return bytes(buffer)
