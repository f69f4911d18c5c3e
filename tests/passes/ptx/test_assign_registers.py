"""Named form keeps the meaning: kernels with swaps, lost copies and predicated loads give what SSA says."""

from collections.abc import Callable

import numpy as np
import pytest
from llmc.codegen.ptx.assemble import assemble
from llmc.dialects.ptx.build import Addr, PtxBuilder
from llmc.dialects.ptx.ops import KernelOp
from llmc.dialects.ptx.parse import parse_ptx
from llmc.dialects.ptx.program import Immediate, Register, Vector
from llmc.dialects.ptx.semantics import ELEMENTWISE
from llmc.dialects.ptx.text import module_to_ptx
from llmc.passes.ptx.assign_registers import assign_registers
from tools import needs_ptxas


def execute(kernel: KernelOp, **params: int) -> list[int]:
    """Runs the printed PTX for one thread; `st.global.b32` appends what it stores."""
    program = parse_ptx(module_to_ptx(kernel, "sm_90a")).kernels[kernel.sym_name.data]
    registers: dict[str, np.ndarray] = {}
    stored: list[int] = []
    dtypes = {"b32": np.uint32, "b64": np.uint64, "f32": np.float32, "pred": np.bool_}

    def value(operand: object):
        if isinstance(operand, Register):
            return ~registers[operand.name] if operand.negated else registers[operand.name]
        assert isinstance(operand, Immediate)
        return np.array(operand.value & 0xFFFFFFFF, np.uint32)

    at = 0
    for _ in range(10_000):
        if at >= len(program.instructions):
            return stored
        i = program.instructions[at]
        at += 1
        if i.predicate is not None and not value(i.predicate):
            continue
        if i.base == "ret":
            return stored
        if i.base == "bra":
            at = program.labels[i.operands[0].name]  # pyright: ignore
        elif i.base == "ld":
            name = i.operands[0].base.name  # pyright: ignore
            registers[i.results[0].name] = np.array(params.get(name, 99), dtypes[program.registers[i.results[0].name]])  # pyright: ignore
        elif i.base == "st":
            stored.append(int(value(i.operands[1])))
        else:
            assert i.form is not None
            out = ELEMENTWISE[i.form.key](i.mods, *map(value, i.operands))
            out = out if isinstance(out, tuple) else (out,)
            targets = i.results[0].items if isinstance(i.results[0], Vector) else i.results
            for target, result in zip(targets, out):
                registers[target.name] = result  # pyright: ignore
    raise AssertionError("no end")


def build(body: Callable[[PtxBuilder], None], **params: str) -> KernelOp:
    kernel = KernelOp.make("k", {"out": "u64", **params}, 32, minnctapersm=1)
    b = PtxBuilder(kernel.body.block)
    body(b)
    kernel.verify()
    assign_registers(kernel)
    kernel.verify()
    return kernel


def rotate(b: PtxBuilder) -> None:
    """for n times: (x, y, z) = (y, z, x)"""
    out, n = b.param("out"), b.param("n")
    one, two, three, zero = (b.const(v, "b32") for v in (1, 2, 3, 0))
    loop, done = b.new_block("b32", "b32", "b32", "b32"), b.new_block("b32", "b32", "b32")
    b.bra(loop, zero, one, two, three)
    b.block = loop
    i, x, y, z = loop.args
    j = b.emit("add.s32", i, 1)
    p = b.emit("setp.lt.s32", j, n)
    b.cbra(p, loop, done, then_args=[j, y, z, x], else_args=[x, y, z])
    b.block = done
    for value in done.args:
        b.emit("st.global.b32", Addr(out), value)
    b.ret()


@pytest.mark.parametrize("n", [1, 2, 3, 4])
def test_cyclic_moves_on_a_back_edge(n: int) -> None:
    want = [[1, 2, 3], [2, 3, 1], [3, 1, 2], [1, 2, 3]][n - 1]
    assert execute(build(rotate, n="u32"), n=n) == want


def test_the_old_value_survives_its_loop() -> None:
    """The lost copy: the header's argument is used after the loop whose back edge overwrites it."""

    def body(b: PtxBuilder) -> None:
        out = b.param("out")
        loop, done = b.new_block("b32"), b.new_block()
        b.bra(loop, b.const(5, "b32"))
        b.block = loop
        i = loop.args[0]
        j = b.emit("add.s32", i, 1)
        b.cbra(b.emit("setp.lt.s32", j, 8), loop, done, then_args=[j])
        b.block = done
        b.emit("st.global.b32", Addr(out), i)
        b.ret()

    assert execute(build(body)) == [7]


def test_else_values_stand_where_the_predicate_fails() -> None:
    def body(b: PtxBuilder) -> None:
        out = b.param("out")
        p = b.emit("setp.eq.u32", b.param("n"), 0)
        v = b.emit("add.s32", b.const(1, "b32"), 2, pred=p, otherwise=42)
        b.emit("st.global.b32", Addr(out), v)
        b.ret()

    kernel = build(body, n="u32")
    assert execute(kernel, n=0) == [3]
    assert execute(kernel, n=1) == [42]


def test_arrays_rotate_too() -> None:
    def body(b: PtxBuilder) -> None:
        out, n = b.param("out"), b.param("n")
        a, c = (b.pack([b.const(v, "b32"), b.const(v + 1, "b32")]) for v in (10, 20))
        loop, done = b.new_block("b32", a.type, a.type), b.new_block(a.type)
        b.bra(loop, b.const(0, "b32"), a, c)
        b.block = loop
        i, x, y = loop.args
        j = b.emit("add.s32", i, 1)
        b.cbra(b.emit("setp.lt.s32", j, n), loop, done, then_args=[j, y, x], else_args=[x])
        b.block = done
        for value in b.unpack(done.args[0]):
            b.emit("st.global.b32", Addr(out), value)
        b.ret()

    kernel = build(body, n="u32")
    assert execute(kernel, n=1) == [10, 11]
    assert execute(kernel, n=2) == [20, 21]


WGMMA = "wgmma.mma_async.sync.aligned.m64n64k16.f32.bf16.bf16"


def gemm_loop(b: PtxBuilder, keep: bool = False) -> None:
    out, desc = b.param("out"), b.param("out")
    acc = b.undef("f32", 32)
    loop, done = b.new_block("b32", acc.type), b.new_block(acc.type)
    b.bra(loop, b.const(0, "b32"), acc)
    b.block = loop
    i, c = loop.args
    use = b.emit("setp.ne.s32", i, 0)
    b.wait_parity(b.shared_base(), i)
    b.emit("wgmma.fence.sync.aligned")
    d = b.emit(WGMMA, c, desc, desc, use, 1, 1, 0, 0)
    d = b.emit(WGMMA, d, desc, desc, b.const(1, "pred"), 1, 1, 0, 0)
    b.emit("wgmma.commit_group.sync.aligned")
    b.emit("wgmma.wait_group.sync.aligned", 0)
    j = b.emit("add.s32", i, 1)
    b.cbra(b.emit("setp.lt.s32", j, 16), loop, done, then_args=[j, d], else_args=[c if keep else d])
    b.block = done
    for k, value in enumerate(b.unpack(done.args[0])):
        b.emit("st.global.f32", Addr(out, 4 * k), value)
    b.ret()


@needs_ptxas
def test_a_wgmma_accumulator_stays_in_place_around_a_loop() -> None:
    kernel = build(gemm_loop)
    moves = [
        op for block in kernel.body.blocks for op in block.ops if op.name == "ptx.mov" and op.results[0].type.kind == "f32"
    ]  # pyright: ignore
    assert len(moves) == 32  # into the exit block's argument; none in the loop
    result = assemble(module_to_ptx(kernel, "sm_90a"), "sm_90a")
    assert not result.serialised and not result.spills


@needs_ptxas
def test_an_accumulator_that_lives_on_is_copied() -> None:
    kernel = build(lambda b: gemm_loop(b, keep=True))
    assemble(module_to_ptx(kernel, "sm_90a"), "sm_90a")
    text = module_to_ptx(kernel, "sm_90a")
    assert text.count("mov.f32") >= 64


def test_twice_is_once() -> None:
    kernel = build(rotate, n="u32")
    text = str(kernel)
    assert assign_registers(kernel) == 0
    assert str(kernel) == text
