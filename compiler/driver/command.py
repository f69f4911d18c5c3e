"""What both commands share: errors as one paragraph and exit code 1, reading and writing files whole."""

from __future__ import annotations

import gc
import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from ...dialects.ir.diagnostics import LlmcError

RECURSION = 20_000  # regions nest; xDSL's parser, verifier and printer recurse


def guarded(body: Callable[[], int], debug: bool = False) -> int:
    """Run a command's body. An `LlmcError` is printed to stderr and gives 1; with `debug` it is raised."""
    sys.setrecursionlimit(RECURSION)
    gc.disable()  # construction and cloning of IR are twice as fast; a command ends soon
    try:
        return body()
    except LlmcError as error:
        if debug:
            raise
        print(error.render(), file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except MemoryError:
        print("error[LLMC0002]: out of host memory", file=sys.stderr)
        return 1


def read_text(path: str) -> str:
    """The text of a file, or of standard input for `-`. Raises LLMC0003 when it can't be read as UTF-8."""
    try:
        return sys.stdin.read() if path == "-" else Path(path).read_text(encoding="utf-8")
    except OSError as error:
        raise LlmcError("LLMC0003", f"can't read {path}: {error.strerror}", path) from None
    except UnicodeDecodeError:
        raise LlmcError("LLMC0003", f"{path} is no UTF-8 text", path) from None


def write_text(path: str, text: str) -> None:
    """Write a file whole (through a temporary one beside it) or standard output for `-`."""
    if path == "-":
        sys.stdout.write(text)
        sys.stdout.flush()
        return
    target = Path(path)
    try:
        with tempfile.NamedTemporaryFile("w", dir=target.parent, delete=False, encoding="utf-8") as file:
            file.write(text)
        os.replace(file.name, target)
    except OSError as error:
        raise LlmcError("LLMC0003", f"can't write {path}: {error.strerror}", path) from None
