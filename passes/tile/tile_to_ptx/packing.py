"""Elements in and out of packed registers.

unpack: packed register → one scalar (bf16 → f32 by a shift or a mask)
pack:   scalars → packed registers (bf16: cvt.rn.bf16x2.f32, or a byte permute when no rounding is due)
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from xdsl.dialects.builtin import BFloat16Type, Float16Type, IntegerType
from xdsl.ir import Attribute, SSAValue

from .emitter import Emitter, Scalar
from .values import Narrow, elem_size, is_narrow_float, pack_of, register_kind, unsupported

Element = Scalar | Narrow


def as_kind(emitter: Emitter, value: Scalar, kind: str) -> SSAValue:
    """`value` in a register of exactly this kind (b32 ↔ f32 is a register copy)."""
    if isinstance(value, SSAValue):
        if value.type.data[0] == kind:  # pyright: ignore
            return value
        return emitter.op(f"mov.{kind}", value)
    if kind == "pred":
        return emitter.op("setp.ne.u32", emitter.op("mov.b32", int(value)), 0)
    if kind in ("f32", "f64"):
        value = float(value)
    return emitter.op(f"mov.{kind}", value)


def fp8_text(elem: Attribute) -> str:
    """The PTX name of an 8-bit float."""
    name = str(elem)
    if "E4M3" in name:
        return "e4m3x2"
    if "E5M2" in name:
        return "e5m2x2"
    raise unsupported(f"elements of type {name}", elem)


def unpack(emitter: Emitter, elem: Attribute, words: Sequence[SSAValue], index: int) -> Element:
    """Element `index` of packed registers."""
    pack = pack_of(elem)
    word = words[index // pack]
    part = index % pack
    if pack == 1:
        return word
    if isinstance(elem, BFloat16Type):
        bits = emitter.op("shl.b32", word, 16) if part == 0 else emitter.op("and.b32", word, -65536)
        return Narrow(bits, True)
    if isinstance(elem, Float16Type):
        halves = unpack_halves(emitter, word)
        return Narrow(emitter.op("cvt.f32.f16", halves[part]), True)
    if isinstance(elem, IntegerType):
        bits = 8 * elem_size(elem)
        return emitter.op("bfe.s32", word, part * bits, bits)
    halves = unpack_halves(emitter, word)
    pair = emitter.op(f"cvt.rn.f16x2.{fp8_text(elem)}", halves[part // 2])
    return Narrow(emitter.op("cvt.f32.f16", unpack_halves(emitter, pair)[part % 2]), True)


def unpack_halves(emitter: Emitter, word: SSAValue) -> tuple[SSAValue, SSAValue]:
    """The low and high 16 bits of a 32-bit register."""
    return emitter.op_results("mov.b32", (word,), 2)


def to_f32(value: Element) -> SSAValue | float:
    """The f32 that stands for a float scalar."""
    if isinstance(value, Narrow):
        return value.value
    return value if isinstance(value, SSAValue) else float(value)


def rounded(emitter: Emitter, elem: Attribute, value: Element) -> SSAValue | float:
    """The f32 that stands for a narrow float, rounded to its type."""
    if not isinstance(value, Narrow):
        value = Narrow(to_f32(value), False)
    if value.exact:
        return value.value
    word = pack_word(emitter, elem, [value] * 1)
    return to_f32(unpack(emitter, elem, [word], 0))


def pack_word(emitter: Emitter, elem: Attribute, parts: Sequence[Element]) -> SSAValue:
    """One packed register from up to `pack_of(elem)` elements; missing ones are undefined or zero."""
    pack = pack_of(elem)
    if pack == 1:
        value = parts[0]
        return as_kind(emitter, to_f32(value) if isinstance(value, Narrow) else value, register_kind(elem))
    if is_narrow_float(elem):
        if isinstance(elem, BFloat16Type | Float16Type):
            low = to_f32(parts[0])
            high = to_f32(parts[1]) if len(parts) > 1 else 0.0
            exact = all(isinstance(p, Narrow) and p.exact for p in parts)
            if exact and isinstance(elem, BFloat16Type) and isinstance(low, SSAValue) and isinstance(high, SSAValue):
                return emitter.op("prmt.b32", bits(emitter, low), bits(emitter, high), 0x7632)
            name = "bf16x2" if isinstance(elem, BFloat16Type) else "f16x2"
            return emitter.op(f"cvt.rn.{name}.f32", high, low)
        values = [to_f32(p) for p in parts] + [0.0] * (4 - len(parts))
        name = fp8_text(elem)
        low_half = emitter.op(f"cvt.rn.satfinite.{name}.f32", values[1], values[0])
        high_half = emitter.op(f"cvt.rn.satfinite.{name}.f32", values[3], values[2])
        return emitter.op("mov.b32", (low_half, high_half))
    values: list[Any] = [emitter.reg(p) for p in parts]  # pyright: ignore
    if pack == 2:
        return emitter.op("prmt.b32", values[0], values[1] if len(values) > 1 else values[0], 0x5410)
    while len(values) < 4:
        values.append(values[-1])
    low_pair = emitter.op("prmt.b32", values[0], values[1], 0x0040)
    high_pair = emitter.op("prmt.b32", values[2], values[3], 0x0040)
    return emitter.op("prmt.b32", low_pair, high_pair, 0x5410)


def bits(emitter: Emitter, value: SSAValue) -> SSAValue:
    """The same 32 bits in a b32 register."""
    return as_kind(emitter, value, "b32")


def pack_all(emitter: Emitter, elem: Attribute, elements: Sequence[Element]) -> tuple[SSAValue, ...]:
    """All packed registers of a fragment."""
    pack = pack_of(elem)
    return tuple(pack_word(emitter, elem, elements[first : first + pack]) for first in range(0, len(elements), pack))


def unpack_all(emitter: Emitter, elem: Attribute, words: Sequence[SSAValue], count: int) -> list[Element]:
    """All elements of a fragment."""
    return [unpack(emitter, elem, words, index) for index in range(count)]


__all__ = [
    "Element",
    "as_kind",
    "bits",
    "pack_all",
    "pack_word",
    "rounded",
    "to_f32",
    "unpack",
    "unpack_all",
    "unpack_halves",
]
