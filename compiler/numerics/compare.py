"""Comparing two modules: `compare_modules`."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from xdsl.dialects.builtin import ModuleOp

from ...dialects.ir.diagnostics import LlmcError
from ...dialects.ir.hashing import structural_text
from ...passes.framework.numerics import Numerics
from .contract import Verdict, is_float_array, judge, judge_exactly, same_bits
from .functions import EXACT, ROUNDED
from .inputs import Source
from .kernels import KernelCase
from .locate import locate
from .outcome import Difference, NumericsOptions, Outcome
from .results import Result, Results, aligned
from .units import Unit, Units, find_units, find_weights, with_weights_of

__all__ = ["Difference", "NumericsOptions", "Outcome", "Runs", "compare_modules"]


@dataclass
class Runs:
    """Results of runs that happened, so that what was `after` one pass need not be run again as `before` the next."""

    kept: dict[str, Results] = field(default_factory=dict[str, Results])
    cases: dict[str, KernelCase] = field(default_factory=dict[str, KernelCase])

    def get(self, unit: Unit, side: int, exact: bool = False) -> Results:
        key = hashlib.sha256(f"{exact} {unit.keys[side]}".encode()).hexdigest()
        if key not in self.kept:
            self.kept[key] = (unit.before if side == 0 else unit.after)(EXACT if exact else ROUNDED, False)
            while len(self.kept) > 256:
                self.kept.pop(next(iter(self.kept)))
        return self.kept[key]


def compare_modules(
    before: ModuleOp,
    after: ModuleOp,
    options: NumericsOptions = NumericsOptions(),
    *,
    contract: Numerics = Numerics(),
    runs: Runs | None = None,
) -> Outcome:
    """Run both modules on the same logical inputs and say whether they compute the same, up to legal rounding.

    Neither module is changed. Both may stand at any level, and at different ones: functions of `nn`, `fusion` and `quantized` ops
    (with states, batches and sampling), host programs with their pages, kernels of `layout`, `tile` and `ptx` (on the emulator).
    What both compute is matched by name and by meaning: `@main` with the `@prefill` and `@decode` made of it, a tensor argument
    with the buffer of its label, a token's row by sequence and position.

    Floats agree when the error of `after` is at most `options.tolerance` times the error of `before` (or the floor: a rounding of the
    result's type), both against a run of `before` in f64 without rounding. Integers, indices and booleans agree when they are equal;
    a token is right when it is the one drawn from the logits it comes with. `contract` is what a pass says that it does besides
    (an error that is legal, names that it changes); `runs` shares runs between comparisons with the same options.

    Nothing raises for a module that can't be run: the outcome is then `not_compared`, with the reason. LLMC0264 is raised for given
    inputs that don't fit.
    """
    texts = structural_text(before), structural_text(after)
    if texts[0] == texts[1]:
        return Outcome(ratio=0.0, unchanged=True)
    if contract.incomparable is not None:
        return Outcome(not_compared=contract.incomparable)
    return _Comparison(before, after, options, contract, runs or Runs()).outcome(texts)


@dataclass
class _Comparison:
    """One call of `compare_modules`: what was compared so far, and how well it agreed."""

    before: ModuleOp
    after: ModuleOp
    options: NumericsOptions
    contract: Numerics
    runs: Runs
    ratios: list[float] = field(default_factory=list[float])
    notes: list[str] = field(default_factory=list[str])

    def outcome(self, texts: tuple[str, str]) -> Outcome:
        source = Source(self.options)
        if self.contract.weights:
            wrong = self._weights(source, self.contract.weights)
            if wrong is not None:
                return wrong
            self.before = with_weights_of(self.before, self.after)
            texts = structural_text(self.before), texts[1]
        units = find_units(self.before, self.after, source, texts, self.runs.cases, self.contract.entries)
        self.notes += units.notes
        for index, unit in enumerate(units.found):
            wrong = self._unit(index, unit, source, texts)
            if wrong is not None:
                return wrong
        if not self.ratios:
            return Outcome(not_compared=_why(units, self.notes), notes=tuple(self.notes))
        return Outcome(ratio=max(self.ratios), notes=tuple(self.notes))

    def _weights(self, source: Source, allowance: float) -> Outcome | None:
        """The outcome where a definition of a weight differs."""
        for unit in find_weights(self.before, self.after, source).found:
            pair = _run(unit, self.runs)
            if isinstance(pair, str):
                continue  # functions that use it say the same
            found, ratio, _ = _compare(unit, pair, self.runs, self.options, allowance)
            if found is not None:
                place = locate(unit, found, self.before, self.after, self.options.tolerance, allowance)
                return Outcome(place, found.ratio)
            self.ratios += [ratio] if ratio is not None else []
        return None

    def _unit(self, index: int, unit: Unit, source: Source, texts: tuple[str, str]) -> Outcome | None:
        """The outcome where a unit differs."""
        pair = _run(unit, self.runs)
        if isinstance(pair, str):
            self.notes.append(f"{unit.name}: {pair}")
            return None
        runs, positive = self.runs, None
        if _undefined(pair[0]):
            positive = self._positive(index, source, texts)
            if positive is not None:
                (unit, pair), runs = positive, Runs()
        allowance = self.contract.allowance
        found, ratio, said = _compare(unit, pair, runs, self.options, allowance)
        self.notes += said
        if found is None:
            self.ratios += [ratio] if ratio is not None else []
            return None
        place: Difference | None = None
        if positive is None:
            simple = find_units(self.before, self.after, replace(source, simple=True), texts, entries=self.contract.entries)
            place = _simpler(simple, unit, found, self.before, self.after, self.options, allowance)
        if place is None:
            place = locate(unit, found, self.before, self.after, self.options.tolerance, allowance)
        return Outcome(place, found.ratio, notes=tuple(self.notes))

    def _positive(self, index: int, source: Source, texts: tuple[str, str]) -> tuple[Unit, tuple[Results, Results]] | None:
        """A unit on positive inputs and its runs, where that gives its ops values."""
        units = find_units(self.before, self.after, replace(source, positive=True), texts, entries=self.contract.entries)
        again = _run(units.found[index], Runs()) if index < len(units.found) else ""
        return None if isinstance(again, str) or _undefined(again[0]) else (units.found[index], again)


def _simpler(
    simple: Units, unit: Unit, found: Difference, before: ModuleOp, after: ModuleOp, options: NumericsOptions, allowance: float
) -> Difference | None:
    """The same difference, located where one sequence is fed at once, if it shows there: a value has the same shape in a module with
    state and in one without, and there is less to search."""
    again = next((u for u in simple.found if u.name == unit.name and u.keys != unit.keys), None)
    pair = _run(again, Runs()) if again is not None else ""
    if again is None or isinstance(pair, str):
        return None
    other, _, _ = _compare(again, pair, Runs(), options, allowance)
    if other is None:
        return None
    place = locate(again, other, before, after, options.tolerance, allowance)
    if place.at_place is None:
        return None
    return replace(found, place=place.place, counterpart=place.counterpart, at_place=place.at_place)


def _why(units: Units, notes: Sequence[str]) -> str:
    if notes:
        return "; ".join(notes[:3]) + (f"; and {len(notes) - 3} more" if len(notes) > 3 else "")
    return "the modules have nothing in common that could be run"


def _run(unit: Unit, runs: Runs) -> tuple[Results, Results] | str:
    """Both runs, or why there are none. What runs before and not after is a difference of its own kind: it is said as such."""
    try:
        first = runs.get(unit, 0)
    except LlmcError as error:
        if error.code == "LLMC0264":
            raise
        return f"it can't be run before the pass: {error.what}"
    try:
        return first, runs.get(unit, 1)
    except LlmcError as error:
        if error.code in ("LLMC0102", "LLMC0265"):  # no meaning, no grid: nothing that the pass has broken
            return f"it can't be run after the pass: {error.what}"
        raise LlmcError(
            "LLMC0266",
            f"{unit.name} can be run before the pass and fails after it: {error.what}",
            error.where,
            why=error.why,
            fix="look at the op: it has lost an operand's value, an index is out of bounds, or it has no reference semantics",
        ) from error


def _undefined(results: Results) -> bool:
    """Whether most of a float result is NaN: the inputs lie where its ops have no value."""
    for result in results.values.values():
        if is_float_array(result.array) and result.array.size and np.isnan(result.array.astype(np.float64)).mean() > 0.25:
            return True
    return False


def _compare(
    unit: Unit, pair: tuple[Results, Results], runs: Runs, options: NumericsOptions, allowance: float
) -> tuple[Difference | None, float | None, list[str]]:
    """(the first difference, the worst ratio, what could not be compared) of one unit."""
    first, second = pair
    worst: float | None = None
    notes: list[str] = []
    for label, before in first.values.items():
        after = second.values.get(label)
        if after is None:
            notes.append(f"{unit.name}: result '{label}' has no counterpart after the pass")
            continue
        both = aligned(before, after)
        if isinstance(both, str):
            notes.append(f"{unit.name}: result '{label}': {both}")
            continue
        b, a, rows = both
        verdict = _judge(unit, label, (before, after), (b, a), runs, options, allowance)
        worst = max(worst or 0.0, verdict.ratio)
        if verdict.wrong:
            exact = _exact(unit, label, after, runs)
            return _difference(unit.name, label, verdict, b, a, exact, rows), verdict.ratio, notes
    return None, worst, notes


def _exact(unit: Unit, label: str, after: Result, runs: Runs) -> Any:
    """The exact values of a result, on the rows that `after` has too."""
    exact = runs.get(unit, 0, exact=True).values[label]
    both = aligned(exact, after)
    assert not isinstance(both, str)
    return both[0]


def _judge(
    unit: Unit,
    label: str,
    results: tuple[Result, Result],
    arrays: tuple[Any, Any],
    runs: Runs,
    options: NumericsOptions,
    allowance: float,
) -> Verdict:
    before, after = arrays
    if same_bits(before, after):
        return Verdict(0.0)
    if not is_float_array(before) and not is_float_array(after):
        drawn = results[0].drawn, results[1].drawn
        if all(d is not None and np.array_equal(d, r.array) for d, r in zip(drawn, results)):
            return Verdict(1.0)  # each is the token of its own logits, and those are compared by themselves
        return judge_exactly(before, after)
    return judge(before, after, _exact(unit, label, results[1], runs), options.tolerance, allowance)


def _difference(
    entry: str, label: str, verdict: Verdict, before: Any, after: Any, exact: Any, rows: tuple[tuple[int, int], ...] | None
) -> Difference:
    at = verdict.worst
    values = [float(np.asarray(x)[at]) for x in (before, after, exact)]
    token = rows[at[0]] if rows is not None and at else None
    return Difference(
        entry, label, verdict.ratio, at, values[0], values[1], values[2], verdict.errors, verdict.count, int(np.asarray(before).size),
        verdict.first, token,
    )  # fmt: skip
