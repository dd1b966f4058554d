"""``KVM_IOEVENTFD``, and the eventfd that a VMM has for each."""

from __future__ import annotations

import contextlib
import errno
import os
from typing import Final

from vcpu_scenario.case import Ioeventfd
from vcpu_scenario.machine.errors import KvmError
from vcpu_scenario.machine.real import uapi
from vcpu_scenario.machine.real.ioctls import call


class Ioeventfds:
    """Those of one VM; ``resources`` closes the eventfds in the end."""

    def __init__(self, vm: int, resources: contextlib.ExitStack) -> None:
        self._vm: Final = vm
        self._resources: Final = resources
        self._known: list[tuple[Ioeventfd, int]] = []
        self._signalled: list[int] = []

    def add(self, ioeventfd: Ioeventfd) -> None:
        fd = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._resources.callback(os.close, fd)
        request = uapi.ioeventfd_request(ioeventfd, fd)
        call(self._vm, uapi.KVM_IOEVENTFD, request, "KVM_IOEVENTFD")
        self._known.append((ioeventfd, fd))
        self._signalled.append(0)

    def remove(self, ioeventfd: Ioeventfd) -> None:
        for known, fd in reversed(self._known):  # an earlier one like it is removed already
            if known == ioeventfd:
                request = uapi.ioeventfd_request(ioeventfd, fd)
                request.flags |= uapi.KVM_IOEVENTFD_FLAG_DEASSIGN
                call(self._vm, uapi.KVM_IOEVENTFD, request, "KVM_IOEVENTFD deassign")
                return
        raise KvmError(errno.ENOENT, "KVM_IOEVENTFD deassign")

    def counts(self) -> tuple[int, ...]:
        """How often each was signalled."""
        for n, (_, fd) in enumerate(self._known):
            with contextlib.suppress(BlockingIOError):  # never signalled since it was last read
                self._signalled[n] += os.eventfd_read(fd)
        return tuple(self._signalled)

    def count(self, ioeventfd: Ioeventfd) -> int:
        """How often the last one that was added like this was signalled."""
        counts = self.counts()
        for n, (known, _) in reversed([*enumerate(self._known)]):
            if known == ioeventfd:
                return counts[n]
        raise KvmError(errno.EBADF, "the eventfd of an ioeventfd that there is not")
