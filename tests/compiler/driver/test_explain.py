"""`llmc explain` knows every error code, pass, schedule and target, also where no docs are installed."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from commands import Command
from llmc.compiler.driver.error_catalogue import catalogue
from llmc.compiler.phases import make_registry

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize("word", ["LLMC0221", "llmc0221", "221", "0221"])
def test_a_code_is_explained_with_messages_causes_and_remedies(command: Command, word: str) -> None:
    result = command("explain", word)
    assert result.code == 0 and result.out.startswith("LLMC0221: Passes, pipelines, commands, artefacts")
    assert (
        "is damaged" in result.out and "why: " in result.out and "fix: " in result.out and "compiler/artefact.py" in result.out
    )


def test_without_a_word_every_code_is_listed(command: Command) -> None:
    listed = command("explain").out
    assert all(f"  {code}  " in listed for code in catalogue(ROOT))


def test_passes_are_explained_with_options_and_example(command: Command) -> None:
    out = command("explain", "quantise-linears").out
    assert out.startswith("pass quantise-linears") and "Before:" in out and "After:" in out and "`skip`" in out


def test_every_name_has_an_explanation(command: Command) -> None:
    registry = make_registry(())
    for name in (*registry.passes(), *registry.pipelines(), *registry.schedules.names(), *registry.targets.all()):
        result = command("explain", name)
        assert result.code == 0 and name in result.out and len(result.out.splitlines()) > 2, name


@pytest.mark.parametrize(
    ("word", "near"), [("zzzzzz", "give an error code"), ("9999", "near it are"), ("fold-kernels", "form-kernels")]
)
def test_unknown_words_get_near_ones(command: Command, word: str, near: str) -> None:
    command("explain", word).refused("LLMC0267", near)


def test_it_needs_nothing_but_the_package(tmp_path: Path) -> None:
    for folder in ("codegen", "compiler", "dialects", "passes", "runtime"):
        shutil.copytree(ROOT / folder, tmp_path / "llmc" / folder, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copyfile(ROOT / "__init__.py", tmp_path / "llmc" / "__init__.py")
    command = [sys.executable, "-m", "llmc.compiler.driver.llmc", "explain", "LLMC0001"]
    done = subprocess.run(command, cwd=tmp_path, env={"PYTHONPATH": str(tmp_path), "PATH": ""}, capture_output=True, text=True)
    assert done.returncode == 0 and "syntax error" in done.stdout, done.stderr
