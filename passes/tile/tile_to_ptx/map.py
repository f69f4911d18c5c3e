"""`tile.map`: the region once per element of the result, on f32 where elements are narrower."""

from __future__ import annotations

from typing import Any

from xdsl.ir import SSAValue

from ....dialects.tile.ops import MapOp, YieldOp
from ....dialects.tile.types import frag_of
from .lowering import KernelLowering
from .memory import registers_of_projection
from .packing import Element, pack_word, unpack
from .scalars import TABLE
from .values import Frag, pack_of, unsupported


def lower_map(k: KernelLowering, op: MapOp) -> None:
    e = k.e
    tv = op.tv
    block = op.body.block
    terminator = block.last_op
    assert isinstance(terminator, YieldOp)
    body = [inner for inner in block.ops if inner is not terminator]
    for inner in body:
        if type(inner) not in TABLE:
            raise unsupported(f"'{inner.name}' in the region of a map", inner)
    operands = [k.frag(value) for value in op.inputs]
    sources: list[list[int]] = []
    for operand in operands:
        axes = [d for d, (a, b) in enumerate(zip(operand.tv.shape, tv.shape, strict=True)) if a == 1 != b]
        sources.append(registers_of_projection(tv, axes, operand.tv))
    elems = [frag_of(output).element_type for output in op.outputs]
    packs = [pack_of(elem) for elem in elems]
    words: list[list[SSAValue]] = [[] for _ in elems]
    pending: list[list[Element]] = [[] for _ in elems]
    captured: dict[SSAValue, Any] = {}
    for inner in (*body, terminator):
        for value in inner.operands:
            if value in k.values:
                captured[value] = k.values[value]
    lowerings = [(inner, TABLE[type(inner)], tuple(inner.operands), inner.results[0]) for inner in body]
    count = tv.num_regs
    for register in range(count):
        values: dict[SSAValue, Any] = dict(captured)
        for argument, operand, source in zip(block.args, operands, sources, strict=True):
            values[argument] = unpack(e, operand.elem, operand.words, source[register])
        for inner, lower, arguments, result in lowerings:
            values[result] = lower(e, inner, [values[a] for a in arguments])
        for index, value in enumerate(terminator.values):
            parts = pending[index]
            parts.append(values[value])
            if len(parts) == packs[index] or register == count - 1:
                words[index].append(pack_word(e, elems[index], parts))
                pending[index] = []
    for output, elem, packed in zip(op.outputs, elems, words, strict=True):
        k.set_frag(output, Frag(tv, elem, tuple(packed)))
