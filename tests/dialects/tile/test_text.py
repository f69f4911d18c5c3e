from __future__ import annotations

from io import StringIO

import pytest
from llmc.codegen.schedules.builder import TileBuilder
from llmc.dialects.ir.context import make_context
from llmc.dialects.layout.mem import MemLayout
from llmc.dialects.layout.tv import Tv
from llmc.dialects.layout.types import BufferType
from llmc.dialects.tile import ops
from xdsl.dialects.builtin import ModuleOp, bf16, f32, i8, i32
from xdsl.parser import Parser
from xdsl.printer import Printer
from xdsl.utils.exceptions import VerifyException


def everything() -> ModuleOp:
    """A kernel with at least one op of each kind."""
    x = BufferType.of(["T", 64], bf16)
    y = BufferType.of(["T", 64], f32)
    ids = BufferType.of(["T"], i32)
    op = ops.KernelOp("k", [x, y, ids], ["r", "rw", "rw"], ["T"], warps=4, grid=["ceildiv(T, 64)", 1, 1])
    b = TileBuilder(op)
    tx, _, _ = b.task()
    row = b.mul(tx, 64)
    smem = b.alloc([2, 64, 64], bf16, MemLayout.swizzled([2, 64, 64], 2))
    copy = Tv.blocked([64, 64], 8, warps=4)
    b.cp_async(b.arg(0), [row, 0], b.stage(smem, 0), [0, 0], copy, checked=[True, False])
    b.cp_async_commit()
    b.cp_async_wait(0)
    b.barrier()
    a_tv, b_tv, c_tv = Tv.mma_a((64, 64), (4, 1)), Tv.mma_b((64, 64), (4, 1)), Tv.mma_c((64, 64), (4, 1))
    a = b.load(b.stage(smem, 0), [0, 0], a_tv)
    w = b.load(b.arg(0), [0, 0], b_tv, checked=[True, False], bounds=[b.size("T")], cache="nc")
    acc = b.full(0.0, c_tv)
    (acc,) = b.for_(0, b.size("T"), 64, [acc], lambda i, acc: b.mma(a, w, acc))
    total = b.reduce(acc, 1, "max")
    acc = b.map(lambda s, v, m: s.exp2(s.sub(v, m)), acc, total)
    p = b.relabel(b.cast(acc, bf16), Tv.mma_a((64, 64), (4, 1)))
    index_tv = copy.project(1)
    index = b.load(b.arg(2), [row], index_tv.drop(1), checked=[True])
    gathered = b.load(b.arg(0), [0, 0], copy, gather={0: b.expand(index, 1)})
    half = b.slice(gathered, 1, 0, 8) if False else gathered
    b.store(b.cast(half, f32), b.arg(1), [row, 0], checked=[True, False])
    b.store(acc, b.arg(1), [row, 0], checked=[True, False])
    b.map(lambda s, v, j: s.add(v, s.cast(j, bf16)), p, b.iota(Tv.mma_a((64, 64), (4, 1)), 1))
    n = b.load_scalar(b.arg(2), 0)
    b.if_(b.cmp("lt", n, 3), lambda: b.store_scalar(b.i32(1), b.arg(2), 0))
    b.atomic_add(b.i32(1), b.arg(2), 0)
    small = b.full(3, Tv.blocked([64, 64], 8, warps=4), i8)
    b.unpack(small)
    b.relayout(acc, Tv.blocked([64, 64], 4, warps=4))
    b.concat([acc, acc], 1)
    everywhere = b.splat(n, Tv.replicated([1], 4))
    b.extract(everywhere)
    b.is_thread(0)
    b.fence()
    return ModuleOp([b.finish()])


def rings() -> ModuleOp:
    op = ops.KernelOp("r", [BufferType.of([4096], bf16)], ["r"], [], warps=3, grid=[1, 1, 1])
    b = TileBuilder(op)
    ring = b.ring(4, [512], bf16, consumers=2)

    def produce() -> None:
        def body(i):
            b.ring_acquire(ring, i)
            b.bulk_load(b.arg(0), [b.mul(i, 512)], ring, i, 1024)

        b.for_(0, 8, 1, [], body)

    def consume() -> None:
        def body(i):
            stage = b.ring_wait(ring, i)
            b.load(stage, [0], Tv.blocked([512], 8, warps=2))
            b.ring_release(ring, i)

        b.for_(0, 8, 1, [], body)

    b.roles((1, produce), (2, consume))
    return ModuleOp([b.finish()])


def text_of(module: ModuleOp) -> str:
    stream = StringIO()
    Printer(stream).print_op(module)
    return stream.getvalue()


@pytest.mark.parametrize("make", [everything, rings])
def test_every_op_verifies_prints_and_parses(make):
    module = make()
    module.verify()
    text = text_of(module)
    again = Parser(make_context(), text).parse_module()
    again.verify()
    assert text_of(again) == text


def test_mma_with_layouts_that_disagree_is_refused_with_the_reason():
    op = ops.KernelOp("k", [], [], [], warps=1, grid=[1, 1, 1])
    b = TileBuilder(op)
    a = b.full(0, Tv.mma_a((16, 16)), bf16)
    c = b.full(0, Tv.mma_c((16, 8)))
    b.mma(a, b.full(0, Tv.blocked((8, 16), 4), bf16), c)
    b.finish()
    with pytest.raises(VerifyException, match="a and b hold different k"):
        op.verify()


def test_map_operand_in_another_layout_is_refused():
    op = ops.KernelOp("k", [], [], [], warps=1, grid=[1, 1, 1])
    b = TileBuilder(op)
    x = b.full(0, Tv.blocked((16, 16), 2))
    y = b.full(0, Tv.blocked((16, 16), 4))
    z = b.map(lambda s, v: s.neg(v), x)
    z.owner.operands = [y]
    b.finish()
    with pytest.raises(VerifyException, match=r"use tile\.relayout"):
        op.verify()
