"""Stand-alone appends, selections and last-resort attention on paged state."""

from __future__ import annotations

import ml_dtypes
import numpy as np
from llmc.codegen.schedules.base import schedule_named
from llmc.codegen.targets import find_target
from llmc.dialects.ir.locations import named
from llmc.dialects.nn import ops as nn
from llmc.dialects.nn.types import BatchType, MaskAttr, StateType, tensor
from llmc.dialects.tile.semantics import run_kernel
from llmc.passes.layout.kernel_builder import Paging, kernel_from_body
from xdsl.dialects.builtin import bf16
from xdsl.ir import Block

PAGING = Paging(page_size=8, max_pages=4)
BATCH = {
    # sequence 0 has 3 tokens here after 7 earlier ones; sequence 1 has 2 and nothing before
    "positions": np.array([7, 8, 9, 0, 1], np.int32),
    "sequence": np.array([0, 0, 0, 1, 1], np.int32),
    "query_start": np.array([0, 3, 5], np.int32),
    "kv_len": np.array([10, 2], np.int32),
    "page_table": np.array([[2, 4, 0, 0], [1, 0, 0, 0]], np.int32),
}


def built(schedule: str, types, make, results=None):
    block = Block(arg_types=types)
    op = make(*block.args)
    block.add_op(op)
    kernel = kernel_from_body("k", schedule, block.args, [op], op.results, PAGING, {}, named("test")).kernel
    plan, target = schedule_named(schedule), find_target("sm_90a")
    tile = plan.build(kernel, plan.candidates(kernel, target)[0], target)
    tile.verify()
    return tile


def run(tile, arrays, sizes):
    names = [a.name_hint for a in tile.buffers]
    known = {**BATCH, **arrays}
    run_kernel(tile, [known[n] for n in names], {s.data: sizes[s.data] for s in tile.sizes.data})


def rand(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape).astype(ml_dtypes.bfloat16)


def test_append_scatters_tokens_into_pages():
    types = [StateType.of(2, 16, bf16), tensor(bf16, ["T", 2, 16]), tensor(bf16, ["T", 2, 16]), BatchType.of()]
    for schedule in ("pointwise", "generic"):
        tile = built(schedule, types, nn.AppendOp)
        k_pages, v_pages = np.zeros((6, 2, 8, 16), ml_dtypes.bfloat16), np.zeros((6, 2, 8, 16), ml_dtypes.bfloat16)
        k, v = rand(5, 2, 16), rand(5, 2, 16, seed=1)
        run(tile, {"k_pages0": k_pages, "v_pages0": v_pages, "x1": k, "x2": v}, {"T": 5, "B": 2, "P": 6})
        for token, (sequence, position) in enumerate(zip(BATCH["sequence"], BATCH["positions"], strict=True)):
            page = BATCH["page_table"][sequence, position // 8]
            np.testing.assert_array_equal(k_pages[page, :, position % 8], k[token])
            np.testing.assert_array_equal(v_pages[page, :, position % 8], v[token])
        assert np.count_nonzero(k_pages.astype(np.float32).any(axis=(1, 3))) == 5


def test_select_token_takes_the_last_of_each_sequence():
    tile = built("gather", [tensor(bf16, ["T", 64]), BatchType.of()], nn.SelectTokenOp)
    x, y = rand(5, 64), np.zeros((2, 64), ml_dtypes.bfloat16)
    run(tile, {"x0": x, "y0": y}, {"T": 5, "B": 2})
    np.testing.assert_array_equal(y, x[[2, 4]])


def test_last_resort_attention_reads_pages():
    types = [tensor(bf16, ["T", 4, 16]), StateType.of(2, 16, bf16), BatchType.of()]
    tile = built("generic", types, lambda q, kv, b: nn.AttentionOp(q, kv=kv, batch=b, scale=0.25, mask=MaskAttr.of(window=5)))
    q, k_pages, v_pages = rand(5, 4, 16), rand(6, 2, 8, 16, seed=1), rand(6, 2, 8, 16, seed=2)
    y = np.zeros((5, 4, 16), ml_dtypes.bfloat16)
    run(tile, {"x0": q, "k_pages1": k_pages, "v_pages1": v_pages, "y0": y}, {"T": 5, "B": 2, "P": 6})
    for token, (sequence, position) in enumerate(zip(BATCH["sequence"], BATCH["positions"], strict=True)):
        seen = np.arange(max(0, position - 4), position + 1)
        pages = BATCH["page_table"][sequence, seen // 8]
        for head in range(4):
            keys = k_pages[pages, head // 2, seen % 8].astype(np.float32)
            values = v_pages[pages, head // 2, seen % 8].astype(np.float32)
            weights = np.exp(0.25 * keys @ q[token, head].astype(np.float32))
            np.testing.assert_allclose(
                y[token, head].astype(np.float32), weights / weights.sum() @ values, rtol=2e-2, atol=2e-2
            )
