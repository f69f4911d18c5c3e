"""Every environment variable that llmc reads, in one place; the rest of the code gets values, never the environment."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Knobs:
    """Settings of one process.

    cache_dir: where cubins and tuned tables are kept (LLMC_CACHE_DIR; default ~/.cache/llmc)
    device: auto, cuda, emulator or reference (LLMC_DEVICE)
    ptxas: path of ptxas when the search should not decide (LLMC_PTXAS)
    cuda_home: root of a CUDA toolkit (CUDA_HOME or CUDA_PATH)
    path: where programs are looked for (PATH)
    no_color: never colour (NO_COLOR, whatever its value); clicolor: colour on terminals (CLICOLOR other than 0);
    clicolor_force: colour everywhere (CLICOLOR_FORCE other than 0)
    """

    cache_dir: Path = field(default_factory=lambda: Path.home() / ".cache" / "llmc")
    device: str = "auto"
    ptxas: Path | None = None
    cuda_home: Path | None = None
    path: str = ""
    no_color: bool = False
    clicolor: bool = True
    clicolor_force: bool = False


# field → (variables, how to read the text, what it does); `llmc --help` and docs/flags.md print this table
VARIABLES: dict[str, tuple[tuple[str, ...], Callable[[str], object], str]] = {
    "cache_dir": (("LLMC_CACHE_DIR",), Path, "where assembled kernels are kept between runs"),
    "device": (("LLMC_DEVICE",), str, "the device when a command does not name one"),
    "ptxas": (("LLMC_PTXAS",), Path, "the ptxas to use"),
    "cuda_home": (("CUDA_HOME", "CUDA_PATH"), Path, "where to look for a CUDA toolkit"),
    "path": (("PATH",), str, "where to look for ptxas at last"),
    "no_color": (("NO_COLOR",), bool, "whatever its value: no colour"),
    "clicolor": (("CLICOLOR",), lambda text: text != "0", "0: no colour"),
    "clicolor_force": (("CLICOLOR_FORCE",), lambda text: text != "0", "other than 0: colour also where output is no terminal"),
}


def read_knobs(environment: Mapping[str, str] | None = None) -> Knobs:
    """The knobs as the environment sets them."""
    source = os.environ if environment is None else environment
    values: dict[str, object] = {}
    for name, (variables, convert, _) in VARIABLES.items():
        for variable in variables:
            if source.get(variable):
                values[name] = convert(source[variable])
                break
    return Knobs(**values)  # pyright: ignore[reportArgumentType]
