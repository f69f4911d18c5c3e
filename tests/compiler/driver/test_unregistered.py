"""--allow-unregistered-dialect takes what no dialect defines, and nothing that a dialect of ours would have to define."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from commands import Command

ALLOW = "--allow-unregistered-dialect"
TEXT = """\
func.func @a(%x: tensor<4xf32>) -> tensor<4xf32> {
  %0 = "mine.op"(%x) {kind = #mine.kind<3>} : (tensor<4xf32>) -> !mine.type<"a">
  %1 = "mine.region"() ({
    %2 = nn.neg %x : (tensor<4xf32>) -> tensor<4xf32>
    "mine.yield"(%2) : (tensor<4xf32>) -> ()
  }) : () -> tensor<4xf32>
  func.return %1 : tensor<4xf32>
}
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "f.mlir").write_text(TEXT)
    return tmp_path / "f.mlir"


def test_passes_leave_unregistered_ops_alone_and_they_read_back(command: Command, file: Path):
    outcome = command("opt", file, ALLOW, "--verify-roundtrip", "--pass-pipeline=canonicalize,cse")
    assert (outcome.code, outcome.err) == (0, "")
    for said in ('"mine.op"(%x) {kind = #mine.kind<3>}', '!mine.type<"a">', '"mine.region"() ({', "nn.neg %x"):
        assert said in outcome.out


def test_without_the_flag_they_are_refused(command: Command, file: Path):
    command("opt", file).refused("LLMC0001", "Operation mine.op is not registered")


@pytest.mark.parametrize(
    ("ours", "said"), [("mine.op", "Operation nn.op is not registered"), ("!mine.type", "nn.type"), ("#mine.kind", "nn.kind")]
)
def test_a_dialect_that_is_there_has_what_it_defines(ours: str, said: str, command: Command, file: Path):
    file.write_text(TEXT.replace(ours, ours.replace("mine", "nn")))
    command("opt", file, ALLOW).refused("LLMC0001", said)


def test_values_from_outside_are_still_defined_before_their_use(command: Command, file: Path):
    file.write_text(TEXT.replace("nn.neg %x", "nn.neg %3").replace("  func.return", f"  %3 = nn.neg %x : {NEG}\n  func.return"))
    command("opt", file, ALLOW).refused("LLMC0120")


NEG = "(tensor<4xf32>) -> tensor<4xf32>"


def test_a_reproducer_allows_what_the_run_did(command: Command, file: Path, tmp_path: Path):
    plugin = tmp_path / "breaks.py"
    plugin.write_text(PLUGIN)
    crash = tmp_path / "crash.mlir"
    first = command(
        "opt",
        file,
        ALLOW,
        "--load-pass-plugin",
        plugin,
        "--pass-pipeline=breaks",
        f"--mlir-pass-pipeline-crash-reproducer={crash}",
    )
    assert first.code == 1 and ALLOW in crash.read_text().split("\n")[0]
    again = command("opt", crash, "--run-reproducer")
    assert re.findall(r"error\[(\w+)\]", again.err) == re.findall(r"error\[(\w+)\]", first.err) == ["LLMC0204"]


PLUGIN = '''
from llmc.passes.framework.pass_ import Pass


class Breaks(Pass):
    """Fails."""

    name = "breaks"

    def run(self, ctx, module):
        raise ValueError("no")
'''
