"""A function in a child process that may die: what it gives, or how the process ended."""

from __future__ import annotations

import faulthandler
import os
import pickle
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from ..dialects.ir.diagnostics import LlmcError

ENDED = "LLMC0277"
T = TypeVar("T")


@dataclass(frozen=True)
class Ended:
    """A process that ended by itself: by a signal, or with an exit status."""

    status: int

    def error(self, what: str) -> LlmcError:
        """LLMC0277: `what` ended the process."""
        if os.WIFSIGNALED(self.status):
            how = signal.Signals(os.WTERMSIG(self.status)).name
        else:
            how = f"exit status {os.waitstatus_to_exitcode(self.status)}"
        return LlmcError(
            ENDED, f"{what} ended the process: {how}", what, why="native code of a pass or a library crashed, or a pass exited",
            fix="run the one pass in a debugger, or with python -X faulthandler",
        )  # fmt: skip


class NoChild(Exception):
    """The system makes no further process, for want of memory say."""


def in_process(run: Callable[[Callable[[Any], None]], T], told: Callable[[Any], None]) -> T | Ended:
    """`run(tell)` in a child process. What it tells comes to `told` as it runs, however the process ends; an `LlmcError` is raised here.

    Everything that is told or given must be picklable; ops in errors become text. Raises NoChild where there can be none.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    read, write = os.pipe()
    try:
        pid = os.fork()
    except OSError as error:
        os.close(read)
        os.close(write)
        raise NoChild from error
    if pid == 0:
        os.close(read)
        _child(run, os.fdopen(write, "wb"))
    os.close(write)
    outcome: tuple[str, Any] | None = None
    with os.fdopen(read, "rb") as pipe:
        while True:
            try:
                kind, value = pickle.load(pipe)
            except (EOFError, pickle.UnpicklingError):
                break
            if kind == "told":
                told(value)
            else:
                outcome = (kind, value)
    _, status = os.waitpid(pid, 0)
    if outcome is None:
        return Ended(status)
    kind, value = outcome
    if kind == "raised":
        raise value
    return value


def _child(run: Callable[[Callable[[Any], None]], Any], pipe: Any) -> None:
    """Never returns: nothing that the parent registered for its end happens here."""

    def send(kind: str, value: Any) -> None:
        pickle.dump((kind, value), pipe)
        pipe.flush()

    faulthandler.disable()  # the parent says what happened
    try:
        send("gave", run(lambda value: send("told", value)))
    except LlmcError as error:
        send("raised", error)
    except BaseException:
        os._exit(1)
    os._exit(0)
