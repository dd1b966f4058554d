"""A booted guest of a lab, and what is asked of its agent."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Final, TypeVar

from msgspec import Struct

from vcpu_scenario.case import Case
from vcpu_scenario.course import Course, Recorded, Steps
from vcpu_scenario.interchange.cases import dump_case
from vcpu_scenario.interchange.courses import dump_steps, load_course, load_recorded
from vcpu_scenario.interchange.surveys import dump_survey, load_answers
from vcpu_scenario.interchange.traces import load_trace
from vcpu_scenario.machine.real import mailbox
from vcpu_scenario.machine.real.errors import BootError
from vcpu_scenario.machine.real.lab.options import LabOptions
from vcpu_scenario.machine.real.lab.qemu import GuestGoneError, Qemu
from vcpu_scenario.machine.real.program import Ended, Program, dump_program, load_ended
from vcpu_scenario.survey import Answers, RunOnce, Survey
from vcpu_scenario.trace import Trace

_SLOWER: Final = 4.0
"""Seconds of the host for one of a guest whose clock counts instructions: QEMU emulates some 30
million a second, where 125 million are a second to the guest."""

_LONGEST: Final = 600.0
"""Seconds that a case's own limits count for at most."""

_Given = TypeVar("_Given")
"""What a guest gives back where all goes well."""


class Skipped(Struct, frozen=True):
    """Real KVM cannot do what the case asks; ``reason`` says what, and ``so_far`` what came until
    then, None where nothing did."""

    reason: str
    so_far: Trace | None = None


class Guest:
    """A booted guest whose agent is ready."""

    def __init__(self, qemu: Qemu, options: LabOptions) -> None:
        self._qemu = qemu
        self._options = options
        with contextlib.ExitStack() as undo:
            undo.callback(qemu.close)
            self.release = self._await_agent()
            undo.pop_all()

    def _await_agent(self) -> str:
        try:
            word, text = self._qemu.hear(self._options.boot_seconds)
        except GuestGoneError as gone:
            raise BootError(f"the kernel did not boot: {gone}", self._qemu.console) from None
        if word != mailbox.READY:
            raise BootError(f"the kernel booted but has {text or word}", self._qemu.console)
        return text

    @property
    def console(self) -> str:
        return self._qemu.console

    def close(self) -> None:
        self._qemu.close()

    def run(self, case: Case) -> Trace | Skipped:
        """Raises :class:`GuestGoneError` where nothing more is to be expected of this guest."""
        asked = mailbox.CASE, dump_case(case)
        return self._exchange(asked, patience(case, self._options), mailbox.TRACE, load_trace)

    def ask(self, survey: Survey) -> Answers | Skipped:
        """Raises :class:`GuestGoneError` as :meth:`run` does."""
        asked = mailbox.SURVEY, dump_survey(survey)
        runs = sum(isinstance(ask, RunOnce) for ask in survey.asks)
        patience = self._options.case_seconds + runs * max(survey.case.limits.seconds, 0)
        return self._exchange(asked, patience, mailbox.ANSWERS, load_answers)

    def step(self, steps: Steps) -> Course | Skipped:
        """Raises :class:`GuestGoneError` as :meth:`run` does."""
        asked = mailbox.STEPS, dump_steps(steps)
        return self._exchange(asked, self._options.case_seconds, mailbox.COURSE, load_course)

    def record(self, steps: Steps) -> Recorded | Skipped:
        """Raises :class:`GuestGoneError` as :meth:`run` does."""
        asked = mailbox.SESSION, dump_steps(steps)
        return self._exchange(asked, self._options.boot_seconds, mailbox.RECORDED, load_recorded)

    def execute(self, program: Program) -> Ended | Skipped:
        """Raises :class:`GuestGoneError` as :meth:`run` does."""
        asked = mailbox.PROGRAM, dump_program(program)
        patience = self._options.case_seconds + program.seconds
        return self._exchange(asked, patience, mailbox.ENDED, load_ended)

    def _exchange(
        self, asked: tuple[str, str], patience: float, wanted: str, load: Callable[[str], _Given]
    ) -> _Given | Skipped:
        try:
            self._qemu.send(*asked)
        except ValueError as too_large:
            return Skipped(f"it does not fit into the lab: {too_large}")
        word, text = self._qemu.hear(patience)
        try:
            if word == wanted:
                return load(text)
            if word == mailbox.SKIP:
                reason, _, so_far = text.partition("\n")
                return Skipped(reason, load_trace(so_far) if so_far else None)
        except ValueError as garbage:
            raise GuestGoneError(f"its answer cannot be read: {garbage}") from None
        # What a VM cannot do any more after a case, another may not be able to do either.
        raise GuestGoneError(f"the VM failed: {_last_line(text or word)}")


def patience(case: Case, options: LabOptions) -> float:
    """Seconds of the host in which a case is over, as its limits are the guest's."""
    runs = case.limits.exits + case.console_accesses
    seconds = max(case.limits.seconds, 0) * (1 if options.icount is None else _SLOWER)
    return options.case_seconds + min(runs * seconds, _LONGEST)


def _last_line(text: str) -> str:
    """Of a traceback, what it was."""
    return text.strip().splitlines()[-1] if text.strip() else "for no reason that it knows"
