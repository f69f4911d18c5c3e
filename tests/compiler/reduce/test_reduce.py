"""`llmc-reduce` makes IR small, keeps it valid, and keeps to one failure."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from llmc.compiler.driver import opt
from llmc.compiler.reduce.command import main
from llmc.compiler.run_pipeline import run_pipeline

PLUGIN = Path(__file__).parents[2] / "support" / "planted" / "crashes.py"
ENDS = PLUGIN.with_name("ends.py")
T = "tensor<4x8xf32>"


def body(copies: int) -> str:
    """A chain of `copies` groups of ops, of which the middle one has what the planted pass fails on."""
    lines, value = [], "%a"
    for i in range(copies):
        lines += [f"  %n{i} = nn.neg {value} : ({T}) -> {T}", f"  %s{i} = nn.add %n{i}, %b : ({T}, {T}) -> {T}"]
        value = f"%s{i}"
        if i == copies // 2:
            lines += [f"  %r = nn.rsqrt {value} : ({T}) -> {T}", f"  %m = nn.mul %r, %b : ({T}, {T}) -> {T}"]
            value = "%m"
    return "\n".join([*lines, f"  func.return {value} : {T}"])


SOURCE = f"""
func.func @other(%x: {T}) -> {T} {{
  %0 = nn.neg %x : ({T}) -> {T}
  func.return %0 : {T}
}}
func.func @main(%a: {T}, %b: {T}) -> {T} attributes {{note = "kept for nothing"}} {{
{body(12)}
}}
"""


@pytest.fixture
def source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LLMC_CACHE_DIR", str(tmp_path / "cache"))
    path = tmp_path / "case.mlir"
    path.write_text(SOURCE)
    return path


def ops_in(text: str) -> int:
    return len(list(run_pipeline(text, "").walk())) - 1


def test_a_crash_is_reduced_from_its_reproducer_with_one_command(
    source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    assert opt.main([str(source), "--load-pass-plugin", str(PLUGIN), "--pass-pipeline=dce,planted-crash"]) == 1
    found = re.search(r"reproducer: llmc-opt (\S+)", capsys.readouterr().err)
    assert found is not None
    small = tmp_path / "small.mlir"
    assert main([found.group(1), "-o", str(small)]) == 0
    assert ops_in(small.read_text()) <= 10
    capsys.readouterr()
    assert opt.main([str(small), "--run-reproducer"]) == 1
    assert "pass 'planted-crash' failed: IndexError" in capsys.readouterr().err


def test_equal_inputs_give_equal_results(source: Path, capsys: pytest.CaptureFixture[str]):
    outputs: list[str] = []
    for _ in range(2):
        assert main([str(source), "--load-pass-plugin", str(PLUGIN), "--pass-fails", "planted-crash", "--quiet"]) == 0
        outputs.append(capsys.readouterr().out)
    assert outputs[0] == outputs[1]


def test_a_command_decides_and_everything_else_goes(source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    script = tmp_path / "has.py"
    script.write_text("import sys\nt = open(sys.argv[1]).read()\nsys.exit(not ('nn.rsqrt' in t and 'nn.mul' in t))\n")
    assert main([str(source), "--test", shlex.join([sys.executable, str(script)]), "--quiet"]) == 0
    out = capsys.readouterr().out
    assert "nn.neg" not in out and "@other" not in out and "kept for nothing" not in out and "x8x" not in out
    assert "nn.rsqrt" in out and "nn.mul" in out and ops_in(out) <= 4


def test_a_reduction_does_not_drift_to_another_failure(source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    plugin = tmp_path / "two.py"
    plugin.write_text(
        "from dataclasses import dataclass\nfrom typing import ClassVar\nfrom llmc.passes.framework.pass_ import Pass\n"
        "@dataclass(frozen=True)\nclass Two(Pass):\n    name: ClassVar[str] = 'two'\n    def run(self, ctx, module):\n"
        "        names = [op.name for op in module.walk()]\n"
        "        if 'nn.mul' not in names:\n            raise KeyError('no multiplication')\n"
        "        if 'nn.rsqrt' in names:\n            raise ValueError('a root')\n"
    )
    assert main([str(source), "--load-pass-plugin", str(plugin), "--pass-fails", "two", "--quiet"]) == 0
    out = capsys.readouterr().out
    assert "nn.mul" in out and "nn.rsqrt" in out and "nn.neg" not in out


def test_a_time_limit_gives_a_valid_case_that_still_fails(source: Path, capsys: pytest.CaptureFixture[str]):
    flags = ["--load-pass-plugin", str(PLUGIN), "--pass-fails", "planted-crash", "--max-seconds", "0"]
    assert main([str(source), *flags]) == 0
    captured = capsys.readouterr()
    assert "stopped after 0 s" in captured.err
    assert ops_in(captured.out) == ops_in(SOURCE)


@pytest.mark.parametrize(
    ("flags", "code"), [(["--pass-fails", "dce"], "LLMC0262"), (["--test", "false"], "LLMC0262"), ([], "LLMC0239")]
)
def test_an_input_without_the_failure_is_refused_and_nothing_written(
    flags: list[str], code: str, source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    out = tmp_path / "none.mlir"
    assert main([str(source), *flags, "-o", str(out)]) == 1
    assert f"error[{code}]" in capsys.readouterr().err and not out.exists()


def test_pipelines_that_disagree_keep_disagreeing(source: Path, capsys: pytest.CaptureFixture[str]):
    source.write_text(SOURCE.replace("%m = nn.mul %r, %b", "%m = nn.sub %s6, %b"))
    flags = ["--load-pass-plugin", str(PLUGIN), "--pipelines-disagree", "dce", "planted-swap-subtraction"]
    assert main([str(source), *flags]) == 0
    out = capsys.readouterr().out
    assert "nn.sub" in out and ops_in(out) <= 10
    assert out.startswith(
        f"// shown by: llmc-reduce --load-pass-plugin={PLUGIN} --pipelines-disagree dce planted-swap-subtraction"
    )


@pytest.mark.parametrize("name", ["planted-segfault", "planted-exit"])
def test_a_pass_that_ends_the_process_is_reduced(name: str, source: Path):
    command = [sys.executable, "-m", "llmc.compiler.reduce.command", str(source), f"--load-pass-plugin={ENDS}"]
    done = subprocess.run([*command, f"--pass-fails=dce,{name}"], capture_output=True, text=True, check=True)
    assert "nn.rsqrt" in done.stdout and ops_in(done.stdout) <= 3 and "Fatal" not in done.stderr


def test_branches_that_do_not_matter_go(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    path = tmp_path / "case.mlir"
    path.write_text("""
func.func @f(%c: i1, %x: i32) {
  cf.br ^a(%x : i32)
^a(%y: i32):
  %z = arith.addi %y, %y : i32
  cf.br ^b
^b:
  cf.cond_br %c, ^d, ^e
^d:
  %u = arith.muli %z, %z : i32
  cf.br ^e
^e:
  func.return
}
""")
    assert main([str(path), "--test", "grep -q arith.addi", "--quiet"]) == 0
    out = capsys.readouterr().out
    assert "cf." not in out and ops_in(out) <= 3
