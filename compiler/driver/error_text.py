"""How the commands write an error: its paragraph, the lines of IR around the op, colour."""

from __future__ import annotations

import sys
from dataclasses import dataclass

from ...dialects.ir.diagnostics import LlmcError

AROUND = 5  # ops before and after the one at fault


@dataclass(frozen=True)
class ErrorStyle:
    """`around`: show the ops around the one that the error points at. `color`: auto, always or never."""

    around: bool = False
    color: str = "auto"

    def render(self, error: LlmcError) -> str:
        """The text for stderr."""
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
