"""Copying the scalar region of a `linalg.generic` into kernel code, floats in f32."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from xdsl.dialects import arith
from xdsl.dialects.builtin import BFloat16Type, Float16Type, FloatAttr, f32
from xdsl.dialects.linalg import ops as linalg
from xdsl.ir import Attribute, Operation, SSAValue

from ...dialects.ir.diagnostics import LlmcError
from .scalar import ScalarBuilder


def is_short(type_: Attribute) -> bool:
    """Sixteen-bit floats: kernels compute in f32 instead and round when they store."""
    return isinstance(type_, BFloat16Type | Float16Type)


def inline_generic(
    s: ScalarBuilder,
    op: linalg.GenericOp,
    inputs: Sequence[SSAValue],
    indices: Mapping[linalg.IndexOp, SSAValue] | None = None,
    outputs: Sequence[SSAValue] = (),
    skip: Sequence[Operation] = (),
) -> list[SSAValue]:
    """What the region yields for `inputs` (and the running `outputs` of a reduction).

    Sixteen-bit floats become f32, conversions between them vanish. `indices` gives i32 scalars for `linalg.index`. For ops in
    `skip` (the combining op of a reduction) the operand that is no output is returned in the place of their result.
    """
    block = op.body.block
    values: dict[SSAValue, SSAValue] = {}
    args = block.args
    for argument, value in zip(args, [*inputs, *outputs], strict=False):
        values[argument] = s.cast(value, f32) if is_short(value.type) else value

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
        elif isinstance(inner, arith.ExtFOp | arith.TruncFOp) and all(
            is_short(t) or t == f32 for t in (inner.operands[0].type, inner.results[0].type)
        ):
            values[inner.results[0]] = get(inner.operands[0])
        else:
            copy = type(inner).create(
                operands=[get(o) for o in inner.operands],
                result_types=[f32 if is_short(r.type) else r.type for r in inner.results],
                properties=dict(inner.properties),
                attributes=dict(inner.attributes),
            )
            s.insert(copy)
            values.update(zip(inner.results, copy.results, strict=True))
    raise LlmcError("LLMC0506", "a linalg.generic without a yield", op, fix="end its region in linalg.yield")


def copied_constant(s: ScalarBuilder, op: arith.ConstantOp) -> SSAValue:
    """A constant, in f32 if it is a short float."""
    value = op.value
    if isinstance(value, FloatAttr) and is_short(op.result.type):
        return s.const(value.value.data, f32)
    return s.insert(op.clone())
