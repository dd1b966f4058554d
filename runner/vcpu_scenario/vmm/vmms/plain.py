"""A VMM that passes every ``KVM_EXIT_DEBUG`` on, and does nothing of its own."""

from __future__ import annotations

from vcpu_scenario.vmm.vmms.base import Vmm


class Plain(Vmm):
    """What the kernel says, and nothing else."""
