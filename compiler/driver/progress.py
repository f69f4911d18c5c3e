"""Progress of long work on one line of stderr, where stderr is a terminal; a line a phase elsewhere."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass, field
from typing import TextIO


@dataclass
class ProgressLine:
    """Callable as `progress(phase, what, done, total)`; `close()` ends the line."""

    stream: TextIO = field(default_factory=lambda: sys.stderr)
    start: float = field(default_factory=time.perf_counter)
    phase: str = ""

    def __call__(self, phase: str, what: str, done: int, total: int) -> None:
        elapsed = time.perf_counter() - self.start
        if self.stream.isatty():
            detail = f" {done}/{total} {what}" if total > 1 else ""
            self.stream.write(f"\r\x1b[K[{elapsed:6.1f} s] {phase}{detail[:90]}")
            self.stream.flush()
        elif phase != self.phase:
            self.stream.write(f"[{elapsed:6.1f} s] {phase}\n")
        self.phase = phase

    def close(self) -> None:
        if self.stream.isatty() and self.phase:
            self.stream.write("\r\x1b[K")
            self.stream.flush()
