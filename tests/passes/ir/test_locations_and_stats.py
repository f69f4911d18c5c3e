"""snapshot-locations points into the file it writes; print-op-stats counts; cse joins locations."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from llmc.dialects.ir.context import make_context
from llmc.dialects.ir.diagnostics import LlmcError, describe_location
from llmc.dialects.ir.parsing import parse_module
from running import run_passes

TEXT = """
func.func @f(%x: f32) -> f32 {
  %0 = arith.addf %x, %x : f32 loc("a"("m.py":1:1))
  %1 = arith.addf %x, %x : f32 loc("b"("m.py":2:1))
  %2 = arith.mulf %0, %1 : f32
  func.return %2 : f32
}
"""


def test_every_op_points_at_its_line_of_the_snapshot(tmp_path: Path) -> None:
    module, file = parse_module(make_context(), TEXT), tmp_path / "here.mlir"
    run_passes(module, f'snapshot-locations{{file="{file}"}}')
    lines = file.read_text().splitlines()
    for op in module.walk():
        name, line = describe_location(op.location).rsplit(":", 1)
        assert name == str(file) and op.name.removeprefix("builtin.") in lines[int(line) - 1]
    parse_module(make_context(), file.read_text())


def test_a_snapshot_can_keep_the_locations_there_are(tmp_path: Path) -> None:
    module = parse_module(make_context(), TEXT)
    run_passes(module, f'snapshot-locations{{file="{tmp_path / "x"}" keep=true}}')
    add = next(op for op in module.walk() if op.name == "arith.addf")
    assert "x:" in describe_location(add.location) and "a (m.py:1)" in describe_location(add.location)


def test_a_snapshot_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(LlmcError) as e:
        run_passes(parse_module(make_context(), TEXT), f'snapshot-locations{{file="{tmp_path}"}}')
    assert e.value.code == "LLMC0005"


def test_op_stats_go_to_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    run_passes(parse_module(make_context(), TEXT), "print-op-stats{json=true}")
    captured = capsys.readouterr()
    counts = json.loads(captured.err)
    assert captured.out == "" and counts["arith.addf"] == 2 and counts["builtin.module"] == 1


def test_a_shared_op_keeps_both_locations() -> None:
    module = parse_module(make_context(), TEXT)
    run_passes(module, "cse")
    (add,) = (op for op in module.walk() if op.name == "arith.addf")
    assert describe_location(add.location) == "a (m.py:1), b (m.py:2)"
