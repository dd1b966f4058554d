"""The VMM's run loop: ``KVM_RUN``, answer the exit, act, again; what it saw is the trace."""

from __future__ import annotations

import errno
from collections.abc import Callable, Sequence
from typing import Any, Final

from vcpu_scenario.case import Action, Case, HostInterrupt, ImmediateExit
from vcpu_scenario.kvm import abi
from vcpu_scenario.kvm.registers import CORE_REGISTERS
from vcpu_scenario.machine.interface import KvmError, Machine, NotModelled
from vcpu_scenario.trace import Exit, Kick, Ring, RingEntry, Trace, Unmodelled
from vcpu_scenario.vmm.actions import perform
from vcpu_scenario.vmm.debugger import asked_of
from vcpu_scenario.vmm.devices import Bus
from vcpu_scenario.vmm.personality import PERSONALITIES
from vcpu_scenario.vmm.setup import id_of, set_up

_PC = CORE_REGISTERS["pc"]
_EC_BRK = 0x3C
_FOR_NEXT_RUN = (ImmediateExit, HostInterrupt)
"""Actions that are about the run that comes next, and not about one that only returns."""

NOT_MODELLED: Final = "not modelled"
"""What :attr:`vcpu_scenario.trace.Trace.ended` says where the emulated machine went no further."""


def run_case(machine: Machine, case: Case) -> Trace:
    """Sets ``machine`` up for ``case`` and runs it to its end."""
    run = _Run(machine, case)
    try:
        set_up(machine, case)
        run.perform(case.before)
        return run.to_the_end()
    except KvmError as refusal:
        error = f"{refusal.what}: errno {refusal.errno}"
        return Trace(error=error, errno=refusal.errno, ended="refused")
    except NotModelled as limit:
        return Trace(ended=NOT_MODELLED, unmodelled=Unmodelled(limit.what, None))


class _Run:
    def __init__(self, machine: Machine, case: Case) -> None:
        self.machine = machine
        self.case = case
        self.bus = Bus(case)
        self.exits: list[Exit] = []
        self.on = dict(case.on)
        self.observed = [(name, id_of(name)) for name in case.observe]
        self.last: dict[str, int] = {}
        self.repeats = 0
        self.vmm = PERSONALITIES[case.vmm]
        self.asked = asked_of(case)
        self.kicked = self.vmm.kicks
        """Whether the next run is one that the VMM is kicked for: it is stopped at first."""
        self.kicks: list[Kick] = []
        self.for_next_run: list[Action] = []

    def perform(self, actions: Sequence[Action]) -> None:
        """Does what is done at once, and notes what is for the next run of the scenario's own."""
        for action in actions:
            if isinstance(action, _FOR_NEXT_RUN):
                self.for_next_run.append(action)
            else:
                perform(self.machine, action)

    def to_the_end(self) -> Trace:
        try:
            return self._trace(self._until_it_ends())
        except NotModelled as limit:
            unmodelled = Unmodelled(limit.what, self.machine.get_one_reg(_PC))
            return Trace(
                exits=tuple(self.exits),
                ended=NOT_MODELLED,
                unmodelled=unmodelled,
                kicks=tuple(self.kicks),
            )

    def _until_it_ends(self) -> str:
        ended = ""
        while not ended:
            if self.kicked:
                result = self._kick()
                if result == -errno.EINTR:
                    continue
            else:
                for action in self.for_next_run:
                    perform(self.machine, action)
                self.for_next_run.clear()
                result = self._kvm_run()
            self._record(result)
            ended = self._ending(result) or self._react(result)
        return ended

    def _kick(self) -> int:
        """A run that is to return at once. Its EINTR is no exit of the scenario's; but a kernel
        that has something to tell before it looks whether it may go on tells it here."""
        self.kicked = False
        self.machine.run.immediate_exit = 1
        result = self._kvm_run()
        if result == -errno.EINTR:
            self.kicks.append(Kick(len(self.exits), self.machine.get_one_reg(_PC)))
        return result

    def _kvm_run(self) -> int:
        limits = self.case.limits
        result = self.machine.kvm_run(instructions=limits.instructions, seconds=limits.seconds)
        self.machine.run.immediate_exit = 0
        return result

    def _record(self, result: int) -> None:
        machine = self.machine
        run = machine.run
        reason = run.exit_reason
        name = abi.EXIT_NAMES.get(reason, str(reason))
        describe = _DESCRIBE.get(reason)
        fields = describe(run) if describe is not None else {}
        regs = {}
        for reg, id_ in self.observed:
            value = machine.get_one_reg(id_)
            if self.last.get(reg) != value:
                self.last[reg] = regs[reg] = value
        self.exits.append(
            Exit(
                name,
                0 if result >= 0 else -1,
                -result if result < 0 else 0,
                machine.get_one_reg(_PC),
                fields,
                regs,
            )
        )

    def _ending(self, result: int) -> str:
        """Why the run ends here; empty where it goes on."""
        limits = self.case.limits
        reason = self.machine.run.exit_reason
        if result < 0 and result != -errno.EINTR:
            return "error"
        if result == -errno.EINTR:
            acts = len(self.exits) - 1 in self.on
            if limits.stop_on_intr and not acts:
                return "interrupted"
        elif reason == abi.KVM_EXIT_SYSTEM_EVENT:
            return "system event"
        if len(self.exits) >= limits.exits:
            return "exit limit"
        if limits.repeats is not None:
            self._count_repeats()
            if self.repeats >= limits.repeats:
                return "repeats"
        return ""

    def _count_repeats(self) -> None:
        now = self.exits[-1]
        before = self.exits[-2] if len(self.exits) > 1 else None
        # Registers may change.
        if before is not None and now[:5] == before[:5]:
            self.repeats += 1
        else:
            self.repeats = 0

    def _react(self, result: int) -> str:
        machine, vmm = self.machine, self.vmm
        index = len(self.exits) - 1
        exit_, asked = self.exits[index], self.asked(index)
        actions = self.on.get(index, ())
        if result == 0 and machine.run.exit_reason == abi.KVM_EXIT_MMIO:
            self._answer_mmio(machine.run)
        told = bool(vmm.reason(exit_, asked))
        try:
            if told:
                vmm.stop(machine, asked)
            elif vmm.gives(exit_):
                vmm.give(machine, exit_)
            if told and self._is_brk(result) and self._skips_brk(actions):
                machine.set_one_reg(_PC, exit_.pc + 4)
            self.perform(actions)
            if told:
                vmm.resume(machine, self.asked(index + 1))
        except KvmError as refusal:
            return f"refused: {refusal.what}"
        self.kicked = told and vmm.kicks
        return ""

    def _answer_mmio(self, run: abi.kvm_run) -> None:
        mmio = run.mmio
        if mmio.is_write:
            self.bus.write(mmio.phys_addr, mmio.len, bytes(mmio.data))
        else:
            mmio.data[:] = self.bus.read(mmio.phys_addr, mmio.len)

    def _is_brk(self, result: int) -> bool:
        run = self.machine.run
        debug = result == 0 and run.exit_reason == abi.KVM_EXIT_DEBUG
        return debug and run.debug.hsr >> 26 == _EC_BRK

    def _skips_brk(self, actions: tuple[Action, ...]) -> bool:
        policy = self.case.skip_brk
        return policy == "always" or (policy == "without-actions" and not actions)

    def _trace(self, ended: str) -> Trace:
        case, machine = self.case, self.machine
        return Trace(
            exits=tuple(self.exits),
            eventfd=machine.eventfd_counts() if case.ioeventfds else (),
            ring=_ring(machine.ring) if case.coalesced else None,
            final_regs={name: machine.get_one_reg(id_of(name)) for name in case.final_regs},
            memory={addr: machine.read_memory(addr, length) for addr, length in case.peek},
            output=self.bus.outputs(),
            ended=ended,
            kicks=tuple(self.kicks),
        )


def _ring(ring: abi.kvm_coalesced_mmio_ring) -> Ring:
    entries: list[RingEntry] = []
    index = ring.first
    while index != ring.last and len(entries) < abi.COALESCED_RING_MAX:
        entry = ring.coalesced_mmio[index]
        entries.append(RingEntry(entry.phys_addr, entry.len, bytes(entry.data)))
        index = (index + 1) % abi.COALESCED_RING_MAX
    return Ring(ring.first, ring.last, tuple(entries))


def _describe_debug(run: abi.kvm_run) -> dict[str, Any]:
    debug = run.debug
    fields: dict[str, Any] = {"hsr": debug.hsr, "far": debug.far}
    if debug.hsr_high:
        fields["hsr_high"] = debug.hsr_high
    if run.flags:
        fields["flags"] = run.flags
    return fields


def _describe_mmio(run: abi.kvm_run) -> dict[str, Any]:
    mmio = run.mmio
    fields: dict[str, Any] = {"addr": mmio.phys_addr, "len": mmio.len, "is_write": mmio.is_write}
    if mmio.is_write:
        fields["data"] = bytes(mmio.data).hex()
    return fields


def _describe_system_event(run: abi.kvm_run) -> dict[str, Any]:
    event = run.system_event
    return {"type": event.type, "ndata": event.ndata, "data": list(event.data[: event.ndata])}


def _describe_nisv(run: abi.kvm_run) -> dict[str, Any]:
    return {"iss": run.arm_nisv.esr_iss, "ipa": run.arm_nisv.fault_ipa}


def _describe_hypercall(run: abi.kvm_run) -> dict[str, Any]:
    return {"nr": run.hypercall.nr, "flags": run.hypercall.flags}


_DESCRIBE: dict[int, Callable[[abi.kvm_run], dict[str, Any]]] = {
    abi.KVM_EXIT_DEBUG: _describe_debug,
    abi.KVM_EXIT_MMIO: _describe_mmio,
    abi.KVM_EXIT_SYSTEM_EVENT: _describe_system_event,
    abi.KVM_EXIT_ARM_NISV: _describe_nisv,
    abi.KVM_EXIT_HYPERCALL: _describe_hypercall,
}
