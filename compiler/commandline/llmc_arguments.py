"""The arguments of `llmc` and its commands. Imports only argparse, so that `--help` answers at once."""

from __future__ import annotations

import argparse

from .arguments import Parser, add_numerics_flags, add_remark_flags, load_plugins, version
from .opt_arguments import PHASES


class ParserWithVariables(Parser):
    """Ends its help with the environment variables, which nothing else needs so early."""

    def format_help(self) -> str:
        from ..knobs import VARIABLES

        rows = [f"  {' or '.join(names):24s} {text}" for names, _, text in VARIABLES.values()]
        return "\n".join([super().format_help(), "environment (a flag goes before its variable):", *rows, ""])


def parser() -> argparse.ArgumentParser:
    p = ParserWithVariables(
        prog="llmc",
        description="Compile transformer models to PTX and run them.",
        epilog="`llmc explain CODE` says what an error such as error[LLMC0221] stands for and what to do about it.",
    )
    version(p)
    commands = p.add_subparsers(dest="command", required=True, metavar="COMMAND", parser_class=Parser)
    run = commands.add_parser("run", help="run a checkpoint, or what `llmc build` wrote")
    run.add_argument("model", metavar="DIR", help="a Hugging Face directory or an artefact")
    run.add_argument("--prompt", required=True, help="the text to continue; - reads standard input (less its last line end)")
    run.add_argument(
        "--max-tokens",
        type=int,
        default=None,
        metavar="N",
        help="stop after N tokens (default 128, or what the context has room for)",
    )
    run.add_argument("--temperature", type=float, default=0.0, help="0 is greedy (default)")
    run.add_argument("--top-k", type=int, default=0, metavar="K", help="draw among the K likeliest; 0: all")
    run.add_argument("--top-p", type=float, default=1.0, metavar="P", help="draw among the likeliest that make up P")
    run.add_argument("--seed", type=int, default=0, help="equal seeds draw equal tokens (default 0)")
    run.add_argument("--dump", default=None, metavar="DIR", help="keep the IR of every phase and the PTX here, as an artefact")
    run.add_argument(
        "--strict",
        action="store_true",
        help="run on the emulator, which then also names races and reads of what nobody wrote; several times slower",
    )
    shared(run)
    build = commands.add_parser("build", help="compile a checkpoint into an artefact")
    build.add_argument("model", metavar="DIR", help="a Hugging Face directory; with --ir an artefact")
    build.add_argument(
        "--ir", default=None, metavar="FILE", help="compile this edited dump (of any phase) for the model of the artefact DIR"
    )
    build.add_argument("-o", "--output", required=True, metavar="OUT", help="the artefact's directory")
    build.add_argument(
        "--target",
        default=None,
        help="such as sm_80, sm_90 or sm_90a (default: this machine's GPU, else sm_90a; sm_80 for the emulator)",
    )
    build.add_argument(
        "--trace",
        default=None,
        metavar="DIR",
        help="write every pass's before and after as files, and a page that shows them; takes no kernels from the cache",
    )
    build.add_argument(
        "--copy-weights", action="store_true", help="put the weights into the artefact, which otherwise names their place"
    )
    shared(build)
    add_numerics_flags(build)
    bisecting(commands.add_parser("bisect", help="find the pass, and the rewrite in it, that makes a test fail"))
    inspect = commands.add_parser("inspect", help="say what an artefact holds")
    inspect.add_argument("model", metavar="OUT")
    diagnosing(inspect)
    load_plugins(inspect)
    explain = commands.add_parser("explain", help="say what an error code, a pass, an op, a schedule or a flag is")
    explain.add_argument(
        "word",
        nargs="?",
        default=None,
        metavar="WORD",
        help="LLMC0221, or the name of a pass, pipeline, phase, dialect, op, schedule, target or flag; nothing: list the codes of all errors",
    )
    load_plugins(explain)
    diagnosing(explain)
    return p


def shared(p: argparse.ArgumentParser) -> None:
    """Flags of run and build."""
    p.add_argument("--device", default=None, help="auto (default), cuda, emulator (PTX only, no ptxas) or reference")
    p.add_argument("--quant", default="none", help="none (default) or int8 weights")
    p.add_argument("--dtype", default=None, help="bfloat16, float16 or float32 instead of the checkpoint's")
    p.add_argument(
        "--max-context", type=int, default=None, metavar="N", help="longest sequence (default: the model's, at most 4096)"
    )
    p.add_argument("--max-sequences", type=int, default=1, metavar="N", help="sequences decoded together (default 1)")
    p.add_argument("--no-cache", action="store_true", help="neither read nor write the kernel cache")
    add_remark_flags(p)
    load_plugins(p)
    diagnosing(p)


def bisecting(p: argparse.ArgumentParser) -> None:
    """Flags of bisect."""
    p.add_argument("input", metavar="FILE", help="the IR that the passes start from; - reads standard input")
    p.add_argument(
        "-o", "--output", default="bisect", metavar="DIR", help="where before.mlir and after.mlir go (default: bisect)"
    )
    p.add_argument(
        "--pass-pipeline", default=None, metavar="TEXT", help="the passes, as llmc-opt takes them (default: the phases)"
    )
    p.add_argument("--compile-from", choices=PHASES, default=None, metavar="PHASE", help="the phase that the input stands at")
    p.add_argument("--compile-to", choices=PHASES, default=None, metavar="PHASE", help="the last phase to run (default: ptx)")
    p.add_argument("--target", default=None, metavar="NAME", help="what to compile for, such as sm_80 or sm_90a")
    test = p.add_mutually_exclusive_group(required=True)
    test.add_argument(
        "--test",
        default=None,
        metavar="COMMAND",
        help="a command that gets the resulting file ({} or last): 0 good, 125 cannot tell, else bad",
    )
    test.add_argument("--test-fails", action="store_true", help="a pass fails")
    test.add_argument("--test-numerics", action="store_true", help="the result computes something else than the input")
    test.add_argument("--test-ptxas", action="store_true", help="ptxas refuses the PTX of the result")
    load_plugins(p)
    diagnosing(p)


def diagnosing(p: argparse.ArgumentParser) -> None:
    """Flags of all commands."""
    p.add_argument(
        "--color",
        choices=("auto", "always", "never"),
        default="auto",
        metavar="WHEN",
        help="colour errors: auto (on a terminal; default), always or never",
    )
    p.add_argument("--debug", action="store_true", help="show the traceback of an error")
