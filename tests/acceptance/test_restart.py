"""Text is whole: a dump of any phase compiles on to the same bytes, and an edit in it reaches the kernel it was made in."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from llmc.compiler.build import Compiled, compile_module
from llmc.compiler.driver import opt
from llmc.compiler.phases import PHASES, CompileOptions
from llmc.dialects.ir.context import make_context
from llmc.dialects.ir.parsing import parse_module
from model_runs import SETTINGS, Imported, start

PROMPT = [5, 6, 7, 8, 9]


CASES = [
    *(("storyteller", phase) for phase in PHASES),
    ("storyteller-int8", "quant"),
    *(("gpt2", phase) for phase in ("nn", "tile")),
    *(("bert", phase) for phase in ("quant", "layout")),
]


@pytest.fixture(scope="module")
def compiled(storyteller: Imported, model: Callable[[str, str], Imported]) -> Callable[[str], Compiled]:
    """A model's kernels and the dumps of all its phases."""
    settings = replace(SETTINGS, dumps=True)
    made: dict[str, Compiled] = {"storyteller": storyteller.compile()}

    def get(name: str) -> Compiled:
        if name not in made:
            given = storyteller if name == "storyteller-int8" else model(name, "bfloat16")
            scheme = "int8" if name == "storyteller-int8" else "none"
            made[name] = compile_module(given.model.module.clone(), replace(given.options, scheme=scheme), settings)
        return made[name]

    return get


@pytest.mark.parametrize(("name", "phase"), CASES)
def test_a_dump_compiles_on_to_the_same_ptx(name: str, phase: str, compiled: Callable[[str], Compiled], tmp_path: Path) -> None:
    straight = compiled(name)
    dump = tmp_path / f"model.{phase}"
    dump.write_text(straight.dumps[phase])
    assert "loc(" in straight.dumps[phase]
    code = opt.main([str(dump), "--compile-from", phase, "--emit-ptx-dir", str(tmp_path / "ptx"), "-o", str(tmp_path / "out")])
    assert code == 0
    found = {file.stem: file.read_text() for file in (tmp_path / "ptx").iterdir()}
    assert sorted(found) == sorted(straight.kernels)
    assert [stem for stem, kernel in straight.kernels.items() if found[stem] != kernel.ptx] == []


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
