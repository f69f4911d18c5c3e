"""Runs passes over a module: verification after each, instruments around each, failures named."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from xdsl.dialects.builtin import ModuleOp
from xdsl.ir import Operation

from ...dialects.ir.control_flow import verify_control_flow
from ...dialects.ir.diagnostics import LlmcError
from ...dialects.ir.dominance import verify_dominance
from ...dialects.ir.symbols import verify_symbols
from .actions import PASS
from .instrument import Instrument
from .pass_ import Pass, PassContext
from .pipeline import Element, Nested


@dataclass
class PassManager:
    """`verify_each` checks ops, types and SSA dominance after every pass, and that the dialects a pass consumes are gone."""

    context: PassContext
    verify_each: bool = True
    instruments: Sequence[Instrument] = field(default_factory=list[Instrument])
    depth: int = field(default=0, init=False)  # of nesting: an op that passes see alone lacks its module's symbols

    def run(self, elements: Sequence[Element], module: ModuleOp) -> None:
        """Run the passes in order. An `LlmcError` leaves with the pass's name on it; any other exception inside a pass
        becomes LLMC0204."""
        for element in elements:
            if isinstance(element, Nested):
                for op in [o for o in module.walk() if o.name == element.anchor and o is not module]:
                    self._run_nested(element, op)
            else:
                self.run_pass(element, module)

    def _run_nested(self, nested: Nested, op: Operation) -> None:
        """Run passes on one op, alone in a module of its own, and put it back."""
        block = op.parent
        assert block is not None
        following = op.next_op
        op.detach()
        inner = ModuleOp([op])
        self.depth += 1
        try:
            self.run(nested.elements, inner)
        finally:
            self.depth -= 1
            for moved in list(inner.body.block.ops):
                moved.detach()
                if following is None:
                    block.add_op(moved)
                else:
                    block.insert_op_before(moved, following)

    def run_pass(self, pass_: Pass, module: ModuleOp) -> None:
        """Run one pass on one anchor, unless an instrument or the counter of passes says no."""
        if not self._may_run(pass_, module):
            for instrument in self.instruments:
                instrument.skipped(pass_, module)
            return
        for instrument in self.instruments:
            instrument.before(pass_, module)
        self.context.running = pass_.name
        timing = self.context.timing
        try:
            with timing.scope(pass_.name):
                start = time.perf_counter()
                pass_.run(self.context, module)
                elapsed = time.perf_counter() - start
                if self.verify_each:
                    with timing.scope("(verify)"):
                        verify(module, symbols=self.depth == 0)
                        self._check_consumed(pass_, module)
        except Exception as error:
            for instrument in self.instruments:
                instrument.failed(pass_, module, error)
            if isinstance(error, LlmcError):
                error.passes = (*error.passes, f"pass '{pass_.name}'")
                raise
            raise LlmcError(
                "LLMC0204",
                f"pass '{pass_.name}' failed: {type(error).__name__}: {error}",
                why="this is a defect of the pass, not of your input",
                fix="run again with --debug for the traceback, and with --mlir-print-ir-after-failure for the IR",
                passes=(f"pass '{pass_.name}'",),
            ) from error
        for instrument in self.instruments:
            instrument.after(pass_, module, elapsed)

    def _may_run(self, pass_: Pass, module: ModuleOp) -> bool:
        wanted = [instrument.wants(pass_, module) for instrument in self.instruments]
        return all(wanted) and self.context.actions.take(PASS)

    def _check_consumed(self, pass_: Pass, module: ModuleOp) -> None:
        if not pass_.consumes:
            return
        for op in module.walk():
            if op.name.split(".", 1)[0] in pass_.consumes:
                raise LlmcError("LLMC0205", f"{op.name} remains after pass '{pass_.name}', which says that it consumes it", op)


def verify(module: Operation, *, symbols: bool = True) -> None:
    """xDSL's verifier, the dominance check and, with `symbols`, that the symbols which ops name exist and fit; a failure is an
    LLMC0121 with the op and its location."""
    try:
        module.verify()
    except Exception as error:  # verifiers of xDSL's own dialects raise what they like
        raise LlmcError("LLMC0121", f"invalid IR: {error or type(error).__name__}", culprit(module) or module) from error
    verify_dominance(module)
    verify_control_flow(module)
    if symbols:
        verify_symbols(module)


def culprit(module: Operation) -> Operation | None:
    """The first op that does not verify by itself."""
    for op in module.walk():
        if not op.regions:
            try:
                op.verify(verify_nested_ops=False)
            except Exception:
                return op
    for op in reversed(list(module.walk())):
        try:
            op.verify(verify_nested_ops=False)
        except Exception:
            return op
    return None
