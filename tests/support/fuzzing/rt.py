"""Generators of `rt`: weights, and the ops of a program's body."""

from __future__ import annotations

from llmc.dialects.layout.mem import MemLayout
from llmc.dialects.layout.types import BufferType
from llmc.dialects.rt.ops import (
    ArenaOp,
    IoOp,
    LaunchOp,
    ParamOp,
    ProgramOp,
    ReinterpretOp,
    ReturnOp,
    TempOp,
    UploadOp,
    ViewOp,
    WeightOp,
)
from xdsl.dialects.builtin import TensorType, bf16, f32, i32

from .attributes import dense, texts
from .layout import buffer, memory
from .modules import place_kernel
from .scope import Scope, generates

EXPRESSIONS = ("1", "T", "128 * T", "max(4 * T, 100)", "ceildiv(T, 2)", "B * T + 1")


def weight_of(b: Scope) -> tuple[str, BufferType]:
    shape = [b.pick(1, 2, 4) for _ in range(b.number(0, 2))]
    elem = b.pick(bf16, f32, i32)
    layout: MemLayout | None = memory(b, shape) if b.flag() else None
    type_, name = BufferType.of(shape, elem, layout), b.top.symbol()
    b.top.put(WeightOp(name, type_, b.draw(dense(TensorType(elem, shape))) if b.flag() else None))
    return name, type_


@generates(WeightOp, place="builtin.module")
def weight(b: Scope) -> None:
    weight_of(b)


@generates(ProgramOp, ReturnOp, place="rt.program")
def nothing(b: Scope) -> None:
    pass


@generates(IoOp, place="rt.program")
def io(b: Scope) -> None:
    label, kind = b.draw(texts), buffer(b)
    b.put(IoOp(label, b.state.setdefault("ios", {}).setdefault(label, kind)))


@generates(ParamOp, place="rt.program")
def param(b: Scope) -> None:
    b.put(ParamOp(*weight_of(b)))


@generates(UploadOp, place="rt.program")
def upload(b: Scope) -> None:
    b.put(UploadOp(b.draw(texts), b.value(BufferType.of([b.size() for _ in range(b.number(0, 2))], bf16))))


@generates(ArenaOp, ViewOp, place="rt.program")
def arena(b: Scope) -> None:
    views = [kind for kind in (buffer(b), buffer(b)) if kind.is_row_major or not kind.sizes]
    slots = [f"max({kind.bytes_expression()}, {b.pick(*EXPRESSIONS)})" for kind in views]
    made = b.put(ArenaOp([*slots, b.pick(*EXPRESSIONS)]))
    for slot, kind in enumerate(views):
        b.put(ViewOp(made, slot, kind))


@generates(TempOp, place="rt.program")
def temp(b: Scope) -> None:
    b.put(TempOp(buffer(b)))


@generates(ReinterpretOp, place="rt.program")
def reinterpret(b: Scope) -> None:
    a, c = b.size(), b.size()
    b.put(ReinterpretOp(b.value(BufferType.of(["T", a * c], f32)), BufferType.of(["T", a, c], f32)))


@generates(LaunchOp, place="rt.program")
def launch(b: Scope) -> None:
    kernel = place_kernel(b)
    buffers = [b.value(a.type) for a in kernel.buffers]
    grid = [b.pick(*EXPRESSIONS) for _ in range(3)] if b.flag() else None
    when = {n: (b.number(1, 4), b.number(4, 8)) for n in ("T", "B") if b.flag()} or None
    sizes = [s.data for s in kernel.sizes.data]
    b.put(LaunchOp(kernel.sym_name.data, buffers, sizes, grid, when, maps=kernel.maps))
