"""`llmc-lsp`: the language server for IR files.

Only argparse is imported before the arguments are read.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from ..commandline.arguments import Parser, load_plugins, version
from ..commandline.interrupts import interruptible


def parser() -> argparse.ArgumentParser:
    p = Parser(
        prog="llmc-lsp",
        description="The language server for llmc's IR files; editors start it. It speaks on standard input and output.",
        epilog="docs/editor.md says how to set up editors. It needs pygls: pip install 'llmc[editor]'.",
    )
    version(p)
    p.add_argument("--stdio", action="store_true", help="speak on standard input and output (default)")
    p.add_argument("--tcp", default=None, metavar="HOST:PORT", help="wait for one client on a port of this machine instead")
    load_plugins(p)
    p.add_argument("--debug", action="store_true", help="show the traceback of an error")
    return p


def address(text: str) -> tuple[str, int]:
    """Host and port of `HOST:PORT` or `PORT`. Raises LLMC0271 for what is none, or another machine's."""
    from ipaddress import ip_address

    from ...dialects.ir.diagnostics import LlmcError

    host, _, port = text.rpartition(":")
    host = host.strip("[]") or "127.0.0.1"
    try:
        local = host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        local = False
    if not local or not port.isdigit() or int(port) > 65535:
        raise LlmcError(
            "LLMC0271",
            f"--tcp {text} is no port of this machine",
            "--tcp",
            why="the server reads what it is told and has no password, so it listens to this machine alone",
            fix="write 127.0.0.1:PORT",
        )
    return host, int(port)


@interruptible
def main(argv: Sequence[str] | None = None) -> int:
    """Run the server until its client leaves; returns the exit code."""
    arguments = parser().parse_args(argv)
    from ..commandline.command import guarded

    return guarded(lambda: run(arguments), debug=arguments.debug)


def run(arguments: argparse.Namespace) -> int:
    from importlib.util import find_spec

    from ...dialects.ir.diagnostics import LlmcError

    tcp = address(arguments.tcp) if arguments.tcp is not None else None
    if find_spec("pygls") is None:
        raise LlmcError(
            "LLMC0270", "llmc-lsp needs pygls, which is not installed", "import pygls", fix="pip install 'llmc[editor]'"
        )
    import gc

    from ..lsp.server import serve

    gc.enable()  # a server does not end soon
    gc.set_threshold(100_000, 20, 100)
    return serve(tcp, arguments.load_pass_plugin, arguments.debug)


if __name__ == "__main__":
    sys.exit(main())
