"""Reproducers: a failing pass's input in a file whose first lines are the command that fails on it.

    // llmc-repro: llmc-opt --pass-pipeline='builtin.module(canonicalize)' --load-pass-plugin=/home/me/mine.py
    builtin.module { … }

`llmc-opt FILE --run-reproducer` runs it. The IR before the failing pass is found by running the pipeline once more, as far as that
pass, so that a run that succeeds pays nothing.
"""

from __future__ import annotations

import argparse
import hashlib
import re
import shlex
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from xdsl.dialects.builtin import ModuleOp

from ...dialects.ir.diagnostics import LlmcError
from ...dialects.ir.printer import print_module
from ...passes.framework.instrument import Instrument
from ...passes.framework.pipeline import Element, parse_pipeline, print_pipeline
from ...passes.framework.registry import Registry
from ..files import write_text
from ..knobs import read_knobs
from ..replay import Cut, Replay
from .instruments.counting import counters_of

HEADER = re.compile(r"^// llmc-repro: llmc-opt\s+(.*)$", re.MULTILINE)
NUMERICS = tuple(f"check_numerics{part}" for part in ("", "_seed", "_sizes", "_tolerance", "_inputs", "_weights"))
BY_THE_USER = ("LLMC0003", "LLMC0005", "LLMC0203", "LLMC0420", "LLMC0830")
"""Errors of a pass that say no more than that an option, a file or a target's name is wrong: nothing to reproduce."""
CARRIED = (
    "pass_pipeline",
    "load_pass_plugin",
    "verify_each",
    "allow_unregistered_dialect",
    "debug_counter",
    "opt_bisect_limit",
    *NUMERICS,
)


def command_line(pipeline: str, plugins: Sequence[str], verify_each: bool = True, more: Sequence[str] = ()) -> str:
    """`llmc-opt …` without the file, quoted for a shell. Plugins get absolute paths."""
    words = [f"--pass-pipeline={pipeline}", *(f"--load-pass-plugin={Path(p).resolve()}" for p in plugins)]
    words += [] if verify_each else ["--no-verify-each"]
    return shlex.join(["llmc-opt", *words, *more])


def take_command(text: str, name: str, arguments: argparse.Namespace) -> None:
    """Set what the header of a reproducer says. Raises LLMC0256 for a file without one."""
    match = HEADER.search(text)
    if match is None:
        raise LlmcError(
            "LLMC0256", f"{name} is no reproducer", name, why="it has no line '// llmc-repro: llmc-opt …'",
            fix="leave --run-reproducer out, and give the passes",
        )  # fmt: skip
    from .opt_arguments import parser

    found = parser().parse_args(shlex.split(match.group(1)))
    for field in CARRIED:
        setattr(arguments, field, getattr(found, field))


def write_reproducer(
    error: LlmcError, text: str, name: str, arguments: argparse.Namespace, elements: Sequence[Element], registry: Registry
) -> None:
    """Write the reproducer of an error of a pass, and say in the error where it is and how it is run. Nothing is written for a run
    of a reproducer, or of expected errors, unless a file is named; nor for errors around the passes, or of what the user asked for."""
    if not error.passes or error.code in BY_THE_USER:
        return
    target: str | None = arguments.mlir_pass_pipeline_crash_reproducer
    if target is None and (arguments.run_reproducer or arguments.verify_diagnostics):
        return
    pipeline, ir, more = print_pipeline(elements), text, counting(arguments)
    numerics, checks = numerics_of(arguments, registry)
    if arguments.mlir_pass_pipeline_local_reproducer:
        found = local_case(*rerun(text, name, arguments, elements, registry, checks=checks), error)
        if found is not None:
            (pipeline, ir), more = found, []
    command = command_line(
        pipeline, arguments.load_pass_plugin, arguments.verify_each, [*more, *unregistered(arguments), *numerics]
    )
    save(error, ir, command, target)


def rerun(
    text: str, name: str, arguments: argparse.Namespace, elements: Sequence[Element], registry: Registry, **options: Any
) -> tuple[Replay, Cut]:
    """What runs the same again, and how much of it."""
    counters = tuple((tag, c.skip, c.count) for tag, c in counters_of(arguments.debug_counter).items())
    limit: int | None = arguments.opt_bisect_limit
    replay = Replay(text, name, elements, registry, arguments.verify_each, counters, **options)
    return replay, Cut(limit=limit if limit is not None and limit >= 0 else None)


def counting(arguments: argparse.Namespace) -> list[str]:
    """The flags that leave passes and rewrites out."""
    limit: int | None = arguments.opt_bisect_limit
    words = [f"--debug-counter={c}" for c in arguments.debug_counter]
    return [*words, f"--opt-bisect-limit={limit}"] if limit is not None else words


def error_with_places(
    text: str, name: str, arguments: argparse.Namespace, elements: Sequence[Element], registry: Registry
) -> LlmcError | None:
    """The error of the same run on ops that carry their places in the text."""
    replay, cut = rerun(text, name, arguments, elements, registry, locate=True)
    return replay.run(cut).error


@contextmanager
def reproducer_ahead(
    text: str, arguments: argparse.Namespace, elements: Sequence[Element], registry: Registry
) -> Generator[None]:
    """For passes that end the process, by a segmentation fault say: the reproducer of all passes is in the file that
    `--mlir-pass-pipeline-crash-reproducer` names while they run, and what was there before comes back after them."""
    target: str | None = arguments.mlir_pass_pipeline_crash_reproducer
    path = Path(target) if target is not None else None
    if path is None or not elements:
        yield
        return
    before = path.read_bytes() if path.is_file() else None
    more = [*counting(arguments), *unregistered(arguments), *numerics_of(arguments, registry)[0]]
    command = command_line(print_pipeline(elements), arguments.load_pass_plugin, arguments.verify_each, more)
    with suppress(OSError, LlmcError):  # said when there is something to reproduce
        path.parent.mkdir(parents=True, exist_ok=True)
        write_text(str(path), f"// llmc-repro: {command}\n// the process ended\n{HEADER.sub('', text).lstrip()}")
    try:
        yield
    finally:
        if before is not None:
            path.write_bytes(before)
        elif path.is_file():
            path.unlink()


def write_build_reproducer(
    error: LlmcError, module: ModuleOp, elements: Sequence[Element], arguments: argparse.Namespace, registry: Registry
) -> None:
    """The same for a pass that failed while a model was built: `module` stands where `elements` begin."""
    if error.code in BY_THE_USER:
        return
    text = print_module(module, locations=True) + "\n"
    numerics, checks = numerics_of(arguments, registry)
    found = local_case(Replay(text, "<model>", elements, registry, False, (), checks), Cut(), error)
    pipeline, ir = found or (print_pipeline(elements), text)
    save(error, ir, command_line(pipeline, arguments.load_pass_plugin, False, numerics), None)


def unregistered(arguments: argparse.Namespace | None) -> list[str]:
    """The flag that allows unregistered dialects, where it was given."""
    return ["--allow-unregistered-dialect"] if getattr(arguments, "allow_unregistered_dialect", False) else []


def numerics_of(
    arguments: argparse.Namespace | None, registry: Registry
) -> tuple[list[str], Callable[[], Sequence[Instrument]]]:
    """The flags of `--check-numerics` that were given, and what compares numbers again; numpy is only imported for it."""
    if arguments is None or not getattr(arguments, "check_numerics", False):
        return [], tuple
    from .instruments import numerics

    return numerics.words_of(arguments), numerics.checks_of(arguments, registry)


def save(error: LlmcError, ir: str, command: str, target: str | None) -> None:
    """Write the file and tell of it in the error; a folder that can't be written must not hide the error itself."""
    content = f"// llmc-repro: {command}\n// {error.code}: {error.what.splitlines()[0] if error.what else ''}\n{HEADER.sub('', ir).lstrip()}"
    digest = hashlib.sha256(content.encode()).hexdigest()[:12]
    path = Path(target) if target is not None else read_knobs().cache_dir / "reproducers" / f"{error.code}-{digest}.mlir"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_text(str(path), content)
    except (OSError, LlmcError) as problem:
        error.notes = (*error.notes, f"no reproducer: {path} can't be written ({getattr(problem, 'why', None) or problem})")
        return
    error.notes = (*error.notes, f"reproducer: llmc-opt {shlex.quote(str(path))} --run-reproducer")


def local_case(replay: Replay, cut: Cut, error: LlmcError) -> tuple[str, str] | None:
    """The failing pass's pipeline and the IR before it; None where that pass alone does not give the same error."""
    whole = replay.run(cut)
    if whole.error is None or whole.error.code != error.code or not whole.applications:
        return None
    last = whole.applications[-1]
    before = replay.run(Cut(until=last.number - 1, limit=cut.limit))
    if before.error is not None:
        return None
    elements = parse_pipeline(last.pipeline, replay.registry)
    alone = Replay(before.text, "<reproducer>", elements, replay.registry, replay.verify_each, checks=replay.checks)
    again = alone.run().error
    return (last.pipeline, before.text) if again is not None and again.code == error.code else None
