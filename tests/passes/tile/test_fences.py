"""Barriers and rings: what is missing is inserted or refused."""

from __future__ import annotations

import pytest
from llmc.dialects.ir.context import make_context
from llmc.dialects.ir.diagnostics import LlmcError
from llmc.dialects.layout.tv import Tv
from llmc.dialects.layout.types import BufferType
from llmc.passes.framework.pass_ import PassContext
from llmc.passes.framework.registry import lookup_pass
from llmc.passes.tile.expand_rings import ExpandRings, expand_rings
from llmc.passes.tile.insert_fences import insert_fences
from tile_kernels import start
from xdsl.dialects.builtin import ModuleOp, f32

TILE = Tv.blocked((4, 64), 2, None, 2)


def kernel():
    return start("k", [BufferType.of([4, 64], f32), BufferType.of([4, 64], f32)], ["r", "w"], warps=2)


def names(b):
    return [op.name for op in b.op.walk()]


def test_a_load_after_a_store_waits():
    b = kernel()
    s = b.alloc([4, 64], f32)
    b.store(b.load(b.arg(0), [0, 0], TILE), s, [0, 0])
    b.store(b.load(s, [0, 0], TILE), b.arg(1), [0, 0])
    b.finish()
    assert insert_fences(b.op) == 1
    order = names(b)
    assert order.index("tile.barrier") > order.index("tile.store")
    assert insert_fences(b.op) == 0


def test_the_next_iteration_waits_for_the_readers_of_this_one():
    b = kernel()
    s = b.alloc([4, 64], f32)

    def body(i):
        b.store(b.load(b.arg(0), [0, 0], TILE), s, [0, 0])
        b.store(b.load(s, [0, 0], TILE), b.arg(1), [0, 0])

    b.for_(0, 4, 1, [], body)
    b.finish()
    assert insert_fences(b.op) == 2


def test_other_stages_are_other_memory():
    b = kernel()
    s = b.alloc([2, 4, 64], f32)
    x = b.load(b.arg(0), [0, 0], TILE)
    b.store(x, b.stage(s, 0), [0, 0])
    b.store(b.load(b.stage(s, 1), [0, 0], TILE), b.arg(1), [0, 0])
    b.finish()
    assert insert_fences(b.op) == 0


def test_one_thread_alone_does_not_wait_inside_its_branch():
    b = kernel()
    s = b.alloc([4, 64], f32)
    b.store(b.load(b.arg(0), [0, 0], TILE), s, [0, 0])
    b.if_(b.is_thread(0), lambda: b.store_scalar(b.load_scalar(s, 0, 0), b.arg(1), 0, 0))
    b.finish()
    assert insert_fences(b.op) == 1
    order = names(b)
    assert order.index("tile.barrier") < order.index("scf.if")


def ring_kernel(copies, consumers):
    b = start("k", [BufferType.of([4096], f32)], ["r"], warps=3)
    ring = b.ring(2, [1, 128], f32, consumers=consumers, copies=copies)

    def produce():
        def body(i):
            b.ring_acquire(ring, i)
            b.bulk_load(b.arg(0), [b.mul(i, 128)], ring, i, 512)

        b.for_(0, 8, 1, [], body)

    def consume():
        def body(i):
            b.ring_wait(ring, i)
            b.ring_release(ring, i)

        b.for_(0, 8, 1, [], body)

    b.roles((1, produce), (2, consume))
    return ModuleOp([b.finish()])


@pytest.mark.parametrize(("copies", "consumers", "sound"), [(1, 2, True), (2, 2, False), (1, 4, False)])
def test_rings_that_would_hang_are_refused(copies, consumers, sound):
    module = ring_kernel(copies, consumers)
    run = lambda: ExpandRings().run(PassContext(make_context()), module)  # noqa: E731
    if sound:
        run()
    else:
        with pytest.raises(LlmcError, match="a ring stage is"):
            run()


def strided(step, stages, offsets=(0,)):
    """A consumer that waits for the counters i + offsets of every `step`."""
    b = start("k", [BufferType.of([4096], f32)], ["r"], ["n"], warps=2)
    ring = b.ring(stages, [1, 128], f32, consumers=1)

    def consume():
        def body(i):
            for offset in offsets:
                b.ring_wait(ring, b.add(b.size("n"), i, offset))
                b.ring_release(ring, b.add(b.size("n"), i, offset))

        b.for_(0, 64, step, [], body)

    b.roles((1, consume), (1, lambda: None))
    return b.finish()


@pytest.mark.parametrize(
    ("step", "stages", "offsets", "sound"),
    [
        (1, 3, (0,), True),
        (2, 4, (0,), True),
        (2, 3, (0,), False),
        (4, 2, (0,), False),
        (2, 3, (0, 1), True),
        (3, 3, (0, 1), True),
        (3, 2, (0, 1), False),
    ],
)
def test_a_wait_may_not_skip_phases_of_its_stage(step, stages, offsets, sound):
    kernel = strided(step, stages, offsets)
    if sound:
        assert expand_rings(kernel) == 1
    else:
        with pytest.raises(LlmcError, match="skips phases") as error:
            expand_rings(kernel)
        assert error.value.code == "LLMC0606"


def test_fresh_mbarriers_are_met_before_their_first_use():
    b = kernel()
    barriers = b.mbarriers(2, 1)
    b.mbarrier_arrive(barriers, 0)
    b.finish()
    assert insert_fences(b.op) == 1
    order = names(b)
    assert order.index("tile.mbarrier_init") < order.index("tile.barrier") < order.index("tile.mbarrier_arrive")


def test_roles_meet_before_they_begin_so_that_their_mbarriers_need_no_barrier():
    module = ring_kernel(1, 2)
    (op,) = module.ops
    expand_rings(op)
    assert insert_fences(op) == 0


@pytest.mark.parametrize("name", ["expand-rings", "allocate-shared", "insert-fences", "select-access", "tile-to-ptx"])
def test_the_passes_are_found_by_name(name):
    assert lookup_pass(name).name == name
