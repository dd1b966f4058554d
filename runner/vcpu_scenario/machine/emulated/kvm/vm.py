"""What the vCPUs of one VM share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Generic, Protocol, TypeVar

from vcpu_scenario.arm64.sysregs import Encoding
from vcpu_scenario.kvm import abi
from vcpu_scenario.machine.emulated.kvm.bus import BusDevice, IoBus
from vcpu_scenario.machine.emulated.kvm.slots import Memslots
from vcpu_scenario.machine.emulated.vgic.distributor import affinity_of

if TYPE_CHECKING:
    from vcpu_scenario.machine.emulated.kvm.itsdevice import ItsDevice
    from vcpu_scenario.machine.emulated.vgic.devicev2 import DeviceV2
    from vcpu_scenario.machine.emulated.vgic.devicev3 import DeviceV3


class _Member(Protocol):
    mpidr: int

    def stop(self) -> None: ...


_Vcpu = TypeVar("_Vcpu", bound=_Member)


class Vm(Generic[_Vcpu]):
    """A VM; its memory is the hardware's to look up."""

    def __init__(self, memslots: Memslots) -> None:
        self.vcpus: Final[list[_Vcpu]] = []
        self.on_cpu: _Vcpu
        """The one that is about to run."""
        self.memslots: Final = memslots
        self.bus: Final = IoBus()
        self.ring: Final = abi.kvm_coalesced_mmio_ring()
        self.caps: Final = set[str]()
        self.has_run = False
        """``KVM_RUN`` was called for one of them: what describes the VM is settled."""
        self.dead = False
        """``kvm_vm_dead``."""
        self.id_values: Final = dict[Encoding, int]()
        """ID registers that the VMM wrote."""
        self.firmware: Final = dict[int, int]()
        """The firmware's registers that the VMM wrote, by their ids."""
        self.vgic: DeviceV2 | DeviceV3 | None = None
        """Its vGIC, once it is created."""
        self.itses: Final[list[ItsDevice]] = []
        """Its ITSs, in the order in which they were created."""
        self.redistributors: Final = dict[int, BusDevice]()
        """Of a GICv3 those that have come onto the bus, by the numbers of their vCPUs."""
        self.counter_offset = False
        """The VMM has set the offset of the counters, which no register changes any more."""
        self.pmu_counters: int | None = None
        """PMCR_EL0.N that the VMM has chosen."""
        self.pmu_denied = set[int]()
        """Events that the VMM's filters keep from counters."""
        self.pmu_filtered = False
        self.smccc_filter: Final = list[tuple[int, int, int]]()
        """Of calls that the VMM has spoken of: first function, last, and what is done with it."""
        self.by_affinity: Final[dict[int, _Vcpu]] = {}
        """The last vCPU of each affinity at the first run, where KVM looks there first."""

    def at(self, affinity: int) -> _Vcpu | None:
        """``kvm_mpidr_to_vcpu``: the vCPU whose affinity fields are these."""
        known = self.by_affinity.get(affinity & AFFINITY)
        tried = self.vcpus if known is None else (known, *self.vcpus)
        return next((vcpu for vcpu in tried if not (vcpu.mpidr ^ affinity) & AFFINITY), None)

    def index_affinities(self) -> None:
        """``kvm_init_mpidr_data``: of vCPUs that have the same the last one counts."""
        self.by_affinity.update((vcpu.mpidr & AFFINITY, vcpu) for vcpu in self.vcpus)

    def place(self, affinity: int) -> int | None:
        """That of the vCPU of these affinity fields, in the order in which they were created."""
        found = self.at(affinity)
        return None if found is None else self.vcpus.index(found)

    def stop(self) -> None:
        """``kvm_prepare_system_event``: no vCPU runs on by itself."""
        for vcpu in self.vcpus:
            vcpu.stop()


AFFINITY: Final = 0xFF_00FF_FFFF
"""MPIDR_EL1's affinity fields."""


def mpidr_of(number: int) -> int:
    """MPIDR_EL1 of the vCPU of that number."""
    return 1 << 31 | affinity_of(number)
