"""Progress of long work on one line of stderr, where stderr is a terminal; a line a phase elsewhere."""

from __future__ import annotations

import shutil
import sys
import time
from dataclasses import dataclass, field
from typing import TextIO

TITLES = {
    "import": "reading the checkpoint",
    "nn": "nn: recognise and merge",
    "fusion": "fusion: form kernels",
    "quant": "quant: expand quantised values",
    "layout": "layout: memory, schedules, weight images",
    "ptx": "ptx: generate code",
    "dump": "tile, ptx: dumps of the whole module",
    "write": "write: the artefact",
    "load": "load: weights to the device",
}


@dataclass
class ProgressLine:
    """Callable as `progress(phase, what, done, total)`; leaving it as a context ends the line."""

    stream: TextIO = field(default_factory=lambda: sys.stderr)
    start: float = field(default_factory=time.perf_counter)
    phase: str = ""

    def __call__(self, phase: str, what: str, done: int, total: int) -> None:
        elapsed = time.perf_counter() - self.start
        title = TITLES.get(phase, phase)
        if self.stream.isatty():
            detail = f" {done}/{total} {what}" if total > 1 else ""
            line = f"[{elapsed:6.1f} s] {title}{detail}"
            self.stream.write(f"\r\x1b[K{line[: shutil.get_terminal_size().columns - 1]}")
            self.stream.flush()
        elif phase != self.phase:
            self.stream.write(f"[{elapsed:6.1f} s] {title}\n")
            self.stream.flush()
        self.phase = phase

    def warn(self, text: str) -> None:
        """Print a warning in place of the line, which goes on below."""
        self.close()
        print(f"warning: {text}", file=self.stream)

    def close(self) -> None:
        if self.stream.isatty() and self.phase:
            self.stream.write("\r\x1b[K")
            self.stream.flush()
        self.phase = ""

    def __enter__(self) -> ProgressLine:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
