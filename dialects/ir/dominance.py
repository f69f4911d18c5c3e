"""The check that xDSL's verifier leaves out: every use stands after its definition."""

from __future__ import annotations

from collections.abc import Callable

from xdsl.ir import Block, Operation, Region, SSAValue
from xdsl.parser.core import ForwardDeclaredValue
from xdsl.traits import IsolatedFromAbove

from .diagnostics import LlmcError, excerpt

Report = Callable[[Operation, int, LlmcError], None]
"""Takes an op, the number of an operand that is not defined before it, and the error that says so."""


def _raise(op: Operation, index: int, error: LlmcError) -> None:
    raise error


def verify_dominance(root: Operation, report: Report = _raise) -> None:
    """Raise LLMC0120 at the first operand below `root` whose definition does not dominate its use, or hand each to `report`. Linear
    time for single-block regions; regions of several blocks compute immediate dominators once."""
    for region in root.regions:
        _region(region, set(), report)


def _region(region: Region, visible: set[SSAValue], report: Report) -> None:
    if not region.blocks:
        return
    if len(region.blocks) == 1:
        _block(region.blocks[0], visible, report)
        return
    order, idom = dominators(region)
    out: dict[Block, set[SSAValue]] = {}
    for block in order:
        seen = set(out[idom[block]]) if idom[block] is not block else set(visible)
        _block(block, seen, report)
        out[block] = seen


def _block(block: Block, visible: set[SSAValue], report: Report) -> None:
    visible.update(block.args)
    for op in block.ops:
        for index, operand in enumerate(op.operands):
            if operand not in visible:
                report(op, index, _error(op, index, operand))
        for region in op.regions:
            alone = op.has_trait(IsolatedFromAbove, value_if_unregistered=False)
            _region(region, set() if alone else set(visible), report)
        visible.update(op.results)


def _error(op: Operation, index: int, operand: SSAValue) -> LlmcError:
    return LlmcError(
        "LLMC0120",
        f"operand {index} of {op.name} is used before it is defined",
        op,
        why="its definition does not dominate this use" + _definition(operand),
        fix="move the definition up, or this op down",
    )


def _definition(value: SSAValue) -> str:
    owner = None if isinstance(value, ForwardDeclaredValue) else value.owner
    return f": {excerpt(owner)}" if isinstance(owner, Operation) else ""


def dominators(region: Region) -> tuple[list[Block], dict[Block, Block]]:
    """Reverse post-order of the reachable blocks, and each one's immediate dominator (Cooper, Harvey, Kennedy 2001)."""
    entry = region.blocks[0]
    order: list[Block] = []
    seen: set[Block] = {entry}
    stack: list[tuple[Block, int]] = [(entry, 0)]
    predecessors: dict[Block, list[Block]] = {entry: []}
    while stack:
        block, index = stack.pop()
        successors = block.last_op.successors if block.last_op is not None else ()
        if index < len(successors):
            stack.append((block, index + 1))
            successor = successors[index]
            predecessors.setdefault(successor, []).append(block)
            if successor not in seen:
                seen.add(successor)
                stack.append((successor, 0))
        else:
            order.append(block)
    order.reverse()
    number = {block: i for i, block in enumerate(order)}
    idom: dict[Block, Block] = {entry: entry}
    changed = True
    while changed:
        changed = False
        for block in order[1:]:
            new: Block | None = None
            for predecessor in predecessors[block]:
                if predecessor not in idom:
                    continue
                new = predecessor if new is None else _intersect(predecessor, new, idom, number)
            if new is not None and idom.get(block) is not new:
                idom[block] = new
                changed = True
    return order, idom


def _intersect(a: Block, b: Block, idom: dict[Block, Block], number: dict[Block, int]) -> Block:
    while a is not b:
        while number[a] > number[b]:
            a = idom[a]
        while number[b] > number[a]:
            b = idom[b]
    return a
