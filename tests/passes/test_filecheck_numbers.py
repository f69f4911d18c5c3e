"""Every pipeline of the passes' filecheck tests leaves the numbers alone."""

from __future__ import annotations

import re
import shlex
from itertools import pairwise
from pathlib import Path

import pytest
from llmc.compiler.numerics.instrument import NumericsCheck
from llmc.dialects.ir.context import make_context
from llmc.dialects.ir.parsing import parse_module
from llmc.passes.framework.manager import PassManager
from llmc.passes.framework.pass_ import PassContext
from llmc.passes.framework.pipeline import parse_pipeline

FOLDER = Path(__file__).parents[1] / "filecheck" / "passes"
FILES = sorted(str(p.relative_to(FOLDER)) for p in FOLDER.rglob("*.mlir"))


def pipelines(text: str, scratch: Path) -> list[str]:
    """The pipelines of a file's RUN lines, of those that are to succeed on the file as a whole; `scratch` stands for lit's %t."""
    found: list[str] = []
    for line in re.findall(r"// RUN: (.*)", text):
        command = shlex.split(line.split("|")[0].replace("%s", "FILE").replace("%t", str(scratch)))
        if "not" in command or "--verify-diagnostics" in command:
            continue
        found += [b for a, b in pairwise(command) if a == "--pass-pipeline"]
        found += [a.partition("=")[2] for a in command if a.startswith("--pass-pipeline=")]
    return list(dict.fromkeys(found))


@pytest.mark.parametrize("name", FILES)
def test_the_pipeline_computes_what_the_file_says(name: str, tmp_path: Path) -> None:
    text = (FOLDER / name).read_text()
    for chunk in text.split("// -----"):
        for pipeline in pipelines(text, tmp_path / "t"):
            context = make_context()
            check = NumericsCheck()
            PassManager(PassContext(context), instruments=[check]).run(
                parse_pipeline(pipeline), parse_module(context, chunk, name, locate=True)
            )
            assert len(check.summary.outcomes) >= 1
