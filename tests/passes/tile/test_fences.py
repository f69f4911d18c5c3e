"""Barriers and rings: what is missing is inserted or refused."""

from __future__ import annotations

import pytest
from llmc.dialects.ir.context import make_context
from llmc.dialects.ir.diagnostics import LlmcError
from llmc.dialects.layout.tv import Tv
from llmc.dialects.layout.types import BufferType
from llmc.passes.framework.pass_ import PassContext
from llmc.passes.framework.registry import lookup_pass
from llmc.passes.tile.expand_rings import ExpandRings
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


@pytest.mark.parametrize("name", ["expand-rings", "allocate-shared", "insert-fences", "select-access", "tile-to-ptx"])
def test_the_passes_are_found_by_name(name):
    assert lookup_pass(name).name == name
