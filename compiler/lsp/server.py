"""The protocol: pygls on top of the session. Nothing below imports pygls or lsprotocol."""

from __future__ import annotations

import logging
import sys
from collections.abc import Awaitable, Callable, Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any, TypeVar

from lsprotocol import types
from pygls.exceptions import JsonRpcException
from pygls.lsp.server import LanguageServer

from ...dialects.ir.diagnostics import LlmcError
from . import completion, highlighting, hover, navigation, outline, rename
from .positions import LineIndex
from .recovering import Finding
from .session import Session, View
from .vocabulary import Vocabulary

if TYPE_CHECKING:
    from .completion import Proposal

Answer = TypeVar("Answer")

REQUEST_FAILED = -32803

SYMBOL_KINDS = {
    "func.func": types.SymbolKind.Function,
    "nn.weight": types.SymbolKind.Constant,
    "rt.weight": types.SymbolKind.Constant,
    "rt.program": types.SymbolKind.Event,
    "builtin.module": types.SymbolKind.Module,
    "module": types.SymbolKind.Module,
}
PROPOSAL_KINDS = {
    "op": types.CompletionItemKind.Function,
    "value": types.CompletionItemKind.Variable,
    "symbol": types.CompletionItemKind.Reference,
    "alias": types.CompletionItemKind.Constant,
    "attribute": types.CompletionItemKind.Struct,
    "block": types.CompletionItemKind.Event,
    "pass": types.CompletionItemKind.Module,
    "option": types.CompletionItemKind.Property,
    "flag": types.CompletionItemKind.Keyword,
    "property": types.CompletionItemKind.Property,
}


def make_server(vocabulary: Vocabulary) -> LanguageServer:
    """A server that answers one client."""
    version = import_module(__name__.rsplit(".", 3)[0]).__version__
    server = LanguageServer("llmc-lsp", version, types.TextDocumentSyncKind.Incremental)
    _Handlers(server, vocabulary)
    return server


class _Handlers:
    """The server's features, one a method."""

    def __init__(self, server: LanguageServer, vocabulary: Vocabulary) -> None:
        self.server = server
        self.vocabulary = vocabulary
        self._session: Session | None = None
        register = self._register
        register(types.TEXT_DOCUMENT_DID_OPEN, self.did_open)
        register(types.TEXT_DOCUMENT_DID_CHANGE, self.did_change)
        register(types.TEXT_DOCUMENT_DID_CLOSE, self.did_close)
        register(types.SHUTDOWN, self.shutdown)
        register(types.TEXT_DOCUMENT_HOVER, self.hover)
        register(types.TEXT_DOCUMENT_DEFINITION, self.definition)
        register(types.TEXT_DOCUMENT_REFERENCES, self.references)
        register(types.TEXT_DOCUMENT_DOCUMENT_HIGHLIGHT, self.document_highlight)
        register(types.TEXT_DOCUMENT_DOCUMENT_SYMBOL, self.document_symbol)
        register(types.TEXT_DOCUMENT_FOLDING_RANGE, self.folding_range)
        register(types.TEXT_DOCUMENT_PREPARE_RENAME, self.prepare_rename)
        register(types.TEXT_DOCUMENT_RENAME, self.rename, types.RenameOptions(prepare_provider=True))
        triggers = types.CompletionOptions(trigger_characters=[*"%@#!^.{'=-,"], resolve_provider=True)
        register(types.TEXT_DOCUMENT_COMPLETION, self.completion, triggers)
        register(types.COMPLETION_ITEM_RESOLVE, self.completion_resolve)
        actions = types.CodeActionOptions(code_action_kinds=[types.CodeActionKind.QuickFix])
        register(types.TEXT_DOCUMENT_CODE_ACTION, self.code_action, actions)
        legend = types.SemanticTokensLegend(list(highlighting.TYPES), list(highlighting.MODIFIERS))
        register(types.TEXT_DOCUMENT_SEMANTIC_TOKENS_FULL, self.semantic_tokens, legend)
        register(types.TEXT_DOCUMENT_SEMANTIC_TOKENS_RANGE, self.semantic_tokens_range, legend)

    def _register(self, name: str, method: Callable[[Any], Awaitable[Any]], options: object = None) -> None:
        async def handler(params: Any) -> Any:  # pygls writes on what it registers, which a method does not let it
            return await method(params)

        self.server.feature(name, options)(handler)

    @property
    def session(self) -> Session:
        if self._session is None:
            self._session = Session(self.publish, self.vocabulary)
            self._session.encoding = str(getattr(self.server.workspace.position_encoding, "value", "utf-16"))
        return self._session

    # ----------------------------------------------------------------- files

    async def did_open(self, params: types.DidOpenTextDocumentParams) -> None:
        item = params.text_document
        self.session.opened(item.uri, item.text, item.version)

    async def did_change(self, params: types.DidChangeTextDocumentParams) -> None:
        document = self.server.workspace.get_text_document(params.text_document.uri)
        self.session.changed(params.text_document.uri, document.source, params.text_document.version)

    async def did_close(self, params: types.DidCloseTextDocumentParams) -> None:
        self.session.closed(params.text_document.uri)
        empty = types.PublishDiagnosticsParams(params.text_document.uri, [])
        self.server.text_document_publish_diagnostics(empty)

    async def shutdown(self, params: None) -> None:
        if self._session is not None:
            self._session.close()

    def publish(self, uri: str, version: int, findings: list[Finding], lines: LineIndex) -> None:
        found = [_diagnostic(uri, finding, lines) for finding in findings]
        self.server.text_document_publish_diagnostics(types.PublishDiagnosticsParams(uri, found, version))

    # ----------------------------------------------------------------- questions

    async def hover(self, params: types.HoverParams) -> types.Hover | None:
        def answer(view: View) -> types.Hover | None:
            target = _target(view, params.position)
            text = hover.hover(view.document, target, view.vocabulary) if target is not None else None
            if target is None or text is None:
                return None
            markdown = types.MarkupContent(types.MarkupKind.Markdown, text)
            return types.Hover(markdown, _range(view.lines, target.place.start, target.place.end))

        return await self.session.ask(params.text_document.uri, answer)

    async def definition(self, params: types.DefinitionParams) -> list[types.Location] | None:
        uri = params.text_document.uri

        def answer(view: View) -> list[types.Location]:
            target = _target(view, params.position)
            if target is None:
                return []
            return [_location(uri, view.lines, p) for p in navigation.definitions(view.document, target)]

        return await self.session.ask(uri, answer)

    async def references(self, params: types.ReferenceParams) -> list[types.Location] | None:
        uri = params.text_document.uri

        def answer(view: View) -> list[types.Location]:
            target = _target(view, params.position)
            places = navigation.occurrences(view.document, target) if target is not None else []
            wanted = [p for p in places if params.context.include_declaration or not p.defines]
            return [_location(uri, view.lines, p) for p in wanted]

        return await self.session.ask(uri, answer)

    async def document_highlight(self, params: types.DocumentHighlightParams) -> list[types.DocumentHighlight] | None:
        def answer(view: View) -> list[types.DocumentHighlight]:
            target = _target(view, params.position)
            places = navigation.occurrences(view.document, target) if target is not None else []
            kinds = types.DocumentHighlightKind
            return [
                types.DocumentHighlight(_range(view.lines, p.start, p.end), kinds.Write if p.defines else kinds.Read)
                for p in places
            ]

        return await self.session.ask(params.text_document.uri, answer)

    async def document_symbol(self, params: types.DocumentSymbolParams) -> list[types.DocumentSymbol] | None:
        def answer(view: View) -> list[types.DocumentSymbol]:
            return [_symbol(view.lines, node) for node in outline.outline(view.document)]

        return await self.session.ask(params.text_document.uri, answer)

    async def folding_range(self, params: types.FoldingRangeParams) -> list[types.FoldingRange] | None:
        def answer(view: View) -> list[types.FoldingRange]:
            found: list[types.FoldingRange] = []
            for start, end, kind in outline.folds(view.document):
                first, last = view.lines.position(start)[0], view.lines.position(end)[0]
                last -= kind == "region"  # the closing bracket stays in sight
                if last > first:
                    found.append(types.FoldingRange(first, last, kind=kind))
            return found

        return await self.session.ask(params.text_document.uri, answer)

    async def prepare_rename(self, params: types.PrepareRenameParams) -> types.PrepareRenamePlaceholder | None:
        def answer(view: View) -> types.PrepareRenamePlaceholder:
            target = rename.renamable(view.document, _target(view, params.position))
            text = view.document.text[target.place.start : target.place.end]
            return types.PrepareRenamePlaceholder(_range(view.lines, target.place.start, target.place.end), text)

        return await self._ask_or_refuse(params.text_document.uri, answer)

    async def rename(self, params: types.RenameParams) -> types.WorkspaceEdit | None:
        uri = params.text_document.uri

        def answer(view: View) -> types.WorkspaceEdit:
            edits = rename.rename(view.document, _target(view, params.position), params.new_name)
            return types.WorkspaceEdit({uri: [types.TextEdit(_range(view.lines, p.start, p.end), text) for p, text in edits]})

        return await self._ask_or_refuse(uri, answer)

    async def _ask_or_refuse(self, uri: str, answer: Callable[[View], Answer]) -> Answer | None:
        """An answer; an `LlmcError` becomes the request's error, which editors show."""
        try:
            return await self.session.ask(uri, answer)
        except LlmcError as error:
            raise JsonRpcException(_message(error.what, error.why, error.fix), REQUEST_FAILED, {"code": error.code}) from None

    async def completion(self, params: types.CompletionParams) -> types.CompletionList | None:
        def answer(view: View) -> types.CompletionList:
            offset = view.lines.offset(params.position.line, params.position.character)
            found = completion.complete(view.document, offset, view.vocabulary)
            return types.CompletionList(False, [_proposal(view.lines, p, offset) for p in found])

        return await self.session.ask(params.text_document.uri, answer)

    async def completion_resolve(self, item: types.CompletionItem) -> types.CompletionItem:
        """Documentation, for the item that is looked at alone."""
        vocabulary = self.vocabulary
        name = item.label
        text: str | None = None
        if item.kind == types.CompletionItemKind.Function:
            text = await self.session.work(lambda: vocabulary.op_text(name))
        elif item.kind == types.CompletionItemKind.Module:
            text = await self.session.work(lambda: vocabulary.pass_text(name))
        elif item.kind == types.CompletionItemKind.Struct:
            text = await self.session.work(lambda: vocabulary.attribute_text(name[1:]))
        if text is not None:
            item.documentation = types.MarkupContent(types.MarkupKind.Markdown, text)
        return item

    async def code_action(self, params: types.CodeActionParams) -> list[types.CodeAction]:
        """The names that a finding proposes, as quick fixes."""
        found: list[types.CodeAction] = []
        for diagnostic in params.context.diagnostics:
            for name in suggestions(diagnostic.message):
                edit = types.WorkspaceEdit({params.text_document.uri: [types.TextEdit(diagnostic.range, name)]})
                kind = types.CodeActionKind.QuickFix
                found.append(types.CodeAction(f"Write {name}", kind, [diagnostic], edit=edit))
        return found

    async def semantic_tokens(self, params: types.SemanticTokensParams) -> types.SemanticTokens | None:
        return await self.session.ask(params.text_document.uri, lambda view: _tokens(view, 0, len(view.document.text)))

    async def semantic_tokens_range(self, params: types.SemanticTokensRangeParams) -> types.SemanticTokens | None:
        def answer(view: View) -> types.SemanticTokens:
            start, end = params.range.start, params.range.end
            return _tokens(view, view.lines.offset(start.line, start.character), view.lines.offset(end.line, end.character))

        return await self.session.ask(params.text_document.uri, answer)


# --------------------------------------------------------------------- to the protocol's types


def _target(view: View, position: types.Position) -> navigation.Target | None:
    return navigation.target_at(view.document, view.lines.offset(position.line, position.character))


def _range(lines: LineIndex, start: int, end: int) -> types.Range:
    return types.Range(types.Position(*lines.position(start)), types.Position(*lines.position(end)))


def _location(uri: str, lines: LineIndex, place: navigation.Place) -> types.Location:
    return types.Location(uri, _range(lines, place.start, place.end))


def _message(what: str, why: str | None, fix: str | None) -> str:
    return "\n".join([what, *([f"why: {why}"] if why else []), *([f"fix: {fix}"] if fix else [])])


def suggestions(message: str) -> list[str]:
    """The names after `did you mean` in a finding's message."""
    _, found, names = message.partition("fix: did you mean ")
    return names.rstrip("?").split(", ") if found else []


def _diagnostic(uri: str, finding: Finding, lines: LineIndex) -> types.Diagnostic:
    related = [
        types.DiagnosticRelatedInformation(types.Location(uri, _range(lines, start, end)), text)
        for start, end, text in finding.related
    ]
    return types.Diagnostic(
        _range(lines, finding.start, finding.end),
        _message(finding.what, finding.why, finding.fix),
        types.DiagnosticSeverity.Error,
        finding.code,
        source="llmc",
        related_information=related or None,
    )


def _symbol(lines: LineIndex, node: outline.Node) -> types.DocumentSymbol:
    kind = SYMBOL_KINDS.get(node.op, types.SymbolKind.Function)
    detail = f"{node.op} {node.detail}".strip()
    children = [_symbol(lines, child) for child in node.children]
    whole, name = _range(lines, node.start, node.end), _range(lines, node.name_start, node.name_end)
    return types.DocumentSymbol(node.name, kind, whole, name, detail, children=children)


def _proposal(lines: LineIndex, proposal: Proposal, offset: int) -> types.CompletionItem:
    edit = types.TextEdit(_range(lines, proposal.start, offset), proposal.text)
    kind = PROPOSAL_KINDS[proposal.kind]
    return types.CompletionItem(proposal.text, None, kind, detail=proposal.detail or None, text_edit=edit)


def _tokens(view: View, start: int, end: int) -> types.SemanticTokens:
    numbers = {name: i for i, name in enumerate(highlighting.TYPES)}
    data: list[int] = []
    line, column = 0, 0
    for token_start, token_end, kind, defines in highlighting.highlights(view.document, start, end):
        at_line, at_column = view.lines.position(token_start)
        _, end_column = view.lines.position(token_end)
        data += (
            at_line - line,
            at_column - column if at_line == line else at_column,
            end_column - at_column,
            numbers[kind],
            int(defines),
        )
        line, column = at_line, at_column
    return types.SemanticTokens(data)


def serve(tcp: tuple[str, int] | None, plugins: Sequence[str], debug: bool = False) -> int:
    """Answer a client on standard input and output, or the first that connects to a port of this machine. Raises LLMC0272 when
    the port can't be had, LLMC0215 to LLMC0218 for a plugin file that can't be used. With `debug` pygls writes to stderr what it answers
    with an error, traceback and all."""
    if not debug:
        logging.getLogger("pygls").setLevel(logging.CRITICAL)
    server = make_server(Vocabulary(plugins))
    if tcp is None:
        output = sys.stdout.buffer
        sys.stdout = sys.stderr  # standard output belongs to the protocol
        server.start_io(sys.stdin.buffer, output)
        return 0
    host, port = tcp
    try:
        server.start_tcp(host, port)
    except OSError as error:
        why = error.strerror or str(error)
        raise LlmcError(
            "LLMC0272", f"can't listen on {host}:{port}", f"{host}:{port}", why=why, fix="choose another port"
        ) from None
    return 0
