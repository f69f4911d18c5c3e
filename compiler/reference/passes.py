"""Passes and named pipelines: docstrings, options and contracts."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import fields

from ...passes.framework.named_pipeline import NamedPipeline
from ...passes.framework.options import MISSING, default_of, option_name, print_value, type_text
from ...passes.framework.pass_ import Pass
from ...passes.framework.registry import FOLDERS, OURS, Registry
from ..phases import PHASES, PIPELINE
from .text import NOTE, documentation


def pass_documentation(cls: type[Pass]) -> str:
    """The docstring of a pass, or its module's where it says so; before and after under headings of their own."""
    text = documentation(cls)
    if "see the module docstring" in text:
        text = documentation(sys.modules[cls.__module__])
    return re.sub(r"```mlir (before|after)\n", lambda m: f"{m.group(1).capitalize()}:\n\n```mlir\n", text).replace(
        "```\nAfter:", "```\n\nAfter:"
    )


def option_table(cls: type[Pass] | type[NamedPipeline]) -> Iterator[str]:
    """The options of a pass or pipeline; nothing when it has none."""
    if not fields(cls):
        return
    yield from ("", "| option | type | default |", "|---|---|---|")
    for f in fields(cls):
        default = default_of(f)
        shown = "" if default is MISSING else "none" if default == "" else f"`{print_value(default)}`"
        yield f"| `{option_name(f.name)}` | {type_text(cls, f)} | {shown} |"


def dialect_list(names: Sequence[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def contract(cls: type[Pass]) -> str:
    """What a pass says of itself, in a sentence or two."""
    said = ["Required." if cls.required else "Optional: it may be left out."]
    if cls.anchors:
        said.append(f"Runs on {' or '.join(f'`{a}`' for a in cls.anchors)}.")
    else:
        said.append("Runs on any op.")
    if cls.produces is not None:
        said.append(f"Produces {dialect_list(cls.produces)}." if cls.produces else "Produces no dialect.")
    if cls.consumes:
        said.append(f"No op of {dialect_list(cls.consumes)} remains after it.")
    if cls.position is not None:
        said.append(f"Stands in the compiler's pipeline at: {cls.position}.")
    return " ".join(said)


def grouped_passes(registry: Registry) -> dict[str, list[type[Pass]]]:
    """The passes by phase, then those of plugins by origin."""
    found: dict[str, list[type[Pass]]] = {folder: [] for folder in FOLDERS}
    for cls in registry.passes().values():
        origin = registry.origin(cls)
        found.setdefault(cls.__module__.split(".passes.")[1].split(".")[0] if origin == OURS else origin, []).append(cls)
    return {heading: passes for heading, passes in found.items() if passes}


def passes_page(registry: Registry) -> str:
    """docs/passes.md."""
    lines = [
        "# Passes", "", NOTE, "",
        "`llmc-opt --pass-pipeline='name{option=value},func.func(name)'` runs passes; `--compile-from` and `--compile-to` run whole phases. The",
        "order within a phase, and why, is `compiler/phases.py`:", "",
        "| phase | pass | why there |", "|---|---|---|",
    ]  # fmt: skip
    for phase in PHASES:
        for item in PIPELINE[phase]:
            lines.append(f"| `{phase}` | `{item.name}` | {item.why} |")
    for heading, passes in grouped_passes(registry).items():
        lines += ["", f"## {heading}"]
        for cls in passes:
            lines += ["", f"### `{cls.name}`", "", pass_documentation(cls), "", contract(cls), *option_table(cls)]
    lines += ["", "## Named pipelines", "", "They stand in a pipeline's text as passes do."]
    for cls in registry.pipelines().values():
        origin = registry.origin(cls)
        lines += ["", f"### `{cls.name}`", "", documentation(cls), *([] if origin == OURS else [f"From {origin}.", ""])]
        lines += option_table(cls)
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).rstrip() + "\n"
