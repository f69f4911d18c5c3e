"""docs/driver.md has every flag of llmc-opt, and every test that it names exists."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest
from llmc.compiler.driver.opt import parser

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "driver.md").read_text()
ROWS = [
    [cell.strip() for cell in line.strip("|").split("|")]
    for line in PAGE.splitlines()
    if line.startswith("| ") and not line.startswith("| feature")
]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0])
def test_a_feature_is_shown_by_a_test_that_exists(row: list[str]):
    named = re.findall(r"`(tests/[\w/.-]+)(?:::(\w+))?`", row[-1])
    assert named and len(row) == 3
    for file, function in named:
        path = ROOT / file
        assert path.exists(), file
        tests = {node.name for node in ast.parse(path.read_text()).body if isinstance(node, ast.FunctionDef)}
        assert any(name.startswith("test_") for name in tests) and (not function or function in tests), (file, function)


def test_every_flag_stands_on_the_page():
    flags = {
        flag
        for action in parser()._actions  # pyright: ignore[reportPrivateUsage]
        for flag in action.option_strings
        if flag != "-h"
    }
    cells = " ".join(row[1] for row in ROWS)
    assert not {flag for flag in flags if not re.search(rf"(?<![\w-]){re.escape(flag)}(?![\w-])", cells)}
