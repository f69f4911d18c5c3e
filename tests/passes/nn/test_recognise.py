"""recognise: each written-out form becomes its op and keeps its values."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from llmc.dialects.ir.interpret import Interpreter
from llmc.dialects.nn import ops as nn
from llmc.dialects.nn.types import MaskAttr, tensor
from running import SEMANTICS, relative_error, run_passes
from xdsl.dialects.builtin import ModuleOp, bf16, f32, i1, i32
from xdsl.dialects.func import FuncOp, ReturnOp
from xdsl.ir import Attribute, Block, Operation, Region, SSAValue

Put = Callable[[Operation], SSAValue]


def graph(
    build: Callable[[Put, list[SSAValue]], SSAValue], *kinds: Attribute, weights: dict[str, tuple[int, ...]] | None = None
) -> ModuleOp:
    block = Block(arg_types=kinds)

    def put(op: Operation) -> SSAValue:
        block.add_op(op)
        return op.results[0]

    params = [put(nn.ParamOp(n, tensor(f32, d))) for n, d in (weights or {}).items()]
    out = build(put, [*block.args, *params])
    block.add_op(ReturnOp(out))
    entries = [nn.WeightOp.entry(n, tensor(f32, d), n) for n, d in (weights or {}).items()]
    module = ModuleOp([*entries, FuncOp("main", (kinds, [out.type]), Region(block))])
    module.verify()
    return module


def number(put: Put, value: float) -> SSAValue:
    return put(nn.ConstantOp.of(value, tensor(f32, [])))


def silu(put: Put, args: list[SSAValue]) -> SSAValue:
    return put(nn.MulOp(put(nn.SigmoidOp(args[0])), args[0]))


def gelu_tanh(put: Put, args: list[SSAValue]) -> SSAValue:
    x = args[0]
    cubic = put(nn.MulOp(put(nn.PowOp(x, number(put, 3))), number(put, 0.044715)))
    inner = put(nn.MulOp(put(nn.AddOp(x, cubic)), number(put, float(np.sqrt(2 / np.pi)))))
    one = put(nn.AddOp(put(nn.TanhOp(inner)), number(put, 1)))
    return put(nn.MulOp(put(nn.MulOp(x, number(put, 0.5))), one))


def rms_norm(put: Put, args: list[SSAValue]) -> SSAValue:
    x, w = args
    mean = put(nn.ReduceOp(put(nn.PowOp(x, number(put, 2))), "mean", [1], True))
    root = put(nn.RsqrtOp(put(nn.AddOp(mean, number(put, 1e-5)))))
    return put(nn.MulOp(w, put(nn.MulOp(x, root))))


def rms_norm_plus_one(put: Put, args: list[SSAValue]) -> SSAValue:
    x, w = args
    mean = put(nn.ReduceOp(put(nn.SquareOp(x)), "mean", [1], True))
    root = put(nn.RsqrtOp(put(nn.AddOp(mean, number(put, 1e-5)))))
    return put(nn.MulOp(put(nn.MulOp(x, root)), put(nn.AddOp(w, number(put, 1)))))


def turned(put: Put, x: SSAValue, cos: SSAValue, sin: SSAValue) -> SSAValue:
    """x [H, T, D] by cos and sin [T, D]"""
    high = put(nn.NegOp(put(nn.SliceOp(x, axis=2, start=4, stop=8))))
    half = put(nn.ConcatOp([high, put(nn.SliceOp(x, axis=2, stop=4))], 2))
    return put(nn.AddOp(put(nn.MulOp(x, cos)), put(nn.MulOp(half, sin))))


def rope(put: Put, args: list[SSAValue]) -> SSAValue:
    """As llama: both halves of the angles are the same, and the tables scaled and rounded."""
    x, angles = args
    twice = put(nn.ConcatOp([angles, angles], 1))
    cos, sin = (put(nn.MulOp(put(op(twice)), number(put, 1.5))) for op in (nn.CosOp, nn.SinOp))
    cos, sin = (put(nn.CastOp(put(nn.CastOp(v, elem=bf16)), elem=f32)) for v in (cos, sin))
    return turned(put, x, cos, sin)


def rope_from_a_table(put: Put, args: list[SSAValue]) -> SSAValue:
    """As older models: cos and sin of all positions, which the tokens' are looked up in."""
    x, positions = args
    angles = np.outer(np.arange(9), 0.3 ** np.arange(4)).astype(np.float32)
    tables = [np.concatenate([t, t], 1) for t in (np.cos(angles), np.sin(angles))]
    cos, sin = (put(nn.GatherOp(put(nn.ConstantOp.of(t, tensor(f32, [9, 8]))), positions, 0)) for t in tables)
    return turned(put, x, cos, sin)


def rope_by_repeat(put: Put, args: list[SSAValue]) -> SSAValue:
    """torch.repeat(1, 2) in place of the concat."""
    x, angles = args
    column = put(nn.BroadcastOp(put(nn.ReshapeOp(angles, ["T", 1, 4])), ["T", 2, 4]))
    twice = put(nn.ReshapeOp(column, ["T", 8]))
    return turned(put, x, put(nn.CosOp(twice)), put(nn.SinOp(twice)))


def causal(put: Put, window: int | None = None) -> SSAValue:
    query = put(nn.ReshapeOp(put(nn.IotaOp(i32, ["T"])), ["T", 1]))
    key = put(nn.ReshapeOp(put(nn.IotaOp(i32, ["T"])), [1, "T"]))
    seen = put(nn.CmpOp(key, query, predicate="le"))
    if window is not None:
        reach = put(nn.SubOp(query, put(nn.ConstantOp.of(window, tensor(i32, [])))))
        seen = put(nn.AndOp(seen, put(nn.CmpOp(key, reach, predicate="gt"))))
    return seen


def attention(put: Put, args: list[SSAValue]) -> SSAValue:
    q, k, v = args  # [H, T, D]; keys of two heads, repeated

    def repeat(x: SSAValue) -> SSAValue:
        column = put(nn.ReshapeOp(x, [2, 1, "T", 8]))
        return put(nn.ReshapeOp(put(nn.BroadcastOp(column, [2, 2, "T", 8])), [4, "T", 8]))

    scores = put(nn.MatmulOp(q, put(nn.TransposeOp(repeat(k), (0, 2, 1)))))
    scores = put(nn.MulOp(scores, number(put, 8**-0.5)))
    mask = put(nn.SelectOp(causal(put), number(put, 0), number(put, -3.4e38)))
    soft = put(nn.SoftmaxOp(put(nn.AddOp(scores, mask))))
    return put(nn.MatmulOp(soft, repeat(v)))


def scaled_with_its_mask(put: Put, args: list[SSAValue], hidden: float = -3.4e38) -> SSAValue:
    q, k, v = args
    scores = put(nn.MatmulOp(q, put(nn.TransposeOp(k, (0, 2, 1)))))
    mask = put(nn.SelectOp(causal(put), number(put, 0), number(put, hidden)))
    scores = put(nn.DivOp(put(nn.AddOp(scores, mask)), number(put, 4)))
    return put(nn.MatmulOp(put(nn.SoftmaxOp(scores)), v))


def alibi(put: Put, args: list[SSAValue], inside: bool = False) -> SSAValue:
    """A bias that grows with the key, by another slope for each head, as BLOOM adds it; then a causal mask."""
    q, k, v = args
    head, key = (put(nn.CastOp(put(nn.IotaOp(i32, [n])), elem=f32)) for n in (4, "T"))
    slope = put(nn.ReshapeOp(put(nn.PowOp(number(put, 0.5), head)), [4, 1, 1]))
    scores = put(nn.MulOp(put(nn.MatmulOp(q, put(nn.TransposeOp(k, (0, 2, 1))))), number(put, 0.3)))
    scores = put(nn.AddOp(scores, put(nn.MulOp(slope, key))))
    scores = put(nn.AddOp(scores, put(nn.SelectOp(causal(put), number(put, 0), number(put, -3.4e38)))))
    if inside:
        scores = put(nn.TanhOp(scores))
    return put(nn.MatmulOp(put(nn.SoftmaxOp(scores)), v))


def keys_turned_twice(put: Put, args: list[SSAValue]) -> SSAValue:
    """Keys [T, H, D] that became [H, D, T] by one transpose."""
    q, k, v = args
    scores = put(nn.MatmulOp(q, put(nn.TransposeOp(k, (1, 2, 0)))))
    return put(nn.MatmulOp(put(nn.SoftmaxOp(scores)), v))


def windowed(put: Put, args: list[SSAValue]) -> SSAValue:
    q, k, v = args
    return put(nn.AttentionOp(q, k, v, mask_tensor=causal(put, 3), scale=0.3, mask=MaskAttr.of(causal=False)))


def transposed_weight(put: Put, args: list[SSAValue]) -> SSAValue:
    return put(nn.MatmulOp(args[0], args[1]))


HTD, KTD, TD, TF, HALF = (tensor(f32, d) for d in ([4, "T", 8], [2, "T", 8], ["T", 8], ["T", 6], ["T", 4]))
CASES = {
    "nn.silu": (silu, [TF], {}),
    "nn.gelu_tanh": (gelu_tanh, [TF], {}),
    "nn.rms_norm": (rms_norm, [TF], {"w": (6,)}),
    "nn.rms_norm+1": (rms_norm_plus_one, [TF], {"w": (6,)}),
    "nn.rope": (rope, [HTD, HALF], {}),
    "nn.rope+table": (rope_from_a_table, [HTD, tensor(i32, ["T"])], {}),
    "nn.rope+repeat": (rope_by_repeat, [HTD, HALF], {}),
    "nn.attention": (attention, [HTD, KTD, KTD], {}),
    "nn.attention+scaled mask": (scaled_with_its_mask, [HTD, HTD, HTD], {}),
    "nn.attention+alibi": (alibi, [HTD, HTD, HTD], {}),
    "nn.attention+turned": (keys_turned_twice, [HTD, tensor(f32, ["T", 4, 8]), HTD], {}),
    "nn.attention+window": (windowed, [tensor(f32, ["T", 4, 8]), tensor(f32, ["T", 2, 8]), tensor(f32, ["T", 2, 8])], {}),
    "nn.linear": (transposed_weight, [TF], {"w": (6, 5)}),
}


@pytest.mark.parametrize("name", CASES)
def test_a_written_out_form_becomes_its_op_and_keeps_its_values(name: str) -> None:
    build, kinds, weights = CASES[name]
    module = graph(build, *kinds, weights=weights)
    generator = np.random.default_rng(0)
    values = {n: generator.standard_normal(d).astype(np.float32) for n, d in weights.items()}
    args = [generator.standard_normal([5 if n < 0 else n for n in k.get_shape()]).astype(np.float32) for k in kinds]
    if name == "nn.rope+table":
        args[1] = np.array([3, 0, 8, 1, 3], np.int32)

    def run() -> np.ndarray:
        return Interpreter(module, SEMANTICS, environment={"weights": values}).call("main", args, {"T": 5})[0]

    wanted = run()
    run_passes(module, "canonicalize,recognise,canonicalize")
    found = {op.name for op in module.walk()}
    assert name.split("+", maxsplit=1)[0] in found
    assert not found & {"nn.softmax", "nn.matmul", "nn.rsqrt", "nn.tanh", "nn.neg", "nn.cmp", "nn.sigmoid"}
    assert relative_error(run(), wanted) < 1e-5


def different_angles(put: Put, args: list[SSAValue]) -> SSAValue:
    x, first, second = args
    angles = put(nn.ConcatOp([first, second], 1))
    return turned(put, x, put(nn.CosOp(angles)), put(nn.SinOp(angles)))


def scaled_apart(put: Put, args: list[SSAValue]) -> SSAValue:
    x, angles, scale = args
    twice = put(nn.ConcatOp([angles, angles], 1))
    return turned(put, x, put(nn.MulOp(put(nn.CosOp(twice)), scale)), put(nn.SinOp(twice)))


def different_table(put: Put, args: list[SSAValue]) -> SSAValue:
    x, positions = args
    table = put(nn.ConstantOp.of(np.cos(np.arange(72.0)).reshape(9, 8).astype(np.float32), tensor(f32, [9, 8])))
    cos = put(nn.GatherOp(table, positions, 0))
    return turned(put, x, cos, cos)


def cut_from_the_middle(put: Put, args: list[SSAValue]) -> SSAValue:
    x, angles = args
    twice = put(nn.ConcatOp([angles, angles], 1))
    some = put(nn.SliceOp(twice, axis=1, start=2, stop=10))  # of 12: 2 to 5 and 0 to 3
    return turned(put, x, put(nn.CosOp(some)), put(nn.SinOp(some)))


NO_ROPE = {
    "given": (lambda put, args: turned(put, *args), [HTD, TD, TD]),
    "different angles": (different_angles, [HTD, HALF, HALF]),
    "scaled apart": (scaled_apart, [HTD, HALF, tensor(f32, [8])]),
    "a table": (different_table, [HTD, tensor(i32, ["T"])]),
    "a slice": (cut_from_the_middle, [HTD, TF]),
}


@pytest.mark.parametrize("name", NO_ROPE)
def test_angles_that_need_not_repeat_are_no_rope(name: str) -> None:
    build, kinds = NO_ROPE[name]
    module = graph(build, *kinds)
    generator = np.random.default_rng(1)
    shapes = [[5 if n < 0 else n for n in k.get_shape()] for k in kinds]
    args = [
        generator.standard_normal(s).astype(np.float32)
        if k.element_type == f32
        else generator.integers(0, 9, s, dtype=np.int32)
        for s, k in zip(shapes, kinds, strict=True)
    ]

    def run() -> np.ndarray:
        return Interpreter(module, SEMANTICS).call("main", args, {"T": 5})[0]

    wanted = run()
    run_passes(module, "canonicalize,recognise,canonicalize")
    assert not any(isinstance(op, nn.RopeOp) for op in module.walk())
    assert relative_error(run(), wanted) < 1e-5


def test_a_number_that_hides_nothing_once_it_is_scaled_is_no_mask() -> None:
    module = graph(lambda put, args: scaled_with_its_mask(put, args, -2e4), HTD, HTD, HTD)
    run_passes(module, "canonicalize,recognise,canonicalize")
    assert not any(isinstance(op, nn.AttentionOp) for op in module.walk())


def test_a_mask_inside_a_function_of_the_scores_is_not_hidden_in_a_region() -> None:
    """Later passes would take such an attention for one that reads all tokens."""
    module = graph(lambda put, args: alibi(put, args, inside=True), HTD, HTD, HTD)
    run_passes(module, "canonicalize,recognise,canonicalize")
    assert not any(isinstance(op, nn.AttentionOp) for op in module.walk())


def test_masks_that_are_neither_causal_nor_windowed_stay_tensors() -> None:
    def build(put: Put, args: list[SSAValue]) -> SSAValue:
        q, k, v, mask = args
        return put(nn.AttentionOp(q, k, v, mask_tensor=mask, scale=1.0, mask=MaskAttr.of(causal=False)))

    heads = tensor(bf16, ["T", 2, 8])
    module = graph(build, heads, heads, heads, tensor(i1, ["T", "T"]))
    run_passes(module, "recognise")
    (op,) = [op for op in module.walk() if isinstance(op, nn.AttentionOp)]
    assert op.mask_tensor is not None
