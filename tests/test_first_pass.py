"""docs/first-pass.md does what it says: its files are written and its commands run, in a tree that shares everything else."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
OWN = ("passes/nn", "tests/filecheck/passes/nn", "tests/passes/nn")  # the folders that the page writes into


def share(source: Path, target: Path, depth: tuple[str, ...]) -> None:
    """`target` as a folder of links into `source`; the folders on the way to `depth` are folders of their own."""
    target.mkdir()
    for entry in source.iterdir():
        if entry.name.startswith((".git", ".pytest", "__pycache__")):
            continue
        inner = tuple(d.split("/", 1)[1] if "/" in d else "" for d in depth if d.split("/", 1)[0] == entry.name)
        if inner:
            share(entry, target / entry.name, inner)
        elif entry.name != ".typing":
            (target / entry.name).symlink_to(entry)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """The repository, as links, with `llmc` and `llmc-opt` on PATH."""
    root = tmp_path / "llmc"
    share(ROOT, root, OWN)
    (root / "tests" / "filecheck" / "lit.cfg.py").unlink()  # a link would lead back to the repository
    (root / "tests" / "filecheck" / "lit.cfg.py").write_text((ROOT / "tests" / "filecheck" / "lit.cfg.py").read_text())
    (root / ".typing").mkdir()
    (root / ".typing" / "llmc").symlink_to(root)
    (tmp_path / "bin").mkdir()
    for command, module in (("llmc", "llmc"), ("llmc-opt", "opt")):
        script = tmp_path / "bin" / command
        script.write_text(f'#!/bin/sh\nexec {sys.executable} -m llmc.compiler.driver.{module} "$@"\n')
        script.chmod(0o755)
    return root


def steps(page: str) -> list[tuple[str, str, str]]:
    """(language, file or nothing, text) of every block; a file is named by the last words before its block."""
    found: list[tuple[str, str, str]] = []
    for match in BLOCK.finditer(page):
        before = page[: match.start()].rstrip()
        named = re.search(r"[Ww]rite\s+`([^`]+)`:$", before)
        found.append((match.group(1), named.group(1) if named else "", match.group(2)))
    return found


def test_the_page_works(tree: Path):
    paths = [str(tree.parent / "bin"), str(Path(sys.executable).parent), os.environ.get("PATH", "")]
    environment = {
        **os.environ,
        "PATH": ":".join(paths),
        "PYTHONPATH": str(tree / ".typing"),
        "LLMC_CACHE_DIR": str(tree.parent / "cache"),
    }
    for language, file, text in steps((ROOT / "docs" / "first-pass.md").read_text()):
        if file:
            (tree / file).write_text(text)
        elif language == "sh":
            done = subprocess.run(["sh", "-e", "-c", text], cwd=tree, env=environment, capture_output=True, text=True)
            assert done.returncode == 0, f"{text}\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}"
