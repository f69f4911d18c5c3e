"""What the ops of arith, math, scf, func, cf, tensor and linalg.generic mean in numpy.

Scalars are zero-dimensional arrays, and every scalar op works elementwise on arrays too: `linalg.generic` runs its body once
on whole arrays.
"""

from __future__ import annotations

from collections.abc import Callable
from math import erf as scalar_erf
from typing import Any, cast

import numpy as np
from xdsl.dialects import arith, cf, func, math, scf, tensor
from xdsl.dialects.builtin import DenseIntOrFPElementsAttr, FloatAttr, IntegerAttr, ShapedType
from xdsl.dialects.linalg.attrs import IteratorType
from xdsl.dialects.linalg.ops import GenericOp, IndexOp
from xdsl.ir import Operation, SSAValue
from xdsl.ir.affine import AffineConstantExpr, AffineDimExpr, AffineMap

from .diagnostics import LlmcError
from .interpret import Fn, Frame, Jump
from .numeric import dtype_of, power, rounded, widen

Values = tuple[Any, ...]
_erf = np.vectorize(scalar_erf, otypes=[np.float64])


def erf(x: Any) -> Any:
    """The error function, in float64 inside."""
    x = np.asarray(x)
    return _erf(x.astype(np.float64)).astype(x.dtype if x.dtype.kind == "f" else np.float32) if x.size else x


def _elem(value: SSAValue) -> Any:
    type_ = value.type
    return type_.get_element_type() if isinstance(type_, ShapedType) else type_  # pyright: ignore


def _float(fn: Callable[..., Any]) -> Fn:
    def run(op: Operation, args: Values, frame: Frame) -> Values:
        wide = [widen(a, frame.options) for a in args]
        with np.errstate(all="ignore"):
            return (rounded(fn(*wide), _elem(op.results[0]), frame.options),)

    return run


def _int(fn: Callable[..., Any]) -> Fn:
    def run(op: Operation, args: Values, frame: Frame) -> Values:
        dtype = dtype_of(_elem(op.results[0]))
        with np.errstate(all="ignore"):
            result = np.asarray(fn(*(_signed(a) for a in args)))
            return ((result & 1 if dtype.kind == "b" else result).astype(dtype),)

    return run


def _signed(a: Any) -> Any:
    """An integer with its sign: True of i1 is -1."""
    a = np.asarray(a)
    return -a.astype(np.int8) if a.dtype.kind == "b" else a


def _cast(op: Operation, args: Values, frame: Frame) -> Values:
    value = widen(args[0], frame.options)
    elem = _elem(op.results[0])
    if value.dtype.kind == "f" and dtype_of(elem).kind in "iu":
        value = np.trunc(value)
    return (rounded(value, elem, frame.options),)


def _unsigned(a: Any) -> Any:
    a = np.asarray(a)
    return a.view(np.dtype(f"u{a.dtype.itemsize}")) if a.dtype.kind == "i" else a


def _constant(op: Operation, args: Values, frame: Frame) -> Values:
    value = cast(arith.ConstantOp, op).value
    elem = _elem(op.results[0])
    if isinstance(value, IntegerAttr | FloatAttr):
        return (rounded(np.asarray(value.value.data), elem, frame.options),)
    if isinstance(value, DenseIntOrFPElementsAttr):
        shape = value.get_shape()
        data = np.array(value.get_values())
        return (rounded(np.broadcast_to(data, shape) if data.size == 1 else data.reshape(shape), elem, frame.options),)
    raise LlmcError(
        "LLMC0103", f"constant {value} has no numpy value", op, fix="write it as an integer, a float or a dense<…> of them"
    )


_CMPI: list[Callable[[Any, Any], Any]] = [
    np.equal,
    np.not_equal,
    np.less,
    np.less_equal,
    np.greater,
    np.greater_equal,
    lambda a, b: np.less(_unsigned(a), _unsigned(b)),
    lambda a, b: np.less_equal(_unsigned(a), _unsigned(b)),
    lambda a, b: np.greater(_unsigned(a), _unsigned(b)),
    lambda a, b: np.greater_equal(_unsigned(a), _unsigned(b)),
]
_ORDERED: list[Callable[[Any, Any], Any]] = [
    np.equal,
    np.greater,
    np.greater_equal,
    np.less,
    np.less_equal,
    np.not_equal,
]


def _cmpi(op: Operation, args: Values, frame: Frame) -> Values:
    return (_CMPI[cast(arith.CmpiOp, op).predicate.value.data](_signed(args[0]), _signed(args[1])),)


def _cmpf(op: Operation, args: Values, frame: Frame) -> Values:
    a, b = (widen(x, frame.options) for x in args)
    predicate = cast(arith.CmpfOp, op).predicate.value.data
    nan = np.isnan(a) | np.isnan(b)
    if predicate in (0, 15):
        return (np.full(np.broadcast(a, b).shape, predicate == 15),)
    if predicate in (7, 14):
        return (~nan if predicate == 7 else nan,)
    if predicate < 7:
        return (_ORDERED[predicate - 1](a, b) & ~nan,)
    return (_ORDERED[predicate - 8](a, b) | nan,)


def _select(op: Operation, args: Values, frame: Frame) -> Values:
    return (np.where(np.asarray(args[0]), np.asarray(args[1]), np.asarray(args[2])),)


def _divsi(a: Any, b: Any) -> Any:
    quotient = np.floor_divide(np.abs(a), np.abs(np.where(b == 0, 1, b)))
    return np.where((a < 0) != (b < 0), -quotient, quotient)


def _remsi(a: Any, b: Any) -> Any:
    return a - _divsi(a, b) * b


def _nan_max(a: Any, b: Any) -> Any:
    return np.fmax(a, b)


def _nan_min(a: Any, b: Any) -> Any:
    return np.fmin(a, b)


def _for(op: Operation, args: Values, frame: Frame) -> Values:
    lower, upper, step = (int(a) for a in args[:3])
    carried = args[3:]
    dtype = dtype_of(op.operands[0].type)
    for i in range(lower, upper, step):
        carried = frame.run_region(op.regions[0], (np.asarray(i, dtype), *carried))
    return tuple(carried)


def _if(op: Operation, args: Values, frame: Frame) -> Values:
    region = op.regions[0] if bool(args[0]) else op.regions[1]
    return frame.run_region(region, ()) if region.blocks else ()


def _while(op: Operation, args: Values, frame: Frame) -> Values:
    carried = args
    while True:
        condition, *passed = frame.run_region(op.regions[0], carried)
        if not bool(condition):
            return tuple(passed)
        carried = frame.run_region(op.regions[1], tuple(passed))


def _call(op: Operation, args: Values, frame: Frame) -> Values:
    callee = frame.symbol(cast(func.CallOp, op).callee.root_reference.data)
    return frame.child().run_region(callee.regions[0], args)


def _branch(op: Operation, args: Values, frame: Frame) -> Values:
    return (Jump(op.successors[0], args),)


def _conditional_branch(op: Operation, args: Values, frame: Frame) -> Values:
    branch = cast(cf.ConditionalBranchOp, op)
    n = len(branch.then_arguments)
    return (Jump(op.successors[0], args[1 : 1 + n]) if bool(args[0]) else Jump(op.successors[1], args[1 + n :]),)


def _empty(op: Operation, args: Values, frame: Frame) -> Values:
    """An uninitialised tensor; None when a dynamic size is not known here (users then infer the shape)."""
    type_ = op.results[0].type
    assert isinstance(type_, ShapedType)
    sizes = iter(args)
    try:
        shape = [int(next(sizes)) if d < 0 else d for d in type_.get_shape()]
    except StopIteration:
        return (None,)
    return (np.zeros(shape, dtype_of(_elem(op.results[0]))),)


def _to_space(array: Any, map_: AffineMap, rank: int) -> Any:
    """View an operand in the iteration space: its axes transposed and expanded to `rank` axes."""
    array = np.asarray(array)
    index: list[Any] = []
    axes: list[int] = []
    for expr in map_.results:
        if isinstance(expr, AffineDimExpr):
            index.append(slice(None))
            axes.append(expr.position)
        elif isinstance(expr, AffineConstantExpr):
            index.append(expr.value)
        else:
            raise ValueError(f"indexing map {map_} is no projected permutation")
    view = array[tuple(index)]
    order = sorted(range(len(axes)), key=lambda i: axes[i])
    view = view.transpose(order)
    shape = [1] * rank
    for i in order:
        shape[axes[i]] = array.shape[[j for j, e in enumerate(map_.results) if isinstance(e, AffineDimExpr)][i]]
    return view.reshape(shape)


_COMBINE: dict[type[Operation], Any] = {
    arith.AddfOp: np.add,
    arith.AddiOp: np.add,
    arith.MulfOp: np.multiply,
    arith.MuliOp: np.multiply,
    arith.MaximumfOp: np.maximum,
    arith.MaxnumfOp: np.fmax,
    arith.MinimumfOp: np.minimum,
    arith.MinnumfOp: np.fmin,
    arith.MaxSIOp: np.maximum,
    arith.MinSIOp: np.minimum,
    arith.OrIOp: np.logical_or,
    arith.AndIOp: np.logical_and,
}


def _generic(op: Operation, args: Values, frame: Frame) -> Values:
    generic = cast(GenericOp, op)
    maps = [m.data for m in generic.indexing_maps.data]
    rank = maps[0].num_dims
    inputs, outputs = args[: len(generic.inputs)], args[len(generic.inputs) :]
    extents: list[int] = [-1] * rank
    shaped = list(zip(inputs, maps, strict=False)) + list(zip(outputs, maps[len(inputs) :], strict=True))
    for value, map_ in shaped:
        if value is None:
            continue
        for extent, expr in zip(np.asarray(value).shape, map_.results, strict=True):
            if isinstance(expr, AffineDimExpr):
                extents[expr.position] = max(extents[expr.position], extent)
    for out, map_ in zip(generic.outputs, maps[len(inputs) :], strict=True):
        assert isinstance(out.type, ShapedType)
        for extent, expr in zip(out.type.get_shape(), map_.results, strict=True):
            if isinstance(expr, AffineDimExpr) and extents[expr.position] < 0 and extent >= 0:
                extents[expr.position] = extent
    if -1 in extents:
        raise LlmcError(
            "LLMC0103",
            "linalg.generic: the extent of a loop can't be inferred from its operands",
            op,
            fix="give it an operand whose indexing map has that loop as a result",
        )
    kinds = [t.data for t in generic.iterator_types.data]
    frame.data["linalg.extents"] = extents
    space = [_to_space(v, m, rank) for v, m in zip(inputs, maps, strict=False)]
    block = generic.body.block
    terminator = block.last_op
    assert terminator is not None
    parallel = all(k is IteratorType.PARALLEL for k in kinds)
    results: list[Any] = []
    if parallel:
        out_space = [
            _to_space(v, m, rank) if v is not None else np.zeros((), dtype_of(_elem(o)))
            for v, m, o in zip(outputs, maps[len(inputs) :], generic.outputs, strict=True)
        ]
        yielded = frame.run_block(block, (*space, *out_space))
        assert isinstance(yielded, tuple)
        for value, map_, result in zip(yielded, maps[len(inputs) :], generic.outputs, strict=True):
            full = np.broadcast_to(value, extents)
            results.append(rounded(_from_space(full, map_), _elem(result), frame.options))
        return tuple(results)
    reduced = tuple(i for i, k in enumerate(kinds) if k is IteratorType.REDUCTION)
    out_args = block.args[len(inputs) :]
    placeholders = tuple(np.zeros((), dtype_of(a.type)) for a in out_args)
    frame.run_block(block, (*space, *placeholders))
    for index, (yielded_value, out_arg) in enumerate(zip(terminator.operands, out_args, strict=True)):
        combine = yielded_value.owner
        if not isinstance(combine, Operation) or type(combine) not in _COMBINE or out_arg not in combine.operands:
            raise LlmcError(
                "LLMC0103",
                "linalg.generic reduces with an op that is no plain combination of its output",
                op,
                fix="reduce by an add, mul, max or min of the output and one value",
            )
        other = combine.operands[1] if combine.operands[0] is out_arg else combine.operands[0]
        full = np.broadcast_to(widen(frame.values[other], frame.options), extents)
        map_ = maps[len(inputs) + index]
        folded = _COMBINE[type(combine)].reduce(full, axis=reduced, keepdims=True)
        initial = outputs[index]
        if initial is not None:
            folded = _COMBINE[type(combine)](folded, widen(_to_space(initial, map_, rank), frame.options))
        shape = [1 if i in reduced else e for i, e in enumerate(extents)]
        results.append(rounded(_from_space(np.broadcast_to(folded, shape), map_), _elem(generic.outputs[index]), frame.options))
    return tuple(results)


def _from_space(full: Any, map_: AffineMap) -> Any:
    """From the iteration space back to an output: pick its axes in the map's order."""
    axes = [e.position for e in map_.results if isinstance(e, AffineDimExpr)]
    index = tuple(slice(None) if i in axes else 0 for i in range(full.ndim))
    view = full[index]
    kept = sorted(axes)
    view = view.transpose([kept.index(a) for a in axes])
    for position, expr in enumerate(map_.results):
        if isinstance(expr, AffineConstantExpr):
            view = np.expand_dims(view, position)
    return view


def _linalg_index(op: Operation, args: Values, frame: Frame) -> Values:
    extents: list[int] = frame.data["linalg.extents"]
    dim = cast(IndexOp, op).dim.value.data
    shape = [1] * len(extents)
    shape[dim] = extents[dim]
    return (np.arange(extents[dim], dtype=np.int64).reshape(shape),)


def _extract(op: Operation, args: Values, frame: Frame) -> Values:
    return (np.asarray(args[0])[tuple(np.asarray(i) for i in args[1:])],)


Numeric = (
    Callable[[np.ndarray[Any, Any]], Any]
    | Callable[[np.ndarray[Any, Any], np.ndarray[Any, Any]], Any]
    | Callable[[np.ndarray[Any, Any], np.ndarray[Any, Any], np.ndarray[Any, Any]], Any]
)
_TABLES: dict[str, dict[str, Numeric]] = {
    "float": {
        "addf": np.add, "subf": np.subtract, "mulf": np.multiply, "divf": np.divide, "negf": np.negative,
        "maximumf": np.maximum, "minimumf": np.minimum, "maxnumf": _nan_max, "minnumf": _nan_min,
        "remf": np.fmod,
    },
    "int": {
        "addi": np.add, "subi": np.subtract, "muli": np.multiply, "divsi": _divsi, "remsi": _remsi,
        "divui": lambda a, b: _unsigned(a) // _unsigned(b), "remui": lambda a, b: _unsigned(a) % _unsigned(b),
        "andi": np.bitwise_and, "ori": np.bitwise_or, "xori": np.bitwise_xor,
        "shli": np.left_shift, "shrsi": np.right_shift, "shrui": lambda a, b: _unsigned(a) >> _unsigned(b),
        "maxsi": np.maximum, "minsi": np.minimum,
        "maxui": lambda a, b: np.maximum(_unsigned(a), _unsigned(b)),
        "minui": lambda a, b: np.minimum(_unsigned(a), _unsigned(b)),
        "ipowi": power, "floordivsi": np.floor_divide, "ceildivsi": lambda a, b: -np.floor_divide(-a, b),
    },
    "math": {
        "exp": np.exp, "exp2": np.exp2, "expm1": np.expm1, "log": np.log, "log2": np.log2, "log1p": np.log1p, "sqrt": np.sqrt,
        "rsqrt": lambda a: 1 / np.sqrt(a), "tanh": np.tanh, "sin": np.sin, "cos": np.cos, "tan": np.tan, "erf": erf,
        "powf": power, "absf": np.abs, "floor": np.floor, "ceil": np.ceil, "roundeven": np.rint, "round": np.round,
        "trunc": np.trunc, "atan": np.arctan, "atan2": np.arctan2, "sinh": np.sinh, "cosh": np.cosh,
        "fma": lambda a, b, c: a * b + c, "copysign": np.copysign,
    },
}  # fmt: skip
_CASTS = ("extf", "truncf", "sitofp", "uitofp", "fptosi", "fptoui", "extsi", "trunci", "index_cast")


def _collect() -> dict[type[Operation], Fn]:
    table: dict[type[Operation], Fn] = {}
    for dialect in (arith.Arith, math.Math):
        for op_class in dialect.operations:
            short = op_class.name.split(".", 1)[1]
            if short in _TABLES["float"]:
                table[op_class] = _float(_TABLES["float"][short])
            elif short in _TABLES["int"]:
                table[op_class] = _int(_TABLES["int"][short])
            elif short in _TABLES["math"]:
                table[op_class] = _float(_TABLES["math"][short])
            elif short in _CASTS:
                table[op_class] = _cast
            elif short == "absi":
                table[op_class] = _int(np.abs)
    return table


def _extui(op: Operation, args: Values, frame: Frame) -> Values:
    return (_unsigned(args[0]).astype(dtype_of(_elem(op.results[0]))),)


def _bitcast(op: Operation, args: Values, frame: Frame) -> Values:
    return (np.asarray(args[0]).view(dtype_of(_elem(op.results[0]))),)


SEMANTICS: dict[type[Operation], Fn] = _collect() | {
    arith.ConstantOp: _constant,
    arith.CmpiOp: _cmpi,
    arith.CmpfOp: _cmpf,
    arith.SelectOp: _select,
    arith.ExtUIOp: _extui,
    arith.BitcastOp: _bitcast,
    scf.ForOp: _for,
    scf.IfOp: _if,
    scf.WhileOp: _while,
    func.CallOp: _call,
    cf.BranchOp: _branch,
    cf.ConditionalBranchOp: _conditional_branch,
    tensor.EmptyOp: _empty,
    tensor.ExtractOp: _extract,
    GenericOp: _generic,
    IndexOp: _linalg_index,
}
