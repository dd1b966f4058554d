"""A run as a ladder: one rung for each entry of the vCPU and the exit that ended it."""

from __future__ import annotations

from collections.abc import Iterator
from errno import EINTR
from itertools import zip_longest
from typing import Final

from msgspec import Struct

from vcpu_scenario.actions import words as action_words
from vcpu_scenario.arm64.esr import EC_SOFTSTP_LOW, EC_WATCHPT_LOW, class_of
from vcpu_scenario.trace import Answer, Deed, Entry, Exit, GuestException, Stop, Trace
from vcpu_scenario.verdict.exits import describe_exit
from vcpu_scenario.verdict.guest import Guest
from vcpu_scenario.verdict.records import Cause, Mismatch, Place, StopFinding
from vcpu_scenario.verdict.result import Result, guest_of
from vcpu_scenario.verdict.words import hsr_words

_CALLS: Final = ("HYPERCALL", "SYSTEM_EVENT")


class Rung(Struct, frozen=True):
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
    return tuple(_Ladder(result).climb(result.trace)) if result.trace is not None else ()


def deeds_after(result: Result) -> tuple[str, ...]:
    """What the VMM did after the last exit, in words."""
    guest = guest_of(result.case)
    return tuple(deed_words(deed, guest) for deed in (result.trace.after if result.trace else ()))


class _Ladder:
    """Reads the trace; where that does not say what ran, the guest's code."""

    def __init__(self, result: Result) -> None:
        self.result = result
        self.guest = guest_of(result.case)

    def climb(self, trace: Trace) -> Iterator[Rung]:
        vmm: list[str] = []
        kvm: list[str] = []
        following = [entry.pc for entry in trace.entries[1:]]
        exits = iter(trace.exits)
        for entry, pc_after in zip_longest(trace.entries, following, fillvalue=0):
            assert isinstance(entry, Entry)
            vmm += [deed_words(deed, self.guest) for deed in entry.did]
            if entry.kicked:
                vmm.append("kicked: immediate_exit = 1")
            kvm += self._before_the_guest(entry)
            if entry.exit is None:
                kvm.append(f"returns EINTR at {self.guest.name(pc_after)}")
                continue
            exit_ = next(exits, None)
            if exit_ is None:  # cut off as nobody asked for it
                return
            yield self._rung(entry, exit_, tuple(vmm), (*kvm, self._enters(entry)))
            vmm, kvm = [], []

    def _rung(self, entry: Entry, exit_: Exit, vmm: tuple[str, ...], kvm: tuple[str, ...]) -> Rung:
        guest, index, result = self.guest, entry.exit, self.result
        assert index is not None
        hsr = exit_.fields.get("hsr")
        stops = [(n, stop) for n, stop in enumerate(result.stops) if stop.exit == index]
        numbers = {n for n, _ in stops}
        executed = self._executed(entry, exit_)
        return Rung(
            index,
            vmm,
            kvm,
            guest.place(_start(entry)),
            None if executed is None else tuple(map(guest.place, executed)),
            self._held(entry, exit_),
            exit_,
            describe_exit(exit_, guest),
            hsr_words(hsr) if isinstance(hsr, int) else "",
            tuple(cause for cause in result.causes if cause.exit == index),
            tuple(stop for _, stop in stops),
            tuple(finding for finding in result.findings if finding.stop in numbers),
            tuple(mismatch for mismatch in result.mismatches if _is_at(mismatch, index)),
        )

    def _before_the_guest(self, entry: Entry) -> Iterator[str]:
        inside = entry.inside
        if inside is None or not inside.completed:
            return
        yield "completes the access" + (" again" if inside.access is None else "")
        if inside.jumped is not None:
            yield f"moves pc over {self.guest.name(inside.jumped)}, which nobody executes"

    def _enters(self, entry: Entry) -> str:
        if entry.inside is None:
            return f"runs from {self.guest.name(entry.pc)}"
        if entry.inside.entered is None:
            return "returns before it enters the guest"
        return f"enters the guest at {self.guest.name(entry.inside.entered)}"

    def _executed(self, entry: Entry, exit_: Exit) -> tuple[int, ...] | None:
        """The instructions that the guest executed, None where that cannot be told."""
        inside = entry.inside
        if inside is None:
            return self.guest.path(entry.pc, exit_.pc) if entry.pc != exit_.pc else None
        if inside.ran is not None:
            return inside.ran
        if inside.entered is None or inside.left is None or exit_.errno == EINTR:
            return None
        if exit_.exit in _CALLS:  # pc is behind the call
            return self.guest.way(inside.entered, exit_.pc)
        if inside.entered != inside.left:
            return self.guest.path(inside.entered, inside.left)
        # An exit at the very instruction of the entry comes at once; but what a watchpoint makes
        # of an access is a matter of its address, each time round a loop.
        hsr = exit_.fields.get("hsr", 0)
        if class_of(hsr) == EC_WATCHPT_LOW and self.guest.loop(inside.left):
            return None
        return ()

    def _held(self, entry: Entry, exit_: Exit) -> Place | None:
        """The instruction that the exit holds back, or that KVM is in the middle of."""
        if exit_.ret == 0 and exit_.exit == "MMIO":
            return (
                self.guest.place(entry.inside.left) if entry.inside and entry.inside.left else None
            )
        if exit_.ret == 0 and exit_.exit == "DEBUG":
            held = class_of(exit_.fields["hsr"]) != EC_SOFTSTP_LOW
        else:
            held = exit_.exit == "ARM_NISV" or exit_.errno not in (0, EINTR)
        return self.guest.place(exit_.pc) if held else None


def _start(entry: Entry) -> int:
    """Where the guest went on, as far as that is known."""
    inside = entry.inside
    return entry.pc if inside is None or inside.entered is None else inside.entered


def _is_at(mismatch: Mismatch, index: int) -> bool:
    return mismatch.exit == index and not mismatch.kind.is_of_stops


def deed_words(deed: Deed, guest: Guest) -> str:
    """What the VMM does, in the uAPI's words."""
    if isinstance(deed, Answer):
        return f"mmio.data = {deed.value:#x}"
    if isinstance(deed, GuestException):
        return "gives it to the guest, as an exception"
    return action_words(deed, guest.name)
