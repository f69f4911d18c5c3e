"""`--mlir-timing`: where the time went, as mlir-opt prints it, to stderr.

Scopes in parentheses are no passes: `(parse)`, `(verify)`, `(print)` and `(analysis) name`, which the report calls Parser, (V) Verifier,
Output and (A) name. `Rest` is what a scope's parts leave over.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator

from ...passes.framework.timing import Scope, Timing
from ..commandline.report_frame import heading

TITLES = {"(parse)": "Parser", "(verify)": "(V) Verifier", "(print)": "Output"}
ANALYSIS = "(analysis) "
LEAST = 5e-5  # seconds below which a rest is not worth a row


def title(name: str) -> str:
    """What a scope is called in the report."""
    return f"(A) {name.removeprefix(ANALYSIS)}" if name.startswith(ANALYSIS) else TITLES.get(name, name)


def tree_rows(scope: Scope, total: float, depth: int = 0) -> Iterator[tuple[int, str, float, int]]:
    """(depth, name, seconds, entries) of every node below `scope`, in the order in which they ran, and what they leave of `total`."""
    for child in scope.children.values():
        yield depth, title(child.name), child.seconds, child.entries
        yield from tree_rows(child, child.seconds, depth + 1)
    rest = total - sum(child.seconds for child in scope.children.values())
    if depth == 0 or (scope.children and rest > LEAST and any(c.children for c in scope.children.values())):
        yield depth, "Rest", max(rest, 0.0), 1


def list_rows(scope: Scope, total: float) -> Iterator[tuple[int, str, float, int]]:
    """The same, flat: each name's own time (without what runs inside it), the longest first."""
    own: dict[str, tuple[float, int]] = {}

    def visit(node: Scope) -> None:
        for child in node.children.values():
            seconds, entries = own.get(child.name, (0.0, 0))
            inner = sum(c.seconds for c in child.children.values())
            own[child.name] = (seconds + child.seconds - inner, entries + child.entries)
            visit(child)

    visit(scope)
    for name, (seconds, entries) in sorted(own.items(), key=lambda item: -item[1][0]):
        yield 0, title(name), seconds, entries
    yield 0, "Rest", max(total - sum(c.seconds for c in scope.children.values()), 0.0), 1


def report(timing: Timing, total: float, display: str = "tree") -> str:
    """The report. `total` is the wall time of the whole command in seconds; `display` is "tree" or "list"."""
    rows = tree_rows(timing.root, total) if display == "tree" else list_rows(timing.root, total)
    whole = max(total, 1e-9)
    lines = [*heading("Execution time report"), f"  Total Execution Time: {total:.4f} seconds", ""]
    lines.append("  ----Wall Time----  ----Name----")
    for depth, name, seconds, entries in rows:
        times = f" (x{entries})" if entries > 1 else ""
        lines.append(f"  {seconds:9.4f} ({100 * seconds / whole:5.1f}%)  {'  ' * depth}{name}{times}")
    lines.append(f"  {total:9.4f} (100.0%)  Total")
    return "\n".join(lines)


def print_timing(timing: Timing, total: float, display: str = "tree") -> None:
    print(report(timing, total, display), file=sys.stderr)
