"""numpy dtypes of IR element types, and rounding to them under the interpreter's options."""

from __future__ import annotations

from typing import Any

import ml_dtypes
import numpy as np
from xdsl.dialects.builtin import (
    BFloat16Type,
    Float8E4M3FNType,
    Float8E5M2Type,
    Float16Type,
    Float32Type,
    Float64Type,
    IndexType,
    IntegerType,
)
from xdsl.ir import Attribute

from .interpret import Options

_FLOATS: dict[type[Attribute], Any] = {
    BFloat16Type: ml_dtypes.bfloat16,
    Float16Type: np.float16,
    Float32Type: np.float32,
    Float64Type: np.float64,
    Float8E4M3FNType: ml_dtypes.float8_e4m3fn,
    Float8E5M2Type: ml_dtypes.float8_e5m2,
}
_INTS = {1: np.bool_, 8: np.int8, 16: np.int16, 32: np.int32, 64: np.int64}


def is_float(elem: Attribute) -> bool:
    """Whether an element type is a float that numpy or ml_dtypes can hold."""
    return type(elem) in _FLOATS


def dtype_of(elem: Attribute) -> np.dtype[Any]:
    """The numpy dtype that stores an element type; `index` is int64. Raises TypeError for others."""
    found = _FLOATS.get(type(elem))
    if found is not None:
        return np.dtype(found)
    if isinstance(elem, IntegerType):
        return np.dtype(_INTS[elem.width.data])
    if isinstance(elem, IndexType):
        return np.dtype(np.int64)
    raise TypeError(f"no numpy dtype for {elem}")


def widen(value: Any, options: Options) -> Any:
    """A float array in the dtype of arithmetic (`options.compute`); anything else as it is."""
    array = np.asarray(value)
    if array.dtype.kind in "iub?":
        return array
    return array.astype(options.compute, copy=False)


def rounded(value: Any, elem: Attribute, options: Options) -> Any:
    """`value` in the dtype that stores `elem`. f32 results stay in `options.compute` when that is wider, and no float
    is rounded when `options.round` is off."""
    array = np.asarray(value)
    if not is_float(elem):
        return array.astype(dtype_of(elem), copy=False)
    if not options.round:
        return array.astype(options.compute, copy=False)
    if isinstance(elem, Float32Type | Float64Type):
        return array.astype(options.compute, copy=False)
    return array.astype(np.float32, copy=False).astype(dtype_of(elem), copy=False)


def power(x: Any, y: Any) -> Any:
    """x ** y. Integers wrap; by a negative exponent 1 and -1 only are not 0."""
    x, y = np.asarray(x), np.asarray(y)
    if x.dtype.kind == "f":
        return np.power(x, y)
    negative = y < 0
    return np.where(negative & (np.abs(x) != 1), 0, np.power(x, np.where(negative, y & 1, y)))
