"""Which integers are plainly never negative, so that indexing need not count them from the end."""

from __future__ import annotations

import numpy as np
from xdsl.dialects.builtin import i1
from xdsl.ir import Block, SSAValue

from ....dialects.nn import ops as nn
from ....dialects.nn.base import is_int
from ....dialects.nn.types import elem_of
from ..importer import Importer

POSITIVE_IF_ALL = ("add", "mul", "min", "floordiv", "rem", "and", "or")
POSITIVE_IF_ANY = ("max", "and")


def never_negative(im: Importer, ssa: SSAValue) -> bool:
    """Whether an integer tensor plainly holds no number below 0."""
    op = ssa.owner
    if isinstance(op, Block):
        return ssa in im.natural
    match op:
        case nn.IotaOp() | nn.ArgmaxOp() | nn.SizeOp() | nn.CmpOp():
            return True
        case nn.TopkOp() | nn.SortOp():
            return ssa is op.indices
        case nn.ConstantOp():
            return bool(np.all(np.array(op.value.get_values()) >= 0))
        case nn.ParamOp():
            numbers = im.held(op)
            return numbers is not None and bool(np.all(numbers >= 0))
        case nn.ReshapeOp() | nn.BroadcastOp() | nn.SliceOp() | nn.TransposeOp() | nn.GatherOp():
            return never_negative(im, op.operands[0])
        case nn.PointwiseOp():
            return _never_negative_result(im, op)
        case _:
            return False


def _never_negative_result(im: Importer, op: nn.PointwiseOp) -> bool:
    name = op.ROW.name
    known = (never_negative(im, x) for x in op.operands)
    if name == "cast":
        source = elem_of(op.operands[0])
        return source == i1 or (is_int(source) and all(known))
    if name == "select":
        return all(never_negative(im, x) for x in op.operands[1:])
    if name == "clamp":
        return never_negative(im, op.operands[1])
    known = list(known)
    return (name in POSITIVE_IF_ALL and all(known)) or (name in POSITIVE_IF_ANY and any(known))
