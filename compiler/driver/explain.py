"""`llmc explain`: what an error code or a name is, without a browser. Read from the code, as the docs are.

Names are those of passes, pipelines, phases, dialects, ops, types, schedules, targets, flags and environment variables; one that
stands for several things (`nn` is a dialect and a phase) is explained as each.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path

from ...dialects.ir.diagnostics import LlmcError
from ...passes.framework.registry import Registry
from ..phases import PHASE_PIPELINES, PHASES, PIPELINE
from ..reference.error_catalogue import RANGES, Place, catalogue, section
from ..reference.passes import contract, option_table, pass_documentation
from ..reference.text import documentation
from . import explain_dialects, explain_flags

ROOT = Path(__file__).resolve().parents[2]


def explain(word: str | None, registry: Registry) -> str:
    """The text for one word; for none, a list of all codes. Raises LLMC0267 for a word that is the name of nothing."""
    if word is None:
        return list_codes(catalogue(ROOT))
    if re.fullmatch(r"(?i)(llmc)?\d{1,4}", word):
        return explain_code(f"LLMC{int(re.sub(r'[^0-9]', '', word)):04d}")
    found = explain_name(word, registry)
    if found is None:
        raise unknown(word, registry)
    return found


def list_codes(found: dict[str, list[Place]]) -> str:
    """Every code with its first message, by subject."""
    lines: list[str] = []
    for digits, (title, _) in RANGES.items():
        codes = [(c, p) for c, p in found.items() if c[4:6] == digits]
        if codes:
            lines += [*([""] if lines else []), f"{digits}xx  {title}"]
            lines += [f"  {code}  {first_message(places)}" for code, places in codes]
    return "\n".join(lines) + "\n"


def first_message(places: Sequence[Place]) -> str:
    texts = [re.sub(r"\s+", " ", p.what) for p in places if p.what not in ("", "…")]
    text = texts[0] if texts else "(put together where it is raised)"
    return text if len(text) <= 100 else text[:99] + "…"


def explain_code(code: str) -> str:
    """The section of a code, as it stands in docs/errors.md, in plain text."""
    found = catalogue(ROOT)
    if code not in found:
        near = sorted(found, key=lambda c: abs(int(c[4:]) - int(code[4:])))[:3]
        raise LlmcError("LLMC0267", f"no error has the code {code}", "explain", fix=f"near it are {', '.join(sorted(near))}")
    title, _ = RANGES[code[4:6]]
    return plain_text([f"{code}: {title}", "", *section(code, found[code])])


def explain_name(word: str, registry: Registry) -> str | None:
    """Everything that a name stands for; None for nothing."""
    found = [
        named_lines(word, registry),
        explain_dialects.dialect_lines(word, registry),
        phase_lines(word),
        explain_dialects.member_lines(word, registry),
        explain_flags.flag_lines(word),
        explain_flags.variable_lines(word),
    ]
    return "\n".join(plain_text(lines) for lines in found if lines) or None


def phase_lines(word: str) -> list[str]:
    """A phase: its passes in order, and why each stands where it stands."""
    if word not in PHASES:
        return []
    (about,) = (documentation(cls).removeprefix(f"The phase {word}: ") for cls in PHASE_PIPELINES if cls.phase == word)
    return [
        f"phase {word}, number {PHASES.index(word) + 1} of {', '.join(PHASES)}",
        "",
        about,
        "",
        *(f"  {step.name:24s} {step.why}" for step in PIPELINE[word]),
        "",
        f"`--compile-to {word}` ends there, `--compile-from {word}` goes on from its dump; {word}-phase is all of it in a pipeline.",
    ]


def named_lines(word: str, registry: Registry) -> list[str]:
    """A pass or named pipeline with its options and its before → after; a schedule; a target."""
    if word in registry.passes():
        cls = registry.passes()[word]
        return [f"pass {word}", "", pass_documentation(cls), "", contract(cls), *option_table(cls)]
    if word in registry.pipelines():
        pipeline = registry.pipelines()[word]
        return [f"named pipeline {word}", "", documentation(pipeline), *option_table(pipeline)]
    if word in registry.schedules.names():
        schedule = registry.schedules.named(word)
        text = documentation(sys.modules[type(schedule).__module__])
        return [f"schedule {word}, for kernels of family {schedule.family}", "", text]
    if word in registry.targets.all():
        target = registry.targets.find(word)
        facts = [
            f"  {name.replace('_', ' ')}: {value}" for name, value in vars(target).items() if name not in ("features", "name")
        ]
        return [f"target {word}", "", *facts, f"  features: {', '.join(sorted(target.features))}"]
    return []


def unknown(word: str, registry: Registry) -> LlmcError:
    names = [*registry.passes(), *registry.pipelines(), *registry.schedules.names(), *registry.targets.all(), *PHASES]
    names += [*explain_dialects.names(registry), *(flag for flag in explain_flags.flag_names() if word.startswith("-"))]
    near = get_close_matches(word, dict.fromkeys(names), n=3, cutoff=0.5)
    fix = (
        f"did you mean {', '.join(near)}?"
        if near
        else "give an error code, or the name of a pass, pipeline, phase, dialect, op, schedule, target or flag"
    )
    return LlmcError("LLMC0267", f"nothing is called '{word}'", "explain", fix=fix)


def plain_text(lines: Sequence[str]) -> str:
    """Markdown as a terminal shows it: no fences' words, no escapes."""
    text = re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip() + "\n"
    return re.sub(r"\\([<*])", r"\1", text)
