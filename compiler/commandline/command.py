"""What commands share: errors as one paragraph and exit code 1, and an end that unwinds."""

from __future__ import annotations

import atexit
import faulthandler
import gc
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Generator
from contextlib import contextmanager

from ...dialects.ir.diagnostics import LlmcError
from .error_text import ErrorStyle
from .standard_output import standard_output

RECURSION = 20_000  # regions nest; xDSL's parser, verifier and printer recurse
atexit.register(gc.freeze)  # or the interpreter's last collection walks the whole IR, a second for a model's


def guarded(body: Callable[[], int], debug: bool = False, style: ErrorStyle | None = None) -> int:
    """Run a command's body. An `LlmcError` is printed to stderr in `style` and gives 1; with `debug` it is raised.

    What is no `LlmcError` is a mistake of llmc, and said to be one. SIGTERM unwinds, so that temporary files are removed.
    """
    style = style or ErrorStyle()
    if not faulthandler.is_enabled() and sys.__stderr__ is not None:
        faulthandler.enable(sys.__stderr__)  # a crash of native code says in which line of Python it was
    limit, collecting = sys.getrecursionlimit(), gc.isenabled()
    sys.setrecursionlimit(RECURSION)
    gc.disable()  # construction and cloning of IR are twice as fast; a command ends soon
    try:
        with _terminated(), standard_output():
            return body()
    except LlmcError as error:
        if debug:
            raise
        print(style.render(error), file=sys.stderr)
        return 1
    except BrokenPipeError:
        return 0
    except MemoryError:
        if debug:
            raise
        error = LlmcError(
            "LLMC0002", "out of host memory", "the command", fix="use a smaller model, or a machine with more memory"
        )
        print(style.render(error), file=sys.stderr)
        return 1
    except Exception as error:
        if debug:
            raise
        print(style.render(unforeseen(error)), file=sys.stderr)
        return 1
    finally:
        sys.setrecursionlimit(limit)
        if collecting:
            gc.enable()


def unforeseen(error: Exception) -> LlmcError:
    """An exception that nothing in llmc explains, as an error that says so."""
    frame = traceback.extract_tb(error.__traceback__)[-1]
    text = f"{type(error).__name__}: {error}".strip().split("\n", 1)[0][:300]
    fix = "this is a mistake in llmc; please report it with what --debug shows"
    return LlmcError(
        "LLMC0004", "llmc met something that it does not expect", f"{frame.filename}:{frame.lineno}", why=text, fix=fix
    )


class Terminated(BaseException):
    """SIGTERM: no SystemExit, which would be a pass's own."""


@contextmanager
def _terminated() -> Generator[None]:
    """SIGTERM unwinds and ends the process with 143, where signals can be handled."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def leave(number: int, frame: object) -> None:
        raise Terminated

    before = signal.signal(signal.SIGTERM, leave)
    try:
        yield
    except Terminated:
        raise SystemExit(128 + signal.SIGTERM) from None
    finally:
        signal.signal(signal.SIGTERM, before)
