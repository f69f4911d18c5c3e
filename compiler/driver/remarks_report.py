"""`--remarks`: the remarks of a compilation, to stderr for people and to a YAML file for tools."""

from __future__ import annotations

import argparse
import sys

from ...passes.framework.remarks import Remarks, Selection, grouped, to_yaml
from ..files import write_text


def remarks_wanted(arguments: argparse.Namespace) -> Selection | None:
    """What the flags ask for; None for no remarks. Raises LLMC0238 for unknown words."""
    categories = arguments.remarks
    if categories is None and (arguments.remarks_filter is not None or arguments.remarks_output is not None):
        categories = "all"
    return Selection.parse(categories, arguments.remarks_filter)


def report_remarks(remarks: Remarks, arguments: argparse.Namespace) -> None:
    """Print the remarks asked for: those that differ in their layer alone as one, unless they go to a file."""
    selection = remarks_wanted(arguments)
    if selection is None:
        return
    chosen = remarks.select(selection)
    if arguments.remarks_output is not None:
        write_text(arguments.remarks_output, to_yaml(chosen))
        return
    for first, *others in grouped(chosen):
        print(first.render(others), file=sys.stderr)
