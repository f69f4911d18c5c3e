"""The command line of llmc-opt in the spellings of mlir-opt."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from commands import Command
from llmc.compiler.driver.opt import parser

IR = """\
func.func @main(%x: tensor<4x8xf32>) -> tensor<32xf32> {
  %0 = nn.reshape %x : (tensor<4x8xf32>) -> tensor<8x4xf32>
  %1 = nn.reshape %0 : (tensor<8x4xf32>) -> tensor<32xf32>
  func.return %1 : tensor<32xf32>
}
"""
WRONG = IR.replace("tensor<32xf32>", "tensor<31xf32>")
PLUGIN = """\
from dataclasses import dataclass
from llmc.passes.framework.pass_ import Pass

@dataclass(frozen=True)
class Marks(Pass):
    name = "mark-ops"
    anchors = ("func.func",)
    label: str = "x"

    def run(self, ctx, module):
        print(f"marked {self.label}")
"""


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "in.mlir"
    path.write_text(IR)
    return path


SWITCHES = (
    "--verify-each",
    "--mlir-print-op-on-diagnostic",
    "--mlir-pass-pipeline-local-reproducer",
    "--mlir-timing",
    "--list-passes",
)


@pytest.mark.parametrize("flag", SWITCHES)
def test_flags_that_are_on_or_off_take_a_value(flag: str):
    name = flag[2:].replace("-", "_")
    for text, value in {"true": True, "1": True, "false": False, "0": False}.items():
        assert getattr(parser().parse_args([f"{flag}={text}", "a.mlir"]), name) is value
    assert getattr(parser().parse_args([f"{flag}=false", flag]), name)
    assert not getattr(parser().parse_args([flag, f"-{flag[2:]}=false"]), name)


@pytest.mark.parametrize("flag", [*SWITCHES, "--no-verify-each", "--help"])
def test_they_take_no_other_value(flag: str, command: Command):
    command("opt", f"{flag}=maybe").refused("LLMC0239", "maybe")


@pytest.mark.parametrize(
    "flags",
    [
        ["-pass-pipeline=canonicalize", "-split-input-file", "-verify-diagnostics"],
        ["-pass-pipeline", "canonicalize", "-mlir-timing", "-mlir-disable-threading"],
        ["-canonicalize"],
        ["--canonicalize=max-iterations=3"],
    ],
)
def test_one_dash_is_enough(flags: list[str], command: Command, source: Path):
    outcome = command("opt", *flags, source)
    assert outcome.code == 0 and outcome.out.count("nn.reshape") == 1, outcome


def test_short_flags_are_what_they_were(command: Command, source: Path, tmp_path: Path):
    assert command("opt", source, f"-o{tmp_path / 'out.mlir'}").out == ""
    assert (tmp_path / "out.mlir").exists()


def test_values_that_may_be_left_out_are_not_taken_from_what_follows(command: Command, source: Path):
    for flag in ("--split-input-file", "--verify-diagnostics", "-split-input-file"):
        assert "nn.reshape" in command("opt", flag, source).out


def test_passes_are_flags_and_run_in_the_order_given(command: Command, source: Path):
    flags = [
        "--cse",
        "--canonicalize= max-iterations=3 ",
        "-symbol-dce",
        "--fusion-phase",
        "--dump-pass-pipeline",
    ]
    outcome = command("opt", *flags, source)
    assert "builtin.module(cse,canonicalize{max-iterations=3},symbol-dce,fusion-phase)" in outcome.err, outcome


def test_a_pass_of_a_plugin_is_a_flag_and_nested_where_it_runs(command: Command, source: Path, tmp_path: Path):
    (tmp_path / "marks.py").write_text(PLUGIN)
    flags = ["--mark-ops=label='a b'", "--dump-pass-pipeline", f"--load-pass-plugin={tmp_path / 'marks.py'}"]
    assert 'builtin.module(func.func(mark-ops{label="a b"}))' in command("opt", source, *flags).err


def test_passes_as_flags_exclude_pipelines_and_phases(command: Command, source: Path):
    command("opt", source, "--cse", "--pass-pipeline=cse").refused("LLMC0239", "--pass-pipeline and passes as flags (--cse)")
    command("opt", source, "--cse", "--compile-to=nn").refused("LLMC0210", "--cse and --compile-to")


def test_an_unknown_flag_is_answered_with_those_near_it(command: Command):
    command("opt", "--verfy-each").refused("LLMC0239", "--verfy-each", "--verify-each")
    command("opt", "-canonicalise=x").refused("LLMC0239", "--canonicalize")


def test_a_flag_without_its_value_does_not_take_a_pass_or_a_switch_away(command: Command, source: Path):
    for word in ("--cse", "--verify-each=false"):
        command("opt", "-o", word, source).refused("LLMC0239", "expected one argument")
    assert source.read_text() == IR


def test_chunks_may_be_set_apart_by_other_lines(command: Command, source: Path):
    source.write_text(f"{IR}// ===\n{IR}")
    outcome = command("opt", "--split-input-file=// ===", source)
    assert outcome.code == 0 and outcome.out.count("// ===\n") == 1
    source.write_text(f"{IR}// -----\n{IR}")
    assert command("opt", "--split-input-file=", source).out.count("// -----\n") == 1


def test_only_expected_lets_other_diagnostics_pass(command: Command, source: Path):
    source.write_text(WRONG)
    assert command("opt", "--verify-diagnostics=all", source).code == 1
    assert command("opt", "--verify-diagnostics=only-expected", source).code == 0
    source.write_text("// expected-error {{something else}}\n" + WRONG)
    assert "was not produced" in command("opt", "--verify-diagnostics=only-expected", source).err
    command("opt", "--verify-diagnostics=some", source).refused("LLMC0239", "only-expected")


def test_help_looks_at_no_pass():
    start = time.perf_counter()
    text = parser().format_help()
    assert time.perf_counter() - start < 0.1 and "--list-passes" in text
