"""Row, pointwise, gather and generic schedules against numpy: the built CTA program is run on the `tile` interpreter."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from llmc.codegen.schedules.base import schedule_named
from llmc.codegen.targets import find_target
from llmc.dialects.fusion.generic import affine_map
from llmc.dialects.ir.builtin_semantics import SEMANTICS as BUILTIN
from llmc.dialects.ir.interpret import Interpreter
from llmc.dialects.ir.locations import named
from llmc.dialects.ir.numeric import dtype_of
from llmc.dialects.layout.types import BufferType
from llmc.dialects.nn import ops as nn
from llmc.dialects.nn.semantics import SEMANTICS as NN
from llmc.dialects.nn.types import tensor
from llmc.dialects.tile.semantics import run_kernel
from llmc.passes.layout.kernel_builder import Paging, kernel_from_body
from xdsl.dialects import arith
from xdsl.dialects.builtin import ArrayAttr, ModuleOp, bf16, f32, i32
from xdsl.dialects.linalg import ops as linalg
from xdsl.dialects.linalg.attrs import IteratorTypeAttr
from xdsl.ir import Attribute, Block, Operation, Region, SSAValue

SIZES = {"T": 5, "B": 2}
Emit = Callable[[Operation], Any]


def body_of(types: Sequence[Attribute], make: Callable[..., Sequence[SSAValue]]):
    """A block over tensors, filled by `make(emit, *args)`."""
    block = Block(arg_types=types)

    def emit(op: Operation) -> Any:
        block.add_op(op)
        return op.results[0] if len(op.results) == 1 else op.results

    return block, list(make(emit, *block.args))


def check(
    schedule: str,
    types: Sequence[Attribute],
    inputs: Sequence[np.ndarray],
    make: Callable[..., Sequence[SSAValue]],
    tolerance: float = 1e-2,
) -> Any:
    """Builds the kernel, runs it task by task, and compares with the reference semantics of the ops. Returns the tile kernel."""
    block, results = body_of(types, make)
    ops = list(block.ops)
    expected = reference(block, inputs, results)
    kernel = kernel_from_body("k", schedule, block.args, ops, results, Paging(), {}, named("test")).kernel
    kernel.verify()
    plan = schedule_named(schedule)
    assert plan.accepts(kernel) is None
    target = find_target("sm_90a")
    choice = plan.candidates(kernel, target)[0]
    abi = plan.abi(kernel, choice)
    tile = plan.build(kernel, choice, target)
    tile.verify()
    assert [g.data for g in tile.grid.data] == list(abi.grid)
    assert tile.num_warps == abi.warps
    outputs: list[np.ndarray] = []
    for result in results:
        type_ = BufferType.of([d if d > 0 else "T" for d in result.type.get_shape()], result.type.element_type)
        shape = expected[len(outputs)].shape
        dtype = dtype_of(type_.element_type)
        outputs.append(np.zeros(shape, dtype) if dtype.kind in "iub" else np.full(shape, np.nan, dtype))
    run_kernel(
        tile, [*[np.ascontiguousarray(x) for x in inputs], *outputs], {k: SIZES[k] for k in (s.data for s in tile.sizes.data)}
    )
    for got, want in zip(outputs, expected, strict=True):
        np.testing.assert_allclose(got.astype(np.float32), want.astype(np.float32), rtol=tolerance, atol=tolerance)
    return tile


def reference(block: Block, inputs: Sequence[np.ndarray], results: Sequence[SSAValue]) -> list[np.ndarray]:
    interp = Interpreter(ModuleOp([]), BUILTIN | NN)
    from llmc.dialects.ir.interpret import Frame

    frame = Frame(interp, dict(SIZES))
    frame.run_block(block, tuple(inputs))
    return [np.asarray(frame.get(r)) for r in results]


def random(shape: Sequence[int], dtype: Any = ml_dtypes.bfloat16, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


@pytest.mark.parametrize("schedule", ["pointwise", "generic"])
def test_pointwise_with_broadcast_operands(schedule: str):
    types = [tensor(bf16, ["T", 96]), tensor(bf16, [96]), tensor(bf16, ["T", 1])]
    inputs = [random((5, 96)), random((96,), seed=1), random((5, 1), seed=2)]
    check(schedule, types, inputs, lambda e, x, b, s: [e(nn.SiluOp(e(nn.MulOp(e(nn.AddOp(x, b)), s))))])


@pytest.mark.parametrize("width", [8, 100, 1024, 4096])
def test_pointwise_of_any_width(width: int):
    tile = check("pointwise", [tensor(bf16, ["T", width])], [random((5, width))], lambda e, x: [e(nn.MulOp(x, x))])
    assert not any(op.name == "tile.relayout" for op in tile.walk())


@pytest.mark.parametrize("schedule", ["pointwise", "generic"])
def test_views_are_folded_into_addresses(schedule: str):
    types = [tensor(bf16, ["T", 64])]

    def make(e: Emit, x: SSAValue):
        heads = e(nn.ReshapeOp(e(nn.SliceOp(x, axis=1, start=16, stop=48)), ["T", 4, 8]))
        return [e(nn.NegOp(e(nn.TransposeOp(heads, [0, 2, 1]))))]

    check(schedule, types, [random((5, 64))], make)


@pytest.mark.parametrize(("schedule", "width"), [("row", 64), ("row", 100), ("row", 1000), ("generic", 100)])
def test_norms_and_softmax_of_rows(schedule: str, width: int):
    types = [tensor(bf16, ["T", width]), tensor(bf16, [width]), tensor(bf16, ["T", width])]
    inputs = [random((5, width)), random((width,), seed=1), random((5, width), seed=3)]
    make = [
        lambda e, x, w, r: [e(nn.AddOp(x, r)), e(nn.RmsNormOp(e(nn.AddOp(x, r)), w, eps=1e-6, offset=1.0))],
        lambda e, x, w, r: [e(nn.LayerNormOp(x, w, w, eps=1e-5))],
        lambda e, x, w, r: [e(nn.SoftmaxOp(e(nn.MulOp(x, r))))],
        lambda e, x, w, r: [e(nn.ReduceOp(x, "mean", [1])), e(nn.ArgmaxOp(x, 1))],
    ]
    for body in make if width == 100 else make[:1]:
        check(schedule, types, inputs, body, 3e-2)


def test_wide_rows_use_many_warps_and_one_load():
    width = 8192
    types = [tensor(bf16, ["T", width]), tensor(bf16, [width])]
    tile = check(
        "row", types, [random((5, width)), random((width,), seed=1)], lambda e, x, w: [e(nn.RmsNormOp(x, w, eps=1e-6))], 3e-2
    )
    assert tile.num_warps == 8
    assert sum(op.name == "tile.load" for op in tile.walk()) == 2


@pytest.mark.parametrize("schedule", ["gather", "generic"])
def test_embedding_rows_by_id(schedule: str):
    types = [tensor(i32, ["T"]), tensor(bf16, [50, 64])]
    inputs = [np.array([3, 49, 0, 7, 7], np.int32), random((50, 64))]
    check(
        schedule,
        types,
        inputs,
        lambda e, ids, table: [e(nn.MulOp(e(nn.EmbeddingOp(ids, table)), e(nn.EmbeddingOp(ids, table))))],
    )


@pytest.mark.parametrize("interleaved", [False, True])
def test_rope_alone(interleaved: bool):
    types = [tensor(bf16, ["T", 2, 32]), tensor(f32, ["T", 16]), tensor(f32, ["T", 16])]
    inputs = [random((5, 2, 32)), random((5, 16), np.float32, 1), random((5, 16), np.float32, 2)]

    def make(e, x, c, s):
        return [e(nn.RopeOp(e(nn.NegOp(x)), e(nn.CastOp(c, elem=bf16)), e(nn.CastOp(s, elem=bf16)), interleaved=interleaved))]

    check("pointwise", types, inputs, make, 3e-2)
    check("generic", types, inputs, make, 3e-2)


GENERIC_CASES: dict[str, tuple[list[Attribute], list[tuple[int, ...]], Callable[..., Any]]] = {
    "linear": (
        [tensor(bf16, ["T", 40]), tensor(bf16, [12, 40]), tensor(bf16, [12])],
        [(5, 40), (12, 40), (12,)],
        lambda e, x, w, b: [e(nn.LinearOp(x, w, b))],
    ),
    "matmul": ([tensor(bf16, [3, 4, 8]), tensor(bf16, [8, 6])], [(3, 4, 8), (8, 6)], lambda e, a, b: [e(nn.MatmulOp(a, b))]),
    "concat": (
        [tensor(bf16, ["T", 3]), tensor(bf16, ["T", 5])],
        [(5, 3), (5, 5)],
        lambda e, a, b: [e(nn.ConcatOp([a, b, a], 1))],
    ),
    "two shapes": (
        [tensor(bf16, ["T", 3]), tensor(bf16, ["T", 200])],
        [(5, 3), (5, 200)],
        lambda e, a, b: [e(nn.ExpOp(a)), e(nn.ExpOp(b))],
    ),
    "iota": ([tensor(f32, ["T", 3])], [(5, 3)], lambda e, a: [e(nn.AddOp(a, e(nn.IotaOp(f32, ["T", 3], 0))))]),
    "cumsum": ([tensor(f32, ["T", 6])], [(5, 6)], lambda e, a: [e(nn.CumsumOp(a, 1))]),
    "sort": ([tensor(f32, ["T", 6])], [(5, 6)], lambda e, a: list(e(nn.SortOp(a)))),
    "topk": ([tensor(f32, ["T", 6])], [(5, 6)], lambda e, a: list(e(nn.TopkOp(a, 2)))),
    "reduce two axes": ([tensor(f32, [4, 6, 3])], [(4, 6, 3)], lambda e, a: [e(nn.ReduceOp(a, "max", [0, 2], True))]),
    "conv": ([tensor(f32, [4, 6]), tensor(f32, [2, 2, 3])], [(4, 6), (2, 2, 3)], lambda e, a, w: [e(nn.Conv1dOp(a, w, padding=1, groups=2))]),
}  # fmt: skip


@pytest.mark.parametrize("case", GENERIC_CASES)
def test_last_resort_takes(case: str):
    types, shapes, make = GENERIC_CASES[case]
    inputs = [random(s, dtype_of(t.element_type), i) for i, (s, t) in enumerate(zip(shapes, types, strict=True))]
    check("generic", types, inputs, make, 3e-2)


def test_last_resort_attention_without_state():
    from llmc.dialects.nn.types import MaskAttr

    types = [tensor(bf16, ["T", 4, 16]), tensor(bf16, ["T", 2, 16]), tensor(bf16, ["T", 2, 16])]
    inputs = [random((5, 4, 16)), random((5, 2, 16), seed=1), random((5, 2, 16), seed=2)]
    for mask in (MaskAttr.of(), MaskAttr.of(window=2), MaskAttr.of(False), MaskAttr.of(False, 2)):
        check("generic", types, inputs, lambda e, q, k, v, m=mask: [e(nn.AttentionOp(q, k, v, scale=0.25, mask=m))], 3e-2)


def row_sum(e: Emit, x: SSAValue) -> list[SSAValue]:
    """A linalg.generic that sums the squares of rows."""
    block = Block(arg_types=[bf16, f32])
    wide = arith.ExtFOp(block.args[0], f32)
    square = arith.MulfOp(wide.result, wide.result)
    total = arith.AddfOp(block.args[1], square.result)
    block.add_ops([wide, square, total, linalg.YieldOp(total.result)])
    empty = e(nn.EmptyOp(tensor(f32, ["T"])))
    maps = ArrayAttr([affine_map(2, (0, 1)), affine_map(2, (0,))])
    kinds = [IteratorTypeAttr.parallel(), IteratorTypeAttr.reduction()]
    return [e(linalg.GenericOp([x], [empty], Region(block), maps, ArrayAttr(kinds), [tensor(f32, ["T"])]))]


@pytest.mark.parametrize("schedule", ["row", "generic"])
def test_generic_with_a_reduction(schedule: str):
    check(schedule, [tensor(bf16, ["T", 96])], [random((5, 96))], row_sum)


def test_rotary_pairs_of_normed_heads_meet_in_a_thread():
    """Qwen 3's query and key norms: no channel is read twice, and no load is narrower than 16 bytes."""
    types = [tensor(bf16, ["T", 4, 64]), tensor(bf16, [64]), tensor(bf16, ["T", 64]), tensor(bf16, ["T", 64])]
    inputs = [random((5, 4, 64)), random((64,), seed=1), random((5, 64), seed=2), random((5, 64), seed=3)]
    make = lambda e, x, w, c, s: [e(nn.RopeOp(e(nn.RmsNormOp(x, w, eps=1e-6)), c, s))]  # noqa: E731
    tile = check("row", types, inputs, make, 5e-2)
    loads = [op for op in tile.walk() if op.name == "tile.load"]
    assert len(loads) == 4
    check("pointwise", types[:1] + types[2:], inputs[:1] + inputs[2:], lambda e, x, c, s: [e(nn.RopeOp(x, c, s))], 5e-2)
