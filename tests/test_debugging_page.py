"""docs/debugging.md does what it says: its files are written, its commands run in order, and what fails fails as shown."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from doc_pages import Done, Step, page_commands, steps
from llmc.compiler.driver.model_commands import gpu_missing

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "debugging.md").read_text()
STEPS = steps(PAGE)


def here(line: str) -> bool:
    """Whether a command can be run on this machine."""
    return not ("--device cuda" in line and gpu_missing() is not None)


def expected_error(at: int) -> str:
    """The first line of the error that the page shows below the block, or nothing."""
    following = STEPS[at + 1] if at + 1 < len(STEPS) else None
    return following.text.splitlines()[0] if following is not None and following.text.startswith("error[") else ""


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[Step, Done, str]]:
    """Every block of the page, in order: what its commands printed, and the error that the page shows."""
    run = page_commands(tmp_path_factory.mktemp("debugging"))
    (run.directory / "examples").symlink_to(ROOT / "examples")
    found: list[tuple[Step, Done, str]] = []
    for at, step in enumerate(STEPS):
        if step.file:
            (run.directory / step.file).write_text(step.text)
        elif step.language == "sh":
            text = "\n".join(line for line in step.text.splitlines() if here(line))
            found.append((step, run(text), expected_error(at)))
    return found


def test_every_block_does_what_the_page_says(done: list[tuple[Step, Done, str]]):
    for _, each, error in done:
        shown = f"{each.text}\n{each.out[-2000:]}\n{each.err[-3000:]}"
        assert (each.code != 0) == bool(error), shown
        assert re.sub(r"\d+", "N", error) in re.sub(r"\d+", "N", each.err), shown
        if error:
            assert error.split("]")[0] in each.err, shown


def printed(done: list[tuple[Step, Done, str]], command: str) -> Done:
    return next(d for _, d, _ in done if command in d.text)


def test_a_deadlock_is_reported_with_kernel_warps_ctas_and_line(done: list[tuple[Step, Done, str]]):
    said = printed(done, "llmc run hang").err
    assert re.search(r"kernel attention_\w+_decode\n +warps 0\.\.3 of CTAs 0\.\.\d+: PTX line \d+: bar\.sync 0, 288;", said)


def test_an_mbarrier_that_never_completes_is_reported_for_both_sides(done: list[tuple[Step, Done, str]]):
    said = printed(done, "python alone.py").err
    assert "warp 0 of CTA 0" in said and "warps 1..2 of CTA 0" in said and said.count("mbarrier.try_wait") == 2


def test_bisection_finds_what_the_page_shows(done: list[tuple[Step, Done, str]]):
    shown = next(s.text for s in STEPS if s.text.startswith("pass 'my-pass' on"))
    assert re.sub(r"plugin=\S*/", "plugin=", printed(done, "--test-numerics").out).startswith(shown)


def test_the_reduced_model_is_small(done: list[tuple[Step, Done, str]]):
    sizes = [int(n) for n in re.findall(r"llmc-reduce: (\d+) ops", printed(done, "llmc-reduce crash.mlir").err)]
    assert sizes and min(sizes) <= 4
