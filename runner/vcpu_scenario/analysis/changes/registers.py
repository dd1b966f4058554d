"""The registers that a vCPU has for its VMM, on a kernel and on the model of a release.

KVM_GET_REG_LIST in several situations, what each register holds, and what comes of writing it: as
it is, with no bit set and with every one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from vcpu_scenario.analysis.changes.records import Found
from vcpu_scenario.arm64 import sysregs
from vcpu_scenario.case import Case, Gic, Limits, Load, Memslot
from vcpu_scenario.ioctls.vcpu import GuestDebug
from vcpu_scenario.kvm.errnos import errno_name
from vcpu_scenario.kvm.registers import said, size_of, sys_reg
from vcpu_scenario.running.targets import Target
from vcpu_scenario.survey import (
    Answer,
    Answers,
    Ask,
    GetRegister,
    ListRegisters,
    PutRegister,
    RunOnce,
    Survey,
)

GROUP: Final = "registers"

_BASE: Final = 0x4000_0000
_BRK: Final = 0xD420_0000
_AT_ONCE: Final = 64


class Situation(Struct, frozen=True):
    """A vCPU to ask; ``first`` is asked before all else."""

    name: str
    gic: Gic | None = None
    psci_0_2: bool = True
    first: tuple[Ask, ...] = ()

    def survey(self, asks: Sequence[Ask]) -> Survey:
        case = Case(
            slots=(Memslot(_BASE, 0x1_0000),),
            loads=(Load(_BASE, _BRK.to_bytes(4, "little")),),
            regs=(("pc", _BASE),),
            gic=self.gic,
            psci_0_2=self.psci_0_2,
            debug=GuestDebug(0x1_0001),
            limits=Limits(exits=1),
        )
        return Survey(case, (*self.first, *asks))


SITUATIONS: Final = (
    Situation("fresh"),
    Situation("with a GICv3", Gic(3, 0x800_0000, 0x80A_0000)),
    Situation("with PSCI 0.1", psci_0_2=False),
    Situation("after the first run", first=(RunOnce(),)),
)

_UNSTEADY: Final = frozenset(
    sys_reg(*encoding) for encoding in (sysregs.CNTPCT_EL0, sysregs.CNTV_CVAL_EL0)
)
"""The counters, which hold what the time is; KVM has CNTVCT under the id of CNTV_CVAL."""

_NOT_SET: Final = frozenset({sys_reg(*sysregs.MDCCINT_EL1)})
"""What QEMU gives there is whatever was in a register of its own."""


def compared(real: Target, model: Target) -> Iterator[Found]:
    """What came of each situation, a difference for each register that is another one."""
    for situation in SITUATIONS:
        yield from _situation(situation, real, model)


def _situation(situation: Situation, real: Target, model: Target) -> Iterator[Found]:
    try:
        before, now = (_listed(situation, each) for each in (model, real))
    except _NoAnswer as reason:
        yield Found(GROUP, situation.name, "not compared", str(reason))
        return
    for reg in sorted(before ^ now):
        which = "the kernel" if reg in now else "the model"
        yield _difference(situation, reg, "KVM_GET_REG_LIST", f"only {which} has it")
    both = sorted((before & now) - _NOT_SET)
    for start in range(0, len(both), _AT_ONCE):
        yield from _held(situation, both[start : start + _AT_ONCE], real, model)


class _NoAnswer(Exception):
    """A machine that did not answer, with why."""


def _listed(situation: Situation, target: Target) -> frozenset[int]:
    (ids,) = _answers(situation, (ListRegisters(),), target)
    if isinstance(ids, int):
        raise _NoAnswer(f"KVM_GET_REG_LIST: {_words(ids)}")
    return frozenset(ids)


def _answers(situation: Situation, asks: Sequence[Ask], target: Target) -> Sequence[Answer]:
    given = target.ask(situation.survey(asks))
    if isinstance(given, Answers):
        return given.given[len(situation.first) :]
    raise _NoAnswer(given.reason)


def _held(
    situation: Situation, registers: Sequence[int], real: Target, model: Target
) -> Iterator[Found]:
    """What the registers hold, and what comes of writing them; where there is no answer for all
    together they are asked for one by one."""
    asks = [ask for reg in registers for ask in _asks(reg)]
    try:
        expected, found = (_answers(situation, asks, each) for each in (model, real))
    except _NoAnswer as reason:
        if len(registers) == 1:
            name = f"{said(registers[0])}, {situation.name}"
            yield Found(GROUP, name, "not compared", str(reason))
            return
        for reg in registers:
            yield from _held(situation, [reg], real, model)
        return
    rows = len(_WRITTEN) + 1
    for number, reg in enumerate(registers):
        part = slice(number * rows, (number + 1) * rows)
        yield _row(situation, reg, expected[part], found[part], model.kernel or "")


def _asks(reg: int) -> Iterator[Ask]:
    yield GetRegister(reg)
    for value in _WRITTEN:
        yield PutRegister(reg, value & (1 << 8 * size_of(reg)) - 1)


_WRITTEN: Final = (0, (1 << 128) - 1)


def _row(
    situation: Situation,
    reg: int,
    expected: Sequence[Answer],
    found: Sequence[Answer],
    model: str,
) -> Found:
    steps = ("KVM_GET_ONE_REG", "KVM_SET_ONE_REG of 0", "KVM_SET_ONE_REG of all bits")
    for step, one, other in zip(steps, expected, found, strict=True):
        if one != other and not (reg in _UNSTEADY and _succeeded(one) and _succeeded(other)):
            differs = _difference(situation, reg, step, f"{_words(one)}, not {_words(other)}")
            survey = situation.survey(tuple(_asks(reg)))
            answers = (*(0 for _ in situation.first), *found)
            return replace(differs, survey=survey, answers=answers, model=model)
    return Found(GROUP, f"{said(reg)}, {situation.name}", "same")


def _succeeded(answer: Answer) -> bool:
    return isinstance(answer, int) and answer >= 0


def _difference(situation: Situation, reg: int, step: str, what: str) -> Found:
    kind = f"{step.partition(' ')[0]}: {said(reg)}"
    first = f"{step}: {what}"
    return Found(GROUP, f"{said(reg)}, {situation.name}", "differs", kind, first)


def _words(answer: Answer) -> str:
    if isinstance(answer, tuple):
        return f"{len(answer)} registers"
    return errno_name(-answer) if answer < 0 else f"{answer:#x}"
