#!/usr/bin/python3 -ISB
"""In a lab's guest: runs each case before a tracer, and writes what that says of it.

What follows this program calls ``main``. It writes a JSON list of texts, packed.
"""

import base64
import ctypes
import io
import json
import os
import subprocess
import sys
import tarfile
import zlib
from typing import IO

sys.path.insert(0, "/lab")

from vcpu_scenario.interchange.cases import load_case
from vcpu_scenario.machine.errors import Unsupported
from vcpu_scenario.machine.real.machine import RealMachine
from vcpu_scenario.vmm.loop import run_case

TRACEFS = "/sys/kernel/tracing"
CASE = "/programs/case"
TEXT = "/programs/text"
DATA = "/programs/trace.dat"


def run() -> None:
    with open(CASE) as file:
        case = load_case(file.read())
    with RealMachine() as machine:
        run_case(machine, case)


def put(name: str, text: str) -> None:
    with open(f"{TRACEFS}/{name}", "w") as file:
        file.write(text)


def ftrace() -> None:
    put("tracing_on", "0")
    put("buffer_size_kb", "4096")
    for system in os.listdir(f"{TRACEFS}/events"):
        if system.startswith(("kvm", "vgic")):
            put(f"events/{system}/enable", "1")
    put("trace", "")
    put("tracing_on", "1")
    run()
    put("tracing_on", "0")
    with open(f"{TRACEFS}/trace") as file, open(TEXT, "w") as text:
        text.write(file.read())


def trace_cmd() -> None:
    call("trace-cmd", "record", "-q", "-e", "kvm", "-o", DATA, *ITSELF)
    with open(TEXT, "w") as text:
        call("trace-cmd", "report", "-i", DATA, stdout=text)


def strace() -> None:
    call("strace", "-f", "-e", "trace=ioctl", "-o", TEXT, *ITSELF)


def strace_kvm() -> None:
    call("strace", "-f", "-tt", "-e", "trace=ioctl", "-e", "kvm=vcpu", "-o", TEXT, *ITSELF)


ITSELF = ("/programs/program", "run")


def call(*command: str, stdout: IO[str] | None = None) -> None:
    subprocess.run(command, check=True, stdout=stdout or sys.stderr)


def unpack(tools: str) -> None:
    packed = io.BytesIO(zlib.decompress(base64.b64decode(tools)))
    with tarfile.open(fileobj=packed) as archive:
        archive.extractall("/")
    os.environ["PATH"] = "/usr/bin"
    os.environ["LD_LIBRARY_PATH"] = "/usr/lib/aarch64-linux-gnu:/lib/aarch64-linux-gnu"


def main(tracer: str, cases: str, tools: str) -> None:
    if sys.argv[1:] == ["run"]:
        run()
        return
    if tools:
        unpack(tools)
    if not os.path.exists(f"{TRACEFS}/trace"):
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.mount(b"tracefs", TRACEFS.encode(), b"tracefs", 0, None):
            sys.exit(f"tracefs: {os.strerror(ctypes.get_errno())}")
    texts = []
    for case in json.loads(cases):
        with open(CASE, "w") as file:
            json.dump(case, file)
        try:
            globals()[tracer]()
        except (Unsupported, subprocess.CalledProcessError) as reason:
            print(f"{tracer}: {reason}")
            texts.append("")
            continue
        with open(TEXT) as file:
            texts.append(file.read())
    print(base64.b64encode(zlib.compress(json.dumps(texts).encode(), 9)).decode())
