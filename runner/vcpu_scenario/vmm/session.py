"""A VMM's process as its debugger sees it: it runs the guest until there is something to tell."""

from __future__ import annotations

import errno
from collections import deque
from collections.abc import Callable
from time import sleep
from typing import Final, TypeAlias

from vcpu_scenario.case import Case
from vcpu_scenario.machine.errors import KvmError, NotModelled
from vcpu_scenario.machine.interface import Machine
from vcpu_scenario.trace import Exit
from vcpu_scenario.vmm.memory import Unreachable
from vcpu_scenario.vmm.process import Process
from vcpu_scenario.vmm.recorder import PC
from vcpu_scenario.vmm.told import SIGABRT, Over, Stopped, Told, Why

SLICE: Final = 10_000
"""Instructions between two looks at whether the debugger interrupts, on the emulated machine."""

REAL_PATIENCE: Final = 1.0
"""Seconds for which a real machine is waited for, which may be a slow one."""

_AT_PAUSE: Final = 16
"""Calls of ``KVM_RUN`` that a vCPU makes before it is paused for another one's stop."""

Steps: TypeAlias = bool | tuple[bool | None, ...]
"""Which vCPUs step, and which go on; one that is None does neither. Where it is not said of each,
the one that was chosen steps and the others go on, or all go on."""

_WFI: Final = (0xD503_207F).to_bytes(4, "little")
_WAIT: Final = 0.001
"""Seconds between two looks while nothing runs."""


def never() -> bool:
    """No ^C ever."""
    return False


class Session(Process):
    """One VM under a debugger.

    ``told`` is what the debugger was told last. Of several vCPUs each has its turn, as the loop of
    their VMM's threads is not in step; ``vcpu`` is the one that the debugger looks at, ``chosen``
    the one that it is told of, or has chosen. Where the VMM stops one alone the others continue
    meanwhile: for one turn, as long as the debugger may look.
    """

    def __init__(self, machine: Machine, case: Case, vmm: str) -> None:
        super().__init__(machine, case, vmm)
        self.chosen = 0
        self.told: Told = Stopped(Why.START)
        self.waiting = False
        """Whether no vCPU does anything until the debugger makes an interrupt."""
        self._going = deque([0] if self.vmm.pauses else range(1, self.count))
        """Those that are not stopped; it is the first one's turn."""
        self._queue: deque[tuple[int, Exit]] = deque()
        """Those that stopped meanwhile, and are still to be told of."""
        self._kicked: set[int] = set()
        self._idle: set[int] = set()
        self._pace = SLICE

    @property
    def over(self) -> bool:
        """Whether there is no guest any more."""
        return isinstance(self.told, Over)

    @property
    def patience(self) -> float:
        """Seconds that a resume may take before it is taken for one that does not come back."""
        return 0.0 if self.machine.inside is not None else REAL_PATIENCE

    def resume(
        self, step: Steps, interrupted: Callable[[], bool] = never, pace: int = SLICE
    ) -> Told:
        """Goes on until there is something to tell; ``interrupted`` is asked before each slice of
        the run whether the debugger interrupts. A slice is ``pace`` instructions on the emulated
        machine."""
        if self.over:
            return self.told
        self.since = len(self.entries)
        self._pace = pace
        told = self._go(step)
        try:
            if told is None:
                told = self._until_told(interrupted)
            self.chosen = self.vcpu
            self.vmm.stopped()
        except NotModelled as limit:
            told = Over(1, str(limit), limit.what)
        except KvmError as refusal:
            told = Over(1, f"{refusal.what}: errno {refusal.errno}")
        self.told = told
        return told

    def _go(self, step: Steps) -> Told | None:
        if isinstance(step, bool):
            step = tuple(step and number == self.chosen for number in range(self.count))
        self.waiting = False
        self.select(0)
        steps = self.vmm.resumes(step)
        resumed = [number for number, one in enumerate(steps) if one is not None]
        self._kicked = set(resumed) if self.vmm.kicks else set()
        self._idle = set()
        for number in resumed:
            self.select(number)
            if (told := self.vmm.resume(bool(steps[number]))) is not None:
                return told
        run_on = () if self.vmm.pauses else self._going
        stopped = () if self.vmm.pauses else [number for number, _ in self._queue]
        self._going = deque(sorted({*run_on, *resumed}.difference(stopped)))
        if self._going:
            self.select(self._going[0])
        return None

    def _until_told(self, interrupted: Callable[[], bool]) -> Told:
        while True:
            if (queued := self._queued()) is not None:
                return self._paused(queued)
            if interrupted():
                return self._interrupted()
            if self.waiting:
                if interrupted is never:
                    return self.vmm.interrupted()
                if self.machine.inside is not None:
                    sleep(_WAIT)
                    continue
                self._wait_on()
            kicked = self._takes_kick()
            told = self._answer(self._kvm_run(kicked))
            if isinstance(told, Stopped):
                self._stop()
                return self._paused(told)
            if told is not None:
                return told
            if not kicked:
                self._going.rotate(-1)
                self.select(self._going[0])

    def _stop(self) -> None:
        if not self.vmm.pauses:
            self._going.remove(self.vcpu)

    def _queued(self) -> Told | None:
        """What is told of one that stopped while the debugger was told of another."""
        if self.vmm.pauses and len(self._queue) > 1:
            raise NotModelled("what is told where two more vCPUs stop as one does")
        while self._queue:
            number, exit_ = self._queue.popleft()
            self.select(number)
            if (told := self.vmm.tells(exit_)) is not None:
                return told
            self._going.append(number)
        return None

    def _takes_kick(self) -> bool:
        """Whether the vCPU is kicked out of the run that comes next."""
        kicked = self.vcpu in self._kicked
        self._kicked.discard(self.vcpu)
        return kicked

    def _paused(self, told: Told) -> Told:
        if isinstance(told, Stopped):
            told = self._pause_others(told)
            if self.vmm.runs_at_pause and isinstance(told, Stopped):
                return self._run_at_pause(told)
        return told

    def _pause_others(self, told: Told) -> Told:
        """One vCPU stopped, and the others are on their way until they are paused, if they are.
        Where one of them comes to something to tell, that waits, or takes the place of what was to
        be told before (``gdb_set_stop_cpu``)."""
        last = self.vcpu
        for number in sorted({*self._going} - {last}):
            self.select(number)
            later = self._until_paused()
            if later is None:
                continue
            if self.vmm.queues and self.exits[-1].exit == "DEBUG":
                self._queue.append((number, self.exits[-1]))
                self._stop()
            else:
                told, last = later, number
        self.select(last)
        return told

    def _until_paused(self) -> Told | None:
        for _ in range(_AT_PAUSE):
            kicked = self._takes_kick()
            result = self._kvm_run(kicked)
            told = self._answer(result)
            self.vmm.inside = result == -errno.EINTR and not kicked
            if told is not None or self.vmm.inside:
                return told
        return self._answer(self._kvm_run(kicked=True)) if self.vmm.pauses else None

    def _interrupted(self) -> Told:
        """The vCPUs are kicked out of their runs, or do not come into one: that completes an access
        that was answered."""
        self.waiting = False
        number = self.vmm.interrupted_vcpu
        chosen = self.chosen if number is None else number
        for number in self._going if self.vmm.pauses else {*self._going} & {chosen}:
            self.select(number)
            if (told := self._answer(self._kvm_run(kicked=True))) is not None:
                return told
        self.select(chosen)
        told = self.vmm.interrupted()
        if isinstance(told, Stopped) and chosen in self._going:
            self._stop()
        return told

    def _run_at_pause(self, told: Stopped) -> Told:
        result = self._kvm_run(kicked=True)
        if result != -errno.EINTR:
            return Over(1, "the KVM_RUN of its pause gave an exit, and the vCPU's thread ended")
        return told

    def _kvm_run(self, kicked: bool) -> int:
        return self.enter(kicked, self._pace)

    def _answer(self, result: int) -> Told | None:
        if result != -errno.EINTR or not self._waits():
            self._idle.clear()  # it may wake another one
        else:
            self._idle.add(self.vcpu)
        self.waiting = self._idle.issuperset(self._going)
        if result == -errno.EINTR:
            return None
        if result < 0:
            return Stopped(Why.LOST, SIGABRT, words=f"KVM_RUN: errno {-result}")
        return self.answer()

    def reset(self) -> None:
        super().reset()
        self._going = deque(range(self.count))  # resume_all_vcpus

    def _wait_on(self) -> None:
        """A real vCPU's WFI ends with the signal that ends a slice of a run: back to it."""
        self.waiting = False
        self.machine.set_one_reg(PC, self.pc - len(_WFI))

    def _waits(self) -> bool:
        """Whether the vCPU is off, or was in a WFI, which only the debugger's ^C is to end now."""
        if self.off:
            return True
        inside, before = self.machine.inside, self.pc - len(_WFI)
        left = inside.left if inside is not None else None if self.entries[-1].kicked else before
        if left != before:
            return False
        try:
            return self.memory.read_virtual(before, len(_WFI)) == _WFI
        except Unreachable:
            return False
