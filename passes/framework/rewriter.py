"""The rewriter that patterns get: xDSL's, with locations carried on, rewrites counted, and the right to be refused.

The first change of a match asks the driver, which may refuse it (a debug counter) or end the run (no fuel). Until then nothing has
happened, so a refusal leaves the IR as it was.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from xdsl.builder import InsertOpInvT
from xdsl.ir import Block, Operation, Region, SSAValue, Use
from xdsl.pattern_rewriter import PatternRewriter
from xdsl.rewriter import BlockInsertPoint, InsertPoint

from ...dialects.ir.rewriting import inherit_location


class Refused(Exception):
    """A match that may not be carried out."""


class IrRewriter(PatternRewriter):
    """xDSL's rewriter under a driver. `ask` is called before the first change of a match; it may raise `Refused`."""

    def __init__(self, root: Operation, ask: Callable[[], None]) -> None:
        self._point: InsertPoint | None = None
        super().__init__(root)
        self._ask = ask
        self._changed = False

    def start(self, op: Operation) -> None:
        """Begin the match of one pattern on one op."""
        self._changed = False
        self._current_operation = op
        self._point = None
        self.name_hint = None

    @property
    def insertion_point(self) -> InsertPoint:
        """Before the op at hand, unless the pattern said otherwise. Most matches never ask."""
        if self._point is None:
            assert self._current_operation is not None
            self._point = InsertPoint.before(self._current_operation)
        return self._point

    @insertion_point.setter
    def insertion_point(self, value: InsertPoint) -> None:  # pyright: ignore[reportIncompatibleVariableOverride]
        self._point = value

    @property
    def has_done_action(self) -> bool:
        return self._changed

    @has_done_action.setter
    def has_done_action(self, value: bool) -> None:  # pyright: ignore[reportIncompatibleVariableOverride]
        if value:
            self.begin()

    def begin(self) -> None:
        """Ask the driver, before the first change. Raises `Refused`."""
        if not self._changed:
            self._ask()
            self._changed = True

    # Changes -----------------------------------------------------------------------------------------------------------

    def insert(self, op: InsertOpInvT, insertion_point: InsertPoint | None = None) -> InsertOpInvT:
        ops: Sequence[Operation] = (op,) if isinstance(op, Operation) else op
        try:
            self.begin()
        except Refused:
            forget(ops)
            raise
        if self._current_operation is not None:
            inherit_location(ops, self._current_operation.location)
        return super().insert(op, insertion_point)

    def replace(
        self,
        op: Operation,
        new_ops: Operation | Sequence[Operation],
        new_results: Sequence[SSAValue | None] | None = None,
        safe_erase: bool = True,
    ) -> None:
        ops: Sequence[Operation] = (new_ops,) if isinstance(new_ops, Operation) else new_ops
        try:
            self.begin()
        except Refused:
            forget(ops)
            raise
        inherit_location(ops, op.location)
        super().replace(op, ops, new_results, safe_erase)

    def replace_by_value(self, op: Operation, value: SSAValue) -> None:
        """Replace an op of one result by a value; the ops not yet in a block that make it come along."""
        self.replace(op, new_ops_of(value), [value])

    def replace_all_uses_with(self, from_value: SSAValue, to_value: SSAValue | None, safe_erase: bool = True) -> None:
        if from_value is not to_value and (to_value is None or from_value.first_use is not None):
            self.begin()
        super().replace_all_uses_with(from_value, to_value, safe_erase)

    def replace_uses_with_if(self, from_value: SSAValue, to_value: SSAValue, predicate: Callable[[Use], bool]) -> None:
        if from_value is not to_value and any(predicate(use) for use in from_value.uses):
            self.begin()
        super().replace_uses_with_if(from_value, to_value, predicate)

    def inline_block(self, block: Block, insertion_point: InsertPoint, arg_values: Sequence[SSAValue] = ()) -> None:
        moved = list(block.ops)
        super().inline_block(block, insertion_point, arg_values)
        for op in moved:
            self.handle_operation_insertion(op)

    def inline_region(self, region: Region, insertion_point: BlockInsertPoint) -> None:
        moved = [op for block in region.blocks for op in block.ops]
        super().inline_region(region, insertion_point)
        for op in moved:
            self.handle_operation_insertion(op)


def new_ops_of(value: SSAValue) -> list[Operation]:
    """The ops that make `value` and stand in no block yet, in order."""
    found: dict[Operation, None] = {}

    def visit(each: SSAValue) -> None:
        owner: Any = each.owner
        if isinstance(owner, Operation) and owner.parent is None and owner not in found:
            for operand in owner.operands:
                visit(operand)
            found[owner] = None

    visit(value)
    return list(found)


def forget(ops: Sequence[Operation]) -> None:
    """Drop ops that stand in no block, and with them their uses of values that do."""
    for op in reversed([o for root in ops for result in root.results for o in new_ops_of(result)] or list(ops)):
        if op.parent is None:
            op.drop_all_references()
