"""Reads the data of a trace's page, as the page does; and a compilation that is killed while it is traced."""

from __future__ import annotations

import base64
import json
import os
import re
import signal
import subprocess
import sys
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
DIMS = 'tensor<?x4xf32, #nn.dims<["T", "_"]>>'
TEXT = f"""
func.func @main(%x: {DIMS}) -> {DIMS} {{
  %0 = nn.neg %x : ({DIMS}) -> {DIMS} loc("model.a"("m.py":3:1))
  %1 = nn.exp %0 : ({DIMS}) -> {DIMS} loc("model.b"("m.py":4:1))
  %2 = nn.exp %x : ({DIMS}) -> {DIMS}
  func.return %1 : {DIMS}
}}
"""

KILLED = """
import os, signal, sys
from llmc.compiler.driver.opt import main
from llmc.passes.fusion.generalise import Generalise
Generalise.run = lambda self, ctx, module: os.kill(os.getpid(), signal.SIGKILL)
main([sys.argv[1], "--pass-pipeline=canonicalize,generalise", "--lower-trace", sys.argv[2]])
"""


@dataclass
class Trace:
    """The records of a page by kind, and its stores."""

    records: list[dict[str, Any]]
    stores: dict[str, dict[str, Any]]

    def of(self, kind: str) -> list[dict[str, Any]]:
        return [r for r in self.records if r["k"] == kind]

    def state_of(self, number: int) -> dict[str, Any]:
        """The outline of the state in which op `number` stands."""
        return next(s for s in self.of("state") if s["base"] <= number < s["base"] + s["count"])

    def parents(self, number: int) -> list[int]:
        state = self.state_of(number)
        edges = self.stores[f"s{state['id']}"]["edges"][number - state["base"]]
        return edges if isinstance(edges, list) else [edges]

    def ancestors(self, number: int) -> list[int]:
        """The ops without origin from which op `number` comes."""
        found, work, seen = [], [number], set()
        while work:
            at = work.pop()
            if at in seen:
                continue
            seen.add(at)
            above = self.parents(at)
            work += above
            if not above:
                found.append(at)
        return found

    def name(self, number: int) -> str:
        state = self.state_of(number)
        store = self.stores[f"s{state['id']}"]
        return store["names"][store["name"][number - state["base"]]]

    def place(self, number: int) -> str:
        state = self.state_of(number)
        store = self.stores[f"s{state['id']}"]
        return store["places"][store["place"][number - state["base"]]]

    def line(self, number: int) -> str:
        state = self.state_of(number)
        store = self.stores[f"s{state['id']}"]
        return store["text"].split("\n")[store["first"][number - state["base"]]]


def read_trace(page: Path) -> Trace:
    """What a browser finds in a page: pieces that are whole."""
    text = page.read_text(encoding="utf-8", errors="replace")
    records = [json.loads(m) for m in re.findall(r'<script type="application/json" class="record">(.*?)</script>', text)]
    stores = {
        name: json.loads(zlib.decompress(base64.b64decode(packed)))
        for name, packed in re.findall(r'<script type="text/plain" class="store" id="(\w+)">(.*?)</script>', text)
    }
    return Trace(records, stores)


def kill_inside_a_pass(module: Path, trace: Path) -> None:
    """A compilation that dies by kill -9 in its second pass."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT / ".typing")}
    done = subprocess.run([sys.executable, "-c", KILLED, str(module), str(trace)], env=environment, check=False)
    assert done.returncode == -signal.SIGKILL
