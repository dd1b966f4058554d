"""Stage-2 aborts as the hardware reports them: ESR_EL2, FAR_EL2 and HPFAR_EL2.

Unicorn's hook on accesses to memory it does not map gives the physical address, which is the
IPA; the syndrome is decoded from the instruction.
"""

from __future__ import annotations

from typing import Final

from vcpu_scenario.arm64 import esr
from vcpu_scenario.machine.emulated.cpu import decode, gicvaccess, uc
from vcpu_scenario.machine.emulated.cpu.alignment import misaligned
from vcpu_scenario.machine.emulated.cpu.hardware import Hardware
from vcpu_scenario.machine.emulated.cpu.walk import AF, Unmapped, oversized, refuse_misplaced

_PAGE_OFFSET: Final = 0xFFF
_HALF: Final = 8
_DATA_ABORT: Final = esr.EC_DABT_LOW << esr.EC_SHIFT | esr.IL
_FETCH_ABORT: Final = esr.EC_IABT_LOW << esr.EC_SHIFT | esr.IL
_ADDRESSES: Final = (1 << 64) - 1
_S1PTW: Final = 1 << 7
_PXN: Final = 53
_UXN: Final = 54
_FAULT_STATUS: Final = 0x3F
_PERMISSION: Final = 0x0C
_WRITES: Final = (uc.UC_ERR_WRITE_UNMAPPED, uc.UC_ERR_WRITE_PROT)


def data_abort(cpu: Hardware) -> int | None:
    """A load or store that stage 2 does not let through."""
    is_write = cpu.status in _WRITES
    ipa = cpu.failed_at(is_write=is_write)
    if is_write:
        cpu.stage2.undo_store(ipa)
        if cpu.pc != cpu.failed_pc:
            # After a DC ZVA that fails Unicorn comes to the next instruction.
            cpu.pc = cpu.failed_pc
            return zero_block_abort(cpu, cpu.x_or_zero(cpu.word_at_pc() & 31), ipa)
    translated = cpu.sctlr_el1.value & 1
    word = cpu.word_at_pc() if translated else cpu.stage2.word(cpu.regs[32])
    if cpu.gicv is not None and gicvaccess.is_in(cpu.gicv, ipa):
        return gicvaccess.access(cpu, cpu.gicv, ipa, word, is_write=is_write)
    iss = decode.isv_syndrome(word)
    if not iss:
        ipa = first_half(cpu, word, ipa)
    far = _fault_va(cpu, word, ipa) if translated else ipa
    if translated and (level := oversized(cpu, far, ipa)) is not None:
        cpu.take_to_el1(esr.address_size_fault(cpu.current_el, level, is_write=is_write), far)
        return None
    if translated:
        refuse_misplaced(cpu, far, ipa)
    cpu.hsr = _DATA_ABORT | iss | is_write * decode.WNR | cpu.stage2.fault_status(ipa)
    cpu.ipa = ipa & ~_PAGE_OFFSET
    cpu.far = far
    return esr.EC_DABT_LOW


def first_half(cpu: Hardware, word: int, address: int) -> int:
    """Where an access that failed at ``address`` fails first. With big-endian data Unicorn begins
    in the second half of a register of 16 bytes, in which no access of the hardware does."""
    if not decode.is_quadword(word) or not cpu.is_big_endian or address & _PAGE_OFFSET < _HALF:
        return address
    access = decode.access_of(word, cpu.pc, cpu.x)
    began = access is not None and (address - access.address) & _PAGE_OFFSET == _HALF
    return address - _HALF if began else address


def zero_block_abort(cpu: Hardware, va: int, ipa: int) -> int | None:
    """DC ZVA of a block that stage 2 does not let through: a write without valid syndrome, unless
    stage 1 comes to an address that is too large."""
    if cpu.mmu_on and (level := oversized(cpu, va, ipa)) is not None:
        cpu.take_to_el1(esr.address_size_fault(cpu.current_el, level, is_write=True), va)
        return None
    if cpu.gicv is not None and gicvaccess.is_in(cpu.gicv, ipa):
        return gicvaccess.access(cpu, cpu.gicv, ipa, cpu.word_at_pc(), is_write=True)
    cpu.hsr = _DATA_ABORT | decode.WNR | cpu.stage2.fault_status(ipa)
    cpu.ipa, cpu.far = ipa & ~_PAGE_OFFSET, va
    return esr.EC_DABT_LOW


def table_walk_abort(cpu: Hardware, exception: int, va: int, descriptor: int) -> int:
    """A stage-1 walk that meets a page which stage 2 does not map."""
    fetch = exception in (esr.EC_IABT_LOW, esr.EC_IABT_CUR)
    abort = _FETCH_ABORT if fetch else _DATA_ABORT
    cpu.hsr = abort | _S1PTW | cpu.stage2.fault_status(descriptor)
    cpu.ipa, cpu.far = descriptor & ~_PAGE_OFFSET, va
    return esr.EC_IABT_LOW if fetch else esr.EC_DABT_LOW


def set_access_flag(cpu: Hardware, exception: int, va: int, leaf: Unmapped) -> int | None:
    """The CPU is to set the access flag for an access that may be made (FEAT_HAFDBS): it may not
    be, or stage 2 keeps the descriptor from being written."""
    fetch = exception in (esr.EC_IABT_LOW, esr.EC_IABT_CUR)
    write = not fetch and bool(cpu.hsr & decode.WNR)
    slot, kept = cpu.stage2.slot_at(leaf.at), cpu.stage2.read(leaf.at, 8) or bytes(8)
    descriptor = int.from_bytes(kept, "little")
    cpu.stage2.write(leaf.at, (descriptor | AF).to_bytes(8, "little"))
    cpu.engine.flush_tlb()
    if fetch:
        denied = bool(descriptor >> (_PXN if cpu.current_el else _UXN) & 1)
    else:
        denied = (cpu.translate_write(va) if write else cpu.translate(va)) is None
    refused = slot is None or not slot.writes(leaf.at)
    if denied or refused:
        cpu.stage2.write(leaf.at, kept)
        cpu.engine.flush_tlb()
    if denied:
        cpu.take_to_el1(cpu.hsr & ~_FAULT_STATUS | _PERMISSION | leaf.level, va)
        return None
    return table_walk_abort(cpu, exception, va, leaf.at) if refused else None


def fetch_abort(cpu: Hardware) -> int | None:
    """An instruction fetch that stage 2 does not let through."""
    ipa = cpu.fault_ipa.value
    return misaligned(cpu) if fetched_on(cpu, ipa) else fetch_abort_at(cpu, ipa)


def fetched_on(cpu: Hardware, address: int) -> bool:
    """Whether Unicorn has fetched the rest of a misaligned word from the next page, which faults.
    The hardware takes the fault of the first page alone."""
    return bool(cpu.pc & 3) and not address & _PAGE_OFFSET


def fetched_below(cpu: Hardware, address: int) -> bool:
    """Whether Unicorn has asked for the page below that of pc, as it does too where a step pends
    at the start of one."""
    return not cpu.pc & _PAGE_OFFSET and address == cpu.pc - 1 - _PAGE_OFFSET & _ADDRESSES


def fetch_abort_at(cpu: Hardware, ipa: int) -> int | None:
    if cpu.mmu_on and (level := oversized(cpu, cpu.pc, ipa)) is not None:
        cpu.take_to_el1(esr.address_size_fault(cpu.current_el, level, fetch=True), cpu.pc)
        return None
    cpu.hsr = _FETCH_ABORT | cpu.stage2.fault_status(ipa)
    cpu.ipa, cpu.far = ipa & ~_PAGE_OFFSET, cpu.pc
    return esr.EC_IABT_LOW


def _fault_va(cpu: Hardware, word: int, ipa: int) -> int:
    access = decode.access_of(word, cpu.pc, cpu.x)
    if access is None:
        return ipa
    if access.address & _PAGE_OFFSET == ipa & _PAGE_OFFSET:
        return access.address
    # The access began on the page before the one that faulted.
    return (access.address | _PAGE_OFFSET) + 1 | ipa & _PAGE_OFFSET
