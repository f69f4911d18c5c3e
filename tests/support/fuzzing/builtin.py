"""Generators of the builtin ops that llmc gives a meaning to: arith, math, scf, cf, func, tensor, linalg.generic."""

from __future__ import annotations

from collections.abc import Callable

from llmc.dialects.ir.builtin_semantics import SEMANTICS
from xdsl.dialects import arith, cf, func, linalg, scf, tensor
from xdsl.dialects.builtin import (
    DYNAMIC_INDEX,
    AffineMapAttr,
    ArrayAttr,
    FunctionType,
    IndexType,
    IntegerAttr,
    ModuleOp,
    TensorType,
    bf16,
    f16,
    f32,
    f64,
    i1,
    i8,
    i32,
    i64,
)
from xdsl.dialects.linalg.attrs import IteratorType, IteratorTypeAttr
from xdsl.ir import Attribute, Block, Operation, Region, SSAValue
from xdsl.ir.affine import AffineMap

from .attributes import floats, integers
from .scope import Scope, generates

FLOATS: tuple[Attribute, ...] = (bf16, f16, f32, f64)
INTEGERS: tuple[Attribute, ...] = (i8, i32, i64)
INDEX = IndexType()

NEEDED: list[type[Operation]] = [
    *SEMANTICS, ModuleOp, func.FuncOp, func.ReturnOp, scf.YieldOp, scf.ConditionOp, linalg.ops.YieldOp
]  # fmt: skip
"""What must have a generator: every builtin op with a meaning in numpy, and what ends or holds their regions."""


def _same(cls: type[Operation], kinds: tuple[Attribute, ...], arity: int) -> Callable[[Scope], None]:
    def emit(b: Scope) -> None:
        kind = b.pick(*kinds)
        b.put(cls(*(b.value(kind) for _ in range(arity))))  # pyright: ignore

    return emit


BINARY_FLOAT = ("math.powf", "math.atan2", "math.copysign")
NOT_BY_RULE = {arith.ConstantOp, arith.CmpiOp, arith.CmpfOp, arith.SelectOp}


def _by_rule(cls: type[Operation]) -> None:
    """The elementwise ops of arith and math: operands and result of one type."""
    name, operands = cls.name, len(cls.get_irdl_definition().operands)  # pyright: ignore
    if (name.endswith("i") and name != "math.absi") or name in ("arith.shrsi", "arith.shrui"):
        generates(cls)(_same(cls, (*INTEGERS, i1), operands))
    elif name == "math.absi":
        generates(cls)(_same(cls, INTEGERS, operands))
    else:
        generates(cls)(_same(cls, FLOATS, operands))


@generates(arith.ConstantOp)
def constant(b: Scope) -> None:
    kind = b.pick(*FLOATS, *INTEGERS, i1, INDEX)
    b.put(arith.ConstantOp(b.draw(floats(kind) if kind in FLOATS else integers(kind))))


@generates(arith.CmpiOp)
def cmpi(b: Scope) -> None:
    kind = b.pick(*INTEGERS, i1, INDEX)
    b.put(arith.CmpiOp(b.value(kind), b.value(kind), b.number(0, 9)))


@generates(arith.CmpfOp)
def cmpf(b: Scope) -> None:
    kind = b.pick(*FLOATS)
    b.put(arith.CmpfOp(b.value(kind), b.value(kind), b.number(0, 15)))


@generates(arith.SelectOp)
def select(b: Scope) -> None:
    kind = b.pick(*FLOATS, *INTEGERS)
    b.put(arith.SelectOp(b.value(i1), b.value(kind), b.value(kind)))


CASTS: dict[type[Operation], tuple[tuple[Attribute, Attribute], ...]] = {
    arith.ExtFOp: ((bf16, f32), (f16, f64), (f32, f64)),
    arith.TruncFOp: ((f32, bf16), (f64, f16)),
    arith.ExtSIOp: ((i8, i32), (i32, i64)),
    arith.ExtUIOp: ((i1, i32), (i8, i64)),
    arith.TruncIOp: ((i32, i8), (i64, i1)),
    arith.SIToFPOp: ((i32, f32), (i8, bf16)),
    arith.UIToFPOp: ((i1, f32), (i64, f64)),
    arith.FPToSIOp: ((f32, i32), (bf16, i8)),
    arith.FPToUIOp: ((f32, i32), (f64, i64)),
    arith.IndexCastOp: ((INDEX, i32), (i64, INDEX)),
    arith.BitcastOp: ((f32, i32), (i64, f64)),
}


def _cast(cls: type[Operation]) -> Callable[[Scope], None]:
    def emit(b: Scope) -> None:
        source, target = b.pick(*CASTS[cls])
        b.put(cls(b.value(source), target))  # pyright: ignore

    return emit


for _cls in CASTS:
    generates(_cls)(_cast(_cls))
for _cls in SEMANTICS:
    if _cls.name.split(".")[0] in ("arith", "math") and _cls not in CASTS and _cls not in NOT_BY_RULE:
        _by_rule(_cls)


# control flow ------------------------------------------------------------------------------------------------------


@generates(scf.ForOp, scf.YieldOp)
def for_(b: Scope) -> None:
    kind = b.pick(INDEX, i32)
    carried = [b.value(b.pick(f32, i32)) for _ in range(b.number(0, 2))]
    low, high, step = (b.value(kind) for _ in range(3))

    def body(s: Scope) -> None:
        s.put(scf.YieldOp(*s.block.args[1:]))

    b.put(scf.ForOp(low, high, step, carried, b.inner([kind, *(v.type for v in carried)], body)))


@generates(scf.IfOp, scf.YieldOp)
def if_(b: Scope) -> None:
    kinds = [b.pick(f32, i32) for _ in range(b.number(0, 2))]
    given = [b.value(k) for k in kinds]
    condition = b.value(i1)
    branches = [b.inner([], lambda s: s.put(scf.YieldOp(*given))) for _ in range(2 if kinds or b.flag() else 1)]
    b.put(scf.IfOp(condition, kinds, *branches))


@generates(scf.WhileOp, scf.ConditionOp, scf.YieldOp)
def while_(b: Scope) -> None:
    carried = [b.value(b.pick(f32, i32)) for _ in range(b.number(0, 2))]
    kinds = [v.type for v in carried]
    condition = b.value(i1)
    before = b.inner(kinds, lambda s: s.put(scf.ConditionOp(condition, *s.block.args)))
    after = b.inner(kinds, lambda s: s.put(scf.YieldOp(*s.block.args)))
    b.put(scf.WhileOp(carried, kinds, before, after))


@generates(cf.BranchOp, cf.ConditionalBranchOp)
def branches(b: Scope) -> None:
    """Everything that follows goes into a new block of the function."""
    region = b.block.parent
    assert region is not None
    then, otherwise, join = Block(arg_types=[f32]), Block(), Block(arg_types=[f32])
    condition, x = b.value(i1), b.value(f32)
    b.put(cf.ConditionalBranchOp(condition, then, [x], otherwise, []))
    for block in (then, otherwise, join):
        region.add_block(block)
    then.add_op(cf.BranchOp(join, then.args[0]))
    otherwise.add_op(cf.BranchOp(join, x))
    entry, outside = region.blocks[0], b.fresh
    b.block, b.pool = join, [*b.pool, *join.args]

    def fresh(kind: Attribute) -> SSAValue:
        made = outside(kind) if outside is not None else None
        if made is None:
            made = entry.insert_arg(kind, len(entry.args))
            b.pool.append(made)
        return made

    b.fresh = fresh


@generates(func.FuncOp, func.ReturnOp, place="func.func")
def nothing(b: Scope) -> None:
    pass


@generates(func.CallOp)
def call(b: Scope) -> None:
    kinds, results = ([b.pick(f32, i32) for _ in range(b.number(0, 2))] for _ in range(2))
    name = b.top.symbol()
    b.top.put(func.FuncOp(name, FunctionType.from_lists(kinds, results), Region(), visibility="private"))
    b.put(func.CallOp(name, [b.value(k) for k in kinds], results))


@generates(ModuleOp, place="builtin.module")
def module(b: Scope) -> None:
    b.top.put(ModuleOp([]))


# tensors -----------------------------------------------------------------------------------------------------------


@generates(tensor.EmptyOp)
def empty(b: Scope) -> None:
    b.put(tensor.EmptyOp([], TensorType(b.pick(f32, bf16), [b.size()])))


@generates(tensor.ExtractOp)
def extract(b: Scope) -> None:
    b.put(tensor.ExtractOp(b.value(TensorType(f32, [DYNAMIC_INDEX, 4])), [b.value(INDEX), b.value(INDEX)], f32))


@generates(linalg.ops.GenericOp, linalg.ops.YieldOp, linalg.ops.IndexOp)
def generic(b: Scope) -> None:
    outputs = b.number(1, 2)
    shape = [b.size(), b.size()]
    kind = TensorType(f32, shape)
    inputs = [b.value(kind) for _ in range(b.number(0, 2))]
    inits = [b.value(kind) for _ in range(outputs)]
    block = Block(arg_types=[f32] * (len(inputs) + outputs))
    scope = Scope(b.top, block, [*block.args])
    scope.put(linalg.ops.IndexOp(b.number(0, 1)))
    scope.put(linalg.ops.YieldOp(*block.args[:outputs]))
    identity = AffineMapAttr(AffineMap.identity(2))
    b.put(
        linalg.ops.GenericOp(
            inputs,
            inits,
            Region(block),
            ArrayAttr([identity] * (len(inputs) + outputs)),
            ArrayAttr([IteratorTypeAttr(IteratorType.PARALLEL)] * 2),
            [kind] * outputs,
        )
    )


__all__ = ["NEEDED", "IntegerAttr"]
