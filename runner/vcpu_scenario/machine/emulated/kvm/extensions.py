"""``KVM_ENABLE_CAP`` of a VM as it is written down: what is refused, and what a VM has then."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from errno import EINVAL
from typing import Final

from vcpu_scenario.ioctls.vm import EnableCap
from vcpu_scenario.kernels.extensions import extension
from vcpu_scenario.kernels.table import Kernel
from vcpu_scenario.kvm import abi
from vcpu_scenario.kvm.capabilities import NUMBERS, said
from vcpu_scenario.machine.emulated.kvm.vcpu import Vcpu
from vcpu_scenario.machine.errors import KvmError, NotModelled

_BLOCK_SIZES: Final = NUMBERS["arm_supported_block_sizes"]


def enable(vcpu: Vcpu, kernel: Kernel, asked: EnableCap) -> None:
    """``kvm_vm_ioctl_enable_cap``. Raises :class:`NotModelled` for what no rule is known of."""
    what = f"KVM_ENABLE_CAP {asked.cap}"
    known = _TAKEN.get(asked.cap)
    if known is not None:
        told_by, takes = known
        has = extension(kernel, told_by)
        if has is None:
            raise NotModelled(f"KVM_ENABLE_CAP of {said(asked.cap)}")
    else:
        named = {getattr(abi, f"KVM_CAP_{name.upper()}"): name for name in kernel.capabilities}
        name = named.get(asked.cap, "")
        has, takes = bool(name), _NAMED.get(name, _anything)
    if asked.flags or not has or not takes(vcpu, asked.arg, has):
        raise KvmError(EINVAL, what)
    if known is None:
        give(vcpu, name, asked.arg)


def give(vcpu: Vcpu, name: str, arg: int) -> None:
    """The VM has the capability from now on."""
    vcpu.caps.add(name)
    if name == "manual_dirty_log_protect2":
        vcpu.memslots.manual_protect = arg


def _anything(vcpu: Vcpu, arg: int, has: int) -> bool:
    return True


def _protects(vcpu: Vcpu, arg: int, has: int) -> bool:
    """Without manual protection no log begins with all pages dirty."""
    taken = abi.KVM_DIRTY_LOG_MANUAL_PROTECT_ENABLE
    if arg & taken and vcpu.behaviour.dirty_log_initially_set:
        taken |= abi.KVM_DIRTY_LOG_INITIALLY_SET
    return not arg & ~taken


def _splits(vcpu: Vcpu, arg: int, sizes: int) -> bool:
    """A chunk is a block that there can be, and is chosen before there is memory. It says when
    blocks are split, which no guest sees."""
    return vcpu.memslots.empty and (not arg or (not arg & (arg - 1) and bool(arg & sizes)))


_NAMED: Final[Mapping[str, Callable[[Vcpu, int, int], bool]]] = {
    "manual_dirty_log_protect2": _protects,
    "arm_writable_imp_id_regs": lambda vcpu, arg, has: False,  # there are vCPUs already
}
_TAKEN: Final[Mapping[int, tuple[int, Callable[[Vcpu, int, int], bool]]]] = {
    NUMBERS["halt_poll"]: (NUMBERS["halt_poll"], lambda vcpu, arg, has: not arg >> 32),
    NUMBERS["arm_eager_split_chunk_size"]: (_BLOCK_SIZES, _splits),
    NUMBERS["arm_sea_to_user"]: (NUMBERS["arm_sea_to_user"], _anything),
}
"""What changes no exit of a guest here: by which capability a kernel tells that it has it, and what
it takes."""
