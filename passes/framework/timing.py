"""Where the time goes: a tree of named scopes, wall seconds each."""

from __future__ import annotations

import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field


@dataclass
class Scope:
    """One node: how long it ran in all, how often, and what ran inside it (in order of first entry)."""

    name: str
    seconds: float = 0.0
    entries: int = 0
    children: dict[str, Scope] = field(default_factory=lambda: {})


@dataclass
class Timing:
    """A tree that is always kept: an entry costs a microsecond. `scope` nests."""

    root: Scope = field(default_factory=lambda: Scope("total"))
    _stack: list[Scope] = field(default_factory=list[Scope])

    @contextmanager
    def scope(self, name: str) -> Generator[Scope]:
        """Time what happens inside, under the scope that is open."""
        parent = self._stack[-1] if self._stack else self.root
        node = parent.children.get(name)
        if node is None:
            node = parent.children[name] = Scope(name)
        self._stack.append(node)
        start = time.perf_counter()
        try:
            yield node
        finally:
            elapsed = time.perf_counter() - start
            node.seconds += elapsed
            node.entries += 1
            self._stack.pop()
            if not self._stack:
                self.root.seconds += elapsed
                self.root.entries += 1
