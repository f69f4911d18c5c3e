"""cuTensorMapEncodeTiled: tensor maps as the 128 bytes that the hardware reads."""

from __future__ import annotations

import ctypes
from functools import lru_cache
from typing import Any

from ..tensor_map import PARAMETER_BYTES, TensorMapArgument
from .driver import check, driver

TYPES = {"bf16": "BFLOAT16", "f16": "FLOAT16", "f32": "FLOAT32", "f64": "FLOAT64", "i32": "INT32", "i64": "INT64"}
UNSIGNED = {1: "UINT8", 2: "UINT16", 4: "UINT32", 8: "UINT64"}
"""Other types are copied as bits."""


@lru_cache(maxsize=4096)
def encoded(argument: TensorMapArgument) -> bytes:
    """The map as a kernel's parameter. Raises LlmcError LLMC0942 for what the driver refuses."""
    cu = driver()
    rank = len(argument.extents)
    kind = TYPES.get(argument.elem, UNSIGNED[argument.elem_bytes])
    swizzle = f"CU_TENSOR_MAP_SWIZZLE_{argument.swizzle}B" if argument.swizzle else "CU_TENSOR_MAP_SWIZZLE_NONE"

    def wide(values: tuple[int, ...]) -> list[Any]:
        return [cu.cuuint64_t(v) for v in values]

    def narrow(values: tuple[int, ...]) -> list[Any]:
        return [cu.cuuint32_t(v) for v in values]

    made = check(
        cu.cuTensorMapEncodeTiled(
            getattr(cu.CUtensorMapDataType, f"CU_TENSOR_MAP_DATA_TYPE_{kind}"),
            rank,
            argument.pointer,
            wide(argument.extents),
            wide(argument.strides or (16,)),  # rank 1 has none, but the driver wants a pointer
            narrow(argument.box),
            narrow((1,) * rank),
            cu.CUtensorMapInterleave.CU_TENSOR_MAP_INTERLEAVE_NONE,
            getattr(cu.CUtensorMapSwizzle, swizzle),
            cu.CUtensorMapL2promotion.CU_TENSOR_MAP_L2_PROMOTION_L2_256B,
            cu.CUtensorMapFloatOOBfill.CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE,
        ),
        "encoding a tensor map",
        str(argument),
    )
    return ctypes.string_at(int(made.getPtr()), PARAMETER_BYTES)
