"""The plan of a product is checked by carrying it out, register by register."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from llmc.dialects.layout.algebra import vector_width
from llmc.dialects.layout.mem import MemLayout
from llmc.dialects.layout.tv import Tv
from llmc.dialects.tile.mma import ATOMS, MmaMismatch, mma_plan


def gathered(tv: Tv, tile: np.ndarray) -> np.ndarray:
    """The registers of every thread: [warps, 32, registers]."""
    return tile[tuple(np.moveaxis(tv.all_coords(), -1, 0))]


def carry_out(a_tv: Tv, b_tv: Tv, c_tv: Tv, atom: str, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Runs the plan with the slot maps of the PTX manual."""
    form = ATOMS[atom]
    a_regs, b_regs = gathered(a_tv, a), gathered(b_tv, b)
    c_regs = np.zeros((c_tv.num_warps, 32, c_tv.num_regs))
    lanes = np.arange(32)
    g, c = lanes // 4, lanes % 4
    for step in mma_plan(a_tv, b_tv, c_tv, atom):
        for warp in range(c_tv.num_warps):
            left, right = np.zeros((16, form.k)), np.zeros((8, form.k))
            for unit in range(form.units):
                for e in range(form.pack):
                    k = form.pack * c + 4 * form.pack * unit + e
                    right[g, k] = b_regs[warp, lanes, step.b[unit * form.pack + e]]
                    for half in (0, 1):
                        left[g + 8 * half, k] = a_regs[warp, lanes, step.a[(2 * unit + half) * form.pack + e]]
            product = left @ right.T
            for slot, register in enumerate(step.c):
                c_regs[warp, lanes, register] += product[g + 8 * (slot // 2), 2 * c + slot % 2]
    result = np.zeros(c_tv.shape)
    result[tuple(np.moveaxis(c_tv.all_coords(), -1, 0))] = c_regs
    return result


def check(a_tv: Tv, b_tv: Tv, c_tv: Tv, atom: str = "m16n8k16") -> None:
    rng = np.random.default_rng(0)
    a, b = rng.integers(-3, 4, a_tv.shape).astype(float), rng.integers(-3, 4, b_tv.shape).astype(float)
    got = carry_out(a_tv, b_tv, c_tv, atom, a, b)
    np.testing.assert_array_equal(got, a @ np.swapaxes(b, -1, -2))


@given(
    st.sampled_from([16, 32, 64]),
    st.sampled_from([8, 16, 24, 48]),
    st.sampled_from([16, 32, 48]),
    st.sampled_from([(1, 1), (2, 1), (1, 2)]),
)
@settings(max_examples=20, deadline=None)
def test_standard_operands(m: int, n: int, k: int, warps: tuple[int, int]):
    m, n = m * warps[0], n * warps[1]
    check(Tv.mma_a((m, k), warps), Tv.mma_b((n, k), warps), Tv.mma_c((m, n), warps))


PACKED_A = Tv((16, 32), ((2, (0, 1)), (2, (8, 0)), (2, (0, 2)), (2, (0, 4))), ((4, (0, 8)), (8, (1, 0))), ())
PACKED_B = Tv((8, 32), ((2, (0, 1)), (2, (0, 2)), (2, (0, 4))), ((4, (0, 8)), (8, (1, 0))), ())
IMAGE = MemLayout((((8, 32), (2, 2)), ((2, 1), (2, 4), (2, 256), (4, 8))))


def test_the_weight_image_is_a_permutation_of_k():
    """Lane c owns k = 8c … 8c+7 of every 32; its fragment is 16 contiguous bytes a k step, and so is the other operand's."""
    check(PACKED_A, PACKED_B, Tv.mma_c((16, 8)))
    assert vector_width(PACKED_A, IMAGE, 2) == 8
    assert vector_width(PACKED_B, MemLayout.row_major((8, 32)), 2) == 8


def test_warps_may_split_k_along_a_leading_dimension():
    def split(tv: Tv) -> Tv:
        wide = tv.expand(0)
        return Tv((4, *tv.shape), wide.reg, wide.lane, ((4, (1, 0, 0)),))

    check(split(PACKED_A), split(PACKED_B), split(Tv.mma_c((16, 8))))


def test_eight_bit_operands():
    a = Tv((16, 32), ((4, (0, 1)), (2, (8, 0)), (2, (0, 16))), ((4, (0, 4)), (8, (1, 0))), ())
    b = Tv((8, 32), ((4, (0, 1)), (2, (0, 16))), ((4, (0, 4)), (8, (1, 0))), ())
    check(a, b, Tv.mma_c((16, 8)), "m16n8k32")


@pytest.mark.parametrize(
    ("a", "b", "c", "reason"),
    [
        (PACKED_A, Tv.mma_b((8, 32)), Tv.mma_c((16, 8)), "different k"),
        (Tv.mma_a((16, 16)), Tv.mma_b((8, 16)), Tv.blocked((16, 8), 4), "c: m varies"),
        (Tv.mma_a((16, 16)), Tv.mma_b((16, 16)), Tv.mma_c((16, 8)), "expected"),
        (Tv.mma_a((32, 16), (2, 1)), Tv.mma_b((16, 16), (2, 1)), Tv.mma_c((32, 16), (1, 2)), "no (register|pair)"),
    ],
)
def test_layouts_that_do_not_agree_are_refused(a: Tv, b: Tv, c: Tv, reason: str):
    with pytest.raises(MmaMismatch, match=reason):
        mma_plan(a, b, c)
