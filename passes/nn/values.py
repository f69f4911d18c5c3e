"""Reading nn IR: definitions, constants, functions; cloning bodies. Shared by the passes of this folder and of fusion."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from xdsl.dialects.builtin import ArrayAttr, FunctionType, IntegerAttr, ModuleOp, i64
from xdsl.dialects.func import FuncOp, ReturnOp
from xdsl.ir import Block, Operation, SSAValue

from ...dialects.ir.diagnostics import LlmcError
from ...dialects.ir.numeric import dtype_of
from ...dialects.nn import ops as nn
from ...dialects.nn.types import tensor_type


def functions(module: ModuleOp) -> Iterator[FuncOp]:
    """The functions of a module that have a body."""
    for op in list(module.body.block.ops):
        if isinstance(op, FuncOp) and op.body.blocks:
            yield op


def main_function(module: ModuleOp) -> FuncOp:
    """`@main`, or the only function there is. Raises LLMC0401 otherwise."""
    found = list(functions(module))
    named = [f for f in found if f.sym_name.data == "main"]
    if named:
        return named[0]
    if len(found) == 1:
        return found[0]
    raise LlmcError("LLMC0401", "the module has no function @main", module, fix="this pass works on one decoder, in @main")


def returned(func: FuncOp) -> ReturnOp:
    """The func.return of a function."""
    last = func.body.block.last_op
    assert isinstance(last, ReturnOp)
    return last


def definition(value: SSAValue) -> Operation | None:
    """The op that makes a value; None for block arguments."""
    owner = value.owner
    return owner if isinstance(owner, Operation) else None


def only_use(value: SSAValue) -> bool:
    """Whether a value has exactly one use."""
    uses = iter(value.uses)
    return next(uses, None) is not None and next(uses, None) is None


def users(value: SSAValue) -> list[Operation]:
    """The distinct ops that use a value."""
    return list(dict.fromkeys(use.operation for use in value.uses))


def constant_array(value: SSAValue) -> np.ndarray[Any, Any] | None:
    """The numbers of an nn.constant, in its numpy dtype; None for anything else."""
    op = definition(value)
    if not isinstance(op, nn.ConstantOp):
        return None
    kind = tensor_type(value)
    numbers = np.array(op.value.get_values())
    shape = kind.get_shape()
    numbers = numbers.astype(dtype_of(kind.element_type)).reshape(-1)
    return np.broadcast_to(numbers[0], shape) if numbers.size == 1 else numbers.reshape(shape)


def splat(value: SSAValue) -> float | int | None:
    """The one number that an nn.constant repeats (through broadcasts, reshapes and casts); None for anything else."""
    op = definition(value)
    while isinstance(op, nn.BroadcastOp | nn.ReshapeOp | nn.CastOp):
        op = definition(op.operands[0])
    if not isinstance(op, nn.ConstantOp) or not (op.value.is_splat() or np.prod(op.result.type.get_shape()) == 1):
        return None
    number = next(iter(op.value.get_values()))
    return number if isinstance(number, int | float) else float(number)  # pyright: ignore


def property_int(op: Operation, name: str, default: int = 0) -> int:
    """An integer property of an op."""
    attr = op.properties.get(name)
    return attr.value.data if isinstance(attr, IntegerAttr) else default


def set_function_type(func: FuncOp) -> None:
    """Make a function's type that of its arguments and of its return."""
    func.properties["function_type"] = FunctionType.from_lists(
        [a.type for a in func.args], [o.type for o in returned(func).operands]
    )


def donations(func: FuncOp) -> list[tuple[int, int]]:
    """The (result, argument) pairs of `nn.donates`."""
    attr = func.attributes.get("nn.donates")
    if not isinstance(attr, ArrayAttr):
        return []
    pairs: list[tuple[int, int]] = []
    for pair in attr.data:  # pyright: ignore
        result, argument = (i.value.data for i in pair.data)  # pyright: ignore
        pairs.append((result, argument))
    return pairs


def set_donations(func: FuncOp, pairs: list[tuple[int, int]]) -> None:
    """Write `nn.donates`."""
    func.attributes["nn.donates"] = ArrayAttr(ArrayAttr([IntegerAttr(r, i64), IntegerAttr(a, i64)]) for r, a in pairs)


def batch_argument(func: FuncOp) -> SSAValue | None:
    """The `!nn.batch` argument of a function, or None."""
    return next((a for a in func.args if isinstance(a.type, nn.BatchType)), None)


def clone_into(block: Block, ops: Iterator[Operation] | list[Operation], mapping: dict[SSAValue, SSAValue]) -> None:
    """Clone ops to the end of a block, with operands mapped; extends `mapping` by their results."""
    for op in ops:
        copy = op.clone(mapping)
        block.add_op(copy)
