"""What a VMM asks of its VM between two runs, beyond registers and memory: frozen records.

They are actions of :mod:`vcpu_scenario.case`. Addresses are guest physical addresses (IPAs), sizes
are bytes, pages are numbered from the slot's first.
"""

from __future__ import annotations

from typing import TypeAlias

from vcpu_scenario.ioctls.attributes import AttrIoctl
from vcpu_scenario.ioctls.devices import DeviceIoctl
from vcpu_scenario.ioctls.doorbells import DoorbellIoctl
from vcpu_scenario.ioctls.memory import MemoryIoctl
from vcpu_scenario.ioctls.vcpu import VcpuIoctl
from vcpu_scenario.ioctls.vm import VmIoctl

Ioctl: TypeAlias = MemoryIoctl | DoorbellIoctl | AttrIoctl | DeviceIoctl | VmIoctl | VcpuIoctl
