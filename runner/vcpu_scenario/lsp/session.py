"""The documents of one client, what is known of each, and what is being found out."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine, Sequence
from typing import Any, Final

from lsprotocol import types
from msgspec import Struct, field
from pygls.lsp.server import LanguageServer

from vcpu_scenario.lsp.answers import Checked, Ran
from vcpu_scenario.lsp.diagnostics import diagnostics
from vcpu_scenario.lsp.documents import Asked, Document, Text, path_of
from vcpu_scenario.lsp.worker import JOBS
from vcpu_scenario.lsp.workers import Failed, TookTooLong, Worker
from vcpu_scenario.source import Diagnostic, Span

CHECK_SECONDS: Final = 90.0
"""An assembler alone may take 30, and has several codes where there is a matrix."""
RUN_SECONDS: Final = 120.0

log = logging.getLogger(__name__)


class Server(LanguageServer):
    """pygls' server; errors of its own go to the log, and not into the editor's face."""

    def report_server_error(self, error: Exception, source: Any) -> None:
        log.error("%s: %s", type(error).__name__, error)


class Session(Struct):
    """The documents of one client, and the processes that work on them, one for each kind of job.

    ``checks`` and ``runs`` are what is being found out of each document.
    """

    server: Server
    documents: dict[str, Document] = field(default_factory=dict)
    workers: dict[str, Worker] = field(default_factory=lambda: {job: Worker() for job in JOBS})
    checks: dict[str, asyncio.Task[None]] = field(default_factory=dict)
    runs: dict[str, set[asyncio.Task[Any]]] = field(default_factory=dict)

    def text(self, text: str, path: str) -> Text:
        encoding = self.server.workspace.position_encoding or types.PositionEncodingKind.Utf16
        return Text(text, path, str(getattr(encoding, "value", encoding)))

    def open(self, uri: str, text: str, version: int | None) -> None:
        """Takes a document, if it is a scenario in a file of this host, and checks it."""
        path = path_of(uri)
        if path is not None:
            self.forget(uri)
            self.documents[uri] = Document(uri, path, self.text(text, path), version)
            self._check(uri)

    def change(
        self,
        uri: str,
        changes: Sequence[types.TextDocumentContentChangeEvent],
        version: int | None,
    ) -> None:
        """Takes a new text; what is being run is another one, and is given up."""
        document = self.documents.get(uri)
        if document is not None:
            text = document.now
            for change in changes:
                new = change.text
                if isinstance(change, types.TextDocumentContentChangePartial):
                    new = text.positions.replaced(change.range, new)
                text = self.text(new, document.path)
            self._take(document, text, version)

    def again(self, uri: str) -> None:
        """Checks a document again as it is: the files that it names may be others by now."""
        document = self.documents.get(uri)
        if document is not None:
            self._take(document, self.text(document.now.text, document.path), document.version)

    def forget(self, uri: str) -> None:
        """Lets go of a document."""
        self._give_up(uri)
        self.documents.pop(uri, None)

    async def close(self) -> None:
        """Ends all that is going on."""
        for tasks in (self.checks.values(), *self.runs.values()):
            for task in list(tasks):
                task.cancel()
        for worker in self.workers.values():
            await worker.close()

    def is_now(self, document: Document, text: Text) -> bool:
        """Whether a document is still open, with that text."""
        return self.documents.get(document.uri) is document and document.now is text

    def _take(self, document: Document, text: Text, version: int | None) -> None:
        self._give_up(document.uri)
        document.change(text, version)
        self._check(document.uri)

    def _give_up(self, uri: str) -> None:
        for task in self.runs.pop(uri, ()):
            task.cancel()

    def _check(self, uri: str) -> None:
        if uri not in self.checks:
            self.checks[uri] = asyncio.create_task(self._until_checked(uri))

    async def _until_checked(self, uri: str) -> None:
        try:
            await self._checked(uri)
        finally:
            del self.checks[uri]

    async def _checked(self, uri: str) -> None:
        """Checks the newest text, and once more as long as there is a newer one then."""
        while (document := self.documents.get(uri)) is not None and document.of is not document.now:
            text = document.now
            found = await self._faults(text)
            document.of, document.checked = text, found
            if not found.faults:
                document.symbols = found.symbols
            if self.is_now(document, text):
                self.publish(document)
                self.refresh()
        if document is None:
            self.server.text_document_publish_diagnostics(types.PublishDiagnosticsParams(uri, []))

    async def _faults(self, text: Text) -> Checked:
        try:
            found: Checked = await self.workers["check"].ask(
                "check", text.text, text.path, seconds=CHECK_SECONDS
            )
        except (Failed, TookTooLong) as why:
            start = Span(text.path, 1, 1, 1, 1)
            return Checked((Diagnostic(f"this could not be checked: {why}", start),))
        return found

    def publish(self, document: Document) -> None:
        """Shows what is wrong with a document."""
        self.server.text_document_publish_diagnostics(
            types.PublishDiagnosticsParams(
                document.uri, diagnostics(document), version=document.version
            )
        )

    def refresh(self) -> None:
        """Has the editor ask for lenses again, if it can."""
        workspace = self.server.client_capabilities.workspace
        if workspace and workspace.code_lens and workspace.code_lens.refresh_support:
            self.server.workspace_code_lens_refresh(None)

    async def run(self, document: Document, job: str, *arguments: Any, seconds: float) -> Any:
        """The answer to a job on a text as it is now, which is given up once the text changes;
        None then, and where it could not be done. Asked for again it is at hand."""
        text = document.now
        key = (job, *arguments)
        if key not in text.answers:
            work = self.workers[job].ask(job, text.text, text.path, *arguments, seconds=seconds)
            text.answers[key] = Asked(self._running(document.uri, work))
        asked = text.answers[key]
        asked.by += 1
        try:
            return await asyncio.shield(asked.task)
        except asyncio.CancelledError:
            if asked.task.cancelled():
                return None
            # Who asks has withdrawn the question: others may wait for the answer still.
            if asked.by == 1:
                asked.task.cancel()
            raise
        except (Failed, TookTooLong) as why:
            return f"Not run to its end: {why}."
        finally:
            asked.by -= 1
            if not asked.by and not asked.is_of_use():
                text.answers.pop(key, None)

    async def press(self, document: Document, line: int | None) -> str | None:
        """What comes of running the clause at a line, or all, in words, and shows it; None where
        that was of a text that is no more."""
        text = document.now
        document.runs[line] = None
        self.refresh()
        ran = Ran("given up", False)
        try:
            answer = await self.run(document, "run", line, seconds=RUN_SECONDS)
            if answer is not None:
                ran = answer if isinstance(answer, Ran) else Ran(answer, False)
        finally:
            # Asked for again it runs again: what the scenario names may be another file by then.
            text.answers.pop(("run", line), None)
            if self.is_now(document, text):
                document.runs[line] = ran
                self.publish(document)
                self.refresh()
        return ran.outcome if self.is_now(document, text) else None

    def _running(self, uri: str, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        task = asyncio.create_task(work)
        tasks = self.runs.setdefault(uri, set())
        tasks.add(task)
        task.add_done_callback(tasks.discard)
        task.add_done_callback(lambda done: done.cancelled() or done.exception())
        return task
