"""A client of the Language Server Protocol over stdio, as small as these tests need."""

from __future__ import annotations

import json
import queue
import subprocess
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

Message = dict[str, Any]

PATIENCE: Final = 120.0
"""Seconds until a server that says nothing counts as dead."""


def framed(body: bytes) -> bytes:
    """A message as the base protocol sends it."""
    return b"Content-Length: %d\r\n\r\n%s" % (len(body), body)


class ServerGone(Exception):
    """The server ended, or has said nothing for too long."""


class LanguageServer:
    """One server process, and the documents that were opened in it."""

    def __init__(self, command: Sequence[str], folder: Path, settings: Message) -> None:
        self._settings = settings
        self._messages: queue.Queue[Message | None] = queue.Queue()
        self._requests = 0
        self._documents = 0
        self._process = subprocess.Popen(
            list(command),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd=folder,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        root = folder.as_uri()
        self.request(
            "initialize",
            {
                "processId": None,
                "rootUri": root,
                "workspaceFolders": [{"uri": root, "name": folder.name}],
                "capabilities": {
                    "workspace": {"configuration": True},
                    "textDocument": {
                        "completion": {"completionItem": {"documentationFormat": ["markdown"]}},
                        "hover": {"contentFormat": ["markdown"]},
                    },
                },
            },
        )
        self.notify("initialized", {})
        self.notify("workspace/didChangeConfiguration", {"settings": settings})

    def diagnostics(self, texts: Mapping[Path, str]) -> dict[Path, list[Message]]:
        """What the server has against each text as the content of its path."""
        waiting = {self._open(path, text): path for path, text in texts.items()}
        found: dict[Path, list[Message]] = {}
        while waiting:
            message = self.until(
                lambda message: message.get("method") == "textDocument/publishDiagnostics"
            )
            uri = message["params"]["uri"]
            if uri in waiting:
                found[waiting.pop(uri)] = message["params"]["diagnostics"]
                self._close(uri)
        return {path: found[path] for path in texts}

    def completions(self, path: Path, text: str, line: int, column: int) -> list[Message]:
        """What the server offers at ``line`` and ``column``, both from 0."""
        found = self._at("textDocument/completion", path, text, line, column)
        items: list[Message] = found["items"] if isinstance(found, dict) else found or []
        return items

    def hover(self, path: Path, text: str, line: int, column: int) -> str:
        """What the server shows over ``line`` and ``column``, both from 0; maybe nothing."""
        found = self._at("textDocument/hover", path, text, line, column)
        return "" if found is None else str(found["contents"]["value"])

    def close(self) -> None:
        """Ends the server as the protocol has it."""
        try:
            self.request("shutdown", None)
            self.notify("exit", None)
            self._process.wait(PATIENCE)
        finally:
            self._process.kill()
            self._process.wait()
            for stream in (self._process.stdin, self._process.stdout):
                if stream is not None:
                    stream.close()

    def _at(self, method: str, path: Path, text: str, line: int, column: int) -> Any:
        uri = self._open(path, text)
        position = {"line": line, "character": column}
        result = self.request(method, {"textDocument": {"uri": uri}, "position": position})
        self._close(uri)
        return result

    def _open(self, path: Path, text: str) -> str:
        # Each document is new to the server, so that nothing it says is of an earlier one.
        self._documents += 1
        uri = path.with_name(f"{self._documents}.{path.name}").as_uri()
        document = {"uri": uri, "languageId": "yaml", "version": 1, "text": text}
        self.notify("textDocument/didOpen", {"textDocument": document})
        return uri

    def _close(self, uri: str) -> None:
        self.notify("textDocument/didClose", {"textDocument": {"uri": uri}})

    def request(self, method: str, params: Any) -> Any:
        """The result that the server answers with. Raises :class:`ServerGone` for an error."""
        self._requests += 1
        number = self._requests
        self._send({"id": number, "method": method, "params": params})
        answer = self.until(lambda message: message.get("id") == number and "method" not in message)
        if "error" in answer:
            raise ServerGone(f"{method}: {answer['error']}")
        return answer["result"]

    def notify(self, method: str, params: Any) -> None:
        """Says something that has no answer."""
        self._send({"method": method, "params": params})

    def _send(self, message: Message) -> None:
        self.raw(framed(json.dumps({"jsonrpc": "2.0", **message}).encode()))

    def raw(self, data: bytes) -> None:
        """Writes bytes, whether or not they are a message."""
        stream = self._process.stdin
        assert stream is not None
        stream.write(data)
        stream.flush()

    def until(self, wanted: Callable[[Message], bool]) -> Message:
        """The first message that is ``wanted``; the server's own requests are answered."""
        while True:
            try:
                message = self._messages.get(timeout=PATIENCE)
            except queue.Empty:
                raise ServerGone(f"nothing came in {PATIENCE:.0f} s") from None
            if message is None:
                raise ServerGone("the server has ended")
            self.came(message)
            if wanted(message):
                return message
            if "id" in message and "method" in message:
                self._answer(message)

    def came(self, message: Message) -> None:
        """Takes notice of a message, whoever waits for it."""

    def _answer(self, request: Message) -> None:
        result: Any = None
        if request["method"] == "workspace/configuration":
            sections = (item.get("section", "") for item in request["params"]["items"])
            result = [self._settings.get(section) for section in sections]
        self._send({"id": request["id"], "result": result})

    def _read(self) -> None:
        stream = self._process.stdout
        assert stream is not None
        while True:
            length = 0
            while (header := stream.readline()) not in (b"\r\n", b""):
                name, _, value = header.partition(b":")
                if name.lower() == b"content-length":
                    length = int(value)
            body = stream.read(length)
            if not length or len(body) < length:
                self._messages.put(None)
                return
            self._messages.put(json.loads(body))
