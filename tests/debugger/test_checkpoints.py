"""The way back over processes that wait: the same states as they were, and nobody left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from random import Random
from time import monotonic, sleep
from typing import IO, Final

import pytest
from vcpu_scenario.debugger.checkpoints import Checkpoints
from vcpu_scenario.debugger.dialect import OURS
from vcpu_scenario.debugger.finer import state_of
from vcpu_scenario.debugger.handlers import HANDLERS
from vcpu_scenario.debugger.history import History
from vcpu_scenario.debugger.stub import Stub
from vcpu_scenario.vmm.session import never

from tests.debugger.guests import AGAIN, making

pytestmark = pytest.mark.slow

ROOT: Final = Path(__file__).parents[2]
_PATIENCE: Final = 60.0


class Client:
    """A debugger on the pipes of a process."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self._out: IO[bytes] = process.stdin
        self._in: IO[bytes] = process.stdout

    def ask(self, packet: str) -> str:
        data = packet.encode()
        self._out.write(b"$%s#%02x+" % (data, sum(data) & 0xFF))
        self._out.flush()
        while (byte := self._in.read(1)) != b"$":
            assert byte
        reply = b""
        while (byte := self._in.read(1)) != b"#":
            assert byte
            reply += byte
        self._in.read(2)
        return reply.decode()

    def state(self) -> str:
        return self.ask("g")


@contextmanager
def serving(vmm: str, kernel: str, every: int, most: int) -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, "-m", "tests.debugger.forking", vmm, kernel, str(every), str(most)]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, cwd=ROOT, stdin=pipe, stdout=pipe, process_group=0) as process:
        yield process
        if process.stdin is not None and not process.stdin.closed:
            process.stdin.close()
        assert process.wait(_PATIENCE) is not None
        assert ended(process.pid), "a process was left behind"


def ended(group: int) -> bool:
    """Whether there comes to be no process of the group."""
    start = monotonic()
    while monotonic() - start < _PATIENCE:
        if not is_alive(group):
            return True
        sleep(0.02)
    os.killpg(group, signal.SIGKILL)
    return False


def is_alive(group: int) -> bool:
    """Whether a process of the group runs; one that ended stays where nobody waits for it."""
    for process in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            state, _, of = process.read_text().rpartition(")")[2].split()[:3]
            if int(of) == group and state not in "ZX":
                return True
    return False


@pytest.mark.parametrize(
    ("vmm", "kernel"), [("qemu", "5.10"), ("qemu-2017", "6.12"), ("plain", "7.2")]
)
def test_back_and_forth_the_states_are_the_same(vmm: str, kernel: str) -> None:
    with serving(vmm, kernel, every=5, most=4) as process:
        client = Client(process)
        states = [client.state()]
        random, at = Random(11), 0
        for _ in range(40):
            wanted = random.randrange(60)
            while at < wanted:
                assert client.ask("s").startswith("T05")
                at += 1
                if at == len(states):
                    states.append(client.state())
                assert client.state() == states[at]
            while at > wanted:
                assert client.ask("bs").startswith("T05")
                at -= 1
                assert client.state() == states[at]


def test_reverse_continue_finds_the_breakpoint_that_was_passed() -> None:
    with serving("qemu", "6.12", every=4, most=8) as process:
        client = Client(process)
        for _ in range(30):
            client.ask("s")
        assert client.ask(f"Z0,{AGAIN:x},4") == "OK"
        assert client.ask("bc").startswith("T05")
        there = client.state()
        assert client.ask("bs").startswith("T05")
        assert client.ask("s").startswith("T05")
        assert client.state() == there
        assert client.ask(f"m{AGAIN:x},4") != "00000000"
        assert client.ask(f"z0,{AGAIN:x},4") == "OK"
        assert "replaylog:begin" in client.ask("bc")


def test_what_the_debugger_wrote_is_undone_and_done_again() -> None:
    with serving("qemu", "6.12", every=3, most=8) as process:
        client = Client(process)
        for step in range(20):
            client.ask("s")
            client.ask(f"P2={step:02x}00000000000000")
        last = client.state()
        for _ in range(9):
            client.ask("bs")
        assert client.ask("p2") == "0a00000000000000"
        for step in range(11, 20):
            client.ask("s")
            client.ask(f"P2={step:02x}00000000000000")
        assert client.state() == last


def test_the_first_process_ends_when_the_last_has_and_says_what_comes_then() -> None:
    with serving("qemu", "6.12", every=2, most=8) as process:
        client = Client(process)
        for packet in ("s", "s", "s", "bs", "s", "s", "bs", "bs"):
            client.ask(packet)
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.close()
        assert process.stdout.read().endswith(b"over\n")
        assert process.wait(_PATIENCE) == 0


def test_without_the_first_process_there_are_no_others() -> None:
    with serving("qemu", "6.12", every=2, most=8) as process:
        client = Client(process)
        for packet in ("s", "s", "s", "s", "s", "bs"):
            client.ask(packet)
        process.kill()


def test_where_no_process_can_be_made_the_way_back_is_the_long_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse() -> int:
        raise BlockingIOError

    history = History(making("qemu", "6.12"))
    kept = Checkpoints(Stub(history, OURS, HANDLERS), history, every=2, most=8)
    monkeypatch.setattr(os, "fork", refuse)
    states = []
    for _ in range(8):
        states.append(state_of(history.session))
        history.resume(True, never)
        assert not kept.keep()
    for state in reversed(states):
        history.back(step=True)
        assert state_of(history.session) == state
    history.close()
