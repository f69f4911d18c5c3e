"""The offset algebra behind tile accesses."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from llmc.dialects.layout.mem import MemLayout
from llmc.dialects.layout.tv import Tv
from llmc.dialects.layout.types import BufferType
from llmc.dialects.tile.ops import LoadOp
from llmc.passes.tile.allocate_shared import allocate
from llmc.passes.tile.divisibility import is_non_negative, known_divisor
from llmc.passes.tile.select_access import select
from llmc.passes.tile.tile_to_ptx.access import Access, Check, Origin
from llmc.passes.tile.tile_to_ptx.addressing import carries, find_runs, fit_threads, plan_tile
from tile_kernels import start
from xdsl.dialects.builtin import StringAttr, bf16, f32

SWIZZLED = MemLayout.swizzled([64, 64], 2)


def evaluate(part, lane, warp):
    total = 0
    for term in part:
        digit = lane >> term.shift if term.source == "lane" else warp // term.shift
        total += (digit % term.modulo if term.modulo else digit) * term.factor
    return total


@pytest.mark.parametrize("warps", [1, 3, 4, 6])
@pytest.mark.parametrize(
    "layout", [MemLayout.row_major([96, 64]), MemLayout((((8, 32), (2, 2), (6, 1024)), ((2, 1), (2, 4), (16, 64))))]
)
def test_a_plan_gives_every_offset(warps, layout):
    tv = Tv.blocked((96, 64), 2, None, warps)
    plan = plan_tile(tv, layout, (0, 0))
    if warps % 3 == 0 and len(layout.dims[0]) > 1:  # rows 0, 1, 2 of three warps do not follow the digits 8 and 2
        assert plan is None
        assert access(tv, layout).walked == (0, 1)
        return
    assert plan is not None
    for warp in range(warps):
        for lane in (0, 1, 7, 31):
            for register in range(tv.num_regs):
                offset = evaluate(plan.parts[plan.part_of[register]], lane, warp) + plan.imm[register]
                assert offset == layout.offset(tv.coords(register, lane, warp))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 1 << 12), min_size=5, max_size=5), st.integers(0, 500), st.integers(0, 500))
def test_sums_of_lane_bits_and_warp_digits_are_fitted(bits, two, three):
    lanes = np.arange(32)
    row = sum(((lanes >> i) & 1) * bits[i] for i in range(5))
    warps = np.arange(6)
    table = row[None, :] + ((warps % 2) * two + warps // 2 * three)[:, None]
    part = fit_threads(table, (2, 3))
    assert part is not None
    assert all(evaluate(part, lane, warp) == table[warp, lane] for warp in range(6) for lane in range(32))


def test_what_is_no_sum_of_digits_is_refused():
    table = (np.arange(32) ** 2)[None, :]
    assert fit_threads(table, ()) is None


@pytest.mark.parametrize(
    ("digits", "divisor", "extent", "expected"),
    [(((16, 1), (0, 512)), 16, 16, False), (((16, 1), (0, 512)), 8, 16, True), (((32, 1), (0, 99)), 16, 16, False),
     (((32, 1), (0, 99)), 1, 2, True), (((0, 7),), 1, 64, False)],
)  # fmt: skip
def test_origins_that_may_carry_between_digits_are_found(digits, divisor, extent, expected):
    assert carries(digits, divisor, extent) == expected


def access(tv, layout, origins=None, checks=None):
    return Access.of(tv, layout, bf16, origins or [Origin(0, 1)] * tv.rank, checks or {})


def test_vectors_follow_memory_not_the_order_of_registers():
    tv = Tv((8, 32), ((2, (0, 1)), (2, (0, 4)), (2, (0, 2))), ((4, (0, 8)), (8, (1, 0))), ())
    (run,) = access(tv, MemLayout.row_major([8, 32])).runs()
    assert run.nbytes == 16
    assert run.words == (0, 2, 1, 3)


def test_an_origin_of_unknown_divisor_narrows_vectors():
    tv = Tv.blocked((8, 32), 8, None, 1)
    origins = [Origin(0, 1), Origin(None, 4)]
    assert {r.nbytes for r in access(tv, MemLayout.row_major([8, 256]), origins).runs()} == {8}


def test_a_bound_that_cuts_vectors_narrows_them():
    tv = Tv.blocked((8, 32), 8, None, 1)
    runs = access(tv, MemLayout.row_major([8, 256]), checks={1: Check(2)}).runs()
    assert {r.nbytes for r in runs} == {4}


def test_transposed_elements_move_alone():
    tv = Tv.blocked((32, 8), 8, (1, 0), 1).permute((1, 0))
    table = access(tv, MemLayout.row_major([8, 32])).plan.table
    assert all(r.by_element for r in find_runs(table, 2, 2, 256, [0] * tv.num_regs))


@pytest.mark.parametrize("layout", [SWIZZLED, MemLayout.row_major([64, 64])])
def test_fragments_of_mma_in_shared_memory_are_ldmatrix(layout):
    plain = access(Tv.mma_a((64, 64), (2, 1)), layout).matrices()
    assert plain is not None and not plain.transposed and all(len(g) == 4 for g in plain.words)
    turned = access(Tv.mma_b((64, 64), (1, 1)).permute((1, 0)), layout).matrices()
    assert turned is not None and turned.transposed


def test_divisors_and_signs_of_offsets():
    b = start("k", [BufferType.of(["T", 64], f32)], ["r"], ["T"])
    x = b.task()[0]
    block = b.i32(b.mul(x, 24))
    assert known_divisor(block) == 24
    assert known_divisor(b.i32(b.add(block, 16))) == 8
    assert known_divisor(b.i32(b.div(block, 8))) == 3
    assert is_non_negative(b.i32(b.add(block, b.size("T"))))
    assert not is_non_negative(b.i32(b.sub(block, 1)))
    seen = []
    b.for_(0, b.size("T"), 12, [], lambda i: seen.append((known_divisor(i), is_non_negative(i))))
    assert seen == [(1, False)]  # the loop does not exist yet while its body is written


def test_select_access_writes_the_instruction():
    b = start("k", [BufferType.of(["T", 64], bf16), BufferType.of([32, 64], bf16)], ["r", "w"], ["T"])
    s = b.alloc([64, 64], bf16, SWIZZLED)
    b.load(b.arg(0), [0, 0], Tv.blocked((32, 64), 8, None, 1), checked=[True, False])
    b.load(b.arg(0), [0, b.task()[0]], Tv.blocked((32, 64), 8, None, 1), checked=[True, False])
    b.load(s, [0, 0], Tv.mma_a((64, 64)))
    kernel = b.finish()
    select(kernel)
    loads = [op for op in kernel.walk() if isinstance(op, LoadOp)]
    assert [op.attributes["access"] for op in loads] == [StringAttr("16"), StringAttr("2"), StringAttr("ldmatrix.x4")]


def test_shared_memory_is_laid_out_without_overlap_and_aliases_share():
    b = start("k", [BufferType.of([8, 256], f32)], ["r"], warps=4)
    b.alloc([100], f32)
    b.alloc([64, 64], bf16, SWIZZLED)
    b.alloc([16], f32, alias="a")
    b.alloc([300], f32, alias="a")
    b.mbarriers(3, 4)
    b.reduce(b.load(b.arg(0), [0, 0], Tv.blocked((8, 256), 2, None, 4)), 1)
    kernel = b.finish()
    total = allocate(kernel)
    ops = [op for op in kernel.walk() if op.name in ("tile.alloc", "tile.mbarrier_init")]
    offsets = [op.properties["offset"].value.data for op in ops]
    assert offsets[2] == offsets[3]
    assert offsets[1] % 1024 == 0
    spans = sorted((o, n) for o, n in zip(offsets[:2] + offsets[3:], (400, 8192, 1200, 24), strict=True))
    assert all(a + n <= b for (a, n), (b, _) in pairwise(spans))
    reduce = next(op for op in kernel.walk() if op.name == "tile.reduce")
    assert reduce.attributes["scratch"].value.data + 4 * 8 * 4 <= total
