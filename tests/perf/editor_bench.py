"""How long an editor waits for llmc-lsp in a large file; one JSON object, in seconds.

usage: python tests/perf/editor_bench.py [--out FILE] [--ops N] [FILE]

FILE is any dump; without one a module of N ops (default 20,000) in functions of 500 is made. Rows: `outline` (from opening the file to its
symbols), `hover_first` (to a hover in its middle while it is checked for the first time), `check` (to its diagnostics), `hover` and
`diagnostics` after an edit in the middle (medians of 5; an edit waits 0.25 s for the next before it is checked), `tokens` (all semantic
tokens).
"""

from __future__ import annotations

import argparse
import asyncio
import json
import platform
import statistics
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tests" / "support"))
sys.path.insert(0, str(ROOT / ".typing"))

from driver_bench import arith_module
from lsp_client import URI, Editor, edit
from lsprotocol import types
from machine import commit


def measure(text: str) -> dict[str, float]:
    """The rows for one file."""
    rows: dict[str, float] = {}

    async def scenario(editor: Editor) -> None:
        client, document = editor.client, editor.document
        middle = text.index("\n", len(text) // 2)
        value = text.index("%", middle)
        editor.text = text
        where, end = editor.position(value), editor.position(middle)
        start = time.perf_counter()
        opening = asyncio.ensure_future(editor.open(text))
        await asyncio.sleep(0)
        await client.text_document_document_symbol_async(types.DocumentSymbolParams(document))
        rows["outline"] = time.perf_counter() - start
        await client.text_document_hover_async(types.HoverParams(document, where))
        rows["hover_first"] = time.perf_counter() - start
        await opening
        rows["check"] = time.perf_counter() - start
        hovers: list[float] = []
        checks: list[float] = []
        for _ in range(5):
            editor.version += 1
            identifier = types.VersionedTextDocumentIdentifier(editor.version, URI)
            change = types.TextDocumentContentChangePartial(types.Range(end, end), " ")
            start = time.perf_counter()
            client.text_document_did_change(types.DidChangeTextDocumentParams(identifier, [change]))
            await client.text_document_hover_async(types.HoverParams(document, where))
            hovers.append(time.perf_counter() - start)
            await editor.diagnostics()
            checks.append(time.perf_counter() - start)
        rows["hover"], rows["diagnostics"] = statistics.median(hovers), statistics.median(checks)
        start = time.perf_counter()
        await client.text_document_semantic_tokens_full_async(types.SemanticTokensParams(document))
        rows["tokens"] = time.perf_counter() - start

    edit(scenario)
    return {name: round(seconds, 3) for name, seconds in rows.items()}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("file", nargs="?", type=Path)
    parser.add_argument("--ops", type=int, default=20_000)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    text = arguments.file.read_text() if arguments.file is not None else arith_module(arguments.ops)
    name = arguments.file.name if arguments.file is not None else f"{arguments.ops} ops"
    machine = {"python": platform.python_version(), "machine": platform.machine(), "commit": commit()}
    result = {"file": name, "megabytes": round(len(text) / 1e6, 2), **machine, "seconds": measure(text)}
    shown = json.dumps(result, indent=2)
    print(shown)
    if arguments.out is not None:
        arguments.out.write_text(shown + "\n")


if __name__ == "__main__":
    main()
