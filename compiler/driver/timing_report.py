"""`--mlir-timing`: the tree of times, as mlir-opt prints it, to stderr."""

from __future__ import annotations

import sys
from collections.abc import Iterator

from ...passes.framework.timing import Scope, Timing


def rows(scope: Scope, depth: int = 0) -> Iterator[tuple[int, str, float, int]]:
    """(depth, name, seconds, entries) of every node below `scope`, and what its children leave over."""
    for child in scope.children.values():
        yield depth, child.name, child.seconds, child.entries
        yield from rows(child, depth + 1)


def print_timing(timing: Timing) -> None:
    total = timing.root.seconds or 1e-9
    print("===- Pass execution timing report -===", file=sys.stderr)
    for depth, name, seconds, entries in rows(timing.root):
        times = f" ({entries} times)" if entries > 1 else ""
        print(f"  {seconds:9.4f} s  {100 * seconds / total:5.1f} %  {'  ' * depth}{name}{times}", file=sys.stderr)
    print(f"  {total:9.4f} s  100.0 %  total", file=sys.stderr)
