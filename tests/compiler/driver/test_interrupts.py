"""Ctrl-C ends every command with one word, also before its own work begins."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
PROGRAM = """\
import os, signal, sys

class Interrupting:
    def find_spec(self, name, path=None, target=None):
        if name == "xdsl.ir":
            os.kill(os.getpid(), signal.SIGINT)

sys.meta_path.insert(0, Interrupting())
from llmc.compiler.{} import main
sys.exit(main({!r}))
"""


@pytest.mark.parametrize(
    ("module", "arguments"),
    [
        ("driver.llmc", ["run", "model", "--prompt", "fox"]),
        ("driver.llmc", ["build", "model", "-o", "out"]),
        ("driver.opt", ["model.nn"]),
        ("reduce.command", ["model.nn"]),
    ],
)
def test_an_interrupt_while_modules_are_imported_ends_quietly(module: str, arguments: list[str], tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM.format(module, arguments)],
        capture_output=True, text=True, cwd=tmp_path, env={"PYTHONPATH": str(ROOT / ".typing")}, check=False,
    )  # fmt: skip
    assert done.stderr == "interrupted\n" and done.stdout == ""
    assert done.returncode in (130, -signal.SIGINT)  # which are the same to a shell
