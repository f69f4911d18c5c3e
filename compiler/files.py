"""Files and standard output read and written whole. Imports nothing slow: `--help` and `--version` write, and answer at once."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..dialects.ir.diagnostics import LlmcError


def read_text(path: str) -> str:
    """The text of a file, or of standard input for `-`. Raises LLMC0003 when it can't be read as UTF-8."""
    from ..dialects.ir.diagnostics import LlmcError

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


def unwritable(path: str, error: OSError) -> LlmcError:
    """LLMC0005, for what could not be written."""
    from ..dialects.ir.diagnostics import LlmcError

    fix = "choose a place with room and permission"
    return LlmcError("LLMC0005", f"can't write {path}", path, why=error.strerror or str(error), fix=fix)
