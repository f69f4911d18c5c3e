"""`llmc run`, `llmc build`, `llmc inspect` and the flags of `llmc-opt` do what their help says."""

from __future__ import annotations

import io
import json
import os
import re
import shutil
import signal
import stat
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import llmc
import pytest
from commands import WORDS, Command
from llmc.compiler import api
from llmc.compiler.artefact import read_artefact
from llmc.compiler.driver import llmc as llmc_command
from llmc.compiler.driver import lsp as lsp_command
from llmc.compiler.driver import model_commands
from llmc.compiler.driver import opt as opt_command
from llmc.compiler.driver.progress import ProgressLine
from llmc.compiler.reduce import command as reduce_command
from llmc.runtime.emulator.device import EmulatorDevice
from llmc.runtime.executor import DeviceEngine
from tools import needs_ptxas

ROOT = Path(__file__).parents[3]
EMULATOR = ("--device", "emulator")
PROMPT = ("--prompt", "once upon", "--max-tokens", "3")
IR = """builtin.module {
  func.func @main(%x: tensor<4xf32>) -> tensor<4xf32> {
    %0 = nn.neg %x : (tensor<4xf32>) -> tensor<4xf32>
    %1 = nn.neg %0 : (tensor<4xf32>) -> tensor<4xf32>
    %2 = nn.exp %x : (tensor<4xf32>) -> tensor<4xf32>
    func.return %0 : tensor<4xf32>
  }
}
"""


@pytest.fixture
def module(tmp_path: Path) -> Path:
    """A small module with a dead op."""
    path = tmp_path / "x.nn"
    path.write_text(IR)
    return path


# llmc -----------------------------------------------------------------------------------------------------------------


def test_run_streams_the_text_to_stdout_and_the_rest_to_stderr(command: Command, checkpoint: Path, tmp_path: Path) -> None:
    result = command("run", checkpoint, *PROMPT, *EMULATOR, "--dump", tmp_path / "dump")
    assert result.code == 0
    assert result.out.startswith("once upon") and result.out.endswith("\n")
    assert set(result.out.split()) <= set(WORDS)
    assert "reading the checkpoint" in result.err
    assert re.search(r"\[emulator\] \d tokens, TTFT [\d.]+ ms, TPOT [\d.]+ ms; dumps are in ", result.err)
    assert re.search(
        r"; instructions of a warp: [\d,]{4,} to the first token, [\d,]{4,} for each after it$", result.err.strip()
    )
    assert {p.name for p in (tmp_path / "dump" / "ir").iterdir()} == {
        f"model.{p}" for p in ("nn", "fusion", "quant", "layout", "tile", "ptx")
    }


def test_devices_and_artefacts_say_the_same(command: Command, checkpoint: Path, artefact: Path) -> None:
    runs = ((checkpoint, "reference"), (artefact, "reference"), (artefact, "emulator"))
    assert len({command("run", place, *PROMPT, "--device", device).out for place, device in runs}) == 1


def test_strict_runs_on_the_emulator_and_nowhere_else(command: Command, artefact: Path) -> None:
    result = command("run", artefact, *PROMPT, "--strict")
    assert result.code == 0 and "[emulator]" in result.err
    refused = command("run", artefact, *PROMPT, "--strict", "--device", "cuda")
    assert refused.code == 1 and "error[LLMC0239]: --strict with --device cuda" in refused.err
    engine = api.load(artefact, device="emulator", strict=True).engine
    assert isinstance(engine, DeviceEngine) and isinstance(engine.device, EmulatorDevice) and engine.device.strict


def test_the_prompt_comes_from_standard_input(command: Command, artefact: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("once upon\n"))
    piped = command("run", artefact, *PROMPT, "--prompt", "-", "--device", "reference")
    assert piped.code == 0
    assert piped.out == command("run", artefact, *PROMPT, "--device", "reference").out


def test_seeds_repeat_draws(command: Command, artefact: Path) -> None:
    def draw(seed: int) -> str:
        return command(
            "run", artefact, "--prompt", "fox", "--max-tokens", 12, "--temperature", 3, "--seed", seed, "--device", "reference"
        ).out

    assert draw(1) == draw(1)
    assert len({draw(seed) for seed in range(2, 6)}) > 1


def test_max_tokens_default_to_what_the_context_has_room_for(command: Command, artefact: Path) -> None:
    result = command("run", artefact, "--prompt", "fox " * 126, "--device", "reference")
    assert result.code == 0
    assert re.search(r"\] [12] tokens", result.err)


def test_without_a_gpu_run_says_that_it_emulates(command: Command, artefact: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from llmc.compiler.driver import model_commands

    monkeypatch.setattr(model_commands, "gpu_missing", lambda: "no driver\nanswers")
    result = command("run", artefact, *PROMPT)
    assert result.code == 0
    assert [line for line in result.err.splitlines() if "no GPU" in line] == [
        "no GPU here (no driver): running on the emulator, which is slow"
    ]


def test_running_an_artefact_imports_neither_torch_nor_transformers(artefact: Path) -> None:
    script = (
        "import sys\nfrom llmc.compiler.driver.llmc import main\n"
        f"assert main(['run', {str(artefact)!r}, '--prompt', 'fox', '--max-tokens', '2', '--device', 'emulator']) == 0\n"
        "print(sorted({'torch', 'transformers'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, env={"PYTHONPATH": str(ROOT / ".typing")}, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "[]"


def test_an_artefact_holds_every_level_and_moves_with_its_weights(command: Command, checkpoint: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(checkpoint, tmp_path / "checkpoint"))
    assert command("build", copy, "-o", tmp_path / "out", *EMULATOR, "--copy-weights").code == 0
    shutil.rmtree(copy)
    moved = (tmp_path / "out").rename(tmp_path / "moved")
    manifest = json.loads((moved / "manifest.json").read_text())
    assert {f"ir/model.{p}" for p in ("nn", "fusion", "quant", "layout", "tile", "ptx")} <= set(manifest["files"])
    assert {f"ptx/{kernel}.ptx" for kernel in manifest["kernels"]} <= set(manifest["files"])
    assert command("run", moved, *PROMPT, *EMULATOR).code == 0
    assert sorted(p.name for p in tmp_path.iterdir()) == ["moved"]


def test_building_again_replaces_the_artefact_and_prints_remarks(
    command: Command, checkpoint: Path, artefact: Path, tmp_path: Path
) -> None:
    out = Path(shutil.copytree(artefact, tmp_path / "out"))
    (out / "stale").write_text("")
    result = command("build", checkpoint, "-o", out, *EMULATOR, "--remarks", "fusion")
    assert result.code == 0 and "remark[fusion]" in result.err
    assert not (out / "stale").exists()
    assert [p.name for p in tmp_path.iterdir()] == ["out"]


def test_a_build_that_is_ended_midway_leaves_nothing(checkpoint: Path, tmp_path: Path) -> None:
    """The weights' copying is stretched, and SIGTERM comes in its midst."""
    script = (
        "import shutil, sys, time\nfrom llmc.compiler import artefact\nfrom llmc.compiler.driver.llmc import main\n"
        "def slow(*_):\n    print('copying', flush=True)\n    time.sleep(60)\n"
        "shutil.copyfile = slow\n"
        f"sys.exit(main(['build', {str(checkpoint)!r}, '-o', {str(tmp_path / 'out')!r}, '--device', 'emulator', '--no-cache']))"
    )
    child = subprocess.Popen(
        [sys.executable, "-c", script],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env=os.environ | {"PYTHONPATH": str(ROOT / ".typing")},
    )
    assert child.stdout is not None
    assert child.stdout.readline() == "copying\n"
    assert not (tmp_path / "out").exists()
    child.send_signal(signal.SIGTERM)
    assert child.wait(30) == 143
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("kind", "words"), [("decoder", "a decoder for"), ("encoder", "an encoder for")])
def test_inspect_says_what_kind_of_model_it_is(
    kind: str, words: str, command: Command, artefact: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    compiled, model = read_artefact(artefact)
    monkeypatch.setattr(model_commands, "read_artefact", lambda *_: (compiled, replace(model, kind=kind)))
    assert command("inspect", artefact).out.startswith(f"{artefact}: {words} sm_80")


def test_inspect_lists_kernels_and_programs(command: Command, artefact: Path) -> None:
    result = command("inspect", artefact)
    assert result.code == 0
    assert "a decoder for sm_80, weights none, context 128, 1 sequences" in result.out
    for kernel in json.loads((artefact / "manifest.json").read_text())["kernels"]:
        assert kernel in result.out
    assert re.search(r"program decode: \d+ launches", result.out)


@needs_ptxas
def test_build_makes_cubins_where_ptxas_is(command: Command, checkpoint: Path, tmp_path: Path) -> None:
    assert command("build", checkpoint, "-o", tmp_path / "out", "--target", "sm_90a").code == 0
    assert len(list((tmp_path / "out" / "cubin").iterdir())) == len(list((tmp_path / "out" / "ptx").iterdir())) > 0
    assert re.search(r" [1-9]\d* registers", command("inspect", tmp_path / "out").out)


def test_progress_is_one_line_on_a_terminal_and_a_line_a_phase_elsewhere() -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    for stream, lines in ((Terminal(), 0), (io.StringIO(), 2)):
        with ProgressLine(stream, start=time.perf_counter()) as progress:
            for done in range(3):
                progress("ptx", "kernel", done, 3)
            progress("load", "", 0, 1)
        assert stream.getvalue().count("\n") == lines
        assert stream.getvalue().endswith("\x1b[K") == (lines == 0)


@pytest.mark.parametrize("parser", [llmc_command.parser, opt_command.parser])
def test_every_flag_is_explained(parser: object) -> None:
    for action in parser()._actions:  # pyright: ignore
        for sub in (action.choices or {}).values() if isinstance(action.choices, dict) else []:
            assert all(a.help for a in sub._actions if a.option_strings), sub.prog
        assert action.help or action.dest == "command"


# llmc-opt -------------------------------------------------------------------------------------------------------------


def test_opt_lists_passes_and_dialects(command: Command) -> None:
    passes = command("opt", "--list-passes").out
    assert "canonicalize" in passes and "--scheme" in passes
    assert {"nn", "fusion", "quantized", "layout", "tile", "ptx", "rt", "arith"} <= set(
        command("opt", "--show-dialects").out.split()
    )


def test_opt_reads_standard_input_and_prints(command: Command, monkeypatch: pytest.MonkeyPatch, module: Path) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO(IR))
    piped = command("opt")
    assert piped.code == 0 and piped.out.count("nn.neg") == 2
    assert piped.out == command("opt", module).out


def test_opt_runs_a_pipeline_into_a_file(command: Command, module: Path, tmp_path: Path) -> None:
    result = command(
        "opt", module, "--pass-pipeline", "builtin.module(canonicalize)", "-o", tmp_path / "y.nn", "--dump-pass-pipeline"
    )
    assert (result.code, result.out) == (0, "")
    assert "nn.exp" not in (tmp_path / "y.nn").read_text()
    assert "builtin.module(canonicalize)" in result.err
    assert (tmp_path / "y.nn").stat().st_mode & 0o777 == module.stat().st_mode & 0o777


@pytest.mark.parametrize(
    ("flags", "headings"),
    [
        (("--mlir-print-ir-before", "canonicalize"), ["Before canonicalize"]),
        (("--mlir-print-ir-after", "canonicalize"), ["After canonicalize"]),
        (("--mlir-print-ir-before-all",), ["Before canonicalize", "Before recognise"]),
        (("--mlir-print-ir-after-all",), ["After canonicalize", "After recognise"]),
        (("--mlir-print-ir-after-failure",), []),
    ],
)
def test_opt_prints_ir_around_passes(command: Command, module: Path, flags: tuple[str, ...], headings: list[str]) -> None:
    result = command("opt", module, "--pass-pipeline", "canonicalize,recognise", *flags)
    assert result.code == 0
    assert re.findall(r"IR Dump (\w+) \w+ \((\w+)\) //", result.err) == [tuple(h.split()) for h in headings]
    assert ("nn.exp" in result.err) == any(h == "Before canonicalize" for h in headings)


def test_opt_writes_numbered_files_and_times(command: Command, module: Path, tmp_path: Path) -> None:
    result = command(
        "opt",
        module,
        "--pass-pipeline",
        "canonicalize,recognise",
        "--mlir-print-ir-tree-dir",
        tmp_path / "tree",
        "--mlir-timing",
    )
    assert result.code == 0
    folder = tmp_path / "tree" / "builtin_module_no-symbol-name"
    assert sorted(p.name for p in folder.iterdir()) == ["0_canonicalize.mlir", "1_recognise.mlir"]
    assert re.search(r"[\d.]+ \( *[\d.]+%\)  canonicalize\n", result.err) and "Total" in result.err


def test_opt_prints_locations_and_the_generic_form(command: Command, module: Path) -> None:
    assert "loc(" in command("opt", module, "--mlir-print-debuginfo").out
    assert '"nn.neg"(' in command("opt", module, "--mlir-print-op-generic").out


@pytest.mark.parametrize(
    ("start", "end", "op"),
    [("nn", "fusion", "fusion.kernel"), ("fusion", "quant", "fusion.kernel"), ("quant", "layout", "rt.program")],
)
def test_opt_goes_on_from_any_phase(command: Command, artefact: Path, start: str, end: str, op: str) -> None:
    result = command("opt", artefact / "ir" / f"model.{start}", "--compile-from", start, "--compile-to", end)
    assert result.code == 0
    assert op in result.out and f'llmc.phase = "{end}"' in result.out


def test_opt_emits_the_ptx_of_a_dump(command: Command, artefact: Path, tmp_path: Path) -> None:
    result = command("opt", artefact / "ir" / "model.ptx", "--emit-ptx-dir", tmp_path / "ptx", "--emit-ptx")
    assert result.code == 0 and ".visible .entry" in result.out
    assert {p.name for p in (tmp_path / "ptx").iterdir()} == {p.name for p in (artefact / "ptx").iterdir()}


def test_opt_prints_remarks_of_a_category(command: Command, artefact: Path) -> None:
    result = command(
        "opt",
        artefact / "ir" / "model.nn",
        "--compile-from",
        "nn",
        "--compile-to",
        "fusion",
        "--remarks",
        "fusion",
        "-o",
        os.devnull,
    )
    assert result.code == 0
    assert set(re.findall(r"remark\[(.*?)\]", result.err)) == {"fusion"}


def test_opt_writes_remarks_as_records(command: Command, artefact: Path, tmp_path: Path) -> None:
    dump, out = artefact / "ir" / "model.nn", tmp_path / "remarks.yaml"
    arguments = ("--pass-pipeline", "generalise,form-kernels", "--remarks-filter", "missed", "--remarks-output", out)
    result = command("opt", dump, *arguments)
    assert result.code == 0 and "remark[" not in result.err
    text = out.read_text()
    assert text.startswith('--- !Missed\nPass: "form-kernels"\nName: "fusion"\n') and "!Passed" not in text
    command("opt", dump, *arguments[:2], "--remarks-filter", "gossip").refused("LLMC0238", "gossip", "missed")


def test_an_output_that_is_no_file_is_written_to_and_not_replaced(command: Command, module: Path, tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = subprocess.Popen(["cat", str(pipe)], stdout=subprocess.PIPE, text=True)
    assert command("opt", module, "-o", pipe).code == 0
    assert "func.func @main" in reader.communicate(timeout=60)[0]
    assert stat.S_ISFIFO(pipe.stat().st_mode)


def test_an_output_that_is_a_link_keeps_the_link(command: Command, module: Path, tmp_path: Path) -> None:
    (tmp_path / "real.nn").write_text("old")
    (tmp_path / "link.nn").symlink_to("real.nn")
    assert command("opt", module, "-o", tmp_path / "link.nn").code == 0
    assert (tmp_path / "link.nn").is_symlink() and "func.func @main" in (tmp_path / "real.nn").read_text()


@pytest.mark.parametrize(
    ("name", "module"),
    [("llmc", llmc_command), ("llmc-opt", opt_command), ("llmc-reduce", reduce_command), ("llmc-lsp", lsp_command)],
)
def test_every_command_tells_the_version(name: str, module: Any, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as leaving:
        module.main(["--version"])
    assert (leaving.value.code, capsys.readouterr().out) == (0, f"{name} {llmc.__version__}\n")
