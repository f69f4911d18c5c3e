"""How fast the pass driver is, beside stock xdsl-opt on the same file in the same run; one JSON object.

usage: python tests/perf/driver_bench.py [--out FILE] [--runs N] [--ops N] [--no-pipeline]

Rows: `help` (wall seconds of `llmc-opt --help`); `round_trip` (parse, verify and print a file: whole processes, in turn); `simplify`
(canonicalize and CSE on the parsed module: the passes alone, in turn, CPU seconds of this process); `ptx` (what an instruction takes to
emit, and to parse); `pipeline` (all phases of a 32-layer Llama-3-8B shape from nn to ptx, decode and prefill, with no cache). Medians.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import platform
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from machine import commit

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tests" / "support"))
sys.path.insert(0, str(ROOT / ".typing"))
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT / ".typing")}
OURS = [sys.executable, "-m", "llmc.compiler.driver.opt"]
XDSL = [sys.executable, "-m", "xdsl.tools.xdsl_opt"]


def arith_module(ops: int, seed: int = 1) -> str:
    """Functions of 500 ops each: integer and float chains with constants, neutral elements and repeated subexpressions."""
    draw = random.Random(seed)
    out, count, number = ["builtin.module {"], 0, 0
    while count < ops:
        out.append(f"  func.func @f{number}(%a: i32, %b: i32, %x: f32, %y: f32) -> (i32, f32) {{")
        integers, floats, last, real = ["%a", "%b"], ["%x", "%y"], "%a", "%x"
        for value in range(499):
            kind = draw.random()
            if kind < 0.08:
                out.append(f"    %{value} = arith.constant {draw.randint(0, 30)} : i32")
                integers.append(f"%{value}")
            elif kind < 0.12:
                out.append(f"    %{value} = arith.constant {draw.choice(('0.0', '1.0', '2.5'))} : f32")
                floats.append(f"%{value}")
            elif kind < 0.55:
                name = draw.choice(("addi", "muli", "subi", "xori"))
                out.append(f"    %{value} = arith.{name} {last}, {draw.choice(integers[-12:])} : i32")
                last = f"%{value}"
                integers.append(last)
            else:
                name = draw.choice(("addf", "mulf", "subf"))
                out.append(f"    %{value} = arith.{name} {real}, {draw.choice(floats[-12:])} : f32")
                real = f"%{value}"
                floats.append(real)
        out += [f"    func.return {last}, {real} : i32, f32", "  }"]
        count, number = count + 500, number + 1
    return "\n".join([*out, "}"]) + "\n"


def timed(command: list[str]) -> float:
    start = time.perf_counter()
    subprocess.run(command, check=True, env=ENVIRONMENT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    return time.perf_counter() - start


def in_turn(runs: int, ours: Callable[[], float], other: Callable[[], float]) -> dict[str, Any]:
    """Medians of both, run alternately, and of the ratio pair by pair."""
    pairs = [(ours(), other()) for _ in range(runs)]
    return {
        "llmc_s": round(statistics.median(a for a, _ in pairs), 4),
        "xdsl_s": round(statistics.median(b for _, b in pairs), 4),
        "xdsl_over_llmc": round(statistics.median(b / a for a, b in pairs), 3),
        "runs": runs,
    }


def simplify(text: str, runs: int) -> dict[str, Any]:
    """Canonicalize and CSE, ours and xDSL's, each on a fresh copy of the module."""
    from llmc.dialects.ir.context import make_context
    from llmc.dialects.ir.parsing import parse_module
    from llmc.passes.framework.manager import PassManager
    from llmc.passes.framework.pass_ import PassContext
    from llmc.passes.framework.pipeline import parse_pipeline
    from xdsl.transforms.canonicalize import CanonicalizePass
    from xdsl.transforms.common_subexpression_elimination import CommonSubexpressionElimination

    module = parse_module(make_context(), text)
    left: dict[str, int] = {}

    def ours() -> float:
        copy = module.clone()
        start = time.process_time()
        PassManager(PassContext(make_context()), verify_each=False).run(parse_pipeline("canonicalize,cse"), copy)
        seconds = time.process_time() - start
        left["llmc"] = sum(1 for _ in copy.walk())
        return seconds

    def stock() -> float:
        copy = module.clone()
        start = time.process_time()
        for each in (CanonicalizePass(), CommonSubexpressionElimination()):
            each.apply(make_context(), copy)
        seconds = time.process_time() - start
        left["xdsl"] = sum(1 for _ in copy.walk())
        return seconds

    gc.disable()
    ours(), stock()
    row = in_turn(runs, ours, stock)
    gc.enable()
    return {**row, "ops_before": sum(1 for _ in module.walk()), "ops_after": dict(left)}


def ptx_text(runs: int) -> dict[str, Any]:
    """What the builder takes to emit an instruction, and the parser to read one back, in microseconds."""
    from llmc.dialects.ptx.build import PtxBuilder, Sreg
    from llmc.dialects.ptx.ops import KernelOp
    from llmc.dialects.ptx.parse import parse_ptx

    instructions, emitting, parsing = 2000, [], []
    line = "\tmad.lo.s32 %r5, %r6, 4, %r7;\n"
    kernel = (
        ".version 9.0\n.target sm_80\n.address_size 64\n.visible .entry k()\n{\n\t.reg .b32 %r<8>;\n"
        + line * instructions
        + "\tret;\n}\n"
    )
    for _ in range(runs):
        b = PtxBuilder(KernelOp.make("k", {}, 32).body.block)
        x = b.emit("mov.u32", Sreg("tid.x"))
        start = time.process_time()
        for _ in range(instructions):
            b.emit("mad.lo.s32", x, 4, x)
        emitting.append(time.process_time() - start)
        start = time.process_time()
        parse_ptx(kernel)
        parsing.append(time.process_time() - start)
    each = 1e6 / instructions
    return {
        "emit_us": round(statistics.median(emitting) * each, 1),
        "parse_us": round(statistics.median(parsing) * each, 1),
        "instructions": instructions,
    }


def pipeline(shape: str) -> dict[str, Any]:
    """From the imported nn module to the PTX of every kernel, without ptxas."""
    import model_shapes
    from llmc.compiler.build import Settings, compile_module
    from llmc.compiler.frontend.model import load_checkpoint
    from llmc.compiler.phases import CompileOptions

    with tempfile.TemporaryDirectory() as scratch:
        directory = model_shapes.write_config(shape, Path(scratch) / "model")
        shapes = model_shapes.llama_shapes(json.loads((directory / "config.json").read_text()))
        model_shapes.write_sparse_checkpoint(directory, shapes)
        imported = load_checkpoint(directory)
    options = CompileOptions(max_context=1152, max_sequences=1, max_batch_tokens=1152)
    gc.disable()
    start = time.perf_counter()
    compiled = compile_module(imported.module, options, Settings(assemble=False, cache=False))
    seconds = time.perf_counter() - start
    gc.enable()
    phases = {phase: round(s, 2) for phase, s in compiled.seconds.items()}
    lines = sum(code.ptx.count("\n") for code in compiled.kernels.values())
    return {
        "model": shape,
        "seconds": round(seconds, 2),
        "phases": phases,
        "kernels": len(compiled.kernels),
        "ptx_lines": lines,
    }


def main() -> None:
    p = argparse.ArgumentParser()
    p.add_argument("--out", default=None)
    p.add_argument("--runs", type=int, default=7)
    p.add_argument("--ops", type=int, default=20_000)
    p.add_argument("--no-pipeline", action="store_true")
    a = p.parse_args()
    text = arith_module(a.ops)
    row: dict[str, Any] = {"python": platform.python_version(), "cores": os.cpu_count(), "commit": commit(), "ops": a.ops}
    row["help"] = {"llmc_s": round(statistics.median(timed([*OURS, "--help"]) for _ in range(a.runs)), 3)}
    with tempfile.TemporaryDirectory() as scratch:
        file = Path(scratch) / "arith.mlir"
        file.write_text(text)
        commands = ([*OURS, str(file), "-o", f"{scratch}/ours"], [*XDSL, str(file), "-o", f"{scratch}/stock"])
        row["round_trip"] = in_turn(a.runs, lambda: timed(commands[0]), lambda: timed(commands[1]))
    row["simplify"] = simplify(text, a.runs)
    row["ptx"] = ptx_text(a.runs)
    if not a.no_pipeline:
        row["pipeline"] = pipeline("llama3-8b")
    text = json.dumps(row, indent=1)
    print(text)
    if a.out:
        Path(a.out).write_text(text + "\n")


if __name__ == "__main__":
    main()
