"""argparse with errors of the same form as all others. Imports nothing slow, so that `--help` answers at once."""

from __future__ import annotations

import argparse
import math
import sys
from typing import Any, NoReturn

from ... import __version__


def load_plugins(p: argparse._ActionsContainer) -> None:  # pyright: ignore[reportPrivateUsage]
    """The flag that loads plugins; every command that runs passes has it."""
    p.add_argument(
        "--load-pass-plugin",
        action="append",
        default=[],
        metavar="FILE.py",
        help="load the passes, pipelines, dialects, targets and schedules of a Python file (docs/extending.md); may be repeated",
    )


def version(p: argparse.ArgumentParser) -> None:
    """The flag that tells the version; every command has it."""
    p.add_argument("--version", action="version", version=f"%(prog)s {__version__}", help="print the version and end")


def count(text: str) -> int:
    """The value of a flag that is 0 or more."""
    return _bounded(text, 0, "an integer of 0 or more")


def count_or_all(text: str) -> int:
    """The value of a flag that is 0 or more, or -1: all."""
    return _bounded(text, -1, "an integer of 0 or more, or -1 for all")


def _bounded(text: str, least: int, wanted: str) -> int:
    try:
        value = int(text)
    except ValueError:
        value = least - 1
    if value < least:
        raise argparse.ArgumentTypeError(f"expected {wanted}, not '{text}'")
    return value


def amount(text: str) -> float:
    """The value of a flag that is a finite number of 0 or more."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not (math.isfinite(value) and value >= 0):
        raise argparse.ArgumentTypeError(f"expected a finite number of 0 or more, not '{text}'")
    return value


class Once(argparse.Action):
    """The value of a flag that is refused when it is given again, rather than taken for the first."""

    def __call__(
        self, parser: argparse.ArgumentParser, namespace: argparse.Namespace, values: Any, option: str | None = None
    ) -> None:
        if getattr(namespace, self.dest) is not None:
            parser.error(f"{option} is given twice")
        setattr(namespace, self.dest, values)


class AsksForNumerics(argparse.Action):
    """The value of a flag that says how `--check-numerics` works, and so asks for it."""

    def __call__(
        self, parser: argparse.ArgumentParser, namespace: argparse.Namespace, values: Any, option: str | None = None
    ) -> None:
        setattr(namespace, self.dest, values)
        namespace.check_numerics = True


class Parser(argparse.ArgumentParser):
    """A parser that prints an `LlmcError` and exits with 1 where argparse prints the usage and exits with 2."""

    def error(self, message: str, fix: str | None = None) -> NoReturn:
        from ...dialects.ir.diagnostics import LlmcError

        error = LlmcError("LLMC0239", message, f"the arguments of {self.prog}", fix=fix or f"see {self.prog} --help")
        self.exit(1, error.render() + "\n")

    def _print_message(self, message: str, file: Any = None) -> None:
        """Print help or a version and see that it arrives, which argparse does not; None is a standard output that is closed."""
        if file is sys.stderr:
            return super()._print_message(message, file)
        from .standard_output import Output

        output = Output(file)
        try:
            output.write(message)
            output.flush()
        except BrokenPipeError:
            self.exit(0)
        except Exception as error:  # an LlmcError, whose class is slow to import
            self.exit(1, f"{error}\n")


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


def add_numerics_flags(p: argparse._ActionsContainer) -> None:  # pyright: ignore[reportPrivateUsage] as above
    """The flags of `--check-numerics`."""
    p.add_argument(
        "--check-numerics", action="store_true",
        help="run the module before and after each pass on the same inputs, and stop at the first that changes the numbers; "
        "each flag below asks for it too",
    )  # fmt: skip
    p.add_argument(
        "--check-numerics-seed",
        action=AsksForNumerics,
        type=count,
        default=0,
        metavar="N",
        help="of the random inputs and weights (default 0)",
    )
    p.add_argument(
        "--check-numerics-inputs",
        action=AsksForNumerics,
        default=None,
        metavar="FILE.npz",
        help="arrays by argument name or index, instead of random ones",
    )
    p.add_argument(
        "--check-numerics-sizes",
        action=AsksForNumerics,
        default=None,
        metavar="T=5,B=2",
        help="values of size names (default: small ones)",
    )
    p.add_argument(
        "--check-numerics-tolerance", action=AsksForNumerics, type=amount, default=4.0, metavar="R",
        help="by how much the error after a pass may exceed the error before, both against an f64 run (default 4)",
    )  # fmt: skip
    p.add_argument(
        "--check-numerics-weights",
        action=AsksForNumerics,
        default=None,
        metavar="DIR",
        help="weights from this checkpoint instead of random ones",
    )
    p.add_argument(
        "--check-numerics-dump",
        action=AsksForNumerics,
        default=None,
        metavar="DIR",
        help="write the module before and after each pass that was compared",
    )
