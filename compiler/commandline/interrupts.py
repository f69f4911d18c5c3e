"""Ctrl-C, from a command's first words on: its modules are imported as it goes, and that takes as long as much of its work."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from functools import wraps


def interruptible(main: Callable[[Sequence[str] | None], int]) -> Callable[..., int]:
    """A command's `main` that ends with one word and 130 when it is interrupted."""

    @wraps(main)
    def quietly(argv: Sequence[str] | None = None) -> int:
        try:
            return main(argv)
        except KeyboardInterrupt:
            print("interrupted", file=sys.stderr)
            return 130

    return quietly
