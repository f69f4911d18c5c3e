"""`llmc bisect` finds the pass application, and the rewrite in it, that makes a test fail."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from llmc.compiler.driver import llmc as command
from llmc.compiler.driver import opt

PLUGIN = Path(__file__).parents[2] / "support" / "planted" / "crashes.py"
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
WRONG = "dce,planted-swap-subtraction,cse"


@pytest.fixture
def source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LLMC_CACHE_DIR", str(tmp_path / "cache"))
    path = tmp_path / "case.mlir"
    path.write_text(SOURCE)
    return path


@pytest.fixture
def test_command(tmp_path: Path) -> str:
    """A command that is bad where the operands of the subtraction are swapped."""
    script = tmp_path / "check.py"
    script.write_text("import re, sys\nsys.exit(bool(re.search(r'sub %2, %0', open(sys.argv[1]).read())))\n")
    return shlex.join([sys.executable, str(script)])


def bisect(source: Path, pipeline: str, *flags: str) -> int:
    out = str(source.parent / "out")
    return command.main(
        ["bisect", str(source), "--load-pass-plugin", str(PLUGIN), "-o", out, f"--pass-pipeline={pipeline}", *flags]
    )


def test_a_command_finds_pass_and_pattern_of_a_wrong_rewrite(
    source: Path, test_command: str, capsys: pytest.CaptureFixture[str]
):
    assert bisect(source, WRONG, "--test", test_command) == 0
    out = capsys.readouterr().out
    assert "pass 'planted-swap-subtraction' on builtin.module is at fault (application 2, optional pass 2)" in out
    assert "pattern: 'planted-swap', rewrite 1" in out
    assert "sub %0, %2" in (source.parent / "out" / "before.mlir").read_text()
    assert "sub %2, %0" in (source.parent / "out" / "after.mlir").read_text()


def test_the_command_shown_shows_the_rewrite_alone(source: Path, test_command: str, capsys: pytest.CaptureFixture[str]):
    bisect(source, WRONG, "--test", test_command)
    shown = re.search(r"show: llmc-opt (.*)", capsys.readouterr().out)
    assert shown is not None
    assert opt.main(shlex.split(shown.group(1))) == 0
    assert "sub %2, %0" in capsys.readouterr().out


def test_a_nested_pass_is_found_with_its_anchor(source: Path, test_command: str, capsys: pytest.CaptureFixture[str]):
    assert bisect(source, "func.func(dce,planted-swap-subtraction)", "--test", test_command) == 0
    out = capsys.readouterr().out
    assert "on func.func @main" in out and "builtin.module(func.func(planted-swap-subtraction))" in out


def test_a_failing_pass_is_found_at_once(source: Path, capsys: pytest.CaptureFixture[str]):
    assert bisect(source, "cse,planted-crash,dce", "--test-fails") == 0
    captured = capsys.readouterr()
    assert "pass 'planted-crash' on builtin.module is at fault (application 2, a required pass)" in captured.out
    assert len(captured.err.splitlines()) == 1


def test_a_pass_that_ends_the_process_is_found(source: Path):
    flags = ["--pass-pipeline=cse,planted-segfault,dce", "--test-fails", f"--load-pass-plugin={PLUGIN.with_name('ends.py')}"]
    llmc = [sys.executable, "-m", "llmc.compiler.driver.llmc"]
    done = subprocess.run(
        [*llmc, "bisect", str(source), "-o", str(source.parent / "out"), *flags], capture_output=True, text=True, check=True
    )
    assert "pass 'planted-segfault' on builtin.module is at fault (application 2, a required pass)" in done.stdout
    assert "LLMC0277: pass 'planted-segfault' ended the process: SIGSEGV" in done.stdout


def test_ir_after_a_pass_that_fails_is_not_that_of_an_earlier_search(source: Path):
    (source.parent / "out").mkdir()
    (source.parent / "out" / "after.mlir").write_text("stale")
    assert bisect(source, "planted-crash", "--test-fails") == 0
    assert [p.name for p in (source.parent / "out").iterdir()] == ["before.mlir"]


def test_a_required_pass_at_fault_is_found_by_how_far_the_pipeline_runs(
    source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    plugin = tmp_path / "required.py"
    plugin.write_text(PLUGIN.read_text().replace("required: ClassVar[bool] = False", "required: ClassVar[bool] = True"))
    script = tmp_path / "swapped.py"
    script.write_text("import sys\nsys.exit('sub %2, %0' in open(sys.argv[1]).read())\n")
    flags = ["--load-pass-plugin", str(plugin), "--pass-pipeline", WRONG, "-o", str(tmp_path / "out")]
    assert command.main(["bisect", str(source), *flags, "--test", f"{sys.executable} {script} {{}}"]) == 0
    out = capsys.readouterr().out
    assert "planted-swap-subtraction" in out and "a required pass" in out and "'planted-swap'" in out


@pytest.mark.parametrize(
    ("test", "code"),
    [("true", "LLMC0259"), ("false", "LLMC0260"), ("sh -c 'exit 125'", "LLMC0261"), ("/no/such/program", "LLMC0257")],
)
def test_a_test_that_finds_nothing_is_told(test: str, code: str, source: Path, capsys: pytest.CaptureFixture[str]):
    assert bisect(source, WRONG, "--test", test) == 1
    assert f"error[{code}]" in capsys.readouterr().err


def test_numbers_find_the_wrong_rewrite(source: Path, capsys: pytest.CaptureFixture[str]):
    assert bisect(source, WRONG, "--test-numerics") == 0
    assert "pattern: 'planted-swap'" in capsys.readouterr().out
