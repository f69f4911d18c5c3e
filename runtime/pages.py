"""Pages of the KV pool: which are free, and which belong to a sequence in which order."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from ..dialects.ir.diagnostics import LlmcError

SCRATCH = 0
"""The page that padding tokens write to; no sequence owns it."""


@dataclass
class PagePool:
    """`count` pages of `page_size` tokens; page 0 is scratch."""

    count: int
    page_size: int
    free: list[int] = field(init=False)

    def __post_init__(self) -> None:
        self.free = list(range(self.count - 1, SCRATCH, -1))

    def take(self) -> int:
        """A free page; LLMC0870 when there is none."""
        if not self.free:
            raise LlmcError(
                "LLMC0870",
                f"all {self.count - 1} pages of the KV pool are in use",
                "the KV pool",
                why=f"a page holds {self.page_size} tokens of one sequence",
                fix="run fewer or shorter sequences at once, or give the session more pages",
            )
        return self.free.pop()


@dataclass
class Pages:
    """The pages of one sequence, in order of position."""

    pool: PagePool
    pages: list[int] = field(default_factory=list[int])

    def reserve(self, tokens: int) -> None:
        """Own enough pages for `tokens` tokens."""
        while len(self.pages) * self.pool.page_size < tokens:
            self.pages.append(self.pool.take())

    def release(self) -> None:
        """Give all pages back."""
        self.pool.free.extend(reversed(self.pages))
        self.pages.clear()

    def row(self, width: int) -> np.ndarray:
        """The sequence's row of the page table, scratch beyond its end."""
        row = np.full(width, SCRATCH, np.int32)
        row[: len(self.pages)] = self.pages
        return row
