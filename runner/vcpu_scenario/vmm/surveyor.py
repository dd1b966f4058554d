"""Does a survey: asks a machine's vCPU, and keeps what came of each ioctl."""

from __future__ import annotations

from vcpu_scenario.actions import perform
from vcpu_scenario.case import Limits
from vcpu_scenario.ioctls.vcpu import SetGuestDebug
from vcpu_scenario.machine.errors import KvmError
from vcpu_scenario.machine.interface import Machine
from vcpu_scenario.survey import (
    Answer,
    Answers,
    Ask,
    GetRegister,
    ListRegisters,
    PutRegister,
    Survey,
)
from vcpu_scenario.vmm.setup import set_up


def do(machine: Machine, survey: Survey) -> Answers:
    """Sets ``machine`` up for the survey's case and asks. Raises
    :class:`~vcpu_scenario.machine.errors.KvmError` where the kernel refuses the set-up."""
    set_up(machine, survey.case)
    debug = survey.case.debug
    for action in (*([] if debug is None else [SetGuestDebug(debug)]), *survey.case.before):
        perform(machine, action)
    return Answers(tuple(answer(machine, ask, survey.case.limits) for ask in survey.asks))


def answer(machine: Machine, ask: Ask, limits: Limits) -> Answer:
    """What comes of one ioctl."""
    try:
        if isinstance(ask, ListRegisters):
            return machine.reg_list()
        if isinstance(ask, GetRegister):
            return machine.get_one_reg(ask.id)
        if isinstance(ask, PutRegister):
            machine.set_one_reg(ask.id, ask.value)
            return 0
        return machine.kvm_run(instructions=limits.instructions, seconds=limits.seconds)
    except KvmError as refusal:
        return -refusal.errno
