"""The command `llmc bisect`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from ...dialects.ir.parsing import parse_module
from ...passes.framework.pipeline import Element, parse_pipeline
from ...passes.framework.registry import Registry
from ..commandline.reproducer import command_line
from ..files import make_folder, read_text, write_text
from ..phases import attach_options, make_registry, phase_of, pipeline_between
from ..replay import Cut, Replay
from .search import Found, Search
from .verdicts import Assembles, CommandTest, SameNumbers, Verdict, succeeds


def bisect(arguments: argparse.Namespace) -> int:
    """Search, write the IR before and after beside each other, and print what was found."""
    registry = make_registry(arguments.load_pass_plugin)
    name = "<stdin>" if arguments.input == "-" else arguments.input
    text, elements = case_of(read_text(arguments.input), name, arguments, registry)
    replay = Replay(text, name, elements, registry)
    if arguments.test_fails:
        replay = replay.hardened()

    def say(line: str) -> None:
        print(f"bisect: {line}", file=sys.stderr)

    verdict = verdict_of(arguments, text, registry)
    found = Search(replay, verdict, say, fails=arguments.test_fails).run()
    out = Path(arguments.output)
    make_folder(out)
    print(report(found, replay, out, arguments.load_pass_plugin))
    return 0


def case_of(text: str, name: str, arguments: argparse.Namespace, registry: Registry) -> tuple[str, Sequence[Element]]:
    """The input and the passes to run on it; with phases, the options that `--target` says are written on the module."""
    if arguments.pass_pipeline is not None:
        return text, parse_pipeline(arguments.pass_pipeline, registry)
    from ...dialects.ir.printer import print_module

    module = parse_module(registry.context(), text, name)
    phases = pipeline_between(arguments.compile_from or phase_of(module), arguments.compile_to or "ptx")
    attach_options(module, arguments.target)
    return print_module(module, locations=True) + "\n", phases


def verdict_of(arguments: argparse.Namespace, text: str, registry: Registry) -> Verdict:
    if arguments.test is not None:
        return CommandTest(arguments.test)
    if arguments.test_fails:
        return succeeds
    if arguments.test_numerics:
        return SameNumbers(text, registry)
    return Assembles(registry)


def report(found: Found, replay: Replay, out: Path, plugins: Sequence[str]) -> str:
    """One paragraph; the files that it names are written."""
    application, rewrite = found.application, found.rewrite
    limit = found.cut.limit
    before = replay.run(Cut(until=application.number - 1, limit=limit)).text
    after = replay.run(replace(Cut(until=application.number, limit=limit), within=application.number))
    files = [out / "before.mlir"]
    (out / "after.mlir").unlink(missing_ok=True)  # that of an earlier search is not after this pass
    write_text(str(files[0]), before)
    if after.error is None:
        files.append(out / "after.mlir")
        write_text(str(files[1]), after.text)
    more: list[str] = []
    if rewrite is not None:
        more.append(f"--debug-counter={rewrite.pattern}={rewrite.index - 1}:1")
    optional = f", optional pass {application.optional}" if application.optional is not None else ", a required pass"
    lines = [f"pass '{application.name}' on {application.anchor} is at fault (application {application.number}{optional})"]
    if rewrite is not None:
        lines.append(f"  pattern: '{rewrite.pattern}', rewrite {rewrite.index} of it, on {rewrite.op}")
    if found.error is not None:
        lines.append(f"  error: {found.error.code}: {found.error.what}")
    lines.append(f"  IR: {' → '.join(map(str, files))}")
    lines.append(f"  show: {command_line(application.pipeline, plugins, more=[*more, operand(files[0])])}")
    return "\n".join(lines)


def operand(path: Path) -> str:
    """A path as one word of a command, which quotes it itself; never taken for a flag."""
    text = str(path)
    return f"./{text}" if text.startswith("-") else text
