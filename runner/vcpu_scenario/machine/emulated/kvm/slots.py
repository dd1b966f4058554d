"""``KVM_SET_USER_MEMORY_REGION``: the memslots of a VM, by their numbers, and what is refused."""

from __future__ import annotations

from errno import EBADF, EEXIST, EFAULT, EINVAL, ENOENT, ENOMEM
from typing import Final

from msgspec import Struct, field

from vcpu_scenario.case import Memslot
from vcpu_scenario.ioctls.memory import Access, ClearDirtyLog, DiscardMemory, SetMemoryRegion
from vcpu_scenario.kernels.behaviour import Behaviour
from vcpu_scenario.kvm.abi import KVM_DIRTY_LOG_INITIALLY_SET, KVM_MEM_GUEST_MEMFD
from vcpu_scenario.machine.emulated.cpu.regions import PAGE
from vcpu_scenario.machine.emulated.cpu.stage2 import HostSlot, Stage2
from vcpu_scenario.machine.emulated.kvm.memslot import NO_MEMORY, Slot
from vcpu_scenario.machine.errors import KvmError

_IPA_BITS: Final = 40
"""Of the guest's physical address space in a VM of type 0."""

_MOST: Final = 1 << 32
"""More than a host has to spare; it must fail here rather than when the guest touches it."""

_SLOTS: Final = 512
_MANY_SLOTS: Final = 32767
_BITS: Final = 64
"""Pages of which KVM_CLEAR_DIRTY_LOG takes all or none, but for the last of a slot."""


def ipa_limit(behaviour: Behaviour, pa_bits: int) -> int:
    """Where a VM's guest physical address space ends, on a host with ``pa_bits`` of its own."""
    return 1 << (pa_bits if behaviour.pkvm_vm_copied else _IPA_BITS)


def _first_level(limit: int) -> int:
    """Where a walk of stage 2 begins: up to 16 tables side by side, of 9 bits each, make up that
    level (``stage2_pgtable_levels``)."""
    return 4 - (limit.bit_length() - 9) // 9


class Memslots(Struct):
    """Those of one VM. Every method raises :class:`KvmError` where the kernel refuses."""

    stage2: Stage2
    behaviour: Behaviour
    ipa_limit: int
    """Where the guest's physical address space ends."""
    manual_protect: int = 0
    """What ``KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2`` was given: to ask for dirty pages does not clear
    them, and with ``KVM_DIRTY_LOG_INITIALLY_SET`` all are dirty at first."""
    _slots: dict[int, Slot] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.stage2.tables.first_level = _first_level(self.ipa_limit)

    @property
    def _most(self) -> int:
        """``KVM_USER_MEM_SLOTS``."""
        return _MANY_SLOTS if self.behaviour.memslots_32767 else _SLOTS

    def unmap(self) -> None:
        """``stage2_unmap_vm``: the guest's accesses fault again, each page's first."""
        for slot in self._slots.values():
            if slot.present:
                self.stage2.unmap(slot.host)

    def add(self, slot: Memslot) -> None:
        """A slot with the number after the highest that there was."""
        number = max(self._slots, default=-1) + 1
        self.set_region(SetMemoryRegion(number, slot.base, slot.size, slot.readonly))

    def set_region(self, asked: SetMemoryRegion) -> None:
        """``__kvm_set_memory_region`` with ``kvm_arch_prepare_memory_region``."""
        what = f"memslot {asked.base:#x}+{asked.size:#x}"
        old = self._slots.get(asked.slot)
        present = old is not None and old.present
        self._check_request(asked, what)
        if not asked.size:
            self._delete(old, what)
            return
        host = old.host if old is not None and old.present else None
        if host is not None and (
            asked.bits or host.slot.size != asked.size or host.slot.readonly is not asked.readonly
        ):
            raise KvmError(EINVAL, what)
        moved = host is None or host.base != asked.base
        if moved and self.stage2.overlaps(asked.base, asked.base + asked.size, apart_from=host):
            raise KvmError(EEXIST, what)
        if asked.bits:  # kvm_gmem_bind
            raise KvmError(EBADF, what)
        if asked.base + asked.size > self.ipa_limit:
            raise KvmError(EFAULT, what)
        slot = Memslot(asked.base, asked.size, asked.readonly)
        if old is None or (not present and old.host.slot.size != asked.size):
            old = self._slots[asked.slot] = Slot(self._mapped(slot), self.stage2)
        elif not present:
            self.stage2.put_back(old.host, slot)
            old.present = True
        elif moved:
            self.stage2.remove(old.host)
            self.stage2.put_back(old.host, slot)
        initially_set = bool(self.manual_protect & KVM_DIRTY_LOG_INITIALLY_SET)
        old.log(asked.log_dirty, initially_set=initially_set)

    def _check_request(self, asked: SetMemoryRegion, what: str) -> None:
        if asked.second and not self.behaviour.user_memory2:
            raise KvmError(EINVAL, asked.request)
        guarded = asked.second and self.behaviour.guest_memfd
        guarded &= not (asked.readonly or asked.log_dirty)
        if asked.bits & ~(KVM_MEM_GUEST_MEMFD * guarded):  # check_memory_region_flags
            raise KvmError(EINVAL, what)
        if asked.base % PAGE or asked.size % PAGE or asked.size < 0 or asked.base < 0:
            raise KvmError(EINVAL, what)
        if asked.slot >= self._most or asked.base + asked.size >= 1 << 64:
            raise KvmError(EINVAL, what)

    def _mapped(self, slot: Memslot) -> HostSlot:
        if slot.size > _MOST:
            raise KvmError(ENOMEM, f"memslot {slot.base:#x}+{slot.size:#x}")
        try:
            return self.stage2.add(slot)
        except OSError as error:  # the VMM's own mapping of it
            raise KvmError(error.errno or ENOMEM, f"mmap {slot.size:#x}") from None

    def _delete(self, slot: Slot | None, what: str) -> None:
        if slot is None or not slot.present:
            raise KvmError(EINVAL, what)
        slot.present = False
        slot.dirty = None
        slot.host.by_page = False
        self.stage2.remove(slot.host)

    def regions(self) -> tuple[SetMemoryRegion, ...]:
        """The slots that there are, as they would be asked for."""
        return tuple(
            SetMemoryRegion(
                number,
                slot.host.base,
                slot.host.slot.size,
                slot.host.slot.readonly,
                slot.dirty is not None,
            )
            for number, slot in self._slots.items()
            if slot.present
        )

    @property
    def empty(self) -> bool:
        return not any(slot.present for slot in self._slots.values())

    # -- the dirty log -----------------------------------------------------------------------

    def dirty_log(self, number: int) -> tuple[int, ...]:
        """``kvm_get_dirty_log_protect``."""
        slot, dirty = self._logged(number, "KVM_GET_DIRTY_LOG")
        found = tuple(sorted(dirty))
        if not self.manual_protect:
            slot.clean(found)
        return found

    def clear_dirty_log(self, asked: ClearDirtyLog) -> None:
        """``kvm_clear_dirty_log_protect``."""
        what = "KVM_CLEAR_DIRTY_LOG"
        first, count = asked.first, asked.count
        if first % _BITS:
            raise KvmError(EINVAL, what)
        slot, _ = self._logged(asked.slot, what)
        rest = slot.host.slot.size // PAGE - first
        if rest < 0 or count > rest or (count < rest and count % _BITS):
            raise KvmError(EINVAL, what)
        within = range(first, first + count)
        slot.clean(page for page in asked.pages if page in within)

    def _logged(self, number: int, what: str) -> tuple[Slot, set[int]]:
        if number >= self._most:
            raise KvmError(EINVAL, what)
        slot = self._slots.get(number)
        if slot is None or slot.dirty is None:
            raise KvmError(ENOENT, what)
        return slot, slot.dirty

    def touched(self, ipa: int, *, write: bool) -> None:
        """KVM reads or writes there itself."""
        if (slot := self._at(ipa)) is not None:
            slot.touch(ipa, write=write)

    # -- the VMM's mapping -------------------------------------------------------------------

    def set_access(self, number: int, access: Access) -> None:
        """The VMM changes its mapping; KVM is told and unmaps what lies on it."""
        slot = self._slots.get(number)
        if slot is None:
            raise KvmError(EINVAL, f"the VMM has no memory of slot {number}")
        protects = access not in NO_MEMORY
        if protects and slot.access == "unmapped":
            raise KvmError(ENOMEM, "mprotect")
        if not (protects and slot.access == "past_end"):  # it ends where it did
            slot.access = access
        self.stage2.unmap(slot.host)

    def write(self, ipa: int, data: bytes) -> None:
        self._reach(ipa, len(data), write=True)
        if not self.stage2.write(ipa, data):
            raise KvmError(EFAULT, f"no memslot holds {ipa:#x}+{len(data):#x}")

    def read(self, ipa: int, length: int) -> bytes:
        self._reach(ipa, length, write=False)
        found = self.stage2.read(ipa, length)
        if found is None:
            raise KvmError(EFAULT, f"no memslot holds {ipa:#x}+{length:#x}")
        return found

    def discard(self, asked: DiscardMemory) -> None:
        slot = self._slots.get(asked.slot)
        if slot is None:
            raise KvmError(EINVAL, f"the VMM has no memory of slot {asked.slot}")
        slot.discard(userfaultfd=asked.userfaultfd)

    def userfaults(self, number: int) -> tuple[tuple[int, bool], ...]:
        slot = self._slots.get(number)
        if slot is None or slot.missing is None:
            raise KvmError(EBADF, f"read of the userfaultfd of slot {number}")
        told = tuple(slot.put_back)
        slot.put_back.clear()
        return told

    def _reach(self, ipa: int, length: int, *, write: bool) -> None:
        """The VMM itself is to get at its memory. Raises :class:`KvmError` where it cannot."""
        slot = self._at(ipa)
        if slot is None:
            return
        if not slot.lets(write=write):
            raise KvmError(EFAULT, f"the VMM's mapping of {ipa:#x} lets nothing through")
        slot.reach(ipa, length, write=write)

    def reachable(self, host: HostSlot, *, write: bool) -> bool:
        """Whether the VMM's mapping has memory there, for reading or writing."""
        return self._of(host).lets(write=write)

    def fault(self, host: HostSlot, ipa: int, *, write: bool) -> int:
        """``user_mem_abort``: maps a page or block for the guest. 0, or the negative errno."""
        return self._of(host).fault(ipa, write=write)

    def _at(self, ipa: int) -> Slot | None:
        host = self.stage2.slot_at(ipa)
        return None if host is None else self._of(host)

    def _of(self, host: HostSlot) -> Slot:
        return next(slot for slot in self._slots.values() if slot.host is host)
