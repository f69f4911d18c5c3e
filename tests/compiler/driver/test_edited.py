"""`llmc build OUT --ir FILE`: an edited dump of any phase becomes an artefact that runs."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
from commands import Command

EMULATOR = ("--device", "emulator")
PROMPT = ("--prompt", "once upon", "--max-tokens", "4", *EMULATOR)


def ptx(artefact: Path) -> dict[str, str]:
    return {p.name: p.read_text() for p in (artefact / "ptx").iterdir()}


@pytest.mark.parametrize("phase", ["nn", "layout", "ptx"])  # tests/acceptance/test_restart.py compiles on from all six
def test_an_unchanged_dump_gives_the_same_kernels(command: Command, artefact: Path, tmp_path: Path, phase: str) -> None:
    built = command("build", artefact, "--ir", artefact / "ir" / f"model.{phase}", "-o", tmp_path / "new", *EMULATOR)
    assert built.code == 0, built
    assert ptx(tmp_path / "new") == ptx(artefact)
    assert command("run", tmp_path / "new", *PROMPT).out == command("run", artefact, *PROMPT).out


def test_a_schedule_edited_in_place_changes_its_kernels_and_no_token(command: Command, artefact: Path, tmp_path: Path) -> None:
    out = Path(shutil.copytree(artefact, tmp_path / "out"))
    dump = out / "ir" / "model.layout"
    text = dump.read_text()
    schedule = r'#layout\.schedule<"(?:gather|pointwise)", \{[^}]*\}>'
    edited = {f"{name}.ptx" for name in re.findall(rf"layout\.kernel @(\w+)[^\n]* schedule = {schedule}", text)}
    dump.write_text(re.sub(schedule, '#layout.schedule<"generic", {}>', text))
    command("run", out, *PROMPT).refused("LLMC0221", "llmc build", "--ir")
    built = command("build", out, "--ir", dump, "-o", tmp_path / "new", *EMULATOR)
    assert built.code == 0, built
    before, after = ptx(artefact), ptx(tmp_path / "new")
    assert edited and {name for name in before if before[name] != after[name]} == edited
    assert command("run", tmp_path / "new", *PROMPT).out == command("run", artefact, *PROMPT).out


def test_an_instruction_edited_at_ptx_changes_the_tokens(command: Command, artefact: Path, tmp_path: Path) -> None:
    """Sampling looks for the smallest where it looked for the largest: what runs is what the dump says."""
    text = (artefact / "ir" / "model.ptx").read_text()
    kernel = re.search(r"ptx\.kernel @sample\w*.*?\n  \}", text, re.DOTALL)
    assert kernel is not None
    edited = kernel.group(0).replace("= ptx.max ", "= ptx.min ")
    assert edited != kernel.group(0)
    (tmp_path / "edited.ptx").write_text(text.replace(kernel.group(0), edited))
    built = command("build", artefact, "--ir", tmp_path / "edited.ptx", "-o", tmp_path / "new", *EMULATOR)
    assert built.code == 0, built
    before, after = ptx(artefact), ptx(tmp_path / "new")
    assert [n for n in before if before[n] != after[n]] == [
        f"{n}.ptx" for n in re.findall(r"@(sample\w*)", kernel.group(0))[:1]
    ]


def test_bad_input_is_refused(command: Command, checkpoint: Path, artefact: Path, tmp_path: Path) -> None:
    dump, new = artefact / "ir" / "model.ptx", tmp_path / "new"
    command("build", checkpoint, "--ir", dump, "-o", new, *EMULATOR).refused("LLMC0225", "no artefact")
    command("build", artefact, "--ir", tmp_path / "none", "-o", new, *EMULATOR).refused("LLMC0003", "none")
    command("build", artefact, "--ir", dump, "-o", new, "--quant", "int8", *EMULATOR).refused("LLMC0226", "quant")
    command("build", artefact, "--ir", dump, "-o", new, "--target", "sm_90a", *EMULATOR).refused("LLMC0247", "target")
    (tmp_path / "cut.ptx").write_text(dump.read_text()[:5000])
    command("build", artefact, "--ir", tmp_path / "cut.ptx", "-o", new, *EMULATOR).refused("LLMC0001")
    renamed = dump.read_text().replace("@sample", "@other")
    (tmp_path / "renamed.ptx").write_text(renamed)
    command("build", artefact, "--ir", tmp_path / "renamed.ptx", "-o", new, *EMULATOR).refused("LLMC0247", "@")
    assert not new.exists()
