"""`tile.mma` → `mma.sync`, register by register as dialects/tile/mma.py plans it."""

from __future__ import annotations

from xdsl.dialects.builtin import BFloat16Type, Float16Type, Float32Type, IntegerType
from xdsl.ir import Attribute, SSAValue

from ....dialects.tile.mma import mma_plan
from ....dialects.tile.ops import MmaOp
from .lowering import KernelLowering
from .packing import bits
from .values import Frag, pack_of, unsupported


def opcode_of(atom: str, elem: Attribute, accumulator: Attribute, op: MmaOp) -> str:
    """The instruction of an atom for these element types."""
    shape = atom.partition(".")[0]
    if isinstance(elem, BFloat16Type | Float16Type) and isinstance(accumulator, Float32Type):
        name = "bf16" if isinstance(elem, BFloat16Type) else "f16"
        return f"mma.sync.aligned.{shape}.row.col.f32.{name}.{name}.f32"
    if isinstance(elem, IntegerType) and isinstance(accumulator, IntegerType):
        return f"mma.sync.aligned.{shape}.row.col.s32.s8.s8.s32"
    if isinstance(elem, Float32Type) and isinstance(accumulator, Float32Type):
        return f"mma.sync.aligned.{shape}.row.col.f32.tf32.tf32.f32"
    raise unsupported(f"mma of {elem} into {accumulator}", op)


def lower_mma(k: KernelLowering, op: MmaOp) -> None:
    a, b, c = k.frag(op.a), k.frag(op.b), k.frag(op.c)
    atom = op.atom.data
    opcode = opcode_of(atom, a.elem, c.elem, op)
    pack = pack_of(a.elem)
    words: list[SSAValue] = list(c.words)
    for item in mma_plan(a.tv, b.tv, c.tv, atom):
        left = [bits(k.e, a.words[r // pack]) for r in item.a[::pack]]
        right = [bits(k.e, b.words[r // pack]) for r in item.b[::pack]]
        result = k.e.do(opcode, left, right, [words[r] for r in item.c])
        for register, value in zip(item.c, result, strict=True):
            words[register] = value
    k.set_frag(op.result, Frag(c.tv, c.elem, tuple(words)))
