"""Prefill GEMMs of Llama-3-8B (qkv64: of TinyLlama) under given schedules, checked against torch and timed beside torch.nn.functional.linear.

usage: python tests/perf/gemm_bench.py [--shapes qkv,o,gate_up,down] [--tokens 128,256,512,1024,2048] [--out FILE]
           [--weight bf16|int8] [--schedules 'gemm_wgmma{m=128,n=256,k=64,stages=4}' 'gemm{…}' …]

Both sides are medians over replays of CUDA graphs whose launches rotate through weights of more than 240 MB in all. The kernels
do their epilogues (residual, SiLU·up, rope and append), torch the plain linear. A schedule that cannot take a shape is skipped.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np

sys.path[:0] = [str(Path(__file__).parent.parent / "support")]
from kernel_cases import Case, linear_case
from kernel_runs import TARGET, image_of, programs_of
from llmc.codegen.ptx.assemble import assemble
from llmc.codegen.schedules.base import load_schedule
from llmc.dialects.ir.diagnostics import LlmcError
from llmc.dialects.layout import expressions
from llmc.dialects.layout.tensor_map import TensorMap
from llmc.dialects.layout.types import ScheduleAttr
from llmc.runtime.device import KernelImage
from llmc.runtime.devices import open_device
from llmc.runtime.tensor_map import tensor_map

HEADS = {"qkv": (32, 8, 128), "qkv64": (32, 4, 64)}
SHAPES = {
    "qkv": (6144, 4096, "qkv"),
    "o": (4096, 4096, "residual"),
    "gate_up": (28672, 4096, "silu_mul"),
    "down": (4096, 14336, "residual"),
    "qkv64": (2560, 2048, "qkv"),
}
DEFAULT = (
    "gemm{m=128,n=128,k=64,stages=3,warps_m=2,warps_n=2,group=8,min_ctas=2}",
    "gemm{m=64,n=64,k=64,stages=4,warps_m=2,warps_n=2,group=8,min_ctas=3}",
    "gemm_wgmma{m=256,n=128,stages=8,groups=4,overlap=1}",
    "gemm_wgmma{m=256,n=128,stages=8,groups=4,overlap=1,prefetch=6}",
    "gemm_wgmma{m=256,n=128,stages=8,groups=4,overlap=1,grain=32,ahead=3}",
    "gemm_wgmma{m=256,n=128,stages=8,groups=4,overlap=1,grain=32,ahead=3,prefetch=6}",
    "gemm_wgmma{m=256,n=128,stages=8,groups=4,overlap=1,grain=32,ahead=3,ctas=132}",
    "gemm_wgmma{m=256,n=128,k=128,stages=6,groups=4,overlap=1,grain=32,ahead=3}",
    "gemm_wgmma{m=256,n=128,k=128,stages=6,groups=4,overlap=1,grain=32,ahead=3,ctas=132}",
    "gemm_wgmma{m=256,n=128,stages=8,groups=2,overlap=1,grain=32,ahead=3}",
    "gemm_wgmma{m=256,n=128,k=128,stages=6,groups=2,overlap=1,grain=32,ahead=3}",
    "gemm_wgmma{m=128,n=128,stages=8,groups=2,overlap=1,ahead=3}",
    "gemm_wgmma{m=128,n=128,stages=8,groups=2,overlap=1,ahead=3,prefetch=8}",
    "gemm_wgmma{m=128,n=128,stages=8,groups=2,overlap=1,ahead=3,piece=64}",
    "gemm_wgmma{m=128,n=128,stages=8,groups=2,overlap=1,ahead=3,ctas=132}",
    "gemm_wgmma{m=128,n=128,stages=6,groups=2,min_ctas=2,overlap=1,grain=32,ahead=3}",
    "gemm_wgmma{m=128,n=128,stages=6,groups=2,min_ctas=2,overlap=1,prefetch=6}",
    "gemm_wgmma{m=128,n=64,stages=8,groups=2,overlap=1,ahead=3}",
    "gemm_wgmma{m=64,n=64,stages=8,groups=1,overlap=1,ahead=3}",
    "gemm_wgmma{m=64,n=64,stages=16,groups=1,overlap=1,ahead=7}",
)
ROTATED = 240 << 20


def parse(text: str) -> ScheduleAttr:
    """`name{a=1,b=2}`."""
    name, _, rest = text.strip().partition("{")
    pairs = [item.split("=") for item in rest.rstrip("}").split(",") if item.strip()]
    return ScheduleAttr.of(name.strip(), **{key.strip(): int(value) for key, value in pairs})


def make(shape: str, tokens: int, weight: str) -> Case:
    n, k, epilogue = SHAPES[shape]
    extra: dict[str, Any] = {"heads": HEADS[shape], "lengths": [tokens]} if epilogue == "qkv" else {}
    return linear_case(tokens, n, k, epilogue, weight=weight, **extra)


@dataclass(frozen=True)
class Built:
    """A schedule's kernel, free of IR so that it travels between processes."""

    image: KernelImage
    grid: tuple[int, int, int]
    sizes: list[int]
    layout: Any
    maps: list[tuple[TensorMap, Any]]
    registers: int
    codes: tuple[str, ...]


def prepare(shape: str, tokens: int, weight: str, text: str) -> Built | str:
    """Build and assemble; the reason when that fails or spills."""
    case, schedule = make(shape, tokens, weight), parse(text)
    try:
        layouts = load_schedule(schedule.family.data).abi(case.kernel, schedule).operand_layouts
        (program,) = programs_of(case, schedule)
        image = image_of(program)
        done = assemble(image.ptx, TARGET.name)
        if done.spills:
            return f"spills {done.spills} bytes"
        if done.serialised:
            return f"serialised: {' '.join(done.codes)}"
        if image.dyn_smem > TARGET.smem_per_block:
            return f"{image.dyn_smem} bytes of shared memory"
        grid = tuple(expressions.evaluate(g.data, case.sizes) for g in program.grid.data)
        whole = KernelImage(image.name, image.ptx, done.cubin, dyn_smem=image.dyn_smem, threads=image.threads)
        sizes = [case.sizes[s.data] for s in program.sizes.data]
        maps = [(m, program.buffers[m.buffer].type) for m in program.tensor_maps]
        return Built(whole, grid, sizes, layouts[case.names.index("w")], maps, done.registers, done.codes)
    except (LlmcError, AssertionError, ValueError) as error:
        return str(error).split("\n")[0][:100]


def tensors(case: Case, torch: Any, seed: int) -> dict[str, Any]:
    """Fresh random arguments on the GPU; outputs are NaN."""
    generator = torch.Generator("cuda").manual_seed(seed)
    found: dict[str, Any] = {}
    for name, argument, effect in zip(case.names, case.kernel.buffers, case.kernel.arg_effects.data, strict=True):
        shape, elem = argument.type.extents(case.sizes), str(argument.type.element_type)
        dtype = {"bf16": torch.bfloat16, "f32": torch.float32, "i32": torch.int32, "i8": torch.int8}[elem]
        if name in case.fill:
            array = case.fill[name]
            array = array.astype(np.float32) if array.dtype == ml_dtypes.bfloat16 else array
            found[name] = torch.from_numpy(np.ascontiguousarray(array)).to("cuda", dtype)
        elif effect.data == "w":
            found[name] = torch.full(shape, float("nan"), device="cuda", dtype=dtype)
        elif elem == "i8":
            found[name] = torch.randint(-127, 128, shape, generator=generator, device="cuda", dtype=torch.int32).to(torch.int8)
        else:
            scale = shape[-1] ** -0.5 if name == "w" else 0.01 if name == "scale" else 1.0
            found[name] = (torch.randn(shape, generator=generator, device="cuda") * scale).to(dtype)
    return found


def reference(a: dict[str, Any], shape: str, torch: Any) -> dict[str, Any]:
    """What the kernel should write, in f32."""
    epilogue = SHAPES[shape][2]
    y = a["x"].float() @ a["w"].float().T
    if "scale" in a:
        y = y * a["scale"]
    if epilogue == "residual":
        return {"y": y + a["residual"].float()}
    if epilogue == "silu_mul":
        gate, up = y.chunk(2, 1)
        return {"y": torch.nn.functional.silu(gate) * up}
    hq, hk, d = HEADS[shape]
    q, k, v = (t.reshape(len(y), -1, d) for t in y.split([hq * d, hk * d, hk * d], 1))

    def rope(t: Any) -> Any:
        turned = torch.cat((-t[..., d // 2 :], t[..., : d // 2]), -1)
        return t * a["cos"][:, None] + turned * a["sin"][:, None]

    positions, sequence = a["positions"].long(), a["sequence"].long()
    pages = a["page_table"][sequence, positions // 64].long()
    k_pages, v_pages = a["k_pages"].float(), a["v_pages"].float()
    k_pages[pages, :, positions % 64], v_pages[pages, :, positions % 64] = rope(k), v
    return {"q": rope(q), "k_pages": k_pages[1:], "v_pages": v_pages[1:]}


def image_of_weight(w: Any, layout: Any, torch: Any) -> Any:
    """The weight's storage in the order of its image."""
    n, k = w.shape
    flat = torch.zeros(
        layout.size([max(a, b) for a, b in zip(w.shape, layout.shape, strict=True)]), device="cuda", dtype=w.dtype
    )
    columns = torch.arange(k, device="cuda")[None, :]
    for first in range(0, n, 2048):
        rows = torch.arange(first, min(first + 2048, n), device="cuda")[:, None]
        flat[layout.offset([rows, columns])] = w[first : first + 2048]
    return flat


def median_us(replay: Any, launches: int, rounds: int) -> float:
    return 1e3 * statistics.median(replay() for _ in range(rounds)) / launches


def bench(
    device: Any, torch: Any, shape: str, tokens: int, weight: str, built: dict[str, Built | str], rounds: int
) -> list[dict[str, Any]]:
    case = make(shape, tokens, weight)
    n, k, _ = SHAPES[shape]
    a = tensors(case, torch, hash((shape, tokens)) & 0xFFFF)
    expected = reference(a, shape, torch)
    copies = max(2, -(-ROTATED // (a["w"].numel() * a["w"].element_size())))
    repeat = max(1, 8 // copies)
    rows: list[dict[str, Any]] = []

    dense = [a["w"].to(torch.bfloat16).clone() for _ in range(copies)]
    stream = torch.cuda.Stream()
    with torch.cuda.stream(stream):
        for w in dense:
            torch.nn.functional.linear(a["x"], w)
    stream.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph, stream=stream):
        for w in dense * repeat:
            torch.nn.functional.linear(a["x"], w)

    def torch_once() -> float:
        first, last = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        with torch.cuda.stream(stream):
            first.record()
            graph.replay()
            last.record()
        last.synchronize()
        return first.elapsed_time(last)

    torch_once()
    peer = median_us(torch_once, copies * repeat, rounds)
    images: dict[str, list[Any]] = {}
    for text, made in built.items():
        row: dict[str, Any] = dict(
            shape=shape, tokens=tokens, weight=weight, schedule=text, torch_us=peer, torch_tflops=2e-6 * tokens * n * k / peer
        )
        rows.append(row)
        if isinstance(made, str):
            row["problem"] = made
            continue
        key = str(made.layout)
        if key not in images:
            images.clear()
            stored = image_of_weight(a["w"], made.layout, torch)
            images[key] = [stored] + [stored.clone() for _ in range(copies - 1)]
        outputs = {name: a[name].clone() for name in expected}
        arguments: list[list[Any]] = []
        for c in range(copies):
            pointers = [(images[key][c] if name == "w" else outputs.get(name, a[name])).data_ptr() for name in case.names]
            maps = [tensor_map(spec, type_, case.sizes, pointers[spec.buffer]) for spec, type_ in made.maps]
            arguments.append([*pointers, *maps])
        torch.cuda.synchronize()
        function = device.load(made.image)
        device.launch(function, made.grid, [*arguments[0], *made.sizes])
        device.synchronize()
        row["error"] = max(
            float((got.float() - wanted).abs().mean() / wanted.abs().mean())
            for name, wanted in expected.items()
            for got in [outputs[name][1:] if name.endswith("pages") else outputs[name].reshape(wanted.shape)]
        )
        row.update(registers=made.registers, codes=list(made.codes))
        if not row["error"] < 1e-2:
            row["problem"] = f"WRONG: relative error {row['error']:.3g}"
            continue
        with device.capture() as recorded:
            for buffers in arguments * repeat:
                device.launch(function, made.grid, [*buffers, *made.sizes])

        def once(recorded: Any = recorded) -> float:
            first = device.event()
            recorded.replay()
            return device.elapsed_ms(first, device.event())

        once()
        row["us"] = median_us(once, copies * repeat, rounds)
        row["tflops"] = 2e-6 * tokens * n * k / row["us"]
    return rows


def main() -> None:
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--shapes", default=",".join(SHAPES))
    arguments.add_argument("--tokens", default="128,256,512,1024,2048")
    arguments.add_argument("--weight", default="bf16", choices=("bf16", "int8"))
    arguments.add_argument("--schedules", nargs="+", default=list(DEFAULT))
    arguments.add_argument("--rounds", type=int, default=9)
    arguments.add_argument("--out", type=Path)
    args = arguments.parse_args()
    cases = [(shape, int(tokens)) for shape in args.shapes.split(",") for tokens in args.tokens.split(",")]
    jobs = [(shape, tokens, args.weight, text) for shape, tokens in cases for text in args.schedules]
    with ProcessPoolExecutor() as pool:  # before the GPU is opened: workers are forks
        built = dict(zip(jobs, pool.map(prepare, *zip(*jobs, strict=True)), strict=True))
    import torch

    torch.backends.cuda.matmul.allow_tf32 = False
    torch.cuda.init()
    torch.zeros(1, device="cuda")
    device = open_device("cuda")
    found: list[dict[str, Any]] = []
    for shape, tokens in cases:
        rows = bench(
            device,
            torch,
            shape,
            tokens,
            args.weight,
            {t: built[shape, tokens, args.weight, t] for t in args.schedules},
            args.rounds,
        )
        found += rows
        print(
            f"== {shape} T={tokens} {args.weight}: torch {rows[0]['torch_us']:.1f} us, {rows[0]['torch_tflops']:.0f} TFLOP/s",
            flush=True,
        )
        for row in sorted(rows, key=lambda r: r.get("us", 1e9)):
            if "problem" in row:
                print(f"   {'-':>9}     {row['schedule']}  {row['problem']}")
            else:
                note = f"regs {row['registers']} error {row['error']:.1e} {' '.join(row['codes'])}"
                print(f"   {row['us']:9.1f} us {row['tflops']:5.0f} TFLOP/s  {row['schedule']}  {note}", flush=True)
        torch.cuda.empty_cache()
        if args.out is not None:
            args.out.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
