"""Registers as numpy arrays of bits, and the values of PTX types in them; rounding."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import ml_dtypes
import numpy as np

from .forms import TYPES

Array: TypeAlias = "np.ndarray[Any, Any]"
Fn: TypeAlias = Callable[..., Any]
Mods: TypeAlias = tuple[str, ...]

BITS: dict[str, Any] = {
    "b16": np.uint16,
    "b32": np.uint32,
    "b64": np.uint64,
    "f32": np.float32,
    "f64": np.float64,
    "pred": np.bool_,
}
"""Register kind → dtype of the arrays that hold it."""

NATIVE: dict[str, Any] = {
    "u8": np.uint8,
    "s8": np.int8,
    "b8": np.uint8,
    "u16": np.uint16,
    "s16": np.int16,
    "b16": np.uint16,
    "u32": np.uint32,
    "s32": np.int32,
    "b32": np.uint32,
    "u64": np.uint64,
    "s64": np.int64,
    "b64": np.uint64,
    "f16": np.float16,
    "bf16": ml_dtypes.bfloat16,
    "f32": np.float32,
    "f64": np.float64,
    "tf32": np.float32,
    "f16x2": np.float16,
    "bf16x2": ml_dtypes.bfloat16,
    "e4m3x2": ml_dtypes.float8_e4m3fn,
    "e5m2x2": ml_dtypes.float8_e5m2,
    "pred": np.bool_,
}
"""PTX type → numpy dtype of one element."""

PACKED = frozenset({"f16x2", "bf16x2", "e4m3x2", "e5m2x2"})
_UINT = {1: np.uint8, 2: np.uint16, 4: np.uint32, 8: np.uint64}


def read(x: Any, type_: str) -> Array:
    """A register as values of a PTX type; packed types get a last axis of 2 (low half first)."""
    dtype = np.dtype(NATIVE[type_])
    x = np.asarray(x)
    if type_ in PACKED:
        width = _UINT[2 * dtype.itemsize]
        bits = _as_uint(x).astype(width, copy=False)
        return np.ascontiguousarray(bits)[..., None].view(dtype)
    if type_ == "pred" or x.dtype == dtype:
        return x.astype(dtype, copy=False)
    if x.dtype.kind == "f" and x.dtype.itemsize == dtype.itemsize == 4 and dtype.kind == "f":
        return x
    bits = _as_uint(x).astype(_UINT[dtype.itemsize], copy=False)
    return np.ascontiguousarray(bits).view(dtype).reshape(bits.shape)


def write(value: Array, type_: str) -> Array:
    """Values of a PTX type as a register of its kind (8-bit ones extended to 32 bits by their sign)."""
    kind = TYPES[type_]
    dtype = np.dtype(NATIVE[type_])
    bits = np.dtype(BITS[kind])
    value = np.asarray(value)
    if type_ == "pred":
        return value.astype(np.bool_, copy=False)
    if value.dtype != dtype:
        with np.errstate(all="ignore"):
            value = value.astype(dtype)
    if type_ in PACKED:
        return np.ascontiguousarray(value).view(_UINT[2 * dtype.itemsize])[..., 0]
    if dtype.itemsize < bits.itemsize:  # u8, s8 in b32
        return value.astype(np.int32).view(np.uint32) if dtype.kind == "i" else value.astype(bits)
    if type_ == "tf32":
        return np.ascontiguousarray(value).view(np.uint32).reshape(value.shape)
    if value.dtype == bits:
        return value
    return np.ascontiguousarray(value).view(bits).reshape(value.shape)


def _as_uint(x: Array) -> Array:
    if x.dtype.kind == "u":
        return x
    if x.dtype.kind == "b":
        return x.astype(np.uint32)
    return np.ascontiguousarray(x).view(_UINT[x.dtype.itemsize]).reshape(x.shape)


def types_of(mods: Mods) -> list[str]:
    return [m for m in mods if m in TYPES]


def is_float(type_: str) -> bool:
    return type_[0] == "f" or type_[:2] == "bf"


def flush(value: Array) -> Array:
    return np.where(np.abs(value) < np.float32(1.1754944e-38), np.copysign(np.float32(0), value), value)


def float_in(x: Any, type_: str, mods: Mods) -> Array:
    """Operand as f64 (exact for every smaller type)."""
    value = read(x, type_)
    if "ftz" in mods and type_ == "f32":
        value = flush(value)
    return value.astype(np.float64)


def round_to(value: Array, type_: str, mode: str = "rn") -> Array:
    """f64 values rounded to a float type in a rounding mode (rn, rz, rm, rp); still as that type's dtype."""
    dtype = np.dtype(NATIVE[type_])
    with np.errstate(all="ignore"):
        if dtype == ml_dtypes.bfloat16 or dtype.itemsize == 1:
            # through f32 with round-to-odd, so that the second rounding is the only one that counts
            near = value.astype(np.float32)
            low = np.where(np.abs(near.astype(np.float64)) > np.abs(value), np.nextafter(near, np.float32(0)), near)
            inexact = (low.astype(np.float64) != value) & np.isfinite(value)
            odd = (low.view(np.uint32) | inexact.astype(np.uint32)).view(np.float32)
            near = odd.astype(dtype)
        else:
            near = value.astype(dtype)
        if mode in ("rn", ""):
            return near
        back = near.astype(np.float64)
        if (dtype.itemsize == 2 and dtype == ml_dtypes.bfloat16) or dtype.itemsize >= 2:
            towards = {"rz": (np.abs(back) > np.abs(value), 0.0), "rm": (back > value, -np.inf), "rp": (back < value, np.inf)}
            wrong, goal = towards[mode]
            stepped = np.nextafter(near, np.array(goal, dtype))
            return np.where(wrong & np.isfinite(value), stepped, near)
        return near
