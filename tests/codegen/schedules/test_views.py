"""Memory layouts of tensors that are reshaped and transposed before they are stored, against numpy."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from llmc.codegen.schedules.views import stored_through
from llmc.dialects.nn import ops as nn
from llmc.dialects.nn.sizes import Size
from llmc.dialects.nn.types import tensor
from xdsl.dialects.builtin import f32
from xdsl.dialects.test import TestOp as Source
from xdsl.ir import Operation

SHAPES = [(6, 12, 16), (20, 1, 8), (4, 4, 4), (1, 24, 2)]


def views_of(shape: tuple[int, ...], steps: list[tuple[str, tuple[int, ...]]]) -> tuple[list[Operation], np.ndarray]:
    """The ops, and the numbers of the elements in the order of memory."""
    value = Source(result_types=[tensor(f32, [Size.of(n) for n in shape])]).results[0]
    ops: list[Operation] = []
    array = np.arange(int(np.prod(shape))).reshape(shape)
    for kind, numbers in steps:
        if kind == "transpose":
            ops.append(nn.TransposeOp(value, numbers))
            array = array.transpose(numbers)
        else:
            ops.append(nn.ReshapeOp(value, [Size.of(n) for n in numbers]))
            array = array.reshape(numbers)
        value = ops[-1].results[0]
    return ops, array.reshape(-1)


@st.composite
def programs(draw: st.DrawFn) -> tuple[tuple[int, ...], list[tuple[str, tuple[int, ...]]]]:
    shape = draw(st.sampled_from(SHAPES))
    current, steps = shape, list[tuple[str, tuple[int, ...]]]()
    for _ in range(draw(st.integers(0, 4))):
        if draw(st.booleans()):
            order = tuple(draw(st.permutations(range(len(current)))))
            steps.append(("transpose", order))
            current = tuple(current[i] for i in order)
            continue
        axis = draw(st.integers(0, len(current) - 1))
        outer = draw(st.sampled_from([n for n in range(1, current[axis] + 1) if current[axis] % n == 0]))
        split = (*current[:axis], outer, current[axis] // outer, *current[axis + 1 :])
        merge = draw(st.integers(0, len(split) - 2))
        current = draw(st.sampled_from([split, (*split[:merge], split[merge] * split[merge + 1], *split[merge + 2 :])]))
        steps.append(("reshape", current))
    return shape, steps


@given(programs())
def test_elements_lie_where_numpy_puts_them(program: tuple[tuple[int, ...], list[tuple[str, tuple[int, ...]]]]) -> None:
    shape, steps = program
    ops, stored = views_of(shape, steps)
    layout = stored_through(shape, ops)
    if layout is None:
        return
    offsets = layout.offset(list(np.indices(shape, sparse=True)))
    np.testing.assert_array_equal(stored[np.broadcast_to(offsets, shape)], np.arange(int(np.prod(shape))).reshape(shape))


def test_heads_of_a_batch_go_back_to_their_texts() -> None:
    ops, _ = views_of((20, 12, 16), [("reshape", (20, 3, 4, 16)), ("transpose", (1, 0, 2, 3)), ("reshape", (60, 64))])
    layout = stored_through((20, 12, 16), ops)
    assert layout is not None and layout.dims == (((20, 64),), ((4, 16), (3, 1280)), ((16, 1),))


@pytest.mark.parametrize("sizes", [(9, 8), (3, 24)])
def test_views_that_cut_across_axes_have_no_layout(sizes: tuple[int, int]) -> None:
    ops, _ = views_of((6, 12), [("transpose", (1, 0)), ("reshape", sizes)])
    found = stored_through((6, 12), ops)
    assert (found is None) == (sizes == (9, 8))
