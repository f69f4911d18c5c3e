"""The headings of reports, as mlir-opt has them."""

from __future__ import annotations

WIDTH = 80


def heading(title: str) -> list[str]:
    line = f"===-{'-' * (WIDTH - 8)}-==="
    return [line, f"... {title} ...".center(WIDTH).rstrip(), line]
