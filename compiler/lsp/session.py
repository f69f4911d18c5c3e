"""The open files, read and checked on one thread of their own.

All IR lives on that thread. A question waits for the step that runs, at most one part of a file, and not for the whole check; a
check ends early when its file changes.
"""

from __future__ import annotations

import asyncio
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

from ..commandline.command import unforeseen
from .checking import check_steps
from .document import Document
from .positions import LineIndex
from .recovering import Finding
from .vocabulary import Vocabulary

Answer = TypeVar("Answer")

STACK = 256 << 20  # bytes; parsers and verifiers recurse as deep as regions nest
RECURSION = 20_000
STEP = 0.05  # seconds of a check between two looks at what else waits


@dataclass
class File:
    """An open file: the text as the editor has it, and the last of its texts that was split."""

    text: str
    version: int
    document: Document | None = None
    read_version: int | None = None
    lines: LineIndex | None = None
    check: asyncio.Task[None] | None = None


@dataclass
class View:
    """A file as a question sees it."""

    document: Document
    lines: LineIndex
    vocabulary: Vocabulary


class Session:
    """`publish` is called with a file's name, version, findings and lines when a check of it is complete. `delay` is how long, in
    seconds, an edit waits for the next one before it is checked."""

    def __init__(
        self,
        publish: Callable[[str, int, list[Finding], LineIndex], None],
        vocabulary: Vocabulary,
        delay: float = 0.25,
    ) -> None:
        self.publish = publish
        self.vocabulary = vocabulary
        self.delay = delay
        self.encoding = "utf-16"
        self.files: dict[str, File] = {}
        sys.setrecursionlimit(RECURSION)
        before = threading.stack_size(STACK)
        self._worker = ThreadPoolExecutor(1, "llmc-lsp-ir")
        self._worker.submit(lambda: vocabulary.symbol_ops)  # the thread starts while the size stands, and imports the dialects
        threading.stack_size(before)

    def opened(self, name: str, text: str, version: int) -> None:
        self.files[name] = File(text, version)
        self._schedule(name, 0)

    def changed(self, name: str, text: str, version: int) -> None:
        file = self.files.setdefault(name, File(text, version))
        file.text, file.version = text, version
        self._schedule(name, self.delay)

    def closed(self, name: str) -> None:
        file = self.files.pop(name, None)
        if file is not None and file.check is not None:
            file.check.cancel()

    def close(self) -> None:
        for name in list(self.files):
            self.closed(name)
        self._worker.shutdown(wait=False, cancel_futures=True)

    async def ask(self, name: str, question: Callable[[View], Answer]) -> Answer | None:
        """The answer to a question about the newest text of a file; None for a file that is not open."""
        file = self.files.get(name)
        if file is None:
            return None
        return await self.work(lambda: question(self._view(file)))

    async def work(self, body: Callable[[], Answer]) -> Answer:
        """Run something on the thread of the IR."""
        return await asyncio.get_running_loop().run_in_executor(self._worker, body)

    def _view(self, file: File) -> View:
        """On the worker: the document of a file's newest text."""
        if file.document is None or file.lines is None or file.read_version != file.version:
            text, version = file.text, file.version
            file.document = Document(text, self.vocabulary.context, self.vocabulary.symbol_ops, file.document)
            file.lines = LineIndex(text, self.encoding)
            file.read_version = version
        return View(file.document, file.lines, self.vocabulary)

    def _schedule(self, name: str, delay: float) -> None:
        file = self.files[name]
        if file.check is not None:
            file.check.cancel()
        file.check = asyncio.get_running_loop().create_task(self._check(name, file, file.version, delay))

    async def _check(self, name: str, file: File, version: int, delay: float) -> None:
        await asyncio.sleep(delay)
        view = await self.work(lambda: self._view(file))
        found: list[Finding] = []
        steps = check_steps(view.document, found)
        try:
            while await self.work(lambda: _advance(steps)):
                if file.version != version:
                    return
        except Exception as error:  # a mistake of ours must not look like a file without mistakes
            found.append(_unforeseen(error))
        if self.files.get(name) is file and file.version == version:
            self.publish(name, version, found, view.lines)


def _unforeseen(error: Exception) -> Finding:
    """An exception of a check, as a finding at the beginning of the file."""
    told = unforeseen(error)
    return Finding(0, 1, told.code, f"{told.what} while it checks this file ({told.where})", told.why, told.fix)


def _advance(steps: Iterator[None]) -> bool:
    """Run steps for a moment; whether there are more."""
    until = time.monotonic() + STEP
    return any(time.monotonic() >= until for _ in steps)
