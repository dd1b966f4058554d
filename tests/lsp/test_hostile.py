"""The server outlives what a client may send, and ends when the client does."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from vcpu_scenario.language.files import MAX_SCENARIO

from tests.editor.client import PATIENCE, ServerGone, framed

from .client import COMMAND, Editor

pytestmark = pytest.mark.slow  # a language server is started

GOOD = "title: t\nguest: {words: [1]}\n"
SPINNING = """\
title: t
guest: {words: [0x14000000]}
limits: {seconds: 600, instructions: 100000000000}
expect:
  - exits: [mmio: {read: 0x09000000, len: 4}]
"""
"""A guest that branches to itself, for as long as a scenario may."""


def children(of: int) -> set[int]:
    """The processes below one."""
    found = set()
    for status in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            parent = int(status.read_text().rpartition(")")[2].split()[1])
            if parent == of:
                found.add(int(status.parent.name))
    return found


def gone(process: int) -> bool:
    """Whether a process ends, within the time that a test has."""
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        try:
            state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            return True
        if state == "Z":
            return True
        time.sleep(0.01)
    return False


def another(editor: Editor, before: set[int]) -> set[int]:
    """The processes that a server has started since."""
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        if found := children(editor.process.pid) - before:
            return found
        time.sleep(0.01)
    raise ServerGone("nothing was started")


def request(number: Any, method: Any, params: Any = None) -> bytes:
    message = {"jsonrpc": "2.0", "id": number, "method": method, "params": params}
    return framed(json.dumps(message).encode())


INITIALIZE = request(1, "initialize", {"processId": None, "rootUri": None, "capabilities": {}})


def conversation(data: bytes) -> tuple[int, list[dict[str, Any]], str]:
    """What a server does with all that it is ever sent: its status, its messages, its log."""
    done = subprocess.run(COMMAND, input=data, capture_output=True, timeout=PATIENCE, check=False)
    return done.returncode, list(_messages(done.stdout)), done.stderr.decode()


def _messages(data: bytes) -> Iterator[dict[str, Any]]:
    while data:
        head, _, rest = data.partition(b"\r\n\r\n")
        (length,) = (
            int(line.partition(b":")[2])
            for line in head.split(b"\r\n")
            if line.startswith(b"Content-Length")
        )
        yield json.loads(rest[:length])
        data = rest[length:]


def errors(messages: list[dict[str, Any]]) -> list[tuple[Any, int]]:
    return [(each["id"], each["error"]["code"]) for each in messages if "error" in each]


PASSED_OVER = {
    "no JSON": (framed(b"{"), -32700),
    "no text": (framed(b"\xff\xfe"), -32700),
    "nothing": (framed(b""), -32700),
    "a header of something else": (b"Foo: bar\r\n\r\n", -32700),
    "nested beyond any sense": (framed(b"[" * 200_000), -32700),
    "larger than any scenario": (framed(b" " * (33 << 20)), -32700),
}


@pytest.mark.parametrize("what", PASSED_OVER)
def test_what_is_no_message_is_refused_and_the_next_one_answered(what: str) -> None:
    bad, code = PASSED_OVER[what]
    end = request(2, "shutdown") + framed(b'{"jsonrpc": "2.0", "method": "exit"}')
    status, messages, log = conversation(INITIALIZE + bad + end)
    assert status == 0
    assert errors(messages) == [(None, code)]
    assert [each["id"] for each in messages if "result" in each] == [1, 2]
    assert "Traceback" not in log


SENSELESS = {
    "a list": b"[]",
    "a number": b"5",
    "no version": b'{"id": 7, "method": "shutdown"}',
    "an answer to nothing": b'{"jsonrpc": "2.0", "id": 99, "result": null}',
    "an answer with an id of its own kind": b'{"jsonrpc": "2.0", "id": [1], "result": null}',
    "a method that there is not": b'{"jsonrpc": "2.0", "method": "foo/bar"}',
    "an unknown document": (
        b'{"jsonrpc": "2.0", "method": "textDocument/didChange", "params": {"textDocument":'
        b' {"uri": "file:///nowhere.vcpu.yaml", "version": 2}, "contentChanges": [{"text": ""}]}}'
    ),
    "a document that was never open": (
        b'{"jsonrpc": "2.0", "method": "textDocument/didClose", "params": {"textDocument":'
        b' {"uri": "file:///nowhere.vcpu.yaml"}}}'
    ),
    "parameters of another shape": (
        b'{"jsonrpc": "2.0", "method": "textDocument/didOpen", "params": {"textDocument": 5}}'
    ),
    "a number for a method": b'{"jsonrpc": "2.0", "method": 5}',
    "a list for a method": b'{"jsonrpc": "2.0", "method": []}',
}


@pytest.mark.parametrize("what", SENSELESS)
def test_what_makes_no_sense_has_no_answer_and_does_no_harm(what: str) -> None:
    end = request(2, "shutdown") + framed(b'{"jsonrpc": "2.0", "method": "exit"}')
    status, messages, log = conversation(INITIALIZE + framed(SENSELESS[what]) + end)
    assert status == 0
    assert [each["id"] for each in messages if "id" in each] == [1, 2]
    assert "Traceback" not in log


@pytest.mark.parametrize(
    ("method", "params"),
    [
        ("textDocument/hover", {}),
        ("textDocument/hover", None),
        ("textDocument/completion", {"textDocument": {"uri": 5}, "position": []}),
        ("workspace/executeCommand", {"command": "scenario.run", "arguments": [5, 5, 5]}),
        ("workspace/executeCommand", {"command": "rm"}),
        ("textDocument/foldingRange", {"textDocument": {"uri": "x"}}),
        ("foo", None),
    ],
)
def test_a_question_without_sense_is_answered_with_an_error(
    method: str, params: Any, shared: Editor
) -> None:
    with pytest.raises(ServerGone, match="'code': -32"):
        shared.request(method, params)


@pytest.mark.parametrize("position", [(10**6, 0), (0, 10**6), (2**31 - 1, 2**31 - 1)])
@pytest.mark.parametrize("what", ["hover", "completion", "definition"])
def test_a_place_beyond_the_text_is_its_end(
    what: str, position: tuple[int, int], shared: Editor, path: Path
) -> None:
    shared.open(path, GOOD)
    shared.ask(what, path, *position)


@pytest.mark.parametrize(
    "uri",
    [
        "file:///tmp/other.yaml",
        "untitled:made.vcpu.yaml",
        "file://elsewhere/made.vcpu.yaml",
        "http://[",
        "made.vcpu.yaml",
        "file:///tmp/%00.vcpu.yaml",
        "",
    ],
)
@pytest.mark.parametrize("what", ["hover", "completion", "definition"])
def test_what_is_no_scenario_of_this_host_is_left_alone(
    what: str, uri: str, shared: Editor
) -> None:
    document = {"uri": uri, "languageId": "yaml", "version": 1, "text": "a: ["}
    shared.notify("textDocument/didOpen", {"textDocument": document})
    params = {"textDocument": {"uri": uri}, "position": {"line": 0, "character": 0}}
    assert shared.request(f"textDocument/{what}", params) is None
    shared.notify("textDocument/didClose", {"textDocument": {"uri": uri}})


def test_before_it_is_initialized_and_after_its_end_it_refuses() -> None:
    before = request(5, "textDocument/hover", {})
    after = request(6, "textDocument/hover", {}) + request(7, "shutdown")
    again = request(8, "initialize", {"processId": None, "rootUri": None, "capabilities": {}})
    data = before + INITIALIZE + again + request(2, "shutdown") + after
    status, messages, _ = conversation(data + framed(b'{"jsonrpc": "2.0", "method": "exit"}'))
    assert status == 0
    assert errors(messages) == [(5, -32002), (8, -32600), (6, -32600), (7, -32600)]


def test_the_end_comes_in_order_whatever_is_still_being_answered(path: Path) -> None:
    document = {"uri": path.as_uri(), "languageId": "yaml", "version": 1, "text": SPINNING}
    opened = {"method": "textDocument/didOpen", "params": {"textDocument": document}}
    run = {"command": "scenario.run", "arguments": [path.as_uri(), None]}
    data = b"".join(
        (
            INITIALIZE,
            framed(json.dumps({"jsonrpc": "2.0", **opened}).encode()),
            *(request(number, "workspace/executeCommand", run) for number in (2, 3)),
            request(4, "shutdown"),
            framed(b'{"jsonrpc": "2.0", "method": "exit"}'),
        )
    )
    status, messages, log = conversation(data)
    assert status == 0
    assert errors(messages) == [(2, -32800), (3, -32800)]
    assert [each["id"] for each in messages if "result" in each] == [1, 4]
    assert "Error" not in log


@pytest.mark.parametrize(
    "data",
    [
        b"",
        INITIALIZE,
        INITIALIZE + b"Content-Length: 100\r\n\r\n{",
        INITIALIZE + b"Content-Length: many\r\n\r\n{}",
        INITIALIZE + b"Content-Length: -1\r\n\r\n{}",
        INITIALIZE + b"Content-Length: 1_0\r\n\r\n{}",
        INITIALIZE + b"Content-Length: " + b"9" * 4000 + b"\r\n\r\n{}",
        INITIALIZE + b"x" * 100_000,
        INITIALIZE + b"a: b\r\n" * 10_000,
        b"GET / HTTP/1.1\r\n\r\n",
    ],
)
def test_a_client_that_vanishes_or_cannot_be_understood_ends_it(data: bytes) -> None:
    status, _, log = conversation(data)
    assert status == 1
    assert "Traceback" not in log


def test_nothing_but_messages_is_on_standard_output(own: Editor, path: Path) -> None:
    own.open(path, GOOD)
    own.faults(path)
    own.close()
    assert own.process.returncode == 0


def test_a_huge_document_is_told_to_be_too_large(shared: Editor, path: Path) -> None:
    shared.open(path, GOOD + "#" * MAX_SCENARIO)
    (fault,) = shared.faults(path)
    assert "larger than 1 MiB" in fault["message"]
    assert shared.ask("hover", path, 0, 1) is None
    shared.shut(path)


def test_half_a_surrogate_is_a_fault_and_no_end(shared: Editor, path: Path) -> None:
    shared.open(path, f"{GOOD}about: '\ud800'\n")
    assert len(shared.faults(path)) == 1


def test_opening_and_checking_runs_nothing(own: Editor, path: Path) -> None:
    own.open(path, SPINNING)
    own.faults(path)
    own.of("codeLens", path)
    own.ask("completion", path, 0, 0)
    (checker,) = children(own.process.pid)
    own.close()
    assert gone(checker)


@pytest.mark.parametrize("how", ["hover", "lens"])
def test_a_scenario_that_spins_is_given_up_once_the_text_changes(
    how: str, own: Editor, path: Path
) -> None:
    own.open(path, SPINNING)
    assert own.faults(path) == []
    before = children(own.process.pid)
    uri = path.as_uri()
    if how == "hover":
        params = {"textDocument": {"uri": uri}, "position": {"line": 4, "character": 14}}
        own.raw(request("spin", "textDocument/hover", params))
    else:
        arguments = {"command": "scenario.run", "arguments": [uri, None]}
        own.raw(request("spin", "workspace/executeCommand", arguments))
    started = another(own, before)
    # No keystroke waits for it.
    own.change(path, SPINNING.replace("title: t", "title: u"))
    assert own.faults(path) == []
    own.answered("spin")
    assert all(gone(process) for process in started)
    own.close()


@pytest.mark.parametrize("how", ["closed", "killed", "terminated"])
def test_whatever_ends_it_leaves_no_process_behind(how: str, own: Editor, path: Path) -> None:
    own.open(path, SPINNING)
    own.faults(path)
    before = children(own.process.pid)
    arguments = {"command": "scenario.run", "arguments": [path.as_uri(), None]}
    own.raw(request("spin", "workspace/executeCommand", arguments))
    below = before | another(own, before)
    if how == "closed":
        own.process.stdin.close()
    else:
        own.process.send_signal(signal.SIGKILL if how == "killed" else signal.SIGTERM)
    own.process.wait(PATIENCE)
    assert all(gone(process) for process in below)


def test_a_stranger_in_the_working_folder_is_not_imported(tmp_path: Path) -> None:
    """An editor starts a server in the folder that is open."""
    for name in ("vcpu_scenario", "yaml", "json", "pickle", "jsonschema", "pygls"):
        (tmp_path / f"{name}.py").write_text(f"open({str(tmp_path / 'run')!r}, 'w')\n")
    editor = Editor(tmp_path)
    path = tmp_path / "made.vcpu.yaml"
    editor.open(path, GOOD)
    assert editor.faults(path) == []
    editor.close()
    assert not (tmp_path / "run").exists()


def test_it_needs_a_pipe(tmp_path: Path) -> None:
    file = tmp_path / "input"
    file.write_bytes(INITIALIZE)
    with file.open("rb") as stdin:
        done = subprocess.run(
            COMMAND, stdin=stdin, capture_output=True, timeout=PATIENCE, check=False
        )
    assert done.returncode == 4
    assert done.stdout == b""
    assert b"for an editor" in done.stderr


def test_one_socket_for_both_streams_will_do() -> None:
    """As from a server of the internet, or a terminal: reading without waiting must not make
    writing fail."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        process = subprocess.Popen(
            COMMAND, stdin=theirs.fileno(), stdout=theirs.fileno(), stderr=subprocess.DEVNULL
        )
        theirs.close()
        end = request(500, "shutdown") + framed(b'{"jsonrpc": "2.0", "method": "exit"}')
        asked = [INITIALIZE, *(request(number, "foo" * 200) for number in range(2, 400)), end]
        # As an editor, which writes while it reads.
        data = b"".join(asked)
        threading.Thread(target=ours.sendall, args=(data,), daemon=True).start()
        answers = b"".join(iter(lambda: ours.recv(1 << 16), b""))
        assert process.wait(PATIENCE) == 0
    assert [each["id"] for each in _messages(answers)] == [*range(1, 400), 500]
