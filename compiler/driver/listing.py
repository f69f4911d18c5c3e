"""`llmc-opt --list-passes`: every pass with its summary and options."""

from __future__ import annotations

from dataclasses import MISSING, fields

from ...passes.framework.registry import FOLDERS, list_passes


def print_passes() -> None:
    """One paragraph a pass, grouped by phase."""
    passes = list_passes()
    for folder in FOLDERS:
        here = {n: c for n, c in passes.items() if f".passes.{folder}." in c.__module__}
        if not here:
            continue
        print(f"{folder}:")
        for name, cls in here.items():
            summary = (cls.__doc__ or "").strip().split("\n", 1)[0]
            print(f"  {name:28s} {summary}")
            for f in fields(cls):
                default = "" if f.default is MISSING else f" (default {f.default})"
                print(f"      --{f.name.replace('_', '-')}: {f.type}{default}")
