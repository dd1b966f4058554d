"""KVM's GICv3: a distributor of 64 KiB, one redistributor of two such frames, system registers.

After ``vgic-v3.c``.
"""

from __future__ import annotations

from functools import cached_property
from typing import Final

from msgspec.structs import replace

from vcpu_scenario.arm64 import sysregs
from vcpu_scenario.arm64.sysregs import Encoding
from vcpu_scenario.case import Gic
from vcpu_scenario.machine.emulated.cpu import icv
from vcpu_scenario.machine.emulated.cpu.cpuif import FIRST_LPI, ListRegister
from vcpu_scenario.machine.emulated.cpu.icv import Value
from vcpu_scenario.machine.emulated.vgic import v3registers
from vcpu_scenario.machine.emulated.vgic.base import Vgic
from vcpu_scenario.machine.emulated.vgic.core import Interrupts
from vcpu_scenario.machine.emulated.vgic.distributor import Distributor
from vcpu_scenario.machine.emulated.vgic.features import VgicFeatures
from vcpu_scenario.machine.emulated.vgic.mmio import Frame, Registers
from vcpu_scenario.machine.emulated.vgic.v3registers import FRAME_SIZE

REDISTRIBUTOR_SIZE: Final = 2 * FRAME_SIZE


class VgicV3(Vgic):
    """A GICv3 for one vCPU. See :func:`vcpu_scenario.machine.emulated.vgic.create`."""

    def __init__(
        self,
        gic: Gic | None,
        features: VgicFeatures,
        distributor: Distributor[Interrupts] | None = None,
        number: int | None = None,
    ) -> None:
        """One without ``gic`` is nowhere yet."""
        super().__init__(
            features, sgis_have_sources=False, group=1, distributor=distributor, number=number
        )
        self.frames = []
        if gic is not None:
            self.place(gic.redist + self.index * REDISTRIBUTOR_SIZE)
            if not self.index:
                self.place_distributor(gic.dist)

    @cached_property
    def redist_registers(self) -> Registers:
        return Registers(v3registers.redistributor(self.features))

    @cached_property
    def dist_registers(self) -> Registers:
        return Registers(v3registers.distributor(self.features))

    def place_distributor(self, base: int) -> None:
        """Where the distributor is: the first vCPU's serves all."""
        self.frames.insert(0, Frame(base, FRAME_SIZE, self.dist_registers))

    def place(self, redist: int) -> None:
        """Where the redistributor is."""
        if self.features.redistributor_is_one_device:
            self.frames = [Frame(redist, REDISTRIBUTOR_SIZE, self.redist_registers)]
            return
        registers = v3registers.redistributor(self.features)
        first = Registers([r for r in registers if r.offset < FRAME_SIZE])
        behind = (r for r in registers if r.offset >= FRAME_SIZE)
        second = Registers([replace(r, offset=r.offset - FRAME_SIZE) for r in behind])
        self.frames = [
            Frame(redist, FRAME_SIZE, first),
            Frame(redist + FRAME_SIZE, FRAME_SIZE, second),
        ]

    def signalled(self) -> ListRegister | None:
        return self.cpuif.signalled()

    def as_fiq(self, lr: ListRegister) -> bool:
        return not lr.group

    def traps(self, encoding: Encoding, *, is_read: bool = False) -> bool:
        if self.features.system_registers_trapped and encoding in icv.TRAPPED[is_read]:
            return True
        if is_read:
            return False
        if encoding == sysregs.ICC_DIR_EL1:
            return self._deactivation_traps
        return encoding in icv.SGI_REGISTERS

    @property
    def _deactivation_traps(self) -> bool:
        """``ICH_HCR_EL2.TDIR``."""
        return self.features.traps_dir_with_spis and self.deactivation_traps

    def deactivation_leaves_hyp(self, intid: int) -> bool:
        """``___vgic_v3_write_dir``: the host looks for what is active in no list register."""
        cpuif = self.cpuif
        active_elsewhere = intid < FIRST_LPI and cpuif.find_active(intid) is None
        return self._deactivation_traps and cpuif.eoi_mode and active_elsewhere

    def icc_read(self, encoding: Encoding) -> Value:
        return icv.read(self.cpuif, encoding)

    def icc_write(self, encoding: Encoding, value: int) -> bool:
        if encoding in icv.SGI_REGISTERS:
            return self._send_sgi(encoding, value)
        if self.traps(encoding):
            self.deactivate(value & 0xFFFFFF)
            return True
        return icv.write(self.cpuif, encoding, value)

    def _send_sgi(self, encoding: Encoding, value: int) -> bool:
        group1_too = encoding == sysregs.ICC_SGI1R_EL1
        if not group1_too and not self.features.group0_sgi_registers:
            return False
        for one in self.distributor.interfaces:
            irq = one.irqs[value >> 24 & 0xF]
            if self._is_meant(one, value) and (group1_too or not irq.group):
                irq.pending_latch = True
                one.queue(irq)
        return True

    def _is_meant(self, one: Interrupts, value: int) -> bool:
        """Whether an SGI, as ``ICC_SGI1R_EL1`` sends it, goes to the vCPU of ``one``."""
        if value >> 40 & 1:
            return one is not self
        affinity, cluster = one.affinity(), value >> 16 & 0xFF
        cluster |= (value >> 32 & 0xFF) << 8 | (value >> 48 & 0xFF) << 16
        return affinity >> 8 == cluster and bool(value & 0xFFFF & 1 << (affinity & 0xFF))
