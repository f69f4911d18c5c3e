"""Times schedules of one kernel after another on a GPU, each checked against the first that ran.

usage: python tests/perf/sweep.py CASE[,CASE…] [--out FILE]

A case is NAME:T, NAME one of qkv, o, gate_up, down, head (Llama-3-8B shapes, bf16), with `8` behind it for int8 weights, or
decode_attention (T sequences of 1024 tokens). Each schedule is timed as the median over replays of a graph of launches on
rotating weights (more than 120 MB in all); GB/s counts the weights (or keys and values) once.
"""

from __future__ import annotations

import argparse
import itertools
import json
import statistics
import sys
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

sys.path[:0] = [str(Path(__file__).parent.parent / "support")]
from kernel_cases import Case, attention_case, linear_case
from kernel_runs import image_of, programs_of
from llmc.codegen.ptx.assemble import assemble
from llmc.codegen.schedules.base import load_schedule
from llmc.dialects.ir.diagnostics import LlmcError
from llmc.dialects.layout import expressions
from llmc.dialects.layout.types import ScheduleAttr
from llmc.dialects.tile.semantics import storage_of
from llmc.runtime.device import KernelImage
from llmc.runtime.devices import open_device

SHAPES = {"qkv": (6144, 4096), "o": (4096, 4096), "gate_up": (28672, 4096), "down": (4096, 14336), "head": (128256, 4096)}


def make(name: str, tokens: int) -> Case:
    """A fresh case; building a schedule changes it."""
    if name == "decode_attention":
        return attention_case([1024] * tokens, [1] * tokens, (32, 8, 128))
    weight = "int8" if name.endswith("8") else "bf16"
    base = name.removesuffix("8")
    n, k = SHAPES[base]
    epilogue = {"qkv": "qkv", "o": "residual", "gate_up": "silu_mul", "down": "residual", "head": "none"}[base]
    extra = {"heads": (32, 8, 128), "lengths": [1024] * tokens} if base == "qkv" else {}
    return linear_case(tokens, n, k, epilogue, norm=base in ("qkv", "gate_up", "head"), weight=weight, **extra)


def schedules(name: str, tokens: int) -> list[ScheduleAttr]:
    """What to try."""
    if name == "decode_attention":
        grid = itertools.product((1, 2, 4, 8, 16, 32), (2, 4, 8), (16, 32), (1, 2))
        return [
            ScheduleAttr.of("attention_decode", splits=s, warps=w, keys=k, min_ctas=c)
            for s, w, k, c in grid
            if s * tokens <= 512
        ]
    n = next(size for size in (8, 16, 32, 64) if size >= tokens)
    blocks = SHAPES[name.removesuffix("8")][1] // 32
    found: list[ScheduleAttr] = []
    for m, warps, unroll, ctas, prefetch in itertools.product(
        (16, 32, 64), (4, 8, 14, 16), (1, 2, 4, 8, 16), (1, 2, 3, 4), (0, 1)
    ):
        work = m // 16 * unroll * (1 if n <= 16 else n // 16)
        if (
            blocks % warps
            or blocks // warps % unroll
            or not 4 <= work * (1 + prefetch) <= 16
            or warps * ctas > 32
            or warps * ctas < 8
        ):
            continue
        found.append(ScheduleAttr.of("skinny", m=m, n=n, warps=warps, unroll=unroll, min_ctas=ctas, prefetch=prefetch))
    for m, warps, unroll, stages in itertools.product((16, 32), (4, 8), (2, 4), (6, 8, 10, 12)):
        found.append(ScheduleAttr.of("skinny_ring", m=m, n=n, warps=warps, unroll=unroll, stages=stages, ctas=132))
    return found


@dataclass(frozen=True)
class Built:
    """What a launch of one schedule needs, free of IR so that it travels between processes."""

    images: list[KernelImage]
    launches: list[tuple[tuple[int, int, int], list[int]]]
    workspace: list[int]
    layouts: dict[int, object]
    registers: int


def prepare(name: str, tokens: int, schedule: ScheduleAttr) -> tuple[Built | None, str]:
    """Build and assemble one schedule; None and the reason when that fails or spills."""
    case = make(name, tokens)
    try:
        layouts = dict(load_schedule(schedule.family.data).abi(case.kernel, schedule).operand_layouts)
        images, launches, registers = [], [], 0
        for program in programs_of(case, schedule):
            image = image_of(program)
            done = assemble(image.ptx, "sm_90a")
            images.append(KernelImage(image.name, image.ptx, done.cubin, dyn_smem=image.dyn_smem, threads=image.threads))
            if image.dyn_smem > 232448:
                return None, f"{image.dyn_smem} bytes of shared memory"
            if done.spills:
                return None, f"spills {done.spills}"
            registers = max(registers, done.registers)
            grid = tuple(expressions.evaluate(g.data, case.sizes) for g in program.grid.data)
            launches.append((grid, [case.sizes[s.data] for s in program.sizes.data]))
        workspace = [a.type.num_bytes(case.sizes) for a in case.kernel.buffers[len(case.names) :]]
        return Built(images, launches, workspace, layouts, registers), ""
    except (LlmcError, AssertionError, ValueError, KeyError) as error:
        return None, str(error).split("\n")[0][:90]


def bench(device, name: str, tokens: int, options: list[ScheduleAttr], built, out) -> None:
    rows = []
    reference = None
    case = make(name, tokens)
    shared: dict[str, list] = {}
    for schedule, (made, problem) in zip(options, built):
        if made is None:
            rows.append((1e9, str(schedule), problem))
            continue
        layouts = made.layouts
        big = [i for i, n in enumerate(case.names) if n in ("w", "k_pages", "v_pages")]
        key = repr(sorted((i, str(l)) for i, l in layouts.items()))
        if key not in shared:
            arrays = case.arrays(0)
            storage = [storage_of(arrays[n], layouts[i]) if i in layouts else arrays[n] for i, n in enumerate(case.names)]
            heavy = sum(storage[i].nbytes for i in big)
            copies = max(2, -(-(160 << 20) // heavy))
            sets = []
            base = []
            for array in storage:
                a = device.alloc(max(array.nbytes, 16))
                device.upload(a, array)
                base.append(a)
            for c in range(copies):
                these = list(base)
                if c:
                    for i in big:
                        these[i] = device.alloc(max(storage[i].nbytes, 16))
                        device.upload(these[i], storage[i])
                sets.append(these)
            shared[key] = [storage, sets, heavy]
        storage, sets, heavy = shared[key]
        extra = [device.alloc(max(nbytes, 16)) for nbytes in made.workspace]
        functions = [device.load(image) for image in made.images]
        target = next(i for i, e in enumerate(case.kernel.arg_effects.data) if e.data == "w")

        def launch(buffers) -> None:
            for (grid, sizes), function in zip(made.launches, functions):
                device.launch(function, grid, [*(a.ptr for a in (*buffers, *extra)), *sizes])

        device.memset(sets[0][target], 0xFF)
        launch(sets[0])
        got = device.download(sets[0][target], storage[target].nbytes).view(storage[target].dtype).astype(np.float32)
        if reference is None:
            reference = got
        error = float(np.abs(got - reference).mean() / np.abs(reference).mean())
        if not error < 1e-2:
            rows.append((1e9, str(schedule), f"WRONG error {error}"))
            continue
        repeat = max(1, 16 // len(sets))
        with device.capture() as graph:
            for buffers in sets * repeat:
                launch(buffers)
        graph.replay()
        times = []
        for _ in range(7):
            first = device.event()
            graph.replay()
            times.append(device.elapsed_ms(first, device.event()))
        us = 1e3 * statistics.median(times) / repeat / len(sets)
        rows.append((us, str(schedule), f"{heavy / us / 1e6:.2f} TB/s regs {made.registers}"))
    rows.sort()
    print(f"== {name} T={tokens}: {len(rows)} schedules")
    for us, schedule, note in rows[:6]:
        print(f"  {us:8.2f} us  {schedule[18:]:100s} {note}")
    bad = [r for r in rows if "WRONG" in r[2]]
    print(
        f"  wrong: {len(bad)}  failed: {sum(r[0] >= 1e9 for r in rows)}",
        bad[:2],
        next((r[2] for r in rows if r[0] >= 1e9), ""),
        flush=True,
    )
    if out:
        with Path(out).open("a") as file:
            file.write(json.dumps(dict(case=name, tokens=tokens, rows=[r for r in rows if r[0] < 1e9][:60])) + "\n")


def main() -> None:
    p = argparse.ArgumentParser()
    p.add_argument("cases")
    p.add_argument("--out", default=None)
    a = p.parse_args()
    cases = [(item.split(":")[0], int(item.split(":")[1])) for item in a.cases.split(",")]
    jobs = [(name, tokens, schedule) for name, tokens in cases for schedule in schedules(name, tokens)]
    with ProcessPoolExecutor() as pool:  # before the GPU is opened: workers are forks
        built = dict(zip(jobs, pool.map(prepare, *zip(*jobs), chunksize=4)))
    print(f"{len(jobs)} schedules built", flush=True)
    device = open_device("cuda")
    for name, tokens in cases:
        item = f"{name}:{tokens}"
        try:
            options = schedules(name, tokens)
            bench(device, name, tokens, options, [built[name, tokens, s] for s in options], a.out)
        except LlmcError as error:
            print(item, error.render()[:400], flush=True)


if __name__ == "__main__":
    main()
