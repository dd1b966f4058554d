"""Guest memory as the kernel itself reads and writes it."""

from __future__ import annotations

from typing import Final

from vcpu_scenario.machine.emulated.kvm.vcpu import Vcpu


class GuestMemory:
    """That of one VM."""

    def __init__(self, vcpu: Vcpu) -> None:
        self._slots: Final = vcpu.memslots
        self._stage2: Final = vcpu.cpu.stage2

    def read(self, ipa: int, length: int) -> bytes | None:
        """``kvm_read_guest``; None where it fails."""
        host = self._stage2.slot_at(ipa)
        if host is None or not self._slots.reachable(host, write=False):
            return None
        self._slots.touched(ipa, write=False)
        return self._stage2.read(ipa, length)

    def write(self, ipa: int, data: bytes) -> bool:
        """``kvm_write_guest``."""
        host = self._stage2.slot_at(ipa)
        if host is None or host.slot.readonly or not self._slots.reachable(host, write=True):
            return False
        if not self._stage2.write(ipa, data):
            return False
        self._slots.touched(ipa, write=True)
        return True

    def has(self, ipa: int) -> bool:
        """``kvm_is_visible_gfn``."""
        return self._stage2.slot_at(ipa) is not None
