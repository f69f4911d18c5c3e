"""What all test workers of a run use and one of them makes."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

PATIENCE_SECONDS = 240


def run_folder(factory: pytest.TempPathFactory) -> Path:
    """The folder of this run of the tests, the same for all workers."""
    base = factory.getbasetemp()
    return base.parent if "PYTEST_XDIST_WORKER" in os.environ else base


def once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], None]) -> Path:
    """The folder `name`, filled by `make` in the worker that asks for it first; the others wait for it."""
    folder = run_folder(factory) / name
    done, failed = folder / ".done", folder / ".failed"
    try:
        folder.mkdir()
    except FileExistsError:
        end = time.monotonic() + PATIENCE_SECONDS
        while not done.exists():
            assert not failed.exists(), f"{folder} could not be made: see the worker that tried"
            assert time.monotonic() < end, f"{folder} is not made after {PATIENCE_SECONDS} s"
            time.sleep(0.1)
        return folder
    try:
        make(folder)
    except BaseException:
        failed.touch()
        raise
    done.touch()
    return folder
