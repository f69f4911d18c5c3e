"""`--check-numerics` and its options, as a user gives them."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import numpy as np
import pytest
from checked import standing_at
from llmc.compiler.driver import llmc, opt
from llmc.dialects.ir.printer import print_module

SMALL = """
func.func @main(%x: tensor<4x8xf32>, %y: tensor<4x8xf32>) -> tensor<4x8xf32> {
  %0 = nn.rsqrt %x : (tensor<4x8xf32>) -> tensor<4x8xf32>
  %1 = nn.mul %0, %y : (tensor<4x8xf32>, tensor<4x8xf32>) -> tensor<4x8xf32>
  func.return %1 : tensor<4x8xf32>
}
"""
PLANTED = Path(__file__).parents[2] / "support" / "planted"
WRONG = ["--load-pass-plugin", str(PLANTED / "wrong_rewrites.py"), "--pass-pipeline=canonicalize,planted-divide"]

PLACED = """

@dataclass(frozen=True)
class PlacedDropScale(DropScale):
    name: ClassVar[str] = "placed-drop-scale"
    position: ClassVar[str | None] = "start of fusion"
"""


@pytest.fixture
def small(tmp_path: Path) -> str:
    path = tmp_path / "small.mlir"
    path.write_text(SMALL)
    return str(path)


def test_a_right_pipeline_gives_its_ir_and_a_summary(small: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert opt.main([small, "--pass-pipeline=canonicalize,generalise", "--check-numerics"]) == 0
    out, err = capsys.readouterr()
    assert "linalg.generic" in out and "numerics" not in out
    assert re.search(r"numerics: 1 passes? compared, 1 changed nothing; worst error ratio \S+ \(generalise\)", err)


def test_a_wrong_pass_is_an_error_with_pass_op_location_and_values(small: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert opt.main([small, *WRONG, "--check-numerics"]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert "error[LLMC0263]: pass 'planted-divide' changes the numbers of @main" in err
    assert "nn.div" in err and "--mlir-print-ir-before=planted-divide" in err


def test_without_the_flag_nothing_is_run(small: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert opt.main([small, *WRONG]) == 0
    assert capsys.readouterr().err == ""


def test_both_modules_are_written_and_start_the_pass_again(
    small: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "dump"
    assert opt.main([small, *WRONG, "--check-numerics", "--check-numerics-dump", str(folder)]) == 1
    before, after = sorted(folder.iterdir(), reverse=True)
    assert (before.name, after.name) == ("000_planted-divide.before.mlir", "000_planted-divide.after.mlir")
    assert "nn.rsqrt" in before.read_text() and "nn.div" in after.read_text()
    assert repeated(capsys)[0] == str(before)


def test_a_dump_that_can_not_be_written_is_told(small: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "000_planted-divide.before.mlir").mkdir()
    assert opt.main([small, *WRONG, "--check-numerics-dump", str(tmp_path)]) == 1
    assert f"error[LLMC0005]: can't write {tmp_path / '000_planted-divide.before.mlir'}" in capsys.readouterr().err


def repeated(capsys: pytest.CaptureFixture[str]) -> list[str]:
    """The words of the command that the LLMC0263 on stderr tells; run, it gives the same error."""
    found = re.search(r"; llmc-opt (.*) runs this pass alone", capsys.readouterr().err)
    assert found is not None
    words = shlex.split(found[1])
    assert opt.main(words) == 1
    assert "LLMC0263" in capsys.readouterr().err
    return words


def test_the_command_that_repeats_a_pass_has_its_anchor_its_options_and_the_inputs(
    small: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    np.savez(tmp_path / "given.npz", ids=np.full((4, 8), 4.0))
    folder = tmp_path / "a folder"
    flags = [
        "--check-numerics-dump",
        str(folder),
        "--check-numerics-seed=3",
        f"--check-numerics-inputs={tmp_path / 'given.npz'}",
    ]
    wrong = [*WRONG[:2], "--pass-pipeline=func.func(planted-divide{limit=99})"]
    assert opt.main([small, *wrong, "--check-numerics", *flags]) == 1
    words = repeated(capsys)
    assert "--pass-pipeline=func.func(planted-divide{limit=99})" in words and "--check-numerics-seed=3" in words
    assert [p.read_text().count("func.func") for p in folder.iterdir()] == [1, 1]


def test_a_build_tells_no_flag_that_it_does_not_take(
    checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plugin = tmp_path / "placed.py"
    plugin.write_text((PLANTED / "wrong_rewrites.py").read_text() + PLACED)
    flags = ["--device", "emulator", "--target", "sm_80", "--max-context", "64", "--check-numerics"]
    assert llmc.main(["build", str(checkpoint), "-o", str(tmp_path / "out"), *flags, "--load-pass-plugin", str(plugin)]) == 1
    err = capsys.readouterr().err
    assert "LLMC0263" in err and "--check-numerics-dump DIR" in err and "--mlir-print-ir" not in err


def test_inputs_are_taken_by_name_and_by_index(small: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ones = tmp_path / "ones.npz"
    np.savez(ones, **{"ids": np.ones((4, 8)), "1": np.ones((4, 8))})  # 1 / sqrt(1) is 1 / 1
    assert opt.main([small, *WRONG, "--check-numerics", "--check-numerics-inputs", str(ones)]) == 0
    np.savez(ones, **{"ids": np.ones((4, 9))})
    assert opt.main([small, *WRONG, "--check-numerics", "--check-numerics-inputs", str(ones)]) == 1
    assert "error[LLMC0264]: the input given for 'ids' has shape [4, 9], the module takes [4, 8]" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--check-numerics-sizes", "T"], "'T' is no size"),
        (["--check-numerics-sizes", "T=0"], "'T=0' is no size"),
        (["--check-numerics-inputs", "nowhere.npz"], "nowhere.npz can't be read as arrays"),
    ],
)
def test_a_bad_option_is_one_error(small: str, flags: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert opt.main([small, "--pass-pipeline=canonicalize", "--check-numerics", *flags]) == 1
    assert f"error[LLMC0264]: {message}" in capsys.readouterr().err


def test_a_tolerance_below_what_is_legal_finds_legal_rounding(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "model.nn"
    path.write_text(print_module(standing_at("nn")))
    command = [str(path), "--pass-pipeline=generalise", "--check-numerics", "-o", str(tmp_path / "out")]
    assert opt.main(command) == 0
    assert opt.main([*command, "--check-numerics-tolerance", "0.01"]) == 1
    assert "LLMC0263" in capsys.readouterr().err


def test_sizes_and_seed_choose_the_inputs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "model.nn"
    path.write_text(print_module(standing_at("nn")))
    told: list[str] = []
    for flags in ([], ["--check-numerics-seed", "3"], ["--check-numerics-sizes", "B=1,T=2"]):
        assert opt.main([str(path), "--pass-pipeline=generalise", "--check-numerics", *flags, "-o", str(tmp_path / "out")]) == 0
        told.append(capsys.readouterr().err)
    assert len(set(told)) == 3


def test_passes_on_one_function_see_the_symbols_around_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    function = """
func.func @NAME(%x: tensor<4x8xf32>) -> tensor<4x8xf32> {
  %w = nn.param @w : tensor<4x8xf32>
  %0 = nn.mul %x, %w : (tensor<4x8xf32>, tensor<4x8xf32>) -> tensor<4x8xf32>
  %1 = nn.mul %x, %w : (tensor<4x8xf32>, tensor<4x8xf32>) -> tensor<4x8xf32>
  %2 = nn.add %0, %1 : (tensor<4x8xf32>, tensor<4x8xf32>) -> tensor<4x8xf32>
  func.return %2 : tensor<4x8xf32>
}"""
    weight = """
nn.weight @w {
  %0 = nn.entry "w" : tensor<4x8xf32>
  nn.yield %0 : tensor<4x8xf32>
}"""
    path = tmp_path / "two.mlir"
    path.write_text(weight + function.replace("NAME", "f") + function.replace("NAME", "g"))
    assert opt.main([str(path), "--pass-pipeline=func.func(cse)", "--check-numerics", "-o", str(tmp_path / "out")]) == 0
    err = capsys.readouterr().err
    assert "2 passes compared" in err and "not compared" not in err


def test_what_can_not_be_compared_is_said_with_the_reason(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "k.mlir"
    path.write_text(
        """ptx.kernel @k {params = {x = "u64", n = "u32"}, reqntid = 32 : i32} {
  %x = ptx.ld param.u64 [@x] : !ptx.reg<b64>
  %a = ptx.ld param.u32 [@n] : !ptx.reg<b32>
  %b = ptx.mov b32 %a : !ptx.reg<b32>
  ptx.st global.b32 [%x], %b
  ptx.ret
}
"""
    )
    assert opt.main([str(path), "--pass-pipeline=legalise", "--check-numerics"]) == 0
    assert "legalise: not compared: @k: nothing says what its parameters point to" in capsys.readouterr().err
    np.savez(tmp_path / "given.npz", x=np.zeros(8, np.int32))
    given = ["--check-numerics-inputs", str(tmp_path / "given.npz"), "--check-numerics-sizes", "n=7,grid_x=1"]
    assert opt.main([str(path), "--pass-pipeline=legalise,assign-registers", "--check-numerics", *given]) == 0
    assert "2 passes compared" in capsys.readouterr().err


def test_weights_come_from_a_checkpoint(checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = """
nn.weight @w {
  %0 = nn.entry "model.norm.weight" : tensor<64xbf16>
  nn.yield %0 : tensor<64xbf16>
}
func.func @main(%x: tensor<4x64xbf16>) -> tensor<4x64xbf16> {
  %w = nn.param @w : tensor<64xbf16>
  %0 = nn.rms_norm %x, %w {eps = 1.0e-05 : f64, offset = 0.0 : f64} : (tensor<4x64xbf16>, tensor<64xbf16>) -> tensor<4x64xbf16>
  %1 = nn.relu %0 : (tensor<4x64xbf16>) -> tensor<4x64xbf16>
  func.return %1 : tensor<4x64xbf16>
}
"""
    path = tmp_path / "norm.mlir"
    path.write_text(text)
    command = [str(path), "--pass-pipeline=generalise", "--check-numerics", "-o", str(tmp_path / "out")]
    assert opt.main([*command, "--check-numerics-weights", str(checkpoint)]) == 0
    assert "1 passes compared" in capsys.readouterr().err
    assert opt.main([*command, "--check-numerics-weights", str(tmp_path / "none")]) == 1


def test_a_build_is_checked_down_to_its_instructions(
    checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    flags = ["--device", "emulator", "--target", "sm_80", "--max-context", "64", "--check-numerics"]
    assert llmc.main(["build", str(checkpoint), "-o", str(tmp_path / "out"), *flags]) == 0
    err = capsys.readouterr().err
    assert re.search(r"numerics: \d+ passes compared", err)
    assert json.loads((tmp_path / "out" / "manifest.json").read_text())["options"]["target"] == "sm_80"
