"""IR text is whole: printing and parsing give the same text and the same PTX; PTX text parses back to what was printed."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st
from llmc.dialects.ir.context import make_context
from llmc.dialects.ptx.build import Addr, PtxBuilder, Sreg
from llmc.dialects.ptx.ops import KernelOp, PtxInstruction
from llmc.dialects.ptx.parse import parse_ptx
from llmc.dialects.ptx.program import Vector
from llmc.dialects.ptx.text import module_to_ptx
from llmc.passes.ptx.assign_registers import assign_registers
from ptx_instances import grouped, kernel_of
from xdsl.dialects.builtin import FileLineColLoc, IntAttr, ModuleOp, NameLoc, StringAttr
from xdsl.parser import Parser

GROUPS = grouped()


def reparse(text: str) -> ModuleOp:
    module = Parser(make_context(), text).parse_module()
    module.verify()
    return module


@pytest.mark.parametrize("group", sorted(GROUPS), ids="-".join)
def test_every_form_round_trips_in_ssa_and_named_form(group: tuple[str, str]) -> None:
    kernel = kernel_of(GROUPS[group][::3])
    module = ModuleOp([kernel])
    text = str(module)
    again = reparse(text)
    assert str(again) == text
    assign_registers(kernel)
    named = str(module)
    once_more = reparse(named)
    assert str(once_more) == named
    assert module_to_ptx(once_more, "sm_90a") == module_to_ptx(module, "sm_90a")


@pytest.mark.parametrize("group", sorted(GROUPS), ids="-".join)
def test_printed_ptx_parses_to_the_same_instructions(group: tuple[str, str]) -> None:
    kernel = kernel_of(GROUPS[group])
    assign_registers(kernel)
    ops = [op for op in kernel.body.block.ops if isinstance(op, PtxInstruction)]
    parsed = parse_ptx(module_to_ptx(kernel, group[0])).kernels["k"].instructions
    assert [i.opcode for i in parsed] == [*(op.opcode for op in ops), "ret"]
    for instruction, op in zip(parsed, ops):
        form = op.resolved
        assert instruction.form is not None
        assert instruction.form.operands == form.operands, instruction.opcode
        assert bool(instruction.results) == bool(form.results)
        for spec, operand in zip(form.operands[1 if form.tied else 0 :], instruction.operands):
            if spec.count:
                assert isinstance(operand, Vector) and len(operand.items) == spec.count


def control_flow() -> KernelOp:
    """Forward use: the block that defines %x is printed after one that uses it."""
    location = NameLoc(StringAttr("model.layers.0.mlp"), FileLineColLoc(StringAttr("model.py"), IntAttr(7), IntAttr(3)))
    kernel = KernelOp.make("k", {"out": "u64"}, 64, location=location)
    b = PtxBuilder(kernel.body.block, location)
    out = b.param("out")
    late, early, end = b.new_block("b32"), b.new_block(), b.new_block()
    b.bra(early)
    b.block = early
    x = b.emit("mov.u32", Sreg("tid.x"))
    p = b.emit("setp.gt.u32", x, 3)
    b.cbra(p, late, end, then_args=[x], uniform=True)
    b.block = late
    y = b.emit("ld.global.f32", Addr(out, -8), pred=(p, True), otherwise=float("inf"))
    b.emit("st.global.f32", Addr(out), y, pred=p)
    b.emit("st.global.b32", Addr(out, 4), x)
    b.bra(end)
    b.block = end
    b.ret()
    return kernel


def test_blocks_in_any_order_round_trip() -> None:
    module = ModuleOp([control_flow()])
    text = str(module)
    assert " as !ptx.reg<" in text
    assert str(reparse(text)) == text


def test_generic_form_round_trips() -> None:
    from io import StringIO

    from xdsl.printer import Printer

    module = ModuleOp([control_flow()])
    out = StringIO()
    Printer(out, print_generic_format=True).print_op(module)
    assert str(reparse(out.getvalue())) == str(module)


def test_line_info_names_the_pytorch_line_and_module() -> None:
    kernel = control_flow()
    assign_registers(kernel)
    text = module_to_ptx(kernel, "sm_80", line_info="torch")
    assert '.file 1 "model.py"' in text
    instruction = parse_ptx(text).kernels["k"].instructions[0]
    assert instruction.loc == ("model.py", 7, 3)
    assert instruction.note == "model.layers.0.mlp"


@given(st.integers(0, 2**32 - 1), st.integers(-(2**31), 2**31 - 1))
def test_immediates_and_offsets_keep_every_bit(bits: int, offset: int) -> None:
    kernel = KernelOp.make("k", {"out": "u64"}, 64)
    b = PtxBuilder(kernel.body.block)
    value = struct.unpack(">f", bits.to_bytes(4, "big"))[0]
    b.emit("st.global.f32", Addr(b.param("out"), offset), b.emit("mov.f32", value))
    b.emit("st.global.b32", Addr("out", offset), offset)
    b.ret()
    module = ModuleOp([kernel])
    again = reparse(str(module))
    assert [op.items for op in again.walk() if isinstance(op, PtxInstruction)] == [
        op.items for op in module.walk() if isinstance(op, PtxInstruction)
    ]
