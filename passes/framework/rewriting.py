"""The greedy rewrite driver: applies patterns until none matches, in time linear in what changes.

Every op is visited once, in order; after a rewrite only the ops that it touched are visited again: new ones, users of replaced
values, the makers of operands that are no longer used. Patterns are found by the op's class, ops that nothing uses are erased on the
way, ops that can be folded are.

A pattern that undoes what another one does would go round for ever. Each pattern has fuel for `max_iterations` rewrites an op (and a
few more for small modules); when it has used that up the error names it and says how often it fired.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from xdsl.folder import Folder
from xdsl.ir import Block, Operation, Region, SSAValue
from xdsl.traits import ConstantLike, HasFolder, IsTerminator, Pure, SymbolOpInterface
from xdsl.transforms.dead_code_elimination import is_trivially_dead

from ...dialects.ir.diagnostics import LlmcError
from .fault import raised_in
from .pass_ import PassContext
from .patterns import Pattern, PatternSet
from .rewriter import IrRewriter, Refused

SPARE_FUEL = 256
FOLD = "fold"


@dataclass
class Driver:
    """One run. `fold` uses the folders that op classes bring, `erase_dead` erases ops without effect that nothing uses."""

    patterns: PatternSet
    ctx: PassContext
    max_iterations: int = 10
    fold: bool = True
    erase_dead: bool = True
    fired: dict[str, int] = field(default_factory=dict[str, int])
    erased: int = 0
    _queue: deque[Operation] = field(default_factory=deque[Operation])
    _queued: set[Operation] = field(default_factory=set[Operation])
    _interesting: dict[type[Operation], bool] = field(default_factory=dict[type[Operation], bool])
    _pure: dict[type[Operation], bool | None] = field(default_factory=dict[type[Operation], bool | None])
    _foldable: dict[type[Operation], bool] = field(default_factory=dict[type[Operation], bool])
    _refused: set[tuple[Operation, str]] = field(default_factory=set[tuple[Operation, str]])
    _fuel: int = 0
    _size: int = 0
    _op: Operation | None = None
    _tag: str = ""

    def run(self, root: Operation | Region | Block) -> int:
        """Rewrite everything below `root`; returns how many rewrites were made. Raises LLMC0280 for patterns without end,
        LLMC0281 for one that fails."""
        ops = [op for op in root.walk() if op is not root]
        if not ops:
            return 0
        self._size = len(ops)
        self._fuel = self.max_iterations * len(ops) + SPARE_FUEL
        for op in ops:
            self._push(op)
        rewriter = IrRewriter(ops[0], self._ask)
        rewriter.operation_insertion_handler.append(self._inserted)
        rewriter.operation_removal_handler.append(self._removed)
        rewriter.operation_modification_handler.append(self._push)
        rewriter.operation_replacement_handler.append(self._replaced)
        folder = Folder(self.ctx.xdsl)
        queue, queued = self._queue, self._queued
        while queue:
            op = queue.popleft()
            if op not in queued:
                continue
            queued.discard(op)
            if op.parent is None:
                continue
            if self.erase_dead and self._is_dead(op):
                self._op = op
                self._removed(op)
                op.detach()
                op.erase()
                self.erased += 1
                continue
            self._visit(op, rewriter, folder)
        return sum(self.fired.values())

    def _visit(self, op: Operation, rewriter: IrRewriter, folder: Folder) -> None:
        if self.fold and self._folds(op) and self._apply(op, rewriter, FOLD, None, folder):
            return
        for pattern in self.patterns.of_op(op):
            if self._apply(op, rewriter, pattern.name, pattern, folder):
                return

    def _apply(self, op: Operation, rewriter: IrRewriter, tag: str, pattern: Pattern | None, folder: Folder) -> bool:
        """Try one pattern (None: the op's folder); whether it changed anything."""
        if self._refused and (op, tag) in self._refused:
            return False
        rewriter.start(op)
        self._op, self._tag = op, tag
        try:
            if pattern is None:
                folder.replace_with_fold(op, rewriter)
            else:
                pattern.rewrite(op, rewriter)
        except Refused:
            self._refused.add((op, tag))  # once left out, always left out: counting stays the same when other ops change
            return False
        except LlmcError as error:
            error.passes = (*error.passes, f"pattern '{tag}'")
            raise
        except Exception as error:
            raise LlmcError(
                "LLMC0281", f"pattern '{tag}' failed: {type(error).__name__}: {error}", op,
                why=f"raised in {raised_in(error)}; this is a defect of the pattern, not of your input", fix="run again with --debug for the traceback",
                passes=(f"pattern '{tag}'",),
            ) from error  # fmt: skip
        return rewriter.has_done_action

    def _ask(self) -> None:
        """Before the first change of a match."""
        tag = self._tag
        if not self.ctx.actions.take(tag, self._op):
            raise Refused
        count = self.fired.get(tag, 0) + 1
        if count > self._fuel:
            self._out_of_fuel(tag, count)
        self.fired[tag] = count

    def _out_of_fuel(self, tag: str, count: int) -> None:
        others = sorted(((n, t) for t, n in self.fired.items() if t != tag), reverse=True)[:3]
        also = f"; beside it {', '.join(f'{t} fired {n} times' for n, t in others)}" if others else ""
        raise LlmcError(
            "LLMC0280", f"pattern '{tag}' fired {count - 1} times on {self._size} ops and does not come to an end", self._op,
            why=f"it matches what it, or another pattern, makes{also}",
            fix="make it match nothing that it makes; max-iterations gives long chains more room",
        )  # fmt: skip

    # What is visited again ----------------------------------------------------------------------------------------------

    def _push(self, op: Operation) -> None:
        if op not in self._queued and self._is_interesting(op):
            self._queued.add(op)
            self._queue.append(op)

    def _inserted(self, op: Operation) -> None:
        if op.regions:
            for inner in op.walk():
                self._push(inner)
        else:
            self._push(op)

    def _removed(self, op: Operation) -> None:
        for gone in op.walk() if op.regions else (op,):
            self._queued.discard(gone)
            for operand in gone.operands:
                owner = operand.owner
                if isinstance(owner, Operation):
                    self._push(owner)

    def _replaced(self, op: Operation, results: Sequence[SSAValue | None]) -> None:
        for result in op.results:
            for use in result.uses:
                self._push(use.operation)

    # What is known of op classes ----------------------------------------------------------------------------------------

    def _is_interesting(self, op: Operation) -> bool:
        cls = type(op)
        found = self._interesting.get(cls)
        if found is None:
            found = bool(self.patterns.of_op(op)) or self._folds(op) or (self.erase_dead and bool(op.results))
            self._interesting[cls] = found
        return found

    def _folds(self, op: Operation) -> bool:
        cls = type(op)
        found = self._foldable.get(cls)
        if found is None:
            constant = op.has_trait(ConstantLike, value_if_unregistered=False)  # folding one gives the same again
            mine = not constant and cls not in self.patterns.replaced
            found = self._foldable[cls] = self.fold and mine and op.get_trait(HasFolder) is not None
        return found

    def _is_dead(self, op: Operation) -> bool:
        if not op.results or any(result.first_use is not None for result in op.results):
            return False
        cls = type(op)
        if cls not in self._pure:
            keeps = op.has_trait(IsTerminator) or op.has_trait(SymbolOpInterface)
            self._pure[cls] = False if keeps else True if op.has_trait(Pure) else None
        known = self._pure[cls]
        return is_trivially_dead(op) if known is None else known


def apply_patterns(
    root: Operation | Region | Block,
    patterns: PatternSet | Sequence[Pattern],
    ctx: PassContext,
    *,
    max_iterations: int = 10,
    fold: bool = False,
    erase_dead: bool = True,
) -> int:
    """Apply patterns below `root` until none matches; returns how many rewrites were made, and counts each pattern's in the
    running pass's statistics."""
    given = patterns if isinstance(patterns, PatternSet) else PatternSet.of(patterns)
    driver = Driver(given, ctx, max_iterations, fold, erase_dead)
    made = driver.run(root)
    for tag, count in driver.fired.items():
        ctx.count(tag, count)
    if driver.erased:
        ctx.count("erased", driver.erased)
    return made
