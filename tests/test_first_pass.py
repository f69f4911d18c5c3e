"""docs/first-pass.md does what it says: its files are written, its commands run, and its pass is as small and useful as promised."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest
from doc_pages import Done, page_commands, steps

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "first-pass.md").read_text()
LINES = 30


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> list[Done]:
    """Every block of the page, in order: what its commands printed."""
    run = page_commands(tmp_path_factory.mktemp("first"))
    (run.directory / "examples").symlink_to(ROOT / "examples")
    found: list[Done] = []
    for step in steps(PAGE):
        if step.file:
            (run.directory / step.file).write_text(step.text)
        elif step.language == "sh":
            found.append(run(step.text))
    return found


def printed(done: list[Done], command: str) -> Done:
    """What the block with `command` in it printed."""
    return next(d for d in done if command in d.text)


def test_every_block_works(done: list[Done]):
    for each in done:
        assert each.code == 0, f"{each.text}\n{each.out[-2000:]}\n{each.err[-2000:]}"


def test_the_pass_has_at_most_thirty_lines():
    text = next(s.text for s in steps(PAGE) if s.file.endswith("select_earlier.py"))
    docstrings: set[int] = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            docstrings |= set(range(node.lineno, (node.end_lineno or 0) + 1))
    code = [n for n, line in enumerate(text.splitlines(), 1) if line.strip() and line.strip()[0] != "#" and n not in docstrings]
    assert len(code) <= LINES


def test_the_model_says_the_same_with_fewer_instructions(done: list[Done]):
    both = printed(done, "cmp first/before.txt").err
    before, after = (int(n.replace(",", "")) for n in re.findall(r"([\d,]+) to the first token", both))
    assert after < 0.95 * before
    later = re.findall(r"([\d,]+) for each after it", both)
    assert later[0] == later[1], "decoding selects nothing"


def test_the_page_shows_what_the_commands_print(done: list[Done]):
    """To a tenth: kernels change, and with them the numbers."""
    shown, real = (
        [int(n.replace(",", "")) for n in re.findall(r"([\d,]{5,}) (?:to the first|for each)", text)]
        for text in (PAGE, printed(done, "cmp first/before.txt").err)
    )
    assert shown == pytest.approx(real, rel=0.1)


def test_the_selection_moved_past_the_last_layer(done: list[Done]):
    before = printed(done, "-B 16 'nn.select_token'").out
    assert before.index("nn.rms_norm") < before.index("nn.silu") < before.index("nn.select_token")
    after = printed(done, "-A 16 'nn.select_token'").out
    assert after.index("nn.select_token") < after.index("nn.linear") < after.index("nn.silu")


def test_a_build_with_the_plugin_has_the_pass(done: list[Done]):
    """Both ways to the artefact give as many launches."""
    launches = re.findall(r"program prefill: (\d+) launches", done[-1].out)
    assert launches and int(launches[0]) < 69
