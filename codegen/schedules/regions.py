"""Copying the scalar region of a `linalg.generic` into kernel code, floats in f32."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from xdsl.dialects import arith
from xdsl.dialects.builtin import BFloat16Type, Float16Type, FloatAttr, f32
from xdsl.dialects.linalg import ops as linalg
from xdsl.ir import Attribute, Operation, SSAValue

from ...dialects.ir.diagnostics import LlmcError
from ...dialects.nn.pointwise import ROUNDS
from .scalar import ScalarBuilder


def is_short(type_: Attribute) -> bool:
    """Sixteen-bit floats: kernels compute in f32 instead."""
    return isinstance(type_, BFloat16Type | Float16Type)


def widened(s: ScalarBuilder, value: SSAValue) -> SSAValue:
    """A scalar float as f32."""
    return s.cast(value, f32) if is_short(value.type) else value


def inline_generic(
    s: ScalarBuilder,
    op: linalg.GenericOp,
    inputs: Sequence[SSAValue],
    indices: Mapping[linalg.IndexOp, SSAValue] | None = None,
    outputs: Sequence[SSAValue] = (),
    skip: Sequence[Operation] = (),
) -> list[SSAValue]:
    """What the region yields for `inputs` (and the running `outputs` of a reduction).

    Sixteen-bit floats become f32. Conversions between them vanish, since a kernel rounds when it stores, but for those marked
    `rounds`. `indices` gives i32 scalars for `linalg.index`. For ops in `skip` (the combining op of a reduction) the operand that
    is no output is returned in the place of their result.
    """
    block = op.body.block
    values: dict[SSAValue, SSAValue] = {}
    args = block.args
    for argument, value in zip(args, [*inputs, *outputs], strict=False):
        values[argument] = widened(s, value)

    def get(value: SSAValue) -> SSAValue:
        if value not in values:
            owner = value.owner
            if not isinstance(owner, arith.ConstantOp):
                raise LlmcError(
                    "LLMC0506",
                    "a linalg.generic uses a value from outside that is no constant",
                    op,
                    fix="make the value an input of the linalg.generic",
                )
            values[value] = copied_constant(s, owner)
        return values[value]

    for inner in block.ops:
        if isinstance(inner, linalg.YieldOp):
            return [get(v) for v in inner.operands]
        if inner in skip:
            other = next(o for o in inner.operands if o not in args[len(op.inputs) :])
            values[inner.results[0]] = get(other)
        elif isinstance(inner, linalg.IndexOp):
            assert indices is not None
            values[inner.results[0]] = s.cast(indices[inner], inner.results[0].type)
        elif isinstance(inner, arith.ConstantOp):
            values[inner.result] = copied_constant(s, inner)
        else:
            copies = _copied(s, inner, [get(o) for o in inner.operands])
            values.update(zip(inner.results, copies, strict=True))
    raise LlmcError("LLMC0506", "a linalg.generic without a yield", op, fix="end its region in linalg.yield")


def _copied(s: ScalarBuilder, op: Operation, operands: Sequence[SSAValue]) -> Sequence[SSAValue]:
    """The results of an op on wide operands; those that it rounds to are narrow for as long as that takes."""
    if isinstance(op, arith.ExtFOp | arith.TruncFOp) and _stays_wide(op):
        found = operands
    else:
        copy = type(op).create(
            operands=operands,
            result_types=[f32 if is_short(r.type) else r.type for r in op.results],
            properties=dict(op.properties),
            attributes={name: attribute for name, attribute in op.attributes.items() if name != ROUNDS},
        )
        s.insert(copy)
        found = copy.results
    if ROUNDS not in op.attributes:
        return found
    return [widened(s, s.cast(value, r.type)) for value, r in zip(found, op.results, strict=True)]


def _stays_wide(op: arith.ExtFOp | arith.TruncFOp) -> bool:
    return all(is_short(value.type) or value.type == f32 for value in (op.operands[0], op.results[0]))


def copied_constant(s: ScalarBuilder, op: arith.ConstantOp) -> SSAValue:
    """A constant, in f32 if it is a short float."""
    value = op.value
    if isinstance(value, FloatAttr) and is_short(op.result.type):
        return s.const(value.value.data, f32)
    return s.insert(op.clone())
