"""Elementwise instructions: the table of meanings in dialects/ptx/semantics.py, and short cuts for the most frequent ones.

A short cut is one numpy ufunc that writes into the destination register. Short cuts do not flush subnormals; the table, and so a
strict device, does.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import ml_dtypes
import numpy as np

from ...dialects.ptx.program import Immediate, Operand, Pair, Register, Special, Symbol, Vector
from ...dialects.ptx.semantics import ELEMENTWISE
from .binder import DTYPES, SIGNED_OF, UNSIGNED_OF, Binder, Bound
from .bits import BIT_SHORT_CUTS, PACKED, halves
from .decode import Instr
from .fault import Fault

Array = np.ndarray[Any, Any]
BF16 = np.dtype(ml_dtypes.bfloat16)
ROUNDING = {"rn", "ftz", "approx", "full"}

INTEGER_UFUNCS: dict[str, Any] = {
    "add": np.add, "sub": np.subtract, "min": np.minimum, "max": np.maximum, "and": np.bitwise_and, "or": np.bitwise_or,
    "xor": np.bitwise_xor, "shl": np.left_shift, "shr": np.right_shift, "not": np.invert, "neg": np.negative, "abs": np.absolute,
}  # fmt: skip
FLOAT_UFUNCS: dict[str, Any] = {
    "add": np.add, "sub": np.subtract, "mul": np.multiply, "div": np.divide, "min": np.fmin, "max": np.fmax, "neg": np.negative,
    "abs": np.absolute, "sqrt": np.sqrt, "ex2": np.exp2, "lg2": np.log2, "sin": np.sin, "cos": np.cos, "tanh": np.tanh,
}  # fmt: skip
COMPARISONS: dict[str, Any] = {
    "eq": np.equal, "ne": np.not_equal, "lt": np.less, "le": np.less_equal, "gt": np.greater, "ge": np.greater_equal,
    "lo": np.less, "ls": np.less_equal, "hi": np.greater, "hs": np.greater_equal,
}  # fmt: skip


def ufunc(function: Any, sources: list[Array], target: Array) -> Bound:
    """Closures for a function with an output argument whose results have the target's type."""

    def slow(mask: Array) -> None:
        np.copyto(target, function(*sources), where=mask)

    return partial(function, *sources, out=target), slow


def _plain(operands: tuple[Operand, ...]) -> bool:
    return all(
        isinstance(o, (Register, Immediate, Special, Symbol)) and not (isinstance(o, Register) and o.negated) for o in operands
    )


def bind_arithmetic(b: Binder, instr: Instr) -> Bound:
    """Closures of an elementwise instruction. Raises Fault for an instruction that nobody knows."""
    if instr.base == "mov" and any(isinstance(a, Vector) for a in instr.args):
        return _mov_vector(b, instr)
    if not b.ctx.strict or instr.type not in ("f32", "f64"):
        bound = _short_cut(b, instr)
        if bound is not None:
            return bound
    return _from_table(b, instr)


# -- the table -------------------------------------------------------------------------------------------------------------------------


def _from_table(b: Binder, instr: Instr) -> Bound:
    form = instr.source.form
    function = ELEMENTWISE.get(form.key if form is not None else instr.base)
    if function is None or not instr.args:
        raise Fault(f"the emulator does not have {instr.opcode}", fix="compile for sm_80, or run on a GPU")
    results, operands = instr.args[:1], instr.args[1:]
    places: list[Operand] = []
    for result in results:
        places.extend((result.first, result.second) if isinstance(result, Pair) else (result,))
    targets = [b.target(p, b.storage(p).dtype if isinstance(p, Register) else np.dtype(np.uint64)) for p in places]
    sources = [_operand(b, o) for o in operands]
    negated = [isinstance(o, Register) and o.negated for o in operands]
    mods, count = instr.mods, len(places)
    call: Callable[..., Any] = partial(function, mods)
    if any(negated):

        def call_negated(*values: Array) -> Any:
            return function(mods, *(~v if n else v for v, n in zip(values, negated, strict=True)))

        call = call_negated
    if instr.base == "setp":  # always (p, q)
        first = call
        call = (lambda *values: first(*values)[0]) if count == 1 else first
    elif count == 1:
        value_of = call
        call = lambda *values: _bits(value_of(*values))  # noqa: E731
    return b.assign(call, sources, targets)


def _bits(value: Array) -> Array:
    """A float result as the bits that registers hold."""
    return value.view(UNSIGNED_OF[value.dtype.itemsize]) if value.dtype.kind == "f" else value


def _operand(b: Binder, operand: Operand) -> Array:
    """A register as it is stored; an immediate in the type that its spelling says (the table truncates and reinterprets)."""
    if isinstance(operand, Register):
        return b.storage(operand)
    if isinstance(operand, Immediate):
        if operand.float_width == 32:
            return np.array([operand.value], np.uint32).view(np.float32)
        bits = np.array([operand.value & 0xFFFF_FFFF_FFFF_FFFF], np.uint64)
        return bits.view(np.float64) if operand.float_width else bits
    if isinstance(operand, Special):
        return b.source(operand, DTYPES["u64" if operand.name in ("%clock64", "%globaltimer", "%gridid") else "u32"])
    return b.source(operand, DTYPES["u64"])


# -- short cuts ------------------------------------------------------------------------------------------------------------------------


def _short_cut(b: Binder, instr: Instr) -> Bound | None:
    args, base, mods = instr.args, instr.base, instr.mods
    if not args or not isinstance(args[0], Register) or not _plain(args[1:]):
        return None
    if base == "cvt":
        return _convert(b, instr)
    if base in BIT_SHORT_CUTS:
        return BIT_SHORT_CUTS[base](b, instr)
    if instr.type in PACKED and base != "mov":
        return halves(b, instr)
    dtype = DTYPES.get(instr.type)
    if dtype is None or dtype == np.float16:
        return None
    if base == "setp":
        return _compare(b, instr, dtype)
    if base == "selp":
        return _select(b, instr, dtype)
    if base == "mov":
        return ufunc(_copy, [b.source(args[1], dtype)], b.target(args[0], dtype))
    if dtype.kind == "f":
        if base in ("min", "max") and "NaN" in mods:
            return ufunc(
                np.minimum if base == "min" else np.maximum, [b.source(a, dtype) for a in args[1:]], b.target(args[0], dtype)
            )
        if base == "copysign":
            return ufunc(np.copysign, [b.source(args[2], dtype), b.source(args[1], dtype)], b.target(args[0], dtype))
        return _float(b, instr, dtype) if set(mods[:-1]) <= ROUNDING else None
    if base in ("mul", "mad"):
        return _multiply(b, instr, dtype)
    if base in INTEGER_UFUNCS and len(mods) == 1:
        if dtype.kind == "b":
            function = {"and": np.logical_and, "or": np.logical_or, "xor": np.logical_xor, "not": np.logical_not}[base]
        else:
            function = INTEGER_UFUNCS[base]
        sources = [b.source(args[1], dtype)]
        if base in ("shl", "shr"):
            amount = b.source(args[2], DTYPES["u32"])
            if dtype.itemsize == 4:
                sources.append(amount.view(dtype))
            elif len(amount) == 1:
                sources.append(amount.astype(dtype))
            else:
                return None
        else:
            sources += [b.source(a, dtype) for a in args[2:]]
        return ufunc(function, sources, b.target(args[0], dtype))
    return None


def _copy(source: Array, out: Array | None = None) -> Array:
    if out is None:
        return source
    np.copyto(out, source)
    return out


def _fused(x: Array, y: Array, z: Array) -> Array:
    """x * y + z of f32 through f64, where the product is exact: argument reductions (sin, exp) rely on it."""
    result = np.multiply(x.astype(np.float64), y)
    return np.add(result, z, out=result) if len(result) >= len(z) else result + z


def _float(b: Binder, instr: Instr, dtype: np.dtype[Any]) -> Bound | None:
    args, base = instr.args, instr.base
    sources = [b.source(a, dtype) for a in args[1:]]
    target = b.target(args[0], dtype)
    if base in FLOAT_UFUNCS:
        return ufunc(FLOAT_UFUNCS[base], sources, target)
    if base == "fma":
        return b.assign(_fused if dtype == np.float32 else lambda x, y, z: x * y + z, sources, [target])
    one = dtype.type(1)
    if base == "rcp":

        def reciprocal(x: Array, out: Array | None = None) -> Array:
            return np.divide(one, x, out)

        return ufunc(reciprocal, sources, target)
    if base == "rsqrt":

        def reciprocal_root(x: Array, out: Array | None = None) -> Array:
            return np.divide(one, np.sqrt(x), out)

        return ufunc(reciprocal_root, sources, target)
    return None


def _multiply(b: Binder, instr: Instr, dtype: np.dtype[Any]) -> Bound | None:
    args, mode = instr.args, instr.mods[0]
    if mode == "wide":
        wide = (SIGNED_OF if dtype.kind == "i" else UNSIGNED_OF)[2 * dtype.itemsize]
    elif mode == "lo":
        wide = dtype
    else:
        return None
    first, second = b.source(args[1], dtype), b.source(args[2], dtype)
    target = b.target(args[0], wide)
    if instr.base == "mul":

        def product(x: Array, y: Array, out: Array | None = None) -> Array:
            return np.multiply(x, y, out, dtype=wide)

        return ufunc(product, [first, second], target)
    third = b.source(args[3], wide)

    def product_sum(x: Array, y: Array, z: Array, out: Array | None = None) -> Array:
        return np.add(np.multiply(x, y, dtype=wide), z, out)

    return ufunc(product_sum, [first, second, third], target)


def _compare(b: Binder, instr: Instr, dtype: np.dtype[Any]) -> Bound | None:
    mods = [m for m in instr.mods if m != "ftz"]
    function = COMPARISONS.get(mods[0])
    if mods[0] in UNORDERED and dtype.kind == "f":
        function = UNORDERED[mods[0]]
    elif dtype.kind == "f" and mods[0] == "ne":
        function = _differs
    if function is None or len(mods) != 2:
        return None
    return ufunc(function, [b.source(a, dtype) for a in instr.args[1:]], b.target(instr.args[0], DTYPES["pred"]))


UNORDERED: dict[str, Any] = {"neu": np.not_equal}


def _differs(x: Array, y: Array, out: Array | None = None) -> Array:
    """Ordered inequality: false where either is NaN."""
    return np.logical_or(x < y, x > y, out=out)


def _select(b: Binder, instr: Instr, dtype: np.dtype[Any]) -> Bound:
    args = instr.args
    sources = [b.source(args[3], DTYPES["pred"]), b.source(args[1], dtype), b.source(args[2], dtype)]
    return b.assign(np.where, sources, [b.target(args[0], dtype)])


INTEGRAL: dict[str, Any] = {"rni": np.rint, "rzi": np.trunc, "rmi": np.floor, "rpi": np.ceil}


def _convert(b: Binder, instr: Instr) -> Bound | None:
    args, mods = instr.args, instr.mods
    to, source = mods[-2], mods[-1]
    rest = set(mods[:-2]) - {"rn", "ftz"}
    if rest and source == "f32" and to == "f32" and rest <= set(INTEGRAL) and len(rest) == 1:
        return ufunc(INTEGRAL[rest.pop()], [b.source(args[1], DTYPES["f32"])], b.target(args[0], DTYPES["f32"]))
    if rest:
        return None
    if to == "bf16x2" and source == "f32":
        halves = b.storage(args[0]).view(np.uint16).reshape(-1, 2) if isinstance(args[0], Register) else None
        upper, lower = b.source(args[1], DTYPES["f32"]), b.source(args[2], DTYPES["f32"])
        if halves is None:
            return None

        def pack() -> None:
            high = upper.astype(BF16).view(np.uint16)
            halves[:, 0] = lower.astype(BF16).view(np.uint16)
            halves[:, 1] = high

        def pack_some(mask: Array) -> None:
            np.copyto(halves[:, 0], lower.astype(BF16).view(np.uint16), where=mask) if args[0] not in args[1:] else None
            np.copyto(halves[:, 1], upper.astype(BF16).view(np.uint16), where=mask)

        return (pack, pack_some) if args[0] not in args[1:] else None
    if to == "f32" and source == "bf16":
        return b.assign(
            lambda x: x.view(BF16).astype(np.float32), [b.source(args[1], DTYPES["b16"])], [b.target(args[0], DTYPES["f32"])]
        )
    if to == "bf16" and source == "f32":
        return b.assign(
            lambda x: x.astype(BF16).view(np.uint16), [b.source(args[1], DTYPES["f32"])], [b.target(args[0], DTYPES["b16"])]
        )
    if to not in DTYPES or source not in DTYPES:
        return None
    into, origin = DTYPES[to], DTYPES[source]
    if origin.kind == "f" and into.kind != "f":
        return None
    value = b.source(args[1], origin)
    target = b.target(args[0], into)
    if origin.kind == "f" or into.kind == "f" or into.itemsize >= origin.itemsize:
        if target.dtype != into:  # sign or zero extension of a narrow result
            return b.assign(lambda x: x.astype(into), [value], [target])
        return b.assign(lambda x: x, [value], [target])
    return b.assign(lambda x: x.astype(into), [value], [target])


def _mov_vector(b: Binder, instr: Instr) -> Bound:
    """`mov.b64 {lo, hi}, d` and back."""
    whole = DTYPES[instr.type]
    first, second = instr.args[0], instr.args[1]
    if isinstance(first, Vector):
        part = UNSIGNED_OF[whole.itemsize // len(first.items)]
        value = b.source(second, whole)
        targets = [b.target(item, part) for item in first.items]

        def split(whole_value: Array) -> list[Array]:
            pieces = np.ascontiguousarray(whole_value).view(part).reshape(-1, len(targets))
            return [pieces[:, i] for i in range(len(targets))]

        return b.assign((lambda v: split(v)[0]) if len(targets) == 1 else split, [value], targets)
    assert isinstance(second, Vector)
    part = UNSIGNED_OF[whole.itemsize // len(second.items)]
    sources = [b.source(item, part) for item in second.items]
    count = b.count

    def join(*values: Array) -> Array:
        out = np.empty((count, len(values)), part)
        for i, value in enumerate(values):
            out[:, i] = value
        return out.view(whole)[:, 0]

    return b.assign(join, sources, [b.target(first, whole)])
