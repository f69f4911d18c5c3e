"""What xDSL's verifiers of scf and cf leave out: what a region yields has the types of what takes it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from xdsl.dialects import cf, scf
from xdsl.ir import Attribute, Block, Operation, Region, SSAValue

from .diagnostics import LlmcError


def verify_control_flow(module: Operation) -> None:
    """Raise LLMC0121 at the first scf.if, scf.while, cf.br or cf.cond_br below `module` that passes on other types than are
    expected."""
    for op in module.walk():
        check_transfer(op)


def check_transfer(op: Operation) -> None:
    """`verify_control_flow` of one op."""
    check = CHECKS.get(type(op))
    if check is not None:
        check(op)


def _types(values: Sequence[SSAValue]) -> list[Attribute]:
    return [v.type for v in values]


def _same(op: Operation, what: str, given: Sequence[SSAValue], taken: Sequence[SSAValue]) -> None:
    if _types(given) != _types(taken):
        found, wanted = (", ".join(str(t) for t in _types(values)) for values in (given, taken))
        raise LlmcError(
            "LLMC0121", f"invalid IR: {what} ({found}), where ({wanted}) is expected", op, fix="pass on values of these types"
        )


def _ends(op: Operation, region: Region, kind: type[Operation]) -> Operation:
    last = region.block.last_op if len(region.blocks) == 1 else None
    if not isinstance(last, kind):
        raise LlmcError(
            "LLMC0121",
            f"invalid IR: a region of {op.name} is one block that ends in {kind.name}",
            op,
            fix=f"end it in {kind.name}",
        )
    return last


def _if(op: Operation) -> None:
    assert isinstance(op, scf.IfOp)
    for region in op.regions:
        if region.blocks or op.results:
            _same(op, "scf.yield gives", _ends(op, region, scf.YieldOp).operands, op.results)


def _while(op: Operation) -> None:
    assert isinstance(op, scf.WhileOp)
    condition, end = _ends(op, op.before_region, scf.ConditionOp), _ends(op, op.after_region, scf.YieldOp)
    _same(op, "scf.while starts with", op.arguments, op.before_region.block.args)
    _same(op, "scf.condition passes", condition.operands[1:], op.after_region.block.args)
    _same(op, "scf.condition passes", condition.operands[1:], op.results)
    _same(op, "scf.yield gives", end.operands, op.before_region.block.args)


def _edge(op: Operation, block: Block, arguments: Sequence[SSAValue]) -> None:
    _same(op, f"{op.name} passes", arguments, block.args)


def _branch(op: Operation) -> None:
    assert isinstance(op, cf.BranchOp)
    _edge(op, op.successor, op.arguments)


def _conditional_branch(op: Operation) -> None:
    assert isinstance(op, cf.ConditionalBranchOp)
    _edge(op, op.then_block, op.then_arguments)
    _edge(op, op.else_block, op.else_arguments)


CHECKS: dict[type[Operation], Callable[[Operation], None]] = {
    scf.IfOp: _if,
    scf.WhileOp: _while,
    cf.BranchOp: _branch,
    cf.ConditionalBranchOp: _conditional_branch,
}
