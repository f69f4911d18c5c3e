"""What both commands share: errors as one paragraph and exit code 1, reading and writing files whole."""

from __future__ import annotations

import atexit
import faulthandler
import gc
import os
import shutil
import signal
import sys
import tempfile
import threading
import traceback
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from pathlib import Path

from ...dialects.ir.diagnostics import LlmcError
from .error_text import ErrorStyle
from .standard_output import standard_output, unwritable

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


def read_text(path: str) -> str:
    """The text of a file, or of standard input for `-`. Raises LLMC0003 when it can't be read as UTF-8."""
    fix = "check the path" if path != "-" else "give UTF-8 text"
    try:
        text = sys.stdin.read() if path == "-" else Path(path).read_text(encoding="utf-8")
        return text.removeprefix("\ufeff")
    except OSError as error:
        raise LlmcError("LLMC0003", f"can't read {path}", path, why=error.strerror or str(error), fix=fix) from None
    except ValueError as error:
        name = "standard input" if path == "-" else path
        raise LlmcError(
            "LLMC0003", f"can't read {name}: it is no UTF-8 text", name, why=str(error), fix="give a text file"
        ) from None


def write_text(path: str, text: str) -> None:
    """Write a file whole (through a temporary one beside it) or standard output for `-`; a device or a pipe, such as /dev/null, is
    written into and never replaced. Raises LLMC0005 when that fails."""
    if path == "-":
        sys.stdout.write(text)
        sys.stdout.flush()
        return
    target = Path(path)
    temporary: Path | None = None
    try:
        if target.exists() and not target.is_file():
            target.write_text(text, encoding="utf-8")  # a device or a pipe is written to, never replaced
            return
        target = target.resolve()  # what a link points to changes, the link stays
        with tempfile.NamedTemporaryFile(
            "w", dir=target.parent, prefix=f".{target.name}-", delete=False, encoding="utf-8"
        ) as file:
            temporary = Path(file.name)
            file.write(text)
        mask = os.umask(0)
        os.umask(mask)
        temporary.chmod(0o666 & ~mask)
        os.replace(temporary, target)
    except BaseException as error:
        if temporary is not None:
            temporary.unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise unwritable(path, error) from None
        raise


def make_folder(path: Path) -> None:
    """Make a folder, and those around it, unless it is there. Raises LLMC0005 when that fails."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise unwritable(str(path), error) from None


def write_files(folder: Path, texts: Mapping[str, str]) -> None:
    """Write files of these names and texts into a folder, which is made if need be: all of them or none. Raises LLMC0005 when that
    fails."""
    there = folder.exists()
    make_folder(folder)
    try:
        with tempfile.TemporaryDirectory(prefix=".writing-", dir=folder) as staging:
            for name, text in texts.items():
                (Path(staging) / name).write_text(text, encoding="utf-8")
            for name in texts:
                os.replace(Path(staging) / name, folder / name)
    except BaseException as error:
        if not there:
            shutil.rmtree(folder, ignore_errors=True)
        if isinstance(error, OSError):
            raise unwritable(str(folder), error) from None
        raise
