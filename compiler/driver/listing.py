"""`llmc-opt --list-passes`, `--show-dialects`, `--list-targets`, `--list-schedules`: what there is by name, plugins included."""

from __future__ import annotations

import inspect
import re
import sys
from dataclasses import MISSING, fields

from ...dialects.ir.context import BUILTIN, OWN
from ...passes.framework.named_pipeline import NamedPipeline
from ...passes.framework.options import default_of, option_name, print_value, type_text
from ...passes.framework.pass_ import Pass
from ...passes.framework.registry import OURS, Registry
from ..reference.passes import grouped_passes
from ..reference.schedules import families_of


def summary(item: type) -> str:
    """The first sentence of a docstring, or of the module's where that says more."""
    text = inspect.getdoc(item) or ""
    if "see the module docstring" in text:
        text = inspect.getdoc(sys.modules[item.__module__]) or text
        text = re.sub(r"^`[\w-]+`: ", "", text)
    first = " ".join(text.split("\n\n", 1)[0].split())
    sentence = re.split(r"(?<=[\w)`])\. ", first.removesuffix("."), maxsplit=1)[0]
    return sentence if len(sentence) <= 120 else sentence[:119] + "…"


def print_passes(registry: Registry) -> None:
    """One paragraph a pass: those of each phase, those of each plugin; then the named pipelines."""
    for heading, passes in grouped_passes(registry).items():
        print(f"{heading}:")
        for cls in passes:
            _print_one(cls)
    print("named pipelines:")
    for cls in registry.pipelines().values():
        origin = registry.origin(cls)
        _print_one(cls, "" if origin == OURS else f" [{origin}]")


def _print_one(cls: type[Pass] | type[NamedPipeline], note: str = "") -> None:
    print(f"  {cls.name:28s} {summary(cls)}{note}")
    for f in fields(cls):
        default = default_of(f)
        shown = "" if default is MISSING else f" (default {print_value(default)})"
        print(f"      --{option_name(f.name)}: {type_text(cls, f)}{shown}")


def print_dialects(registry: Registry) -> None:
    """One name a line: llmc's own, the builtin ones, those of plugins with their origin."""
    for name in (*OWN, *BUILTIN):
        print(name)
    for plugin in registry.plugins:
        for dialect in plugin.dialects:
            print(f"{dialect.name:12s} [{plugin.origin}]")


def print_targets(registry: Registry) -> None:
    """One target a line."""
    for name, target in registry.targets.all().items():
        origin = registry.origin(target)
        print(f"{name:12s} {target.arch:8s} {target.device}" + ("" if origin == OURS else f" [{origin}]"))


def print_schedules(registry: Registry) -> None:
    """One schedule a line, with the families of kernels it is tried for, in that order."""
    for name in registry.schedules.names():
        schedule = registry.schedules.named(name)
        origin = registry.origin(schedule)
        families = (schedule.family,) if origin != OURS else families_of(name)
        print(f"{name:20s} {', '.join(families)}" + ("" if origin == OURS else f" [{origin}]"))
