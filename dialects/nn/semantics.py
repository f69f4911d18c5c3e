"""What each `nn` op means in numpy.

Arithmetic runs in `frame.options.compute`; each result is rounded to its element type. The interpreter's environment holds
`"weights"` and `"sidecar"`, mappings from checkpoint names and `sha256:…` to arrays; `frame.sizes` the values of size names.
"""

# The tables hold one-line lambdas whose parameters are scalars or arrays of any type.
# pyright: reportUnknownLambdaType=false

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

import numpy as np
from xdsl.dialects.builtin import TensorType
from xdsl.ir import Attribute, Operation, SSAValue

from ..ir.diagnostics import LlmcError
from ..ir.interpret import Fn, Frame
from ..ir.numeric import dtype_of, rounded, widen
from . import ops as nn
from .base import is_float
from .pointwise import COMPARISONS, POINTWISE, PointwiseOp
from .sizes import Size
from .types import dims_of, elem_of
from .values import Batch, Sampling, StateValue, draw

Values = tuple[Any, ...]


def infer_sizes(types: Sequence[Attribute], args: Sequence[Any]) -> dict[str, int]:
    """The values of size names from arguments and their types; LLMC0131 where two arguments disagree."""
    sizes: dict[str, int] = {}

    def bind(size: Size, value: int) -> None:
        terms = size.terms
        if len(terms) == 1 and len(terms[0][0]) == 1 and value % terms[0][1] == 0:
            name, found = terms[0][0][0], value // terms[0][1]
            if sizes.setdefault(name, found) != found:
                raise LlmcError(
                    "LLMC0131",
                    f"size {name} is {sizes[name]} in one argument and {found} in another",
                    f"argument of type {kind}",
                    fix="give arguments whose shapes agree",
                )

    for kind, value in zip(types, args):
        if isinstance(kind, nn.BatchType) and isinstance(value, Batch):
            bind(Size.parse(kind.tokens.data), value.tokens)
            bind(Size.parse(kind.sequences.data), value.sequences)
        elif isinstance(kind, TensorType):
            for size, length in zip(dims_of(kind), np.shape(value)):
                bind(size, length)
    return sizes


def _shape(value: SSAValue, frame: Frame) -> tuple[int, ...]:
    return tuple(size.evaluate(frame.sizes) for size in dims_of(value))


def _computed(fn: Callable[..., Any]) -> Fn:
    """Semantics of an op with one result from `fn(op, *widened operands)`."""

    def run(op: Operation, args: Values, frame: Frame) -> Values:
        with np.errstate(all="ignore"):
            return (rounded(fn(op, *(widen(a, frame.options) for a in args)), elem_of(op.results[0]), frame.options),)

    return run


def _moved(fn: Callable[..., Any]) -> Fn:
    """Semantics of an op that only moves elements: `fn(op, frame, *operands)`, without rounding."""
    return lambda op, args, frame: (fn(op, frame, *map(np.asarray, args)),)


def _pointwise(op: Operation, args: Values, frame: Frame) -> Values:
    assert isinstance(op, PointwiseOp)
    fn = op.ROW.numpy if op.predicate is None else COMPARISONS[op.predicate.data]
    elem = elem_of(op.results[0])
    with np.errstate(all="ignore"):
        result = np.asarray(fn(*(widen(a, frame.options) for a in args)))
        if op.ROW.name == "cast" and result.dtype.kind == "f" and not is_float(elem):
            result = np.trunc(result) if dtype_of(elem).kind != "b" else result != 0
        return (rounded(result, elem, frame.options),)


# -- weights ----------------------------------------------------------------------------------------------------------


def _entry(op: Operation, args: Values, frame: Frame) -> Values:
    assert isinstance(op, nn.EntryOp)
    name = op.entry.data
    source: Mapping[str, Any] = frame.interp.environment.get("sidecar" if name.startswith("sha256:") else "weights", {})
    if name not in source:
        fix = "put the tensors into the interpreter's environment as 'weights' and 'sidecar'"
        raise LlmcError("LLMC0132", f"no tensor {name!r} to run with", op, fix=fix)
    array = np.asarray(source[name])
    wanted = op.result.type
    if array.shape != wanted.get_shape():
        raise LlmcError(
            "LLMC0133",
            f"tensor {name!r} has shape {array.shape}, the module expects {wanted.get_shape()}",
            op,
            fix="take the tensor from the checkpoint that the module was imported from",
        )
    elem = elem_of(op.result)
    if array.dtype == dtype_of(elem):
        return (array,)
    return (rounded(widen(array, frame.options), elem, frame.options),)


def _param(op: Operation, args: Values, frame: Frame) -> Values:
    assert isinstance(op, nn.ParamOp)
    cache: dict[str, Any] = frame.interp.environment.setdefault("parameters", {})
    name = op.weight.root_reference.data
    if name not in cache:
        weight = frame.symbol(name)
        cache[name] = frame.child().run_region(weight.regions[0], ())[0]
    return (cache[name],)


def _constant(op: Operation, args: Values, frame: Frame) -> Values:
    assert isinstance(op, nn.ConstantOp)
    shape = op.result.type.get_shape()
    data = np.array(op.value.get_values())
    full = np.broadcast_to(data.reshape(-1)[:1].reshape((1,) * len(shape)), shape) if data.size == 1 else data.reshape(shape)
    return (rounded(full, elem_of(op.result), frame.options),)


# -- transformer ------------------------------------------------------------------------------------------------------


def _embedding(op: Operation, frame: Frame, ids: np.ndarray, table: np.ndarray) -> np.ndarray:
    return table[_inside(op, ids, len(table))]


def _inside(op: Operation, index: np.ndarray, extent: int) -> np.ndarray:
    """Indices into a dimension; LLMC0134 for one that is outside, as those below 0 are."""
    if index.size and (index.min() < 0 or index.max() >= extent):
        raise LlmcError(
            "LLMC0134",
            f"index {index.min() if index.min() < 0 else index.max()} of {op.name} is outside of {extent}",
            op,
            fix=f"give indices (such as token ids) from 0 to {extent - 1}",
        )
    return index.astype(np.int64)


def _gather(op: Operation, frame: Frame, x: np.ndarray, index: np.ndarray) -> np.ndarray:
    return np.take(x, _inside(op, index, x.shape[_axis(op)]), axis=_axis(op))


def _take_along(op: Operation, frame: Frame, x: np.ndarray, index: np.ndarray) -> np.ndarray:
    return np.take_along_axis(x, _inside(op, index, x.shape[_axis(op)]), axis=_axis(op))


def _linear(op: Operation, x: np.ndarray, weight: np.ndarray, bias: np.ndarray | None = None) -> np.ndarray:
    product = x @ weight.astype(x.dtype).T
    return product if bias is None else product + bias


def _rms_norm(op: Operation, x: np.ndarray, weight: np.ndarray) -> np.ndarray:
    assert isinstance(op, nn.RmsNormOp)
    scale = 1 / np.sqrt(np.mean(x * x, axis=-1, keepdims=True) + op.eps.value.data)
    return x * scale * (weight + op.offset.value.data)


def _layer_norm(op: Operation, x: np.ndarray, weight: np.ndarray, bias: np.ndarray | None = None) -> np.ndarray:
    assert isinstance(op, nn.LayerNormOp)
    centred = x - x.mean(axis=-1, keepdims=True)
    normal = centred / np.sqrt(np.mean(centred * centred, axis=-1, keepdims=True) + op.eps.value.data)
    return normal * weight if bias is None else normal * weight + bias


def _rope(op: Operation, x: np.ndarray, cos: np.ndarray, sin: np.ndarray) -> np.ndarray:
    assert isinstance(op, nn.RopeOp)
    width = cos.shape[-1]
    turned, rest = x[..., :width], x[..., width:]
    if op.interleaved.value.data:
        swapped = np.stack([-turned[..., 1::2], turned[..., ::2]], axis=-1).reshape(turned.shape)
    else:
        swapped = np.concatenate([-turned[..., width // 2 :], turned[..., : width // 2]], axis=-1)
    return np.concatenate([turned * cos[..., None, :] + swapped * sin[..., None, :], rest], axis=-1)


def _attention(op: Operation, args: Values, frame: Frame) -> Values:
    assert isinstance(op, nn.AttentionOp)
    groups = iter(args)
    q = widen(next(groups), frame.options)
    present: list[Any] = [next(groups) if o is not None else None for o in (op.k, op.v, op.kv, op.batch, op.mask_tensor)]
    k, v, kv, batch, mask_tensor = present
    if batch is None:
        positions = np.arange(len(q)), np.arange(len(k))
        result = _attend(op, frame, q, k, v, *positions, mask_tensor)
    else:
        width = kv.values[0].shape[-1] if kv is not None else v.shape[-1]
        result = np.zeros((*q.shape[:-1], width), q.dtype)
        for sequence in range(batch.sequences):
            rows = batch.rows(sequence)
            if kv is not None:
                length = int(batch.kv_len[sequence])
                keys, values = (_remembered(held[sequence], length) for held in (kv.keys, kv.values))
                key_positions = np.arange(length)
            else:
                keys, values, key_positions = k[rows], v[rows], batch.positions[rows]
            local = mask_tensor if mask_tensor is None or kv is not None else np.asarray(mask_tensor)[..., rows, rows]
            result[rows] = _attend(op, frame, q[rows], keys, values, batch.positions[rows], key_positions, local)
    return (rounded(result, elem_of(op.result), frame.options),)


def _remembered(held: np.ndarray, length: int) -> np.ndarray:
    """The first `length` tokens of a state; NaN for those that nobody appended yet."""
    if len(held) >= length:
        return held[:length]
    missing = np.full((length - len(held), *held.shape[1:]), np.nan, held.dtype)
    return np.concatenate([held, missing])


def _attend(
    op: nn.AttentionOp,
    frame: Frame,
    q: np.ndarray,
    k: Any,
    v: Any,
    query_positions: np.ndarray,
    key_positions: np.ndarray,
    mask_tensor: Any,
) -> np.ndarray:
    """Attention of one sequence: q [T,H,D], k [S,Hk,D], v [S,Hk,Dv] → [T,H,Dv]."""
    group = q.shape[1] // k.shape[1]
    keys = np.repeat(widen(k, frame.options), group, axis=1)
    values = np.repeat(widen(v, frame.options), group, axis=1)
    scores = np.einsum("thd,shd->hts", q, keys) * np.asarray(op.scale.value.data, q.dtype)
    i, j = query_positions[None, :, None].astype(np.int32), key_positions[None, None, :].astype(np.int32)
    if op.score is not None:
        heads = np.arange(q.shape[1], dtype=np.int32)[:, None, None]
        operands = np.broadcast_arrays(scores.astype(np.float32, copy=False), i, j, heads)
        scores = np.asarray(frame.run_region(op.score, tuple(operands))[0], q.dtype)
    seen = np.ones(scores.shape, bool)
    if op.mask.causal:
        seen &= j <= i
    if op.mask.window is not None:
        seen &= (j > i - op.mask.window) if op.mask.causal else (np.abs(i - j) < op.mask.window)
    if mask_tensor is not None:
        extra = np.asarray(mask_tensor)
        if extra.ndim == 3:
            extra = np.repeat(extra, q.shape[1] // len(extra), axis=0)
        if extra.dtype.kind == "b":
            seen &= extra
        else:
            scores = scores + widen(extra, frame.options)
    scores = np.where(seen, scores, -np.inf)
    top = scores.max(axis=-1, keepdims=True, initial=-np.inf)
    weights = np.exp(scores - np.where(np.isfinite(top), top, 0))
    total = weights.sum(axis=-1, keepdims=True)
    return np.einsum("hts,shd->thd", weights / np.where(total == 0, 1, total), values)


# -- batches and state ------------------------------------------------------------------------------------------------


def _append(op: Operation, args: Values, frame: Frame) -> Values:
    state, k, v, batch = args
    assert isinstance(state, StateValue)
    return (state.append(np.asarray(k), np.asarray(v), batch),)


def _select_token(op: Operation, args: Values, frame: Frame) -> Values:
    x, batch = args
    assert isinstance(op, nn.SelectTokenOp) and isinstance(batch, Batch)
    rows = batch.query_start[:-1] if op.which.data == "first" else batch.query_start[1:] - 1
    return (np.asarray(x)[rows],)


def _sample(op: Operation, args: Values, frame: Frame) -> Values:
    logits, batch, params = args
    assert isinstance(batch, Batch) and isinstance(params, Sampling)
    rows = zip(np.asarray(logits), batch.kv_len, params.temperature, params.top_k, params.top_p, params.seed)
    return (np.asarray([draw(r, int(n), float(t), int(k), float(p), int(s)) for r, n, t, k, p, s in rows], np.int32),)


# -- tensors ----------------------------------------------------------------------------------------------------------


def _axis(op: Operation) -> int:
    return cast(Any, op).axis.value.data


def _slice(op: Operation, frame: Frame, x: np.ndarray) -> np.ndarray:
    assert isinstance(op, nn.SliceOp)
    start, stop = (b.evaluate(frame.sizes) for b in op.bounds)
    index = [slice(None)] * x.ndim
    index[_axis(op)] = slice(start, stop, op.step.value.data)
    return x[tuple(index)]


def _iota(op: Operation, args: Values, frame: Frame) -> Values:
    shape = _shape(op.results[0], frame)
    along = [1] * len(shape)
    along[_axis(op)] = -1
    values = np.broadcast_to(np.arange(shape[_axis(op)]).reshape(along), shape)
    return (rounded(values, elem_of(op.results[0]), frame.options),)


def _empty(op: Operation, args: Values, frame: Frame) -> Values:
    return (np.zeros(_shape(op.results[0], frame), dtype_of(elem_of(op.results[0]))),)


def _size(op: Operation, args: Values, frame: Frame) -> Values:
    assert isinstance(op, nn.SizeOp)
    value = np.asarray(Size.parse(op.size.data).evaluate(frame.sizes))
    return (rounded(value, elem_of(op.result), frame.options),)


_REDUCTIONS: dict[str, Callable[..., Any]] = {
    "add": np.sum, "max": np.max, "min": np.min, "mul": np.prod, "any": np.any, "all": np.all, "mean": np.mean,
}  # fmt: skip


def _reduce(op: Operation, x: np.ndarray) -> np.ndarray:
    assert isinstance(op, nn.ReduceOp)
    return _REDUCTIONS[op.kind.data](x, axis=op.reduced, keepdims=bool(op.keepdims.value.data))


def _softmax(op: Operation, x: np.ndarray) -> np.ndarray:
    weights = np.exp(x - x.max(axis=_axis(op), keepdims=True))
    return weights / weights.sum(axis=_axis(op), keepdims=True)


def _topk(op: Operation, args: Values, frame: Frame) -> Values:
    assert isinstance(op, nn.TopkOp)
    x = np.asarray(args[0])
    order = _order(widen(x, frame.options), descending=True)[..., : op.k.value.data]
    return np.take_along_axis(x, order, -1), order.astype(np.int32)


def _sort(op: Operation, args: Values, frame: Frame) -> Values:
    assert isinstance(op, nn.SortOp)
    x = np.asarray(args[0])
    order = _order(widen(x, frame.options), bool(op.descending.value.data))
    return np.take_along_axis(x, order, -1), order.astype(np.int32)


def _order(x: np.ndarray, descending: bool) -> np.ndarray:
    """The indices that sort the last axis, equal elements by index; NaN is the largest."""
    if not descending:
        return np.argsort(x, axis=-1, kind="stable")
    return np.flip(x.shape[-1] - 1 - np.argsort(np.flip(x, -1), axis=-1, kind="stable"), -1)


def _conv1d(op: Operation, x: np.ndarray, weight: np.ndarray, bias: np.ndarray | None = None) -> np.ndarray:
    assert isinstance(op, nn.Conv1dOp)
    padding, groups = op.padding.value.data, op.groups.value.data
    windows = np.lib.stride_tricks.sliding_window_view(np.pad(x, ((0, 0), (padding, padding))), weight.shape[-1], axis=1)
    channels, outputs = weight.shape[1], weight.shape[0] // groups
    parts = [
        np.einsum("clk,ock->ol", windows[g * channels : (g + 1) * channels], weight[g * outputs : (g + 1) * outputs])
        for g in range(groups)
    ]
    result = np.concatenate(parts)
    return result if bias is None else result + bias[:, None]


SEMANTICS: dict[type[Operation], Fn] = {
    **{cls: _pointwise for cls in POINTWISE.values()},
    nn.EntryOp: _entry,
    nn.ParamOp: _param,
    nn.WeightOp: lambda op, args, frame: (),
    nn.ConstantOp: _constant,
    nn.EmbeddingOp: _moved(_embedding),
    nn.LinearOp: _computed(_linear),
    nn.MatmulOp: _computed(lambda op, a, b: a @ b),
    nn.RmsNormOp: _computed(_rms_norm),
    nn.LayerNormOp: _computed(_layer_norm),
    nn.RopeOp: _computed(_rope),
    nn.AttentionOp: _attention,
    nn.AppendOp: _append,
    nn.PositionsOp: lambda op, args, frame: (args[0].positions,),
    nn.SelectTokenOp: _select_token,
    nn.SampleOp: _sample,
    nn.ReshapeOp: _moved(lambda op, frame, x: x.reshape(_shape(op.results[0], frame))),
    nn.BroadcastOp: _moved(lambda op, frame, x: np.broadcast_to(x, _shape(op.results[0], frame))),
    nn.EmptyOp: _empty,
    nn.IotaOp: _iota,
    nn.SizeOp: _size,
    nn.TransposeOp: _moved(lambda op, frame, x: x.transpose(op.permutation)),
    nn.SliceOp: _moved(_slice),
    nn.ConcatOp: _moved(lambda op, frame, *xs: np.concatenate(xs, axis=_axis(op))),
    nn.GatherOp: _moved(_gather),
    nn.TakeAlongOp: _moved(_take_along),
    nn.ReduceOp: _computed(_reduce),
    nn.SoftmaxOp: _computed(_softmax),
    nn.ArgmaxOp: _computed(lambda op, x: np.argmax(x, axis=_axis(op))),
    nn.CumsumOp: _computed(lambda op, x: np.cumsum(x, axis=_axis(op))),
    nn.TopkOp: _topk,
    nn.SortOp: _sort,
    nn.Conv1dOp: _computed(_conv1d),
}
