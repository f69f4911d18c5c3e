"""`--lower-trace`: the trace of `compiler/trace` on llmc-opt."""

from __future__ import annotations

import argparse
from pathlib import Path

from .base import CommandInstrument


def from_arguments(arguments: argparse.Namespace) -> list[CommandInstrument]:
    if arguments.lower_trace is None:
        return []
    from ...trace import LowerTrace

    class CommandTrace(LowerTrace, CommandInstrument):
        """The trace as an instrument of a command."""

    return [CommandTrace(Path(arguments.lower_trace))]
