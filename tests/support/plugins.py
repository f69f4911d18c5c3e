"""Plugins for tests: files, and installed distributions that are nothing but metadata on a path."""

from __future__ import annotations

from pathlib import Path

EXAMPLES = Path(__file__).parents[2] / "examples" / "plugin"


def install(directory: Path, name: str, group: str, entries: dict[str, str]) -> None:
    """Write the metadata of a distribution with entry points into a folder; with the folder on `sys.path` it is installed."""
    info = directory / f"{name}-1.0.dist-info"
    info.mkdir(parents=True, exist_ok=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    lines = [f"[{group}]", *(f"{key} = {value}" for key, value in entries.items())]
    (info / "entry_points.txt").write_text("\n".join(lines) + "\n")
