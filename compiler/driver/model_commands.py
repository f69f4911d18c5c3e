"""What `llmc run`, `llmc build` and `llmc inspect` do."""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path

from ...dialects.ir.diagnostics import LlmcError
from ...runtime.device import open_device
from .. import api
from ..build import Compiled, Settings, is_artefact, read_artefact, write_artefact
from ..knobs import read_knobs
from .progress import ProgressLine


def run(arguments: argparse.Namespace) -> int:
    """Stream the continuation to stdout; times and the place of the dumps go to stderr."""
    progress = ProgressLine()
    settings = Settings(knobs=read_knobs(), cache=not arguments.no_cache, dumps=arguments.dump is not None, progress=progress)
    if arguments.max_tokens < 0:
        raise LlmcError("LLMC0231", f"--max-tokens {arguments.max_tokens} is negative", fix="give 0 or more")
    api.check_sampling(arguments.temperature, arguments.top_k, arguments.top_p)
    model = api.load(
        arguments.model, device=arguments.device, quant=arguments.quant, dtype=arguments.dtype,
        max_sequences=arguments.max_sequences, max_tokens=arguments.max_context, settings=settings,
    )  # fmt: skip
    progress.close()
    if arguments.dump is not None:
        write_artefact(model.compiled, model.model, Path(arguments.dump))
    print_remarks(model.compiled, arguments.remarks)
    prompt = sys.stdin.read() if arguments.prompt == "-" else arguments.prompt
    pieces = model.generate(
        prompt, arguments.max_tokens, temperature=arguments.temperature, top_k=arguments.top_k, top_p=arguments.top_p, seed=arguments.seed
    )
    sys.stdout.write(prompt)
    for piece in pieces:
        sys.stdout.write(piece)
        sys.stdout.flush()
    sys.stdout.write("\n")
    sys.stdout.flush()
    times = model.timings
    dumps = f"; dumps are in {arguments.dump}" if arguments.dump else "; --dump DIR keeps the IR of every phase"
    print(f"[{model.device}] {times.tokens} tokens, TTFT {1e3 * times.first_token:.1f} ms, TPOT {1e3 * times.per_token:.2f} ms{dumps}", file=sys.stderr)
    return 0


def build(arguments: argparse.Namespace) -> int:
    """Compile and write the artefact."""
    place, out = Path(arguments.model), Path(arguments.output)
    if is_artefact(place):
        raise LlmcError("LLMC0224", f"{place} is an artefact already", str(place), fix="give the checkpoint it was built from")
    if not place.is_dir():
        raise LlmcError("LLMC0233", f"{place} is no directory", str(place), fix="give a Hugging Face checkpoint")
    progress = ProgressLine()
    settings = Settings(knobs=read_knobs(), cache=not arguments.no_cache, dumps=True, progress=progress)
    kind = arguments.device or settings.knobs.device
    device = open_device(kind) if kind != "reference" else None
    target = arguments.target or (device.target if device is not None else "sm_90a")
    if kind in ("emulator", "reference"):
        settings = replace(settings, assemble=False)
    compiled, model, _ = api.build(
        place, target, arguments.quant, arguments.dtype, arguments.max_sequences, arguments.max_context, settings
    )
    progress.close()
    write_artefact(compiled, model, out)
    print_remarks(compiled, arguments.remarks)
    times = ", ".join(f"{phase} {seconds:.1f} s" for phase, seconds in compiled.seconds.items())
    print(f"{len(compiled.kernels)} kernels for {target} in {out} ({times})", file=sys.stderr)
    return 0


def inspect(arguments: argparse.Namespace) -> int:
    """Print an artefact's summary."""
    place = Path(arguments.model)
    if not is_artefact(place):
        raise LlmcError("LLMC0225", f"{place} is no artefact", str(place), fix="llmc build DIR -o OUT writes one")
    compiled, model = read_artefact(place)
    options = compiled.options
    print(f"{place}: a {model.kind} for {options.target}, weights {options.scheme}, context {model.context}, {options.max_sequences} sequences")
    print(f"weights: {model.checkpoint}")
    families = Counter(op.family.data for op in compiled.module.body.block.ops if op.name == "layout.kernel")  # pyright: ignore
    print(f"kernels: {len(compiled.kernels)} ({', '.join(f'{n} {f}' for f, n in families.items())})")
    for op in compiled.module.body.block.ops:
        if op.name == "layout.kernel":
            name: str = op.sym_name.data  # pyright: ignore
            code = compiled.kernels[name]
            print(f"  {name:36s} {op.schedule!s:60s} {code.threads:4d} threads {code.dyn_smem:6d} B shared {code.registers:3d} registers")  # pyright: ignore
        elif op.name == "rt.program":
            launches = sum(o.name == "rt.launch" for o in op.walk())
            print(f"program {op.sym_name.data}: {launches} launches")  # pyright: ignore
    print(f"IR of the phases: {place / 'ir'}")
    return 0


def print_remarks(compiled: Compiled, category: str | None) -> None:
    if category is not None:
        for remark in compiled.remarks.of(category):
            print(remark.render(), file=sys.stderr)
