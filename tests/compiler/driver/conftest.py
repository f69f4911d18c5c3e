"""A tiny checkpoint, an artefact of it, and the commands called in process."""

from __future__ import annotations

from pathlib import Path

import pytest
from commands import Command, Outcome, write_checkpoint
from llmc.compiler.driver import llmc as llmc_command
from llmc.compiler.driver import opt as opt_command
from shared import once, run_folder


@pytest.fixture
def command(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> Command:
    """`command("run", …)` calls llmc, `command("opt", …)` llmc-opt."""
    monkeypatch.setenv("LLMC_CACHE_DIR", str(run_folder(tmp_path_factory) / "cache"))
    monkeypatch.delenv("LLMC_DEVICE", raising=False)

    def call(name: str, *arguments: object) -> Outcome:
        argv = [str(a) for a in arguments]
        capsys.readouterr()
        try:
            code = opt_command.main(argv) if name == "opt" else llmc_command.main([name, *argv])
        except SystemExit as leaving:
            code = int(leaving.code or 0)
        captured = capsys.readouterr()
        return Outcome(code, captured.out, captured.err)

    return call


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny checkpoint; tests that spoil it take a copy."""
    pytest.importorskip("transformers")
    return once(tmp_path_factory, "checkpoints", lambda folder: write_checkpoint(folder / "tiny")) / "tiny"


@pytest.fixture(scope="session")
def artefact(checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny checkpoint built for the emulator; tests that spoil it take a copy."""

    def make(folder: Path) -> None:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("LLMC_CACHE_DIR", str(run_folder(tmp_path_factory) / "cache"))
            assert llmc_command.main(["build", str(checkpoint), "-o", str(folder / "tiny"), "--device", "emulator"]) == 0

    return once(tmp_path_factory, "artefacts", make) / "tiny"
