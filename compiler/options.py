"""What `llmc.load` and `llmc.compile` may be told: everything else is refused before anything is read or captured."""

from __future__ import annotations

import keyword
import os
import re
from collections.abc import Mapping
from pathlib import Path
from types import NoneType
from typing import Any, NoReturn

from ..dialects.ir.diagnostics import LlmcError
from ..passes.nn.choose_precision import SCHEMES
from .build import Settings
from .phases import CompileOptions
from .request import article, shown

DEVICES = ("auto", "cuda", "emulator", "reference")
DTYPES = ("float32", "float16", "bfloat16")
LARGEST_COUNT = (1 << 24) - 1
LARGEST_SIZE = (1 << 31) - 1
SIZE_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")

# an argument → its types, and what to give
ARGUMENTS: Mapping[str, tuple[tuple[type[Any], ...], str]] = {
    "path": ((str, os.PathLike), "a path, as a str or a pathlib.Path"),
    "device": ((str, NoneType), f"one of {', '.join(DEVICES)}, as a str"),
    "quant": ((str,), f"one of {', '.join(SCHEMES)}, as a str"),
    "dtype": ((str, NoneType), f"one of {', '.join(DTYPES)}, as a str, or None"),
    "max_sequences": ((int,), f"an integer from 1 to {LARGEST_COUNT}"),
    "max_context": ((int, NoneType), f"an integer from 1 to {LARGEST_COUNT}, or None"),
    "settings": ((Settings, NoneType), "a Settings of llmc.compiler.build, or None"),
    "random_weights": ((Mapping, NoneType), "a dict from names of tensors to arrays, or None"),
    "strict": ((bool,), "True or False"),
    "dynamic": ((Mapping, NoneType), "a dict such as {0: {0: 'N'}}, or None"),
    "max_sizes": ((Mapping, NoneType), "a dict such as {'N': 64}, or None"),
}


def check_arguments(**given: object) -> None:
    """Raise LLMC0278 for an argument of a type that it can't have."""
    for name, value in given.items():
        _check_type(name, name, value, *ARGUMENTS[name])


def _check_type(argument: str, what: str, value: object, types: tuple[type[Any], ...], wanted: str) -> None:
    if not isinstance(value, types) or (isinstance(value, bool) and bool not in types):
        kind = "None" if value is None else article(type(value).__name__)
        _refuse(f"{what} is {kind}", argument, f"give {wanted}")


def check_sizes(dynamic: Mapping[Any, Any], max_sizes: Mapping[Any, Any]) -> None:
    """Raise LLMC0278 for what does not map places or names of arguments to dimensions, these to names, and names to bounds."""
    for place, axes in dynamic.items():
        _check_type("dynamic", "a key of dynamic", place, (int, str), "the place or the name of an argument")
        entry = f"dynamic[{place!r}]"
        _check_type("dynamic", entry, axes, (Mapping,), "a dict from dimensions to names, such as {0: 'N'}")
        for axis, name in axes.items():
            _check_type("dynamic", f"a key of {entry}", axis, (int,), "the number of a dimension")
            _check_type("dynamic", f"{entry}[{axis}]", name, (str,), "a name, such as 'N'")
            if not SIZE_NAME.fullmatch(name) or keyword.iskeyword(name):
                fix = "give letters, digits and _, a letter first, and no keyword of Python"
                _refuse(f"{entry}[{axis}] = {shown(name)} can't name a size", "dynamic", fix)
    for name, bound in max_sizes.items():
        wanted = f"an integer from 2 to {LARGEST_SIZE}"
        _check_type("max_sizes", f"max_sizes[{name!r}]", bound, (int,), wanted)
        if not 2 <= bound <= LARGEST_SIZE:
            _refuse(f"max_sizes[{name!r}] = {bound} is out of range", "max_sizes", f"give {wanted}")


def _refuse(what: str, argument: str, fix: str) -> NoReturn:
    raise LlmcError("LLMC0278", what, f"the argument {argument}", fix=fix)


def check_place(place: Path, fix: str = "give a Hugging Face checkpoint or what llmc build wrote") -> None:
    """Raise LLMC0233 where there is no directory to load."""
    if not os.path.isdir(place):  # Path.is_dir raises for a name that is too long
        raise LlmcError("LLMC0233", f"{place} is no directory", str(place), fix=fix)


def check_options(quant: str, dtype: str | None, max_sequences: int, max_context: int | None) -> None:
    """Raise for what no model can be compiled with, before minutes of work: LLMC0420, LLMC0313, LLMC0234."""
    check_scheme(quant)
    if dtype not in (None, *DTYPES):
        raise LlmcError(
            "LLMC0313", f"a model cannot be computed in {dtype!r}", "the option dtype", fix=f"use {', '.join(DTYPES)}"
        )
    for name, value in (("max_sequences", max_sequences), ("max_context", 1 if max_context is None else max_context)):
        if not 1 <= value <= LARGEST_COUNT:
            fix = f"give an integer from 1 to {LARGEST_COUNT}"
            raise LlmcError("LLMC0234", f"{name} = {value} is out of range", f"the option {name}", fix=fix)


def check_scheme(quant: str) -> None:
    """Raise LLMC0420 for a name that is no weight scheme's."""
    if quant not in SCHEMES:
        raise LlmcError(
            "LLMC0420", f"unknown weight scheme '{quant}'", "the option quant", fix=f"schemes are {', '.join(SCHEMES)}"
        )


def check_fixed(
    options: CompileOptions, place: Path, quant: str, dtype: str | None, max_sequences: int, max_context: int | None
) -> None:
    """Raise LLMC0226 when an artefact is asked to be what it was not built as."""
    asked = (
        ("quant", quant, "none", options.scheme),
        ("dtype", dtype, None, None),
        ("max_sequences", max_sequences, 1, options.max_sequences),
        ("max_context", max_context, None, options.max_context),
    )
    for name, wanted, default, built in asked:
        if wanted != default and wanted != built:
            why = f"it was built with {built}" if built is not None else "it is fixed when the artefact is built"
            raise LlmcError(
                "LLMC0226", f"{place} can't be run with {name} = {wanted}", str(place), why=why, fix="build another artefact"
            )


def checked_device(kind: str) -> str:
    """A device's name; LLMC0232 for one that is none."""
    if kind not in DEVICES:
        raise LlmcError(
            "LLMC0232", f"no device is called '{kind}'", "the option device", fix=f"devices are {', '.join(DEVICES)}"
        )
    return kind
