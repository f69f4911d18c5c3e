"""`--debug-counter`, `--print-debug-counter`, `--opt-bisect-limit`: passes and rewrites counted, and cut off by number."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from xdsl.dialects.builtin import ModuleOp
from xdsl.ir import Operation

from ....dialects.ir.diagnostics import LlmcError
from ....passes.framework.actions import Counter
from ....passes.framework.pass_ import Pass, PassContext
from .base import CommandInstrument

COUNTER = re.compile(r"([^=\s]+)=(\d+)(?::(\d+))?")


def counters_of(texts: Iterable[str]) -> dict[str, Counter]:
    """The counters that `TAG=SKIP[:COUNT]` texts ask for. Raises LLMC0255 for a text of another form."""
    counters: dict[str, Counter] = {}
    for text in texts:
        match = COUNTER.fullmatch(text.strip())
        if match is None:
            raise LlmcError(
                "LLMC0255", f"'{text}' is no debug counter", "--debug-counter", fix="write TAG=SKIP or TAG=SKIP:COUNT, as in pass=3:1"
            )  # fmt: skip
        tag, skip, count = match.groups()
        counters[tag] = Counter(int(skip), int(count) if count is not None else None)
    return counters


@dataclass
class Counters(CommandInstrument):
    """Tells at the end which counters never counted anything, and with `show` what all of them saw."""

    given: tuple[str, ...]
    show: bool
    context: PassContext | None = None

    def start(self, context: PassContext, root: ModuleOp) -> None:
        self.context = context

    def finish(self) -> None:
        counters = self.context.actions.counters if self.context is not None else {}
        for tag in self.given:
            if counters[tag].seen == 0:
                known = ", ".join(t for t, c in sorted(counters.items()) if c.seen) or "none"
                print(f"warning: --debug-counter: '{tag}' never occurred (what did: {known})", file=sys.stderr)
        if self.show:
            print("Counters and values {seen, taken, skip, count}:", file=sys.stderr)
            for tag, c in sorted(counters.items()):
                print(f"  {tag}: {{{c.seen},{c.taken},{c.skip},{-1 if c.count is None else c.count}}}", file=sys.stderr)


@dataclass
class OptBisect(CommandInstrument):
    """Numbers the applications of optional passes from 1, and lets those up to `limit` run (-1: all)."""

    limit: int
    number: int = 0
    place: str = "builtin.module"

    def enter(self, anchor: Any) -> None:
        self.place = str(anchor)

    def leave(self, anchor: Any) -> None:
        self.place = "builtin.module"

    def wants(self, pass_: Pass, module: Operation) -> bool:
        self.number += 1
        runs = self.limit < 0 or self.number <= self.limit
        print(f"BISECT: {'' if runs else 'NOT '}running pass ({self.number}) {pass_.name} on {self.place}", file=sys.stderr)
        return runs


def from_arguments(arguments: argparse.Namespace) -> list[CommandInstrument]:
    found: list[CommandInstrument] = []
    if arguments.debug_counter or arguments.print_debug_counter:
        found.append(Counters(tuple(counters_of(arguments.debug_counter)), arguments.print_debug_counter))
    if arguments.opt_bisect_limit is not None:
        found.append(OptBisect(arguments.opt_bisect_limit))
    return found
