"""`--load-pass-plugin`: what a plugin brings is listed, run and built with like llmc's own, and its source counts in every cache."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from commands import Command
from llmc.compiler.driver import reference
from plugins import EXAMPLES, install

ROOT = Path(__file__).parents[3]
ACT, PCIE = EXAMPLES / "squared_relu.py", EXAMPLES / "h100_pcie.py"
BOTH = ("--load-pass-plugin", ACT, "--load-pass-plugin", PCIE)
IR = """builtin.module attributes {llmc.kind = "module"} {
  func.func @main(%x: tensor<4x8xbf16>) -> tensor<4x8xbf16> {
    %0 = act.squared_relu %x : tensor<4x8xbf16>
    func.return %0 : tensor<4x8xbf16>
  }
}
"""


@pytest.fixture
def module(tmp_path: Path) -> Path:
    (tmp_path / "act.nn").write_text(IR)
    return tmp_path / "act.nn"


def test_passes_dialects_targets_and_schedules_are_listed_with_their_origin(command: Command) -> None:
    listed = command("opt", "--list-passes", *BOTH).out
    assert f"{ACT}:\n  lower-act " in listed
    assert f"[{ACT}]" in next(line for line in listed.split("\n") if line.startswith("  tidy-act"))
    assert f"act          [{ACT}]" in command("opt", "--show-dialects", *BOTH).out.split("\n")
    assert f"h100_pcie    sm_90a   H100 PCIe [{PCIE}]" in command("opt", "--list-targets", *BOTH).out
    assert f"small_pointwise      pointwise [{PCIE}]" in command("opt", "--list-schedules", *BOTH).out


def test_a_pass_of_a_plugin_runs_by_name_and_in_its_phase(command: Command, module: Path) -> None:
    by_name = command("opt", module, *BOTH, "--pass-pipeline", "builtin.module(tidy-act)")
    assert by_name.code == 0 and "nn.relu" in by_name.out and "act." not in by_name.out
    whole = command("opt", module, *BOTH, "--compile-to", "nn", "--dump-pass-pipeline")
    assert whole.code == 0 and "nn.mul" in whole.out
    assert "// nn-phase: lower-act,canonicalize," in whole.err


def test_a_schedule_and_a_target_of_a_plugin_are_compiled_with(command: Command, module: Path) -> None:
    layout = command("opt", module, *BOTH, "--compile-to", "layout", "--target", "h100_pcie")
    assert '#layout.schedule<"small_pointwise", {threads = 64}>' in layout.out and 'llmc.target = "h100_pcie"' in layout.out
    ptx = command("opt", module, *BOTH, "--compile-to", "ptx", "--target", "h100_pcie", "--emit-ptx")
    assert ".target sm_90a" in ptx.out and ".reqntid 64, 1, 1" in ptx.out


def test_traces_name_the_passes_of_plugins(command: Command, module: Path) -> None:
    result = command("opt", module, *BOTH, "--pass-pipeline", "lower-act", "--mlir-print-ir-after-all")
    assert "IR Dump After LowerAct (lower-act)" in result.err


def test_without_its_plugin_nothing_of_it_is_known(command: Command, module: Path) -> None:
    assert "LLMC0001" in command("opt", module).err
    assert "LLMC0830" in command("opt", "/dev/null", "--target", "h100_pcie").err
    result = command("opt", "/dev/null", "--pass-pipeline", "lower-act")
    assert result.code == 1 and "unknown pass 'lower-act'" in result.err


def test_a_broken_plugin_is_one_paragraph(command: Command, tmp_path: Path) -> None:
    (tmp_path / "broken.py").write_text("import nowhere\n")
    for arguments in (("opt", "/dev/null"), ("opt", "--list-passes"), ("build", tmp_path, "-o", tmp_path / "out")):
        result = command(*arguments, "--load-pass-plugin", tmp_path / "broken.py")
        assert result.code == 1 and result.out == ""
        assert result.err.startswith("error[LLMC0215]") and result.err.count("error[") == 1 and "Traceback" not in result.err


def test_a_model_is_built_and_run_with_the_schedules_of_a_plugin(command: Command, checkpoint: Path, tmp_path: Path) -> None:
    plugin = ("--load-pass-plugin", PCIE)
    build = command("build", checkpoint, "-o", tmp_path / "out", "--device", "emulator", *plugin, "--target", "h100_pcie")
    assert build.code == 0, build.err
    shown = command("inspect", tmp_path / "out", *plugin).out
    assert '"small_pointwise"' in shown and "for h100_pcie" in shown
    run = ("run", tmp_path / "out", "--prompt", "once upon", "--max-tokens", "3", "--device", "emulator")
    assert command(*run, *plugin).out == command("run", checkpoint, *run[2:]).out != ""


def test_an_edited_plugin_never_takes_yesterdays_kernels(command: Command, checkpoint: Path, tmp_path: Path) -> None:
    source = PCIE.read_text()
    plugin = tmp_path / "mine.py"
    threads = []
    for number in (64, 32):
        plugin.write_text(source.replace("threads=64", f"threads={number}"))
        run = ("run", checkpoint, "--prompt", "once", "--max-tokens", "2", "--device", "emulator", "--load-pass-plugin", plugin)
        assert command(*run).code == 0
        assert command(*run, "--dump", tmp_path / f"out{number}").code == 0
        shown = command("inspect", tmp_path / f"out{number}", "--load-pass-plugin", plugin).out
        threads += [line.split("}>")[1].split()[0] for line in shown.split("\n") if "small_pointwise" in line][:1]
    assert threads == ["64", "32"]


def test_the_reference_of_plugins_is_written_beside_ours(tmp_path: Path) -> None:
    assert reference.main(["--load-pass-plugin", str(ACT), "--load-pass-plugin", str(PCIE), "-o", str(tmp_path)]) == 0
    assert "### `act.squared_relu`" in (tmp_path / "dialects" / "act.md").read_text()
    passes = (tmp_path / "passes.md").read_text()
    assert f"## {ACT}\n\n### `lower-act`" in passes and "### `canonicalize`" in passes and "### `tidy-act`" in passes
    assert "## `small_pointwise`" in (tmp_path / "schedules.md").read_text()


def in_process(site: Path, *command: str) -> subprocess.CompletedProcess[str]:
    """Run a command with a folder of installed distributions before all others."""
    path = f"{site}:{ROOT / '.typing'}"
    return subprocess.run([*command], capture_output=True, text=True, env={"PYTHONPATH": path, "PATH": "/usr/bin:/bin"})


def test_an_installed_plugin_needs_no_flag(tmp_path: Path, module: Path) -> None:
    (tmp_path / "act_for_llmc.py").write_text(ACT.read_text())
    install(tmp_path, "act-for-llmc", "llmc.plugins", {"act": "act_for_llmc"})
    opt = (sys.executable, "-m", "llmc.compiler.driver.opt")
    result = in_process(tmp_path, *opt, str(module), "--compile-to", "nn")
    assert result.returncode == 0, result.stderr
    assert "nn.relu" in result.stdout
    assert "act_for_llmc of act-for-llmc:\n  lower-act" in in_process(tmp_path, *opt, "--list-passes").stdout


def test_stock_xdsl_opt_has_our_dialects_and_passes(tmp_path: Path) -> None:
    entries = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["entry-points"]["xdsl.universe"]
    install(tmp_path, "llmc", "xdsl.universe", entries)
    (tmp_path / "x.mlir").write_text(
        "func.func @main(%x: tensor<4x8xf32>) -> tensor<4x8xf32> {\n"
        "  %0 = nn.reshape %x : (tensor<4x8xf32>) -> tensor<32xf32>\n"
        "  %1 = nn.reshape %0 : (tensor<32xf32>) -> tensor<4x8xf32>\n"
        "  func.return %1 : tensor<4x8xf32>\n}\n"
    )
    code = "from xdsl.xdsl_opt_main import xDSLOptMain; xDSLOptMain().run()"
    passes = "llmc-canonicalize,specialise-sizes{decode-tokens=3}"
    result = in_process(tmp_path, sys.executable, "-c", code, str(tmp_path / "x.mlir"), "-p", passes)
    assert result.returncode == 0, result.stderr
    assert "nn.reshape" not in result.stdout and "func.func @encode" in result.stdout
