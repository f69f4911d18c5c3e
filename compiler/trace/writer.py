"""Writing a trace as it goes: numbered files of IR, and a page that a browser opens whatever moment the process ended at.

The page is only ever appended to. It begins with style and scripts; every later piece of data is a `<script>` of its own that holds
JSON. HTML needs no closing tags, and a browser takes no notice of a last piece that was cut off.
"""

from __future__ import annotations

import base64
import json
import os
import re
import shutil
import zlib
from html import escape
from importlib.resources import files
from pathlib import Path

from ...dialects.ir.diagnostics import LlmcError

PAGE = "index.html"
IR = "ir"
MARK = "<!-- llmc lower trace -->"
SCRIPTS = ("data.js", "diff.js", "syntax.js", "provenance.js", "passes.js", "panes.js", "details.js", "app.js")


def prepare(directory: Path) -> None:
    """Make the folder ready; an older trace in it goes. Raises LLMC0252 for a folder with anything else in it, LLMC0251 where
    nothing can be written."""
    page = directory / PAGE
    try:
        if directory.is_dir() and any(directory.iterdir()) and not _is_trace(page):
            raise LlmcError(
                "LLMC0252",
                f"{directory} holds something that is no trace",
                str(directory),
                why="a trace replaces what was there",
                fix="choose a new or an empty folder",
            )
        if (directory / IR).is_dir():
            shutil.rmtree(directory / IR)
        page.unlink(missing_ok=True)
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise refused(directory, error) from None


def _is_trace(page: Path) -> bool:
    if not page.is_file():
        return False
    with page.open("rb") as file:
        return MARK.encode() in file.read(200)


def refused(directory: Path, error: OSError) -> LlmcError:
    fix = "choose a folder with room and permission"
    return LlmcError(
        "LLMC0251", f"can't write the trace into {directory}", str(directory), why=error.strerror or str(error), fix=fix
    )


def page_head(title: str) -> str:
    """Everything of the page but its data."""
    folder = files(str(__package__)) / "page"
    style = (folder / "style.css").read_text(encoding="utf-8")
    body = (folder / "body.html").read_text(encoding="utf-8")
    scripts = "\n".join((folder / name).read_text(encoding="utf-8") for name in SCRIPTS)
    return (
        f"<!doctype html>\n{MARK}\n"
        '<html lang="en"><head><meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta http-equiv="Content-Security-Policy" '
        "content=\"default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:\">\n"
        f"<title>{escape(title)}</title>\n<style>\n{style}</style>\n</head>\n<body>\n{body}\n<script>\n{scripts}\n</script>\n"
    )


class TraceWriter:
    """The files and the page of one trace."""

    def __init__(self, directory: Path, title: str) -> None:
        self.directory = directory
        prepare(directory)
        self._append(page_head(title))

    def _append(self, text: str) -> None:
        try:
            handle = os.open(self.directory / PAGE, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
            try:
                data = memoryview(text.encode("utf-8"))
                while data:
                    data = data[os.write(handle, data) :]
            finally:
                os.close(handle)
        except OSError as error:
            raise refused(self.directory, error) from None

    def record(self, item: dict[str, object]) -> None:
        """A small piece, which the page reads at once."""
        text = json.dumps(item, separators=(",", ":")).replace("<", "\\u003c")
        self._append(f'<script type="application/json" class="record">{text}</script>\n')

    def store(self, name: str, item: object) -> None:
        """A large piece, compressed, which the page reads when it is looked at."""
        packed = base64.b64encode(zlib.compress(json.dumps(item, separators=(",", ":")).encode("utf-8"), 6)).decode("ascii")
        self._append(f'<script type="text/plain" class="store" id="{name}">{packed}</script>\n')

    def file(self, stream: str | None, name: str, text: str) -> str:
        """Write a numbered file; its path below the trace's folder. `stream` is the kernel that it shows."""
        folder = self.directory / IR
        if stream is not None:
            folder = folder / re.sub(r"[^\w.\-]+", "_", stream)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(text, encoding="utf-8")
        except OSError as error:
            raise refused(self.directory, error) from None
        return (folder / name).relative_to(self.directory).as_posix()
