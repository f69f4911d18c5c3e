"""Tensor maps as launch arguments: what a device encodes for hardware that copies boxes (TMA).

map = tensor_map(TensorMap(0, (64, 64), 128), buffer_type, {"T": 100}, allocation.ptr)
device.launch(function, grid, [allocation.ptr, map, 100])
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass

from ..dialects.ir.diagnostics import LlmcError
from ..dialects.layout.panels import map_strides
from ..dialects.layout.tensor_map import TensorMap, check_map
from ..dialects.layout.types import BufferType, elem_bytes

PARAMETER_BYTES = 128
"""A tensor map as a kernel's parameter, aligned to 64."""


@dataclass(frozen=True)
class TensorMapArgument:
    """One map for one launch. Extents, strides (bytes; of all dimensions but the first) and box are innermost first."""

    pointer: int
    elem: str
    elem_bytes: int
    extents: tuple[int, ...]
    strides: tuple[int, ...]
    box: tuple[int, ...]
    swizzle: int

    def pack(self) -> bytes:
        """The emulator's encoding: 128 bytes."""
        rank = len(self.extents)
        pad = (0,) * (5 - rank)
        packed = struct.pack(
            "<QIII5Q4Q5I", self.pointer, rank, self.elem_bytes, self.swizzle, *self.extents, *pad, *self.strides, *pad, *self.box, *pad
        )  # fmt: skip
        return packed.ljust(PARAMETER_BYTES, b"\0")

    @staticmethod
    def unpack(data: bytes) -> TensorMapArgument:
        """The map in its encoding (whose element type is lost)."""
        pointer, rank, width, swizzle, *rest = struct.unpack_from("<QIII5Q4Q5I", data)
        extents, strides, box = rest[:5], rest[5:9], rest[9:]
        return TensorMapArgument(
            pointer, "", width, tuple(extents[:rank]), tuple(strides[: rank - 1]), tuple(box[:rank]), swizzle
        )


def tensor_map(spec: TensorMap, type_: BufferType, sizes: Mapping[str, int], pointer: int) -> TensorMapArgument:
    """The map of a launch. Raises LLMC0751 for a box that no map has, LLMC0961 for memory that none can begin at."""
    check_map(spec, type_)
    if pointer % 16:
        raise LlmcError(
            "LLMC0961",
            f"a tensor map begins at {pointer:#x}",
            where=str(type_),
            why="the memory of a tensor map begins at a multiple of 16 bytes",
            fix="give the buffer an allocation of its own, or an offset that is a multiple of 16",
        )
    strides = map_strides(type_)
    assert strides is not None
    extents = type_.extents(sizes)
    return TensorMapArgument(
        pointer,
        str(type_.element_type),
        elem_bytes(type_.element_type),
        tuple(reversed(extents)),
        tuple(reversed(strides[:-1])),
        tuple(reversed(spec.box)),
        spec.swizzle,
    )


def as_tensor_map(size: int, argument: object, name: str) -> TensorMapArgument | None:
    """The argument for a parameter of `size` bytes, if that is a tensor map. Raises LLMC0962 where the parameter or the argument alone is one."""
    wanted, given = size == PARAMETER_BYTES, isinstance(argument, TensorMapArgument)
    if wanted != given:
        raise LlmcError(
            "LLMC0962",
            f"parameter {name} takes {'a tensor map' if wanted else f'a value of {size} bytes'}, {argument!r} is given",
            f"parameter {name}",
            fix="pass the arguments in the order of the kernel's parameters: buffers, tensor maps, sizes",
        )
    return argument if isinstance(argument, TensorMapArgument) else None


__all__ = ["PARAMETER_BYTES", "TensorMapArgument", "as_tensor_map", "tensor_map"]
