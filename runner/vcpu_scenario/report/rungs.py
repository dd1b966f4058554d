"""A run as a ladder: one rung for each entry of the vCPU and the exit that ended it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from errno import EINTR
from typing import Any, Final

from vcpu_scenario import case as c
from vcpu_scenario.kvm import abi
from vcpu_scenario.trace import Exit, Stop
from vcpu_scenario.verdict.exits import describe_exit
from vcpu_scenario.verdict.guest import Guest
from vcpu_scenario.verdict.records import Cause, Mismatch, Place, StopFinding
from vcpu_scenario.verdict.result import Result, guest_of
from vcpu_scenario.verdict.words import (
    EC_SHIFT,
    EC_SOFTWARE_STEP,
    EC_WATCHPOINT,
    executed_one,
    hsr_words,
)
from vcpu_scenario.vmm.devices import Bus
from vcpu_scenario.vmm.personality import PERSONALITIES, stepped_entries

_CONTROL: Final = (
    (abi.KVM_GUESTDBG_ENABLE, "enable"),
    (abi.KVM_GUESTDBG_SINGLESTEP, "singlestep"),
    (abi.KVM_GUESTDBG_USE_SW_BP, "use_sw_bp"),
    (abi.KVM_GUESTDBG_USE_HW, "use_hw"),
)
_EC_BRK: Final = 0x3C
_VECTOR: Final = -1
"""Stands for the address of the guest's vector, which no trace has."""


@dataclass(frozen=True, slots=True)
class Rung:
    """One ``KVM_RUN``.

    ``vmm`` is what the VMM did before it, ``kvm`` what KVM does before the guest runs;
    ``executed`` are the instructions from the entry on, None where the code does not tell the
    way; ``held`` is the instruction that the exit holds back or that KVM is in the middle of;
    ``headline`` is the exit in a few words, ``syndrome`` its hsr; ``causes`` are the rules without
    which the run would be another from this exit on.
    """

    index: int
    vmm: tuple[str, ...]
    kvm: tuple[str, ...]
    entry: Place
    executed: tuple[Place, ...] | None
    held: Place | None
    exit: Exit
    headline: str
    syndrome: str
    causes: tuple[Cause, ...]
    stops: tuple[Stop, ...]
    findings: tuple[StopFinding, ...]
    mismatches: tuple[Mismatch, ...]


def rungs(result: Result) -> tuple[Rung, ...]:
    """The ladder of a result, empty for a case that did not run."""
    return tuple(_Ladder(result).climb()) if result.trace is not None else ()


class _Ladder:
    def __init__(self, result: Result) -> None:
        self.result = result
        self.case = result.case.case
        self.guest = guest_of(result.case)
        self.bus = Bus(self.case)
        self.on = dict(self.case.on)
        self.stepped = stepped_entries(self.case)
        self.pc_stays = _has(result.case.kernel, "mmio_skip_at_completion", unknown=True)
        self.fakes_steps = _has(result.case.kernel, "step_exit_faked", unknown=False)
        self.completes_once = _has(result.case.kernel, "mmio_completed_once", unknown=True)
        self.told = {stop.exit for stop in result.stops}
        self.vmm = PERSONALITIES[self.case.vmm]
        self.kicks = {kick.entry: kick.pc for kick in result.trace.kicks} if result.trace else {}

    def climb(self) -> Iterator[Rung]:
        assert self.result.trace is not None
        vmm = list(_set_up(self.case, self.guest))
        pc = _first_pc(self.case)
        before: Exit | None = None
        for index, exit_ in enumerate(self.result.trace.exits):
            yield self._rung(index, tuple(vmm), pc, before, exit_)
            vmm, pc = self._between(index, exit_)
            before = exit_

    def _rung(
        self, index: int, vmm: tuple[str, ...], pc: int, before: Exit | None, exit_: Exit
    ) -> Rung:
        guest = self.guest
        actions = self.on.get(index - 1, ()) if index else self.case.before
        completes = before is not None and _completes(before, actions)
        completed = completes
        kvm: list[str] = []
        if index in self.kicks:
            pc = self.kicks[index]
            vmm = (*vmm, "kicked: immediate_exit = 1")
            kvm = ["completes the access"] if completes else []
            kvm.append(f"returns EINTR at {guest.name(pc)}")
            completes = completes and not self.completes_once
            if completes and self.pc_stays:
                pc += 4  # over an instruction that is none of it
        # Then KVM does the access at pc itself, which is behind the vCPU when it is entered.
        at_access = completed and self.pc_stays and before is not None and before.pc == pc
        if exit_.errno == EINTR or pc == _VECTOR:
            path: tuple[int, ...] | None = () if _at_once(actions) else None
        elif pc != exit_.pc or self._is_behind(exit_):
            path = self._way(pc, exit_)
        else:
            path = self._way_back(pc, exit_, at_access, self.stepped(index))
        if path and at_access:
            path = path[1:]
        hsr = exit_.fields.get("hsr")
        stops = [(n, stop) for n, stop in enumerate(self.result.stops) if stop.exit == index]
        numbers = {n for n, _ in stops}
        return Rung(
            index,
            vmm,
            (*kvm, *self._kvm(index, pc, completes, at_access, actions, exit_)),
            Place(exit_.pc, "its vector") if pc == _VECTOR else guest.place(pc),
            None if path is None else tuple(map(guest.place, path)),
            guest.place(exit_.pc) if self._is_held(exit_) else None,
            exit_,
            describe_exit(exit_, guest),
            hsr_words(hsr) if isinstance(hsr, int) else "",
            tuple(cause for cause in self.result.causes if cause.exit == index),
            tuple(stop for _, stop in stops),
            tuple(finding for finding in self.result.findings if finding.stop in numbers),
            tuple(mismatch for mismatch in self.result.mismatches if _is_at(mismatch, index)),
        )

    def _is_behind(self, exit_: Exit) -> bool:
        """Whether pc is behind the instruction that made the vCPU exit."""
        if exit_.exit == "MMIO":
            return not self.pc_stays
        word = self.guest.word(exit_.pc - 4)
        return exit_.exit in ("HYPERCALL", "SYSTEM_EVENT") and word is not None and _calls(word)

    def _way(self, pc: int, exit_: Exit) -> tuple[int, ...] | None:
        """The instructions from ``pc`` to the exit."""
        if not self._is_behind(exit_):
            return self.guest.path(pc, exit_.pc)
        last = exit_.pc - 4
        path = self.guest.path(pc, last)
        return None if path is None else (*path, last)

    def _way_back(
        self, pc: int, exit_: Exit, at_access: bool, stepped: bool
    ) -> tuple[int, ...] | None:
        """The instructions from ``pc`` to an exit at the very same one: those of a loop where it
        was left, none where it was not, and None where that cannot be told.

        A trace does not count instructions. But after a step hsr says whether there was one, a
        completed access is left behind, and what else exits at once does so at each entry.
        """
        hsr = exit_.fields.get("hsr", 0)
        if executed_one(hsr) or (at_access and hsr >> EC_SHIFT != EC_SOFTWARE_STEP):
            return self.guest.loop(pc)
        # What a watchpoint makes of an access is a matter of its address, each time round.
        if hsr >> EC_SHIFT == EC_WATCHPOINT and not stepped and self.guest.loop(pc):
            return None
        return ()

    def _kvm(
        self,
        index: int,
        pc: int,
        completes: bool,
        at_access: bool,
        actions: Sequence[c.Action],
        exit_: Exit,
    ) -> Iterator[str]:
        if completes:
            yield "completes the access" + (" again" if index in self.kicks else "")
        faked = completes and self.fakes_steps and exit_.exit == "DEBUG" and self.stepped(index)
        if faked or (exit_.ret and _at_once(actions)):
            yield "returns before it enters the guest"
        elif completes or at_access:
            yield "enters the guest"
        else:
            where = "its vector" if pc == _VECTOR else self.guest.name(pc)
            yield f"enters the guest at {where}"

    def _is_held(self, exit_: Exit) -> bool:
        """Whether the instruction at pc is what made the vCPU exit."""
        if exit_.exit == "MMIO" and exit_.ret == 0:
            return self.pc_stays
        if exit_.exit == "DEBUG" and exit_.ret == 0:
            return not hsr_words(exit_.fields["hsr"]).startswith("software step")
        return exit_.exit == "ARM_NISV" or exit_.errno not in (0, 4)

    def _between(self, index: int, exit_: Exit) -> tuple[list[str], int]:
        """What the VMM does after an exit, and the pc from which the vCPU goes on."""
        words: list[str] = []
        pc = exit_.pc
        if exit_.exit == "MMIO" and exit_.ret == 0:
            words += self._answer(exit_)
        actions = self.on.get(index, ())
        if index not in self.told and self.vmm.gives(exit_):
            pc = _VECTOR
            words.append("gives it to the guest, as an exception")
        elif self._skips_brk(exit_, actions):
            pc += 4
            words.append(f"pc = {self.guest.name(pc)}")
        for action in actions:
            words.append(action_words(action, self.guest))
            if isinstance(action, c.SetRegister) and action.reg == "pc":
                pc = action.value
            elif isinstance(action, c.SkipInstruction):
                pc += 4
        return words, pc

    def _answer(self, exit_: Exit) -> Iterator[str]:
        addr, length = exit_.fields["addr"], exit_.fields["len"]
        if exit_.fields["is_write"]:
            self.bus.write(addr, length, bytes.fromhex(exit_.fields["data"]))
        else:
            data = int.from_bytes(self.bus.read(addr, length)[:length], "little")
            yield f"mmio.data = {data:#x}"

    def _skips_brk(self, exit_: Exit, actions: Sequence[c.Action]) -> bool:
        policy = self.case.skip_brk
        hsr = exit_.fields.get("hsr", 0)
        is_brk = exit_.exit == "DEBUG" and exit_.ret == 0 and hsr >> 26 == _EC_BRK
        return is_brk and (policy == "always" or (policy == "without-actions" and not actions))


def _completes(before: Exit, actions: Sequence[c.Action]) -> bool:
    """Whether KVM_RUN begins by completing the access of the exit before."""
    forged = any(isinstance(a, c.SetRunField) and a.field == "exit_reason" for a in actions)
    return before.exit == "MMIO" and before.ret == 0 and not forged


def _at_once(actions: Sequence[c.Action]) -> bool:
    """Whether KVM_RUN returns without entering the guest."""
    return any(isinstance(action, c.ImmediateExit) for action in actions)


def _calls(word: int) -> bool:
    """Whether it is an HVC or an SMC."""
    return word & 0xFFE0_001F in (0xD400_0002, 0xD400_0003)


def _is_at(mismatch: Mismatch, index: int) -> bool:
    return mismatch.exit == index and not mismatch.kind.endswith("stop")


def _has(kernel: str, rule: str, *, unknown: bool) -> bool:
    """Whether the release has the rule; ``unknown`` where nothing is known of it."""
    from vcpu_scenario.kernels.table import UnknownKernel
    from vcpu_scenario.kernels.table import kernel as known

    try:
        return rule in known(kernel).rules
    except UnknownKernel:
        return unknown


def _first_pc(case: c.Case) -> int:
    registers = dict(case.regs)
    return registers["pc"] if "pc" in registers else min(slot.base for slot in case.slots)


def _set_up(case: c.Case, guest: Guest) -> Iterator[str]:
    if case.debug is not None:
        yield action_words(c.SetGuestDebug(case.debug), guest)
    for action in case.before:
        yield action_words(action, guest)


def action_words(action: c.Action, guest: Guest) -> str:
    """What the VMM does, in the uAPI's words."""
    return _WORDS[type(action)](action, guest)


def _debug_words(action: c.SetGuestDebug, guest: Guest) -> str:
    debug = action.debug
    control = "|".join(name for flag, name in _CONTROL if debug.control & flag) or "0"
    points = [f"breakpoint {guest.name(addr)}" for addr in debug.hw_bp]
    points += [f"watch {guest.name(w.addr)} len {w.len} {w.type}" for w in debug.watch]
    return ", ".join((f"KVM_SET_GUEST_DEBUG {control}", *points))


def _vcpu_events_words(action: c.SetVcpuEvents, guest: Guest) -> str:
    events = [name for name, on in (("ext_dabt", action.ext_dabt), ("serror", action.serror)) if on]
    if action.serror_esr is not None:
        events.append(f"serror_esr {action.serror_esr:#x}")
    return f"KVM_SET_VCPU_EVENTS {' '.join(events)}".rstrip()


_WORDS: Final[Mapping[type, Callable[[Any, Guest], str]]] = {
    c.SetGuestDebug: _debug_words,
    c.SetRegister: lambda action, guest: (
        f"{action.reg} = {guest.name(action.value) if action.reg == 'pc' else hex(action.value)}"
    ),
    c.WriteMemory: lambda action, guest: (
        f"writes {action.data.hex(' ')} to {guest.name(action.addr)}"
    ),
    c.SetIrqLine: lambda action, guest: f"KVM_IRQ_LINE {action.irq:#x} level {action.level}",
    c.ImmediateExit: lambda action, guest: "immediate_exit = 1",
    c.SetMmioData: lambda action, guest: f"mmio.data = {action.value:#x}",
    c.SetRunField: lambda action, guest: f"run->{action.field} = {action.value:#x}",
    c.SkipInstruction: lambda action, guest: "pc += 4",
    c.SetVcpuEvents: _vcpu_events_words,
    c.SetMpState: lambda action, guest: f"KVM_SET_MP_STATE {action.state}",
    c.AddMemslot: lambda action, guest: (
        f"KVM_SET_USER_MEMORY_REGION {action.slot.base:#x}+{action.slot.size:#x}"
    ),
    c.HostInterrupt: lambda action, guest: "a host interrupt comes during the next run",
}
