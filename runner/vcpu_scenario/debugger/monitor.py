"""The ``monitor`` commands: what no debugger can see, of the guest that it debugs."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Final, TypeAlias

from msgspec.structs import replace

from vcpu_scenario.expectation import Expectation
from vcpu_scenario.ioctls.vcpu import SetIrqLine
from vcpu_scenario.kvm.abi import FIRST_SPI
from vcpu_scenario.machine.errors import KvmError, NotModelled
from vcpu_scenario.source import Span
from vcpu_scenario.trace import Trace
from vcpu_scenario.verdict.result import Result, Verdict, guest_of
from vcpu_scenario.vmm.endings import told

if TYPE_CHECKING:
    from vcpu_scenario.debugger.history import History
    from vcpu_scenario.language import ScenarioCase

_WIDTH: Final = 120
_SPI: Final = 1 << 24
"""``KVM_ARM_IRQ_TYPE_SPI`` in the word of ``KVM_IRQ_LINE``."""
_LAST_SPI: Final = 1019


class Monitor:
    """Answers for one guest; ``case`` is what it was made from."""

    def __init__(self, history: History, case: ScenarioCase) -> None:
        self._history: Final = history
        self._case: Final = case
        self._guest: Final = guest_of(case)
        self._lines: dict[int, int] = {
            action.irq & 0xFFFF: action.level
            for action in case.case.before
            if isinstance(action, SetIrqLine)
        }

    def __call__(self, command: str) -> str:
        try:
            name, *rest = shlex.split(command) or ["help"]
        except ValueError:
            name, rest = command, []
        found = [full for full in _COMMANDS if full.startswith(name)]
        if len(found) != 1:
            return f"no command is called `{name}`\n{_help(self, [])}"
        return _COMMANDS[found[0]][0](self, rest)

    def ladder(self, rest: list[str]) -> str:
        """Every KVM_RUN so far."""
        from vcpu_scenario.report.ladder import ladder

        session = self._history.session
        trace = Trace(tuple(session.exits), entries=tuple(session.entries))
        nowhere = Span(str(self._case.scenario.path), 1, 1, 1, 1)
        case = replace(self._case, expectation=Expectation(nowhere))
        lines = ladder(Result(case, Verdict.PASS, trace), _WIDTH)
        return "".join(f"{''.join(text for text, _ in line)}\n" for line in lines)

    def rules(self, rest: list[str]) -> str:
        """The rules without which the last stop would be another, and those that are lacking."""
        # They take as long to load as all else that a debugger waits for.
        from vcpu_scenario.debugger.causes import MOST, Behind
        from vcpu_scenario.kernels.rules import BY_NAME

        if self._history.length > MOST:
            return "the way here is too long to go it again without each rule\n"
        behind = Behind(self._history, self._case)
        later, lacking = behind.lacking()
        lines = [f"{name}: {BY_NAME[name].summary}\n" for name in behind.own()]
        lines += [f"not yet, but from {later} on: {n}: {BY_NAME[n].summary}\n" for n in lacking]
        return "".join(lines) or f"no rule of {self._case.kernel} alone makes the last stop\n"

    def devices(self, rest: list[str]) -> str:
        """The devices, and what they sent out."""
        sent = self._history.session.bus.outputs()
        lines = [
            f"{device.base:#x}+{device.size:#x} {device.name} ({device.model})"
            + (f" sent {sent[device.name]!r}" if device.name in sent else "")
            for device in self._case.case.devices
        ]
        if (gic := self._case.case.gic) is not None:
            lines.append(f"{gic.dist:#x} GICv{gic.version} (in the kernel)")
        return "".join(f"{line}\n" for line in lines) or "there is no device\n"

    def irq(self, rest: list[str]) -> str:
        """The interrupt lines that were set; ``irq 40 1`` sets one."""
        if not rest:
            lines = (f"{irq}: {level}\n" for irq, level in sorted(self._lines.items()))
            return "".join(lines) or "no interrupt line was set\n"
        try:
            irq, level = (int(text, 0) for text in rest)
        except ValueError:
            return "say which line and its level: irq 40 1\n"
        if not FIRST_SPI <= irq <= _LAST_SPI or level not in (0, 1):
            return f"a line is a number from {FIRST_SPI} to {_LAST_SPI}, its level 0 or 1\n"
        try:
            self._history.act(SetIrqLine(_SPI | irq, level))
        except (KvmError, NotModelled) as refusal:
            return f"{told(refusal) if isinstance(refusal, KvmError) else refusal}\n"
        self._lines[irq] = level
        return f"{irq}: {level}\n"

    def skipped(self, rest: list[str]) -> str:
        """The instructions that ran since the last stop, and that no stop was at."""
        if self._history.session.count > 1:
            return "not modelled: what ran unseen where several vCPUs take turns\n"
        addresses = list(self._unseen())
        if None in addresses:
            return "the guest was not stepped since the last stop: nobody counted\n"
        lines = [self._line(addr) for addr in addresses if addr is not None]
        return "".join(lines) or "nothing ran unseen since the last stop\n"

    def _unseen(self) -> Iterator[int | None]:
        """What was executed behind the instruction at the last stop; None where nobody counted."""
        session = self._history.session
        entries = session.entries[session.since :]
        ran: list[int] = []
        for entry in entries:
            inside = entry.inside
            if inside is None or inside.ran is None:
                if inside is not None and inside.entered is None:
                    continue
                yield None
                return
            ran += [addr for addr in (inside.access, inside.jumped) if addr is not None]
            ran += inside.ran
        start = entries[0].pc if entries else None
        yield from ran[ran.index(start) + 1 :] if start in ran else ran

    def _line(self, addr: int) -> str:
        place = self._guest.place(addr)
        return f"{addr:#x} <{place.name}> {place.instruction}\n"


_Command: TypeAlias = Callable[[Monitor, list[str]], str]


def _help(monitor: Monitor, rest: list[str]) -> str:
    return "".join(f"monitor {name:<8} {about}\n" for name, (_, about) in _COMMANDS.items())


_COMMANDS: Final[Mapping[str, tuple[_Command, str]]] = {
    "help": (_help, "this list"),
    "ladder": (Monitor.ladder, "every KVM_RUN so far, as `scenario explain` shows it"),
    "rules": (
        Monitor.rules,
        "the rules without which the last stop would be another, or that it lacks",
    ),
    "devices": (Monitor.devices, "the devices, and what they sent out"),
    "irq": (Monitor.irq, "the interrupt lines that were set; `irq 40 1` sets one"),
    "skipped": (Monitor.skipped, "the instructions that ran unseen since the last stop"),
}
