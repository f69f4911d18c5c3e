"""Text is whole: a dump of any phase compiles on to the same bytes, and an edit in it reaches the kernel it was made in."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from llmc.compiler.build import compile_module
from llmc.compiler.driver import opt
from llmc.compiler.phases import PHASES, CompileOptions
from llmc.dialects.ir.context import make_context
from llmc.dialects.ir.parsing import parse_module
from model_runs import SETTINGS, Imported, start

PROMPT = [5, 6, 7, 8, 9]


@pytest.mark.parametrize("phase", PHASES)
def test_a_dump_compiles_on_to_the_same_ptx(phase: str, storyteller: Imported, tmp_path: Path) -> None:
    compiled = storyteller.compile()
    dump = tmp_path / f"model.{phase}"
    dump.write_text(compiled.dumps[phase])
    assert "loc(" in compiled.dumps[phase]
    code = opt.main([str(dump), "--compile-from", phase, "--emit-ptx-dir", str(tmp_path / "ptx"), "-o", str(tmp_path / "out")])
    assert code == 0
    found = {file.stem: file.read_text() for file in (tmp_path / "ptx").iterdir()}
    assert sorted(found) == sorted(compiled.kernels)
    assert [name for name, kernel in compiled.kernels.items() if found[name] != kernel.ptx] == []


def test_an_edited_schedule_changes_its_kernel_alone_and_no_token(storyteller: Imported) -> None:
    straight = storyteller.compile()
    lines = straight.dumps["layout"].split("\n")
    number, name = next((i, m[1]) for i, line in enumerate(lines) if (m := re.search(r'layout\.kernel @(\w+).*"skinny"', line)))
    warps = re.search(r'("skinny", \{.*?warps = )(\d+)', lines[number])
    assert warps is not None
    other = 4 if int(warps[2]) == 8 else 8
    lines[number] = lines[number].replace(warps[0], warps[1] + str(other))
    module = parse_module(make_context(), "\n".join(lines), "model.layout")
    edited = compile_module(module, CompileOptions.of(module), SETTINGS)
    changed = [k for k in straight.kernels if straight.kernels[k].ptx != edited.kernels[k].ptx]
    assert changed == [name]
    wanted = storyteller.session("emulator").generate([PROMPT], 8)
    assert start(edited, storyteller.model, "emulator").generate([PROMPT], 8) == wanted
