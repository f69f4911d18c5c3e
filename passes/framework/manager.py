"""Runs passes over a module and the ops inside of it: verification after each, instruments around each, failures named."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from xdsl.dialects.builtin import ModuleOp
from xdsl.ir import Operation

from ...dialects.ir.diagnostics import LlmcError
from ...dialects.ir.verifying import verify
from .actions import PASS
from .anchor import Anchor, children
from .fault import blame, raised_in, working_on
from .instrument import Instrument
from .named_pipeline import NamedPipeline
from .pass_ import Pass, PassContext
from .pipeline import Element, Nested, check_anchor, parse_pipeline, print_elements, print_pass


@dataclass
class PassManager:
    """`verify_each` checks ops, types and SSA dominance after every pass, that the dialects a pass consumes are gone, and that it
    brings in none but those it produces."""

    context: PassContext
    verify_each: bool = True
    instruments: Sequence[Instrument] = field(default_factory=list[Instrument])

    def run(self, elements: Sequence[Element], module: ModuleOp) -> None:
        """Run the passes in order. An `LlmcError` leaves with the pass's name on it; any other exception inside a pass
        becomes LLMC0204. After a failure the module is as the pass left it, with every op in its place. Analyses are of this run alone."""
        self.context.analyses.known.clear()
        self._run(elements, Anchor(module, module), ())

    def run_pass(self, pass_: Pass, module: ModuleOp) -> None:
        """Run one pass on a whole module, unless an instrument or the counter of passes says no."""
        self._run_pass(pass_, Anchor(module, module), ())

    def _run(self, elements: Sequence[Element], anchor: Anchor, inside: tuple[str, ...]) -> None:
        """Run elements on one anchor; `inside` names the pipelines around them."""
        for element in elements:
            if anchor.gone:
                return
            match element:
                case Nested():
                    self._run_nested(element, anchor, inside)
                case NamedPipeline():
                    with self.context.timing.scope(print_pass(element)):
                        with anchor.alone() as module:
                            found = expand(element, module, self.context, inside)
                        self._run(found, anchor, (*inside, element.name))
                    with anchor.alone() as module:
                        element.finish(module)
                case Pass():
                    self._run_pass(element, anchor, inside)

    def _run_nested(self, nested: Nested, outer: Anchor, inside: tuple[str, ...]) -> None:
        """Run passes on each op of the anchor's name directly inside of another."""
        for anchor in children(outer.op, nested.anchor, outer.root):
            with self.context.timing.scope(f"'{anchor.op.name}' pipeline"):
                for instrument in self.instruments:
                    instrument.enter(anchor)
                try:
                    self._run(nested.elements, anchor, inside)
                finally:
                    for instrument in self.instruments:
                        instrument.leave(anchor)

    def _run_pass(self, pass_: Pass, anchor: Anchor, inside: tuple[str, ...]) -> None:
        check_anchor(pass_, anchor.op.name)
        self.context.pipelines = inside
        with anchor.alone() as module:
            if not self._may_run(pass_, module):
                for instrument in self.instruments:
                    instrument.skipped(pass_, module)
                return
            for instrument in self.instruments:
                instrument.before(pass_, module)
            present = dialects_in(module) if self.verify_each and pass_.produces is not None else None
        context, timing = self.context, self.context.timing
        context.running, context.anchor = pass_.name, str(anchor)
        context.analyses.start_pass()
        try:
            with timing.scope(pass_.name):
                start = time.perf_counter()
                with anchor.alone() as module:
                    pass_.run(context, module)
                elapsed = time.perf_counter() - start
                context.analyses.end_pass()
                if self.verify_each:
                    with timing.scope("(verify)"):
                        self._check(pass_, anchor, present)
        except (Exception, SystemExit) as error:
            context.analyses.known.clear()
            with anchor.alone() as module:
                for instrument in self.instruments:
                    instrument.failed(pass_, module, error)
            shown = any(instrument.shows_failures for instrument in self.instruments)
            see_ir = "" if shown else ", and with --mlir-print-ir-after-failure for the IR"
            name = f"pass '{pass_.name}'" + ("" if anchor.whole else f" on {anchor}")
            if isinstance(error, LlmcError):
                for each in (error, *error.others):
                    each.passes = (*each.passes, name)
                raise
            raise LlmcError(
                "LLMC0204",
                f"pass '{pass_.name}' failed: {type(error).__name__}: {error}",
                working_on(error) or module,
                why=f"raised in {raised_in(error)}; {blame(error)}",
                fix=f"run again with --debug for the traceback{see_ir}",
                passes=(name,),
            ) from error
        with anchor.alone() as module:
            for instrument in self.instruments:
                instrument.after(pass_, module, elapsed)

    def _may_run(self, pass_: Pass, module: ModuleOp) -> bool:
        """Required passes always run, and count for nobody: what comes after them would not work without them."""
        if pass_.required:
            return True
        wanted = [instrument.wants(pass_, module) for instrument in self.instruments]
        return all(wanted) and self.context.actions.take(PASS)

    def _check(self, pass_: Pass, anchor: Anchor, present: frozenset[str] | None) -> None:
        """Verify what a pass left, where it stands: symbols are looked up from there."""
        verify(anchor.op if anchor.ops == [anchor.op] else anchor.root)
        for top in anchor.ops:
            for op in top.walk():
                dialect = op.name.split(".", 1)[0]
                if dialect in pass_.consumes:
                    raise LlmcError(
                        "LLMC0205",
                        f"{op.name} remains after pass '{pass_.name}', which says that it consumes it",
                        op,
                        fix="let the pass take this op, or leave its dialect out of `consumes`",
                    )
                if present is not None and dialect not in present and dialect not in (pass_.produces or ()):
                    raise LlmcError(
                        "LLMC0213",
                        f"{op.name} came in with pass '{pass_.name}', which does not say that it produces it",
                        op,
                        why=f"no op of {dialect} was there before, and the pass produces {', '.join(pass_.produces or ()) or 'none'}",
                        fix=f"add {dialect!r} to its `produces`, or mend the pass",
                    )


def dialects_in(module: Operation) -> frozenset[str]:
    """The dialects of the ops in a module."""
    return frozenset(name.split(".", 1)[0] for name in {op.name for op in module.walk()})


def expand(pipeline: NamedPipeline, module: ModuleOp, context: PassContext, inside: Sequence[str] = ()) -> tuple[Element, ...]:
    """What a named pipeline stands for on a module. Raises LLMC0214 for one that holds itself."""
    if pipeline.name in inside:
        chain = " → ".join([*inside, pipeline.name])
        raise LlmcError(
            "LLMC0214", f"pipeline '{pipeline.name}' holds itself", f"pipelines {chain}", fix="take it out of its own text"
        )
    text = pipeline.text(module, context.registry)
    try:
        return parse_pipeline(text, context.registry)
    except LlmcError as error:
        error.passes = (*error.passes, f"pipeline '{pipeline.name}'")
        raise


def describe_pipelines(elements: Sequence[Element], module: ModuleOp, context: PassContext) -> list[str]:
    """A line `// name: passes` for every named pipeline among elements, those inside of others included."""
    lines: list[str] = []

    def visit(elements: Sequence[Element], inside: tuple[str, ...]) -> None:
        for element in elements:
            if isinstance(element, Nested):
                visit(element.elements, inside)
            elif isinstance(element, NamedPipeline):
                found = expand(element, module, context, inside)
                line = f"// {print_pass(element)}: {print_elements(found)}"
                if line not in lines:
                    lines.append(line)
                visit(found, (*inside, element.name))

    visit(elements, ())
    return lines
