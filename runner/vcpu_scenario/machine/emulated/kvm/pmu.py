"""A vCPU's PMU (``KVM_ARM_VCPU_PMU_V3``): its registers, what they count, and its interrupt.

A counter's value is what was written plus what the host's counter adds while it runs. Where nothing
is said of an event here the CPU does not have it, and PMCEID0_EL0 says so: its counter stays.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final

from vcpu_scenario.arm64.cpumodels import CpuModel
from vcpu_scenario.kernels.behaviour import Behaviour
from vcpu_scenario.machine.emulated.cpu.core import Cpu
from vcpu_scenario.machine.emulated.cpu.perfcounters import CYCLES_OF_AN_INSTRUCTION, PerfCounter
from vcpu_scenario.machine.emulated.kvm.pmubacking import Backing
from vcpu_scenario.machine.emulated.kvm.vm import Vm

CYCLES: Final = 31
"""The place of the cycle counter among the others."""
N_SHIFT: Final = 11
N_MASK: Final = 0x1F << N_SHIFT
PMCR_E, PMCR_P, PMCR_C, PMCR_LC, PMCR_LP = 1, 1 << 1, 1 << 2, 1 << 6, 1 << 7
SW_INCR, CPU_CYCLES, CHAIN = 0, 0x11, 0x1E
_INST_RETIRED: Final = 8
_EACH: Final = {CPU_CYCLES: CYCLES_OF_AN_INSTRUCTION, _INST_RETIRED: 1}
EVENTS: Final = 1 << SW_INCR | 1 << _INST_RETIRED | 1 << CPU_CYCLES
"""PMCEID0_EL0 of the host."""
EVENT: Final = 0x3FF
"""The number of an event, of a PMU before version 3.1."""
_NOT_AT_EL1, _NOT_AT_EL0 = 1 << 31, 1 << 30
_UNKNOWN: Final = 0x1DE7_EC7E_DBAD_C0DE
_WORD: Final = 0xFFFF_FFFF
_LONG: Final = (1 << 64) - 1
_PMCR_UNKNOWN: Final = 0xAC
"""What KVM resets PMCR_EL0 to beside the host's identification, while it shows that."""
_TYPE: Final = 0xC800_0000


class Pmu:
    """The PMU of one vCPU. ``fold`` comes before a look at what it counted, ``load`` after a change
    of what it is to count; ``drive`` takes the number of its interrupt and what the line is now."""

    def __init__(
        self,
        model: CpuModel,
        cpu: Cpu,
        behaviour: Behaviour,
        vm: Vm[Any],
        drive: Callable[[int, bool], None],
    ) -> None:
        self._model: Final = model
        self._cpu: Final = cpu
        self._behaviour: Final = behaviour
        self._vm: Final = vm
        self._drive: Final = drive
        self.irq: int | None = None
        self.created = False
        """``KVM_ARM_VCPU_PMU_V3_INIT`` was done."""
        self.line = False
        """Its interrupt, as KVM last saw it."""
        self.values = [0] * 32
        self.types = [0] * 32
        self.backing: Final = Backing(self, single=behaviour.pmu_chain_counted)
        cpu.perf.used = cpu.attended = True
        self.reset()

    def reset(self) -> None:
        """``kvm_pmu_vcpu_reset`` and the values of its registers."""
        behaviour = self._behaviour
        self._cpu.perf.running = []
        self.backing.clear()
        narrow = behaviour.pmu_registers_narrow
        own = self._model.pmu_counters << N_SHIFT
        self.pmcr = own if behaviour.pmu_control_clean else self._model.pmcr | _PMCR_UNKNOWN
        flags = _UNKNOWN & self.mask if narrow else _UNKNOWN
        self.enabled = self.interrupts = self.overflowed = flags
        self.selected = _UNKNOWN & 0x1F if narrow else _UNKNOWN
        self.increments = 0 if narrow else _UNKNOWN
        self.user_enable = 0
        type_ = _UNKNOWN & self.type_mask if narrow else _UNKNOWN
        self.types[:] = [*[type_] * CYCLES, 0]
        value = _UNKNOWN & _WORD if narrow else _UNKNOWN
        self.values[:] = [*[value] * CYCLES, _UNKNOWN]

    # -- what there is ---------------------------------------------------------------------------

    @property
    def type_mask(self) -> int:
        return _TYPE | (EVENT if self._behaviour.pmu_limits_writable else 0xFFFF)

    @property
    def counters(self) -> int:
        """PMCR_EL0.N: of the VM, or of what was written to the register."""
        if self._behaviour.pmu_limits_writable:
            limit = self._vm.pmu_counters
            return self._model.pmu_counters if limit is None else limit
        return (self.pmcr & N_MASK) >> N_SHIFT

    @property
    def mask(self) -> int:
        """``kvm_pmu_valid_counter_mask``."""
        return (1 << self.counters) - 1 | 1 << CYCLES

    @property
    def read_mask(self) -> int:
        """What the guest sees of flags: from the narrow reset values on all that is there, until a
        VMM's writes are narrowed as well."""
        behaviour = self._behaviour
        plain = behaviour.pmu_registers_narrow and not behaviour.pmu_limits_writable
        return _LONG if plain else self.mask

    @property
    def is_on(self) -> bool:
        return bool(self.pmcr & PMCR_E)

    def has(self, index: int) -> bool:
        return index == CYCLES or index < self.counters

    def runs(self, index: int) -> bool:
        return bool(self.is_on and self.enabled >> index & 1)

    def is_backed(self, index: int) -> bool:
        """Whether an event of perf is to count for it, ever so little."""
        event = self.event(index)
        counted = event == SW_INCR or (event == CHAIN and self._behaviour.pmu_chain_counted)
        return not counted and event not in self._vm.pmu_denied

    def event(self, index: int) -> int:
        return CPU_CYCLES if index == CYCLES else self.types[index] & EVENT

    @property
    def is_long(self) -> bool:
        """Whether an overflow of the cycle counter is asked for with 64 bits."""
        return bool(self.pmcr & PMCR_LC)

    def paired(self, index: int) -> bool:
        """Whether two counters are one of 64 bits, on kernels that have them so."""
        odd = index | 1
        return (
            not self._behaviour.pmu_chain_counted
            and odd < CYCLES
            and self.event(odd) == CHAIN
            and self.runs(odd)
        )

    @property
    def shown_control(self) -> int:
        """PMCR_EL0 (``kvm_vcpu_read_pmcr``)."""
        return self.pmcr & ~N_MASK | self.counters << N_SHIFT

    @property
    def shown_events(self) -> int:
        """PMCEID0_EL0, without what the VMM's filter denies."""
        events = EVENTS | self._behaviour.pmu_control_clean << CHAIN
        return events & ~sum(1 << event for event in self._vm.pmu_denied if event < 32)

    # -- counting --------------------------------------------------------------------------------

    def load(self) -> None:
        """Lets the host's counters run for those that are to (``kvm_pmu_create_perf_event``)."""
        self._cpu.perf.running = [*self._events()]

    def _events(self) -> Iterator[PerfCounter]:
        banned = self._vm.pmu_denied
        for index in (*range(self.counters), CYCLES):
            event = self.event(index)
            each = _EACH.get(event)
            if not self.runs(index) or each is None or event in banned:
                continue
            type_ = self.types[index]
            levels = frozenset(
                el for el, no in ((0, _NOT_AT_EL0), (1, _NOT_AT_EL1)) if not type_ & no
            )
            if not levels:
                continue
            yield PerfCounter(index, each, levels, self._to_overflow(index))

    def _to_overflow(self, index: int) -> int:
        made = self.backing.long
        if index == CYCLES and (self.is_long if made is None else made):
            return (1 << 64) - self.values[index]
        if index != CYCLES and self.paired(index):
            low, high = (self.values[each] & _WORD for each in (index & ~1, index | 1))
            return (1 << 64) - (high << 32 | low)
        return (1 << 32) - (self.values[index] & _WORD)

    def fold(self) -> None:
        """Takes over what the host's counters have counted, overflows with it."""
        running, self._cpu.perf.running = self._cpu.perf.running, []
        for counter in running:
            index, over = counter.index, counter.count >= counter.limit
            if index != CYCLES and self.paired(index):
                self._add_to_pair(index & ~1, counter.count)
                self.overflowed |= over << (index | 1)
                continue
            self.values[index] = self.values[index] + counter.count & self._width(index)
            if over and not (index == CYCLES and self._behaviour.pmu_cycle_overflow_lost):
                self._overflow(index)
        self.load()

    def _width(self, index: int) -> int:
        return _LONG if index == CYCLES else _WORD

    def _add_to_pair(self, even: int, count: int) -> None:
        low, high = (self.values[each] & _WORD for each in (even, even | 1))
        both = (high << 32 | low) + count
        self.values[even], self.values[even | 1] = both & _WORD, both >> 32 & _WORD

    def _overflow(self, index: int) -> None:
        self.overflowed |= 1 << index
        if not index & 1 and index + 1 < CYCLES:
            self._increment(1 << index + 1, CHAIN)

    def increment(self, mask: int) -> None:
        """``kvm_pmu_software_increment``."""
        if self._behaviour.pmu_chain_counted:
            self._increment(mask, SW_INCR)
            return
        for index in range(self.counters):
            if not mask >> index & 1 or not self.runs(index) or self.event(index) != SW_INCR:
                continue
            top = index | (self.paired(index) and not index & 1)
            for each in range(index, top + 1):
                self.values[each] = self.values[each] + 1 & _WORD
                if self.values[each]:
                    break
            else:
                self.overflowed |= 1 << top

    def _increment(self, mask: int, event: int) -> None:
        """``kvm_pmu_counter_increment``."""
        for index in range(CYCLES):
            if mask >> index & 1 and self.runs(index) and self.event(index) == event:
                self.values[index] = self.values[index] + 1 & _WORD
                if not self.values[index]:
                    self._overflow(index)

    def value(self, index: int) -> int:
        return self.values[index] & self._width(index)

    def control(self, value: int) -> None:
        """``kvm_pmu_handle_pmcr``: C and P reset counters."""
        behaviour = self._behaviour
        lost = (PMCR_C | PMCR_P) * behaviour.pmu_registers_narrow
        self.pmcr = value & ~(lost | PMCR_LP * behaviour.pmu_control_clean)
        self.backing.switched(self.enabled, on=bool(value & PMCR_E))
        if value & PMCR_C:
            self.write(CYCLES, 0)
        if value & PMCR_P:
            for index in range(self.counters):
                self.write(index, 0)

    def write(self, index: int, value: int) -> None:
        """``kvm_pmu_set_counter_value``."""
        if index == CYCLES:
            self.values[index] = value
            self.backing.renew(index)
            return
        above = 0 if self._behaviour.pmu_counters_narrow else self.values[index] & ~_WORD
        mask = _WORD if self._behaviour.pmu_counters_narrow else _LONG
        self.values[index] = above + value & mask
        self.backing.renew(index)

    def set_type(self, index: int, value: int) -> None:
        """``kvm_pmu_set_counter_event_type``."""
        self.types[index] = value & self.type_mask
        self.backing.type_changed(index)

    # -- its interrupt ---------------------------------------------------------------------------

    @property
    def level(self) -> bool:
        """``kvm_pmu_overflow_status``."""
        pending = self.overflowed & self.interrupts & self.mask
        if not self._behaviour.pmu_overflow_of_any_counter:
            pending &= self.enabled
        return self.is_on and bool(pending)

    def update(self) -> bool:
        """``kvm_pmu_update_state``; whether the line changed."""
        self.fold()
        if not self.created or self.line is self.level:
            return False
        self.line = self.level
        if self.irq is not None:
            self._drive(self.irq, self.line)
        return True
