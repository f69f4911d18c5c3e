"""What elementwise PTX instructions mean, on numpy arrays of registers (any shape: lanes, warps, CTAs).

    ELEMENTWISE[form.key](form.mods, *operands) -> array, or a tuple of which the caller takes as many as it has results

Registers are arrays of their bits: b16 uint16, b32 uint32, b64 uint64, f32 float32, f64 float64, pred bool_; results are
in the dtype of the form's result kind. A register of the same width but the other class (b32 for an `.f32` operand) is
reinterpreted, a wider integer truncated. Memory, barriers, shuffles, votes, ldmatrix, mma, wgmma belong to the emulator.

Where hardware is approximate (`ex2.approx`, `div.full`, …) these are correctly rounded, give or take one ulp. `fma` rounds
through f64. `.ftz` flushes subnormals of f32. `.rz/.rm/.rp` are honoured by cvt, add, sub, mul and fma.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import ml_dtypes
import numpy as np

from .values import (
    BITS,
    NATIVE,
    PACKED,
    Array,
    Fn,
    Mods,
    float_in,
    flush,
    is_float,
    read,
    round_to,
    types_of,
    write,
)

# --------------------------------------------------------------------------- floats


def _float_out(value: Array, type_: str, mods: Mods) -> Array:
    mode = next((m for m in mods if m in ("rz", "rm", "rp")), "rn")
    if "sat" in mods:
        value = np.where(np.isnan(value), 0.0, np.clip(value, 0.0, 1.0))
    if "relu" in mods:
        value = np.where(value < 0, 0.0, value)
    out = round_to(value, type_, mode)
    if "ftz" in mods and type_ == "f32":
        out = flush(out)
    return write(out, type_)


def _float_fn(fn: Callable[..., Array]) -> Fn:
    """A function of f64 arrays → a float instruction, rounded once at the end."""

    def run(mods: Mods, *operands: Any) -> Array:
        type_ = types_of(mods)[-1]
        with np.errstate(all="ignore"):
            return _float_out(fn(*(float_in(x, type_, mods) for x in operands)), type_, mods)

    return run


_FAST = {
    "add": np.add,
    "sub": np.subtract,
    "mul": np.multiply,
}


def _arith(name: str, integer: Fn) -> Fn:
    float_fn = _float_fn(_FAST[name])
    ufunc = _FAST[name]

    def run(mods: Mods, a: Any, b: Any) -> Array:
        type_ = mods[-1]
        if type_ == "f32" and (len(mods) == 1 or mods == ("rn", "f32")):  # the common case: native f32
            with np.errstate(all="ignore"):
                return ufunc(read(a, "f32"), read(b, "f32"))
        return float_fn(mods, a, b) if is_float(type_) else integer(mods, a, b)

    return run


# --------------------------------------------------------------------------- integers


def _wrap(fn: Callable[[Array, Array], Array]) -> Fn:
    def run(mods: Mods, a: Any, b: Any) -> Array:
        type_ = mods[-1]
        with np.errstate(all="ignore"):
            if "sat" in mods:
                wide = fn(read(a, type_).astype(np.int64), read(b, type_).astype(np.int64))
                return write(np.clip(wide, -(2**31), 2**31 - 1).astype(np.int32), type_)
            return write(fn(read(a, type_), read(b, type_)), type_)

    return run


def _width(type_: str) -> int:
    return np.dtype(NATIVE[type_]).itemsize * 8


def _wider(type_: str) -> str:
    return f"{type_[0]}{2 * _width(type_)}"


def _mul_high(a: Array, b: Array, type_: str) -> Array:
    width = _width(type_)
    if width < 64:
        wide = np.dtype(NATIVE[_wider(type_)])
        return (a.astype(wide) * b.astype(wide)) >> wide.type(width)
    ua, ub = a.view(np.uint64), b.view(np.uint64)
    mask, half = np.uint64(0xFFFFFFFF), np.uint64(32)
    a0, a1, b0, b1 = ua & mask, ua >> half, ub & mask, ub >> half
    middle = a1 * b0 + ((a0 * b0) >> half)
    other = a0 * b1 + (middle & mask)
    high = a1 * b1 + (middle >> half) + (other >> half)
    if type_[0] == "s":
        high = high - np.where(a < 0, ub, np.uint64(0)) - np.where(b < 0, ua, np.uint64(0))
    return high.view(a.dtype)


def _mul_int(mods: Mods, a: Any, b: Any) -> Array:
    type_ = mods[-1]
    x, y = np.atleast_1d(read(a, type_)), np.atleast_1d(read(b, type_))
    with np.errstate(all="ignore"):
        if mods[0] == "wide":
            wide = NATIVE[_wider(type_)]
            out, type_ = x.astype(wide) * y.astype(wide), _wider(type_)
        elif mods[0] == "hi":
            out = _mul_high(x, y, type_)
        else:
            out = x * y
    shape = np.broadcast_shapes(np.shape(a), np.shape(b))
    return write(out, type_).reshape(shape)


def _mad(mods: Mods, a: Any, b: Any, c: Any) -> Array:
    product = _mul_int(mods, a, b)
    type_ = _wider(mods[-1]) if mods[0] == "wide" else mods[-1]
    with np.errstate(all="ignore"):
        return write(read(product, type_) + read(c, type_), type_)


def _divide(a: Array, b: Array) -> tuple[Array, Array]:
    """Quotient towards zero and remainder; by zero: all ones and the dividend."""
    zero = b == 0
    safe = np.where(zero, 1, b).astype(b.dtype)
    if a.dtype.kind == "u":
        return np.where(zero, np.iinfo(a.dtype).max, a // safe).astype(a.dtype), np.where(zero, a, a % safe).astype(a.dtype)
    remainder = np.fmod(a, safe)
    quotient = (a - remainder) // safe
    return np.where(zero, -1, quotient).astype(a.dtype), np.where(zero, a, remainder).astype(a.dtype)


def _div(mods: Mods, a: Any, b: Any) -> Array:
    type_ = mods[-1]
    with np.errstate(all="ignore"):
        if is_float(type_):
            return _float_out(float_in(a, type_, mods) / float_in(b, type_, mods), type_, mods)
        return write(_divide(read(a, type_), read(b, type_))[0], type_)


def _rem(mods: Mods, a: Any, b: Any) -> Array:
    type_ = mods[-1]
    with np.errstate(all="ignore"):
        return write(_divide(read(a, type_), read(b, type_))[1], type_)


def _unary_either(integer: Callable[[Array], Array], real: Callable[[Array], Array]) -> Fn:
    def run(mods: Mods, a: Any) -> Array:
        type_ = mods[-1]
        with np.errstate(all="ignore"):
            value = read(a, type_)
            if is_float(type_):
                if "ftz" in mods and type_ == "f32":
                    value = flush(value)
                return write(real(value), type_)
            return write(integer(value), type_)

    return run


def _extreme(pick: Any, fpick: Any) -> Fn:
    def run(mods: Mods, a: Any, b: Any) -> Array:
        type_ = mods[-1]
        x, y = read(a, type_), read(b, type_)
        if not is_float(type_):
            return write(pick(x, y), type_)
        if "ftz" in mods and type_ == "f32":
            x, y = flush(x), flush(y)
        if x.dtype == ml_dtypes.bfloat16:
            x, y = x.astype(np.float32), y.astype(np.float32)
        with np.errstate(all="ignore"):
            return write((pick if "NaN" in mods else fpick)(x, y), type_)

    return run


def _bit_op(ufunc: Any) -> Fn:
    def run(mods: Mods, a: Any, b: Any) -> Array:
        return write(ufunc(read(a, mods[-1]), read(b, mods[-1])), mods[-1])

    return run


def _not(mods: Mods, a: Any) -> Array:
    return write(~read(a, mods[-1]), mods[-1])


def _cnot(mods: Mods, a: Any) -> Array:
    return write((read(a, mods[-1]) == 0).astype(NATIVE[mods[-1]]), mods[-1])


def _shl(mods: Mods, a: Any, n: Any) -> Array:
    type_ = mods[-1]
    x, amount = read(a, type_), read(n, "u32")
    width = _width(type_)
    shifted = x << np.minimum(amount, width - 1).astype(x.dtype)
    return write(np.where(amount >= width, 0, shifted).astype(x.dtype), type_)


def _shr(mods: Mods, a: Any, n: Any) -> Array:
    type_ = mods[-1]
    x, amount = read(a, type_), read(n, "u32")
    width = _width(type_)
    shifted = x >> np.minimum(amount, width - 1).astype(x.dtype)
    over = (x >> x.dtype.type(width - 1)) if type_[0] == "s" else np.zeros_like(x)
    return write(np.where(amount >= width, over, shifted).astype(x.dtype), type_)


def _shf(mods: Mods, a: Any, b: Any, c: Any) -> Array:
    both = (read(b, "u32").astype(np.uint64) << np.uint64(32)) | read(a, "u32").astype(np.uint64)
    amount = read(c, "u32")
    amount = (np.minimum(amount, 32) if mods[1] == "clamp" else amount & np.uint32(31)).astype(np.uint64)
    if mods[0] == "l":
        return ((both << amount) >> np.uint64(32)).astype(np.uint32)
    return (both >> amount).astype(np.uint32)


def _lop3(mods: Mods, a: Any, b: Any, c: Any, table: Any) -> Array:
    x, y, z = read(a, "b32"), read(b, "b32"), read(c, "b32")
    lut = int(np.asarray(table).reshape(-1)[0]) & 0xFF
    out = np.zeros(np.broadcast_shapes(x.shape, y.shape, z.shape), np.uint32)
    for i in range(8):
        if lut >> i & 1:
            out = out | ((x if i & 4 else ~x) & (y if i & 2 else ~y) & (z if i & 1 else ~z))
    return out


_PRMT_MODES: dict[str, tuple[tuple[int, ...], ...]] = {
    "f4e": ((0, 1, 2, 3), (1, 2, 3, 4), (2, 3, 4, 5), (3, 4, 5, 6)),
    "b4e": ((0, 7, 6, 5), (1, 0, 7, 6), (2, 1, 0, 7), (3, 2, 1, 0)),
    "rc8": ((0, 0, 0, 0), (1, 1, 1, 1), (2, 2, 2, 2), (3, 3, 3, 3)),
    "ecl": ((0, 1, 2, 3), (1, 1, 2, 3), (2, 2, 2, 3), (3, 3, 3, 3)),
    "ecr": ((0, 0, 0, 0), (0, 1, 1, 1), (0, 1, 2, 2), (0, 1, 2, 3)),
    "rc16": ((0, 1, 0, 1), (2, 3, 2, 3), (0, 1, 0, 1), (2, 3, 2, 3)),
}


def _prmt(mods: Mods, a: Any, b: Any, c: Any) -> Array:
    both = (read(b, "u32").astype(np.uint64) << np.uint64(32)) | read(a, "u32").astype(np.uint64)
    selector = read(c, "u32")
    both, selector = np.broadcast_arrays(both, selector)
    out = np.zeros(both.shape, np.uint32)
    mode = _PRMT_MODES.get(mods[-1])
    for i in range(4):
        if mode is None:
            nibble = (selector >> np.uint32(4 * i)) & np.uint32(15)
            byte = (both >> (np.uint64(8) * (nibble & np.uint32(7)).astype(np.uint64))).astype(np.uint32) & np.uint32(0xFF)
            byte = np.where(nibble & np.uint32(8), np.where(byte & np.uint32(0x80), np.uint32(0xFF), np.uint32(0)), byte)
        else:
            index = np.array([row[i] for row in mode], np.uint64)[selector & np.uint32(3)]
            byte = (both >> (np.uint64(8) * index)).astype(np.uint32) & np.uint32(0xFF)
        out |= byte.astype(np.uint32) << np.uint32(8 * i)
    return out


def _bfe(mods: Mods, a: Any, position: Any, length: Any) -> Array:
    type_ = mods[-1]
    width = _width(type_)
    x = read(a, f"u{width}").astype(np.uint64)
    if type_[0] == "s":
        x = read(a, type_).astype(np.int64).view(np.uint64)
    p, n = read(position, "u32") & np.uint32(0xFF), read(length, "u32") & np.uint32(0xFF)
    x, p, n = np.broadcast_arrays(x, p, n)
    if type_[0] == "s":
        signed = x.view(np.int64)
        keep = np.minimum(n, np.where(p < width, width - p, 0)).astype(np.int64)
        shifted = signed >> np.minimum(p, 63).astype(np.int64)
        up = np.maximum(64 - keep, 0)
        out = np.where(
            keep == 0, np.where(n == 0, 0, signed >> np.int64(63)), (shifted << np.minimum(up, 63)) >> np.minimum(up, 63)
        )
        return write(out.astype(NATIVE[type_]), type_)
    shifted = np.where(p >= width, np.uint64(0), x >> np.minimum(p, 63).astype(np.uint64))
    mask = np.where(n >= 64, ~np.uint64(0), (np.uint64(1) << np.minimum(n, 63).astype(np.uint64)) - np.uint64(1))
    return write((shifted & mask).astype(NATIVE[type_]), type_)


def _bfi(mods: Mods, a: Any, b: Any, position: Any, length: Any) -> Array:
    type_ = mods[-1]
    width = _width(type_)
    x, y = read(a, type_).astype(np.uint64), read(b, type_).astype(np.uint64)
    p, n = read(position, "u32") & np.uint32(0xFF), read(length, "u32") & np.uint32(0xFF)
    mask = np.where(n >= 64, ~np.uint64(0), (np.uint64(1) << np.minimum(n, 63).astype(np.uint64)) - np.uint64(1))
    shift = np.minimum(p, 63).astype(np.uint64)
    mask = np.where(p >= width, np.uint64(0), mask << shift)
    return write(((y & ~mask) | ((x << shift) & mask)).astype(NATIVE[type_]), type_)


def _popc(mods: Mods, a: Any) -> Array:
    return np.bitwise_count(read(a, mods[-1])).astype(np.uint32) if hasattr(np, "bitwise_count") else _popc_slow(mods, a)


def _popc_slow(mods: Mods, a: Any) -> Array:
    x = read(a, mods[-1]).astype(np.uint64)
    count = np.zeros(x.shape, np.uint32)
    for i in range(64):
        count += ((x >> np.uint64(i)) & np.uint64(1)).astype(np.uint32)
    return count


def _high_bit(x: Array) -> Array:
    """Index of the highest set bit, -1 for 0."""
    out = np.full(x.shape, -1, np.int32)
    for i in range(64):
        out = np.where((x >> np.uint64(i)) & np.uint64(1) != 0, i, out)
    return out.astype(np.int32)


def _clz(mods: Mods, a: Any) -> Array:
    return (_width(mods[-1]) - 1 - _high_bit(read(a, mods[-1]).astype(np.uint64))).astype(np.uint32)


def _bfind(mods: Mods, a: Any) -> Array:
    type_ = mods[-1]
    x = read(a, type_)
    if type_[0] == "s":
        x = np.where(x < 0, ~x, x)
    high = _high_bit(x.astype(np.uint64))
    if "shiftamt" in mods:
        high = np.where(high < 0, -1, _width(type_) - 1 - high)
    return high.astype(np.int32).view(np.uint32)


def _brev(mods: Mods, a: Any) -> Array:
    width = _width(mods[-1])
    x = read(a, mods[-1]).astype(np.uint64)
    out = np.zeros_like(x)
    for i in range(width):
        out |= ((x >> np.uint64(i)) & np.uint64(1)) << np.uint64(width - 1 - i)
    return write(out.astype(NATIVE[mods[-1]]), mods[-1])


def _dp4a(mods: Mods, a: Any, b: Any, c: Any) -> Array:
    x = np.ascontiguousarray(read(a, "u32"))[..., None].view(np.int8 if mods[0] == "s32" else np.uint8).astype(np.int64)
    y = np.ascontiguousarray(read(b, "u32"))[..., None].view(np.int8 if mods[1] == "s32" else np.uint8).astype(np.int64)
    return ((x * y).sum(-1) + read(c, "s32").astype(np.int64)).astype(np.uint32)


# --------------------------------------------------------------------------- comparisons

_COMPARE: dict[str, Callable[[Array, Array], Array]] = {
    "eq": np.equal,
    "ne": np.not_equal,
    "lt": np.less,
    "le": np.less_equal,
    "gt": np.greater,
    "ge": np.greater_equal,
    "lo": np.less,
    "ls": np.less_equal,
    "hi": np.greater,
    "hs": np.greater_equal,
}


def compare(cmp: str, a: Array, b: Array, type_: str) -> Array:
    """A PTX comparison of values of a type, bool."""
    if not is_float(type_):
        return _COMPARE[cmp](a, b)
    with np.errstate(all="ignore"):
        unordered = (
            np.isnan(a.astype(np.float32)) | np.isnan(b.astype(np.float32))
            if a.dtype.itemsize < 8
            else (np.isnan(a) | np.isnan(b))
        )
        if cmp == "num":
            return ~unordered
        if cmp == "nan":
            return unordered
        if len(cmp) == 3:
            return _COMPARE[cmp[:2]](a, b) | unordered
        return _COMPARE[cmp](a, b) & ~unordered


def _setp(mods: Mods, a: Any, b: Any, c: Any = None) -> tuple[Array, Array]:
    """(p, q): q is the negated comparison combined with c; for f16x2 the comparison of the high halves."""
    type_ = mods[-1]
    x, y = read(a, type_), read(b, type_)
    if "ftz" in mods and type_ == "f32":
        x, y = flush(x), flush(y)
    holds = compare(mods[0], x, y, type_)
    if type_ == "f16x2":
        return holds[..., 0], holds[..., 1]
    if c is None:
        return holds, ~holds
    combine = {"and": np.logical_and, "or": np.logical_or, "xor": np.logical_xor}[mods[1]]
    return combine(holds, c), combine(~holds, c)


def _set(mods: Mods, a: Any, b: Any) -> Array:
    result, type_ = types_of(mods)[0], mods[-1]
    holds = compare(mods[0], read(a, type_), read(b, type_), type_)
    if result == "f32":
        return holds.astype(np.float32)
    return np.where(holds, np.uint32(0xFFFFFFFF), np.uint32(0))


def _selp(mods: Mods, a: Any, b: Any, p: Any) -> Array:
    return write(np.where(p, read(a, mods[-1]), read(b, mods[-1])), mods[-1])


# --------------------------------------------------------------------------- conversions

_TO_INTEGRAL: dict[str, Callable[[Array], Array]] = {"rni": np.rint, "rzi": np.trunc, "rmi": np.floor, "rpi": np.ceil}


def _cvt(mods: Mods, *operands: Any) -> Array:
    to, source = types_of(mods)[-2:]
    with np.errstate(all="ignore"):
        if to in PACKED or source in PACKED:
            return _cvt_packed(mods, to, source, operands)
        a = operands[0]
        if to == "tf32":
            return _cvt_tf32(mods, read(a, "f32"))
        if not is_float(to):
            info = np.iinfo(NATIVE[to])
            if is_float(source):
                value = _TO_INTEGRAL[mods[0]](float_in(a, source, mods))
                value = np.where(np.isnan(value), 0.0, value)
                out = np.clip(value, float(info.min), float(info.max))
                top = value >= float(info.max)
                result = np.where(top, 0.0, out).astype(NATIVE[to])
                return write(np.where(top, info.max, result).astype(NATIVE[to]), to)
            value = read(a, source)
            if "sat" in mods:
                value = np.clip(value.astype(object), info.min, info.max).astype(NATIVE[to])
            return write(value.astype(NATIVE[to]), to)
        if not is_float(source):
            value = read(a, source)
            if to == "f32" and mods[0] == "rn" and len(mods) == 3:
                return value.astype(np.float32)
            if to == "f64":
                return value.astype(np.float64)
            return _float_out(value.astype(np.float64), to, mods)
        value = float_in(a, source, mods)
        integral = _TO_INTEGRAL.get(mods[0])
        if integral is not None:
            value = integral(value)
        return _float_out(value, to, mods)


def _cvt_packed(mods: Mods, to: str, source: str, operands: tuple[Any, ...]) -> Array:
    if source == "f32":  # the first operand is the upper half
        upper, lower = np.broadcast_arrays(read(operands[0], "f32"), read(operands[1], "f32"))
        value = np.stack([lower, upper], -1).astype(np.float64)
    else:
        value = read(operands[0], source).astype(np.float32).astype(np.float64)
    if "relu" in mods:
        value = np.where(value < 0, 0.0, value)
    if "satfinite" in mods:
        limit = float(ml_dtypes.finfo(NATIVE[to]).max)
        value = np.where(np.isnan(value), value, np.clip(value, -limit, limit))
    return write(round_to(value, to, "rz" if "rz" in mods else "rn"), to)


def _cvt_tf32(mods: Mods, value: Array) -> Array:
    bits = np.ascontiguousarray(value).view(np.uint32).reshape(value.shape)
    finite = (bits & np.uint32(0x7F800000)) != 0x7F800000
    if "rz" in mods:
        step = np.uint32(0)
    elif "rna" in mods:
        step = np.uint32(0x1000)
    else:
        step = np.uint32(0xFFF) + ((bits >> np.uint32(13)) & np.uint32(1))
    return np.where(finite, bits + step, bits) & np.uint32(0xFFFFE000)


def _cvt_pack(mods: Mods, a: Any, b: Any, c: Any = None) -> Array:
    """a goes above b; with c, those two sit below c's shifted contents (c's low half moves up)."""
    small = types_of(mods)[0]
    info = np.iinfo(NATIVE[small])
    width = _width(small)
    mask = np.uint32((1 << width) - 1)
    x = np.clip(read(a, "s32"), info.min, info.max).astype(np.int32).view(np.uint32) & mask
    y = np.clip(read(b, "s32"), info.min, info.max).astype(np.int32).view(np.uint32) & mask
    out = (x << np.uint32(width)) | y
    if c is not None:
        out = out | (read(c, "u32") << np.uint32(2 * width))
    return out


def _mov(mods: Mods, a: Any) -> Array:
    return write(read(a, mods[-1]), mods[-1])


def _testp(mods: Mods, a: Any) -> Array:
    value = read(a, mods[-1])
    tiny = np.finfo(value.dtype).tiny
    return {
        "finite": np.isfinite(value),
        "infinite": np.isinf(value),
        "number": ~np.isnan(value),
        "notanumber": np.isnan(value),
        "normal": np.isfinite(value) & (np.abs(value) >= tiny),
        "subnormal": (value != 0) & (np.abs(value) < tiny),
    }[mods[0]]


def _multiply_add(a: Array, b: Array, c: Array) -> Array:
    return a * b + c


def _reciprocal(a: Array) -> Array:
    return 1.0 / a


def _reciprocal_root(a: Array) -> Array:
    return 1.0 / np.sqrt(a)


def _copysign(mods: Mods, a: Any, b: Any) -> Array:
    """PTX's copysign takes the sign of its first operand."""
    return write(np.copysign(read(b, mods[-1]), read(a, mods[-1])), mods[-1])


def _cvta(mods: Mods, a: Any) -> Any:
    return a


ELEMENTWISE: dict[str, Fn] = {
    "add": _arith("add", _wrap(np.add)),
    "sub": _arith("sub", _wrap(np.subtract)),
    "mul": _arith("mul", _mul_int),
    "mad": _mad,
    "fma": _float_fn(_multiply_add),
    "div": _div,
    "rem": _rem,
    "abs": _unary_either(np.abs, np.abs),
    "neg": _unary_either(np.negative, np.negative),
    "min": _extreme(np.minimum, np.fmin),
    "max": _extreme(np.maximum, np.fmax),
    "copysign": _copysign,
    "sqrt": _float_fn(np.sqrt),
    "rsqrt": _float_fn(_reciprocal_root),
    "rcp": _float_fn(_reciprocal),
    "ex2": _float_fn(np.exp2),
    "lg2": _float_fn(np.log2),
    "sin": _float_fn(np.sin),
    "cos": _float_fn(np.cos),
    "tanh": _float_fn(np.tanh),
    "popc": _popc,
    "clz": _clz,
    "bfind": _bfind,
    "brev": _brev,
    "bfe": _bfe,
    "bfi": _bfi,
    "dp4a": _dp4a,
    "and": _bit_op(np.bitwise_and),
    "or": _bit_op(np.bitwise_or),
    "xor": _bit_op(np.bitwise_xor),
    "not": _not,
    "cnot": _cnot,
    "shl": _shl,
    "shr": _shr,
    "shf": _shf,
    "lop3": _lop3,
    "prmt": _prmt,
    "setp": _setp,
    "set": _set,
    "selp": _selp,
    "cvt": _cvt,
    "cvt.pack": _cvt_pack,
    "mov": _mov,
    "testp": _testp,
    "cvta": _cvta,
}
"""Semantics key → function of (mods, *operands). `cvta` is the identity: the emulator's spaces share one address range,
unless it maps them itself."""

__all__ = ["BITS", "ELEMENTWISE", "NATIVE", "PACKED", "compare", "read", "round_to", "types_of", "write"]
