"""How the commands write errors: a paragraph each, the lines of IR around the op, colour."""

from __future__ import annotations

import sys
from dataclasses import dataclass

from ...dialects.ir.diagnostics import LlmcError

AROUND = 5  # ops before and after the one at fault
MOST = 20  # errors that are told


@dataclass(frozen=True)
class ErrorStyle:
    """`around`: show the ops around the one that the error points at. `color`: auto, always or never."""

    around: bool = False
    color: str = "auto"

    def render(self, error: LlmcError) -> str:
        """The text for stderr: a paragraph for the error, and one for each of those that were found with it."""
        errors = [error, *error.others]
        paragraphs = [self.paragraph(each) for each in errors[:MOST]]
        if len(errors) > MOST:
            paragraphs.append(f"… and {len(errors) - MOST} more")
        return "\n\n".join(paragraphs)

    def paragraph(self, error: LlmcError) -> str:
        """One error without those found with it."""
        lines: list[str] = []
        if self.around:
            from ...dialects.ir.surroundings import op_of, surroundings

            op = op_of(error.where)
            lines = surroundings(op, AROUND) if op is not None else []
        text = error.render(lines)
        if self.color == "never":
            return text
        from .colour import paint_error, wanted

        return paint_error(text) if wanted(self.color, sys.stderr) else text
