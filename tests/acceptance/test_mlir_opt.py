"""mlir-opt 19, an oracle from outside, accepts the generic form of every phase's dump."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from llmc.compiler.frontend import load_checkpoint
from llmc.compiler.phases import PHASES
from llmc.dialects.ir.context import make_context
from llmc.dialects.ir.parsing import parse_module
from llmc.dialects.ir.printer import print_module
from model_runs import SETTINGS, STORYTELLER, Imported

MLIR_OPT = shutil.which("mlir-opt-19") or shutil.which("/usr/lib/llvm-19/bin/mlir-opt")
UNKNOWN_TYPES = ("f8E8M0FNU", "f4E2M1FN", "f6E2M3FN", "f6E3M2FN", "f8E3M4")
"""Types that we print and that mlir-opt 19 does not know: a dump with one of them is not shown to it."""

pytestmark = pytest.mark.skipif(MLIR_OPT is None, reason="mlir-opt 19 is not installed (Debian's mlir-19-tools)")


def accepts(text: str, place: Path) -> str:
    """What mlir-opt says against a text; nothing if it accepts it."""
    assert MLIR_OPT is not None
    place.write_text(text)
    command = [MLIR_OPT, "--allow-unregistered-dialect", str(place), "-o", "/dev/null"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    return done.stderr if done.returncode else ""


@pytest.fixture(scope="module")
def quantised(storyteller: Imported) -> Imported:
    """The same model with int8 weights."""
    options = replace(storyteller.options, scheme="int8")
    model = Imported(load_checkpoint(STORYTELLER), "storyteller", "bfloat16", options)
    model.compile(replace(SETTINGS, dumps=True))
    return model


def check(dump: str, tmp_path: Path) -> None:
    assert [name for name in UNKNOWN_TYPES if name in dump] == []
    module = parse_module(make_context(), dump)
    for located in (False, True):
        assert accepts(print_module(module, generic=True, locations=located), tmp_path / "dump.mlir")[:2000] == ""


@pytest.mark.parametrize("phase", PHASES)
def test_mlir_opt_accepts_the_dump(phase: str, storyteller: Imported, tmp_path: Path) -> None:
    check(storyteller.compile().dumps[phase], tmp_path)


@pytest.mark.parametrize("phase", PHASES)
def test_mlir_opt_accepts_the_dump_with_int8_weights(phase: str, quantised: Imported, tmp_path: Path) -> None:
    check(quantised.compile().dumps[phase], tmp_path)


def test_mlir_opt_accepts_what_was_imported(storyteller: Imported, tmp_path: Path) -> None:
    check(print_module(storyteller.model.module, locations=True), tmp_path)


@pytest.mark.parametrize("name", UNKNOWN_TYPES)
def test_the_unknown_types_are_unknown(name: str, tmp_path: Path) -> None:
    assert accepts(f"func.func private @f(tensor<4x{name}>)\n", tmp_path / "type.mlir")
