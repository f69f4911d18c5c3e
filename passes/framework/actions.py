"""Actions: the steps of a compilation that can be counted and cut off, to find the one that goes wrong.

    ctx.actions.take("pass")               one application of a pass
    ctx.actions.take("fold-identities")    one rewrite of a pattern

Each tag counts by itself. `skip` leaves out the first so many, `count` lets that many happen after those; everything later is left
out. A command's flag for this is `--debug-counter=TAG=skip:count`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from xdsl.ir import Operation

PASS = "pass"


@dataclass
class Counter:
    """How often one tag was asked for, and the window in which it may happen."""

    skip: int = 0
    count: int | None = None
    seen: int = 0
    taken: int = 0

    def take(self) -> bool:
        number, self.seen = self.seen, self.seen + 1
        if number < self.skip or (self.count is not None and number >= self.skip + self.count):
            return False
        self.taken += 1
        return True


@dataclass
class Actions:
    """The counters of one run. Tags without a counter are counted and always happen."""

    counters: dict[str, Counter] = field(default_factory=dict[str, Counter])

    def take(self, tag: str, op: Operation | None = None) -> bool:
        """Count one action, on `op`; whether it may happen."""
        counter = self.counters.get(tag)
        if counter is None:
            counter = self.counters[tag] = Counter()
        return counter.take()
