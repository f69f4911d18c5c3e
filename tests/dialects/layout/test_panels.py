"""Boxes: where their elements lie, and which of them no tensor map has."""

from __future__ import annotations

import numpy as np
import pytest
from llmc.dialects.layout.mem import MemLayout
from llmc.dialects.layout.panels import PANELS, box_layout, box_problem, holds_box
from llmc.dialects.layout.types import BufferType
from llmc.dialects.tile.wgmma import PATTERN
from xdsl.dialects.builtin import bf16, f32, i8

X = BufferType.of(["T", 4096], bf16)


@pytest.mark.parametrize(
    ("type_", "box", "swizzle", "why"),
    [
        (X, (64, 64), 128, None),
        (X, (256, 8), 0, None),
        (X, (1, 32), 64, None),
        (BufferType.of(["T", 3, 2, 64], f32), (1, 2, 2, 32), 128, None),
        (X, (64, 64), 16, "a swizzle of 16 bytes"),
        (X, (64,), 0, "rank 1 in a buffer of rank 2"),
        (X, (0, 64), 0, "outside 1..256"),
        (X, (64, 512), 0, "outside 1..256"),
        (X, (64, 12), 0, "rows of 24 bytes"),
        (X, (64, 32), 128, "take a swizzle of 64"),
        (X, (64, 128), 64, "take 64 columns"),
        (BufferType.of([8, 24], i8), (8, 16), 0, "a stride of 24 bytes"),
        (BufferType.of([1, 24], i8), (1, 16), 0, None),
        (BufferType.of([64, 64], bf16, MemLayout((((16, 64), (4, 1024)), ((64, 1),)))), (8, 8), 0, None),
        (BufferType.of([64, 64], bf16, MemLayout((((16, 32), (4, 2048)), ((32, 1), (2, 512))))), (8, 8), 0, "one stride"),
    ],
)
def test_an_impossible_box_is_refused_with_the_reason(type_, box, swizzle, why) -> None:
    problem = box_problem(type_, box, swizzle)
    assert problem is None if why is None else problem is not None and why in problem


@pytest.mark.parametrize("swizzle", [s for s in PANELS if s])
def test_a_column_of_eight_rows_lies_in_different_banks(swizzle: int) -> None:
    offsets = box_layout((8, swizzle // 2), 2, swizzle).all_offsets((8, swizzle // 2)) * 2
    banks = offsets[:, 0] % 128 // 16
    assert len(set(banks.tolist())) == 8


def test_the_widest_panel_is_what_wgmma_reads() -> None:
    assert box_layout((16, 64), 2, 128).swizzle == PATTERN


@pytest.mark.parametrize("swizzle", PANELS)
def test_a_pattern_repeats_after_its_bytes(swizzle: int) -> None:
    width = swizzle or 128
    rows = 2 * PANELS[swizzle].pattern // width
    offsets = box_layout((rows, width), 1, swizzle).all_offsets((rows, width)).reshape(2, -1)
    np.testing.assert_array_equal(offsets[0] + PANELS[swizzle].pattern, offsets[1])


def test_panels_beside_each_other_each_hold_a_box() -> None:
    layout = MemLayout((((16, 64),), ((64, 1), (2, 64 * 16))), (3, 3, 3))
    assert holds_box(layout, (16, 128), 0, (16, 64), 2, 128) is None
    assert holds_box(layout, (16, 128), 2048, (16, 64), 2, 128) is None
    assert "the box has" in (holds_box(layout, (16, 128), 2048, (32, 64), 2, 128) or "")
    assert "not a box of [16, 64]" in (holds_box(MemLayout.swizzled((16, 128), 2), (16, 128), 0, (16, 64), 2, 128) or "")
    assert "puts them" in (holds_box(MemLayout.swizzled((16, 64), 2), (16, 64), 0, (16, 64), 2, 0) or "")
