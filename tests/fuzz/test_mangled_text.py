"""No input, however mangled, ends in a traceback: llmc-opt says in one paragraph what is wrong, or takes it, and soon."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from contextlib import chdir, redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path

import pytest
from fuzzing.dumps import dumps
from fuzzing.mangling import chunks, mangled
from hypothesis import given, settings
from hypothesis import strategies as st
from llmc.compiler.driver import opt
from llmc.passes.framework.registry import list_passes

PATIENCE = 10.0  # seconds of processor time for one input
PASSES = sorted(list_passes())
FLAGS = st.one_of(
    st.sampled_from(
        [[], ["--mlir-print-op-generic"], ["--mlir-print-debuginfo"], ["--split-input-file"], ["--verify-diagnostics"]]
    ),
    st.lists(st.sampled_from(PASSES), min_size=1, max_size=3).map(lambda names: ["--pass-pipeline", ",".join(names)]),
    st.sampled_from(["nn", "fusion", "quant", "layout", "tile"]).map(
        lambda phase: ["--compile-from", phase, "--target", "sm_90a"]
    ),
)
ERROR = re.compile(r"error\[LLMC\d{4}\]: ")
PYTHON = re.compile(r"Traceback|object has no attribute|NoneType|not subscriptable|is not iterable|values to unpack")


def judge(code: int, errors: str) -> None:
    """0, or 1 with a paragraph that is about the input, not about llmc."""
    assert code in (0, 1), f"exit code {code}\n{errors}"
    assert "LLMC0004" not in errors, errors
    assert not PYTHON.search(errors), errors
    assert code == 0 or ERROR.search(errors) or "expected error" in errors, errors


def run_here(file: Path, flags: list[str]) -> None:
    out, errors = StringIO(), StringIO()
    start = time.process_time()
    with chdir(file.parent), redirect_stdout(out), redirect_stderr(errors):  # some passes write files
        code = opt.main([str(file), *flags])
    assert time.process_time() - start < PATIENCE
    judge(code, errors.getvalue())


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("mangled") / "input.mlir"


@settings(max_examples=settings.default.max_examples * 8)
@given(text=mangled(st.sampled_from(chunks())), flags=FLAGS)
def test_mangled_tests_of_the_dialects_and_passes(place: Path, text: str, flags: list[str]):
    place.write_bytes(text.encode("utf-8", "replace"))
    run_here(place, flags)


@settings(max_examples=settings.default.max_examples * 3)
@given(data=st.data(), flags=FLAGS)
def test_mangled_dumps_of_every_phase(place: Path, data: st.DataObject, flags: list[str]):
    place.write_bytes(data.draw(mangled(st.sampled_from(dumps()))).encode("utf-8", "replace"))
    run_here(place, flags)


@given(text=st.sampled_from(chunks()), at=st.integers(0, 2000), junk=st.binary(min_size=1, max_size=4), flags=FLAGS)
def test_bytes_that_are_no_text(place: Path, text: str, at: int, junk: bytes, flags: list[str]):
    raw = text.encode()
    place.write_bytes(raw[:at] + junk + raw[at:])
    run_here(place, flags)


@settings(max_examples=max(4, settings.default.max_examples // 8))
@given(text=mangled(st.sampled_from(chunks())), piped=st.booleans())
def test_the_command_itself(place: Path, text: str, piped: bool):
    raw = text.encode("utf-8", "replace")
    place.write_bytes(raw)
    command = [sys.executable, "-m", "llmc.compiler.driver.opt", "-" if piped else str(place)]
    done = subprocess.run(
        command, input=raw if piped else None, capture_output=True, timeout=60, env=os.environ | {"PYTHONPATH": ROOT}
    )
    judge(done.returncode, done.stderr.decode())
    assert done.returncode == 0 or not done.stdout


ROOT = str(Path(__file__).parents[2] / ".typing")
DEEP = {
    "regions": "module {" * 3000,
    "lists": "func.func private @f() attributes {a = " + "[" * 30000,
    "sums": "func.func private @f() attributes {a = affine_map<(d0) -> (" + "d0 + " * 8000 + "d0)>}",
    "sizes": 'func.func private @f(tensor<?xf32, #nn.dims<["' + "(" * 8000 + "T" + ")" * 8000 + '"]>>)',
    "aliases of aliases": "#a0 = [1, 1]\n" + "\n".join(f"#a{i} = [#a{i - 1}, #a{i - 1}]" for i in range(1, 40)),
    "a vast constant": "%0 = nn.constant dense<1.0> : tensor<99999x99999xf32>",
    "a vast integer": "%0 = arith.constant 1 : i99999999999",
    "a vast ring": "func.func private @f(!tile.ring<99999999999999999999, 512xbf16>)",
    "quotes": '"' + "a" * 100_000,
    "escapes": 'module attributes {a = "' + "\\" * 100_001 + '"} {}',
}


@pytest.mark.parametrize("name", DEEP)
def test_what_is_deep_or_vast_is_refused_at_once(place: Path, name: str):
    place.write_text(DEEP[name])
    run_here(place, [])
