"""`tile` → `ptx`, the less travelled paths: odd sizes, predicates, narrow types, dynamic origins, roles."""

from __future__ import annotations

import numpy as np
import pytest
from llmc.dialects.layout.mem import MemLayout
from llmc.dialects.layout.tv import Tv
from llmc.dialects.layout.types import BufferType
from ml_dtypes import bfloat16
from tile_kernels import run_both, start
from xdsl.dialects import arith
from xdsl.dialects.builtin import bf16, f32, i1, i8, i32

rng = np.random.default_rng(11)


def check(b, arrays, sizes=None, tolerance=0.0):
    wanted, got = run_both(b.finish(), arrays, sizes)
    for want, have in zip(wanted, got, strict=True):
        if tolerance:
            assert np.allclose(want.astype(np.float32), have.astype(np.float32), rtol=tolerance, atol=tolerance)
        else:
            assert np.array_equal(want, have)


def test_masks_are_predicates_from_comparison_to_memory():
    tv = Tv.blocked((8, 64), 2, None, 2)
    b = start(
        "mask", [BufferType.of([8, 64], f32), BufferType.of([8, 64], i1), BufferType.of([8, 1], i1)], ["r", "w", "w"], warps=2
    )
    x = b.load(b.arg(0), [0, 0], tv)
    column = b.iota(tv, 1)
    mask = b.map(lambda s, x, c: s.and_(s.cmp("lt", x, 0.5), s.cmp("ge", c, 10)), x, column)
    b.store(mask, b.arg(1), [0, 0])
    b.store(b.reduce(b.relayout(mask, Tv.blocked((8, 64), 1, None, 2)), 1, "or"), b.arg(2), [0, 0])
    check(b, [rng.standard_normal((8, 64)).astype(np.float32) + 2, np.zeros((8, 64), bool), np.zeros((8, 1), bool)])


BOOLEAN = {
    **{
        op.name: op
        for op in (arith.AddiOp, arith.SubiOp, arith.MuliOp, arith.MaxSIOp, arith.MinSIOp, arith.MaxUIOp, arith.MinUIOp)
    },
    **{
        p: lambda x, y, p=p: arith.CmpiOp(x, y, p) for p in ("eq", "ne", "slt", "sle", "sgt", "sge", "ult", "ule", "ugt", "uge")
    },
}


@pytest.mark.parametrize("name", BOOLEAN)
def test_integer_ops_of_one_bit_are_logic(name):
    tv = Tv.blocked((4, 32), 1, None, 1)
    b = start("bits", [BufferType.of([4, 32], i1)] * 3, ["r", "r", "w"])
    x, y = (b.load(b.arg(i), [0, 0], tv) for i in (0, 1))
    b.store(b.map(lambda s, x, y: s.insert(BOOLEAN[name](x, y)), x, y), b.arg(2), [0, 0])
    check(b, [rng.random((4, 32)) < 0.5, rng.random((4, 32)) < 0.5, np.zeros((4, 32), bool)])


@pytest.mark.parametrize(("elem", "dtype"), [(bf16, bfloat16), (i8, np.int8)])
def test_odd_numbers_of_narrow_elements(elem, dtype):
    tv = Tv((32, 3), ((3, (0, 1)),), ((32, (1, 0)),), ())
    b = start("odd", [BufferType.of([32, 3], elem), BufferType.of([32, 3], elem)], ["r", "w"])
    b.store(b.load(b.arg(0), [0, 0], tv), b.arg(1), [0, 0])
    x = (rng.standard_normal((32, 3)) * 40).astype(dtype)
    check(b, [x, np.zeros_like(x)])


def test_a_cast_to_bf16_and_back_rounds():
    tv = Tv.blocked((4, 64), 2, None, 1)
    b = start("round", [BufferType.of([4, 64], f32), BufferType.of([4, 64], f32)], ["r", "w"])
    y = b.map(lambda s, x: s.mul(s.cast(s.cast(x, bf16), f32), 3.0), b.load(b.arg(0), [0, 0], tv))
    b.store(y, b.arg(1), [0, 0])
    check(b, [rng.standard_normal((4, 64)).astype(np.float32), np.zeros((4, 64), np.float32)])


@pytest.mark.parametrize(("elem", "dtype"), [(i32, np.int32), (bf16, bfloat16)])
def test_reductions_of_other_types(elem, dtype):
    tv = Tv.blocked((4, 128), 2, None, 2)
    b = start("types", [BufferType.of([4, 128], elem), BufferType.of([4, 1], elem)], ["r", "w"], warps=2)
    b.store(b.reduce(b.load(b.arg(0), [0, 0], tv), 1, "max"), b.arg(1), [0, 0])
    check(b, [(rng.standard_normal((4, 128)) * 90).astype(dtype), np.zeros((4, 1), dtype)])


def test_copies_of_an_element_are_summed_once_and_written_once():
    tv = Tv((1, 8), ((2, (0, 0)), (2, (0, 1))), ((4, (0, 2)), (8, (0, 0))), ((2, (0, 0)),))
    b = start("copies", [BufferType.of([1, 8], f32), BufferType.of([1, 1], f32)], ["r", "w"], warps=2)
    b.store(b.reduce(b.load(b.arg(0), [0, 0], tv), 1, "add"), b.arg(1), [0, 0])
    check(b, [np.arange(8, dtype=np.float32).reshape(1, 8), np.zeros((1, 1), np.float32)])


@pytest.mark.parametrize("width", [32, 64, 128])
def test_swizzled_memory_with_a_run_time_origin(width):
    layout = MemLayout.swizzled([32, 64], 2, width)
    b = start("swizzle", [BufferType.of([32, 64], bf16), BufferType.of([32, 64], bf16)], ["r", "w"], warps=2)
    s = b.alloc([32, 64], bf16, layout)
    b.store(b.load(b.arg(0), [0, 0], Tv.blocked((32, 64), 8, None, 2)), s, [0, 0])
    b.barrier()
    narrow = Tv.blocked((16, 16), 4, None, 2)

    def body(i):
        b.store(b.load(s, [16, i], narrow), b.arg(1), [16, i])
        b.store(b.load(s, [b.div(i, 4), 8], narrow), b.arg(1), [b.div(i, 4), 8])

    b.for_(0, 64, 16, [], body)
    check(b, [rng.standard_normal((32, 64)).astype(bfloat16), np.zeros((32, 64), bfloat16)])


def test_asynchronous_copies_fill_with_zeros_inside_a_vector():
    b = start("partial", [BufferType.of(["T", 64], bf16), BufferType.of([16, 64], bf16)], ["r", "w"], ["T"], warps=2)
    s = b.alloc([16, 64], bf16, MemLayout.swizzled([16, 64], 2))
    tv = Tv.blocked((16, 64), 8, None, 2)
    b.cp_async(b.arg(0), [0, 0], s, [0, 0], tv, checked=[True, True], bounds=[b.size("T"), b.add(b.size("T"), 38)])
    b.cp_async_commit()
    b.cp_async_wait(0)
    b.barrier()
    b.store(b.load(s, [0, 0], tv), b.arg(1), [0, 0])
    check(b, [rng.standard_normal((11, 64)).astype(bfloat16), np.ones((16, 64), bfloat16)], {"T": 11})


def test_roles_reduce_and_relayout_on_their_own():
    types = [BufferType.of([2, 256], f32), BufferType.of([1, 1], f32), BufferType.of([256, 1], f32)]
    b = start("roles", types, ["r", "w", "w"], warps=6)

    def first():
        x = b.load(b.arg(0), [0, 0], Tv.blocked((1, 256), 2, None, 4))
        b.store(b.reduce(x, 1, "add"), b.arg(1), [0, 0])

    def second():
        x = b.load(b.arg(0), [1, 0], Tv.blocked((1, 256), 4, None, 2))
        y = b.relayout(x, Tv.blocked((1, 256), 1, None, 2))
        b.store(b.relabel(y, Tv.blocked((1, 256), 1, None, 2).permute((1, 0))), b.arg(2), [0, 0])

    b.roles((4, first), (2, second))
    arrays = [rng.standard_normal((2, 256)).astype(np.float32), np.zeros((1, 1), np.float32), np.zeros((256, 1), np.float32)]
    check(b, arrays, tolerance=1e-5)


def test_scalars_of_narrow_types_and_extraction():
    types = [BufferType.of([4], bf16), BufferType.of([4], i8), BufferType.of([4], bf16), BufferType.of([4], i8)]
    b = start("narrow", types, ["r", "r", "w", "w"])
    tv = Tv((1,), (), ((32, (0,)),), ())
    x = b.load_scalar(b.arg(0), 1)
    y = b.map(lambda s, v: s.cast(s.mul(s.cast(v, f32), 2.0), bf16), b.splat(x, tv))
    b.store_scalar(b.extract(y), b.arg(2), 3)
    b.store_scalar(b.load_scalar(b.arg(1), 2), b.arg(3), 0)
    arrays = [
        np.array([1, 2.5, 3, 4], bfloat16),
        np.array([1, -7, -9, 4], np.int8),
        np.zeros(4, bfloat16),
        np.zeros(4, np.int8),
    ]
    check(b, arrays)


def test_broadcast_and_branches_carry_fragments():
    tv = Tv.blocked((16, 32), 4, None, 2)
    b = start("carry", [BufferType.of([16, 1], f32), BufferType.of([16, 32], bf16)], ["r", "w"], ["T"], warps=2)
    x = b.cast(b.broadcast(b.load(b.arg(0), [0, 0], tv.project(1)), tv), bf16)

    def body(i, acc):
        twice = b.map(lambda s, a: s.cast(s.add(s.cast(a, f32), 1.0), bf16), acc)
        return list(b.if_(b.cmp("eq", b.rem(i, 2), 0), lambda: [twice], lambda: [acc]))

    (y,) = b.for_(0, b.size("T"), 1, [x], body)
    b.store(y, b.arg(1), [0, 0])
    check(b, [np.arange(16, dtype=np.float32).reshape(16, 1), np.zeros((16, 32), bfloat16)], {"T": 5})
