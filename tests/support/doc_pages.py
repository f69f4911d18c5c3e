"""Pages of docs/ as programs: their blocks, and a place to run them."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
BLOCK = re.compile(r"^( *)```(\w*)\n(.*?)^\1```$", re.DOTALL | re.MULTILINE)
COMMANDS = {"llmc": "llmc", "llmc-opt": "opt", "llmc-reduce": "reduce", "llmc-lsp": "lsp"}


class Step(NamedTuple):
    """A block of a page; `file` is the name that the words before it give it ("write `x.py`:"), or nothing."""

    language: str
    file: str
    text: str


class Done(NamedTuple):
    """A block that was run."""

    text: str
    code: int
    out: str
    err: str


def steps(page: str) -> list[Step]:
    """The blocks of a page, in order."""
    found: list[Step] = []
    for match in BLOCK.finditer(page):
        named = re.search(r"[Ww]rite\s+`([^`]+)`:$", page[: match.start()].rstrip())
        found.append(Step(match.group(2), named.group(1) if named else "", match.group(3)))
    return found


@dataclass
class PageCommands:
    """Runs shell blocks in `directory`, with llmc's commands of this tree on PATH."""

    directory: Path
    environment: dict[str, str]

    def __call__(self, text: str, timeout: float = 300) -> Done:
        shell = ["sh", "-e", "-c", text]
        done = subprocess.run(shell, cwd=self.directory, env=self.environment, capture_output=True, text=True, timeout=timeout)
        return Done(text, done.returncode, done.stdout, done.stderr)


def page_commands(place: Path) -> PageCommands:
    """A folder for a page's commands, and a cache of its own, below `place`."""
    directory, binaries = place / "page", place / "bin"
    directory.mkdir()
    binaries.mkdir()
    for command, module in COMMANDS.items():
        script = binaries / command
        package = "reduce.command" if module == "reduce" else f"driver.{module}"
        script.write_text(f'#!/bin/sh\nPYTHONPATH={ROOT / ".typing"} exec {sys.executable} -m llmc.compiler.{package} "$@"\n')
        script.chmod(0o755)
    paths = [str(binaries), str(Path(sys.executable).parent), os.environ.get("PATH", "")]
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("LLMC_", "PYTEST_"))}
    return PageCommands(
        directory,
        {**kept, "PATH": ":".join(paths), "PYTHONPATH": str(ROOT / ".typing"), "LLMC_CACHE_DIR": str(place / "cache")},
    )
