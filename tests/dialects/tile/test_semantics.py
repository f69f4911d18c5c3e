from __future__ import annotations

import ml_dtypes
import numpy as np
import pytest
from llmc.codegen.schedules.builder import TileBuilder
from llmc.dialects.ir.diagnostics import LlmcError
from llmc.dialects.layout.mem import MemLayout
from llmc.dialects.layout.tv import Tv
from llmc.dialects.layout.types import BufferType
from llmc.dialects.tile import ops
from llmc.dialects.tile.semantics import run_kernel
from xdsl.dialects.builtin import bf16, f32, i32


def bf(rng: np.random.Generator, *shape: int) -> np.ndarray:
    return rng.standard_normal(shape).astype(ml_dtypes.bfloat16)


def test_gemm_through_asynchronous_copies_is_the_product():
    x, w, y = BufferType.of(["T", 128], bf16), BufferType.of([64, 128], bf16), BufferType.of(["T", 64], f32)
    op = ops.KernelOp("gemm", [x, w, y], ["r", "r", "w"], ["T"], warps=4, grid=["ceildiv(T, 64)", 1, 1])
    b = TileBuilder(op)
    row = b.mul(b.task()[0], 64)
    xs = b.alloc([2, 64, 64], bf16, MemLayout.swizzled([2, 64, 64], 2))
    ws = b.alloc([2, 64, 64], bf16, MemLayout.swizzled([2, 64, 64], 2))
    copy = Tv.blocked([64, 64], 8, warps=4)

    def fetch(step: int) -> None:
        b.cp_async(b.arg(0), [row, step * 64], b.stage(xs, step % 2), [0, 0], copy, checked=[True, False])
        b.cp_async(b.arg(1), [0, step * 64], b.stage(ws, step % 2), [0, 0], copy)
        b.cp_async_commit()

    fetch(0)
    fetch(1)
    acc = b.full(0.0, Tv.mma_c((64, 64), (2, 2)))
    for step in range(2):
        b.cp_async_wait(1 - step)
        b.barrier()
        left = b.load(b.stage(xs, step), [0, 0], Tv.mma_a((64, 64), (2, 2)))
        right = b.load(b.stage(ws, step), [0, 0], Tv.mma_b((64, 64), (2, 2)))
        acc = b.mma(left, right, acc)
    b.store(acc, b.arg(2), [row, 0], checked=[True, False])
    kernel = b.finish()
    kernel.verify()
    rng = np.random.default_rng(0)
    tokens = 100
    xv, wv, yv = bf(rng, tokens, 128), bf(rng, 64, 128), np.full((tokens, 64), np.nan, np.float32)
    run_kernel(kernel, [xv, wv, yv], {"T": tokens})
    np.testing.assert_allclose(yv, xv.astype(np.float32) @ wv.astype(np.float32).T, rtol=1e-5, atol=1e-4)


def test_rows_of_softmax_sum_to_one():
    x = BufferType.of(["T", 100], f32)
    op = ops.KernelOp("softmax", [x, x], ["r", "w"], ["T"], warps=1, grid=["T", 1, 1])
    b = TileBuilder(op)
    row = b.task()[0]
    tv = Tv.blocked([1, 128], 4)
    v = b.load(b.arg(0), [row, 0], tv, checked=[False, True], other=-np.inf)
    top = b.reduce(v, 1, "max")
    e = b.map(lambda s, v, m: s.exp(s.sub(v, m)), v, top)
    y = b.map(lambda s, e, t: s.div(e, t), e, b.reduce(e, 1, "add"))
    b.store(y, b.arg(1), [row, 0], checked=[False, True])
    kernel = b.finish()
    kernel.verify()
    xv = np.random.default_rng(1).standard_normal((3, 100)).astype(np.float32)
    yv = np.zeros_like(xv)
    run_kernel(kernel, [xv, yv], {"T": 3})
    e = np.exp(xv - xv.max(1, keepdims=True))
    np.testing.assert_allclose(yv, e / e.sum(1, keepdims=True), rtol=1e-5)


def test_roles_meet_in_a_ring():
    op = ops.KernelOp("ring", [BufferType.of([4096], f32), BufferType.of([1], f32)], ["r", "w"], [], warps=3, grid=[1, 1, 1])
    b = TileBuilder(op)
    ring = b.ring(2, [512], f32, consumers=2)

    def produce() -> None:
        def body(i):
            b.ring_acquire(ring, i)
            b.bulk_load(b.arg(0), [b.mul(i, 512)], ring, i, 2048)

        b.for_(0, 8, 1, [], body)

    def consume() -> None:
        tv = Tv.blocked([512], 4, warps=2)

        def body(i, total):
            part = b.load(b.ring_wait(ring, i), [0], tv)
            b.ring_release(ring, i)
            return b.map(lambda s, t, p: s.add(t, p), total, b.reduce(part, 0, "add"))

        (total,) = b.for_(0, 8, 1, [b.full(0.0, tv.project(0))], body)
        b.store(total, b.arg(1), [0])

    b.roles((1, produce), (2, consume))
    kernel = b.finish()
    kernel.verify()
    data, total = np.arange(4096, dtype=np.float32), np.zeros(1, np.float32)
    run_kernel(kernel, [data, total], {})
    assert total[0] == pytest.approx(data.sum())


def test_gather_reads_rows_by_index_and_scatter_writes_them():
    table = BufferType.of([10, 16], f32)
    op = ops.KernelOp("gather", [table, BufferType.of(["T"], i32), table], ["r", "r", "w"], ["T"], warps=1, grid=[1, 1, 1])
    b = TileBuilder(op)
    tv = Tv.blocked([8, 16], 4)
    index = b.expand(b.load(b.arg(1), [0], tv.project(1).drop(1), checked=[True]), 1)
    rows = b.load(b.arg(0), [0, 0], tv, gather={0: index})
    b.store(rows, b.arg(2), [0, 0], gather={0: index})
    kernel = b.finish()
    kernel.verify()
    data = np.random.default_rng(2).standard_normal((10, 16)).astype(np.float32)
    out = np.zeros_like(data)
    run_kernel(kernel, [data, np.array([3, 1, 7, 7, 2], np.int32), out], {"T": 5})
    chosen = [0, 1, 2, 3, 7]
    np.testing.assert_array_equal(out[chosen], data[chosen])
    assert not out[[4, 5, 6, 8, 9]].any()


def test_relabel_keeps_elements_in_their_registers():
    """The accumulator of m16n8 pairs is operand A of the next product: the flash-attention trick."""
    op = ops.KernelOp(
        "k", [BufferType.of([16, 16], f32), BufferType.of([16, 16], bf16)], ["r", "w"], [], warps=1, grid=[1, 1, 1]
    )
    b = TileBuilder(op)
    c = b.load(b.arg(0), [0, 0], Tv.mma_c((16, 16)))
    a = b.relabel(b.cast(c, bf16), Tv.mma_a((16, 16)))
    b.store(a, b.arg(1), [0, 0])
    kernel = b.finish()
    kernel.verify()
    data, out = np.arange(256, dtype=np.float32).reshape(16, 16), np.zeros((16, 16), ml_dtypes.bfloat16)
    run_kernel(kernel, [data, out], {})
    np.testing.assert_array_equal(out.astype(np.float32), data)


def test_reading_outside_a_buffer_is_an_error():
    op = ops.KernelOp("k", [BufferType.of(["T"], f32)], ["r"], ["T"], warps=1, grid=[1, 1, 1])
    b = TileBuilder(op)
    b.load(b.arg(0), [1], Tv.blocked([32]))
    kernel = b.finish()
    with pytest.raises(LlmcError, match="outside"):
        run_kernel(kernel, [np.zeros(32, np.float32)], {"T": 32})
