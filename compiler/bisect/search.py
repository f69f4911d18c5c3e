"""The search: first over applications of passes, then over the rewrites in the one that was found.

Optional passes are left out from the end (`--opt-bisect-limit`), so that every trial is a whole compilation. Where the result is bad
without any of them, a required pass is at fault: those can't be left out, and the search is over how far the pipeline runs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from ...dialects.ir.diagnostics import LlmcError
from ..replay import Application, Cut, Replay, Result, Rewrite
from .verdicts import Verdict

Progress = Callable[[str], None]


@dataclass(frozen=True)
class Found:
    """What is at fault. `cut` is the run that ends with it; `rewrite` is None where the pass made none, or no single one is it."""

    application: Application
    rewrite: Rewrite | None
    cut: Cut
    error: LlmcError | None = None
    trials: int = 0


@dataclass
class Search:
    """`fails`: a failing pass is what is looked for; otherwise one in the way is an error of its own."""

    replay: Replay
    verdict: Verdict
    say: Progress
    fails: bool = False
    trials: int = 0

    def bad(self, cut: Cut) -> bool | None:
        """Whether a run is bad."""
        self.trials += 1
        result = self.replay.run(cut)
        good = self.verdict(result)
        words = "cannot tell" if good is None else "good" if good else "bad"
        self.say(f"{describe(cut)}: {words}")
        return None if good is None else not good

    def run(self) -> Found:
        """Raises LLMC0259 where the whole pipeline is good, LLMC0260 where nothing is (the input itself is bad), LLMC0261 where the
        test can't tell."""
        whole = self.replay.run()
        applications = whole.applications
        if whole.error is not None:
            if not self.fails or not applications:
                raise whole.error
            return self._failing(whole)
        good = self.verdict(whole)
        self.trials += 1
        if good is None:
            raise _cannot_tell("the result of the whole pipeline")
        if good:
            raise LlmcError(
                "LLMC0259", "there is nothing to find: the result of the whole pipeline is good", "the test",
                why=f"{len(applications)} applications of passes ran", fix="check the test, and the passes given",
            )  # fmt: skip
        optional = [a for a in applications if a.optional is not None]
        if optional and self.bad(Cut(limit=0)) is False:
            number = self._first(lambda n: self.bad(Cut(limit=n)), 0, len(optional))
            cut = Cut(limit=number)
            found = next(a for a in self.replay.run(cut).applications if a.optional == number)
            return self._within(found, cut)
        if self.bad(Cut(until=0)) is not False:
            raise LlmcError(
                "LLMC0260", "the test is not good for the input itself, before any pass", "the test",
                fix="give an input that the test is good for",
            )  # fmt: skip
        number = self._first(lambda n: self.bad(Cut(until=n)), 0, len(applications))
        return self._within(applications[number - 1], Cut(until=number))

    def _failing(self, whole: Result) -> Found:
        found, error = whole.applications[-1], whole.error
        cut = Cut(until=found.number)
        self.say(f"application {found.number}, {found.name} on {found.anchor}, fails")
        return self._within(found, cut, error)

    def _within(self, found: Application, cut: Cut, error: LlmcError | None = None) -> Found:
        """The rewrite in an application: the first one with which the result is bad, of those that happen with it."""
        cut = replace(cut, within=found.number)
        rewrites = self.replay.run(cut).rewrites
        rewrite = None
        if rewrites and self.bad(replace(cut, rewrites=0)) is False:
            number = self._first(lambda n: self.bad(replace(cut, rewrites=n)), 0, len(rewrites))
            rewrite = rewrites[number - 1]
        return Found(found, rewrite, cut, error, self.trials)

    def _first(self, bad: Callable[[int], bool | None], good: int, end: int) -> int:
        """The least number above `good` that is bad, where `end` is. Numbers that can't be told are stepped around."""
        while end - good > 1:
            middle = (good + end) // 2
            for number in around(middle, good, end):
                verdict = bad(number)
                if verdict is not None:
                    break
            else:
                raise _cannot_tell(f"what lies between {good} and {end}")
            good, end = (good, number) if verdict else (number, end)
        return end


def around(middle: int, low: int, high: int) -> Sequence[int]:
    """The numbers between `low` and `high`, the nearest to `middle` first."""
    return sorted(range(low + 1, high), key=lambda n: (abs(n - middle), n))


def describe(cut: Cut) -> str:
    if cut.rewrites is not None:
        return f"with {cut.rewrites} rewrites in application {cut.within}"
    return f"with {cut.limit} optional passes" if cut.limit is not None else f"after {cut.until} applications"


def _cannot_tell(what: str) -> LlmcError:
    return LlmcError(
        "LLMC0261", f"the test can't tell about {what}", "the test", fix="use a test that can, or a shorter pipeline"
    )
