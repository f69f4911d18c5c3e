"""`tile` → `ptx`: what the emulator computes from the PTX is what the tile semantics say."""

from __future__ import annotations

import numpy as np
import pytest
from llmc.codegen.ptx.assemble import assemble
from llmc.dialects.ir.diagnostics import LlmcError
from llmc.dialects.layout.mem import MemLayout
from llmc.dialects.layout.tv import Tv
from llmc.dialects.layout.types import BufferType
from ml_dtypes import bfloat16
from tile_kernels import run_both, start, to_text
from xdsl.dialects.builtin import bf16, f16, f32, i8, i32

rng = np.random.default_rng(7)


def check(builder, arrays, sizes=None, target="sm_90a", tolerance=0.0):
    kernel = builder.finish()
    assemble(to_text(kernel, target)[0], target)
    wanted, got = run_both(kernel, arrays, sizes, target)
    for index, (want, have) in enumerate(zip(wanted, got, strict=True)):
        if tolerance == 0.0:
            assert np.array_equal(want, have), f"buffer {index}"
        else:
            w, h = want.astype(np.float64), have.astype(np.float64)
            bound = tolerance * np.maximum(np.abs(w), np.abs(w).mean())
            assert (np.abs(w - h) <= bound).all(), f"buffer {index}: {np.abs(w - h).max()}"


@pytest.mark.parametrize(
    ("elem", "dtype", "vec"),
    [(bf16, bfloat16, 8), (bf16, bfloat16, 1), (f32, np.float32, 4), (i8, np.int8, 16), (i32, np.int32, 2)],
)
def test_copy_masks_rows_beyond_the_bound(elem, dtype, vec):
    buffer = BufferType.of(["T", 64], elem)
    b = start("copy", [buffer, buffer], ["r", "w"], ["T"], warps=2, grid=["ceildiv(T, 16)", 1, 1])
    row = b.mul(b.task()[0], 16)
    tv = Tv.blocked((16, 64), vec, None, 2)
    b.store(b.load(b.arg(0), [row, 0], tv, checked=[True, False]), b.arg(1), [row, 0], checked=[True, False])
    x = (rng.standard_normal((37, 64)) * 50).astype(dtype)
    check(b, [x, np.zeros_like(x)], {"T": 37})


def test_a_bound_inside_a_vector_narrows_the_access():
    b = start("cut", [BufferType.of([4, 24], bf16), BufferType.of([4, 24], bf16)], ["r", "w"])
    tv = Tv.blocked((4, 32), 4, None, 1)
    x = b.load(b.arg(0), [0, 0], tv, checked=[False, True], bounds=[21], other=2.0)
    b.store(x, b.arg(1), [0, 0], checked=[False, True])
    x = rng.standard_normal((4, 24)).astype(bfloat16)
    check(b, [x, np.zeros_like(x)])


def test_map_broadcasts_rows_and_columns():
    types = [
        BufferType.of([32, 64], bf16),
        BufferType.of([1, 64], f32),
        BufferType.of([32, 1], f32),
        BufferType.of([32, 64], bf16),
    ]
    b = start("scale", types, ["r", "r", "r", "w"], warps=4)
    tv = Tv.blocked((32, 64), 8, None, 4)
    x = b.cast(b.load(b.arg(0), [0, 0], tv), f32)
    w = b.load(b.arg(1), [0, 0], tv.project(0))
    r = b.load(b.arg(2), [0, 0], tv.project(1))
    y = b.map(lambda s, x, w, r: s.mul(s.mul(x, w), r), x, w, r)
    b.store(b.cast(y, bf16), b.arg(3), [0, 0])
    arrays = [
        rng.standard_normal(shape).astype(t)
        for shape, t in (((32, 64), bfloat16), ((1, 64), np.float32), ((32, 1), np.float32))
    ]
    check(b, [*arrays, np.zeros((32, 64), bfloat16)], tolerance=2.0**-7)


@pytest.mark.parametrize("kind", ["add", "max", "min"])
@pytest.mark.parametrize(
    ("shape", "order", "warps"), [((2, 512), None, 4), ((64, 32), None, 4), ((64, 32), (0, 1), 4), ((1, 1024), None, 8)]
)
def test_rows_are_reduced_over_registers_lanes_and_warps(kind, shape, order, warps):
    rows, columns = shape
    b = start("reduce", [BufferType.of([rows, columns], f32), BufferType.of([rows, 1], f32)], ["r", "w"], warps=warps)
    tv = Tv.blocked(shape, 2, order, warps)
    x = b.load(b.arg(0), [0, 0], tv)
    first = b.reduce(x, 1, kind)
    b.store(first, b.arg(1), [0, 0])
    check(b, [rng.standard_normal(shape).astype(np.float32), np.zeros((rows, 1), np.float32)], tolerance=1e-4)


def test_digits_that_warps_do_not_follow_are_computed_at_run_time():
    layout = MemLayout((((8, 32), (2, 2), (6, 4096)), ((2, 1), (2, 4), (16, 256))))
    b = start("walk", [BufferType.of([96, 64], f32, layout), BufferType.of(["T", 64], f32)], ["r", "w"], ["T"], warps=3)
    tv = Tv.blocked((12, 64), 2, None, 3)

    def body(i):
        b.store(b.load(b.arg(0), [i, 0], tv), b.arg(1), [i, 0], checked=[True, False])

    b.for_(0, 84, 7, [], body)
    stored = rng.standard_normal(layout.size()).astype(np.float32)
    check(b, [stored, np.zeros((91, 64), np.float32)], {"T": 91})


def test_softmax_in_a_loop_reuses_its_scratch():
    b = start("softmax", [BufferType.of([8, 256], f32), BufferType.of([8, 256], f32)], ["r", "w"], warps=4)
    tv = Tv.blocked((1, 256), 2, None, 4)

    def body(i):
        x = b.load(b.arg(0), [i, 0], tv)
        top = b.reduce(x, 1, "max")
        p = b.map(lambda s, x, m: s.exp(s.sub(x, m)), x, top)
        y = b.map(lambda s, p, t: s.div(p, t), p, b.reduce(p, 1, "add"))
        b.store(y, b.arg(1), [i, 0])

    b.for_(0, 8, 1, [], body)
    check(b, [rng.standard_normal((8, 256)).astype(np.float32), np.zeros((8, 256), np.float32)], tolerance=1e-5)


def mma_image(n, k):
    """A weight order in which a lane's A fragment of an m16k32 block is contiguous."""
    rows = ((8, 32), (2, 2), (n // 16, 512 * (k // 32)))
    columns = ((2, 1), (2, 4), (2, 256), (4, 8), (k // 32, 512))
    return MemLayout((rows, columns))


def test_gemm_from_a_weight_image_takes_16_byte_loads():
    n, k, t = 64, 128, 8
    image = mma_image(n, k)
    types = [BufferType.of([n, k], bf16, image), BufferType.of([t, k], bf16), BufferType.of([t, n], f32)]
    b = start("skinny", types, ["r", "r", "w"], warps=4)
    a_tv = Tv((n, 32), ((2, (0, 1)), (2, (8, 0)), (2, (0, 2)), (2, (0, 4))), ((4, (0, 8)), (8, (1, 0))), ((4, (16, 0)),))
    b_tv = Tv((t, 32), ((2, (0, 1)), (2, (0, 2)), (2, (0, 4))), ((4, (0, 8)), (8, (1, 0))), ((4, (0, 0)),))
    c_tv = Tv.mma_c((n, t), (4, 1))

    def body(i, acc):
        w = b.load(b.arg(0), [0, i], a_tv, cache="evict_first")
        x = b.load(b.arg(1), [0, i], b_tv)
        return [b.mma(w, x, acc)]

    (acc,) = b.for_(0, k, 32, [b.full(0.0, c_tv)], body)
    flipped = b.relabel(acc, c_tv.permute((1, 0)))
    b.store(flipped, b.arg(2), [0, 0])
    kernel = b.finish()
    text, _ = to_text(kernel)
    assert text.count("v4.b32") >= 2, text
    w = rng.standard_normal((n, k)).astype(bfloat16)
    packed = np.zeros(n * k, bfloat16)
    packed[image.all_offsets().reshape(-1)] = w.reshape(-1)
    x = rng.standard_normal((t, k)).astype(bfloat16)
    wanted, got = run_both(kernel, [packed, x, np.zeros((t, n), np.float32)])
    assert np.allclose(wanted[2], x.astype(np.float32) @ w.astype(np.float32).T, atol=1e-3)
    assert np.allclose(got[2], wanted[2], atol=1e-3)
    assemble(text, "sm_90a")


@pytest.mark.parametrize(("vector", "at"), [(8, 0), (2, 32), (1, 5)])
def test_tiles_of_swizzled_global_memory(vector, at):
    image = MemLayout((((2, 256), (8, 32), (4, 1536)), ((32, 1), (3, 512))), (2, 3, 3))
    types = [BufferType.of([64, 96], bf16, image), BufferType.of([64, 96], bf16, image), BufferType.of([64, 96], bf16)]
    b = start("moved", types, ["r", "w", "w"], warps=2, grid=[4, 1, 1])
    tv = Tv.blocked((16, 64 if vector > 1 else 32), vector, None, 2)
    row = b.mul(b.task()[0], 16)
    x = b.load(b.arg(0), [row, at], tv)
    b.store(x, b.arg(1), [row, at])
    b.store(x, b.arg(2), [row, at])
    x = np.zeros(64 * 96, bfloat16)
    x[image.all_offsets().reshape(-1)] = rng.standard_normal(64 * 96).astype(bfloat16)
    check(b, [x, np.zeros_like(x), np.zeros((64, 96), bfloat16)])


def test_elements_of_swizzled_global_memory():
    image = MemLayout((((2, 256), (8, 32)), ((32, 1), (2, 512))), (2, 3, 3))
    b = start("one", [BufferType.of([16, 64], f32, image), BufferType.of([16, 64], f32)], ["r", "w"], grid=[16, 64, 1])
    row, column, _ = b.task()
    b.store_scalar(b.load_scalar(b.arg(0), row, column), b.arg(1), row, column)
    check(b, [np.arange(1024, dtype=np.float32), np.zeros((16, 64), np.float32)])


def test_bulk_copies_cut_no_swizzle_of_global_memory():
    layout = MemLayout(MemLayout.row_major((4, 512)).dims, (2, 3, 3))
    for step, fits in ((1, True), (32, False)):
        b = start("cut", [BufferType.of([4, 512], bf16, layout)], ["r"], grid=[4, 8, 1])
        stage, full = b.alloc([256], bf16, MemLayout(((((256, 1)),),), (2, 3, 3))), b.mbarriers(1, 1)
        row, column, _ = b.task()
        b.bulk_copy(b.arg(0), [row, 0] if fits else [row, b.mul(column, step)], stage, full, 0, 512)
        if fits:
            to_text(b.finish())
        else:
            with pytest.raises(LlmcError, match="pattern"):
                to_text(b.finish())


@pytest.mark.parametrize("transposed", [False, True])
def test_pipelined_gemm_with_swizzled_shared_memory_uses_ldmatrix(transposed):
    m = n = 64
    k, stages, step = 256, 3, 64
    b_shape = [k, n] if transposed else [n, k]
    types = [BufferType.of([m, k], bf16), BufferType.of(b_shape, bf16), BufferType.of([m, n], f32)]
    b = start("gemm", types, ["r", "r", "w"], warps=4)
    swizzled = MemLayout(MemLayout.row_major([stages, 64, step]).dims, (3, 3, 3))
    sa, sb = b.alloc([stages, m, step], bf16, swizzled), b.alloc([stages, 64, 64], bf16, swizzled)
    copy = Tv.blocked((64, 64), 8, None, 4)

    def fetch(stage, i):
        b.cp_async(b.arg(0), [0, i], b.stage(sa, stage), [0, 0], copy)
        b.cp_async(b.arg(1), [i, 0] if transposed else [0, i], b.stage(sb, stage), [0, 0], copy)
        b.cp_async_commit()

    for s in range(stages - 1):
        fetch(s, s * step)
    c_tv = Tv.mma_c((m, n), (2, 2))
    a_tv, w_tv = Tv.mma_a((m, step), (2, 2)), Tv.mma_b((n, step), (2, 2))

    def body(i, acc):
        b.cp_async_wait(stages - 2)
        b.barrier()
        stage = b.rem(i, stages)
        x = b.load(b.stage(sa, stage), [0, 0], a_tv)
        if transposed:
            w = b.relabel(b.load(b.stage(sb, stage), [0, 0], w_tv.permute((1, 0))), w_tv)
        else:
            w = b.load(b.stage(sb, stage), [0, 0], w_tv)
        ahead = b.add(i, stages - 1)

        def more():
            fetch(b.rem(ahead, stages), b.mul(ahead, step))

        b.if_(b.cmp("lt", ahead, k // step), more, lambda: b.cp_async_commit())
        return [b.mma(x, w, acc)]

    (acc,) = b.for_(0, k // step, 1, [b.full(0.0, c_tv)], body)
    b.store(acc, b.arg(2), [0, 0])
    kernel = b.finish()
    text, _ = to_text(kernel)
    assert "ldmatrix.sync.aligned.m8n8.x4.shared" in text
    assert ("x4.trans" in text) == transposed
    assemble(text, "sm_90a")
    x, w = rng.standard_normal((m, k)).astype(bfloat16), rng.standard_normal(b_shape).astype(bfloat16)
    wanted, got = run_both(kernel, [x, w, np.zeros((m, n), np.float32)])
    assert np.allclose(wanted[2], got[2], atol=1e-2)


def test_a_ring_streams_a_buffer_through_shared_memory():
    blocks, elements, stages = 7, 512, 3
    types = [BufferType.of([blocks * elements], f32), BufferType.of([1, elements], f32)]
    b = start("stream", types, ["r", "w"], warps=5, features=["setmaxnreg"])
    ring = b.ring(stages, [1, elements], f32, consumers=4)
    tv = Tv.blocked((1, elements), 4, None, 4)

    def producer():
        def body(i):
            b.ring_acquire(ring, i)
            b.bulk_load(b.arg(0), [b.mul(i, elements)], ring, i, elements * 4)

        b.for_(0, blocks, 1, [], body)

    def consumer():
        def body(i, total):
            x = b.load(b.ring_wait(ring, i), [0, 0], tv)
            b.ring_release(ring, i)
            return [b.map(lambda s, a, c: s.add(a, c), total, x)]

        (total,) = b.for_(0, blocks, 1, [b.full(0.0, tv)], body)
        b.store(total, b.arg(1), [0, 0])

    b.roles((1, producer), (4, consumer))
    x = rng.standard_normal(blocks * elements).astype(np.float32)
    check(b, [x, np.zeros((1, elements), np.float32)], tolerance=1e-4)


def test_relayout_moves_between_arbitrary_layouts():
    b = start("turn", [BufferType.of([32, 64], bf16), BufferType.of([64, 32], bf16)], ["r", "w"], warps=2)
    tv = Tv.blocked((32, 64), 8, None, 2)
    x = b.load(b.arg(0), [0, 0], tv)
    turned = b.relayout(x, Tv.blocked((32, 64), 8, (0, 1), 2))
    b.store(b.relabel(turned, Tv.blocked((32, 64), 8, (0, 1), 2).permute((1, 0))), b.arg(1), [0, 0])
    check(b, [rng.standard_normal((32, 64)).astype(bfloat16), np.zeros((64, 32), bfloat16)])


def test_slices_and_concatenations_are_registers():
    b = start("halves", [BufferType.of([16, 128], bf16), BufferType.of([16, 128], bf16)], ["r", "w"])
    tv = Tv.blocked((16, 64), 4, None, 1).concat(1, 2)
    x = b.load(b.arg(0), [0, 0], tv)
    low, high = b.slice(x, 1, 0, 64), b.slice(x, 1, 64, 64)
    b.store(b.concat([high, low], 1), b.arg(1), [0, 0])
    check(b, [rng.standard_normal((16, 128)).astype(bfloat16), np.zeros((16, 128), bfloat16)])


@pytest.mark.parametrize("elem", [bf16, f16])
def test_int8_unpacks_exactly(elem):
    b = start("unpack", [BufferType.of([8, 128], i8), BufferType.of([8, 128], f32)], ["r", "w"])
    x = b.load(b.arg(0), [0, 0], Tv.blocked((8, 128), 8, None, 1))
    b.store(b.cast(b.unpack(x, elem), f32), b.arg(1), [0, 0])
    check(b, [np.arange(-128, 896).astype(np.int8).reshape(8, 128), np.zeros((8, 128), np.float32)])


def test_gathered_rows_come_from_an_index_fragment():
    types = [BufferType.of([100, 64], bf16), BufferType.of(["T", 1], i32), BufferType.of(["T", 64], bf16)]
    b = start("embed", types, ["r", "r", "w"], ["T"], warps=2, grid=["ceildiv(T, 16)", 1, 1])
    row = b.mul(b.task()[0], 16)
    tv = Tv.blocked((16, 64), 8, None, 2)
    ids = b.load(b.arg(1), [row, 0], tv.project(1), checked=[True, False])
    x = b.load(b.arg(0), [0, 0], tv, gather={0: ids})
    b.store(x, b.arg(2), [row, 0], checked=[True, False])
    table, ids = rng.standard_normal((100, 64)).astype(bfloat16), rng.integers(0, 100, (21, 1)).astype(np.int32)
    check(b, [table, ids, np.zeros((21, 64), bfloat16)], {"T": 21})


def test_scalars_branches_and_while_loops():
    b = start("scalars", [BufferType.of([8], i32), BufferType.of([8], i32)], ["r", "w"], ["T"], grid=[8, 1, 1])
    x, _, _ = b.task()
    n = b.load_scalar(b.arg(0), x)
    (steps, _) = b.while_(
        [b.i32(0), n],
        lambda count, value: b.cmp("ne", value, 1),
        lambda count, value: [
            b.i32(b.add(count, 1)),
            *b.if_(
                b.cmp("eq", b.rem(value, 2), 0),
                lambda: b.i32(b.div(value, 2)),
                lambda: b.i32(b.add(b.mul(value, 3), 1)),
            ),
        ],
    )
    b.if_(b.is_thread(0), lambda: b.store_scalar(b.i32(b.add(steps, b.size("T"))), b.arg(1), x))
    check(b, [np.array([1, 2, 3, 7, 9, 27, 6, 5], np.int32), np.zeros(8, np.int32)], {"T": 3})


def test_atomic_add_gives_every_thread_the_old_value():
    types = [BufferType.of([1], i32), BufferType.of([4, 64], i32)]
    b = start("ticket", types, ["rw", "w"], warps=2, grid=[4, 1, 1])
    old = b.atomic_add(b.i32(1), b.arg(0), 0)
    b.store(b.splat(old, Tv.blocked((1, 64), 1, None, 2)), b.arg(1), [old, 0])
    kernel = b.finish()
    wanted, got = run_both(kernel, [np.zeros(1, np.int32), np.full((4, 64), -1, np.int32)])
    assert np.array_equal(got[1], wanted[1])


UNARY = {
    "exp": (np.exp, -10, 10), "log": (np.log, 0.01, 100), "rsqrt": (lambda x: 1 / np.sqrt(x), 0.01, 100),
    "sqrt": (np.sqrt, 0.01, 100), "tanh": (np.tanh, -6, 6), "sin": (np.sin, -1e5, 1e5), "cos": (np.cos, -1e5, 1e5),
    "erf": (None, -4, 4), "exp2": (np.exp2, -10, 10), "floor": (np.floor, -9, 9),
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(UNARY))
def test_functions_are_accurate_in_f32(name):
    from llmc.dialects.nn.pointwise import erf

    reference, low, high = UNARY[name]
    b = start(name, [BufferType.of([8, 128], f32), BufferType.of([8, 128], f32)], ["r", "w"])
    x = b.load(b.arg(0), [0, 0], Tv.blocked((8, 128), 4, None, 1))
    b.store(b.map(lambda s, x: getattr(s, name)(x), x), b.arg(1), [0, 0])
    x = rng.uniform(low, high, (8, 128)).astype(np.float32)
    kernel = b.finish()
    _, got = run_both(kernel, [x, np.zeros_like(x)])
    want = (reference or erf)(x.astype(np.float64))
    error = np.abs(got[1] - want) / np.maximum(np.abs(want), 2.0**-3)
    assert error.max() < 2.0**-17, error.max()


def test_unrolling_too_far_is_explained():
    b = start("huge", [BufferType.of([1024, 1024], f32), BufferType.of([1024, 1024], f32)], ["r", "w"])
    x = b.load(b.arg(0), [0, 0], Tv.blocked((1024, 1024), 4, None, 1))
    b.store(b.map(lambda s, x: s.exp(x), x), b.arg(1), [0, 0])
    with pytest.raises(LlmcError, match="unrolls to more than 20000"):
        to_text(b.finish())
