"""What the verifier, the builder, the printer and the parsers refuse, and what they say."""

import pytest
from llmc.dialects.ir.context import make_context
from llmc.dialects.ir.diagnostics import LlmcError
from llmc.dialects.ptx.build import Addr, PtxBuilder
from llmc.dialects.ptx.ops import KernelOp
from llmc.dialects.ptx.parse import parse_ptx
from llmc.dialects.ptx.text import module_to_ptx
from xdsl.parser import Parser
from xdsl.utils.exceptions import ParseError, VerifyException

KERNEL = """ptx.kernel @k {{params = {{x = "u64"}}, reqntid = 32 : i32}} {{
    %a = ptx.mov u32 sreg(tid.x) : !ptx.reg<b32>
    %f = ptx.mov f32 1.0 : !ptx.reg<f32>
    {0}
    ptx.ret
}}"""


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("%z = ptx.add s33 %a, 1 : !ptx.reg<b32>", "not in the instruction table"),
        ("%z = ptx.add s32 %f, 1 : !ptx.reg<b32>", "expected b32, got !ptx.reg<f32>"),
        ("%z = ptx.add s32 %a : !ptx.reg<b32>", "takes 2 operands, got 1"),
        ("ptx.st global.b32 %a, %a", "expected an address"),
        ("ptx.st global.v2.b32 [%a], %a", "expected {2 registers}"),
        ("ptx.st global.v2.b32 [%a], {%a, %a, %a}", "expected 2 registers, got 3"),
        ("ptx.cp async.wait_group %a", "expected an immediate"),
        ("ptx.bar sync 0 if %a", "predicate must be"),
        ("%z, %y = ptx.add s32 %a, 1 : !ptx.reg<b32>, !ptx.reg<b32>", "2 results, the form has 1"),
        ("%z = ptx.fma rn.bf16x2 %a, %a, 1 : !ptx.reg<b32>", "needs a register"),
        ("%z = ptx.ld param.u32 [@y] : !ptx.reg<b32>", "no parameter 'y'"),
        ("%z = ptx.pack %a, %f : !ptx.regs<b32, 2>", "every operand must be of kind b32"),
    ],
)
def test_the_verifier_says_what_does_not_fit(line: str, message: str) -> None:
    module = Parser(make_context(), KERNEL.format(line)).parse_module()
    with pytest.raises(VerifyException) as e:
        module.verify()
    assert message in str(e.value)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("%z = ptx.frobnicate s32 %a : !ptx.reg<b32>", "not registered"),
        ("%z = ptx.add s32 %b, 1 : !ptx.reg<b32>", "used before its definition"),
        ("%z = ptx.add s32 %a, 1 : !ptx.reg<b31>", "unknown register kind 'b31'"),
    ],
)
def test_the_ir_parser_points_at_the_mistake(line: str, message: str) -> None:
    with pytest.raises(ParseError) as e:
        Parser(make_context(), KERNEL.format(line)).parse_module()
    assert message in str(e.value)


def builder() -> PtxBuilder:
    return PtxBuilder(KernelOp.make("k", {"x": "u64"}, 32).body.block)


def test_the_builder_refuses_wrong_kinds_and_counts() -> None:
    b = builder()
    f = b.const(1.0, "f32")
    for bad in (
        lambda: b.emit("add.s32", f, 1),
        lambda: b.emit("add.s32", 1),
        lambda: b.emit("add.s32", 1, 2.5),
        lambda: b.emit("st.global.v4.f32", Addr(b.param("x")), [f, f]),
        lambda: b.emit("add.q32", 1, 2),
        lambda: b.param("y"),
    ):
        with pytest.raises(LlmcError):
            bad()


def test_printing_needs_registers() -> None:
    kernel = KernelOp.make("k", {"x": "u64"}, 32)
    b = PtxBuilder(kernel.body.block)
    b.param("x")
    b.ret()
    with pytest.raises(LlmcError, match="no register"):
        module_to_ptx(kernel, "sm_80")


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("add.s32 %r0, 1;", None),
        ("bra NOWHERE;", "unknown label"),
        ("call foo;", "calls are not supported"),
        ("add.s32 %r0, %r0, `;", "unexpected character"),
        ("L: L: ret;", "defined twice"),
    ],
)
def test_the_ptx_parser_names_the_line(body: str, message: str | None) -> None:
    text = f".version 7.0\n.target sm_80\n.address_size 64\n.visible .entry k()\n{{\n.reg .b32 %r<2>;\n{body}\n}}\n"
    if message is None:
        assert parse_ptx(text).kernels["k"].instructions[0].operands
        return
    with pytest.raises(LlmcError) as e:
        parse_ptx(text)
    assert message in e.value.render() and "line 7" in e.value.render()
