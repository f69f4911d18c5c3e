"""Schedules and their parameters."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Sequence

from ...codegen.schedules.base import AUXILIARY, FAMILIES, LAST_RESORT, Parameter
from ...passes.framework.registry import OURS, Registry
from .text import NOTE, documentation


def schedules_page(registry: Registry) -> str:
    """docs/schedules.md."""
    lines = [
        "# Schedules", "", NOTE, "",
        "How kernels run. `choose-schedules` writes one on every `layout.kernel`, the first that suits it in the order below; in a dump you may write",
        "another (see [debugging](debugging.md#try-a-schedule-of-your-own)). A parameter that is left out has its default. Every kernel can be run by the",
        "last resort, `generic`.",
    ]  # fmt: skip
    for name in registry.schedules.names():
        schedule = registry.schedules.named(name)
        origin = registry.origin(schedule)
        module = sys.modules[type(schedule).__module__]
        suits = ", ".join(families_of(name)) if origin == OURS else f"{schedule.family}. From {origin}"
        suits = "any" if name == LAST_RESORT else suits
        described = documentation(module if origin == OURS else type(schedule))
        lines += ["", f"## `{name}`", "", f"Family: {suits}.", "", described, ""]
        table: Sequence[Parameter] = getattr(module, "PARAMETERS", ())
        if table:
            lines += ["| parameter | | values | default |", "|---|---|---|---|"]
            lines += [f"| `{p.name}` | {p.meaning} | {values_of(p.allowed)} | {p.default} |" for p in table]
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).rstrip() + "\n"


def values_of(allowed: Sequence[int]) -> str:
    """The values of a parameter in words."""
    if isinstance(allowed, range) and len(allowed) > 4:
        step = f" in steps of {allowed.step}" if allowed.step != 1 else ""
        return f"{allowed[0]} to {allowed[-1]}{step}"
    return ", ".join(map(str, allowed))


def families_of(name: str) -> Iterable[str]:
    """What one of llmc's schedules is tried for, in words."""
    if name == LAST_RESORT:
        return ("any, as the last resort",)
    found = tuple(family for family, names in FAMILIES.items() if name in names)
    return ("chosen by other schedules or by hand",) if name in AUXILIARY else found
