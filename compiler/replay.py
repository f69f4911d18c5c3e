"""A pipeline run again from its input, as far as one application of a pass, or with only some of its passes and rewrites.

Passes are deterministic, so that running again gives the IR before any application without a snapshot of it being kept. An application
is one pass on one anchor; they are numbered from 1 in the order in which they come.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from xdsl.dialects.builtin import ModuleOp
from xdsl.ir import Operation

from ..dialects.ir.diagnostics import LlmcError, excerpt
from ..dialects.ir.parsing import parse_module
from ..dialects.ir.printer import print_module
from ..dialects.ir.verifying import verify
from ..passes.framework.actions import PASS, Actions, Counter
from ..passes.framework.anchor import Anchor
from ..passes.framework.instrument import Instrument
from ..passes.framework.manager import PassManager
from ..passes.framework.pass_ import Pass, PassContext
from ..passes.framework.pipeline import Element, print_pass
from ..passes.framework.registry import Registry
from .child import ENDED, Ended, NoChild, in_process


class Reached(Exception):
    """The run came to where it was to stop."""


@dataclass(frozen=True)
class Application:
    """One pass on one anchor. `optional` is its number for `--opt-bisect-limit`, None for a required pass. `pipeline` runs the pass
    on its anchor, or on all ops of the anchor's kind."""

    number: int
    name: str
    anchor: str
    pipeline: str
    optional: int | None


@dataclass(frozen=True)
class Cut:
    """How much of a pipeline runs. `until`: applications after this one do not run at all, and the module is taken as it then is.
    `limit`: optional ones after so many are left out. `rewrites`: of application `within`, only so many rewrites happen."""

    until: int | None = None
    limit: int | None = None
    within: int | None = None
    rewrites: int | None = None


@dataclass(frozen=True)
class Rewrite:
    """One rewrite of a pattern: `index` counts those of the same pattern in the same application, from 1."""

    pattern: str
    index: int
    op: str


@dataclass
class Result:
    """What a run gave: the module's text, or the error; the applications that ran or were left out, and the rewrites of
    `within`."""

    text: str = ""
    error: LlmcError | None = None
    applications: list[Application] = field(default_factory=list[Application])
    rewrites: list[Rewrite] = field(default_factory=list[Rewrite])


@dataclass
class Observed(Actions):
    """Counts as `Actions` do; in one application the rewrites are recorded, and cut off after `limit`."""

    watching: bool = False
    limit: int | None = None
    rewrites: list[Rewrite] = field(default_factory=list[Rewrite])
    _indices: dict[str, int] = field(default_factory=dict[str, int])

    def take(self, tag: str, op: Operation | None = None) -> bool:
        if not super().take(tag):
            return False
        if tag == PASS or not self.watching:
            return True
        if self.limit is not None and len(self.rewrites) >= self.limit:
            return False
        self._indices[tag] = self._indices.get(tag, 0) + 1
        self.rewrites.append(Rewrite(tag, self._indices[tag], excerpt(op) if op is not None else ""))
        return True


@dataclass
class Numbering(Instrument):
    """Numbers applications and carries out a `Cut`."""

    cut: Cut
    actions: Observed
    begun: Callable[[Application], None]
    applications: list[Application] = field(default_factory=list[Application])
    anchors: list[Anchor] = field(default_factory=list[Anchor])
    optional: int = 0

    def enter(self, anchor: Anchor) -> None:
        self.anchors.append(anchor)

    def leave(self, anchor: Anchor) -> None:
        self.anchors.pop()

    def wants(self, pass_: Pass, module: Operation) -> bool:
        self.optional += 1
        return self.cut.limit is None or self.optional <= self.cut.limit

    def _note(self, pass_: Pass) -> None:
        number = len(self.applications) + 1
        if self.cut.until is not None and number > self.cut.until:
            raise Reached
        pipeline = print_pass(pass_)
        for anchor in reversed(self.anchors):
            pipeline = f"{anchor.op.name}({pipeline})"
        pipeline = f"builtin.module({pipeline})"
        place = str(self.anchors[-1]) if self.anchors else "builtin.module"
        self.applications.append(Application(number, pass_.name, place, pipeline, None if pass_.required else self.optional))
        self.actions.watching = number == self.cut.within
        self.begun(self.applications[-1])

    def skipped(self, pass_: Pass, module: Operation) -> None:
        self._note(pass_)

    def before(self, pass_: Pass, module: Operation) -> None:
        self._note(pass_)


@dataclass(frozen=True)
class Replay:
    """A pipeline and its input; `run` runs it, or part of it, as often as wanted. `checks` makes the instruments that look on at each
    run, such as one that compares numbers."""

    text: str
    name: str
    elements: Sequence[Element]
    registry: Registry
    verify_each: bool = True
    counters: tuple[tuple[str, int, int | None], ...] = ()
    checks: Callable[[], Sequence[Instrument]] = tuple
    alone: bool = False
    """Each run is in a process of its own: for passes that end it."""
    locate: bool = False
    """Ops have the place in the text where they stand, or where what they were made from stood."""

    def hardened(self) -> Replay:
        """This, with runs in processes of their own if the whole pipeline ends the process, as a segmentation fault does."""
        alone = replace(self, alone=True)
        try:
            error = alone.run().error
        except NoChild:
            return self
        return alone if error is not None and error.code == ENDED else self

    def run(self, cut: Cut = Cut()) -> Result:
        """Run as much as `cut` says. An error of a pass is in the result; one of the input raises."""
        if not self.alone:
            return self._run(cut, lambda _: None)
        return in_child(lambda tell: self._run(cut, tell))

    def _run(self, cut: Cut, begun: Callable[[Application], None]) -> Result:
        """`begun` is told of each application before it runs."""
        context = PassContext(self.registry.context(), registry=self.registry)
        actions = Observed(limit=cut.rewrites)
        actions.counters.update({tag: Counter(skip, count) for tag, skip, count in self.counters})
        context.actions = actions
        module: ModuleOp = parse_module(context.xdsl, self.text, self.name, locate=self.locate)
        verify(module)
        numbering = Numbering(cut, actions, begun)
        result = Result(applications=numbering.applications, rewrites=actions.rewrites)
        try:
            PassManager(context, self.verify_each, [numbering, *self.checks()]).run(self.elements, module)
        except Reached:
            pass
        except LlmcError as error:
            result.error = error
            return result
        result.text = print_module(module, locations=True) + "\n"
        return result


def in_child(run: Callable[[Callable[[Application], None]], Result]) -> Result:
    """The result of a run in a child process. If a pass ends the process, that is the error of the last application that began."""
    begun: list[Application] = []
    outcome = in_process(run, begun.append)
    if not isinstance(outcome, Ended):
        return outcome
    if not begun:
        raise outcome.error("reading the input")
    return Result(error=outcome.error(f"pass '{begun[-1].name}'"), applications=begun)
