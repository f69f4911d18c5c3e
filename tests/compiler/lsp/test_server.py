"""llmc-lsp as an editor sees it: a process of its own, spoken to over stdio."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("pygls")

from lsp_client import ROOT, Editor, edit
from lsprotocol import types
from pygls.exceptions import JsonRpcException
from pygls.lsp.client import LanguageClient

MODULE = """// RUN: %llmc-opt %s --pass-pipeline='canon'
#T = #nn.dims<["T", "_"]>
builtin.module attributes {llmc.target = "sm_80"} {
  nn.weight @w {
    %0 = nn.entry "w" : tensor<4x8xbf16>
    nn.yield %0 : tensor<4x8xbf16>
  }
  func.func @f(%x: tensor<?x8xbf16, #T>) -> tensor<?x4xbf16, #T> {
    %w = nn.param @w : tensor<4x8xbf16> loc("model.proj"("model.py":7:0))
    %y = nn.linear %x, %w : (tensor<?x8xbf16, #T>, tensor<4x8xbf16>) -> tensor<?x4xbf16, #T>
    func.return %y : tensor<?x4xbf16, #T>
  }
  func.func @g(%x: tensor<4xf32>) -> tensor<4xf32> {
    %y = nn.neg %x : (tensor<4xf32>) -> tensor<4xf32>
    func.return %y : tensor<4xf32>
  }
}
"""


def test_diagnostics_follow_what_is_typed():
    async def scenario(editor: Editor) -> None:
        assert await editor.open(MODULE) == []
        editor.type("%y = nn.neg %x", "%y = nn.ngg %x")
        (found,) = await editor.diagnostics()
        assert found.code == "LLMC0001" and found.source == "llmc"
        assert editor.under(found.range) == "nn.ngg" and "did you mean nn.neg" in found.message
        editor.type("nn.param @w : tensor<4x8xbf16>", "nn.param @w : tensor<4x9xbf16>")
        codes = {(d.code, editor.under(d.range)) for d in await editor.diagnostics()}
        assert {("LLMC0001", "nn.ngg"), ("LLMC0121", "nn.param")} <= codes
        editor.type("nn.ngg", "nn.neg")
        editor.type("4x9xbf16", "4x8xbf16")
        assert await editor.diagnostics() == []

    edit(scenario)


def test_a_use_before_its_definition_is_marked_and_points_to_it():
    async def scenario(editor: Editor) -> None:
        (found,) = await editor.open(
            "func.func @f(%x: tensor<4xf32>) {\n"
            "  %a = nn.neg %b : (tensor<4xf32>) -> tensor<4xf32>\n"
            "  %b = nn.neg %x : (tensor<4xf32>) -> tensor<4xf32>\n"
            "  func.return\n}\n"
        )
        assert found.code == "LLMC0120" and found.range.start == editor.at("%b")
        assert "why: " in found.message and "fix: " in found.message
        assert found.related_information is not None
        assert found.related_information[0].location.range.start == editor.at("%b", 1)

    edit(scenario)


def test_hover_tells_ops_values_aliases_symbols_and_passes():
    async def scenario(editor: Editor) -> None:
        await editor.open(MODULE.replace("'canon'", "'canonicalize' LLMC0120"))
        op = await editor.hover("nn.linear")
        assert op is not None and "| operand | `x` |" in op and "%w: tensor<4x8xbf16>" in op
        located = await editor.hover("nn.param")
        assert located is not None and "from model.proj (model.py:7)" in located
        value = await editor.hover("%y : tensor<?x4xbf16, #T>")
        assert value is not None and "%y: tensor<?x4xbf16, #T>" in value and "result of `nn.linear`; 1 use" in value
        argument = await editor.hover("%x, %w")
        assert argument is not None and "argument 0 of `func.func`" in argument
        alias = await editor.hover("#T>")
        assert alias is not None and '#T = #nn.dims<["T", "_"]>' in alias
        weight = await editor.hover("@w : tensor")
        assert weight is not None and "nn.weight @w" in weight and "gives `tensor<4x8xbf16>`" in weight
        attribute = await editor.hover("#nn.dims")
        assert attribute is not None and "nn.dims" in attribute
        a_pass = await editor.hover("canonicalize")
        assert a_pass is not None and "**`canonicalize`**" in a_pass and "```mlir" in a_pass
        code = await editor.hover("LLMC0120")
        assert code is not None and "used before it is defined" in code

    edit(scenario)


def test_definition_references_and_highlights():
    async def scenario(editor: Editor) -> None:
        await editor.open(MODULE)
        client, document = editor.client, editor.document

        async def definition(position: types.Position) -> list[str]:
            found = await client.text_document_definition_async(types.DefinitionParams(document, position))
            assert isinstance(found, list)
            return [f"{place.range.start.line}:{editor.under(place.range)}" for place in found]  # type: ignore[union-attr]

        assert await definition(editor.at("%w :")) == ["8:%w"]
        assert await definition(editor.at("%x :")) == ["12:%x"]
        assert await definition(editor.at("@w :")) == ["3:@w"]
        assert await definition(editor.at("#T>, tensor<4x8")) == ["1:#T"]
        context = types.ReferenceContext(include_declaration=False)
        found = await client.text_document_references_async(
            types.ReferenceParams(context, document, editor.at("%y = nn.linear"))
        )
        assert found is not None and [place.range.start.line for place in found] == [10]
        shown = await client.text_document_document_highlight_async(types.DocumentHighlightParams(document, editor.at("@w {")))
        kinds = types.DocumentHighlightKind
        assert shown is not None and [h.kind for h in shown] == [kinds.Write, kinds.Read]

    edit(scenario)


def test_document_symbols_nest_and_regions_fold():
    async def scenario(editor: Editor) -> None:
        await editor.open(MODULE)
        symbols = await editor.client.text_document_document_symbol_async(types.DocumentSymbolParams(editor.document))
        assert symbols is not None and len(symbols) == 1
        module = symbols[0]
        assert isinstance(module, types.DocumentSymbol) and module.kind == types.SymbolKind.Module
        assert module.children is not None and [c.name for c in module.children] == ["w", "f", "g"]
        assert module.children[0].kind == types.SymbolKind.Constant and editor.under(module.children[1].selection_range) == "@f"
        assert module.children[1].range.end.line == 11
        folds = await editor.client.text_document_folding_range_async(types.FoldingRangeParams(editor.document))
        assert folds is not None and (7, 10) in [(f.start_line, f.end_line) for f in folds]

    edit(scenario)


def test_rename_edits_every_use_and_refuses_a_taken_name():
    async def scenario(editor: Editor) -> None:
        await editor.open(MODULE)

        async def rename(position: types.Position, name: str) -> list[tuple[int, str]]:
            edit = await editor.client.text_document_rename_async(types.RenameParams(editor.document, position, name))
            assert edit is not None and edit.changes is not None
            (edits,) = edit.changes.values()
            return [(e.range.start.line, e.new_text) for e in edits]

        assert await rename(editor.at("%x, %w"), "hidden") == [(7, "%hidden"), (9, "%hidden")]
        assert await rename(editor.at("@w :"), "@weights") == [(3, "@weights"), (8, "@weights")]
        with pytest.raises(JsonRpcException, match="%w is defined where %x is seen"):
            await rename(editor.at("%x, %w"), "w")
        with pytest.raises(JsonRpcException, match="nothing here can be renamed"):
            await rename(editor.at("nn.linear"), "nn.other")

    edit(scenario)


def test_completion_of_ops_values_and_passes():
    async def scenario(editor: Editor) -> None:
        await editor.open(MODULE)

        async def complete(position: types.Position) -> list[types.CompletionItem]:
            found = await editor.client.text_document_completion_async(types.CompletionParams(editor.document, position))
            assert isinstance(found, types.CompletionList)
            return list(found.items)

        after = editor.at("canon'")
        after.character += len("canon")
        assert "canonicalize" in [item.label for item in await complete(after)]
        editor.type("    func.return %y : tensor<4xf32>", "    %z = nn.rms\n    func.return %y : tensor<4xf32>")
        position = editor.at("nn.rms")
        position.character += len("nn.rms")
        items = await complete(position)
        assert [item.label for item in items] == ["nn.rms_norm"]
        resolved = await editor.client.completion_item_resolve_async(items[0])
        assert isinstance(resolved.documentation, types.MarkupContent) and "nn.rms_norm" in resolved.documentation.value
        editor.type("%z = nn.rms", "%z = nn.neg %")
        position = editor.at("nn.neg %\n")
        position.character += len("nn.neg %")
        assert {item.label for item in await complete(position)} == {"%x", "%y"}

    edit(scenario)


def test_a_misspelt_op_has_a_quick_fix_and_tokens_have_meanings():
    async def scenario(editor: Editor) -> None:
        found = await editor.open(MODULE.replace("nn.neg", "nn.ngg"))
        context = types.CodeActionContext(found)
        actions = await editor.client.text_document_code_action_async(
            types.CodeActionParams(editor.document, found[0].range, context)
        )
        assert actions is not None and isinstance(actions[0], types.CodeAction)
        assert actions[0].title == "Write nn.neg"
        tokens = await editor.client.text_document_semantic_tokens_full_async(types.SemanticTokensParams(editor.document))
        assert tokens is not None and len(tokens.data) % 5 == 0 and len(tokens.data) > 100

    edit(scenario)


def test_columns_count_utf16_units():
    async def scenario(editor: Editor) -> None:
        text = 'func.func @f(%x: tensor<4xf32>) {\n  "test.𝄞"() : () -> ()\n  func.return\n}\n'
        (found,) = await editor.open(text)
        assert editor.under(found.range) == '"test.𝄞"'

    edit(scenario)


PLUGIN = '''
"""A dialect from outside."""

from xdsl.ir import Dialect
from xdsl.irdl import IRDLOperation, irdl_op_definition


@irdl_op_definition
class Ping(IRDLOperation):
    """`outside.ping`: rings."""

    name = "outside.ping"
    assembly_format = "attr-dict"


OUTSIDE = Dialect("outside", [Ping], [])
'''


def test_dialects_of_plugins_are_known(tmp_path: Path):
    file = tmp_path / "outside.py"
    file.write_text(PLUGIN)

    async def scenario(editor: Editor) -> None:
        assert await editor.open("func.func @f() {\n  outside.ping\n  func.return\n}\n") == []
        text = await editor.hover("outside.ping")
        assert text is not None and "rings" in text

    edit(scenario, "--load-pass-plugin", str(file))


def command(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "llmc.compiler.driver.lsp", *arguments],
        env={"PYTHONPATH": str(ROOT / ".typing"), "PATH": ""},
        capture_output=True,
        text=True,
        stdin=subprocess.PIPE,
        timeout=120,
    )


def test_a_port_of_this_machine_serves_one_client():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]

    async def hover() -> types.Hover | None:
        client = LanguageClient("test", "1")
        for attempt in range(600):
            try:
                await client.start_tcp("127.0.0.1", port)
                break
            except OSError:
                assert attempt < 599
                await asyncio.sleep(0.1)
        await client.initialize_async(types.InitializeParams(types.ClientCapabilities()))
        item = types.TextDocumentItem("file:///x.mlir", "mlir", 1, "func.func @f() {\n  func.return\n}\n")
        client.text_document_did_open(types.DidOpenTextDocumentParams(item))
        where = types.HoverParams(types.TextDocumentIdentifier(item.uri), types.Position(0, 1))
        found = await client.text_document_hover_async(where)
        await client.shutdown_async(None)
        client.exit(None)
        await client.stop()
        return found

    server = subprocess.Popen(
        [sys.executable, "-m", "llmc.compiler.driver.lsp", "--tcp", f"127.0.0.1:{port}"],
        env={"PYTHONPATH": str(ROOT / ".typing"), "PATH": ""},
    )
    try:
        assert asyncio.run(hover()) is not None
        assert server.wait(60) == 0
    finally:
        server.kill()


def test_another_machines_port_is_refused():
    result = command("--tcp", "192.0.2.1:4000")
    assert result.returncode == 1 and "error[LLMC0271]" in result.stderr


def test_a_plugin_that_is_not_there_is_an_error():
    result = command("--load-pass-plugin", "/nowhere/plugin.py")
    assert result.returncode == 1 and "error[LLMC0215]" in result.stderr


def test_help_needs_neither_pygls_nor_xdsl():
    script = "from llmc.compiler.driver.lsp import parser; parser().format_help(); import sys; print('\\n'.join(sys.modules))"
    result = subprocess.run(
        [sys.executable, "-c", script],
        env={"PYTHONPATH": str(ROOT / ".typing"), "PATH": ""},
        capture_output=True,
        text=True,
        check=True,
    )
    assert not {"pygls", "lsprotocol", "xdsl", "numpy"} & set(result.stdout.split())
