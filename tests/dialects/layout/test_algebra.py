from __future__ import annotations

from collections.abc import Callable
from math import prod

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from llmc.dialects.layout.algebra import (
    bank_conflicts,
    conversion,
    invert,
    vector_width,
)
from llmc.dialects.layout.mem import MemLayout
from llmc.dialects.layout.tv import Tv

SIZES = st.sampled_from([1, 2, 3, 4, 5, 8])


RADICES = st.lists(SIZES, min_size=1, max_size=5)


@st.composite
def gapless(draw: st.DrawFn, radices: list[int] | None = None) -> MemLayout:
    """A layout of up to three dimensions whose digits, `radices` from the innermost in memory on, are in any order."""
    radices = radices or draw(RADICES)
    owner = [draw(st.integers(0, 2)) for _ in radices]
    strides = [prod(radices[:i]) for i in range(len(radices))]
    order = draw(st.permutations(range(len(radices))))
    dims = [tuple((radices[i], strides[i]) for i in order if owner[i] == axis) or ((1, 0),) for axis in range(3)]
    return MemLayout(tuple(dims))


@given(gapless())
@settings(max_examples=60, deadline=None)
def test_the_inverse_undoes_a_layout(layout: MemLayout):
    offsets = layout.all_offsets()
    assert layout.is_injective()
    back = invert(layout).offset([offsets])
    np.testing.assert_array_equal(back, np.arange(prod(layout.shape)).reshape(layout.shape))


@given(gapless())
@settings(max_examples=60, deadline=None)
def test_normal_forms_and_reshapes_keep_every_offset(layout: MemLayout):
    np.testing.assert_array_equal(layout.normalised().all_offsets(), layout.all_offsets())
    flat = layout.reshape([prod(layout.shape)])
    np.testing.assert_array_equal(flat.all_offsets(), layout.all_offsets().reshape(-1))
    turned = layout.permute([2, 0, 1])
    np.testing.assert_array_equal(turned.all_offsets(), layout.all_offsets().transpose(2, 0, 1))
    assert layout.size() == prod(layout.shape)


@st.composite
def composable(draw: st.DrawFn) -> tuple[MemLayout, MemLayout]:
    """A layout, and an order whose digits are the layout's from the last one on."""
    radices = draw(RADICES)
    at = draw(st.permutations(range(len(radices))))
    strides = [prod(radices[j] for j in at[: at.index(i)]) for i in range(len(radices))]
    first, second = sorted(draw(st.integers(0, len(radices))) for _ in range(2))
    digits = list(zip(radices, strides, strict=True))
    dims = [tuple(part) or ((1, 0),) for part in (digits[second:], digits[first:second], digits[:first])]
    return MemLayout(tuple(dims)), draw(gapless(radices))


@given(composable())
@settings(max_examples=60, deadline=None)
def test_composition_is_reading_through_an_order(pair: tuple[MemLayout, MemLayout]):
    layout, order = pair
    composed = layout.compose(order)
    np.testing.assert_array_equal(composed.all_offsets(), layout.all_offsets().reshape(-1)[order.all_offsets()])


def test_an_order_that_cuts_digits_is_refused():
    with pytest.raises(ValueError, match="cannot split 4 off a digit of size 6"):
        MemLayout((((6, 1),),)).compose(MemLayout((((4, 1),),)))


@pytest.mark.parametrize("width", [32, 64, 128])
def test_swizzles_permute_their_block(width: int):
    layout = MemLayout.swizzled((16, 64), 2, width)
    assert layout.is_injective() and layout.all_offsets().max() == 16 * 64 - 1
    offsets = np.arange(1024)
    np.testing.assert_array_equal(layout.apply_swizzle(layout.apply_swizzle(offsets)), offsets)


def test_slices_start_where_they_should():
    layout = MemLayout((((16, 32), (4, 1024)), ((32, 1), (2, 512))))
    part, base = layout.slice(0, 16, 32)
    np.testing.assert_array_equal(part.all_offsets() + base, layout.all_offsets()[16:48])
    with pytest.raises(ValueError, match="cuts"):
        layout.slice(0, 8, 16)


@pytest.mark.parametrize(
    "ask",
    [
        lambda layout: layout.slice(0, 3, 4),
        lambda layout: layout.slice(0, -1, 2),
        lambda layout: layout.slice(0, 1, 0),
        lambda layout: layout.slice(2, 0, 1),
        lambda layout: layout.drop(2),
        lambda layout: layout.split(0, (3, 2)),
        lambda layout: layout.split(0, (2, -2)),
        lambda layout: layout.merge(1, 2),
        lambda layout: layout.reshape((-1,)),
        lambda layout: layout.reshape(()),
        lambda layout: layout.permute((0, 0)),
        lambda layout: layout.swizzled((8, 24), 2, 48),
    ],
)
def test_arguments_that_fit_no_layout_are_refused(ask: Callable[[MemLayout], object]):
    with pytest.raises(ValueError, match=r"\w+ \w+"):
        ask(MemLayout.row_major((4, 4)))


# register layouts ---------------------------------------------------------------------------------
@st.composite
def blocked(draw: st.DrawFn) -> Tv:
    vec = draw(st.sampled_from([1, 2, 4, 8]))
    shape = (draw(st.sampled_from([1, 3, 4, 16])), vec * draw(st.sampled_from([1, 2, 6, 16, 32])))
    return Tv.blocked(shape, vec, draw(st.sampled_from([None, (1, 0)])), draw(st.sampled_from([1, 2, 4])))


@given(blocked())
@settings(max_examples=60, deadline=None)
def test_blocked_layouts_hold_every_element(tv: Tv):
    assert tv.is_covering()


@given(blocked())
@settings(max_examples=60, deadline=None)
def test_a_projection_reads_the_register_it_says(tv: Tv):
    for axis in (0, 1):
        small = tv.project(axis)
        source = tv.register_of_projection([axis])
        coords = tv.all_coords().copy()
        coords[..., axis] = 0
        np.testing.assert_array_equal(coords, small.all_coords()[:, :, source])


@given(blocked(), st.integers(2, 3))
@settings(max_examples=40, deadline=None)
def test_slices_of_a_concatenation_are_its_parts(tv: Tv, count: int):
    for axis in (0, 1):
        whole = tv.concat(axis, count)
        assert whole.is_covering()
        for part in range(count):
            piece, registers = whole.slice(axis, part * tv.shape[axis], tv.shape[axis])
            np.testing.assert_array_equal(piece.all_coords(), tv.all_coords())
            shifted = whole.all_coords()[:, :, list(registers)].copy()
            shifted[..., axis] -= part * tv.shape[axis]
            np.testing.assert_array_equal(shifted, tv.all_coords())


def test_mma_operands_cover_their_tiles():
    assert Tv.mma_c((64, 48), (2, 3)).is_bijective()
    assert Tv.mma_a((64, 32), (2, 1)).is_bijective()
    assert Tv.mma_b((48, 32), (1, 3)).is_bijective()


def test_conversions_are_as_cheap_as_what_the_threads_hold():
    c, a = Tv.mma_c((16, 16)), Tv.mma_a((16, 16))
    assert conversion(c, c).kind == "none"
    assert conversion(c, a).kind == "none"
    assert conversion(Tv.blocked((16, 16), 2, (1, 0)), c).kind == "shuffle"
    assert conversion(Tv.mma_c((64, 16), (4, 1)), Tv.mma_c((64, 16), (2, 2))).kind == "shared"
    swapped = Tv(c.shape, c.reg[::-1], c.lane, c.warp)
    assert conversion(c, swapped).kind == "registers"


def test_swizzles_free_operand_loads_of_conflicts():
    a = Tv.mma_a((64, 64), (4, 1))
    plain = MemLayout.row_major((64, 64))
    assert vector_width(a, plain, 2) == 2
    assert bank_conflicts(a, plain, 2) == 8
    swizzled = MemLayout.swizzled((64, 64), 2)
    assert bank_conflicts(a, swizzled, 2) == 1
    assert bank_conflicts(Tv.blocked((64, 64), 8, warps=4), swizzled, 2) == 1
