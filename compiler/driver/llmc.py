"""`llmc`: run, build and inspect models, explain errors.

Only argparse is imported before the arguments are read.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from ..commandline.interrupts import interruptible
from ..commandline.llmc_arguments import parser


def flag_as_word(argv: list[str]) -> list[str]:
    """`llmc explain --remarks` asks what that flag is: a flag that `explain` does not have itself is its word."""
    own = ("--help", "--color", "--debug", "--load-pass-plugin")
    asked = len(argv) == 2 and argv[0] == "explain" and argv[1].startswith("--") and argv[1].split("=")[0] not in own
    return [argv[0], "--", argv[1]] if asked else argv


@interruptible
def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit code (0, or 1 after an error that was printed to stderr)."""
    arguments = parser().parse_args(flag_as_word(list(sys.argv[1:] if argv is None else argv)))
    from ..commandline.command import guarded
    from ..commandline.error_text import ErrorStyle

    if arguments.command == "bisect":
        from ..bisect.command import bisect as body
    elif arguments.command == "explain":
        body = say
    else:
        from . import model_commands

        body = {"run": model_commands.run, "build": model_commands.build, "inspect": model_commands.inspect}[arguments.command]
    return guarded(lambda: body(arguments), debug=arguments.debug, style=ErrorStyle(color=arguments.color))


def say(arguments: argparse.Namespace) -> int:
    """`llmc explain`."""
    from ..phases import make_registry
    from .explain import explain

    print(explain(arguments.word, make_registry(arguments.load_pass_plugin)), end="")
    return 0


if __name__ == "__main__":
    sys.exit(main())
