"""The server outlives its clients, whatever they do, and leaves nothing behind."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import sleep

import pytest
from vcpu_scenario.debugger.packets import framed
from vcpu_scenario.debugger.server import CannotListen, listening, serve

from tests.debugger.guests import AT, stub

_PATIENCE = 20.0


@contextmanager
def served(folder: Path) -> Iterator[str]:
    path, over = str(folder / "s"), threading.Event()
    with listening(path=path) as listener:
        made = stub()
        thread = threading.Thread(target=serve, args=(made, listener, lambda: not over.is_set()))
        thread.start()
        try:
            yield path
        finally:
            over.set()
            thread.join(_PATIENCE)
            made.target.session.close()
            assert not thread.is_alive()
    assert not Path(path).exists()


def client(path: str) -> socket.socket:
    made = socket.socket(socket.AF_UNIX)
    made.settimeout(_PATIENCE)
    for _ in range(100):
        try:
            made.connect(path)
            return made
        except BlockingIOError:  # too many that vanished are still to be noticed
            sleep(0.05)
    raise TimeoutError(path)


def ask(to: socket.socket, packet: bytes) -> bytes:
    to.sendall(framed(packet))
    came = b""
    while b"#" not in came[:-2]:
        part = to.recv(4096)
        if not part:
            break
        came += part
    return came


@pytest.mark.slow
def test_a_client_may_vanish_at_any_byte(tmp_path: Path) -> None:
    conversation = (
        framed(b"?") + framed(b"g") + framed(b"s") + framed(b"c") + b"\x03" + framed(b"m0")
    )
    with served(tmp_path) as path:
        for end in range(len(conversation) + 1):
            with client(path) as gone:
                gone.sendall(conversation[:end])
        with client(path) as last:
            assert ask(last, b"qC") == b"+" + framed(b"QC1")


@pytest.mark.slow
def test_a_second_client_is_sent_away(tmp_path: Path) -> None:
    with served(tmp_path) as path, client(path) as first:
        assert ask(first, b"qC") == b"+" + framed(b"QC1")
        with client(path) as second:
            first.sendall(framed(b"c"))
            assert second.recv(100) == b""
            first.sendall(b"\x03")
        came = b""
        while b"T02" not in came:
            part = first.recv(100)
            assert part
            came += part


@pytest.mark.slow
def test_a_detached_guest_runs_on_and_the_next_client_finds_it(tmp_path: Path) -> None:
    with served(tmp_path) as path:
        with client(path) as first:
            assert b"OK" in ask(first, b"D")
        sleep(0.3)  # the guest runs
        with client(path) as second:
            _, registers, _ = ask(second, b"g").replace(b"+$", b"#").split(b"#")
            assert registers[32 * 16 : 33 * 16] != AT.to_bytes(8, "little").hex().encode()


def test_nothing_listens_where_nothing_can(tmp_path: Path) -> None:
    with pytest.raises(CannotListen, match=r"cannot listen at .*none/s"):
        listening(path=str(tmp_path / "none" / "s")).__enter__()
    with listening(0) as one:
        assert one.getsockname()[0] == "127.0.0.1"
