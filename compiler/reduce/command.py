"""The command `llmc-reduce`. Only argparse is imported before the arguments are read."""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from ..commandline.arguments import Parser, amount, load_plugins, version
from ..commandline.interrupts import interruptible

if TYPE_CHECKING:
    from ...passes.framework.instrument import Instrument
    from ...passes.framework.registry import Registry
    from .interest import Interest


def parser() -> argparse.ArgumentParser:
    p = Parser(
        prog="llmc-reduce",
        description="Make IR small while it keeps showing one failure.",
        epilog="Example: llmc-reduce model.nn --pass-fails='canonicalize,my-pass' -o small.mlir; a reproducer needs no test",
    )
    version(p)
    p.add_argument("input", metavar="FILE", help="the IR, or a reproducer; - reads standard input")
    p.add_argument("-o", "--output", default="-", metavar="FILE", help="file to write; - : standard output (default)")
    g = p.add_argument_group("what must stay (default: the failure that a reproducer shows)").add_mutually_exclusive_group()
    g.add_argument(
        "--test", default=None, metavar="COMMAND", help="a command that gets the file ({} or last) and exits with 0 on it"
    )
    g.add_argument(
        "--pass-fails", default=None, metavar="PIPELINE", help="the same pass of this pipeline fails in the same way"
    )
    g.add_argument(
        "--pipelines-disagree",
        nargs=2,
        default=None,
        metavar=("P1", "P2"),
        help="two pipelines give modules that compute something else",
    )
    g.add_argument("--ptxas-rejects", action="store_true", help="ptxas refuses the PTX of the module with the same message")
    p.add_argument("--max-seconds", type=amount, default=None, metavar="S", help="give the smallest found after S seconds")
    p.add_argument("--quiet", action="store_true", help="do not tell how it goes on")
    load_plugins(p)
    p.add_argument("--debug", action="store_true", help="show the traceback of an error")
    return p


@interruptible
def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit code (0, or 1 after an error that was printed to stderr)."""
    arguments = parser().parse_args(argv)
    from ..commandline.command import guarded

    return guarded(lambda: run(arguments), debug=arguments.debug)


def run(arguments: argparse.Namespace) -> int:
    from ..commandline.reproducer import HEADER, numerics_of, unregistered
    from ..files import read_text, write_text
    from ..phases import make_registry
    from .search import Reduction

    text = read_text(arguments.input)
    header = HEADER.search(text)
    recorded = None
    if header is not None and not (arguments.test or arguments.pass_fails or arguments.pipelines_disagree):
        from ..commandline.opt_arguments import parser as opt_parser

        recorded = opt_parser().parse_args(shlex.split(header.group(1)))
        if not arguments.ptxas_rejects:
            arguments.pass_fails = recorded.pass_pipeline
        arguments.load_pass_plugin = [*recorded.load_pass_plugin, *arguments.load_pass_plugin]
    more = unregistered(recorded)
    registry = make_registry(dict.fromkeys(arguments.load_pass_plugin), allow_unregistered=bool(more))
    verify_each = recorded is None or recorded.verify_each
    numerics, checks = numerics_of(recorded, registry)
    interest = interest_of(text, arguments, registry, verify_each, checks)
    reduction = Reduction(text, registry.context(), interest, arguments.max_seconds, say_of(arguments.quiet))
    result = reduction.run()
    if not reduction.finished:
        print(f"llmc-reduce: stopped after {arguments.max_seconds:g} s; more may go", file=sys.stderr)
    if arguments.pass_fails is not None:
        from ..commandline.reproducer import command_line

        line = command_line(
            arguments.pass_fails, list(dict.fromkeys(arguments.load_pass_plugin)), verify_each, [*more, *numerics]
        )
        result = f"// llmc-repro: {line}\n{result}"
    elif (words := test_words(arguments)) is not None:
        result = f"// shown by: llmc-reduce {words} {shlex.quote(arguments.output)}\n{result}"
    write_text(arguments.output, result)
    return 0


def test_words(arguments: argparse.Namespace) -> str | None:
    """The flags of a test that no pipeline of llmc-opt shows by itself; None for a command, which the user has."""
    words = [f"--load-pass-plugin={plugin}" for plugin in dict.fromkeys(arguments.load_pass_plugin)]
    if arguments.pipelines_disagree is not None:
        return shlex.join([*words, "--pipelines-disagree", *arguments.pipelines_disagree])
    return shlex.join([*words, "--ptxas-rejects"]) if arguments.ptxas_rejects else None


def say_of(quiet: bool) -> Callable[[str], None]:
    """What tells how it goes on, to stderr."""
    return (lambda line: None) if quiet else (lambda line: print(f"llmc-reduce: {line}", file=sys.stderr))


def interest_of(
    text: str, arguments: argparse.Namespace, registry: Registry, verify_each: bool, checks: Callable[[], Sequence[Instrument]]
) -> Interest:
    from ...dialects.ir.diagnostics import LlmcError
    from ..bisect.verdicts import CommandTest
    from .interest import CommandSays, PassFails, PipelinesDisagree, PtxasRejects

    if arguments.test is not None:
        return CommandSays(CommandTest(arguments.test))
    if arguments.pipelines_disagree is not None:
        return PipelinesDisagree(arguments.pipelines_disagree, registry)
    if arguments.ptxas_rejects:
        return PtxasRejects(registry)
    if arguments.pass_fails is None:
        raise LlmcError(
            "LLMC0239", "no test is given, and the input is no reproducer", "the arguments of llmc-reduce",
            fix="give --test, --pass-fails, --pipelines-disagree or --ptxas-rejects",
        )  # fmt: skip
    return PassFails(arguments.pass_fails, registry, verify_each, checks).hardened(text)


if __name__ == "__main__":
    sys.exit(main())
