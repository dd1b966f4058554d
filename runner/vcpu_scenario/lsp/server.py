"""The server: which request is answered by whom, and what happens when a text changes."""

from __future__ import annotations

from typing import Final

from lsprotocol import types

from vcpu_scenario.host.package import VERSION
from vcpu_scenario.lsp.commands import to_run
from vcpu_scenario.lsp.completion import completion
from vcpu_scenario.lsp.definition import definition
from vcpu_scenario.lsp.fixes import fixes
from vcpu_scenario.lsp.hover import here, is_of_exit, meaning, shown
from vcpu_scenario.lsp.lenses import COMMAND, lenses
from vcpu_scenario.lsp.session import CHECK_SECONDS, Server, Session
from vcpu_scenario.lsp.workers import Failed, TookTooLong

HOVER_SECONDS: Final = 30.0


def serve() -> tuple[Server, Session]:
    """A server that answers everything, and its session."""
    server = Server("scenario", VERSION, types.TextDocumentSyncKind.Full)
    # All else that pygls does by itself is of no use here, and does harm: it keeps a future of each
    # notification for good, and ends lines of a text where the protocol does not.
    built_in = server.protocol.fm.builtin_features
    for name in built_in.keys() - {types.INITIALIZE, types.SHUTDOWN}:
        del built_in[name]
    session = Session(server)
    _texts(server, session)
    _questions(server, session)
    _running(server, session)
    return server, session


def _texts(server: Server, session: Session) -> None:
    @server.feature(types.TEXT_DOCUMENT_DID_OPEN)
    def did_open(params: types.DidOpenTextDocumentParams) -> None:
        document = params.text_document
        session.open(document.uri, document.text, document.version)

    @server.feature(types.TEXT_DOCUMENT_DID_CHANGE)
    def did_change(params: types.DidChangeTextDocumentParams) -> None:
        document = params.text_document
        session.change(document.uri, params.content_changes, document.version)

    @server.feature(types.TEXT_DOCUMENT_DID_SAVE)
    def did_save(params: types.DidSaveTextDocumentParams) -> None:
        session.again(params.text_document.uri)

    @server.feature(types.TEXT_DOCUMENT_DID_CLOSE)
    def did_close(params: types.DidCloseTextDocumentParams) -> None:
        uri = params.text_document.uri
        session.forget(uri)
        server.text_document_publish_diagnostics(types.PublishDiagnosticsParams(uri, []))


def _questions(server: Server, session: Session) -> None:
    @server.feature(
        types.TEXT_DOCUMENT_COMPLETION,
        types.CompletionOptions(trigger_characters=[" ", "+", "=", "#", '"']),
    )
    def complete(params: types.CompletionParams) -> types.CompletionList | None:
        document = session.documents.get(params.text_document.uri)
        return completion(document, params.position) if document is not None else None

    @server.feature(types.TEXT_DOCUMENT_DEFINITION)
    def define(params: types.DefinitionParams) -> types.Location | None:
        document = session.documents.get(params.text_document.uri)
        return definition(document, params.position) if document is not None else None

    @server.feature(
        types.TEXT_DOCUMENT_CODE_ACTION,
        types.CodeActionOptions(code_action_kinds=[types.CodeActionKind.QuickFix]),
    )
    def act(params: types.CodeActionParams) -> list[types.CodeAction]:
        document = session.documents.get(params.text_document.uri)
        return fixes(document, params.range) if document is not None else []

    @server.feature(types.TEXT_DOCUMENT_HOVER)
    async def hover(params: types.HoverParams) -> types.Hover | None:
        document = session.documents.get(params.text_document.uri)
        found = here(document, params.position) if document is not None else None
        if document is None or found is None:
            return None
        told = [meaning(document, found, params.position)]
        if is_of_exit(found) and not document.checked.faults:
            span = found.node.span
            told.append(
                await session.run(
                    document, "releases", span.line, span.column, seconds=HOVER_SECONDS
                )
                or ""
            )
        text = "\n\n---\n\n".join(filter(None, told))
        return shown(document, found, text) if text else None

    @server.feature(types.TEXT_DOCUMENT_FORMATTING)
    async def format_(params: types.DocumentFormattingParams) -> list[types.TextEdit] | None:
        document = session.documents.get(params.text_document.uri)
        if document is None:
            return None
        text = document.now
        try:
            fresh = await session.workers["format"].ask(
                "format", text.text, text.path, seconds=CHECK_SECONDS
            )
        except (Failed, TookTooLong):
            return None
        if fresh is None or fresh == text.text or not session.is_now(document, text):
            return None
        return [types.TextEdit(text.positions.everything(), fresh)]


def _running(server: Server, session: Session) -> None:
    @server.feature(types.TEXT_DOCUMENT_CODE_LENS)
    def show(params: types.CodeLensParams) -> list[types.CodeLens]:
        document = session.documents.get(params.text_document.uri)
        return lenses(document) if document is not None else []

    # As a command of pygls it would be told of its name, but run on once it is cancelled.
    @server.command(COMMAND)
    @server.feature(types.WORKSPACE_EXECUTE_COMMAND)
    async def run(params: types.ExecuteCommandParams) -> str | None:
        return await session.press(*to_run(session.documents, params))
