"""``python -m benchmarks.debugging``: what a debugger waits for, in seconds of this host."""

from __future__ import annotations

import socket
import struct
import subprocess
import sys
import tempfile
from pathlib import Path
from time import perf_counter, sleep

from vcpu_scenario.debugger.packets import framed

EXAMPLE = Path(__file__).parents[1] / "docs/examples/first.vcpu.yaml"
STEPS = 1000
LOOP = "M40000000,4:00000014"  # b .
BACK = 10_000
START = 0x4000_0000
COUNTS = (0xD284_E200, 0xD100_0400, 0xB5FF_FFE0, 0xD503_201F, 0xD503_201F)
"""mov x0, #10000; again: sub x0, x0, #1; cbnz x0, again; nop; nop"""
PC = 0x20


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder, "socket"))
        scenario = str(Path(sys.executable).parent / "scenario")
        start = perf_counter()
        server = subprocess.Popen(
            [scenario, "debug", str(EXAMPLE), "--kernel", "6.12", "--socket", path],
            stderr=subprocess.DEVNULL,
        )
        client = _connected(path)
        _ask(client, "?")
        print(f"first stop              {1000 * (perf_counter() - start):8.1f} ms")
        _ask(client, f"M{START:x},{4 * len(COUNTS):x}:{struct.pack('<5I', *COUNTS).hex()}")
        _ask(client, f"P{PC:x}={struct.pack('<Q', START).hex()}")
        _ask(client, f"Z1,{START + 16:x},4")
        _ask(client, "c")
        start = perf_counter()
        _ask(client, "bs")
        print(f"back into a continue    {1000 * (perf_counter() - start):8.1f} ms")
        _ask(client, f"z1,{START + 16:x},4")
        _ask(client, f"P{PC:x}={struct.pack('<Q', START).hex()}")
        _ask(client, LOOP)
        print(f"a step over the socket  {1000 * _steps(client, STEPS):8.3f} ms")
        _steps(client, BACK - STEPS)
        start = perf_counter()
        _ask(client, "bs")
        print(f"back at {BACK} steps    {1000 * (perf_counter() - start):8.1f} ms")
        client.sendall(framed(b"k"))
        server.wait(10)


def _connected(path: str) -> socket.socket:
    client = socket.socket(socket.AF_UNIX)
    while True:
        try:
            client.connect(path)
            return client
        except (FileNotFoundError, ConnectionRefusedError):
            sleep(0.001)


def _ask(client: socket.socket, packet: str) -> bytes:
    client.sendall(framed(packet.encode()))
    came = b""
    while b"#" not in came[:-2]:
        came += client.recv(4096)
    return came


def _steps(client: socket.socket, count: int) -> float:
    """Seconds for each."""
    start = perf_counter()
    for _ in range(count):
        _ask(client, "s")
    return (perf_counter() - start) / count


if __name__ == "__main__":
    main()
