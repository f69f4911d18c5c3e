"""argparse with errors of the same form as all others. Imports nothing else, so that `--help` answers at once."""

from __future__ import annotations

import argparse
from typing import NoReturn


def load_plugins(p: argparse._ActionsContainer) -> None:  # pyright: ignore[reportPrivateUsage]
    """The flag that loads plugins; every command that runs passes has it."""
    p.add_argument(
        "--load-pass-plugin",
        action="append",
        default=[],
        metavar="FILE.py",
        help="load the passes, pipelines, dialects, targets and schedules of a Python file (docs/extending.md); may be repeated",
    )


class Parser(argparse.ArgumentParser):
    """A parser that prints an `LlmcError` and exits with 1 where argparse prints the usage and exits with 2."""

    def error(self, message: str) -> NoReturn:
        from ...dialects.ir.diagnostics import LlmcError

        error = LlmcError("LLMC0239", message, f"the arguments of {self.prog}", fix=f"see {self.prog} --help")
        self.exit(1, error.render() + "\n")


def add_remark_flags(p: argparse._ActionsContainer) -> None:  # pyright: ignore[reportPrivateUsage] groups and parsers have no other base
    """The flags that say which remarks are told, and where."""
    p.add_argument(
        "--remarks", default=None, metavar="CATEGORY[,…]",
        help="tell remarks of these categories (fusion, quantisation, layout, schedule, occupancy, roofline, …, all), to stderr",
    )  # fmt: skip
    p.add_argument("--remarks-filter", default=None, metavar="KIND[,…]", help="of these kinds only: passed, missed, analysis")
    p.add_argument(
        "--remarks-output", default=None, metavar="FILE", help="write them as YAML (LLVM's optimisation records) instead"
    )
