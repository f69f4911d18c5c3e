"""Generators of `ptx`: one for each base opcode, over every form of the instruction table, and control flow."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

from llmc.dialects.ptx.forms import Form, forms_of, row_bases
from llmc.dialects.ptx.ops import INSTRUCTIONS, BraOp, CbraOp, KernelOp, PackOp, RetOp, UndefOp, UnpackOp
from llmc.dialects.ptx.table import TABLE
from llmc.dialects.ptx.types import KINDS, reg, regs
from ptx_instances import Operands, covering

from .scope import Scope, generates


@cache
def forms(base: str) -> list[Form]:
    """Every covering form of a base opcode."""
    found: list[Form] = []
    for row in TABLE:
        if base in row_bases(row):
            for opcode in covering(row):
                if opcode.split(".")[0] == base:
                    found.append(next((f for f in forms_of(opcode) if f.row is row), forms_of(opcode)[0]))
    return found


def operands(b: Scope) -> Operands:
    if "operands" not in b.state:
        b.state["operands"] = Operands(b.state["ptx"])
    return b.state["operands"]


def _instruction(base: str) -> Callable[[Scope], None]:
    def emit(b: Scope) -> None:
        source = operands(b)
        form = b.pick(*forms(base))
        specs = [s for s in form.operands if not s.optional or b.flag()] if b.flag() else list(form.operands)
        if len(specs) not in (form.required, len(form.operands)):
            specs = list(form.operands)
        given = [source.operand(s, form) for s in specs]
        predicate = source.values["pred"]
        builder = b.state["ptx"]
        if b.flag():
            builder.emit(form.opcode, *given)
        elif form.tied or not form.results or any(s.kind == "_" for s in form.results) or b.flag():
            builder.emit(form.opcode, *given, pred=(predicate, b.flag()))
        else:
            made = builder.emit(form.opcode, *given)
            results = (made,) if not isinstance(made, tuple) else made
            builder.emit(form.opcode, *given, pred=(predicate, b.flag()), otherwise=list(results))

    return emit


for _base, _cls in INSTRUCTIONS.items():
    generates(_cls, place="ptx.kernel")(_instruction(_base))


@generates(KernelOp, RetOp, place="ptx.kernel")
def nothing(b: Scope) -> None:
    pass


@generates(UndefOp, place="ptx.kernel")
def undef(b: Scope) -> None:
    kind = b.pick(*KINDS)
    named = b.flag()
    type_ = b.pick(reg(kind, "%r5" if named else ""), regs(kind, b.number(1, 128), "%f8" if named else ""))
    b.state["ptx"].block.add_op(UndefOp.create(result_types=(type_,)))


@generates(PackOp, UnpackOp, place="ptx.kernel")
def pack(b: Scope) -> None:
    builder, kind = b.state["ptx"], b.pick("b32", "f32", "b64")
    builder.unpack(builder.pack([operands(b).values[kind]] * b.number(1, 4)))


@generates(BraOp, place="ptx.kernel")
def branch(b: Scope) -> None:
    builder = b.state["ptx"]
    values = operands(b).values
    kinds = [b.pick("b32", "f32", "pred") for _ in range(b.number(0, 2))]
    target = builder.new_block(*kinds)
    builder.bra(target, *(values[k] for k in kinds))
    builder.block = target


@generates(CbraOp, place="ptx.kernel")
def conditional_branch(b: Scope) -> None:
    builder = b.state["ptx"]
    values = operands(b).values
    kinds = [b.pick("b32", "f32") for _ in range(b.number(0, 2))]
    loop, done = builder.new_block(*kinds), builder.new_block()
    builder.bra(loop, *(values[k] for k in kinds))
    builder.block = loop
    builder.cbra(values["pred"], loop, done, then_args=tuple(loop.args), uniform=b.flag())
    builder.block = done
