"""One element of memory at a time: scalar loads and stores, atomics, and the stages of shared memory."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from xdsl.dialects.builtin import IntegerType
from xdsl.ir import Attribute, SSAValue

from ....dialects.layout.mem import MemLayout
from ....dialects.ptx.build import Addr
from ....dialects.tile.ops import AtomicAddOp, LoadScalarOp, StageOp, StoreScalarOp
from ..divisibility import known_divisor
from .addressing import origin_digits
from .emitter import Scalar
from .lowering import KernelLowering
from .packing import as_kind, pack_word, unpack, unpack_halves
from .values import Buffer, Memory, Smem, elem_size, is_narrow_float, register_kind, space_of


def scalar_address(k: KernelLowering, memory: Memory, offsets: Sequence[SSAValue]) -> Addr:
    """The address of one element."""
    e, size = k.e, elem_size(memory.elem)
    terms: list[tuple[Scalar, int]] = []
    constant = 0
    for offset, digits in zip(offsets, memory.layout.normalised().dims, strict=True):
        scalar = k.scalar(offset)
        if isinstance(scalar, int):
            constant += int(MemLayout((digits,)).offset((scalar,)))
        else:
            terms.extend(origin_digits(e, scalar, digits, known_divisor(offset)))
    terms.sort(key=lambda term: e.depth(term[0]))
    swizzle = memory.layout.swizzle
    if isinstance(memory, Buffer) and swizzle is None:
        base: Any = memory.pointer
        for value, stride in terms:
            base = e.mad_wide(value, stride * size, base)
        return Addr(base, constant * size)
    unit = 1 if isinstance(memory, Buffer) else size  # the bytes of global memory may need 64 bits
    linear: Scalar = constant * unit
    for value, stride in terms:
        linear = e.mad(value, stride * unit, linear)
    if swizzle is not None:
        bits, base_bits, shift = swizzle
        mask = ((1 << bits) - 1) << (base_bits + unit.bit_length() - 1 + shift)
        linear = e.xor(linear, e.shr(e.and_(linear, mask), shift))
    if isinstance(memory, Buffer):
        pointer: Any = e.mad_wide(linear, size, memory.pointer)
        return Addr(pointer)
    return Addr(e.reg(e.add(linear, memory.base)), memory.offset)


def scalar_type(elem: Attribute) -> str:
    """The ld/st type of one element."""
    if isinstance(elem, IntegerType) and elem_size(elem) < 4:
        return ("s" if elem.width.data > 1 else "u") + str(8 * elem_size(elem))
    if elem_size(elem) == 1:
        return "u8"
    kind = register_kind(elem)
    return "b16" if elem_size(elem) == 2 else kind


def lower_load_scalar(k: KernelLowering, op: LoadScalarOp) -> None:
    e = k.e
    memory = k.memory(op.src)
    elem = memory.elem
    type_ = scalar_type(elem)
    stem = f"ld.{space_of(memory)}"
    value = e.do(f"{stem}.{type_}", scalar_address(k, memory, op.offsets))
    if isinstance(elem, IntegerType) and elem.width.data == 1:
        value = e.op("setp.ne.u32", value, 0)
    elif type_ == "s16":
        value = e.op("cvt.s32.s16", value)
    elif type_ == "b16":
        value = unpack(e, elem, [e.op("mov.b32", (value, value))], 0)
    elif type_ == "u8" and is_narrow_float(elem):
        value = unpack(e, elem, [value], 0)
    k.values[op.result] = value


def lower_store_scalar(k: KernelLowering, op: StoreScalarOp) -> None:
    e = k.e
    memory = k.memory(op.dst)
    elem = memory.elem
    value: Any = k.element(op.value)
    type_ = scalar_type(elem)
    if isinstance(elem, IntegerType) and elem.width.data == 1:
        value = e.op("selp.b32", 1, 0, as_kind(e, value, "pred"))
    elif is_narrow_float(elem):
        word = pack_word(e, elem, [value])
        value = unpack_halves(e, word)[0] if elem_size(elem) == 2 else word
    elif type_ == "s16":
        value, type_ = unpack_halves(e, e.reg(value))[0], "b16"
    else:
        value = as_kind(e, value, "b32" if elem_size(elem) == 1 else register_kind(elem))
        type_ = type_.replace("s8", "u8")
    stem = f"st.{space_of(memory)}"
    e.do(f"{stem}.{type_}", scalar_address(k, memory, op.offsets), value, pred=k.elected())


def lower_atomic_add(k: KernelLowering, op: AtomicAddOp) -> None:
    """One thread adds; the others get the old value through shared memory (or a shuffle if the role is one warp)."""
    e = k.e
    memory = k.memory(op.dst)
    elem = memory.elem
    name = "f32" if register_kind(elem) == "f32" else "u64" if elem_size(elem) == 8 else "u32"
    value = as_kind(e, k.scalar(op.value), register_kind(elem))
    space = "shared" if isinstance(memory, Smem) else "global"
    scope = "cta" if isinstance(memory, Smem) else "gpu"
    opcode = f"atom.acq_rel.{scope}.{space}.add.{name}"
    address = scalar_address(k, memory, op.offsets)
    kind = register_kind(elem)
    if k.single_thread:
        k.values[op.result] = e.do(opcode, address, value)
        return
    zero = e.op(f"mov.{kind}", 0.0 if kind == "f32" else 0)
    old = e.do(opcode, address, value, pred=k.elected(), otherwise=[zero])
    if not op.result.uses:
        k.values[op.result] = old
        return
    slot = Addr(k.shared_base(), k.scratch(op))
    k.enter_scratch()
    e.do(f"st.shared.{kind}", slot, old, pred=k.elected())
    k.barrier()
    k.values[op.result] = e.do(f"ld.shared.{kind}", slot)
    k.scratch_dirty = True


def lower_stage(k: KernelLowering, op: StageOp) -> None:
    memory = k.memory(op.smem)
    assert isinstance(memory, Smem)
    stride = memory.layout.dims[0][0][1] * elem_size(memory.elem)
    index = k.scalar(op.index)
    type_: Any = op.result.type
    if isinstance(index, int):
        base, offset = memory.base, memory.offset + index * stride
    else:
        base, offset = k.e.mad(index, stride, memory.base), memory.offset
    alignment = min(memory.alignment, stride & -stride)
    k.values[op.result] = Smem(type_.layout, type_.shape, type_.element_type, base, offset, alignment, memory.cluster)
