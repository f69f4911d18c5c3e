"""The builder: immediates, addresses, vectors, predicates, result kinds."""

from llmc.dialects.ptx.build import Addr, PtxBuilder, Sreg
from llmc.dialects.ptx.ops import KernelOp
from llmc.dialects.ptx.types import reg, regs


def builder(**params: str) -> PtxBuilder:
    return PtxBuilder(KernelOp.make("k", params or {"x": "u64"}, 32, dyn_smem=64).body.block)


def last(b: PtxBuilder):
    op = b.block.last_op
    assert op is not None
    op.verify_()
    return op


def test_results_have_the_kind_of_the_form() -> None:
    b = builder()
    x = b.param("x")
    assert x.type == reg("b64")
    tid = b.emit("mov.u32", Sreg("tid.x"))
    assert b.emit("mad.wide.u32", tid, 4, x).type == reg("b64")
    assert [v.type for v in b.emit("ld.global.v4.f32", Addr(x))] == [reg("f32")] * 4
    assert b.emit("ld.global.u8", Addr(x)).type == reg("b32")
    assert b.emit("ld.global.u16", Addr(x)).type == reg("b16")
    f = b.emit("mov.f32", 1.0)
    assert b.emit("shfl.sync.bfly.b32", f, 1, 31, -1).type == reg("f32")
    value, lane_ok = b.emit("shfl.sync.up.b32", tid, 1, 0, -1, results=2)
    assert (value.type, lane_ok.type) == (reg("b32"), reg("pred"))
    p, q = b.emit("setp.lt.s32", tid, 3, results=2)
    assert p.type == q.type == reg("pred")
    assert b.emit("ldmatrix.sync.aligned.m8n8.x4.shared.b16", Addr(b.shared_base()), results="regs").type == regs("b32", 4)
    last(b)


def test_numbers_become_immediates_of_the_operand() -> None:
    b = builder()
    b.emit("fma.rn.f32", b.emit("mov.f32", 2), 0.5, -1)
    assert last(b).items == ("$", "0f3F000000", "0fBF800000")  # pyright: ignore
    b.emit("mov.b32", 1.0)
    assert last(b).items == (str(0x3F800000),)  # pyright: ignore
    h = b.emit("mov.b32", 0)
    b.emit("fma.rn.bf16x2", h, 1.0, h)  # bf16 forms take no immediates: moved into a register, both halves
    assert last(b).items == ("$", "$", "$")  # pyright: ignore
    assert last(b).operands[1].owner.items == (str(0x3F803F80),)  # pyright: ignore


def test_lists_are_vectors_and_arrays_stand_for_them() -> None:
    b = builder()
    x = b.param("x")
    a = b.emit("ld.global.v4.b32", Addr(x))
    c = b.undef("f32", 4)
    d = b.emit("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32", list(a), list(a[:2]), c, results="regs")
    assert d.type == regs("f32", 4)
    low, high = b.emit("mov.b64", x, results=2)
    assert b.emit("mov.b64", [low, high]).type == reg("b64")
    assert len(b.unpack(b.pack(b.unpack(d)))) == 4
    last(b)


def test_wgmma_form_is_chosen_by_its_a_operand() -> None:
    b = builder()
    x = b.param("x")
    p = b.const(1, "pred")
    opcode = "wgmma.mma_async.sync.aligned.m64n16k16.f32.bf16.bf16"
    acc = b.emit(opcode, b.undef("f32", 8), x, x, p, 1, 1, 0, 0)
    last(b)
    a = list(b.emit("ld.global.v4.b32", Addr(x)))
    assert b.emit(opcode, acc, a, x, p, 1, 1, 0).type == regs("f32", 8)
    last(b)


def test_predicates_and_else_values() -> None:
    b = builder()
    p = b.const(1, "pred")
    v = b.emit("ld.global.f32", Addr(b.param("x")), pred=(p, True), otherwise=0.0)
    op = last(b)
    assert op.predicate == (p, True) and len(op.else_values) == 1 and v.type == reg("f32")  # pyright: ignore
