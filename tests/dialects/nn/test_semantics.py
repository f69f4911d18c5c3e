"""The numpy meaning of the ops, against their own scalar bodies and against each other."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from llmc.dialects.ir.builtin_semantics import SEMANTICS as BUILTIN
from llmc.dialects.ir.diagnostics import LlmcError
from llmc.dialects.ir.interpret import Interpreter
from llmc.dialects.nn import ops as nn
from llmc.dialects.nn.pointwise import TABLE
from llmc.dialects.nn.semantics import SEMANTICS, infer_sizes
from llmc.dialects.nn.types import tensor
from llmc.dialects.nn.values import Batch, Sampling, StateValue, draw
from xdsl.dialects.builtin import ModuleOp, f32, i1, i32
from xdsl.dialects.func import FuncOp, ReturnOp
from xdsl.ir import Block, Region

RNG = np.random.default_rng(0)


def run(types: list[Any], build: Any, *args: Any) -> Any:
    """Build ops on arguments of these types, run them, return the last result."""
    block = Block(arg_types=types)
    made = build(*block.args)
    ops = made if isinstance(made, list) else [made]
    block.add_ops(ops)
    block.add_op(ReturnOp(ops[-1].results[0]))
    module = ModuleOp([FuncOp("main", (types, [ops[-1].results[0].type]), Region(block))])
    module.verify()
    return Interpreter(module, BUILTIN | SEMANTICS).call("main", args, infer_sizes(types, args))[0]


@pytest.mark.parametrize("row", TABLE, ids=lambda row: row.name)
def test_scalar_body_means_what_numpy_means(row: Any) -> None:
    check_body(row, i1 if row.name in ("and", "or", "xor", "not") else i32 if row.elems == "int" else f32)


@pytest.mark.parametrize(
    "row", [row for row in TABLE if row.name in ("add", "mul", "max", "min", "cmp")], ids=lambda row: row.name
)
def test_true_is_above_false_and_counts_as_1(row: Any) -> None:
    check_body(row, i1)


def check_body(row: Any, elem: Any) -> None:
    cls = nn.POINTWISE[row.name]
    values = {i1: RNG.integers(0, 2, (row.arity, 64)).astype(bool), i32: RNG.integers(1, 50, (row.arity, 64)).astype(np.int32)}
    args = list(values.get(elem, RNG.uniform(0.1, 2, (row.arity, 64)).astype(np.float32)))
    types = [elem] * row.arity
    if row.result == "select":
        args[0], types[0] = RNG.integers(0, 2, 64).astype(bool), i1
    options: dict[str, Any] = {"predicate": "le"} if row.name == "cmp" else {"elem": i32} if row.name == "cast" else {}
    whole = run([tensor(t, ["N"]) for t in types], lambda *a: cls(*a, **options), *args)

    op = cls(*Block(arg_types=[tensor(t, ["N"]) for t in types]).args, **options)
    block = Block(arg_types=types)

    def emit(scalar: Any) -> Any:
        block.add_op(scalar)
        return scalar.results[0]

    result = op.scalar(emit, block.args)
    block.add_op(ReturnOp(result))
    module = ModuleOp([FuncOp("main", (types, [result.type]), Region(block))])
    module.verify()
    np.testing.assert_allclose(Interpreter(module, BUILTIN).call("main", args)[0], whole, rtol=2e-6, atol=1e-7)


def test_pointwise_broadcasts() -> None:
    a, b = RNG.normal(size=(3, 1, 4)).astype(np.float32), RNG.normal(size=(5, 1)).astype(np.float32)
    got = run([tensor(f32, [3, 1, 4]), tensor(f32, [5, 1])], nn.AddOp, a, b)
    np.testing.assert_array_equal(got, a + b)


def attention(q: Any, k: Any, v: Any, batch: Any = None, state: Any = None, **mask: Any) -> Any:
    dims = lambda x: tensor(f32, ["T", *x.shape[1:]])  # noqa: E731
    form = nn.MaskAttr.of(**mask)
    if state is not None:
        types = [dims(q), nn.StateType.of(k.shape[1], k.shape[2], f32), dims(k), dims(v), nn.BatchType.of()]

        def build(q: Any, kv: Any, k: Any, v: Any, b: Any) -> Any:
            append = nn.AppendOp(kv, k, v, b)
            return [append, nn.AttentionOp(q, kv=append.result, batch=b, scale=0.3, mask=form)]

        return run(types, build, q, state, k, v, batch)
    if batch is not None:
        types = [dims(q), dims(k), dims(v), nn.BatchType.of()]
        return run(types, lambda q, k, v, b: nn.AttentionOp(q, k, v, batch=b, scale=0.3, mask=form), q, k, v, batch)
    return run([dims(q), dims(k), dims(v)], lambda q, k, v: nn.AttentionOp(q, k, v, scale=0.3, mask=form), q, k, v)


def qkv(tokens: int) -> tuple[Any, Any, Any]:
    return tuple(RNG.normal(size=(tokens, h, 8)).astype(np.float32) for h in (4, 2, 2))  # type: ignore[return-value]


@pytest.mark.parametrize("mask", [{"causal": True}, {"causal": True, "window": 3}])
def test_prefill_in_chunks_is_prefill_at_once(mask: Any) -> None:
    q, k, v = qkv(9)
    whole = attention(q, k, v, **mask)
    state, parts = StateValue.empty(1, 2, 8), []
    for start, stop in ((0, 4), (4, 5), (5, 9)):
        batch = Batch.of([stop - start], [start])
        parts.append(attention(q[start:stop], k[start:stop], v[start:stop], batch, state, **mask))
        state = state.append(k[start:stop], v[start:stop], batch)
    np.testing.assert_allclose(np.concatenate(parts), whole, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("causal", [True, False])
def test_a_ragged_batch_is_its_sequences_alone(causal: bool) -> None:
    lengths = [3, 1, 5]
    q, k, v = qkv(sum(lengths))
    batch = Batch.of(lengths)
    together = attention(q, k, v, batch, causal=causal)
    for sequence in range(3):
        rows = batch.rows(sequence)
        np.testing.assert_allclose(together[rows], attention(q[rows], k[rows], v[rows], causal=causal), rtol=1e-5, atol=1e-6)


def test_rope_turns_by_the_angle_and_leaves_the_rest() -> None:
    x, angle = RNG.normal(size=(5, 2, 8)).astype(np.float32), RNG.normal(size=(5, 2)).astype(np.float32)
    both = np.concatenate([angle, angle], -1)
    types = [tensor(f32, ["T", 2, 8]), tensor(f32, ["T", 4]), tensor(f32, ["T", 4])]
    got = run(types, nn.RopeOp, x, np.cos(both), np.sin(both))
    wanted = (x[..., :2] + 1j * x[..., 2:4]) * np.exp(1j * angle)[:, None]
    np.testing.assert_allclose(got[..., :4], np.concatenate([wanted.real, wanted.imag], -1), rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(got[..., 4:], x[..., 4:])


def test_a_draw_is_the_same_alone_and_in_a_batch() -> None:
    logits = RNG.normal(size=(3, 50)).astype(np.float32)
    types = [tensor(f32, ["B", 50]), nn.BatchType.of(), nn.SamplingType()]
    batch, params = Batch.of([1, 1, 1], [4, 9, 2]), Sampling.of(3, 0.8, top_k=10, top_p=0.9, seed=7)
    together = run(types, nn.SampleOp, logits, batch, params)
    assert [draw(r, n, 0.8, 10, 0.9, 7) for r, n in zip(logits, (5, 10, 3))] == list(together)
    assert list(run(types, nn.SampleOp, logits, batch, Sampling.greedy(3))) == list(logits.argmax(-1))


def test_draws_follow_the_distribution() -> None:
    logits = np.log(np.array([0.5, 0.3, 0.2], np.float32))
    counts = np.bincount([draw(logits, position, 1.0, 0, 1.0, 3) for position in range(4000)], minlength=3) / 4000
    np.testing.assert_allclose(counts, [0.5, 0.3, 0.2], atol=0.03)
    assert {draw(logits, p, 1.0, 2, 1.0, 3) for p in range(200)} == {0, 1}
    assert {draw(logits, p, 1.0, 0, 0.45, 3) for p in range(200)} == {0}


@pytest.mark.parametrize("index", [-1, 4])
def test_a_lookup_outside_is_refused(index: int) -> None:
    x, at = np.ones((4, 4), np.float32), np.full((1, 4), index, np.int32)
    types = [tensor(f32, [4, 4]), tensor(i32, [1, 4])]
    lookups: list[Any] = [
        lambda x, i: nn.GatherOp(x, i, 1),
        lambda x, i: nn.TakeAlongOp(x, i, 0),
        lambda x, i: nn.EmbeddingOp(i, x),
    ]
    for build in lookups:
        with pytest.raises(LlmcError, match=f"LLMC0134.*index {index}"):
            run(types, build, x, at)
