"""Generators of `nn`."""

from __future__ import annotations

from collections.abc import Callable

from hypothesis import strategies as st
from llmc.dialects.nn import ops as nn
from llmc.dialects.nn.pointwise import POINTWISE, PREDICATES
from llmc.dialects.nn.reductions import REDUCTIONS
from llmc.dialects.nn.sizes import Size
from llmc.dialects.nn.types import BatchType, MaskAttr, SamplingType, StateType, dims_of, tensor
from xdsl.dialects import arith
from xdsl.dialects.builtin import Float8E4M3FNType, bf16, f16, f32, f64, i1, i8, i32, i64
from xdsl.ir import Attribute, Region, SSAValue

from .attributes import dense, texts
from .scope import Scope, generates

FLOATS: tuple[Attribute, ...] = (bf16, f16, f32, f64, Float8E4M3FNType())
INTEGERS: tuple[Attribute, ...] = (i1, i8, i32, i64)


def floating(b: Scope) -> Attribute:
    return b.pick(*FLOATS)


def any_elem(b: Scope) -> Attribute:
    return b.pick(*FLOATS, *INTEGERS)


def batch(b: Scope, tokens: str = "T") -> SSAValue:
    return b.value(BatchType.of(tokens, "B"))


# weights -----------------------------------------------------------------------------------------------------------


@generates(nn.WeightOp, nn.EntryOp, nn.YieldOp, place="builtin.module")
def weight(b: Scope) -> None:
    make_weight(b, tensor(any_elem(b), [b.size() for _ in range(b.number(0, 3))]))


def make_weight(b: Scope, kind: Attribute) -> str:
    name = b.top.symbol()
    op = nn.WeightOp.entry(name, kind, b.draw(texts))  # pyright: ignore
    for inner in op.body.block.ops:
        b.top.decorate(inner)
    b.top.put(op)
    return name


@generates(nn.ParamOp)
def param(b: Scope) -> None:
    kind = tensor(any_elem(b), [b.size() for _ in range(b.number(0, 3))])
    b.put(nn.ParamOp(make_weight(b, kind), kind))


@generates(nn.ConstantOp)
def constant(b: Scope) -> None:
    elem = b.pick(bf16, f16, f32, f64, i1, i8, i32, i64)
    kind = tensor(elem, [b.pick(1, 2, 3) for _ in range(b.number(0, 2))])
    b.put(nn.ConstantOp(b.draw(dense(kind))))


# transformer ops ---------------------------------------------------------------------------------------------------


@generates(nn.EmbeddingOp)
def embedding(b: Scope) -> None:
    b.put(nn.EmbeddingOp(b.tensor(i32, b.dims(0, 2)), b.tensor(any_elem(b), [b.size(), b.dim()])))


@generates(nn.LinearOp)
def linear(b: Scope) -> None:
    k, n = b.dim(), b.dim()
    bias = b.tensor(floating(b), [n]) if b.flag() else None
    x, w = b.tensor(floating(b), [*b.dims(0, 2), k]), b.tensor(any_elem(b), [n, k])
    b.put(nn.LinearOp(x, w, bias, acc=b.pick(f32, f64, i32), elem=b.pick(None, f32, bf16)))


@generates(nn.MatmulOp)
def matmul(b: Scope) -> None:
    m, k, n, lead = b.dim(), b.dim(), b.dim(), b.dims(0, 1)
    elem = floating(b)
    left, right = (b.tensor(elem, [*b.pick([], lead), *pair]) for pair in ((m, k), (k, n)))
    b.put(nn.MatmulOp(left, right, acc=b.pick(f32, f64), elem=b.pick(None, f32)))


@generates(nn.RmsNormOp)
def rms_norm(b: Scope) -> None:
    dims = b.dims(1, 3)
    eps, offset = b.pick(1e-6, 1e-5, 0.1), b.pick(0.0, 1.0)
    b.put(nn.RmsNormOp(b.tensor(floating(b), dims), b.tensor(floating(b), dims[-1:]), eps=eps, offset=offset))


@generates(nn.LayerNormOp)
def layer_norm(b: Scope) -> None:
    dims = b.dims(1, 3)
    bias = b.tensor(floating(b), dims[-1:]) if b.flag() else None
    b.put(nn.LayerNormOp(b.tensor(floating(b), dims), b.tensor(floating(b), dims[-1:]), bias, eps=b.pick(1e-5, 1e-12)))


@generates(nn.RopeOp)
def rope(b: Scope) -> None:
    tokens, heads, width = b.dim(), b.dim(), b.pick(2, 4, 16)
    angles = b.tensor(f32, [tokens, b.pick(2, width)])
    b.put(nn.RopeOp(b.tensor(floating(b), [tokens, heads, width]), angles, angles, interleaved=b.flag()))


@generates(nn.AttentionOp)
def attention(b: Scope) -> None:
    groups, heads, width = b.pick(1, 2, 4), b.pick(1, 2), b.pick(2, 16)
    elem = floating(b)
    mask = MaskAttr.of(b.flag(), b.pick(None, 1, 4096))
    q = b.tensor(elem, ["T", groups * heads, width])
    score: Region | None = None
    if b.flag():
        score = b.inner([f32, i32, i32, i32], lambda s: _score(s))
    scale = b.pick(0.125, 0.1, 1.0)

    def mask_of(keys: int | str) -> SSAValue | None:
        lead = b.pick([], [1], [groups * heads])
        return b.tensor(b.pick(i1, f32, bf16), [*lead, "T", b.pick(1, keys)]) if b.flag() else None

    if b.flag():
        extra = {"mask_tensor": mask_of("T"), "score": score}
        kv = b.value(StateType.of(heads, width, elem))
        b.put(nn.AttentionOp(q, kv=kv, batch=batch(b), scale=scale, mask=mask, **extra))
        return
    keys, ragged = ("T", b.flag()) if mask.causal or b.flag() else (b.dim(), False)
    extra = {"mask_tensor": mask_of(keys), "score": score}
    k, v = b.tensor(elem, [keys, heads, width]), b.tensor(elem, [keys, heads, b.pick(2, 8)])
    b.put(nn.AttentionOp(q, k, v, batch=batch(b) if ragged else None, scale=scale, mask=mask, **extra))


def _score(s: Scope) -> None:
    score = s.block.args[0]
    if s.flag():
        score = s.put(arith.MulfOp(score, score))
    s.put(nn.YieldOp(score))


# state -------------------------------------------------------------------------------------------------------------


@generates(nn.AppendOp)
def append(b: Scope) -> None:
    heads, width, elem = b.pick(1, 2), b.pick(2, 16), floating(b)
    new = [b.tensor(elem, ["T", heads, width]) for _ in range(2)]
    old = b.new(StateType.of(heads, width, elem))
    b.put(nn.AppendOp(old, *new, batch(b)))
    b.pool.remove(old)  # a state has one updater, and is not read after it


@generates(nn.PositionsOp)
def positions(b: Scope) -> None:
    b.put(nn.PositionsOp(batch(b)))


@generates(nn.SelectTokenOp)
def select_token(b: Scope) -> None:
    b.put(nn.SelectTokenOp(b.tensor(any_elem(b), ["T", *b.dims(0, 2)]), batch(b), b.pick("last", "first")))


@generates(nn.SampleOp)
def sample(b: Scope) -> None:
    b.put(nn.SampleOp(b.tensor(floating(b), ["B", b.dim()]), batch(b), b.value(SamplingType())))


# moving data -------------------------------------------------------------------------------------------------------


@generates(nn.ReshapeOp)
def reshape(b: Scope) -> None:
    rows, a, c = b.dim(), b.size(), b.size()
    split, merged = [rows, a, c], [rows, a * c]
    source, target = b.pick((split, merged), (merged, split), (merged, merged))
    b.put(nn.ReshapeOp(b.tensor(any_elem(b), source), target))


@generates(nn.BroadcastOp)
def broadcast(b: Scope) -> None:
    target = b.dims(1, 3)
    source = [1 if b.flag() else d for d in target][b.number(0, len(target)) :]
    b.put(nn.BroadcastOp(b.tensor(any_elem(b), source), target))


@generates(nn.EmptyOp)
def empty(b: Scope) -> None:
    b.put(nn.EmptyOp(tensor(any_elem(b), b.dims(0, 3))))


@generates(nn.IotaOp)
def iota(b: Scope) -> None:
    dims = b.dims(1, 3)
    b.put(nn.IotaOp(b.pick(i32, i64, f32), dims, b.number(0, len(dims) - 1)))


@generates(nn.SizeOp)
def size(b: Scope) -> None:
    b.put(nn.SizeOp(b.dim(), b.pick(i32, i64, f32)))


@generates(nn.TransposeOp)
def transpose(b: Scope) -> None:
    dims = b.dims(0, 4)
    b.put(nn.TransposeOp(b.tensor(any_elem(b), dims), b.draw(st.permutations(range(len(dims))))))


@generates(nn.SliceOp)
def slice_(b: Scope) -> None:
    lead = b.dims(0, 2)
    if b.flag():
        start, stop, step = b.number(0, 3), b.number(3, 8), b.pick(1, 2, 3)
        extent: int | str = 8
    else:
        start, stop, step = b.pick((0, "T", 1), ("T-1", "T", 1), (1, "T", 1))
        extent = "T"
    b.put(nn.SliceOp(b.tensor(any_elem(b), [*lead, extent]), axis=len(lead), start=start, stop=stop, step=step))


@generates(nn.ConcatOp)
def concat(b: Scope) -> None:
    dims, elem = b.dims(1, 3), any_elem(b)
    axis = b.number(0, len(dims) - 1)
    parts = [b.tensor(elem, [*dims[:axis], b.dim(), *dims[axis + 1 :]]) for _ in range(b.number(1, 3))]
    b.put(nn.ConcatOp(parts, axis))


@generates(nn.GatherOp)
def gather(b: Scope) -> None:
    dims = b.dims(1, 3)
    index = b.tensor(b.pick(i8, i32, i64), b.dims(0, 2))
    b.put(nn.GatherOp(b.tensor(any_elem(b), dims), index, b.number(0, len(dims) - 1)))


@generates(nn.TakeAlongOp)
def take_along(b: Scope) -> None:
    dims = b.dims(1, 3)
    index = b.tensor(b.pick(i32, i64), [b.dim() for _ in dims])
    b.put(nn.TakeAlongOp(b.tensor(any_elem(b), dims), index, b.number(0, len(dims) - 1)))


# along an axis -----------------------------------------------------------------------------------------------------


@generates(nn.ReduceOp)
def reduce(b: Scope) -> None:
    dims, kind = b.dims(1, 3), b.pick(*REDUCTIONS)
    axes = b.draw(st.lists(st.integers(0, len(dims) - 1), min_size=1, max_size=2, unique=True))
    elem = i1 if kind in ("any", "all") else any_elem(b)
    b.put(nn.ReduceOp(b.tensor(elem, dims), kind, axes, keepdims=b.flag()))


def _along_an_axis(
    build: Callable[[Scope, SSAValue, int], object], elem: Callable[[Scope], Attribute]
) -> Callable[[Scope], None]:
    def emit(b: Scope) -> None:
        dims = b.dims(1, 3)
        b.put(build(b, b.tensor(elem(b), dims), b.number(0, len(dims) - 1)))  # pyright: ignore

    return emit


generates(nn.SoftmaxOp)(_along_an_axis(lambda b, x, axis: nn.SoftmaxOp(x, axis, elem=b.pick(None, f32)), floating))
generates(nn.ArgmaxOp)(_along_an_axis(lambda b, x, axis: nn.ArgmaxOp(x, axis), any_elem))
generates(nn.CumsumOp)(_along_an_axis(lambda b, x, axis: nn.CumsumOp(x, axis), any_elem))
generates(nn.SortOp)(_along_an_axis(lambda b, x, axis: nn.SortOp(x, descending=b.flag()), any_elem))


@generates(nn.TopkOp)
def topk(b: Scope) -> None:
    last = b.pick(4, 8, "T")
    b.put(nn.TopkOp(b.tensor(any_elem(b), [*b.dims(0, 2), last]), b.number(1, 4)))


@generates(nn.Conv1dOp)
def conv1d(b: Scope) -> None:
    groups, per_group, out, width = b.pick(1, 2), b.size(), b.size(), b.pick(1, 3)
    elem = floating(b)
    length = b.pick(4, 16, "T")
    bias = b.tensor(elem, [out]) if b.flag() else None
    x, w = b.tensor(elem, [groups * per_group, length]), b.tensor(elem, [out, per_group, width])
    b.put(nn.Conv1dOp(x, w, bias, padding=b.number(0, 2), groups=groups))


# the pointwise table -----------------------------------------------------------------------------------------------


def _pointwise(cls: type[nn.PointwiseOp]) -> Callable[[Scope], None]:
    row = cls.ROW

    def emit(b: Scope) -> None:
        elem = b.pick(*{"any": FLOATS + INTEGERS, "float": FLOATS, "int": INTEGERS}[row.elems])
        dims = b.dims(0, 3)
        inputs: list[SSAValue] = []
        for index in range(row.arity):
            shape = [1 if b.top.chance() else d for d in dims][b.pick(0, 0, len(dims)) :]
            inputs.append(b.tensor(i1 if row.result == "select" and index == 0 else elem, shape))
        predicate = b.pick(*PREDICATES) if row.name == "cmp" else None
        b.put(cls(*inputs, elem=any_elem(b) if row.result == "given" else None, predicate=predicate))

    return emit


for _cls in POINTWISE.values():
    generates(_cls)(_pointwise(_cls))

__all__ = ["Size", "any_elem", "batch", "dims_of", "floating", "make_weight"]
