"""A trace of the tiny checkpoint, and one browser for all pages."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from browser import Browser, find_browser
from commands import write_checkpoint
from llmc.compiler.driver import llmc as llmc_command
from shared import once


@pytest.fixture(scope="session")
def traced(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a trace of `llmc build` on a llama of one layer."""
    pytest.importorskip("transformers")

    def make(folder: Path) -> None:
        checkpoint = write_checkpoint(folder / "tiny")
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("LLMC_CACHE_DIR", str(folder / "cache"))
            arguments = ["build", checkpoint, "-o", folder / "out", "--device", "emulator", "--trace", folder / "trace"]
            assert llmc_command.main([str(a) for a in arguments]) == 0

    return once(tmp_path_factory, "traced", make) / "trace"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    if find_browser() is None:
        pytest.skip("no Chromium is installed")
    with Browser() as found:
        yield found
