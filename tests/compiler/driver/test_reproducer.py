"""Reproducers of failing passes, debug counters, `--opt-bisect-limit`."""

from __future__ import annotations

import re
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from commands import Command

PLUGIN = Path(__file__).parents[2] / "support" / "planted" / "crashes.py"
ENDS = PLUGIN.with_name("ends.py")
T = "tensor<4x8xf32>"
SOURCE = f"""
func.func @main(%a: {T}, %b: {T}) -> {T} {{
  %0 = nn.add %a, %b : ({T}, {T}) -> {T}
  %n = nn.neg %b : ({T}) -> {T}
  %m = nn.neg %n : ({T}) -> {T}
  %1 = nn.rsqrt %0 : ({T}) -> {T}
  %2 = nn.mul %1, %m : ({T}, {T}) -> {T}
  %s = nn.sub %0, %2 : ({T}, {T}) -> {T}
  func.return %s : {T}
}}
"""


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "case.mlir"
    path.write_text(SOURCE)
    return path


def test_a_failing_pass_leaves_a_file_that_the_printed_command_runs(command: Command, source: Path):
    done = command("opt", source, "--load-pass-plugin", PLUGIN, "--pass-pipeline=dce,planted-crash")
    assert done.code == 1
    line = re.search(r"reproducer: llmc-opt (.*)", done.err)
    assert line is not None
    path, *flags = shlex.split(line.group(1))
    text = Path(path).read_text()
    assert text.startswith("// llmc-repro: llmc-opt '--pass-pipeline=builtin.module(planted-crash)'")
    again = command("opt", path, *flags)
    assert again.code == 1 and "pass 'planted-crash' failed: IndexError" in again.err
    assert "reproducer:" not in again.err


def test_the_error_tells_where_the_op_stands_in_the_input(command: Command, source: Path):
    done = command("opt", source, "--load-pass-plugin", PLUGIN, "--pass-pipeline=canonicalize,planted-crash")
    assert f"note: the op comes from {source}:6:3" in done.err


def test_a_pass_that_exits_has_failed(command: Command, source: Path):
    done = command("opt", source, "--load-pass-plugin", ENDS, "--pass-pipeline=dce,planted-exit")
    assert done.code == 1 and done.out == ""
    assert "error[LLMC0204]: pass 'planted-exit' failed: SystemExit: 0" in done.err and "reproducer:" in done.err


def test_a_pass_that_ends_the_process_leaves_the_reproducer_that_was_asked_for(source: Path, tmp_path: Path):
    left = tmp_path / "left.mlir"
    flags = [f"--load-pass-plugin={ENDS}", f"--mlir-pass-pipeline-crash-reproducer={left}", str(source)]
    opt = [sys.executable, "-m", "llmc.compiler.driver.opt", *flags]
    done = subprocess.run([*opt, "--pass-pipeline=dce,planted-segfault"], capture_output=True, text=True, check=False)
    assert done.returncode == -signal.SIGSEGV and "ends.py" in done.stderr
    assert left.read_text().startswith("// llmc-repro: llmc-opt '--pass-pipeline=builtin.module(dce,planted-segfault)'")
    left.write_text("mine\n")
    subprocess.run([*opt, "--pass-pipeline=dce"], capture_output=True, check=True)
    assert left.read_text() == "mine\n"


def test_the_local_reproducer_holds_the_ir_before_the_pass_and_the_other_one_the_input(
    command: Command, source: Path, tmp_path: Path
):
    flags = ("--load-pass-plugin", PLUGIN, "--pass-pipeline=planted-swap-subtraction,planted-crash")
    local, whole = tmp_path / "local.mlir", tmp_path / "whole.mlir"
    command("opt", source, *flags, f"--mlir-pass-pipeline-crash-reproducer={local}")
    command("opt", source, *flags, f"--mlir-pass-pipeline-crash-reproducer={whole}", "--no-mlir-pass-pipeline-local-reproducer")
    assert "nn.neg" not in local.read_text()
    assert "nn.neg" in whole.read_text() and "planted-swap-subtraction" in whole.read_text().split("\n")[0]
    assert command("opt", whole, "--run-reproducer").code == 1


@pytest.mark.parametrize(
    ("pipeline", "code", "said"),
    [
        ("dce,canonicalize{max-iterations=0}", "LLMC0203", "option 'max-iterations' of pass 'canonicalize' is 0"),
        ("dce,bufferise{page-size=0}", "LLMC0203", "option 'page-size' of pass 'bufferise' is 0"),
        ("dce,form-kernels{prologue=maybe}", "LLMC0203", "expected cost or always or never"),
        ("dce,choose-precision{scheme=int3}", "LLMC0420", "unknown weight scheme 'int3'"),
        ("dce,quantise-linears{scheme=int3}", "LLMC0420", "unknown weight scheme 'int3'"),
    ],
)
def test_a_bad_option_is_told_with_its_column_and_leaves_no_reproducer(
    pipeline: str, code: str, said: str, command: Command, source: Path
):
    told = command("opt", source, f"--pass-pipeline={pipeline}").err
    assert f"error[{code}]" in told and said in told
    assert re.search(r"--> column (5|18)\n", told) and "reproducer" not in told


def test_what_an_instrument_or_a_pass_cannot_write_leaves_no_reproducer(command: Command, source: Path):
    told = command("opt", source, "--pass-pipeline=dce", "--mlir-print-ir-tree-dir", source / "below-a-file").err
    assert "error[LLMC0250]" in told and "reproducer" not in told
    told = command("opt", source, f'--pass-pipeline=snapshot-locations{{file="{source}/x"}}').err
    assert "error[LLMC0005]" in told and "reproducer" not in told


@pytest.mark.parametrize("flag", [(), ("--mlir-print-ir-after-failure",)])
def test_a_defect_names_the_flag_that_shows_the_ir_unless_it_was_given(flag: tuple[str, ...], command: Command, source: Path):
    told = command("opt", source, "--load-pass-plugin", PLUGIN, "--pass-pipeline=planted-crash", *flag).err
    assert ("--mlir-print-ir-after-failure for the IR" in told) == (not flag) and "--debug for the traceback" in told


def test_a_folder_that_cannot_be_written_does_not_hide_the_error(command: Command, source: Path, tmp_path: Path):
    (tmp_path / "file").write_text("")
    target = tmp_path / "file" / "r.mlir"
    done = command(
        "opt", source, "--load-pass-plugin", PLUGIN, "--pass-pipeline=planted-crash",
        f"--mlir-pass-pipeline-crash-reproducer={target}",
    )  # fmt: skip
    assert "error[LLMC0204]" in done.err and "no reproducer" in done.err


def test_a_file_without_a_command_is_no_reproducer(command: Command, source: Path):
    assert "error[LLMC0256]" in command("opt", source, "--run-reproducer").err


def test_a_counter_leaves_out_what_stands_before_and_after_its_window(command: Command, source: Path):
    flags = ("--load-pass-plugin", PLUGIN, "--pass-pipeline=planted-swap-subtraction")
    assert "nn.sub %0, %2" in command("opt", source, *flags, "--debug-counter=planted-swap=1").out
    done = command("opt", source, *flags, "--debug-counter=planted-negations=0:0", "--print-debug-counter")
    assert "nn.sub %2, %0" in done.out
    assert "planted-swap: {1,1,0,-1}" in done.err and "planted-negations: {1,0,0,0}" in done.err


def test_a_counter_that_never_counts_is_told(command: Command, source: Path):
    done = command("opt", source, "--pass-pipeline=dce", "--debug-counter=nonsense=1")
    assert done.code == 0 and "'nonsense' never occurred (what did: pass)" in done.err


@pytest.mark.parametrize("text", ["pass", "pass=x", "pass=1:", "=1"])
def test_a_counter_of_another_form_is_refused(text: str, command: Command, source: Path):
    assert "error[LLMC0255]" in command("opt", source, "--pass-pipeline=dce", f"--debug-counter={text}").err


def test_the_limit_numbers_optional_passes_only(command: Command, source: Path):
    pipeline = "--pass-pipeline=func.func(planted-swap-subtraction),dce,strip-debuginfo"
    done = command("opt", source, "--load-pass-plugin", PLUGIN, pipeline, "--opt-bisect-limit=1")
    assert done.err.splitlines() == [
        "BISECT: running pass (1) planted-swap-subtraction on func.func @main",
        "BISECT: NOT running pass (2) dce on builtin.module",
        "BISECT: NOT running pass (3) strip-debuginfo on builtin.module",
    ]
    assert "NOT" not in command("opt", source, "--pass-pipeline=dce", "--opt-bisect-limit=-1").err


def test_a_reproducer_of_wrong_numbers_compares_them_again(command: Command, source: Path):
    flags = ("--load-pass-plugin", PLUGIN, "--check-numerics", "--check-numerics-seed=3")
    done = command("opt", source, *flags, "--pass-pipeline=dce,planted-swap-subtraction")
    line = re.search(r"reproducer: llmc-opt (.*)", done.err)
    assert done.code == 1 and line is not None
    path, *again = shlex.split(line.group(1))
    header = Path(path).read_text().split("\n")[0]
    assert "builtin.module(planted-swap-subtraction)" in header
    assert "--check-numerics --check-numerics-seed=3" in header and "tolerance" not in header
    repeated = command("opt", path, *again)
    assert repeated.code == 1 and "error[LLMC0263]" in repeated.err


@pytest.mark.parametrize("position", ["after recognise", "after layout-to-tile"])
def test_a_pass_that_fails_in_a_build_leaves_a_reproducer(
    position: str, command: Command, checkpoint: Path, tmp_path: Path
) -> None:
    plugin = tmp_path / "failing.py"
    plugin.write_text(
        "from dataclasses import dataclass\n"
        "from llmc.passes.framework.pass_ import Pass\n\n\n"
        "@dataclass(frozen=True)\n"
        "class Failing(Pass):\n"
        '    """Fails on the second op that it sees."""\n\n'
        '    name = "failing"\n'
        f'    position = "{position}"\n\n'
        "    def run(self, ctx, module):\n"
        "        for number, op in enumerate(module.walk()):\n"
        "            [0, 0][number]\n\n\n"
        "def register(registry):\n"
        "    registry.add_pass(Failing)\n"
    )
    out = tmp_path / "out"
    done = command("build", checkpoint, "-o", out, "--device", "emulator", "--load-pass-plugin", plugin)
    assert done.code == 1 and not out.exists() and "pass 'failing' failed: IndexError" in done.err
    line = re.search(r"reproducer: llmc-opt (.*)", done.err)
    assert line is not None, done.err
    path, *again = shlex.split(line.group(1))
    text = Path(path).read_text()
    assert "builtin.module(failing)" in text.split("\n")[0] and ("tile.kernel" in text) == ("tile" in position)
    repeated = command("opt", path, *again)
    assert repeated.code == 1 and "pass 'failing' failed: IndexError" in repeated.err
