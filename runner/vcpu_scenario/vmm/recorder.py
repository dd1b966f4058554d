"""The trace of a run: each ``KVM_RUN`` and each exit as they come, and what is there at the end."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, TypeVar

from msgspec.structs import replace

from vcpu_scenario.case import Case
from vcpu_scenario.kvm import abi
from vcpu_scenario.kvm.registers import CORE_REGISTERS, id_of
from vcpu_scenario.machine.errors import KvmError, Unsupported
from vcpu_scenario.machine.interface import Machine
from vcpu_scenario.trace import Deed, Ending, Entry, Exit, Inside, StopReason, Trace, Unmodelled
from vcpu_scenario.vmm.debugger import Asked
from vcpu_scenario.vmm.fields import fields_of, ring_of

PC: Final = CORE_REGISTERS["pc"]

_Value = TypeVar("_Value")


class Lacked(Unsupported):
    """What a machine cannot do on the way of a run; ``so_far`` is the trace until then."""

    def __init__(self, what: str, so_far: Trace) -> None:
        super().__init__(what)
        self.so_far = so_far


class Recorder:
    """Of a run of ``case``."""

    def __init__(self, case: Case) -> None:
        self.exits: Final[list[Exit]] = []
        self.entries: Final[list[Entry]] = []
        self.last: dict[str, int] = {}
        """The observed registers of the vCPU as they were last seen."""
        self._case: Final = case
        self._observe: Final = case.observe
        self._reads: Final = (*map(id_of, case.observe), PC)
        self._values: list[int] = []
        self._vcpu = 0 if case.several else None

    def turn_to(self, vcpu: int, last: dict[str, int]) -> None:
        """It is the turn of ``vcpu``, whose observed registers were ``last``."""
        self.last, self._values = last, []
        if self._vcpu is not None:
            self._vcpu = vcpu

    def entered(
        self,
        exit_: int | None,
        did: tuple[Deed, ...],
        pc: int,
        asked: Asked,
        kicked: bool,
        inside: Inside | None,
    ) -> None:
        """``KVM_RUN`` has returned: see :class:`~vcpu_scenario.trace.Entry`."""
        debug, breakpoints = asked
        self.entries.append(Entry(exit_, did, pc, debug, breakpoints, kicked, inside))

    def exited(self, machine: Machine, run: abi.kvm_run, result: int) -> Exit:
        """The exit that it has given, as ``run`` has it."""
        reason = run.exit_reason
        values = machine.get_regs(self._reads)
        pc = values.pop()
        fields = fields_of(run, reason)
        if self._vcpu is not None:
            fields["vcpu"] = self._vcpu
        if self._case.reads_irq_level:
            fields["device_irq_level"] = run.s.regs.device_irq_level
        name = abi.EXIT_NAMES.get(reason) or str(reason)
        ret, error = (0, 0) if result >= 0 else (-1, -result)
        exit_ = Exit(name, ret, error, pc, fields, self._changed(values))
        self.exits.append(exit_)
        return exit_

    def _changed(self, values: list[int]) -> dict[str, int]:
        """Those of the observed registers that are not as they were last seen."""
        if values == self._values:
            return {}
        self._values, last = values, self.last
        pairs = zip(self._observe, values, strict=True)
        changed = {reg: value for reg, value in pairs if last.get(reg) != value}
        last.update(changed)
        return changed

    def told(self, stop: StopReason) -> None:
        """The VMM tells its debugger of the last exit."""
        self.entries[-1] = replace(self.entries[-1], told=stop)

    def ended(self, machine: Machine, ended: Ending, refused: str, asked: int) -> Trace:
        """The trace, with what is there now: registers, memory, and what else the case asks for."""
        case = self._case
        regs = ((name, read(machine.get_one_reg, id_of(name))) for name in case.final_regs)
        longest: dict[int, int] = {}
        for at, size in case.peek:
            longest[at] = max(size, longest.get(at, 0))
        memory = ((at, read(machine.memory.read, at, size)) for at, size in longest.items())
        return Trace(
            exits=tuple(self.exits),
            eventfd=machine.ioeventfds.counts() if case.ioeventfds else (),
            ring=ring_of(machine.ring) if case.fills_ring else None,
            final_regs={name: value for name, value in regs if value is not None},
            reg_list=read(machine.reg_list) if case.lists_registers else None,
            memory={at: data for at, data in memory if data is not None},
            ended=ended,
            refused=refused,
            entries=tuple(self.entries),
            asked=asked,
        )

    def lacked(self, machine: Machine, what: str) -> Lacked:
        return Lacked(what, self.unmodelled(machine, what, lacks=True))

    def unmodelled(self, machine: Machine, what: str, *, lacks: bool = False) -> Trace:
        """The trace up to what the machine does not model, or ``lacks``."""
        return Trace(
            exits=tuple(self.exits),
            ended=Ending.NOT_MODELLED,
            unmodelled=Unmodelled(what, read(machine.get_one_reg, PC), lacks),
            entries=tuple(self.entries),
        )


def read(what: Callable[..., _Value], *of: Any) -> _Value | None:
    """What is there once the run has ended; None where the kernel refuses to say, or has nothing
    there."""
    try:
        return what(*of)
    except KvmError:
        return None
