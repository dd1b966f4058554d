"""An editor with scenarios open in `scenario lsp`, over the server's standard streams."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.editor.client import LanguageServer, Message
from tests.editor.marked import Place

COMMAND = [sys.executable, "-P", "-m", "vcpu_scenario", "lsp"]


class Editor(LanguageServer):
    """A client with documents at their own paths."""

    def __init__(self, folder: Path) -> None:
        self._versions: dict[Path, int] = {}
        self._shown: dict[str, list[Message]] = {}
        self._answered: set[Any] = set()
        super().__init__(COMMAND, folder, {})

    @property
    def process(self) -> Any:
        return self._process

    def open(self, path: Path, text: str) -> None:
        self._versions[path] = 1
        document = {"uri": path.as_uri(), "languageId": "yaml", "version": 1, "text": text}
        self.notify("textDocument/didOpen", {"textDocument": document})

    def change(self, path: Path, text: str) -> None:
        self._change(path, [{"text": text}])

    def change_parts(self, path: Path, parts: Sequence[tuple[Message, str]]) -> None:
        """Each a range and what is there from now on."""
        self._change(path, [{"range": range_, "text": text} for range_, text in parts])

    def _change(self, path: Path, changes: Sequence[Message]) -> None:
        self._versions[path] += 1
        document = {"uri": path.as_uri(), "version": self._versions[path]}
        self.notify("textDocument/didChange", {"textDocument": document, "contentChanges": changes})

    def save(self, path: Path) -> None:
        self.notify("textDocument/didSave", {"textDocument": {"uri": path.as_uri()}})

    def shut(self, path: Path) -> None:
        self.notify("textDocument/didClose", {"textDocument": {"uri": path.as_uri()}})

    def faults(self, path: Path) -> list[Message]:
        """What is published of the newest text of a document."""
        wanted = path.as_uri(), self._versions[path]
        message = self.until(
            lambda message: (
                message.get("method") == "textDocument/publishDiagnostics"
                and (message["params"]["uri"], message["params"].get("version")) == wanted
            )
        )
        found: list[Message] = message["params"]["diagnostics"]
        return found

    def shown(self, path: Path) -> list[Message]:
        """What was published last of a document."""
        return self._shown[path.as_uri()]

    def answered(self, number: str) -> None:
        """Waits for the answer to a request that was sent as it is, if it has not come yet."""
        if number not in self._answered:
            self.until(lambda message: message.get("id") == number and "method" not in message)

    def came(self, message: Message) -> None:
        if "method" not in message:
            self._answered.add(message.get("id"))
        if message.get("method") == "textDocument/publishDiagnostics":
            self._shown[message["params"]["uri"]] = message["params"]["diagnostics"]

    def ask(self, what: str, path: Path, line: int, column: int, **more: Any) -> Any:
        """The answer to a question about a place."""
        params = {
            "textDocument": {"uri": path.as_uri()},
            "position": {"line": line, "character": column},
            **more,
        }
        return self.request(f"textDocument/{what}", params)

    def of(self, what: str, path: Path, **more: Any) -> Any:
        """The answer to a question about a whole document."""
        return self.request(
            f"textDocument/{what}", {"textDocument": {"uri": path.as_uri()}, **more}
        )

    def fixes(self, path: Path, fault: Message) -> Any:
        """What is offered for a fault."""
        return self.of("codeAction", path, range=fault["range"], context={"diagnostics": []})

    def run(self, path: Path, line: int | None) -> Any:
        """What a press on a lens gives."""
        params = {"command": "scenario.run", "arguments": [path.as_uri(), line]}
        return self.request("workspace/executeCommand", params)


def place(message: Message) -> Place:
    """Where a diagnostic of one line is."""
    start, end = message["range"]["start"], message["range"]["end"]
    assert start["line"] == end["line"]
    return Place(start["line"], start["character"], end["character"])
