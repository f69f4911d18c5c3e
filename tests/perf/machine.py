"""What a measurement was made with."""

from __future__ import annotations

import subprocess


def commit() -> str:
    """The state of the tree, `-dirty` where files differ from it; `unknown` where git cannot say."""
    try:
        return subprocess.run(
            ["git", "describe", "--always", "--dirty", "--exclude=*"], capture_output=True, text=True, check=True
        ).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
