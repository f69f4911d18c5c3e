"""Ops on fragments that are moves of registers, constants or bit tricks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from xdsl.dialects.builtin import BFloat16Type, Float16Type
from xdsl.ir import Attribute, SSAValue

from ....dialects.layout.tv import Tv
from ....dialects.tile.ops import (
    BroadcastOp,
    ConcatOp,
    ExtractOp,
    FullOp,
    IotaOp,
    RelabelOp,
    SliceOp,
    SplatOp,
    UnpackOp,
)
from ....dialects.tile.types import frag_of
from .addressing import emit_thread_part, fit_threads
from .lowering import KernelLowering
from .memory import registers_of_projection
from .packing import Element, as_kind, pack_word, to_f32, unpack
from .scalars import constant_of
from .values import Frag, pack_of


def lower_iota(k: KernelLowering, op: IotaOp) -> None:
    frag, axis = frag_of(op.result), op.axis.value.data
    tv = frag.tv
    part = fit_threads(tv.all_coords()[:, :, 0, axis], [size for size, _ in tv.warp])
    assert part is not None
    thread = emit_thread_part(k.e, part, k.lane, k.warp)
    words = tuple(k.e.reg(k.e.add(thread, int(c[axis]))) for c in tv.reg_coords())
    k.set_frag(op.result, Frag(tv, frag.element_type, words))


def _uniform(k: KernelLowering, elem: Attribute, tv: Tv, value: Element) -> Frag:
    pack = pack_of(elem)
    word = pack_word(k.e, elem, [value] * pack)
    return Frag(tv, elem, (word,) * -(-tv.num_regs // pack))


def lower_full(k: KernelLowering, op: FullOp) -> None:
    frag = frag_of(op.result)
    value = constant_of(op.value)
    if pack_of(frag.element_type) > 1 and not isinstance(to_f32(value), SSAValue):
        from .memory import fill_word

        number = to_f32(value)
        assert isinstance(number, float)
        word = k.e.op("mov.b32", fill_word(frag.element_type, number))
        count = -(-frag.num_regs // pack_of(frag.element_type))
        k.set_frag(op.result, Frag(frag.tv, frag.element_type, (word,) * count))
        return
    k.set_frag(op.result, _uniform(k, frag.element_type, frag.tv, value))


def lower_splat(k: KernelLowering, op: SplatOp) -> None:
    frag = frag_of(op.result)
    k.set_frag(op.result, _uniform(k, frag.element_type, frag.tv, k.element(op.scalar)))


def lower_extract(k: KernelLowering, op: ExtractOp) -> None:
    frag = k.frag(op.value)
    k.values[op.result] = unpack(k.e, frag.elem, frag.words, op.register)


def pick(k: KernelLowering, frag: Frag, tv: Tv, registers: Sequence[int]) -> Frag:
    """The fragment whose element i is element `registers[i]` of `frag`; whole registers move for free."""
    pack = pack_of(frag.elem)
    words: list[SSAValue] = []
    for first in range(0, len(registers), pack):
        chosen = registers[first : first + pack]
        start = chosen[0]
        if start % pack == 0 and all(r == start + i for i, r in enumerate(chosen)):
            words.append(frag.words[start // pack])
        else:
            words.append(_gather_word(k, frag, chosen))
    return Frag(tv, frag.elem, tuple(words))


def _gather_word(k: KernelLowering, frag: Frag, chosen: Sequence[int]) -> SSAValue:
    """A packed register from elements of up to four others, by byte permutes."""
    pack = pack_of(frag.elem)
    if pack == 1:
        return frag.words[chosen[0]]
    width = 4 // pack
    sources = list(dict.fromkeys(frag.words[register // pack] for register in chosen))
    total = sources[0]
    # one permute takes bytes of two registers; every further source is one more
    for step, other in enumerate(sources[1:] or sources):
        selector: list[int] = []
        for place, register in enumerate(chosen):
            source, start = frag.words[register // pack], register % pack * width
            if source is other and other is not total:
                selector += [4 + start + byte for byte in range(width)]
            elif step == 0 and source is total:
                selector += [start + byte for byte in range(width)]
            else:
                selector += [place * width + byte for byte in range(width)]
        number = sum(nibble << (4 * position) for position, nibble in enumerate(selector))
        if other is not sources[0] or number != 0x3210:
            total = k.e.op("prmt.b32", total, other, number)
    return total


def lower_broadcast(k: KernelLowering, op: BroadcastOp) -> None:
    frag, tv = k.frag(op.value), frag_of(op.result).tv
    axes = [d for d, (a, b) in enumerate(zip(frag.tv.shape, tv.shape, strict=True)) if a == 1 != b]
    k.set_frag(op.result, pick(k, frag, tv, registers_of_projection(tv, axes, frag.tv)))


def lower_slice(k: KernelLowering, op: SliceOp) -> None:
    k.set_frag(op.result, pick(k, k.frag(op.value), frag_of(op.result).tv, op.registers))


def lower_concat(k: KernelLowering, op: ConcatOp) -> None:
    frags = [k.frag(value) for value in op.values]
    tv = frag_of(op.result).tv
    pack, each = pack_of(frags[0].elem), frags[0].tv.num_regs
    if each % pack == 0:
        words = tuple(word for frag in frags for word in frag.words)
        k.set_frag(op.result, Frag(tv, frags[0].elem, words))
        return
    elements: list[Any] = [element for frag in frags for element in k.elements(frag)]
    words = tuple(pack_word(k.e, frags[0].elem, elements[first : first + pack]) for first in range(0, len(elements), pack))
    k.set_frag(op.result, Frag(tv, frags[0].elem, words))


def lower_relabel(k: KernelLowering, op: RelabelOp) -> None:
    frag = k.frag(op.value)
    k.set_frag(op.result, Frag(frag_of(op.result).tv, frag.elem, frag.words))


def lower_unpack(k: KernelLowering, op: UnpackOp) -> None:
    """8-bit integers to floats. bf16: 128 + (x & 127) minus 128 or 256 by the sign bit, both exact in bf16."""
    e, frag = k.e, k.frag(op.value)
    target = frag_of(op.result).element_type
    tv, count = frag.tv, frag.tv.num_regs
    signed = str(frag.elem).startswith(("i", "si"))
    words: list[SSAValue] = []
    if isinstance(target, BFloat16Type) and signed:
        minus_one = e.op("mov.b32", 0xBF80BF80 - (1 << 32))
        for first in range(0, count, 2):
            pair = e.op("prmt.b32", frag.words[first // 4], 0, 0x4140 if first % 4 == 0 else 0x4342)
            value = e.op("lop3.b32", pair, 0x007F007F, 0x43004300, 0xEA)
            bias = e.op("lop3.b32", pair, 0x00800080, 0x43004300, 0xEA)
            words.append(e.op("fma.rn.bf16x2", bias, minus_one, value))
    elif isinstance(target, Float16Type) and signed:
        bias = e.op("mov.b32", 0x64806480)
        magic = e.op("mov.b32", 0x64646464)
        for first in range(0, count, 2):
            flipped = e.xor(frag.words[first // 4], 0x80808080 - (1 << 32))
            pair = e.op("prmt.b32", flipped, magic, 0x4140 if first % 4 == 0 else 0x4342)
            words.append(e.op("sub.f16x2", pair, bias))
    else:
        elements: list[Element] = []
        for register in range(count):
            value: Any = unpack(e, frag.elem, frag.words, register)
            elements.append(e.op("cvt.rn.f32.s32", as_kind(e, value, "b32")))
        pack = pack_of(target)
        words = [pack_word(e, target, elements[first : first + pack]) for first in range(0, count, pack)]
    k.set_frag(op.result, Frag(tv, target, tuple(words)))
