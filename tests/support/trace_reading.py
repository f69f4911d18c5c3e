"""Reads the data of a trace's page, as the page does."""

from __future__ import annotations

import base64
import json
import re
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any


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
