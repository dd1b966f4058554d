"""``KVM_GET_ONE_REG``: the same are read after each exit, so that the requests are made once."""

from __future__ import annotations

import ctypes
import fcntl
from collections.abc import Sequence
from functools import lru_cache
from typing import Final

from vcpu_scenario.kvm.registers import said, size_of
from vcpu_scenario.machine.real import uapi
from vcpu_scenario.machine.real.ioctls import refusal

_WORD: Final = 8


class _Requests:
    """Those of some registers, and where the kernel puts their values."""

    def __init__(self, reg_ids: Sequence[int]) -> None:
        size = max(map(size_of, reg_ids), default=0)
        self.words = max(size // _WORD, 1)
        self.values = (ctypes.c_uint64 * (self.words * len(reg_ids)))()
        start, stride = ctypes.addressof(self.values), self.words * _WORD
        self.each = [
            uapi.kvm_one_reg(reg_id, start + stride * number)
            for number, reg_id in enumerate(reg_ids)
        ]


_kept = lru_cache(maxsize=64)(_Requests)


def get(vcpu: int, reg_ids: Sequence[int]) -> list[int]:
    """Raises :class:`~vcpu_scenario.machine.errors.KvmError` where the kernel refuses one."""
    requests = _kept(tuple(reg_ids))
    for request in requests.each:
        try:
            fcntl.ioctl(vcpu, uapi.KVM_GET_ONE_REG, request)
        except OSError as error:
            raise refusal(error, f"KVM_GET_ONE_REG {said(request.id)}") from None
    if requests.words == 1:
        return list(requests.values)
    data, size = bytes(requests.values), requests.words * _WORD
    return [int.from_bytes(data[at : at + size], "little") for at in range(0, len(data), size)]
