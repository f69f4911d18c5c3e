"""Instruments of the commands, one subject a file. Each file has `from_arguments`, which makes what the flags ask for; all output
goes to stderr or files, never to stdout."""

from __future__ import annotations

import argparse

from ....passes.framework.registry import Registry
from .base import CommandInstrument

__all__ = ["CommandInstrument", "make_instruments"]


def make_instruments(arguments: argparse.Namespace, registry: Registry) -> list[CommandInstrument]:
    """The instruments that a command's flags ask for, in the order in which they look at a pass."""
    from . import counting, lower_trace, printing, statistics

    sources = (printing, statistics, lower_trace, counting)
    found = [instrument for source in sources for instrument in source.from_arguments(arguments)]
    if arguments.check_numerics:  # after those that show the IR, since it stops; and it takes a while to import
        from . import numerics

        found += numerics.from_arguments(arguments, registry)
    return found
