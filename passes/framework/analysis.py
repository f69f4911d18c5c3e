"""Analyses: facts about an op that several passes ask for, computed once and kept until a pass may have changed them.

    loops = ctx.analysis(Loops, kernel)     # Loops(kernel), unless it is known already
    ctx.preserve(Loops)                     # what this pass changes leaves Loops true

A pass that preserves nothing ends all of them, and none outlives a run of the pass manager: between two runs anybody may change the
module. The time that an analysis takes is `(analysis) Loops` in the tree of times.

llmc's own is `SymbolTable` (dialects/ir/symbols.py): the passes of the layout phase from `bufferise` to `finalise-abi` add kernels, weights
and programs through one table, and each says that it left the table true.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from xdsl.ir import Operation

from .timing import Timing

T = TypeVar("T")
Op = TypeVar("Op", bound=Operation)


@dataclass
class Analyses:
    """What is known, by analysis and op."""

    timing: Timing
    known: dict[tuple[Callable[..., Any], Operation], Any] = field(default_factory=lambda: {})
    kept: set[Callable[..., Any]] = field(default_factory=lambda: set())
    keep_all: bool = False

    def get(self, analysis: Callable[[Op], T], op: Op) -> T:
        """`analysis(op)`, computed if it is not known."""
        key = (analysis, op)
        if key not in self.known:
            with self.timing.scope(f"(analysis) {getattr(analysis, '__name__', analysis)}"):
                self.known[key] = analysis(op)
        return self.known[key]

    def preserve(self, *analyses: Callable[..., Any]) -> None:
        """The running pass leaves these true; all of them when none is named."""
        self.kept.update(analyses)
        self.keep_all = self.keep_all or not analyses

    def end_pass(self) -> None:
        """Forget what the pass that ended did not preserve."""
        if not self.keep_all:
            self.known = {key: value for key, value in self.known.items() if key[0] in self.kept}
        self.start_pass()

    def start_pass(self) -> None:
        self.kept.clear()
        self.keep_all = False
