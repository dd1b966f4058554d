"""What QEMU told a debugger over the wire, recorded under real kernels, and played to our stub.

Recorded from Debian's QEMU 7.2.22 and 10.0.13, and from 7.2.22 with the patch of the thread of
2017, under KVM of six kernels: ``tests/recorded/vmm/wire.json.xz``, and ``packets.json.xz`` with
packets in every shape, accesses of every kind beside a watchpoint, and breakpoints behind
everything that leaves the guest; in ``vcpus.json.xz`` are guests of several vCPUs, which is
``vcpus`` of a session; ``system.json.xz`` has all system registers, of a vCPU with a PMU, ``pmu``.
``{"guests": {name: {"at": entry, "code": {address: hex}}},
"recordings": [{"vmm", "version", "kernel", "cpu", "sessions": [...]}]}``. A session is
``{"guest", "session", "packets", "stops", "output"}``: the packets are
``[sent, received]``, null where no answer came in time, a list where several came, ``{"text":
"l"}`` for a description of registers, of which only the first letter is kept, ``{"varies": [...]}``
where two recordings differ. ``^C`` is the byte 3, ``(connect)`` a new client, ``(closed)`` the end
of the process, and an empty packet with an answer one that came unasked. A stop is ``[packets
before it, pc, pstate, the registers that are others than at the stop before]``, with a fifth member
that names what differs between two recordings.
"""

from __future__ import annotations

import json
import lzma
import re
from collections import defaultdict, deque
from collections.abc import Callable, Iterator
from functools import cache
from itertools import chain
from pathlib import Path
from typing import Any, Final, NamedTuple

from vcpu_scenario.case import Case, Device, Gic, Load, Memslot, RunVcpu, SetRegister
from vcpu_scenario.debugger.dialect import STRICT
from vcpu_scenario.debugger.handlers import HANDLERS
from vcpu_scenario.debugger.history import History
from vcpu_scenario.debugger.packets import framed
from vcpu_scenario.debugger.stub import Stub
from vcpu_scenario.ioctls.attributes import DeviceAttr, SetDeviceAttr
from vcpu_scenario.kvm.features import PMU_V3
from vcpu_scenario.kvm.vcpuattrs import (
    KVM_ARM_VCPU_PMU_V3_CTRL,
    KVM_ARM_VCPU_PMU_V3_INIT,
    KVM_ARM_VCPU_PMU_V3_IRQ,
)
from vcpu_scenario.machine.errors import NotModelled
from vcpu_scenario.vmm.session import Session
from vcpu_scenario.vmm.vmms.terms import CPSR, PC, SP

_NAMES: Final = ("wire", "packets", "vcpus", "system")
_FOLDER: Final = Path(__file__).parents[1] / "recorded" / "vmm"
RECORDED: Final = tuple(_FOLDER / f"{name}.json.xz" for name in _NAMES)

_RAM: Final = Memslot(0x4000_0000, 0x0400_0000)
_FLASH: Final = Memslot(0, 0x0800_0000, readonly=True)
_PSTATE: Final = 0x4000_03C5
"""QEMU's first: EL1h, D, A, I and F set, and Z."""


def _id(*parts: int) -> tuple[tuple[int, int], ...]:
    """The PeriphID registers of one of Arm's devices."""
    return tuple((0xFE0 + 4 * n, part) for n, part in enumerate(parts))


_DEVICES: Final = (
    Device("pl011", 0x0900_0000, 0x1000, "pl011", registers=((0x30, 0x300),)),
    Device("pl031", 0x0901_0000, 0x1000, registers=_id(0x31, 0x10, 0x14, 0)),
    Device("fw_cfg", 0x0902_0000, 0x1000, "scripted", replies=((0, tuple(b"QEMU")),)),
    Device("pl061", 0x0903_0000, 0x1000, registers=_id(0x61, 0x10, 4, 0)),
    Device("virtio", 0x0A00_0000, 0x200, registers=((0, 0x7472_6976), (4, 1), (12, 0x554D_4551))),
)
_PMU: Final = (
    SetDeviceAttr(DeviceAttr("vcpu", KVM_ARM_VCPU_PMU_V3_CTRL, KVM_ARM_VCPU_PMU_V3_IRQ), 23),
    SetDeviceAttr(DeviceAttr("vcpu", KVM_ARM_VCPU_PMU_V3_CTRL, KVM_ARM_VCPU_PMU_V3_INIT)),
)
_REGISTERS: Final = {**{f"x{n}": n for n in range(31)}, "sp": SP, "pc": PC, "pstate": CPSR}
_PACKET: Final = re.compile(rb"\$([^#]*)#..", re.DOTALL)
_LOOKS: Final = 300
"""Slices after which a guest that was to stop has not."""
_RUNS: Final = 20
"""Slices that a guest runs which is interrupted then."""


class Difference(NamedTuple):
    """``at`` counts packets; ``what`` is the packet, or the register at the stop after it."""

    at: int
    what: str
    recorded: Any
    found: Any


class Recorded(NamedTuple):
    vmm: str
    version: str
    kernel: str
    cpu: str
    guest: str
    name: str
    packets: tuple[tuple[str, Any], ...]
    stops: tuple[tuple[Any, ...], ...]
    output: str
    vcpus: int
    pmu: bool
    entry: int
    loads: tuple[Load, ...]

    @property
    def case(self) -> Case:
        off = (SetRegister("pstate", _PSTATE), SetRegister("pc", self.entry))
        return Case(
            vcpus=self.vcpus,
            features=(PMU_V3,) if self.pmu else (),
            before=tuple(
                chain(_PMU if self.pmu else (), *((RunVcpu(n), *off) for n in range(1, self.vcpus)))
            ),
            slots=(_FLASH, _RAM),
            loads=self.loads,
            regs=(("pstate", _PSTATE), ("pc", self.entry)),
            caps=("arm_nisv_to_user",),
            gic=Gic(3, 0x0800_0000, 0x080A_0000),
            devices=_DEVICES,
            default_reply=0,
        )


@cache
def recorded() -> tuple[Recorded, ...]:
    documents = (json.loads(lzma.decompress(path.read_bytes())) for path in RECORDED)
    return tuple(chain.from_iterable(map(of_document, documents)))


def of_document(document: Any) -> tuple[Recorded, ...]:
    """Its sessions."""
    guests = {
        name: (
            guest["at"],
            tuple(Load(int(at, 16), bytes.fromhex(code)) for at, code in guest["code"].items()),
        )
        for name, guest in document["guests"].items()
    }
    return tuple(
        Recorded(
            vmm=each["vmm"],
            version=each["version"],
            kernel=each["kernel"],
            cpu=each["cpu"],
            guest=session["guest"],
            name=session["session"],
            packets=tuple(map(tuple, session["packets"])),
            stops=tuple(map(tuple, session["stops"])),
            output=session["output"],
            vcpus=session.get("vcpus", 1),
            pmu=session.get("pmu", False),
            entry=guests[session["guest"]][0],
            loads=guests[session["guest"]][1],
        )
        for each in document["recordings"]
        for session in each["sessions"]
    )


class Client:
    """A debugger that sends packets to a stub of ours, and takes what comes."""

    def __init__(self, make: Callable[[], Session], vmm: str) -> None:
        self.history = History(make)
        self.stub = Stub(self.history, STRICT[vmm], HANDLERS)
        self._came = deque[str]()
        self._take(self.stub.connected())

    def _take(self, data: bytes) -> None:
        self._came.extend(packet.decode("latin1") for packet in _PACKET.findall(data))

    def next(self) -> str | None:
        return self._came.popleft() if self._came else None

    def send(self, packet: str, *, waits: bool, interrupts: bool) -> str | None:
        """The answer. A resume that is not waited for goes on; ``interrupts``: a ^C right behind
        it."""
        if self.stub.closing:
            return self.next()
        data = framed(packet.encode("latin1"))
        self._take(self.stub.receive(data + (b"\x03" if interrupts else b"")))
        if self.stub.resume is not None:
            if not waits:
                return None
            self._run(_LOOKS, b"\x03")
        return self.next()

    def _run(self, looks: int, end: bytes | None) -> None:
        left = iter(range(looks))
        self._take(self.stub.run(lambda: end if next(left, None) is None else b""))

    def interrupt(self) -> str | None:
        if self.stub.resume is None:
            self._take(self.stub.receive(b"\x03"))
        else:
            self._run(_RUNS, b"\x03")
        return self.next()

    def connect(self) -> None:
        """Another client comes, to a guest that runs on if it was left to."""
        if self.stub.resume is not None:
            self._run(_RUNS, None)
        elif self.stub.detached:
            left = iter(range(_RUNS))
            self.history.resume(False, lambda: next(left, None) is None)
        self._take(self.stub.connected())


def differences(session: Recorded, make: Callable[[], Session]) -> Iterator[Difference | None]:
    """Plays the session: what differs at each packet and each register of a stop, None where
    nothing does; it ends where the machine models no more."""
    client = Client(make, session.vmm)
    stops: defaultdict[int, list[tuple[Any, ...]]] = defaultdict(list)
    for stop in session.stops:
        stops[stop[0]].append(stop)
    registers = dict.fromkeys(_REGISTERS, 0)
    try:
        for at in range(len(session.packets) + 1):
            if at:
                yield from _packet(client, at - 1, *session.packets[at - 1])
            for stop in stops[at]:
                yield from _stop(client, stop, registers)
        found = client.history.session.bus.outputs().get("pl011", b"").decode("latin1")
        yield _difference(len(session.packets), "output", session.output, found)
    except NotModelled as limit:
        yield Difference(at, "not modelled", "", str(limit))
    finally:
        client.history.close()


def _packet(client: Client, at: int, sent: str, received: Any) -> Iterator[Difference | None]:
    if sent == "(connect)":
        client.connect()
        return
    if sent == "(closed)":
        yield _difference(at, sent, True, client.stub.closing)
        return
    if sent == "" and received:
        found = client.next()
    elif sent in ("^C", "^C^C"):
        found = client.interrupt()
    else:
        interrupts = isinstance(received, str) and received.startswith("T02")
        found = client.send(sent, waits=received is not None, interrupts=interrupts)
    if isinstance(received, dict):
        if "text" in received:
            found = found and found[:1]
            received = received["text"]
        elif found in received["varies"]:
            received = found
    if sent == "g" and received and found:
        yield from _all(at, received, found)
    else:
        yield _difference(at, sent, received, found)


def _all(at: int, recorded: str, found: str) -> Iterator[Difference | None]:
    """The registers of two answers to ``g``."""
    yield _difference(at, "g", len(recorded), len(found))
    for name, number in _REGISTERS.items():
        one, other = (
            int.from_bytes(bytes.fromhex(text)[8 * number : 8 * number + 8], "little")
            for text in (recorded, found)
        )
        yield _difference(at, name, one, other)


def _stop(
    client: Client, stop: tuple[Any, ...], registers: dict[str, int]
) -> Iterator[Difference | None]:
    at, pc, pstate, changed, *varies = stop
    client.stub.answer(b"g")  # as the recorder did
    registers |= {**changed, "pc": pc, "pstate": pstate}
    unknown = {name for names in varies for name in names}
    for name, number in _REGISTERS.items():
        if name not in unknown and registers[name] is not None:
            yield _difference(at, name, registers[name], client.history.read_register(number))


def _difference(at: int, what: str, one: Any, other: Any) -> Difference | None:
    return None if one == other else Difference(at, what, one, other)
