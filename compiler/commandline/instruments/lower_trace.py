"""`--lower-trace`: the trace of `compiler/trace` on llmc-opt."""

from __future__ import annotations

import argparse
from pathlib import Path

from ....dialects.ir.diagnostics import LlmcError
from .base import CommandInstrument


def from_arguments(arguments: argparse.Namespace) -> list[CommandInstrument]:
    if arguments.lower_trace is None:
        return []
    if arguments.split_input_file:
        raise LlmcError(
            "LLMC0253",
            "--lower-trace follows one module, --split-input-file runs several",
            "the arguments",
            fix="trace the part of the file that matters, in a file of its own",
        )
    from ...trace import LowerTrace

    class CommandTrace(LowerTrace, CommandInstrument):
        """The trace as an instrument of a command."""

    return [CommandTrace(Path(arguments.lower_trace))]
