"""`--check-numerics`: the connection between the flags and `compiler/numerics`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ....dialects.ir.diagnostics import LlmcError
from ....passes.framework.instrument import Instrument
from ....passes.framework.registry import Registry
from ....runtime.weights import Weights
from ...files import make_folder
from ...numerics import NumericsOptions
from ...numerics.instrument import NumericsCheck
from .base import CommandInstrument

DEFAULTS = {"seed": NumericsOptions.seed, "tolerance": NumericsOptions.tolerance}


class CheckNumerics(NumericsCheck, CommandInstrument):
    """Says at the end, on stderr, what was compared."""

    def finish(self) -> None:
        if self.summary.outcomes:
            print("\n".join(self.summary.lines()), file=sys.stderr)


def from_arguments(arguments: argparse.Namespace, registry: Registry) -> list[CommandInstrument]:
    if not arguments.check_numerics:
        return []
    dump = Path(arguments.check_numerics_dump) if arguments.check_numerics_dump is not None else None
    if dump is not None:
        make_folder(dump)
    plugins = [f"--load-pass-plugin={Path(p).resolve()}" for p in arguments.load_pass_plugin]
    prints = hasattr(arguments, "mlir_print_ir_before")
    return [CheckNumerics(options_of(arguments, registry), dump, words=[*plugins, *words_of(arguments)], prints=prints)]


def options_of(arguments: argparse.Namespace, registry: Registry) -> NumericsOptions:
    """What modules are compared with."""
    weights = Weights(arguments.check_numerics_weights) if arguments.check_numerics_weights is not None else {}
    return NumericsOptions(
        arguments.check_numerics_seed,
        parse_sizes(arguments.check_numerics_sizes),
        read_inputs(arguments.check_numerics_inputs),
        weights,
        arguments.check_numerics_tolerance,
        registry,
    )


def checks_of(arguments: argparse.Namespace, registry: Registry) -> Callable[[], Sequence[Instrument]]:
    """What makes the same comparison again for each run of a pipeline: nothing without `--check-numerics`."""
    if not arguments.check_numerics:
        return tuple
    options = options_of(arguments, registry)
    return lambda: [NumericsCheck(options)]


def words_of(arguments: argparse.Namespace) -> list[str]:
    """The flags that say the same, but for the dump; files get absolute paths."""
    if not arguments.check_numerics:
        return []
    words = ["--check-numerics"]
    for name in ("seed", "sizes", "tolerance"):
        value = getattr(arguments, f"check_numerics_{name}")
        if value not in (None, DEFAULTS.get(name)):
            words.append(f"--check-numerics-{name}={value}")
    for name in ("inputs", "weights"):
        value = getattr(arguments, f"check_numerics_{name}")
        if value is not None:
            words.append(f"--check-numerics-{name}={Path(value).resolve()}")
    return words


def parse_sizes(text: str | None) -> dict[str, int]:
    """`T=5,B=2`; LLMC0264 for anything else."""
    sizes: dict[str, int] = {}
    for part in text.split(",") if text else []:
        name, _, value = part.strip().partition("=")
        if not name.isidentifier() or not value.isdigit() or int(value) < 1:
            raise LlmcError(
                "LLMC0264",
                f"{part.strip()!r} is no size",
                "--check-numerics-sizes",
                fix="write names and positive numbers: --check-numerics-sizes T=5,B=2",
            )
        sizes[name] = int(value)
    return sizes


def read_inputs(path: str | None) -> dict[str, np.ndarray[Any, Any]]:
    """The arrays of a .npz file by name; LLMC0264 for a file that is none."""
    if path is None:
        return {}
    try:
        with np.load(path, allow_pickle=False) as found:
            return {name.removeprefix("arr_"): found[name] for name in found.files}
    except (OSError, ValueError, AttributeError) as error:
        raise LlmcError(
            "LLMC0264",
            f"{path} can't be read as arrays",
            "--check-numerics-inputs",
            why=str(error),
            fix="write it with numpy.savez(path, ids=…)",
        ) from error
