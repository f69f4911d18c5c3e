"""Standard output that can't be written: closed by the shell, or on a full disk."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Generator
from contextlib import contextmanager, suppress
from typing import Any, TextIO, cast

from ..files import unwritable


class Output:
    """Standard output, or none where the shell closed it, whose errors are LLMC0005."""

    def __init__(self, stream: TextIO | None) -> None:
        self.stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream or sys.__stderr__, name)

    def isatty(self) -> bool:
        return self.stream is not None and self.stream.isatty()

    def write(self, text: str) -> int:
        if self.stream is None:
            if text:
                raise unwritable("standard output", OSError(errno.EBADF, "it is closed"))
            return 0
        with self.refusing(self.stream):
            return self.stream.write(text)

    def flush(self) -> None:
        if self.stream is not None and not self.stream.closed:
            with self.refusing(self.stream):
                self.stream.flush()

    @contextmanager
    def refusing(self, stream: TextIO) -> Generator[None]:
        try:
            yield
        except OSError as error:
            with suppress(OSError, ValueError):  # or Python complains when it ends; it may be no file
                os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
            raise error if isinstance(error, BrokenPipeError) else unwritable("standard output", error) from None


@contextmanager
def standard_output() -> Generator[None]:
    """What goes to standard output is there at the end, or LLMC0005 is raised."""
    before, output = sys.stdout, Output(sys.stdout)
    if sys.stderr is None:  # or `print` takes standard output for it
        sys.stderr = open(os.devnull, "w")  # noqa: SIM115 for as long as the process lasts
    sys.stdout = cast(TextIO, output)
    try:
        yield
        output.flush()
    finally:
        sys.stdout = before
