"""Flags of a command, as argparse has them."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from typing import Any


def flag_rows(parser: argparse.ArgumentParser) -> Iterator[str]:
    yield "| flag | |"
    yield "|---|---|"
    for action in parser._actions:  # pyright: ignore[reportPrivateUsage]
        if isinstance(action, argparse._HelpAction | argparse._SubParsersAction):  # pyright: ignore[reportPrivateUsage]
            continue
        names = ", ".join(f"`{name}`" for name in spellings(action))
        text = help_text(action).replace("|", "\\|")
        yield f"| {names} | {text} |".replace("|sm", "\\|sm")


def spellings(action: argparse.Action) -> list[str]:
    """How an argument is written, with what it takes: `-o OUT`, `--output OUT`; the name of a positional one."""
    metavar = " ".join(action.metavar) if isinstance(action.metavar, tuple) else action.metavar
    value = metavar or ("|".join(map(str, action.choices)) if action.choices else action.dest.upper())
    takes = "" if action.nargs == 0 or isinstance(action, argparse.BooleanOptionalAction) else f" {value}"
    takes = f"[{value}]" if action.nargs == "?" else takes
    return [f"{option}{takes}" for option in action.option_strings] or [metavar or action.dest]


def help_text(action: argparse.Action) -> str:
    """What an argument does, in the words of `--help`."""
    return (action.help or "").replace("%(default)s", str(action.default)).replace("%%", "%")


def subparsers(parser: argparse.ArgumentParser) -> dict[str, Any]:
    for action in parser._actions:  # pyright: ignore[reportPrivateUsage]
        if isinstance(action, argparse._SubParsersAction):  # pyright: ignore[reportPrivateUsage]
            return dict(action.choices)  # pyright: ignore
    return {}
