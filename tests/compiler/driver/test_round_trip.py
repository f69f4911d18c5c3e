"""--verify-roundtrip fails where the printer and the parser disagree, and names the op."""

from __future__ import annotations

from pathlib import Path

import pytest
from commands import Command
from xdsl.dialects.arith import NegfOp
from xdsl.printer import Printer

TEXT = """\
func.func @a(%x: f32) -> f32 {
  %0 = arith.negf %x {kept = 1 : i32} : f32 loc("model.neg"("model.py":7:0))
  func.return %0 : f32
}
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "f.mlir").write_text(TEXT)
    return tmp_path / "f.mlir"


def says(printed: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let arith.negf of the first value print as this."""
    monkeypatch.setattr(NegfOp, "print", lambda self, printer: printer.print_string(printed))


def test_a_module_that_comes_back_goes_on(command: Command, file: Path):
    outcome = command("opt", file, "--verify-roundtrip", "--mlir-print-debuginfo")
    assert (outcome.code, outcome.err) == (0, "")
    assert "model.neg" in outcome.out


def test_what_the_printer_leaves_out_is_named(command: Command, file: Path, monkeypatch: pytest.MonkeyPatch):
    says(" %x : f32", monkeypatch)
    outcome = command("opt", file, "--verify-roundtrip")
    outcome.refused("LLMC0274", "from its custom form as another one", "kept = 1 : i32", "--> %0 = arith.negf %x : f32")


def test_text_that_does_not_parse_is_shown(command: Command, file: Path, monkeypatch: pytest.MonkeyPatch):
    says(" %x", monkeypatch)
    outcome = command("opt", file, "--verify-roundtrip")
    outcome.refused("LLMC0274", "does not read back from its custom form", "<custom form>:3", "%0 = arith.negf %x")


def test_the_generic_form_is_read_too(command: Command, file: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(Printer, "print_op_attributes", lambda self, *rest, **more: None)
    monkeypatch.setattr(NegfOp, "print", lambda self, printer: printer.print_string(" %x {kept = 1 : i32} : f32"))
    outcome = command("opt", file, "--verify-roundtrip")
    outcome.refused("LLMC0274", "from its generic form as another one", "its attributes changed", "arith.negf")
