"""Three mistakes in passes, on a real model: each is found with the one command that a user would type."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from llmc.compiler.driver import llmc, opt
from llmc.compiler.phases import lower, phase_of
from llmc.compiler.reduce import command as reduce_command
from llmc.compiler.run_pipeline import run_pipeline
from llmc.dialects.ir.context import make_context
from llmc.dialects.ir.printer import print_module
from llmc.passes.framework.manager import PassManager
from llmc.passes.framework.pass_ import PassContext
from model_runs import Imported

PLANTED = Path(__file__).parents[1] / "support" / "planted"


@pytest.fixture
def dump(storyteller: Imported, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The storyteller at `nn`; `model.quant` lies beside it."""
    monkeypatch.setenv("LLMC_CACHE_DIR", str(tmp_path / "cache"))
    for phase in ("nn", "quant"):
        (tmp_path / f"model.{phase}").write_text(storyteller.compile().dumps[phase])
    return tmp_path / "model.nn"


def plugin(name: str) -> list[str]:
    return ["--load-pass-plugin", str(PLANTED / f"{name}.py")]


def reproducer(err: str) -> str:
    found = re.search(r"note: reproducer: llmc-opt (\S+) --run-reproducer", err)
    assert found is not None, err
    return found[1]


def reduced(case: str, out: Path) -> tuple[str, int]:
    """What `llmc-reduce CASE -o OUT` leaves: the text, and how many ops it has."""
    assert reduce_command.main([case, "-o", str(out), "--quiet"]) == 0
    text = out.read_text()
    return text, len(list(run_pipeline(text, "").walk())) - 1


def test_check_numerics_finds_the_wrong_rewrite_and_it_is_reduced(
    model: Callable[[str, str], Imported], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("LLMC_CACHE_DIR", str(tmp_path / "cache"))
    dump = tmp_path / "model.nn"  # of two layers: each step of the reduction runs what is left of the model several times
    given = model("llama", "bfloat16")
    module = given.model.module.clone()
    given.options.attach(module)
    lower(PassManager(PassContext(make_context())), module, phase_of(module), "nn")
    dump.write_text(print_module(module, locations=True))
    out, flags = tmp_path / "out.nn", [*plugin("wrong_rewrites"), "--check-numerics"]
    assert opt.main([str(dump), "--pass-pipeline=canonicalize,planted-drop-scale,cse", *flags, "-o", str(out)]) == 1
    err = capsys.readouterr().err
    assert "error[LLMC0263]: pass 'planted-drop-scale' changes the numbers of @" in err
    assert re.search(r"--> %0 = nn\.attention\(.*\n +at .*model\.layers\.1\.self_attn \(", err)
    assert re.search(r"there, \[[\d, ]+\] was \S+ and is \S+", err)
    assert not out.exists()
    text, ops = reduced(reproducer(err), tmp_path / "small.mlir")
    assert ops <= 10 and "nn.attention" in text
    capsys.readouterr()
    assert opt.main([str(tmp_path / "small.mlir"), "--run-reproducer"]) == 1
    assert "pass 'planted-drop-scale' changes the numbers" in capsys.readouterr().err


LAYOUT = (
    "bufferise{max-context=128},close-decode-loop,choose-schedules,planted-launch-late,"
    "choose-weight-images,lower-weights,finalise-abi,plan-arena"
)


@pytest.mark.parametrize(
    ("phase", "pipeline", "at_fault"),
    [
        ("nn", "canonicalize,planted-read-early,cse,merge-linears", "planted-read-early"),
        ("quant", LAYOUT, "planted-launch-late"),
    ],
)
def test_bisect_finds_the_lost_dependency(
    phase: str, pipeline: str, at_fault: str, dump: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["bisect", str(dump.with_suffix(f".{phase}")), f"--pass-pipeline={pipeline}", *plugin("lost_dependencies")]
    assert llmc.main([*command, "--test-numerics", "-o", str(tmp_path / "bisect")]) == 0
    out = capsys.readouterr().out
    number = pipeline.split(",").index(at_fault) + 1
    assert f"pass '{at_fault}' on builtin.module is at fault (application {number}, a required pass)" in out
    before, after = (tmp_path / "bisect" / f"{when}.mlir" for when in ("before", "after"))
    assert before.read_text() != after.read_text()
    assert re.search(rf"show: llmc-opt '--pass-pipeline=builtin.module\({at_fault}\)'", out)


def test_a_crash_leaves_a_reproducer_that_llmc_reduce_makes_small(
    dump: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert opt.main([str(dump), "--pass-pipeline=cse,planted-crash-on-gate,canonicalize", *plugin("crashes")]) == 1
    err = capsys.readouterr().err
    assert "error[LLMC0204]: pass 'planted-crash-on-gate' failed: ValueError" in err
    assert re.search(r"--> %\d+ = nn\.silu %.*\n +at .*model\.layers\.0\.mlp\.act_fn \(", err)
    assert re.search(r"why: raised in crashes\.py:\d+, in run", err)
    text, ops = reduced(reproducer(err), tmp_path / "small.mlir")
    assert ops <= 10 and "nn.silu" in text
