"""`--mlir-pass-statistics`: what passes counted, summed by pass or for each application in the order of the pipeline, to stderr."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from xdsl.dialects.builtin import ModuleOp
from xdsl.ir import Operation

from ....passes.framework.pass_ import Pass, PassContext
from ..report_frame import heading
from .base import CommandInstrument
from .form import Anchors

Table = dict[str, int]


@dataclass
class Node:
    """A pass, or the pipeline of an anchor, and what stands inside."""

    name: str
    table: Table = field(default_factory=Table)
    children: list[Node] = field(default_factory=lambda: [])


@dataclass
class PassStatistics(CommandInstrument):
    """`display`: "list" (one table a pass, by name) or "pipeline" (as the passes are nested; the applications of a nested pass on
    several ops are one line)."""

    display: str
    context: PassContext | None = None
    anchors: Anchors = field(default_factory=Anchors)
    pipeline: list[Node] = field(default_factory=list[Node])
    _before: list[Table] = field(default_factory=list[Table])

    def start(self, context: PassContext, root: ModuleOp) -> None:
        self.context, self.anchors.root = context, root

    def enter(self, anchor: Any) -> None:
        self.anchors.enter(anchor.op)

    def leave(self, anchor: Any) -> None:
        self.anchors.leave()

    def _table(self, pass_: Pass) -> Table:
        return dict(self.context.statistics.get(pass_.name, {})) if self.context is not None else {}

    def before(self, pass_: Pass, module: Operation) -> None:
        self._before.append(self._table(pass_))

    def after(self, pass_: Pass, module: Operation, seconds: float) -> None:
        before = self._before.pop()
        counted = {k: v - before.get(k, 0) for k, v in self._table(pass_).items() if v != before.get(k, 0)}
        self._record(pass_, self.anchors.path(module), counted)

    def failed(self, pass_: Pass, module: Operation, error: BaseException) -> None:
        self.after(pass_, module, 0.0)

    def _record(self, pass_: Pass, path: Sequence[Operation], counted: Table) -> None:
        nodes = self.pipeline
        for op in path[1:]:
            name = f"'{op.name}' Pipeline"
            if not nodes or nodes[-1].name != name:
                nodes.append(Node(name))
            nodes = nodes[-1].children
        if len(path) > 1:
            found = next((n for n in nodes if n.name == pass_.name), None)
            if found is not None:
                for key, amount in counted.items():
                    found.table[key] = found.table.get(key, 0) + amount
                return
        nodes.append(Node(pass_.name, counted))

    def finish(self) -> None:
        print("\n".join([*heading("Pass statistics report"), *self._lines()]), file=sys.stderr)

    def _lines(self) -> Iterable[str]:
        if self.display == "pipeline":
            for node in self.pipeline:
                yield from _lines_of(node, 0)
            return
        tables: dict[str, Table] = {}
        for node in _passes(self.pipeline):
            table = tables.setdefault(node.name, {})
            for key, amount in node.table.items():
                table[key] = table.get(key, 0) + amount
        for name in sorted(n for n, table in tables.items() if table):
            yield name
            yield from _rows(tables[name], 1)


def _passes(nodes: Iterable[Node]) -> Iterable[Node]:
    """The passes among nodes and below them."""
    for node in nodes:
        if node.children:
            yield from _passes(node.children)
        else:
            yield node


def _lines_of(node: Node, depth: int) -> Iterable[str]:
    yield "  " * depth + node.name
    yield from _rows(node.table, depth + 1)
    for child in node.children:
        yield from _lines_of(child, depth + 1)


def _rows(table: Mapping[str, int], depth: int) -> Iterable[str]:
    width = max((len(str(v)) for v in table.values()), default=0)
    for key, amount in table.items():
        yield f"{'  ' * depth}(S) {amount:{width}d} {key}"


def from_arguments(arguments: argparse.Namespace) -> list[CommandInstrument]:
    display = arguments.mlir_pass_statistics_display
    return [PassStatistics(display or "pipeline")] if arguments.mlir_pass_statistics or display else []
