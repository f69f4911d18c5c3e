"""The lines of Python that locations name, so that the page can show them without the files."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

PLACE = re.compile(r"([\w./\-]+\.py):(\d+)")


@dataclass
class Sources:
    """Finds files as locations name them: from the working folder, or below a folder of Python's path."""

    roots: tuple[str, ...] = field(default_factory=lambda: ("", *sys.path))
    _files: dict[str, list[str]] = field(default_factory=dict[str, list[str]])
    _given: set[str] = field(default_factory=set[str])

    def new(self, places: Iterable[str]) -> dict[str, str]:
        """`file:line` → its text, for those that locations in words mention and that were not given before."""
        found: dict[str, str] = {}
        for place in places:
            for match in PLACE.finditer(place):
                key = match.group(0)
                if key in self._given:
                    continue
                self._given.add(key)
                lines = self._lines(match.group(1))
                number = int(match.group(2))
                if 0 < number <= len(lines):
                    found[key] = lines[number - 1].strip()
        return found

    def _lines(self, name: str) -> list[str]:
        if name not in self._files:
            self._files[name] = []
            for root in self.roots:
                path = Path(root) / name
                try:
                    if path.is_file():
                        self._files[name] = path.read_text(encoding="utf-8", errors="replace").splitlines()
                        break
                except OSError:
                    continue
        return self._files[name]
