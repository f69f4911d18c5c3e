"""A difference in words, and the summary of a run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from ...dialects.ir.diagnostics import LlmcError
from .outcome import Difference, Outcome, Place


def number(value: float) -> str:
    return f"{int(value)}" if float(value).is_integer() and abs(value) < 1e9 else f"{value:.6g}"


def coordinates(at: Sequence[int]) -> str:
    return f"[{', '.join(map(str, at))}]"


def _place(place: Place) -> str:
    inside = f" in {place.symbol}" if place.symbol else ""
    return f"{place.name}{inside}" + (f" at {place.location}" if place.location else "")


def error_of(pass_name: str, difference: Difference, see: str) -> LlmcError:
    """LLMC0263: the pass, the op, its location, both values, and how to see the IR."""
    d = difference
    exactly = d.errors == (0.0, 1.0)
    token = f" (sequence {d.token[0]}, token {d.token[1]})" if d.token is not None else ""
    where = None
    if d.place is not None:
        where = d.place.op + (f"\n      at {d.place.location}" if d.place.location else "")
    others = [coordinates(c) for c in d.first if c != d.coordinates][:3]
    more = f", also at {', '.join(others)}" if others else ""
    why = [
        f"integers and indices are compared exactly; {d.count} of {d.total} differ{more}"
        if exactly
        else f"f64 gives {number(d.exact)}; the largest error was {d.errors[0]:.3g} and is {d.errors[1]:.3g}, an error ratio of "
        f"{d.ratio:.3g}; {d.count} of {d.total} elements are off{more}"
    ]
    if d.place is not None:
        why.append(f"the first op that differs is {_place(d.place)} ({d.place.how})")
    if d.counterpart is not None:
        why.append(f"it stands for {d.counterpart.op}" + (f" at {d.counterpart.location}" if d.counterpart.location else ""))
    if d.at_place is not None:
        at, before, after = d.at_place
        why.append(f"there, {coordinates(at)} was {number(before)} and is {number(after)}")
    return LlmcError(
        "LLMC0263",
        f"pass '{pass_name}' changes the numbers of {d.entry}: '{d.output}' {coordinates(d.coordinates)}{token} was "
        f"{number(d.before)} and is {number(d.after)}",
        where,
        why=";\n       ".join(why),
        fix=see,
        passes=(f"pass '{pass_name}'",),
    )


@dataclass
class Summary:
    """What was compared, pass by pass."""

    outcomes: list[tuple[str, Outcome]] = field(default_factory=list[tuple[str, Outcome]])

    def lines(self) -> list[str]:
        """A paragraph: how many passes were compared, the worst ratio, and every pass that was not compared, with the reason."""
        compared = [(n, o) for n, o in self.outcomes if o.ratio is not None and not o.unchanged]
        unchanged = [n for n, o in self.outcomes if o.unchanged]
        text = f"numerics: {len(compared)} passes compared, {len(unchanged)} changed nothing"
        if compared:
            name, worst = max(compared, key=lambda pair: pair[1].ratio or 0.0)
            text += f"; worst error ratio {worst.ratio:.3g} ({name})"
        found = [text]
        seen: set[str] = set()
        for name, outcome in self.outcomes:
            if outcome.not_compared is not None:
                found.append(f"  {name}: not compared: {outcome.not_compared}")
                continue
            for note in outcome.notes:
                if f"{name} {note}" not in seen:
                    found.append(f"  {name}: in part: {note}")
                    seen.add(f"{name} {note}")
        return found
