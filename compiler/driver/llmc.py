"""`llmc`: run, build and inspect models.

Only argparse is imported before the arguments are read.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path


def parser() -> argparse.ArgumentParser:
    p = argparse.ArgumentParser(prog="llmc", description="Compile transformer models to PTX and run them.")
    commands = p.add_subparsers(dest="command", required=True, metavar="COMMAND")
    run = commands.add_parser("run", help="run a checkpoint, or what `llmc build` wrote")
    run.add_argument("model", metavar="DIR", help="a Hugging Face directory or an artefact")
    run.add_argument("--prompt", required=True, help="the text to continue; - reads standard input")
    run.add_argument("--max-tokens", type=int, default=128, metavar="N", help="stop after N tokens (default 128)")
    run.add_argument("--temperature", type=float, default=0.0, help="0 is greedy (default)")
    run.add_argument("--top-k", type=int, default=0, metavar="K", help="draw among the K likeliest; 0: all")
    run.add_argument("--top-p", type=float, default=1.0, metavar="P", help="draw among the likeliest that make up P")
    run.add_argument("--seed", type=int, default=0)
    shared(run)
    build = commands.add_parser("build", help="compile a checkpoint into an artefact")
    build.add_argument("model", metavar="DIR", help="a Hugging Face directory")
    build.add_argument("-o", "--output", required=True, metavar="OUT", help="the artefact's directory")
    build.add_argument("--target", default=None, help="sm_80, sm_90 or sm_90a (default: this machine's GPU, else sm_90a)")
    shared(build)
    inspect = commands.add_parser("inspect", help="say what an artefact holds")
    inspect.add_argument("model", metavar="OUT")
    inspect.add_argument("--debug", action="store_true", help="show the traceback of an error")
    return p


def shared(p: argparse.ArgumentParser) -> None:
    """Flags of run and build."""
    p.add_argument("--device", default=None, help="auto (default), cuda, emulator or reference")
    p.add_argument("--quant", default="none", help="none (default) or int8 weights")
    p.add_argument("--dtype", default=None, help="bfloat16 or float32 instead of the checkpoint's")
    p.add_argument("--max-context", type=int, default=None, metavar="N", help="longest sequence (default: the model's, at most 4096)")
    p.add_argument("--max-sequences", type=int, default=1, metavar="N", help="sequences decoded together (default 1)")
    p.add_argument("--dump", default=None, metavar="DIR", help="keep the IR of every phase and the PTX here")
    p.add_argument("--no-cache", action="store_true", help="neither read nor write the kernel cache")
    p.add_argument("--remarks", default=None, metavar="CATEGORY", help="print remarks (fusion, quantisation, layout, schedule, all)")
    p.add_argument("--debug", action="store_true", help="show the traceback of an error")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit code."""
    arguments = parser().parse_args(argv)
    from . import model_commands
    from .command import guarded

    body = {"run": model_commands.run, "build": model_commands.build, "inspect": model_commands.inspect}[arguments.command]
    return guarded(lambda: body(arguments), debug=arguments.debug)


def as_path(text: str) -> Path:
    return Path(text).expanduser()


if __name__ == "__main__":
    sys.exit(main())
