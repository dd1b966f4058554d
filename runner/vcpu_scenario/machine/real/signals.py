"""A signal that is pending when ``KVM_RUN`` starts: blocked for the VMM, and let through by
``KVM_SET_SIGNAL_MASK`` while the vCPU runs, as QEMU and kvmtool kick a vCPU."""

from __future__ import annotations

import ctypes
import signal
from threading import get_ident
from typing import Final

from vcpu_scenario.machine.real import uapi
from vcpu_scenario.machine.real.ioctls import call

_KICK: Final = signal.SIGUSR1
_SET_BYTES: Final = 8
_WHAT: Final = "KVM_SET_SIGNAL_MASK"


def pend(vcpu: int) -> None:
    """Makes the signal pending for the next ``KVM_RUN`` of ``vcpu`` alone."""
    signal.pthread_sigmask(signal.SIG_BLOCK, [_KICK])
    signal.pthread_kill(get_ident(), _KICK)
    none_blocked = (ctypes.c_uint32 * 3)(_SET_BYTES)  # the set lies behind its length
    call(vcpu, uapi.KVM_SET_SIGNAL_MASK, none_blocked, _WHAT)


def take(vcpu: int) -> None:
    """Takes the signal, and lets the vCPU run with the VMM's own mask again."""
    signal.sigtimedwait([_KICK], 0)
    call(vcpu, uapi.KVM_SET_SIGNAL_MASK, 0, _WHAT)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, [_KICK])
