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
from vcpu_scenario.lsp.conversation import _Talk
from vcpu_scenario.lsp.documents import path_of
from vcpu_scenario.lsp.server import serve

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


def spinning(editor: Editor, path: Path, by: str = "executeCommand") -> set[int]:
    """Asks for a run that goes on, by a hover or a lens' command, as "spin"; returns the processes
    that the server has started for it."""
    editor.open(path, SPINNING)
    assert editor.faults(path) == []
    before = children(editor.process.pid)
    uri = path.as_uri()
    if by == "hover":
        place = {"textDocument": {"uri": uri}, "position": {"line": 4, "character": 14}}
        editor.raw(request("spin", "textDocument/hover", place))
    else:
        command = {"command": "scenario.run", "arguments": [uri, None]}
        editor.raw(request("spin", "workspace/executeCommand", command))
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        if found := children(editor.process.pid) - before:
            return found
        time.sleep(0.01)
    raise ServerGone("nothing was started")


class Sink:
    """Where messages go that nobody reads."""

    def write(self, data: bytes) -> None: ...

    def close(self) -> None: ...


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


TAKES = "takes the URI of an open scenario and a clause's line, or null for all"


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (None, TAKES),
        ([], TAKES),
        ([5], TAKES),
        (["{uri}", "4"], TAKES),
        (["{uri}", 1.5], TAKES),
        (["{uri}", True], TAKES),
        (["{uri}", None, None], TAKES),
        (["{uri}", 1], "no clause of expect begins at line 1: null runs all"),
        (["file:///nowhere.vcpu.yaml"], "is not open as a scenario: open it first"),
        (["untitled:made.vcpu.yaml", None], "is not open as a scenario: open it first"),
    ],
)
def test_a_run_that_is_asked_for_wrongly_is_told_how(
    arguments: Any, why: str, shared: Editor, path: Path
) -> None:
    shared.open(path, GOOD)
    if isinstance(arguments, list):
        arguments = [path.as_uri() if each == "{uri}" else each for each in arguments]
    with pytest.raises(ServerGone) as error:
        shared.request(
            "workspace/executeCommand", {"command": "scenario.run", "arguments": arguments}
        )
    assert "'code': -32602" in str(error.value)
    assert why in str(error.value)
    assert "Traceback" not in str(error.value)


def test_an_unknown_command_is_told_the_one_there_is(shared: Editor) -> None:
    with pytest.raises(ServerGone, match=r"-32602.*no command `rm`: there is scenario\.run"):
        shared.request("workspace/executeCommand", {"command": "rm"})


@pytest.mark.parametrize("method", [None, 5, [], {}])
def test_a_question_whose_method_is_no_name_is_refused(method: Any) -> None:
    end = request(3, "shutdown") + framed(b'{"jsonrpc": "2.0", "method": "exit"}')
    status, messages, log = conversation(INITIALIZE + request(2, method) + end)
    assert (status, errors(messages)) == (0, [(2, -32600)])
    assert "Traceback" not in log


def test_what_has_no_answer_cannot_be_asked(shared: Editor, path: Path) -> None:
    with pytest.raises(ServerGone, match=r"-32600.*textDocument/didSave has no answer"):
        shared.request("textDocument/didSave", {"textDocument": {"uri": path.as_uri()}})


@pytest.mark.parametrize("root", [{"rootUri": "http://["}, {"rootUri": None, "rootPath": "//"}])
def test_the_folder_of_the_editor_may_be_anything(root: dict[str, Any]) -> None:
    first = request(1, "initialize", {"processId": None, "capabilities": {}, "rootUri": "", **root})
    end = request(2, "shutdown") + framed(b'{"jsonrpc": "2.0", "method": "exit"}')
    status, messages, _ = conversation(first + end)
    assert (status, errors(messages)) == (0, [])


@pytest.mark.parametrize("what", ["hover", "completion"])
def test_a_long_line_is_read_once(what: str, shared: Editor, path: Path) -> None:
    """A pattern that is tried at each character of a word takes minutes for this one."""
    text = f'title: "{"A" * 200_000}"\nguest: {{words: [1]}}\n'
    shared.open(path, text)
    shared.ask(what, path, 0, text.index("\n"))
    shared.shut(path)


@pytest.mark.parametrize("text", ["title: 😀x\r\n", "title: éx\r"])
def test_a_change_of_a_part_changes_that_part(text: str, shared: Editor, path: Path) -> None:
    """Not asked for by the server: a client that sends it nevertheless has its own text checked."""
    shared.open(path, f"{text}guest: {{words: [1]}}\nabout: y\n")
    assert shared.faults(path) == []
    line = text.partition("\r")[0].partition("\n")[0]
    start, end = (len(line[:at].encode("utf-16-le")) // 2 for at in (len(line) - 1, len(line)))
    last = {"line": 10**6, "character": 0}
    parts = [
        {"start": {"line": 0, "character": start}, "end": {"line": 0, "character": end}},
        {"start": last, "end": last},
    ]
    shared.change_parts(path, [(parts[0], ""), (parts[1], "abuot: z\n")])
    (fault,) = shared.faults(path)
    assert "abuot" in fault["message"]
    assert fault["range"]["start"] == {"line": 3, "character": 0}
    shared.shut(path)


def test_a_notification_leaves_nothing_behind() -> None:
    server, _ = serve()
    talk = _Talk(server)
    server.protocol.set_writer(Sink())
    talk._take(json.loads(INITIALIZE.partition(b"\r\n\r\n")[2]))
    params = {"textDocument": {"uri": "untitled:x", "version": 1}, "contentChanges": []}
    for method, given in (("$/setTrace", {"value": "off"}), ("textDocument/didChange", params)):
        talk._take({"jsonrpc": "2.0", "method": method, "params": given})
    assert server.protocol._request_futures == {}


@pytest.mark.parametrize("how", ["closed", "cancelled"])
def test_a_run_that_is_given_up_shows_nothing_more(how: str, own: Editor, path: Path) -> None:
    started = spinning(own, path)
    if how == "closed":
        own.shut(path)
    else:
        own.notify("$/cancelRequest", {"id": "spin"})
    own.answered("spin")
    assert all(gone(process) for process in started)
    assert own.of("codeLens", path) == [] if how == "closed" else own.of("codeLens", path)
    assert own.shown(path) == []
    own.close()


def test_a_question_that_is_withdrawn_does_not_take_the_same_one_along(
    own: Editor, path: Path
) -> None:
    """An editor withdraws a hover whenever the pointer moves, and asks anew at once."""
    text = SPINNING.replace("600", "1").replace("100000000000", "10000000")
    own.open(path, text)
    assert own.faults(path) == []
    place = {"textDocument": {"uri": path.as_uri()}, "position": {"line": 4, "character": 14}}
    own.raw(request("first", "textDocument/hover", place))
    own.raw(request("second", "textDocument/hover", place))
    own.notify("$/cancelRequest", {"id": "first"})
    answer = own.until(lambda message: message.get("id") == "second")
    assert "kernels" in answer["result"]["contents"]["value"]
    own.close()


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


@pytest.mark.parametrize("how", ["hover", "executeCommand"])
def test_a_scenario_that_spins_is_given_up_once_the_text_changes(
    how: str, own: Editor, path: Path
) -> None:
    started = spinning(own, path, how)
    # No keystroke waits for it.
    own.change(path, SPINNING.replace("title: t", "title: u"))
    assert own.faults(path) == []
    own.answered("spin")
    assert all(gone(process) for process in started)
    own.close()


@pytest.mark.parametrize("how", ["closed", "killed", "terminated"])
def test_whatever_ends_it_leaves_no_process_behind(how: str, own: Editor, path: Path) -> None:
    spinning(own, path)
    below = children(own.process.pid)
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


def test_a_uri_names_the_bytes_of_a_file() -> None:
    assert path_of("file:///a/%ff.vcpu.yaml") == "/a/\udcff.vcpu.yaml"
    assert path_of("file:///a/%F0%9F%98%80.vcpu.yaml") == "/a/😀.vcpu.yaml"
    assert path_of("file:///a/\ud800.vcpu.yaml") is None
