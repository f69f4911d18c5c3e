"""What stands between q·kᵀ and the softmax of written-out attention: masks, and terms such as ALiBi as a scalar region."""

from __future__ import annotations

from dataclasses import dataclass, field

from xdsl.dialects import arith
from xdsl.dialects.builtin import FloatAttr, IntegerAttr, IntegerType, f32, i32
from xdsl.ir import Block, Operation, Region, SSAValue

from ...dialects.nn import ops as nn
from ...dialects.nn.base import is_float
from ...dialects.nn.types import MaskAttr, dims_of, elem_of
from .masks import LOW, hides, read_mask
from .matching import ONE, defined, orders, times_number
from .values import definition, property_int, splat

Axes = tuple[int | None, ...]
"""For each axis of a value the axis of the scores [H, T, S] that it lies along; None for one of size 1."""


@dataclass(frozen=True)
class Scores:
    """softmax's operand: `product`, an nn.matmul, times `scale`, through `region`, under `mask`."""

    product: nn.MatmulOp
    scale: float
    mask: MaskAttr | None
    region: Region | None


def read_scores(value: SSAValue) -> Scores | None:
    """The scores that a value [H, T, S] is made of; None where a part of it can't be read."""
    mask: MaskAttr | None = None
    outer = 1.0  # what masks and products are scaled by in the end
    while True:
        inner, scale = times_number(value)
        found = _masked(inner, LOW / (outer * scale)) if scale > 0 else None
        if found is None:
            break
        value, more = found
        outer *= scale
        windows = [m.window for m in (mask, more) if m is not None and m.window is not None]
        mask = MaskAttr.of(more.causal or (mask is not None and mask.causal), min(windows) if windows else None)
    plain, scale = times_number(value)
    product = defined(plain, nn.MatmulOp)
    if product is not None:
        return Scores(product, outer * scale, mask, None)
    writer = _Region()
    result = writer.write(value, (0, 1, 2))
    if result is None or writer.product is None:
        return None
    if outer != 1:
        result = writer.emit(arith.MulfOp(result, writer.emit(arith.ConstantOp(FloatAttr(outer, f32)))))
    writer.block.add_op(nn.YieldOp(result))
    for op in writer.block.ops:
        op.location = writer.product.location
    return Scores(writer.product, writer.scale, mask, Region(writer.block))


def _masked(value: SSAValue, low: float) -> tuple[SSAValue, MaskAttr] | None:
    """(scores, mask) for scores that a mask is added to, or that it chooses, hiding with numbers of at most `low`; also for scores that are
    kept above such a number, which changes none that is seen."""
    if (add := defined(value, nn.AddOp)) is not None:
        for scores, added in orders(add):
            if (mask := read_mask(added, low)) is not None and scores.type == value.type:
                return scores, mask
    if (select := defined(value, nn.SelectOp)) is not None and hides(select.operands[2], low):
        mask = read_mask(select.operands[0])
        if mask is not None and select.operands[1].type == value.type:
            return select.operands[1], mask
    if (bounded := defined(value, nn.MaxOp)) is not None:
        kept = next((x for x, number in orders(bounded) if hides(number, low) and x.type == value.type), None)
        return None if kept is None else (kept, MaskAttr.of(causal=False))
    return None


@dataclass
class _Region:
    """Writes the scalar of one score, from its product and its place; 16-bit values are as wide as f32 but where a cast rounds them."""

    block: Block = field(default_factory=lambda: Block(arg_types=[f32, i32, i32, i32]))
    product: nn.MatmulOp | None = None
    scale: float = 1.0
    written: dict[tuple[SSAValue, Axes], SSAValue] = field(default_factory=dict[tuple[SSAValue, Axes], SSAValue])

    def emit(self, op: Operation) -> SSAValue:
        self.block.add_op(op)
        return op.results[0]

    def write(self, value: SSAValue, axes: Axes) -> SSAValue | None:
        """The scalar of a value at a score's place; None for what is no function of product, head, query and key."""
        key = (value, axes)
        if key not in self.written:
            found = self._write(value, axes)
            if found is None:
                return None
            self.written[key] = found
        return self.written[key]

    def _write(self, value: SSAValue, axes: Axes) -> SSAValue | None:
        if (
            number := splat(value)
        ) is not None:  # one that could hide keys belongs to a mask, which later passes have to know of
            return None if abs(number) >= -LOW else self._number(number, elem_of(value))
        plain, scale = times_number(value)
        product = defined(plain, nn.MatmulOp)
        if product is not None:
            if axes != (0, 1, 2) or (self.product is not None and (self.product is not product or self.scale != scale)):
                return None
            self.product, self.scale = product, scale
            return self.block.args[0]
        match definition(value):
            case nn.CmpOp():
                return None  # a mask, too
            case nn.PointwiseOp() as op:
                operands = [self.write(o, axes[len(axes) - len(dims_of(o)) :]) for o in op.operands]
                given = [o for o in operands if o is not None]
                return self._pointwise(op, given) if len(given) == len(operands) else None
            case nn.BroadcastOp() as op:
                return self.write(op.x, axes[len(axes) - len(dims_of(op.x)) :])
            case nn.ReshapeOp() as op:
                lengths = [(d, axis) for d, axis in zip(dims_of(value), axes, strict=True) if d != ONE]
                if [d for d, _ in lengths] != [d for d in dims_of(op.x) if d != ONE]:
                    return None
                along = iter(axis for _, axis in lengths)
                return self.write(op.x, tuple(None if d == ONE else next(along) for d in dims_of(op.x)))
            case nn.IotaOp() as op:
                axis = axes[property_int(op, "axis")]
                if axis is None or elem_of(value) != i32 or dims_of(value)[property_int(op, "axis")] == ONE:
                    return None
                return self.block.args[(3, 1, 2)[axis]]  # they are score, query, key, head
            case _:
                return None

    def _number(self, number: float, elem: object) -> SSAValue:
        if isinstance(elem, IntegerType):
            return self.emit(arith.ConstantOp(IntegerAttr(int(number), elem)))
        return self.emit(arith.ConstantOp(FloatAttr(float(number), f32)))

    def _pointwise(self, op: nn.PointwiseOp, operands: list[SSAValue]) -> SSAValue:
        elem = elem_of(op.results[0])
        if isinstance(op, nn.CastOp):
            rounded = op.scalar(self.emit, operands, elem)
            return self.emit(arith.ExtFOp(rounded, f32)) if is_float(elem) and elem != f32 else rounded
        return op.scalar(self.emit, operands, f32 if is_float(elem) else elem)
