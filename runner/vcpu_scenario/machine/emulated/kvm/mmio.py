"""Stage-2 aborts: memory faults, MMIO in the kernel and in userspace, and its completion."""

from __future__ import annotations

from errno import ENOSYS
from functools import lru_cache
from typing import TypeAlias

from vcpu_scenario.arm64 import esr
from vcpu_scenario.kvm import abi
from vcpu_scenario.machine.emulated.cpu import decode
from vcpu_scenario.machine.emulated.cpu.regions import PAGE
from vcpu_scenario.machine.emulated.cpu.walk import unflagged_leaf, unmapped_table
from vcpu_scenario.machine.emulated.kvm.inject import inject_abort, skip_instruction
from vcpu_scenario.machine.emulated.kvm.vcpu import MmioDecode, Vcpu

# What each exit needs: going through a module costs as much as using it.
_EC_SHIFT = esr.EC_SHIFT
_EC_IABT_LOW = esr.EC_IABT_LOW
_EXIT_MMIO = abi.KVM_EXIT_MMIO

_EE = 1 << 25
_E0E = 1 << 24
_EE_OR_E0E = _EE | _E0E
_SSE = 1 << 21
_SF = 1 << 15
_NISV_ISS = decode.CM | decode.WNR | 0x3F
_S1PTW = 1 << 7
_FAULT_TYPE = 0x3C
_PERMISSION = 0x0C


def handle_guest_abort(vcpu: Vcpu) -> int:
    """``kvm_handle_guest_abort``."""
    cpu = vcpu.cpu
    hsr, ipa, far = cpu.hsr, cpu.ipa, cpu.far
    vcpu.fault_far = far
    fetch = hsr >> _EC_SHIFT == _EC_IABT_LOW
    if ipa >= vcpu.memslots.ipa_limit and vcpu.behaviour.ipa_beyond_limit_aborts:
        # KVM tells the IPA in the place of the virtual address.
        inject_abort(vcpu, far=ipa | far & PAGE - 1, fetch=fetch)
        return 1
    slot = cpu.stage2.slot_at(ipa)
    if slot is not None:
        write = _is_write_fault(vcpu, fetch=fetch)
        if not (write and slot.slot.readonly):
            return vcpu.memslots.fault(slot, ipa, write=write) or 1
    if fetch or hsr & _S1PTW:
        inject_abort(vcpu, far=far, fetch=fetch, level=_level_of_walk(vcpu, far))
        return 1
    return _io_mem_abort(vcpu, ipa | far & PAGE - 1, hsr)


def _is_write_fault(vcpu: Vcpu, *, fetch: bool) -> bool:
    """``kvm_is_write_fault``."""
    hsr, behaviour = vcpu.cpu.hsr, vcpu.behaviour
    if hsr & _S1PTW and (behaviour.fetch_walk_fault_writes or not fetch):
        return not behaviour.walk_fault_reads or hsr & _FAULT_TYPE == _PERMISSION
    return not fetch and bool(hsr & decode.WNR)


def _level_of_walk(vcpu: Vcpu, va: int) -> int | None:
    """``__kvm_find_s1_desc_level``, where the abort of a table walk says its level."""
    if not (vcpu.cpu.hsr & _S1PTW and vcpu.behaviour.injected_walk_abort_has_level):
        return None
    table = unmapped_table(vcpu.cpu, va) or unflagged_leaf(vcpu.cpu, va)
    return table and table.level


def _io_mem_abort(vcpu: Vcpu, ipa: int, hsr: int) -> int:
    """``io_mem_abort``: emulates the access in the kernel or hands it to userspace."""
    if not hsr & decode.ISV:
        return _no_valid_syndrome(vcpu, ipa, hsr)
    access = _decode(hsr & 0x1FFFFFF)
    length, is_write = access.length, access.is_write
    vcpu.mmio_decode = access
    access_at = vcpu.cpu.regs[32]
    if not vcpu.behaviour.mmio_skip_at_completion:
        skip_instruction(vcpu)
    if is_write:
        value = _guest_to_host(vcpu, access)
        handled = vcpu.bus.write(ipa, length, value)
    else:
        found = vcpu.bus.read(ipa, length)
        handled, value = found is not None, found or 0
    mmio = vcpu.mmio_exit
    mmio.phys_addr, mmio.len, mmio.is_write = ipa, length, is_write
    vcpu.mmio_needed = True
    if is_write is not handled:
        # A write that leaves the kernel or a read that it answered: the rest of data[] is stale.
        vcpu.mmio_data[length].value = value
    if handled:
        complete(vcpu)
        return 1
    vcpu.run.exit_reason = _EXIT_MMIO
    vcpu.access_at = access_at
    return 0


@lru_cache(maxsize=1024)
def _decode(iss: int) -> MmioDecode:
    length = 1 << (iss >> 22 & 3)
    return MmioDecode(
        rt=iss >> 16 & 31,
        length=length,
        is_write=bool(iss & decode.WNR),
        sign_extend=bool(iss & _SSE),
        sixty_four=bool(iss & _SF),
        mask=(1 << 8 * length) - 1,
    )


def _no_valid_syndrome(vcpu: Vcpu, ipa: int, hsr: int) -> int:
    if "arm_nisv_to_user" not in vcpu.caps:
        return -ENOSYS
    run = vcpu.run
    run.exit_reason = abi.KVM_EXIT_ARM_NISV
    run.arm_nisv.esr_iss = hsr & _NISV_ISS
    run.arm_nisv.fault_ipa = ipa
    return 0


Completion: TypeAlias = tuple[int | None, int | None]
"""An access that is complete, by its address, None for one that had been complete before or whose
skip was spoilt; and the instruction over which pc moved in that although it is not the access."""


def complete(vcpu: Vcpu) -> Completion | None:
    """``kvm_handle_mmio_return``: writes a load's result, and skips the instruction where that
    was not done before the exit. None where there was nothing to complete."""
    behaviour, access = vcpu.behaviour, vcpu.mmio_decode
    if access is None or (behaviour.mmio_completed_once and not vcpu.mmio_needed):
        return None
    pending = vcpu.pending_exception
    if pending is not None and behaviour.mmio_not_completed_over_exception:
        # It stays needed: should the exception be taken without the guest running, as under
        # immediate_exit, then the next KVM_RUN completes the access, and skips what is at the
        # vector.
        return None
    vcpu.mmio_needed = False
    if not (access.is_write and behaviour.mmio_completion_from_esr):
        _write_result(vcpu, access)
    at, vcpu.access_at = vcpu.access_at, None
    if pending is not None:
        # Both are noted in the same flags of the vCPU: the skip spoils the exception, and then
        # neither is done.
        vcpu.pending_exception = None
        return None, None
    if not behaviour.mmio_skip_at_completion:
        return at, None
    pc = vcpu.cpu.regs[32]
    skip_instruction(vcpu)
    return at, None if at == pc else pc


def _write_result(vcpu: Vcpu, access: MmioDecode) -> None:
    if vcpu.behaviour.mmio_completion_from_esr:
        length = access.length
        value = vcpu.mmio_data[length].value
    else:
        mmio = vcpu.mmio_exit
        if mmio.is_write:
            return
        length = min(mmio.len, 8)
        value = vcpu.mmio_data[8].value & (1 << 8 * length) - 1
    if access.sign_extend or big_endian(vcpu):
        value = _host_to_guest(vcpu, access, value, length)
    if access.rt != 31:
        vcpu.cpu.regs[access.rt] = value


def _host_to_guest(vcpu: Vcpu, access: MmioDecode, value: int, length: int) -> int:
    if big_endian(vcpu):
        value = int.from_bytes(value.to_bytes(length, "little"), "big")
    if access.sign_extend and vcpu.behaviour.mmio_sign_extends:
        sign = 1 << 8 * length - 1
        value = (value ^ sign) - sign & (1 << 64) - 1
        if not access.sixty_four:
            value &= 0xFFFF_FFFF
    # Before that rule the extension is made and then masked off again with the access's width.
    return value


def _guest_to_host(vcpu: Vcpu, access: MmioDecode) -> int:
    rt = access.rt
    value = 0 if rt == 31 else vcpu.cpu.regs[rt] & access.mask
    if big_endian(vcpu):
        value = int.from_bytes(value.to_bytes(access.length, "little"), "big")
    return value


def big_endian(vcpu: Vcpu) -> bool:
    """``kvm_vcpu_is_be``: SCTLR_EL1.EE at EL1, E0E at EL0."""
    either = vcpu.cpu.sctlr_el1.value & _EE_OR_E0E
    if not either:
        return False
    return bool(either & (_EE if vcpu.cpu.current_el else _E0E))
