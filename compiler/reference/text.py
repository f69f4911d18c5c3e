"""Docstrings as Markdown, and the note at the head of written pages."""

from __future__ import annotations

import inspect
import re

NOTE = "<!-- Written by `python -m llmc.compiler.driver.reference`; edit the code it is read from. -->"


def documentation(item: object) -> str:
    """A docstring as Markdown: without its indentation, IR examples fenced."""
    lines: list[str] = []
    block: list[str] = []

    def flush() -> None:
        while block and not block[-1]:
            block.pop()
        if block:
            language = "mlir" if any(re.search(r"[%@]\w|!\w+\.|#\w+\.", line) for line in block) else ""
            lines.extend([f"```{language}", *(line[4:] for line in block), "```", ""])
            block.clear()

    fenced = False
    for line in inspect.cleandoc(getattr(item, "__doc__", None) or "").split("\n"):
        fenced = fenced != line.startswith("```")
        if not fenced and (line.startswith("    ") or (block and not line)):
            block.append(line)
            continue
        flush()
        lines.append(line)
    flush()
    return "\n".join(lines).strip()
