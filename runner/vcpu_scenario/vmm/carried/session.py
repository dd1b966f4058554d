"""A session with a real QEMU under this kernel's KVM, at its gdbstub; it is kept as it goes."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final

from vcpu_scenario.case import Case, SetRegister, WriteMemory
from vcpu_scenario.course import Recorded, Why
from vcpu_scenario.ioctls.vcpu import GuestDebug
from vcpu_scenario.kvm import abi
from vcpu_scenario.machine.errors import Unsupported
from vcpu_scenario.trace import Entry, Exit
from vcpu_scenario.vmm.carried import virt
from vcpu_scenario.vmm.carried.process import own_folder, started, version
from vcpu_scenario.vmm.carried.wire import INTERRUPT, Gone, Wire
from vcpu_scenario.vmm.memory import Unreachable
from vcpu_scenario.vmm.process import LEFT_OUT, is_breakpoint
from vcpu_scenario.vmm.stepping import course_of
from vcpu_scenario.vmm.told import SIGINT, SIGTRAP, Over, Stopped, Told
from vcpu_scenario.vmm.vmms.terms import CPSR, HARDWARE, PC, POINTS, SOFTWARE, SP, Refused

_ANSWER: Final = 10.0
"""Seconds for an answer to anything but a resume."""
_LOOK: Final = 0.1
"""Seconds between two looks at whether a resume is to be interrupted."""
_PATIENCE: Final = 4.0
"""Seconds after which a resume does not come back: it runs under an emulated CPU."""

_ASKS: Final = "qSupported:multiprocess+;swbreak+;hwbreak+;vContSupported+"
_DESCRIPTION: Final = "qXfer:features:read:target.xml:0,ffb"
"""Asked first: QEMU up to 7.2 writes single registers only after it."""
_STEP: Final = "vCont;s:p1.1;c:p1.-1"
_CONTINUE: Final = "vCont;c:p1.-1"
_KILL: Final = "k"
CLOSED: Final = "(closed)"
"""The end of the process, as it is kept."""
_PSTATE: Final = 0x3C5
"""What KVM resets PSTATE to; QEMU sets Z as well."""

_NUMBERS: Final = {**{f"x{n}": n for n in range(31)}, "sp": SP, "pc": PC, "pstate": CPSR}
_NAMES: Final = {number: name for name, number in _NUMBERS.items()}
_SIZES: Final = (8,) * CPSR + (4,)
"""Bytes of the registers in an answer to ``g``."""
_STOP: Final = re.compile(r"T(?P<signal>[0-9a-f]{2})")
_WATCH: Final = re.compile(r"[ra]?watch:")
_SIGNALS: Final = {SIGINT: Why.INTERRUPT}


def record(case: Case, vmm: str) -> Recorded:
    """What the VMM of that name, which this guest carries, tells a debugger that steps ``case``.

    Raises :class:`~vcpu_scenario.machine.errors.Unsupported` where it cannot be what the case
    says, and :class:`Gone` where it does not start.
    """
    if reason := virt.beyond(case):
        raise Unsupported(reason)
    with own_folder() as folder, started(case, vmm, folder) as wire:
        session = WireSession(case, wire, folder)
        course = course_of(session)
        session.end()
        return Recorded(
            vmm, version(vmm), tuple(wire.kept), tuple(session.stops), session.output, course
        )


class WireSession:
    """One with what answers at ``wire``; ``folder`` has what it sends out of its UART. As
    :func:`~vcpu_scenario.vmm.stepping.course_of` wants it. It is its own VMM and memory.

    ``stops`` are as recordings keep them: how many packets there were, pc, PSTATE, and the
    registers that are others than at the stop before.
    """

    points: Final = frozenset(POINTS)
    patience: Final = _PATIENCE
    waiting = False
    """It does not tell a guest that waits from one that runs."""

    def __init__(self, case: Case, wire: Wire, folder: str) -> None:
        self.case: Final = case
        self.entries: list[Entry] = []
        self.exits: list[Exit] = []
        self.stops: list[tuple[Any, ...]] = []
        self._wire = wire
        self._folder = folder
        self._set: list[tuple[int, int]] = []
        self._last = dict.fromkeys(_NUMBERS, 0)
        self._ask(_ASKS)
        self._ask("?")
        self._ask(_DESCRIPTION)
        self._look()
        self._set_up()

    # -- what the guest is at first --------------------------------------------------------------

    def _set_up(self) -> None:
        """After a look: what is written before QEMU has read KVM's registers is lost, since a ``P``
        does not read them (``handle_set_reg``)."""
        wanted = {"pstate": _PSTATE, **dict(self.case.regs)}
        for name, value in wanted.items():
            self._write(name, value)
        for action in self.case.before:
            if isinstance(action, LEFT_OUT) or is_breakpoint(action):
                continue
            if isinstance(action, SetRegister):
                self._write(action.reg, action.value)
            elif isinstance(action, WriteMemory):
                self.write_memory(action.addr, action.data)
        self._look()
        wanted |= {act.reg: act.value for act in self.case.before if isinstance(act, SetRegister)}
        for name, value in wanted.items():
            if self._last[name] != value:
                raise Unsupported(f"{name} is {self._last[name]:#x} in QEMU, not {value:#x}")

    def _write(self, name: str, value: int) -> None:
        number = _NUMBERS[name]
        size = _SIZES[number]
        data = (value & (1 << 8 * size) - 1).to_bytes(size, "little").hex()
        if self._ask(f"P{number:x}={data}") != "OK":
            raise Unsupported(f"QEMU's gdbstub does not write {name}")

    # -- the VMM ---------------------------------------------------------------------------------

    @property
    def vmm(self) -> WireSession:
        return self

    def insert(self, kind: int, addr: int, length: int) -> None:
        if self._ask(f"Z{kind},{addr:x},{length:x}") != "OK":
            raise Refused
        self._set.append((kind, addr))

    def remove(self, kind: int, addr: int, length: int) -> None:
        if self._ask(f"z{kind},{addr:x},{length:x}") != "OK":
            raise Refused
        self._set.remove((kind, addr))

    def read_registers(self) -> tuple[int, ...]:
        return tuple(self._last[_NAMES[number]] for number in range(CPSR + 1))

    def write_memory(self, addr: int, data: bytes) -> None:
        if self._ask(f"M{addr:x},{len(data):x}:{data.hex()}") != "OK":
            raise Unreachable(addr)

    @property
    def memory(self) -> WireSession:
        return self

    def read_virtual(self, addr: int, length: int) -> bytes:
        answer = self._ask(f"m{addr:x},{length:x}")
        try:
            return bytes.fromhex(answer)
        except ValueError:
            raise Unreachable(addr) from None

    @property
    def pc(self) -> int:
        return self._last["pc"]

    # -- running ---------------------------------------------------------------------------------

    def resume(self, step: bool, interrupted: Callable[[], bool]) -> Told:
        control = abi.KVM_GUESTDBG_ENABLE | abi.KVM_GUESTDBG_SINGLESTEP if step else 0
        self.entries.append(Entry(None, (), self.pc, GuestDebug(control)))
        packet = _STEP if step else _CONTINUE
        try:
            answer = self._answer(packet, interrupted)
        except Gone as gone:
            self._wire.kept += [(packet, None), (CLOSED, "")]
            return Over(1, str(gone))
        if answer.startswith("W"):
            self._wire.kept.append((CLOSED, ""))
            return Over(int(answer[1:3], 16), "the guest switched itself off")
        stop = _STOP.match(answer)
        if stop is None:
            return Over(1, f"it answers {answer}")
        self._look()
        signal = int(stop["signal"], 16)
        if signal != SIGTRAP:
            return Stopped(_SIGNALS.get(signal, Why.LOST), signal)
        return Stopped(self._why(step, answer))

    def _answer(self, packet: str, interrupted: Callable[[], bool]) -> str:
        wire = self._wire
        wire.send(packet)
        while True:
            answer = wire.hear(_LOOK)
            if answer is not None:
                wire.kept.append((packet, answer))
                return answer
            if interrupted():
                wire.kept.append((packet, None))
                wire.interrupt()
                answer = wire.hear(_ANSWER)
                if answer is None:
                    raise Gone("it does not answer a ^C")
                wire.kept.append((INTERRUPT, answer))
                return answer

    def _why(self, step: bool, answer: str) -> Why:
        """QEMU says it of a watchpoint alone; the rest its debugger finds by what it has set."""
        if _WATCH.search(answer):
            return Why.WATCH
        if step:
            return Why.STEP
        here = {kind for kind, addr in self._set if addr == self.pc}
        return Why.SOFTWARE if SOFTWARE in here else Why.HARDWARE if HARDWARE in here else Why.STEP

    def _look(self) -> None:
        """Reads all registers, which no packet of the recording shows."""
        data = bytes.fromhex(self._wire.ask("g", _ANSWER, kept=False))
        found, at = {}, 0
        for name, size in zip(_NUMBERS, _SIZES, strict=True):
            found[name] = int.from_bytes(data[at : at + size], "little")
            at += size
        changed = {
            name: value
            for name, value in found.items()
            if value != self._last[name] and name not in ("pc", "pstate")
        }
        self._last = found
        self.stops.append((len(self._wire.kept), found["pc"], found["pstate"], changed))

    def _ask(self, packet: str) -> str:
        return self._wire.ask(packet, _ANSWER)

    # -- the end ---------------------------------------------------------------------------------

    def end(self) -> None:
        with suppress(Gone):
            self._wire.send(_KILL)

    @property
    def output(self) -> str:
        """What the guest sent out of the PL011."""
        path = os.path.join(self._folder, "serial")
        if not os.path.exists(path):
            return ""
        with open(path, "rb") as file:
            return file.read().decode("latin1")
