"""What runs beside the program, in numpy: mbarriers and the copies that land on them."""

from __future__ import annotations

import numpy as np
import pytest
from llmc.dialects.ir.diagnostics import LlmcError
from llmc.dialects.layout.tv import Tv
from llmc.dialects.layout.types import BufferType
from llmc.dialects.tile.semantics import run_kernel
from tile_kernels import start
from xdsl.dialects.builtin import f32

TV = Tv.blocked((128,), 4)
X = BufferType.of([256], f32)
OUT = BufferType.of([128], f32)


def run(b):
    op = b.finish()
    op.verify()
    x, out = np.arange(256, dtype=np.float32), np.zeros(128, np.float32)
    run_kernel(op, [x, out], {})
    return x, out


def test_a_copy_is_there_after_the_wait():
    b = start("k", [X, OUT], ["r", "w"])
    stage, full = b.alloc([128], f32), b.mbarriers(2, 1)
    b.mbarrier_expect(full, 1, 512)
    b.bulk_copy(b.arg(0), [128], stage, full, 1, 512)
    b.mbarrier_wait(full, 1, 0)
    b.store(b.load(stage, [0], TV), b.arg(1), [0])
    x, out = run(b)
    np.testing.assert_array_equal(out, x[128:])


def test_a_copy_is_not_there_before():
    b = start("k", [X, OUT], ["r", "w"])
    stage, full = b.alloc([128], f32), b.mbarriers(1, 1)
    b.mbarrier_expect(full, 0, 512)
    b.bulk_copy(b.arg(0), [0], stage, full, 0, 512)
    b.store(b.load(stage, [0], TV), b.arg(1), [0])
    b.mbarrier_wait(full, 0, 0)
    _, out = run(b)
    assert np.isnan(out).all()


def test_a_fresh_barrier_has_completed_parity_one():
    b = start("k", [X, OUT], ["r", "w"])
    b.mbarrier_wait(b.mbarriers(1, 1), 0, 1)
    b.store(b.full(7.0, TV), b.arg(1), [0])
    assert (run(b)[1] == 7).all()


def test_more_arrivals_than_counted_are_an_error():
    b = start("k", [X, OUT], ["r", "w"], warps=2)
    b.mbarrier_arrive(b.mbarriers(1, 1), 0)
    with pytest.raises(LlmcError, match="more than 1 arrivals"):
        run(b)


def test_more_bytes_than_expected_are_an_error():
    b = start("k", [X, OUT], ["r", "w"])
    stage, full = b.alloc([128], f32), b.mbarriers(1, 2)
    b.mbarrier_expect(full, 0, 256)
    b.bulk_copy(b.arg(0), [0], stage, full, 0, 512)
    b.mbarrier_wait(full, 0, 0)
    with pytest.raises(LlmcError, match="256 bytes more"):
        run(b)


def test_a_waiter_that_is_two_phases_behind_is_an_error():
    """The parity that it waits for is that of an older phase."""
    b = start("k", [X, OUT], ["r", "w"])
    barriers = b.mbarriers(1, 1)
    for _ in range(3):
        b.mbarrier_arrive(barriers, 0)
    b.mbarrier_wait(barriers, 0, 0)
    with pytest.raises(LlmcError, match="3 phases behind"):
        run(b)
