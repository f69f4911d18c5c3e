"""Every flag of llmc-opt works by itself: it is run on a small file with nothing but the pass that the file needs, and what it promises
appears where it says.

`ALONE` has a row for each flag of `--help`; a flag without a row fails `test_every_flag_of_the_help_is_tried`.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import llmc
import numpy as np
import pytest
from commands import Command, Outcome
from llmc.compiler.driver.opt import parser
from llmc.dialects.ir.context import make_context
from llmc.dialects.ir.diagnostics import LlmcError
from llmc.dialects.ir.parsing import parse_module

IR = """\
func.func @main(%x: tensor<4x8xf32>) -> tensor<4x8xf32> {
  %0 = nn.constant dense<[1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0]> : tensor<8xf32> loc("model.scale"("model.py":7:0))
  %1 = nn.mul %x, %0 : (tensor<4x8xf32>, tensor<8xf32>) -> tensor<4x8xf32> loc("model.scale"("model.py":7:0))
  %2 = nn.reshape %1 : (tensor<4x8xf32>) -> tensor<32xf32> loc("model.flat"("model.py":8:0))
  %3 = nn.reshape %2 : (tensor<32xf32>) -> tensor<4x8xf32> loc("model.flat"("model.py":8:0))
  %4 = nn.add %3, %3 : (tensor<4x8xf32>, tensor<4x8xf32>) -> tensor<4x8xf32> loc("model.sum"("model.py":9:0))
  func.return %4 : tensor<4x8xf32>
}
"""
WRONG = IR.replace("tensor<32xf32>", "tensor<31xf32>")
ROOT = Path(__file__).parents[3]
PLUGIN = ROOT / "examples" / "plugin" / "squared_relu.py"
PASS = ("--pass-pipeline=canonicalize",)
BOTH = re.compile(r"^// -----// IR Dump (Before|After) \w+ \(canonicalize\)", re.MULTILINE)

EXPECTED = re.sub(
    r"^(?=.*nn.reshape)", "  // expected-error @below {{changes the number of elements}}\n", WRONG, flags=re.MULTILINE
)

Check = Callable[[Outcome, Path], object]
"""What has to hold of the outcome; the folder is where the command's files went. True, or anything else that is true."""


@dataclass(frozen=True)
class Alone:
    """One flag's row: its arguments ({} is the folder), what must hold, and around it only what it cannot do without."""

    arguments: tuple[str, ...]
    holds: Check
    beside: tuple[str, ...] = PASS
    text: str = IR
    code: int = 0
    ir: bool = True  # whether stdout is IR, all of it


def same(outcome: Outcome, folder: Path) -> bool:
    """The IR and not a word besides it."""
    return outcome.err == "" and "nn.mul" in outcome.out


def says(*words: str) -> Check:
    """stderr has these words, in order."""
    return lambda outcome, folder: re.search(".*".join(map(re.escape, words)), outcome.err, re.DOTALL)


def prints(*words: str) -> Check:
    """stdout has these words, in order."""
    return lambda outcome, folder: re.search(".*".join(map(re.escape, words)), outcome.out, re.DOTALL)


def writes(pattern: str, *words: str) -> Check:
    """There is a file of this name, with these words in it."""
    return lambda outcome, folder: any(
        all(word in path.read_text() for word in words) for path in sorted(folder.glob(pattern)) if path.is_file()
    )


def dumped(*moments: str) -> Check:
    """IR is dumped to stderr at these moments, in this order."""
    return lambda outcome, folder: BOTH.findall(outcome.err) == list(moments)


def nothing(outcome: Outcome, folder: Path) -> bool:
    return outcome.out == ""


ALONE: dict[str, Alone] = {
    "--help": Alone(("--help",), prints("usage: llmc-opt", "--pass-pipeline"), (), ir=False),
    "--output": Alone(("--output", "{}/x.nn"), lambda o, f: nothing(o, f) and writes("x.nn", "nn.mul")(o, f)),
    "--pass-pipeline": Alone(("--pass-pipeline=canonicalize",), lambda o, f: "nn.reshape" not in o.out, ()),
    "--compile-from": Alone(("--compile-from=nn",), prints("ptx.kernel"), ()),
    "--compile-to": Alone(("--compile-to=fusion",), prints('llmc.phase = "fusion"', "fusion.kernel"), ()),
    "--target": Alone(("--target=sm_80",), prints('llmc.target = "sm_80"', "nn.mul"), ("--compile-to=nn",)),
    "--dump-pass-pipeline": Alone(("--dump-pass-pipeline",), says("builtin.module(canonicalize)")),
    "--mlir-disable-threading": Alone(("--mlir-disable-threading",), same),
    "--load-pass-plugin": Alone(("--load-pass-plugin", str(PLUGIN)), prints("lower-act", PLUGIN.name), ("--list-passes",), ir=False),
    "--emit-ptx": Alone(("--emit-ptx",), prints(".version", ".entry"), ("--compile-from=nn",), ir=False),
    "--emit-ptx-dir": Alone(
        ("--emit-ptx-dir={}/ptx",),
        lambda o, f: nothing(o, f) and says("3 kernels written to")(o, f) and writes("ptx/*.ptx", ".entry")(o, f),
        ("--compile-from=nn",),
        ir=False,
    ),
    "--line-info": Alone(("--line-info=torch",), prints('.file 1 "model.py"', ".loc 1 "), ("--compile-from=nn", "--emit-ptx"), ir=False),
    "--split-input-file": Alone(("--split-input-file",), prints("// -----"), text=f"{IR}// -----\n{IR}", ir=False),
    "--verify-diagnostics": Alone(
        ("--verify-diagnostics",), nothing, text=EXPECTED, ir=False
    ),
    "--verify-roundtrip": Alone(("--verify-roundtrip",), same),
    "--allow-unregistered-dialect": Alone(
        ("--allow-unregistered-dialect",), prints('"mine.op"()'), text='"mine.op"() : () -> ()\n', ir=False
    ),
    "--verify-each": Alone(("--verify-each",), same),
    "--no-verify-each": Alone(("--no-verify-each",), same),
    "--check-numerics": Alone(("--check-numerics",), says("numerics: 1 passes compared")),
    "--check-numerics-seed": Alone(("--check-numerics-seed=3",), says("numerics: 1")),
    "--check-numerics-inputs": Alone(("--check-numerics-inputs={}/x.npz",), says("numerics: 1")),
    "--check-numerics-sizes": Alone(("--check-numerics-sizes=T=5",), says("numerics: 1"), PASS, IR.replace("4x8", "?x8").replace(
        "tensor<?x8xf32>", 'tensor<?x8xf32, #nn.dims<["T", "_"]>>').replace("tensor<32xf32>", 'tensor<?xf32, #nn.dims<["8*T"]>>')),
    "--check-numerics-tolerance": Alone(("--check-numerics-tolerance=8",), says("numerics: 1")),
    "--check-numerics-weights": Alone(("--check-numerics-weights={checkpoint}",), says("numerics: 1")),
    "--check-numerics-dump": Alone(("--check-numerics-dump={}/dump",), writes("dump/*.before.mlir", "nn.reshape")),
    "--mlir-print-debuginfo": Alone(("--mlir-print-debuginfo",), prints("model.scale", "model.py", "nn.mul", "loc(#")),
    "--mlir-print-local-scope": Alone(("--mlir-print-local-scope",), same),
    "--mlir-print-op-generic": Alone(("--mlir-print-op-generic",), prints('"func.func"()', '"nn.mul"(')),
    "--mlir-elide-elementsattrs-if-larger": Alone(
        ("--mlir-elide-elementsattrs-if-larger=4",), lambda o, f: "dense<…>" in o.out, ir=False
    ),
    "--mlir-print-op-on-diagnostic": Alone(
        ("--mlir-print-op-on-diagnostic",), says("error[", "| >", "nn.reshape"), text=WRONG, code=1
    ),
    "--no-mlir-print-op-on-diagnostic": Alone(
        ("--no-mlir-print-op-on-diagnostic",), lambda o, f: "error[" in o.err and "| >" not in o.err, text=WRONG, code=1
    ),
    "--color": Alone(("--color=always",), lambda o, f: "\x1b[" in o.out, ir=False),
    "--mlir-print-ir-before": Alone(("--mlir-print-ir-before=canonicalize",), dumped("Before")),
    "--mlir-print-ir-after": Alone(("--mlir-print-ir-after=canonicalize",), dumped("After")),
    "--mlir-print-ir-before-all": Alone(("--mlir-print-ir-before-all",), dumped("Before")),
    "--mlir-print-ir-after-all": Alone(("--mlir-print-ir-after-all",), dumped("After")),
    "--mlir-print-ir-after-change": Alone(("--mlir-print-ir-after-change",), dumped("After")),
    "--mlir-print-ir-after-failure": Alone(
        ("--mlir-print-ir-after-failure",), says("IR Dump After ExpandRings Failed (expand-rings)"), ("--pass-pipeline=expand-rings",),
        "tile.kernel", 1,
    ),
    "--mlir-print-ir-module-scope": Alone(
        ("--mlir-print-ir-module-scope",), says("func.func @main"), ("--pass-pipeline=func.func(canonicalize)", "--mlir-print-ir-after-all")
    ),
    "--mlir-print-ir-tree-dir": Alone(("--mlir-print-ir-tree-dir={}/tree",), writes("tree/**/*", "nn.mul")),
    "--lower-trace": Alone(("--lower-trace={}/trace",), writes("trace/index.html", "canonicalize")),
    "--mlir-timing": Alone(("--mlir-timing",), says("canonicalize")),
    "--mlir-timing-display": Alone(("--mlir-timing-display=list",), says("canonicalize")),
    "--mlir-pass-statistics": Alone(("--mlir-pass-statistics",), says("canonicalize", "erased")),
    "--mlir-pass-statistics-display": Alone(("--mlir-pass-statistics-display=list",), says("canonicalize", "erased")),
    "--remarks": Alone(("--remarks=all",), says("remark["), ("--compile-from=nn", "--compile-to=layout")),
    "--remarks-filter": Alone(("--remarks-filter=analysis",), says("remark["), ("--compile-from=nn", "--compile-to=layout")),
    "--remarks-output": Alone(("--remarks-output={}/r.yaml",), writes("r.yaml", "--- !"), ("--compile-from=nn", "--compile-to=layout")),
    "--debug": Alone(("--debug",), same),  # and test_debug_shows_the_traceback
    "--mlir-pass-pipeline-crash-reproducer": Alone(
        ("--mlir-pass-pipeline-crash-reproducer={}/crash.mlir",), writes("crash.mlir", "expand-rings", "tile.ring"),
        ("--pass-pipeline=expand-rings",), "tile.kernel", 1,
    ),
    "--mlir-pass-pipeline-local-reproducer": Alone(
        ("--mlir-pass-pipeline-local-reproducer",), says("--run-reproducer"), ("--pass-pipeline=expand-rings",), "tile.kernel", 1
    ),
    "--no-mlir-pass-pipeline-local-reproducer": Alone(
        ("--no-mlir-pass-pipeline-local-reproducer",), says("--run-reproducer"), ("--pass-pipeline=expand-rings",), "tile.kernel", 1
    ),
    "--run-reproducer": Alone(("--run-reproducer",), says("error[LLMC0604]"), (), "reproducer", 1),
    "--debug-counter": Alone(("--debug-counter=pass=1:0",), lambda o, f: "nn.reshape" in o.out),
    "--print-debug-counter": Alone(("--print-debug-counter",), says("pass")),
    "--opt-bisect-limit": Alone(("--opt-bisect-limit=0",), lambda o, f: "nn.reshape" in o.out and "canonicalize" in o.err),
    "--version": Alone(("--version",), prints(f"llmc-opt {llmc.__version__}"), (), ir=False),
    "--list-passes": Alone(("--list-passes",), prints("canonicalize", "expand-rings"), (), ir=False),
    "--show-dialects": Alone(("--show-dialects",), prints("nn", "fusion"), (), ir=False),
    "--list-targets": Alone(("--list-targets",), prints("sm_80", "sm_90a"), (), ir=False),
    "--list-schedules": Alone(("--list-schedules",), prints("pointwise"), (), ir=False),
}  # fmt: skip
RING = (ROOT / "tests" / "filecheck" / "passes" / "tile" / "expand-rings.mlir").read_text()
FAILING = RING.split("// -----")[0].replace("consumers = 2", "consumers = 3")


def flags() -> list[str]:
    """Every long flag of the help text."""
    return re.findall(r"(?<![\w-])--[a-z][\w-]*(?=[ ,=\n\]])", option_lines(parser()))


def option_lines(p: argparse.ArgumentParser) -> str:
    """The lines of the help text that begin with a flag."""
    lines = re.findall(r"^  (-.*)$", p.format_help(), re.MULTILINE)
    return "\n".join(re.split(r"\s{2,}", line)[0] + "\n" for line in lines)


def test_every_flag_of_the_help_is_tried() -> None:
    assert sorted(flags()) == sorted(ALONE)


@pytest.mark.parametrize("flag", list(ALONE))
def test_the_flag_works_alone(flag: str, command: Command, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    row = ALONE[flag]
    source = tmp_path / "in.mlir"
    text = row.text
    if text == "tile.kernel":
        text = FAILING
    if text == "reproducer":
        source.write_text(FAILING)
        command("opt", source, "--pass-pipeline=expand-rings", f"--mlir-pass-pipeline-crash-reproducer={tmp_path / 'r.mlir'}")
        text = (tmp_path / "r.mlir").read_text()
    source.write_text(text)
    np.savez(tmp_path / "x.npz", x=np.ones((4, 8), np.float32))
    filled = [
        a.replace("{}", str(tmp_path)).replace(
            "{checkpoint}", str(request.getfixturevalue("checkpoint")) if "{checkpoint}" in a else ""
        )
        for a in (*row.beside, *row.arguments)
    ]
    outcome = command("opt", source, *filled)
    assert outcome.code == row.code, outcome
    assert row.holds(outcome, tmp_path), outcome
    if row.ir and outcome.out:
        parse_module(make_context(), outcome.out)  # and not a word besides it


def test_debug_shows_the_traceback(command: Command, tmp_path: Path) -> None:
    """That is, lets the error through to Python."""
    (tmp_path / "in.mlir").write_text(WRONG)
    with pytest.raises(LlmcError, match="changes the number of elements"):
        command("opt", tmp_path / "in.mlir", "--debug")
