"""Clusters of pointwise nn ops become linalg.generic: one op whatever they compute, so that fusion and schedules need know one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, cast

from xdsl.dialects import arith
from xdsl.dialects.builtin import BFloat16Type, Float16Type, FloatAttr, IntegerAttr, IntegerType, ModuleOp, UnitAttr, f32
from xdsl.dialects.func import FuncOp, ReturnOp
from xdsl.ir import Attribute, Operation, SSAValue

from ...dialects.fusion.generic import Emit, Loops, pointwise
from ...dialects.ir.hashing import structural_hash
from ...dialects.ir.locations import fused
from ...dialects.ir.rewriting import erase_dead, replace
from ...dialects.ir.symbols import SymbolTable
from ...dialects.nn import ops as nn
from ...dialects.nn.pointwise import ROUNDS
from ...dialects.nn.sizes import Size
from ...dialects.nn.types import dims_of, elem_of, tensor, with_elem
from ..framework.pass_ import Pass, PassContext
from ..nn.values import definition, functions, splat, users
from .dataflow import Grouping, reorder

ONE = Size.of(1)


@dataclass(frozen=True)
class Generalise(Pass):
    """Turn connected pointwise ops (casts and broadcasts among them) into one linalg.generic each, computing in f32 inside.

    Only nn.cast rounds inside a cluster, where it is marked `rounds`; a conversion that is not was made for the types of the cluster's
    operands and results, and is left out where these stay in registers. Single-number constants move into the body, other constants become weights. Biases
    leave their linears and join the pointwise ops after them. A concatenation of a value with itself becomes a broadcast.

    ```mlir before
    func.func @main(%g: tensor<2x8xbf16>, %u: tensor<2x8xbf16>) -> tensor<2x8xbf16> {
      %0 = nn.relu %g : (tensor<2x8xbf16>) -> tensor<2x8xbf16>
      %1 = nn.mul %0, %u : (tensor<2x8xbf16>, tensor<2x8xbf16>) -> tensor<2x8xbf16>
      func.return %1 : tensor<2x8xbf16>
    }
    ```
    ```mlir after
    func.func @main(%g: tensor<2x8xbf16>, %u: tensor<2x8xbf16>) -> tensor<2x8xbf16> {
      %e = nn.empty : () -> tensor<2x8xbf16>
      %0 = linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d0, d1)>], iterator_types = ["parallel", "parallel"]} ins(%g, %u : tensor<2x8xbf16>, tensor<2x8xbf16>) outs(%e : tensor<2x8xbf16>) {
      ^bb0(%a: bf16, %b: bf16, %c: bf16):
        %1 = arith.extf %a : bf16 to f32
        %2 = arith.constant 0.0 : f32
        %3 = arith.maximumf %1, %2 : f32
        %4 = arith.extf %b : bf16 to f32
        %5 = arith.mulf %3, %4 : f32
        %6 = arith.truncf %5 : f32 to bf16
        linalg.yield %6 : bf16
      } -> tensor<2x8xbf16>
      func.return %0 : tensor<2x8xbf16>
    }
    ```
    """

    name: ClassVar[str] = "generalise"
    produces: ClassVar[tuple[str, ...] | None] = ("nn", "linalg", "arith", "math")
    anchors: ClassVar[tuple[str, ...]] = ("builtin.module",)

    def run(self, ctx: PassContext, module: ModuleOp) -> None:
        symbols = SymbolTable(module)
        for func in functions(module):
            for op in list(func.body.block.ops):
                _prepare(op)
            erase_dead(func.body)
            for members in _clusters(func):
                _lower(members)
                ctx.count("clusters")
            erase_dead(func.body)
            _constants_to_weights(func, symbols)


# Preparation


def _prepare(op: Operation) -> None:
    if isinstance(op, nn.LinearOp) and op.bias is not None:
        wide = nn.LinearOp(op.x, op.weight, acc=op.acc, elem=f32)
        made: list[Operation] = [wide]
        bias: SSAValue = op.bias
        if elem_of(bias) != f32:
            made.append(nn.CastOp(bias, elem=f32))
            bias = made[-1].results[0]
        made.append(nn.AddOp(wide.result, bias))
        if elem_of(op.result) != f32:
            made.append(nn.CastOp(made[-1].results[0], elem=elem_of(op.result)))
        replace(op, made)
    elif isinstance(op, nn.ConcatOp) and len(op.inputs) > 1 and all(i is op.inputs[0] for i in op.inputs):
        axis = op.axis.value.data
        dims = list(dims_of(op.inputs[0]))
        column = nn.ReshapeOp(op.inputs[0], [*dims[:axis], 1, *dims[axis:]])
        several = nn.BroadcastOp(column.result, [*dims[:axis], len(op.inputs), *dims[axis:]])
        replace(op, [column, several, nn.ReshapeOp(several.result, dims_of(op.result))])
    elif isinstance(op, nn.PointwiseOp):
        _sink_reshape(op)


def _sink_reshape(op: nn.PointwiseOp) -> None:
    """pointwise(reshape(broadcast x)) → reshape(pointwise(broadcast x)), other operands being single numbers."""
    varying = [o for o in op.operands if splat(o) is None]
    if len(set(varying)) != 1:
        return
    view = definition(varying[0])
    if not isinstance(view, nn.ReshapeOp) or _unit_reshape(view):
        return
    source = definition(view.x)
    if not isinstance(source, nn.BroadcastOp | nn.PointwiseOp) or dims_of(varying[0]) != dims_of(op.results[0]):
        return
    operands: list[SSAValue] = []
    made: list[Operation] = []
    for operand in op.operands:
        if operand is varying[0]:
            operands.append(view.x)
            continue
        number = splat(operand)
        assert number is not None
        constant = nn.ConstantOp.of(number, tensor(elem_of(operand), []))
        made.append(constant)
        operands.append(constant.result)
    kind: Any = view.x.type
    inner = type(op).create(
        operands=operands, result_types=[with_elem(kind, elem_of(op.results[0]))], properties=dict(op.properties)
    )
    replace(op, [*made, inner, nn.ReshapeOp(inner.results[0], dims_of(op.results[0]))])


def _constants_to_weights(func: FuncOp, symbols: SymbolTable) -> None:
    """nn.constant in a function → nn.weight with the constant as its body, and nn.param."""
    for op in list(func.body.block.ops):
        if not isinstance(op, nn.ConstantOp):
            continue
        name = f"constant_{structural_hash(op, digits=8)}"
        if name not in symbols.by_name:
            body = nn.ConstantOp(op.value, location=op.location)
            symbols.insert(nn.WeightOp(name, [body, nn.YieldOp(body.result, location=op.location)], location=op.location), func)
        replace(op, [nn.ParamOp(name, op.result.type)])  # pyright: ignore


# Clusters


def _unit_reshape(op: Operation) -> bool:
    """Whether a reshape only adds or removes dimensions of size 1."""
    if not isinstance(op, nn.ReshapeOp):
        return False
    return [d for d in dims_of(op.x) if d != ONE] == [d for d in dims_of(op.result) if d != ONE]


def _is_pointwise(op: Operation) -> bool:
    return isinstance(op, nn.PointwiseOp | nn.BroadcastOp)


def _clusters(func: FuncOp) -> list[list[Operation]]:
    """Group the pointwise ops of a function and put each group's ops next to each other.

    Consumers first. An op joins the cluster that holds all its users, whatever it is stretched to there; several such
    clusters of one size merge; an op with other users too joins a cluster of its own size, as one more result.
    """
    block = func.body.block
    ops = [op for op in block.ops if not isinstance(op, ReturnOp)]
    grouping = Grouping(ops)
    root: dict[Operation, Operation] = {}  # member → the op whose sizes are the cluster's loops
    for op in reversed(ops):
        view = _unit_reshape(op)
        if not (_is_pointwise(op) or view):
            continue
        if all(splat(o) is not None for o in op.operands) and op.operands:
            view = True  # a stretched number: goes into bodies, is no cluster by itself
        readers = users(op.results[0])
        roots = list(dict.fromkeys(root[r] for r in readers if r in root))
        inside = bool(readers) and all(r in root for r in readers)
        if inside and len(roots) == 1 and grouping.can_merge([op, roots[0]]):
            grouping.merge([op, roots[0]])
            root[op] = roots[0]
            continue
        if view:
            continue
        dims = dims_of(op.results[0])
        equal = [r for r in roots if dims_of(r.results[0]) == dims]
        siblings = roots if not equal and inside and len({dims_of(r.results[0]) for r in roots}) == 1 else equal
        joined = _join(grouping, op, siblings, bool(equal))
        root[op] = op if joined is None else joined
        if joined is not None:
            for member, leader in list(root.items()):
                if leader in siblings and grouping.same(member, op):
                    root[member] = joined
    groups = grouping.groups()
    reorder(block, [op for group in groups for op in group])
    return [group for group in groups if group[0] in root]


def _join(grouping: Grouping, op: Operation, roots: list[Operation], same_size: bool) -> Operation | None:
    """Merge an op with as many of these clusters as can be; the root of what it is in then, None if it is alone."""
    if not same_size:
        if len(roots) > 1 and grouping.can_merge([op, *roots]):
            grouping.merge([op, *roots])
            return roots[0]
        return None
    joined: Operation | None = None
    for candidate in roots:
        if grouping.can_merge([op, candidate]):
            grouping.merge([op, candidate])
            joined = joined or candidate
    return joined


def _lower(members: list[Operation]) -> None:
    """Replace the ops of one cluster, which stand next to each other, by a linalg.generic."""
    inside = set(members)
    outputs = [op.results[0] for op in members if any(use.operation not in inside for use in op.results[0].uses)]
    dims = max((dims_of(o) for o in outputs), key=lambda d: (len(d), sum(x != ONE for x in d)))
    rank = len(dims)
    result_loops = [_aligned(dims_of(o), dims, tuple(range(rank))) for o in outputs]
    inputs: dict[tuple[SSAValue, Loops], int] = {}
    for output, loops in zip(outputs, result_loops):
        _find_inputs(output, loops, inside, inputs, set())
    location = fused(op.location for op in members)

    def body(emit: Emit, scalars: Any) -> list[SSAValue]:
        writer = _Writer(emit, inside, {key: scalars[i] for key, i in inputs.items()})
        return [writer.result(o, loops) for o, loops in zip(outputs, result_loops)]

    made = pointwise(
        [v for v, _ in inputs], [m for _, m in inputs], [o.type for o in outputs], result_loops, rank, body, location
    )
    block = members[0].parent
    assert block is not None
    block.insert_ops_before(made, members[0])
    for output, result in zip(outputs, made[-1].results):
        result.name_hint = output.name_hint
        output.replace_all_uses_with(result)
    for op in reversed(members):
        op.detach()
        op.erase()


def _aligned(dims: tuple[Size, ...], of: tuple[Size, ...], loops: Loops) -> Loops:
    """The loops of an operand that broadcasts to a value with these sizes and loops."""
    lead = len(of) - len(dims)
    return tuple(None if d == ONE and of[lead + i] != ONE else loops[lead + i] for i, d in enumerate(dims))


def _through_view(source: tuple[Size, ...], target: tuple[Size, ...], loops: Loops) -> Loops:
    """The loops of a unit reshape's operand, from its result's."""
    long = iter([loop for d, loop in zip(target, loops) if d != ONE])
    return tuple(None if d == ONE else next(long) for d in source)


def _operand_loops(op: Operation, loops: Loops) -> list[tuple[SSAValue, Loops]]:
    result = dims_of(op.results[0])
    if isinstance(op, nn.ReshapeOp):
        return [(op.x, _through_view(dims_of(op.x), result, loops))]
    return [(o, _aligned(dims_of(o), result, loops)) for o in op.operands]


def _find_inputs(
    value: SSAValue, loops: Loops, inside: set[Operation], inputs: dict[tuple[SSAValue, Loops], int], seen: set[Any]
) -> None:
    if (value, loops) in seen:
        return
    seen.add((value, loops))
    op = definition(value)
    if splat(value) is not None:
        return
    if op in inside:
        assert op is not None
        for operand, inner in _operand_loops(op, loops):
            _find_inputs(operand, inner, inside, inputs, seen)
    else:
        inputs.setdefault((value, loops), len(inputs))


def _wide(elem: Attribute) -> Attribute:
    return f32 if isinstance(elem, BFloat16Type | Float16Type) or elem.name.startswith("f8") else elem


class _Writer:
    """Writes the scalar of each value of a cluster once per way it is indexed."""

    def __init__(self, emit: Emit, inside: set[Operation], inputs: dict[tuple[SSAValue, Loops], SSAValue]) -> None:
        self.emit = emit
        self.inside = inside
        self.inputs = inputs
        self.done: dict[tuple[SSAValue, Loops], SSAValue] = {}
        self.narrow: dict[SSAValue, SSAValue] = {}  # a wide scalar → the narrow one that it was widened from

    def value(self, value: SSAValue, loops: Loops) -> SSAValue:
        """The scalar of a value, in f32 where its element type is narrower."""
        key = (value, loops)
        if key not in self.done:
            self.done[key] = self._write(value, loops)
        return self.done[key]

    def result(self, value: SSAValue, loops: Loops) -> SSAValue:
        """The scalar of a value in its own element type."""
        wide = self.value(value, loops)
        elem = elem_of(value)
        if wide.type == elem:
            return wide
        narrow = self.narrow.get(wide)
        return narrow if narrow is not None and narrow.type == elem else self.emit(arith.TruncFOp(wide, cast(Any, elem)))

    def _write(self, value: SSAValue, loops: Loops) -> SSAValue:
        elem = elem_of(value)
        number = splat(value)
        if number is not None:
            wide = _wide(elem)
            attr = (
                IntegerAttr(int(number), wide) if isinstance(wide, IntegerType) else FloatAttr(float(number), cast(Any, wide))
            )
            return self.emit(arith.ConstantOp(attr))
        given = self.inputs.get((value, loops))
        if given is not None:
            return self._widened(given)
        op = definition(value)
        assert op is not None and op in self.inside
        operands = [self.value(o, inner) for o, inner in _operand_loops(op, loops)]
        if not isinstance(op, nn.PointwiseOp):
            return operands[0]
        emit = self._emit_for(op)
        if isinstance(op, nn.CastOp):
            return self._cast(op, emit, operands[0], elem)
        return op.scalar(emit, operands, _wide(elem))

    def _emit_for(self, member: Operation) -> Emit:
        """The emitter for the scalar ops of one member, which take its location and not the cluster's."""

        def emit(op: Operation) -> SSAValue:
            op.location = member.location
            return self.emit(op)

        return emit

    def _cast(self, op: nn.PointwiseOp, emit: Emit, operand: SSAValue, elem: Attribute) -> SSAValue:
        if elem == _wide(elem):
            return op.scalar(emit, [operand], elem)
        narrow = self.narrow.get(operand)
        if narrow is not None and narrow.type == elem:
            return operand
        rounded = op.scalar(emit, [operand], elem)
        assert isinstance(rounded.owner, Operation)
        rounded.owner.attributes[ROUNDS] = UnitAttr()
        return self._widened(rounded)

    def _widened(self, scalar: SSAValue) -> SSAValue:
        wide = _wide(scalar.type)
        if wide == scalar.type:
            return scalar
        result = self.emit(arith.ExtFOp(scalar, cast(Any, wide)))
        self.narrow[result] = scalar
        return result
