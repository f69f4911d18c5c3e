from __future__ import annotations

import numpy as np
import pytest
from llmc.codegen.schedules.base import schedule_named
from llmc.codegen.targets import find_target
from llmc.dialects.ir.locations import named
from llmc.dialects.nn import ops as nn
from llmc.dialects.nn.types import BatchType, SamplingType, tensor
from llmc.dialects.nn.values import draw
from llmc.dialects.tile.semantics import run_kernel
from llmc.passes.layout.kernel_builder import Paging, kernel_from_body
from xdsl.dialects.builtin import f32
from xdsl.ir import Block


def sampler(width: int):
    block = Block(arg_types=[tensor(f32, ["B", width]), BatchType.of(), SamplingType()])
    op = nn.SampleOp(*block.args)
    block.add_op(op)
    kernel = kernel_from_body("k", "sample", block.args, [op], [op.result], Paging(), {}, named("test")).kernel
    plan, target = schedule_named("sampling"), find_target("sm_90a")
    assert plan.accepts(kernel) is None
    tile = plan.build(kernel, plan.candidates(kernel, target)[0].updated(warps=4), target)
    tile.verify()
    return tile


@pytest.mark.parametrize("width", [1024, 1500])
def test_draws_are_those_of_the_reference(width: int):
    tile = sampler(width)
    cases = [(0.0, 0, 1.0), (0.7, 0, 1.0), (1.3, 5, 1.0), (1.0, 0, 0.6), (0.9, 50, 0.8), (1.0, 1, 1.0)]
    rows = len(cases)
    rng = np.random.default_rng(0)
    logits = (3 * rng.standard_normal((rows, width))).astype(np.float32)
    temperature, top_k, top_p = (np.array(c) for c in zip(*cases, strict=True))
    seed, length = np.arange(rows, dtype=np.int32) * 17, np.arange(rows, dtype=np.int32) + 9
    tokens = np.full(rows, -1, np.int32)
    given = {
        "x0": logits,
        "temperature": temperature.astype(np.float32),
        "top_k": top_k.astype(np.int32),
        "top_p": top_p.astype(np.float32),
        "seed": seed,
        "kv_len": length,
        "y2": tokens,
    }
    names = [a.name_hint for a in tile.buffers]
    given.setdefault(names[-1], tokens)
    run_kernel(tile, [given[n] for n in names], {"B": rows})
    expected = [draw(logits[i], int(length[i]), *cases[i], int(seed[i])) for i in range(rows)]
    assert tokens.tolist() == expected


def test_greedy_takes_the_first_of_equal_logits():
    tile = sampler(1024)
    logits = np.zeros((1, 1024), np.float32)
    logits[0, [700, 41, 900]] = 2.0
    tokens = np.full(1, -1, np.int32)
    arrays = {"temperature": np.zeros(1, np.float32), "top_p": np.ones(1, np.float32), "x0": logits}
    names = [a.name_hint for a in tile.buffers]
    run_kernel(tile, [arrays.get(n, np.zeros(1, np.int32)) for n in names[:-1]] + [tokens], {"B": 1})
    assert tokens[0] == 41
