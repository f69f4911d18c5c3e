"""The one form of `linalg.generic` that llmc uses: value semantics, outputs started from `nn.empty`, no other `outs`.

    %e = nn.empty : () -> tensor<?x8xbf16, #nn.dims<["T", "_"]>>
    %y = linalg.generic {indexing_maps = […], iterator_types = ["parallel", "parallel"]} ins(%a, %b : …) outs(%e : …) { … } -> …

Indexing maps are projected permutations of the loops; a result is the constant 0 where the operand's dimension is 1.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from xdsl.dialects.builtin import AffineMapAttr, ArrayAttr, LocationAttr
from xdsl.dialects.linalg.attrs import IteratorTypeAttr
from xdsl.dialects.linalg.ops import GenericOp
from xdsl.dialects.linalg.ops import YieldOp as LinalgYieldOp
from xdsl.ir import Attribute, Block, Operation, Region, SSAValue
from xdsl.ir.affine import AffineConstantExpr, AffineDimExpr, AffineMap

from ..ir.locations import is_known
from ..nn.tensor import EmptyOp

Loops = tuple[int | None, ...]
"""For each dimension of an operand, the loop that runs over it; None for a dimension of size 1."""

Emit = Callable[[Operation], SSAValue]


def affine_map(rank: int, loops: Loops) -> AffineMapAttr:
    """`(d0, d1) -> (d0, 0)` for rank 2 and (0, None)."""
    return AffineMapAttr(AffineMap(rank, 0, tuple(AffineConstantExpr(0) if d is None else AffineDimExpr(d) for d in loops)))


def loops_of(op: GenericOp) -> list[Loops]:
    """The loops of each operand, inputs first, then outputs."""
    return [tuple(e.position if isinstance(e, AffineDimExpr) else None for e in m.data.results) for m in op.indexing_maps.data]


def pointwise(
    inputs: Sequence[SSAValue],
    input_loops: Sequence[Loops],
    results: Sequence[Attribute],
    result_loops: Sequence[Loops],
    rank: int,
    body: Callable[[Emit, Sequence[SSAValue]], Sequence[SSAValue]],
    location: LocationAttr,
) -> list[Operation]:
    """The empties and the generic, all loops parallel. `body` gets an emitter and the scalar of each input, and returns the
    scalar of each result; what it emits without a location has that of all."""
    empties: list[Operation] = []
    for kind in results:
        empties.append(EmptyOp(kind, location))  # pyright: ignore
    block = Block(arg_types=[_elem(v.type) for v in inputs] + [_elem(t) for t in results])

    def emit(op: Operation) -> SSAValue:
        if not is_known(op.location):
            op.location = location
        block.add_op(op)
        return op.results[0]

    end = LinalgYieldOp(*body(emit, block.args[: len(inputs)]))
    end.location = location
    block.add_op(end)
    generic = GenericOp(
        inputs,
        [e.results[0] for e in empties],
        Region(block),
        ArrayAttr([affine_map(rank, loops) for loops in (*input_loops, *result_loops)]),
        [IteratorTypeAttr.parallel()] * rank,
        list(results),
    )
    generic.location = location
    return [*empties, generic]


def _elem(kind: Attribute) -> Attribute:
    return kind.element_type  # pyright: ignore
