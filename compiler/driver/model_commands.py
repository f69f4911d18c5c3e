"""What `llmc run`, `llmc build` and `llmc inspect` do."""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path

from ...dialects.ir.diagnostics import LlmcError
from ...dialects.layout.ops import KernelOp
from ...dialects.rt.ops import LaunchOp, ProgramOp
from ...passes.framework.registry import Registry
from ...runtime.cuda.device import gpu_missing
from ...runtime.devices import open_device
from ...runtime.generate import check_length
from ...runtime.tokenizer import open_tokenizer
from ...runtime.weights import read_json
from .. import api, build_checkpoint
from ..artefact import check_output, is_artefact, read_artefact, read_manifest, write_artefact
from ..build import Settings
from ..commandline.instruments import CommandInstrument
from ..commandline.reproducer import write_build_reproducer
from ..edited import build_edited
from ..files import read_text
from ..knobs import Knobs, read_knobs
from ..options import check_fixed, check_options, check_place, checked_device
from ..phases import CompileOptions, make_registry
from ..request import article, checked_count, checked_sampling, checked_text
from .progress import ProgressLine
from .remarks_report import remarks_wanted, report_remarks

DEFAULT_TOKENS = 128


def run(arguments: argparse.Namespace) -> int:
    """Stream the continuation to stdout; times and the place of the dumps go to stderr."""
    place = Path(arguments.model)
    knobs = read_knobs()
    told = remarks_wanted(arguments) is not None
    registry = make_registry(arguments.load_pass_plugin)
    check_run(arguments, place)
    prompt = read_text("-").removesuffix("\n") if arguments.prompt == "-" else arguments.prompt
    check_prompt(arguments, place, prompt)
    device = device_for_run("emulator" if arguments.strict else arguments.device, knobs)
    with ProgressLine() as progress:
        settings = Settings(
            knobs=knobs,
            cache=not arguments.no_cache and not told,  # what comes from a cache has no remarks to make
            dumps=arguments.dump is not None,
            progress=progress,
            warn=progress.warn,
            registry=registry,
            failed=lambda error, module, elements: write_build_reproducer(error, module, elements, arguments, registry),
        )
        model = api.load(
            place, device=device, quant=arguments.quant, dtype=arguments.dtype,
            max_sequences=arguments.max_sequences, max_context=arguments.max_context, settings=settings,
            strict=arguments.strict,
        )  # fmt: skip
    if arguments.dump is not None:
        write_artefact(model.compiled, model.model, Path(arguments.dump))
    report_remarks(model.compiled.remarks, arguments)
    limit = new_tokens(arguments, len(model.encode(prompt)), model.model.context)
    pieces = model.generate(
        prompt, limit, temperature=arguments.temperature, top_k=arguments.top_k, top_p=arguments.top_p, seed=arguments.seed
    )
    write(prompt)
    for piece in pieces:
        write(piece)
    write("\n")
    times = model.timings
    dumps = (
        f"; dumps are in {arguments.dump}"
        if arguments.dump
        else ""
        if is_artefact(place)
        else "; --dump DIR keeps the IR of every phase"
    )
    counted = ""
    if times.first_instructions:
        each = f"{times.first_instructions:,} to the first token, {times.instructions_per_token:,.0f} for each after it"
        counted = f"; instructions of a warp: {each}"
    print(
        f"[{model.device}] {times.tokens} tokens, TTFT {1e3 * times.first_token:.1f} ms, TPOT {1e3 * times.per_token:.2f} ms{dumps}{counted}",
        file=sys.stderr,
    )
    return 0


def check_run(arguments: argparse.Namespace, place: Path) -> None:
    """What can be known to be wrong before anything is compiled."""
    if arguments.max_tokens is not None:
        checked_count(arguments.max_tokens)
    checked_sampling(arguments.temperature, arguments.top_k, arguments.top_p, arguments.seed)
    check_options(arguments.quant, arguments.dtype, arguments.max_sequences, arguments.max_context)
    check_place(place)
    if arguments.strict and arguments.device not in (None, "emulator"):
        why = "only the emulator follows who wrote what"
        raise LlmcError("LLMC0239", f"--strict with --device {arguments.device}", "--strict", why, "leave one of them out")
    if arguments.prompt == "":
        raise LlmcError(
            "LLMC0851",
            "the prompt is empty",
            "--prompt",
            why="it has no token",
            fix="give at least one token, such as the model's BOS",
        )
    if remarks_wanted(arguments) is not None and is_artefact(place):
        what = f"{place} is an artefact: nothing is compiled that remarks could be made on"
        fix = "give --remarks to the llmc build that makes the artefact, or run the checkpoint"
        raise LlmcError("LLMC0237", what, "--remarks", fix=fix)
    if arguments.dump is not None:
        if is_artefact(place):
            what = f"{place} is an artefact: nothing is compiled that could be dumped"
            raise LlmcError("LLMC0237", what, str(place), fix=f"its IR is in {place / 'ir'}")
        check_output(Path(arguments.dump))


def check_prompt(arguments: argparse.Namespace, place: Path, prompt: str) -> None:
    """Raise for a prompt that the model can't continue, before it is compiled or loaded: LLMC0230, LLMC0235, LLMC0851, LLMC0852."""
    tokens = len(open_tokenizer(place / "tokenizer.json").encode(checked_text(prompt)).ids)
    if is_artefact(place):
        context = read_manifest(place)["context"]
    else:
        context = build_checkpoint.context_of(read_json(place / "config.json"), 0, arguments.max_context, place)
    check_length(tokens, new_tokens(arguments, tokens, context), context, "the prompt")


def new_tokens(arguments: argparse.Namespace, tokens: int, context: int) -> int:
    """How many tokens to make after a prompt of `tokens`."""
    if arguments.max_tokens is not None:
        return arguments.max_tokens
    return max(1, min(DEFAULT_TOKENS, context - tokens))


def device_for_run(asked: str | None, knobs: Knobs) -> str:
    """The device asked for; the emulator, with a word about it, where none was and no GPU answers."""
    kind = checked_device(asked or knobs.device)
    reason = gpu_missing() if kind == "auto" else None
    if reason is None:
        return kind
    print(f"no GPU here ({reason.splitlines()[0]}): running on the emulator, which is slow", file=sys.stderr)
    return "emulator"


def write(text: str) -> None:
    """Stream text to stdout, whatever its encoding can show."""
    encoding = sys.stdout.encoding or "utf-8"
    sys.stdout.write(text.encode(encoding, "replace").decode(encoding))
    sys.stdout.flush()


def build(arguments: argparse.Namespace) -> int:
    """Compile and write the artefact."""
    place, out = Path(arguments.model), Path(arguments.output)
    knobs = read_knobs()
    registry = make_registry(arguments.load_pass_plugin)
    told = remarks_wanted(arguments) is not None
    check_build(arguments, place, out, registry)
    kind = checked_device(arguments.device or knobs.device)
    target = target_for_build(kind, arguments.target, registry) if arguments.ir is None else arguments.target
    trace = None
    if arguments.trace is not None:
        from ..trace import LowerTrace

        trace = LowerTrace(Path(arguments.trace))
    checks = numerics_checks(arguments, place, registry)
    try:
        with ProgressLine() as progress:
            cached = not arguments.no_cache and not told and not checks  # a kernel from the cache goes through no pass
            settings = Settings(
                knobs=knobs,
                cache=cached,
                dumps=True,
                progress=progress,
                warn=progress.warn,
                instruments=checks,
                trace=trace,
                registry=registry,
                failed=lambda error, module, elements: write_build_reproducer(error, module, elements, arguments, registry),
            )
            if kind in ("emulator", "reference"):
                settings = replace(settings, assemble=False)
            if arguments.ir is not None:
                compiled, model = build_edited(place, read_text(arguments.ir), arguments.ir, settings, target)
            else:
                compiled, model, _ = build_checkpoint.build(
                    place,
                    str(target),
                    arguments.quant,
                    arguments.dtype,
                    arguments.max_sequences,
                    arguments.max_context,
                    settings,
                )
            progress("write", "", 0, 1)
            write_artefact(compiled, model, out, arguments.copy_weights)
    finally:
        for check in checks:
            check.finish()
    report_remarks(compiled.remarks, arguments)
    times = ", ".join(f"{phase} {seconds:.1f} s" for phase, seconds in compiled.seconds.items())
    print(f"{len(compiled.kernels)} kernels for {compiled.options.target} in {out} ({times})", file=sys.stderr)
    if trace is not None:
        print(f"the trace is in {trace.directory / 'index.html'}", file=sys.stderr)
    return 0


def numerics_checks(arguments: argparse.Namespace, place: Path, registry: Registry) -> list[CommandInstrument]:
    """What `--check-numerics` asks for; with the checkpoint's own weights, if no others are given."""
    if not arguments.check_numerics:
        return []
    from ..commandline.instruments import numerics

    if arguments.check_numerics_weights is None and arguments.ir is None:
        arguments.check_numerics_weights = str(place)
    return numerics.from_arguments(arguments, registry)


def check_build(arguments: argparse.Namespace, place: Path, out: Path, registry: Registry) -> None:
    """What can be known to be wrong before anything is compiled."""
    check_options(arguments.quant, arguments.dtype, arguments.max_sequences, arguments.max_context)
    if arguments.ir is not None:
        if not is_artefact(place):
            fix = "give the artefact that the dump is from; llmc build DIR -o OUT writes one"
            raise LlmcError("LLMC0225", f"{place} is no artefact", str(place), fix=fix)
        options = CompileOptions(**read_manifest(place, edited=True)["options"])
        check_fixed(options, place, arguments.quant, arguments.dtype, arguments.max_sequences, arguments.max_context)
        if arguments.target is not None:
            registry.targets.find(arguments.target)
    elif is_artefact(place):
        fix = "give the checkpoint it was built from, or --ir FILE to compile an edited dump of it"
        raise LlmcError("LLMC0224", f"{place} is an artefact already", str(place), fix=fix)
    else:
        check_place(place, fix="give a Hugging Face checkpoint")
    check_output(out)


def target_for_build(kind: str, asked: str | None, registry: Registry) -> str:
    """The target asked for; else the device's own, and sm_90a where there is no GPU. No GPU is needed when a target is named."""
    if asked is not None:
        return registry.targets.find(asked).name
    if kind == "reference" or (kind == "auto" and gpu_missing() is not None):
        return "sm_90a"
    return open_device(kind).target


def inspect(arguments: argparse.Namespace) -> int:
    """Print an artefact's summary."""
    place = Path(arguments.model)
    if not is_artefact(place):
        raise LlmcError("LLMC0225", f"{place} is no artefact", str(place), fix="llmc build DIR -o OUT writes one")
    compiled, model = read_artefact(place, make_registry(arguments.load_pass_plugin).context())
    options = compiled.options
    kernels = [op for op in compiled.module.body.block.ops if isinstance(op, KernelOp)]
    families = Counter(op.family.data for op in kernels)
    print(
        f"{place}: {article(model.kind)} for {options.target}, weights {options.scheme}, context {model.context}, {options.max_sequences} sequences"
    )
    print(f"weights: {model.checkpoint}")
    print(f"kernels: {len(kernels)} ({', '.join(f'{n} {f}' for f, n in families.items())})")
    for op in kernels:
        code = compiled.kernels[op.sym_name.data]
        registers = f"{code.registers:3d} registers" if code.cubin is not None else "no cubin"
        print(f"  {code.name:36s} {op.schedule!s:60s} {code.threads:4d} threads {code.dyn_smem:6d} B shared {registers}")
    for op in compiled.module.body.block.ops:
        if isinstance(op, ProgramOp):
            print(f"program {op.sym_name.data}: {sum(isinstance(o, LaunchOp) for o in op.walk())} launches")
    print(f"IR of the phases: {place / 'ir'}")
    return 0
