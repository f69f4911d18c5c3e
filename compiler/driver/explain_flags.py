"""`llmc explain` for the flags of the commands and for environment variables."""

from __future__ import annotations

import argparse
from collections.abc import Iterator

from ..commandline import llmc_arguments
from ..knobs import VARIABLES
from ..reduce import command as reduce
from ..reference.flags import help_text, spellings, subparsers
from . import lsp, opt


def flag_lines(word: str) -> list[str]:
    """What a flag does, by command; its dashes may be left out. Commands of which it says the same are named together."""
    found: dict[tuple[str, str], list[str]] = {}
    for command, parser in commands():
        for action in parser._actions:  # pyright: ignore[reportPrivateUsage]
            if any(word in (option, option.lstrip("-")) for option in action.option_strings):
                found.setdefault((", ".join(spellings(action)), help_text(action)), []).append(command)
    lines: list[str] = []
    for (names, text), where in found.items():
        lines += [*([""] if lines else []), f"flag {names} of {', '.join(where)}", "", f"  {text}"]
    return lines


def flag_names() -> list[str]:
    return [option for _, parser in commands() for a in parser._actions for option in a.option_strings]  # pyright: ignore


def variable_lines(word: str) -> list[str]:
    """What an environment variable does."""
    for variables, _, text in VARIABLES.values():
        if word in variables:
            others = [v for v in variables if v != word]
            return [f"environment variable {word}", "", f"  {text}", *([f"  {', '.join(others)} does too"] if others else [])]
    return []


def commands() -> Iterator[tuple[str, argparse.ArgumentParser]]:
    """Every command and its parser."""
    yield "llmc-opt", opt.parser()
    yield "llmc", llmc_arguments.parser()
    for name, parser in subparsers(llmc_arguments.parser()).items():
        yield f"llmc {name}", parser
    yield "llmc-reduce", reduce.parser()
    yield "llmc-lsp", lsp.parser()
