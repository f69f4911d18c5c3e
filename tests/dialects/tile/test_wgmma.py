"""`tile.wgmma`: which layouts fit, what it computes, and that its instructions agree with the hardware's fragments."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from llmc.codegen.ptx.assemble import assemble
from llmc.codegen.ptx.sass import sass
from llmc.dialects.layout.mem import MemLayout
from llmc.dialects.layout.tv import Tv
from llmc.dialects.layout.types import BufferType
from llmc.dialects.tile.ops import KernelOp
from llmc.dialects.tile.wgmma import PATTERN, PATTERNS, Rows, WgmmaMismatch, wgmma_plan, wgmma_shared_plan
from ml_dtypes import bfloat16
from tools import needs_ptxas
from xdsl.dialects.builtin import bf16, f32

sys.path.insert(0, str(Path(__file__).parents[2] / "support"))
from tile_kernels import run_both, start, to_text

LANES = ((4, (0, 2)), (8, (1, 0)))
WARPS = ((4, (16, 0)),)


def operand(k: int) -> Tv:
    """A [64, k] as the manual has it: slots 2 c + e + 8 q are k in order."""
    return Tv((64, k), ((2, (0, 1)), (2, (8, 0)), (2, (0, 8)), (k // 16, (0, 16))), LANES, WARPS)


def accumulator(n: int) -> Tv:
    return Tv((64, n), ((2, (0, 1)), (2, (8, 0)), (n // 8, (0, 8))), LANES, WARPS)


def shared(n: int, k: int) -> MemLayout:
    """Panels of 64 k, swizzled."""
    return MemLayout((((n, 64),), ((64, 1), (k // 64, 64 * n))), PATTERN)


def test_one_instruction_a_step_of_sixteen() -> None:
    plan = wgmma_plan(operand(128), (24, 128), shared(24, 128), accumulator(24))
    assert [item.b for item in plan] == [0, 16, 32, 48, 1536, 1552, 1568, 1584]
    assert plan[1].a == (8, 9, 10, 11, 12, 13, 14, 15)
    assert plan[0].d == tuple(range(12))


def test_permuted_k_is_as_good_when_both_agree() -> None:
    a = Tv((64, 64), ((2, (0, 1)), (2, (8, 0)), (2, (0, 2)), (2, (0, 4)), (2, (0, 32))), ((4, (0, 8)), (8, (1, 0))), WARPS)
    slots = MemLayout((((24, 64),), ((2, 1), (2, 8), (2, 16), (4, 2), (2, 32))), PATTERN)
    assert [item.b for item in wgmma_plan(a, (24, 64), slots, accumulator(24))] == [0, 16, 32, 48]
    with pytest.raises(WgmmaMismatch, match="no 8 in a row"):
        wgmma_plan(a, (24, 64), shared(24, 64), accumulator(24))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"b": MemLayout.row_major((24, 64))}, "swizzle"),
        ({"b": MemLayout((((24, 128),), ((64, 1),)), PATTERN)}, "128 bytes"),
        ({"d": Tv((64, 24), ((2, (8, 0)), (3, (0, 8)), (2, (0, 4))), ((4, (0, 1)), (8, (1, 0))), WARPS)}, "every second"),
        ({"d": Tv((64, 24), ((2, (0, 1)), (2, (32, 0)), (3, (0, 8))), LANES, ((4, (8, 0)),))}, "no register holds"),
        ({"d": accumulator(32)}, "expected"),
        ({"a": Tv((64, 64), operand(64).reg, LANES, ((2, (16, 0)),))}, "same warps"),
    ],
)
def test_misfits_are_named(change: dict[str, object], message: str) -> None:
    parts: dict[str, object] = {"a": operand(64), "b": shared(24, 64), "d": accumulator(24)} | change
    with pytest.raises(WgmmaMismatch, match=message):
        wgmma_plan(parts["a"], (24, 64), parts["b"], parts["d"])  # pyright: ignore


def blocks(m: int, k: int) -> MemLayout:
    """Tiles of 16 rows: for each 32 k the even rows of the tile, then the odd ones, as patterns of the 64-byte swizzle."""
    return MemLayout((((2, 256), (8, 32), (m // 16, 16 * k)), ((32, 1), (k // 32, 512))), PATTERNS[32])


def halves(m: int, n: int, groups: tuple[int, int] = (0, 0)) -> Tv:
    """An accumulator whose instructions take the even or the odd rows of eight tiles; warpgroups are `groups` apart."""
    reg = ((2, (0, 1)), (2, (16, 0)), (n // 8, (0, 8 if groups != (0, 8) else 16)), (2, (1, 0)))
    return Tv(
        (m, 2 * n if groups[1] else n),
        reg,
        ((4, (0, 2)), (8, (2, 0))),
        ((4, (32, 0)), *(((2, groups),) if any(groups) else ())),
    )


def test_rows_in_shared_memory_may_be_tiles_apart() -> None:
    plan = wgmma_shared_plan((128, 64), blocks(128, 64), (24, 64), shared(24, 64), halves(128, 24))
    assert [(item.a, item.b) for item in plan.atoms] == [
        (a + h, b) for a, b in ((0, 0), (16, 16), (512, 32), (528, 48)) for h in (0, 256)
    ]
    assert (plan.columns, plan.a, plan.b) == (24, Rows(32, 1024, 0), Rows(64, 512, 0))
    assert plan.atoms[1].d == tuple(12 + r for r in plan.atoms[0].d)


def test_warpgroups_divide_rows_or_columns() -> None:
    rows = wgmma_shared_plan((256, 64), blocks(256, 64), (24, 64), shared(24, 64), halves(256, 24, (128, 0)))
    assert (rows.columns, rows.a.group, rows.b.group) == (24, 8192, 0)
    columns = wgmma_shared_plan((128, 64), blocks(128, 64), (32, 64), shared(32, 64), halves(128, 16, (0, 16)))
    assert (columns.columns, columns.a.group, columns.b) == (16, 0, Rows(64, 512, 1024))
    turns = wgmma_shared_plan((128, 64), blocks(128, 64), (32, 64), shared(32, 64), halves(128, 16, (0, 8)))
    assert (turns.columns, turns.a.group, turns.b) == (16, 0, Rows(64, 1024, 512))


@pytest.mark.parametrize("width", [32, 64, 128])
def test_every_swizzle_is_an_operand(width: int) -> None:
    span = width // 2
    a = MemLayout((((64, span),), ((span, 1), (128 // span, 64 * span))), PATTERNS[span])
    plan = wgmma_shared_plan((64, 128), a, (24, 128), shared(24, 128), accumulator(24))
    assert plan.a == Rows(span, 8 * span, 0)
    assert len(plan.atoms) == 8


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"a": MemLayout(blocks(128, 64).dims)}, "a: swizzle"),
        ({"a": MemLayout((((2, 256), (8, 32), (8, 1024)), ((2, 16), (16, 1), (2, 512))), PATTERNS[32])}, "16 in a row"),
        ({"a": MemLayout((((128, 32),), ((32, 1), (2, 4096))), PATTERNS[32])}, "eight rows of a quad"),
        ({"a": MemLayout((((2, 256), (8, 32), (8, 1056)), ((32, 1), (2, 512))), PATTERNS[32])}, "not all at patterns"),
        ({"a": MemLayout((((2, 256), (8, 32), (2, 1024), (4, 4096)), ((32, 1), (2, 512))), PATTERNS[32])}, "one step apart"),
        ({"d": halves(128, 32)}, "expected"),
    ],
)
def test_misfits_in_shared_memory_are_named(change: dict[str, object], message: str) -> None:
    parts: dict[str, object] = {"a": blocks(128, 64), "d": halves(128, 24)} | change
    with pytest.raises(WgmmaMismatch, match=message):
        wgmma_shared_plan((128, 64), parts["a"], (24, 64), shared(24, 64), parts["d"])  # pyright: ignore


def kernel(n: int, k: int, rounds: int = 1) -> KernelOp:
    """d = rounds · a bᵀ of one warpgroup; the groups of the rounds overlap."""
    buffers = [BufferType.of((64, k), bf16), BufferType.of((n, k), bf16), BufferType.of((64, n), f32)]
    b = start("product", buffers, ["r", "r", "w"], warps=4, features=["wgmma"])
    a, x, d = b.op.block.args
    smem = b.alloc((n, k), bf16, shared(n, k))
    copied = Tv((n, k), ((8, (0, 1)), (n // 16 or 1, (16, 0)), (k // 64, (0, 64))), ((8, (0, 8)), (4, (1, 0))), ((4, (4, 0)),))
    b.store(b.load(x, [0, 0], copied), smem, [0, 0])
    b.barrier()
    left = b.load(a, [0, 0], operand(k))
    flying = b.wgmma_begin(b.full(0.0, accumulator(n)))
    for _ in range(rounds):
        flying = b.wgmma_wait(b.wgmma(left, smem, flying), 1)
    b.store(b.wgmma_wait(flying), d, [0, 0])
    return b.finish()


@pytest.mark.parametrize(("n", "k", "rounds"), [(32, 64, 1), (64, 128, 2)])
def test_semantics_and_emulated_instructions_agree(n: int, k: int, rounds: int) -> None:
    rng = np.random.default_rng(0)
    a, x = rng.standard_normal((64, k)).astype(bfloat16), rng.standard_normal((n, k)).astype(bfloat16)
    wanted, got = run_both(kernel(n, k, rounds), [a, x, np.zeros((64, n), np.float32)])
    exact = rounds * (a.astype(np.float64) @ x.astype(np.float64).T)
    np.testing.assert_allclose(wanted[2], exact, rtol=1e-5, atol=1e-4)
    np.testing.assert_allclose(got[2], exact, rtol=1e-5, atol=1e-4)


def test_barriers_make_what_threads_wrote_visible() -> None:
    lines = [line.strip() for line in to_text(kernel(32, 64))[0].splitlines()]
    barrier = lines.index("bar.sync 0;")
    assert lines[barrier - 1] == "fence.proxy.async.shared::cta;"
    assert barrier < lines.index("wgmma.fence.sync.aligned;")


@needs_ptxas
def test_ptxas_keeps_it_asynchronous() -> None:
    done = assemble(to_text(kernel(64, 128, 2))[0], "sm_90a")
    assert not done.codes
    assert done.spills == 0
    assert sass(done.cubin).counts["HGMMA"] == 16
