"""A client of llmc-lsp: the server is a process of its own, and they speak over its standard input and output."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

from lsprotocol import types
from pygls.lsp.client import LanguageClient

ROOT = Path(__file__).parents[2]
URI = "file:///model.mlir"
PATIENCE = 60  # seconds that a busy machine may need


class Editor:
    """One open file, and what the server says of it."""

    def __init__(self, client: LanguageClient) -> None:
        self.client = client
        self.text = ""
        self.version = 0
        self.published: asyncio.Queue[types.PublishDiagnosticsParams] = asyncio.Queue()
        self.document = types.TextDocumentIdentifier(URI)

    async def open(self, text: str) -> list[types.Diagnostic]:
        """Open the file; returns its diagnostics."""
        self.text, self.version = text, 1
        item = types.TextDocumentItem(URI, "mlir", 1, text)
        self.client.text_document_did_open(types.DidOpenTextDocumentParams(item))
        return await self.diagnostics()

    def type(self, old: str, new: str) -> None:
        """Replace the only occurrence of a text."""
        assert self.text.count(old) == 1
        start = self.text.index(old)
        where = types.Range(self.position(start), self.position(start + len(old)))
        self.text = self.text.replace(old, new)
        self.version += 1
        self.client.text_document_did_change(
            types.DidChangeTextDocumentParams(
                types.VersionedTextDocumentIdentifier(self.version, URI),
                [types.TextDocumentContentChangePartial(where, new)],
            )
        )

    async def diagnostics(self) -> list[types.Diagnostic]:
        """Those of the version that is open."""
        while True:
            found = await asyncio.wait_for(self.published.get(), PATIENCE)
            if found.version == self.version:
                return list(found.diagnostics)

    def position(self, offset: int) -> types.Position:
        before = self.text[:offset]
        column = before[before.rfind("\n") + 1 :]
        return types.Position(before.count("\n"), len(column.encode("utf-16-le")) // 2)

    def at(self, text: str, occurrence: int = 0) -> types.Position:
        """The position of an occurrence of a text."""
        offset = -1
        for _ in range(occurrence + 1):
            offset = self.text.index(text, offset + 1)
        return self.position(offset)

    def under(self, where: types.Range) -> str:
        """The text of a range."""
        lines = self.text.split("\n")
        assert where.start.line == where.end.line
        units = lines[where.start.line].encode("utf-16-le")
        return units[2 * where.start.character : 2 * where.end.character].decode("utf-16-le")

    async def hover(self, text: str, occurrence: int = 0) -> str | None:
        position = self.at(text, occurrence)
        found = await self.client.text_document_hover_async(types.HoverParams(self.document, position))
        if found is None:
            return None
        assert isinstance(found.contents, types.MarkupContent)
        return found.contents.value


def edit(scenario: Callable[[Editor], Awaitable[None]], *arguments: str) -> None:
    """Run a scenario with a fresh server; afterwards it must leave by itself, with exit code 0 and nothing on stderr."""

    async def run() -> None:
        client = LanguageClient("test", "1")
        editor = Editor(client)

        @client.feature(types.TEXT_DOCUMENT_PUBLISH_DIAGNOSTICS)
        def published(params: types.PublishDiagnosticsParams) -> None:
            editor.published.put_nowait(params)

        environment = {**os.environ, "PYTHONPATH": str(ROOT / ".typing")}
        await client.start_io(sys.executable, "-m", "llmc.compiler.driver.lsp", *arguments, env=environment)
        try:
            await client.initialize_async(types.InitializeParams(types.ClientCapabilities()))
            client.initialized(types.InitializedParams())
            await scenario(editor)
            await client.shutdown_async(None)
            client.exit(None)
            process = client._server
            assert process is not None and process.stderr is not None
            assert await asyncio.wait_for(process.wait(), PATIENCE) == 0
            assert (await process.stderr.read()).decode() == ""
        finally:
            if client._server is not None and client._server.returncode is None:
                client._server.kill()
            await client.stop()

    asyncio.run(run())
