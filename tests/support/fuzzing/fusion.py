"""Generators of `fusion`."""

from __future__ import annotations

from llmc.dialects.fusion.ops import FAMILIES, GroupOp, KernelOp, LaunchOp, ReturnOp, YieldOp
from llmc.dialects.nn import ops as nn
from llmc.dialects.nn.types import tensor
from xdsl.dialects.builtin import FunctionType, bf16, f32
from xdsl.ir import Attribute, Block, Region, SSAValue

from .scope import Scope, generates


def body(b: Scope, kinds: list[Attribute]) -> tuple[Region, list[SSAValue]]:
    """A body over arguments of these types with an op or two, and what it gives."""
    block = Block(arg_types=kinds)
    scope = Scope(b.top, block, [*block.args], lambda kind: next((v for v in block.args if v.type == kind), None))
    for _ in range(b.number(0, 2)):
        if block.args:
            x = b.pick(*scope.pool)
            scope.put(nn.AddOp(x, x))
    results = [b.pick(*scope.pool) for _ in range(b.number(0, 2))] if scope.pool else []
    return Region(block), results


def kinds(b: Scope) -> list[Attribute]:
    return [tensor(b.pick(bf16, f32), b.dims(0, 2)) for _ in range(b.number(0, 3))]


@generates(GroupOp, YieldOp)
def group(b: Scope) -> None:
    inputs = kinds(b)
    region, results = body(b, inputs)
    end = YieldOp(results)
    b.top.decorate(end)
    region.block.add_op(end)
    b.put(GroupOp([b.value(k) for k in inputs], [r.type for r in results], region, b.pick(*FAMILIES)))


def make_kernel(b: Scope) -> KernelOp:
    inputs = kinds(b)
    region, results = body(b, inputs)
    end = ReturnOp(results)
    b.top.decorate(end)
    region.block.add_op(end)
    type_ = FunctionType.from_lists(inputs, [r.type for r in results])
    kernel = KernelOp(b.top.symbol(), type_, region, b.pick(*FAMILIES))
    b.top.put(kernel)
    return kernel


@generates(KernelOp, ReturnOp, place="builtin.module")
def kernel(b: Scope) -> None:
    make_kernel(b)


@generates(LaunchOp)
def launch(b: Scope) -> None:
    made = make_kernel(b)
    type_ = made.function_type
    b.put(LaunchOp(made.sym_name.data, [b.value(k) for k in type_.inputs], type_.outputs.data))
