"""The hardware's virtual CPU interface: list registers, priorities, acknowledge and EOI.

What the guest talks to without an exit, as a GICv3 shows it in the ``ICV_*`` registers and a
GICv2 in the ``GICV`` frame. Follows the pseudocode of the GIC architecture (IHI 0069) with five
bits of priority and of preemption, as the recorded host has.
"""

from __future__ import annotations

NR_SGIS = 16
FIRST_LPI = 8192

SPURIOUS = 1023
IDLE_PRIORITY = 0xFF
PRIORITY_MASK = 0xF8
MIN_BPR0 = 2
MIN_BPR1 = 3
NR_SPECIAL_IDS = range(1020, 1024)


class ListRegister:
    """One ``ICH_LR<n>_EL2`` or ``GICH_LR<n>`` in use; ``eoi`` asks for a maintenance interrupt
    once it becomes inactive, ``source`` is the CPU that sent a GICv2 SGI."""

    __slots__ = ("active", "eoi", "group", "intid", "pending", "priority", "source")

    def __init__(
        self,
        intid: int,
        *,
        pending: bool,
        active: bool,
        priority: int,
        group: int,
        eoi: bool = False,
        source: int = 0,
    ) -> None:
        self.intid = intid
        self.pending = pending
        self.active = active
        self.priority = priority
        self.group = group
        self.eoi = eoi
        self.source = source


class CpuInterface:
    """The state behind ``ICH_VMCR_EL2``, ``ICH_HCR_EL2`` and the active priorities."""

    __slots__ = (
        "ack_ctl",
        "active_priorities",
        "bpr0",
        "bpr1",
        "cbpr",
        "enabled",
        "eoi_count",
        "eoi_mode",
        "fiq_enable",
        "lr_not_present_enable",
        "lrs",
        "no_pending_enable",
        "pmr",
        "underflow_enable",
        "watched_enables",
    )

    def __init__(self) -> None:
        self.lrs: list[ListRegister] = []
        """The list registers in use, in order; the others are empty."""
        self.pmr = 0
        self.bpr0 = MIN_BPR0
        self.bpr1 = MIN_BPR1
        self.cbpr = False
        self.eoi_mode = False
        self.ack_ctl = False
        self.fiq_enable = True
        self.enabled = [False, False]
        """The enables of groups 0 and 1."""
        self.active_priorities = [0, 0]
        """``ICH_AP0R0_EL2`` and ``ICH_AP1R0_EL2``: a bit for each active group priority."""
        self.underflow_enable = False
        self.no_pending_enable = False
        self.lr_not_present_enable = False
        self.watched_enables: tuple[bool, bool] | None = None
        """The group enables whose change raises a maintenance interrupt, if any does."""
        self.eoi_count = 0

    # -- what is pending ------------------------------------------------------------------

    def highest_pending(self) -> ListRegister | None:
        """The pending interrupt of highest priority in an enabled group, masked or not."""
        best: ListRegister | None = None
        priority = IDLE_PRIORITY
        for lr in self.lrs:
            if lr.pending and not lr.active and lr.priority < priority and self.enabled[lr.group]:
                best, priority = lr, lr.priority
        return best

    def running_priority(self) -> int:
        active = self.active_priorities[0] | self.active_priorities[1]
        if not active:
            return IDLE_PRIORITY
        return (active & -active).bit_length() - 1 << 3

    def signalled(self) -> ListRegister | None:
        """The interrupt for which the virtual IRQ or FIQ line is asserted."""
        lr = self.highest_pending()
        return lr if lr is not None and self.can_preempt(lr) else None

    def can_preempt(self, lr: ListRegister) -> bool:
        if lr.priority >= self.pmr:
            return False
        running = self.running_priority()
        if running == IDLE_PRIORITY:
            return True
        mask = self.group_priority_mask(lr.group)
        return lr.priority & mask < running & mask

    def group_priority_mask(self, group: int) -> int:
        """Clears the subpriority bits of a priority."""
        shift = self.bpr1 - 1 if group and not self.cbpr else self.bpr0
        return 0xFF & -1 << shift + 1

    # -- binary points --------------------------------------------------------------------

    def binary_point(self, group: int) -> int:
        if not group:
            return self.bpr0
        return min(self.bpr0 + 1, 7) if self.cbpr else self.bpr1

    def set_binary_point(self, group: int, value: int) -> None:
        """A value below the least possible one sets that; group 1's is read-only under CBPR.

        Reserved bits count there, as QEMU's CPU has it: 8 makes 0, until :meth:`load`.
        """
        if not group:
            self.bpr0 = max(value, MIN_BPR0) & 7
        elif not self.cbpr:
            self.bpr1 = max(value, MIN_BPR1) & 7

    def load(self) -> None:
        """A write of ``ICH_VMCR_EL2`` leaves no binary point below the least possible one."""
        self.bpr0, self.bpr1 = max(self.bpr0, MIN_BPR0), max(self.bpr1, MIN_BPR1)

    # -- acknowledge, end of interrupt ----------------------------------------------------

    def activate(self, lr: ListRegister) -> None:
        bit = (lr.priority & self.group_priority_mask(lr.group)) >> 3
        self.active_priorities[lr.group] |= 1 << bit
        lr.pending = False
        lr.active = True

    def drop_priority(self) -> int | None:
        """Ends the highest active priority, group 0 first where both have it, and returns it."""
        active = self.active_priorities
        group0, group1 = active[0] & -active[0], active[1] & -active[1]
        if not group0 and not group1:
            return None
        group = 0 if group0 and (not group1 or group0 <= group1) else 1
        bit = group1 if group else group0
        active[group] ^= bit
        return bit.bit_length() - 1 << 3

    def find_active(self, intid: int) -> ListRegister | None:
        for lr in self.lrs:
            if lr.active and lr.intid == intid:
                return lr
        return None

    # -- maintenance ----------------------------------------------------------------------

    def maintenance(self) -> bool:
        """Whether ``ICH_MISR_EL2`` (``GICH_MISR``) asserts the maintenance interrupt."""
        lrs = self.lrs
        if any(lr.eoi and not lr.pending and not lr.active for lr in lrs):
            return True
        if self.watched_enables is not None and self.watched_enables != tuple(self.enabled):
            return True
        if self.underflow_enable and sum(lr.pending or lr.active for lr in lrs) < 2:
            return True
        if self.no_pending_enable and not any(lr.pending and not lr.active for lr in lrs):
            return True
        return self.lr_not_present_enable and self.eoi_count > 0
