"""Standard output that is closed or full is an error like that of any file, and what passes print is not taken for IR."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from commands import Command

ROOT = Path(__file__).parents[3]
RESHAPES = """
  %0 = nn.reshape %x : (tensor<4xf32>) -> tensor<2x2xf32>
  %1 = nn.reshape %0 : (tensor<2x2xf32>) -> tensor<4xf32>
"""
IR = "func.func @main(%x: tensor<4xf32>) -> tensor<4xf32> {" + RESHAPES + "  func.return %1 : tensor<4xf32>\n}\n"
COMMANDS = {
    "llmc-opt": "llmc.compiler.driver.opt {}",
    "llmc-opt that lists": "llmc.compiler.driver.opt --list-targets",
    "llmc-opt that helps": "llmc.compiler.driver.opt --help",
    "llmc that helps": "llmc.compiler.driver.llmc run --help",
    "llmc that tells its version": "llmc.compiler.driver.llmc --version",
    "llmc explain": "llmc.compiler.driver.llmc explain LLMC0005",
    "llmc explain of everything": "llmc.compiler.driver.llmc explain",
    "llmc-reduce": "llmc.compiler.reduce.command {} --test true --quiet",
    "llmc bisect": "llmc.compiler.driver.llmc bisect {} --pass-pipeline=canonicalize --test 'grep -q 2x2' -o {}.bisect",
}


def shell(words: str, more: str, folder: Path) -> subprocess.CompletedProcess[str]:
    source = folder / "in.mlir"
    source.write_text(IR)
    line = f"{sys.executable} -m {words.replace('{}', str(source))} {more}"
    environment = {"PYTHONPATH": str(ROOT / ".typing"), "PATH": "/usr/bin:/bin", "LLMC_CACHE_DIR": str(folder)}
    return subprocess.run(["/bin/sh", "-c", line], capture_output=True, text=True, env=environment, check=False)


@pytest.mark.parametrize("words", [*COMMANDS.values()], ids=[*COMMANDS])
@pytest.mark.parametrize(("where", "why"), [(">&-", "it is closed"), (">/dev/full", "No space left")])
def test_it_can_not_be_written_to_and_the_command_says_so(words: str, where: str, why: str, tmp_path: Path):
    done = shell(words, where, tmp_path)
    assert done.returncode == 1, done
    assert "error[LLMC0005]: can't write standard output" in done.stderr and why in done.stderr, done
    assert "Exception ignored" not in done.stderr and "Traceback" not in done.stderr, done


@pytest.mark.parametrize("where", [">&-", ">/dev/full"])
def test_it_may_be_so_where_nothing_is_written_to_it(where: str, tmp_path: Path):
    done = shell("llmc.compiler.driver.opt {} -o {}.out", where, tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert "func.return" in (tmp_path / "in.mlir.out").read_text()


def test_errors_do_not_go_to_it_where_the_other_is_closed(tmp_path: Path):
    done = shell("llmc.compiler.driver.opt {} --pass-pipeline=none", "2>&-", tmp_path)
    assert (done.returncode, done.stdout) == (1, "")


PRINTING = """\
from dataclasses import dataclass
from llmc.passes.framework.pass_ import Pass

print("loaded")

@dataclass(frozen=True)
class Talks(Pass):
    name = "talk"

    def run(self, ctx, module):
        print("running")
"""


@pytest.mark.parametrize("flag", ["--pass-pipeline=talk", "--talk"])
def test_what_passes_and_plugins_print_goes_to_the_other(flag: str, command: Command, tmp_path: Path):
    (tmp_path / "talk.py").write_text(PRINTING)
    (tmp_path / "in.mlir").write_text(IR)
    plugin = f"--load-pass-plugin={tmp_path / 'talk.py'}"
    outcome = command("opt", tmp_path / "in.mlir", plugin, flag)
    assert outcome.out == command("opt", tmp_path / "in.mlir").out
    assert outcome.err == "loaded\nrunning\n"
    assert "loaded" not in command("opt", "--list-passes", plugin).out
