"""What llmc-opt promises around passes and nothing else shows: verification that can be turned off, lines that lead to the model."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from commands import Command
from llmc.dialects.ir.diagnostics import LlmcError

BREAKING = '''\
"""A pass that leaves a use before its definition."""

from dataclasses import dataclass
from typing import ClassVar

from llmc.passes.framework.pass_ import Pass, PassContext
from xdsl.dialects.builtin import ModuleOp


@dataclass(frozen=True)
class Misplace(Pass):
    """Move the first op of a function behind the second."""

    name: ClassVar[str] = "misplace"
    anchors: ClassVar[tuple[str, ...]] = ("func.func",)

    def run(self, ctx: PassContext, module: ModuleOp) -> None:
        for function in module.body.block.ops:
            first = function.regions[0].block.first_op
            second = first.next_op
            first.detach()
            function.regions[0].block.insert_op_after(first, second)
'''
TEXT = """\
func.func @main(%x: tensor<4x8xf32>) -> tensor<4x8xf32> {
  %0 = nn.neg %x : (tensor<4x8xf32>) -> tensor<4x8xf32>
  %1 = nn.exp %0 : (tensor<4x8xf32>) -> tensor<4x8xf32> loc("model.layers.0.act"("model.py":7:3))
  func.return %1 : tensor<4x8xf32>
}
"""


@pytest.fixture
def module(tmp_path: Path) -> Path:
    (tmp_path / "breaking.py").write_text(BREAKING)
    (tmp_path / "in.mlir").write_text(TEXT)
    return tmp_path / "in.mlir"


@pytest.mark.parametrize("flag", [(), ("--verify-each",), ("--no-verify-each",)])
def test_verification_after_each_pass_can_be_turned_off(flag: tuple[str, ...], command: Command, module: Path) -> None:
    plugin = module.parent / "breaking.py"
    result = command("opt", module, "--load-pass-plugin", plugin, "--pass-pipeline=func.func(misplace)", *flag)
    if flag == ("--no-verify-each",):
        assert result.code == 0 and result.out.index("nn.exp") < result.out.index("nn.neg")
    else:
        assert result.code == 1 and result.out == "" and "in pass 'misplace'" in result.err


def test_line_info_leads_from_an_instruction_to_the_model(command: Command, module: Path) -> None:
    text = command("opt", module, "--compile-from=nn", "--emit-ptx", "--line-info=torch").out
    assert '.file 1 "model.py"' in text
    lines = text.splitlines()
    exponential = next(n for n, line in enumerate(lines) if "ex2" in line)
    assert next(line for line in reversed(lines[:exponential]) if ".loc" in line) == "\t.loc 1 7 3 // model.layers.0.act"


def test_without_line_info_ptx_says_nothing_of_the_model(command: Command, module: Path) -> None:
    text = command("opt", module, "--compile-from=nn", "--emit-ptx").out
    assert ".entry" in text and ".loc" not in text and "model" not in text


def test_line_info_of_a_snapshot_leads_to_its_lines(command: Command, module: Path, tmp_path: Path) -> None:
    dump = tmp_path / "seen.mlir"
    pipeline = f'compile-to{{phase=tile}},snapshot-locations{{file="{dump}"}},ptx-phase'
    result = command("opt", module, f"--pass-pipeline={pipeline}", "--emit-ptx", "--line-info=tile")
    assert result.code == 0, result.err
    lines = dump.read_text().splitlines()
    numbers = {int(n) for n in re.findall(r"\.loc 1 (\d+)", result.out)}
    assert numbers and any("tile.load" in lines[n - 1] for n in numbers)


def test_an_error_of_a_kernel_says_its_symbol_and_line(command: Command, tmp_path: Path) -> None:
    attributes = '{family = "generic", arg_effects = [], sizes = [], schedule = #layout.schedule<"no_such", {}>}'
    (tmp_path / "ed.mlir").write_text(f"layout.kernel @mine() attributes {attributes} {{\n  layout.return\n}}\n")
    told = command("opt", tmp_path / "ed.mlir", "--pass-pipeline=layout-to-tile").err
    assert "--> layout.kernel @mine()" in told and f"note: @mine at {tmp_path / 'ed.mlir'}:1:1" in told


def test_ptx_and_ir_are_both_written_where_both_are_asked_for(command: Command, module: Path, tmp_path: Path) -> None:
    result = command("opt", module, "--emit-ptx-dir", tmp_path / "ptx", "-o", "-")
    assert "nn.neg" in result.out and "0 kernels written" in result.err


@pytest.mark.parametrize("flag", [("--emit-ptx",), ("--emit-ptx-dir", "{}")])
def test_a_module_without_kernels_has_no_ptx_and_is_told_so(
    flag: tuple[str, ...], command: Command, module: Path, tmp_path: Path
) -> None:
    result = command("opt", module, *(word.format(tmp_path / "ptx") for word in flag))
    assert (result.code, result.out.strip()) == (0, "") and result.err.startswith("warning: there is no PTX to write")


@pytest.mark.parametrize(
    ("attribute", "text"),
    [
        ("llmc.target = 5 : i64", "llmc.target is 5"),
        ('"llmc.max-context" = "x"', 'llmc.max-context is "x"'),
        ('"llmc.max-context" = 0 : i64', "llmc.max-context is 0"),
        ('llmc.kind = "y"', 'llmc.kind is "y"'),
    ],
)
def test_an_option_on_the_module_has_its_type(attribute: str, text: str, command: Command, tmp_path: Path) -> None:
    place = tmp_path / "x.nn"
    place.write_text(f"builtin.module attributes {{{attribute}}} {{\n{TEXT}}}\n")
    command("opt", place, "--compile-from", "nn").refused("LLMC0275", text, "leave it out")


def test_pages_on_the_module_are_numbers() -> None:
    from llmc.dialects.ir.context import make_context
    from llmc.dialects.ir.parsing import parse_module
    from llmc.passes.layout.scheduling import paging_of

    with pytest.raises(LlmcError, match=r"layout\.page_size is"):
        paging_of(parse_module(make_context(), 'builtin.module attributes {layout.page_size = "x"} {}'))


def test_what_no_buffer_holds_is_refused_by_name(command: Command, tmp_path: Path) -> None:
    place = tmp_path / "x.fusion"
    place.write_text("func.func @main(%x: f32) -> f32 {\n  func.return %x : f32\n}\n")
    command("opt", place, "--pass-pipeline=bufferise").refused("LLMC0718", "no buffer holds a f32", "argument %x")


def test_a_pipeline_is_given_once(command: Command, tmp_path: Path) -> None:
    command("opt", tmp_path / "x.mlir", "--pass-pipeline=cse", "--pass-pipeline=dce").refused("LLMC0239", "given twice")


def test_files_do_not_take_the_place_of_folders(command: Command, tmp_path: Path) -> None:
    place = tmp_path / "x.mlir"
    place.write_text(TEXT)
    for flags in (["--emit-ptx-dir", place], ["--check-numerics-dump", place]):
        command("opt", place, "--pass-pipeline=cse", *flags).refused("LLMC0005", "x.mlir")
