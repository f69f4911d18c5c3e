"""Ops infer their types, refuse what does not fit, and print as they are read."""

from __future__ import annotations

from io import StringIO
from typing import Any

import pytest
from llmc.dialects.ir.context import make_context
from llmc.dialects.nn import ops as nn
from llmc.dialects.nn.types import dims_of, tensor
from xdsl.dialects.builtin import ModuleOp, bf16, f32, i1, i32
from xdsl.dialects.func import FuncOp, ReturnOp
from xdsl.ir import Block, Region
from xdsl.parser import Parser
from xdsl.printer import Printer
from xdsl.utils.exceptions import VerifyException

X, Q, K = tensor(bf16, ["T", 64]), tensor(bf16, ["T", 4, 16]), tensor(bf16, ["T", 2, 16])
CAUSAL = nn.MaskAttr.of(True, 4096)


def block(*types: Any) -> Block:
    return Block(arg_types=types)


def text(module: ModuleOp, generic: bool = False) -> str:
    out = StringIO()
    Printer(out, print_generic_format=generic).print_op(module)
    return out.getvalue()


def every_op() -> ModuleOp:
    """A module with each kind of op."""
    b = block(
        X, tensor(i32, ["T"]), nn.BatchType.of(), nn.StateType.of(2, 16, bf16), Q, K, nn.SamplingType(), tensor(f32, ["T", 16])
    )
    x, ids, batch, kv, q, k, sampling, cos = b.args

    def add(op: Any) -> Any:
        b.add_op(op)
        op.verify()
        return op.results[0]

    w = add(nn.ParamOp("l0.w", tensor(bf16, [128, 64])))
    norm = add(nn.ParamOp("norm", tensor(bf16, [64])))
    add(nn.EmbeddingOp(ids, w))
    y = add(nn.LinearOp(x, w))
    add(nn.RmsNormOp(x, norm, eps=1e-6, offset=1.0))
    add(nn.LayerNormOp(x, norm, norm, eps=1e-5))
    wide = add(nn.LinearOp(x, w, elem=f32))
    turned = add(nn.RopeOp(q, cos, cos))
    add(nn.AttentionOp(turned, k, k, scale=0.25, mask=nn.MaskAttr.of(False)))
    score = Region(Block(arg_types=[f32, i32, i32, i32]))
    score.block.add_op(nn.YieldOp(score.block.args[0]))
    add(nn.AttentionOp(q, k, k, scale=0.1, mask=CAUSAL, score=score))
    state = add(nn.AppendOp(kv, k, k, batch))
    add(nn.AttentionOp(q, kv=state, batch=batch, scale=0.25, mask=CAUSAL))
    add(nn.PositionsOp(batch))
    add(nn.SampleOp(add(nn.SelectTokenOp(wide, batch)), batch, sampling))
    less = add(nn.CmpOp(y, y, predicate="lt"))
    add(nn.CastOp(add(nn.SelectOp(less, y, add(nn.SiluOp(y)))), elem=f32))
    add(nn.MulOp(y, add(nn.ConstantOp.of(0.5, tensor(bf16, [])))))
    add(nn.SliceOp(y, axis=0, start="T-1", stop="T"))
    add(nn.TransposeOp(add(nn.ReshapeOp(y, ["T", 2, 64])), (1, 0, 2)))
    add(nn.ConcatOp([x, x], 0))
    add(nn.GatherOp(w, add(nn.IotaOp(i32, ["T"]))))
    add(nn.BroadcastOp(norm, ["T", 64]))
    add(nn.ReduceOp(y, "max", [1], True))
    add(nn.SoftmaxOp(y))
    add(nn.ArgmaxOp(y))
    add(nn.CumsumOp(y, 0))
    add(nn.TopkOp(y, 4))
    add(nn.SortOp(y, True))
    add(nn.MatmulOp(y, add(nn.TransposeOp(y, (1, 0)))))
    b.add_op(ReturnOp())
    weights = [
        nn.WeightOp.entry("l0.w", tensor(bf16, [128, 64]), "l0.w"),
        nn.WeightOp.entry("norm", tensor(bf16, [64]), "norm"),
    ]
    return ModuleOp([*weights, FuncOp("main", ([a.type for a in b.args], []), Region(b))])


def test_text_reads_back_in_both_forms() -> None:
    module = every_op()
    module.verify()
    for generic in (False, True):
        once = text(module, generic)
        again = Parser(make_context(), once).parse_module()
        again.verify()
        assert text(again, generic) == once


def test_linear_reads_well() -> None:
    line = next(line for line in text(every_op()).splitlines() if "nn.attention" in line and "state" in line)
    assert " state(%" in line and "batch(%" in line
    assert "mask = #nn.mask<causal = true, window = 4096>" in line


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda x, q, k: nn.LinearOp(x, k), "has 2 dimensions"),
        (lambda x, q, k: nn.AddOp(x, q), "do not broadcast"),
        (lambda x, q, k: nn.AttentionOp(k, q, q, scale=1, mask=CAUSAL), "no multiple"),
        (lambda x, q, k: nn.AttentionOp(q, scale=1, mask=CAUSAL), "needs keys"),
        (lambda x, q, k: nn.ConcatOp([x, q], 0), "nn.concat along axis"),
        (lambda x, q, k: nn.SliceOp(x, axis=1, start=0, stop=65), "up to 65 of a dimension of 64"),
        (lambda x, q, k: nn.CmpOp(x, x, predicate="lo"), "needs a predicate"),
        (lambda x, q, k: nn.TransposeOp(x, (0, 0)), "no permutation"),
        (lambda x, q, k: nn.ReduceOp(x, "sum", [0]), "no kind 'sum'"),
        (lambda x, q, k: nn.SelectOp(x, x, x), "chooses by i1"),
    ],
)
def test_constructors_say_what_does_not_fit(build: Any, message: str) -> None:
    b = block(X, Q, K)
    with pytest.raises(VerifyException, match=message):
        build(*b.args)


def test_sizes_are_compared_by_name() -> None:
    x, other = block(X, tensor(bf16, ["B", 64])).args
    with pytest.raises(VerifyException, match="T is not B"):
        nn.AddOp(x, other)


def test_reshape_keeps_the_number_of_elements() -> None:
    (x,) = block(X).args
    nn.ReshapeOp(x, ["T", 4, 16]).verify()
    nn.ReshapeOp(x, ["8*T", 8]).verify()
    with pytest.raises(VerifyException, match="changes the number of elements"):
        nn.ReshapeOp(x, ["T", 65]).verify()


def test_a_wrong_result_type_is_refused() -> None:
    (x,) = block(X).args
    op = nn.NegOp(x)
    bad = type(op).create(operands=[x], result_types=[tensor(bf16, ["B", 64])])
    with pytest.raises(VerifyException, match="its operands make it"):
        bad.verify()


def test_a_param_has_the_type_of_its_weight() -> None:
    b = block()
    b.add_ops([nn.ParamOp("w", tensor(bf16, [4])), ReturnOp()])
    module = ModuleOp([nn.WeightOp.entry("w", tensor(bf16, [5]), "w"), FuncOp("main", ([], []), Region(b))])
    with pytest.raises(VerifyException, match=r"nn.param @w"):
        module.verify()


def test_large_constants_stay_out_of_the_text() -> None:
    import numpy as np

    with pytest.raises(VerifyException, match="too many for text"):
        nn.ConstantOp.of(np.arange(5000), tensor(i32, [5000])).verify()
    nn.ConstantOp.of(np.zeros(5000), tensor(i32, [5000])).verify()


def test_dims_of_static_and_named() -> None:
    assert [str(d) for d in dims_of(tensor(i1, ["T", 3]))] == ["T", "3"]
    assert str(tensor(f32, [2, 3])) == "tensor<2x3xf32>"
