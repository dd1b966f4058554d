"""One Unicorn instance: registers, memory, translations and hooks by its calls."""

from __future__ import annotations

import ctypes
from ctypes import byref, c_int, c_size_t, c_uint32, c_uint64, c_void_p
from typing import Any, Final

from vcpu_scenario.machine.emulated.cpu import uc


class Engine:
    """One Unicorn instance with one of its CPUs (``UC_CPU_ARM64_*``), and the few calls made on
    it."""

    def __init__(self, cpu: int = uc.UC_CPU_ARM64_A57, tcg_buffer: int = 128 << 20) -> None:
        handle = c_void_p()
        uc.check(uc.uc_open(uc.UC_ARCH_ARM64, uc.UC_MODE_ARM, byref(handle)), "uc_open")
        self.handle: Final = handle
        self.ctl(uc.UC_CTL_CPU_MODEL, c_int(cpu))
        # Else its pages are 1 KiB, and to unmap a slot it looks at each of them.
        self.ctl(uc.UC_CTL_UC_PAGE_SIZE, c_uint32(4096))
        # Unicorn reserves 1 GB of address space an instance unless told what it needs.
        self.ctl(uc.UC_CTL_TCG_BUFFER_SIZE, c_uint32(tcg_buffer))
        # An `until` address raises WFx traps at EL0 and hides instructions; use none at all.
        self.ctl(uc.UC_CTL_UC_USE_EXITS, c_int(1))
        self.address: Final = handle.value or 0
        self._contexts: list[c_void_p] = []
        self._spare: list[c_void_p] = []
        self._cell = c_uint64()
        self._cell_ref = byref(self._cell)
        self._wide = (c_uint64 * 2)()
        self._wide_ref = byref(self._wide)
        self._cp_regs: dict[tuple[int, int, int, int, int], tuple[uc.CpReg, Any]] = {}
        self.read(uc.UC_ARM64_REG_PC)  # only now does Unicorn make the CPU

    def ctl(self, kind: int, *args: Any) -> None:
        control = kind | len(args) << 26 | uc.UC_CTL_IO_WRITE << 30
        uc.check(uc.uc_ctl(self.handle, c_uint32(control), *args), f"uc_ctl {kind}")

    def run(self, pc: int, count: int) -> int:
        """Runs ``count`` instructions from ``pc``, and returns Unicorn's status."""
        return int(uc.uc_emu_start(self.handle, c_uint64(pc), uc.ZERO, uc.ZERO, c_size_t(count)))

    def read(self, reg: int) -> int:
        uc.uc_reg_read(self.handle, reg, self._cell_ref)
        return int(self._cell.value)

    def write(self, reg: int, value: int) -> None:
        self._cell.value = value
        uc.uc_reg_write(self.handle, reg, self._cell_ref)

    def read_wide(self, reg: int) -> int:
        """A register of 128 bits."""
        uc.uc_reg_read(self.handle, reg, self._wide_ref)
        return int(self._wide[0]) | int(self._wide[1]) << 64

    def write_wide(self, reg: int, value: int) -> None:
        self._wide[:] = [value & (1 << 64) - 1, value >> 64]
        uc.uc_reg_write(self.handle, reg, self._wide_ref)

    def _named(self, encoding: tuple[int, int, int, int, int]) -> tuple[uc.CpReg, Any]:
        """A filled-in ``uc_arm64_cp_reg``, kept: filling it in costs more than the call."""
        found = self._cp_regs.get(encoding)
        if found is None:
            op0, op1, crn, crm, op2 = encoding
            cp = uc.CpReg(op0=op0, op1=op1, crn=crn, crm=crm, op2=op2)
            found = self._cp_regs[encoding] = (cp, byref(cp))
        return found

    def read_sys(self, encoding: tuple[int, int, int, int, int]) -> int:
        cp, reference = self._named(encoding)
        uc.uc_reg_read(self.handle, uc.UC_ARM64_REG_CP_REG, reference)
        return int(cp.val)

    def write_sys(self, encoding: tuple[int, int, int, int, int], value: int) -> None:
        cp, reference = self._named(encoding)
        cp.val = value
        uc.uc_reg_write(self.handle, uc.UC_ARM64_REG_CP_REG, reference)

    def new_context(self) -> c_void_p:
        if self._spare:
            return self._spare.pop()
        context = c_void_p()
        uc.check(uc.uc_context_alloc(self.handle, byref(context)), "uc_context_alloc")
        self._contexts.append(context)
        return context

    def give_back(self, context: c_void_p) -> None:
        """Nobody needs what was saved there any more."""
        self._spare.append(context)

    def saved_context(self) -> bytes:
        """The CPU's state, copied to a context."""
        context = self.new_context()
        uc.uc_context_save(self.handle, context)
        return ctypes.string_at(context.value or 0, uc.uc_context_size(self.handle))

    def map_ptr(self, addr: int, size: int, prot: int, host: int) -> None:
        uc.check(uc.uc_mem_map_ptr(self.handle, addr, size, prot, host), f"map {addr:#x}+{size:#x}")

    def unmap(self, addr: int, size: int) -> None:
        uc.check(uc.uc_mem_unmap(self.handle, addr, size), f"unmap {addr:#x}+{size:#x}")

    def translate(self, va: int, access: int = uc.UC_PROT_READ) -> int | None:
        """The physical address of ``va`` for a read by the MMU, or another ``access``; None where
        it faults."""
        found = c_uint64()
        status = uc.uc_vmem_translate(self.handle, va, access, byref(found))
        return None if status else found.value

    def flush_translations(self) -> None:
        self.ctl(uc.UC_CTL_TB_FLUSH)

    def flush_tlb(self) -> None:
        self.ctl(uc.UC_CTL_TLB_FLUSH)

    def drop_translations(self, start: int, end: int) -> None:
        self.ctl(uc.UC_CTL_TB_REMOVE_CACHE, c_uint64(start), c_uint64(end))

    def add_hook(self, kind: int, callback: Any, begin: int = 1, end: int = 0) -> int:
        hook = c_size_t()
        status = uc.uc_hook_add(
            self.handle,
            byref(hook),
            c_int(kind),
            callback,
            c_void_p(),
            c_uint64(begin),
            c_uint64(end),
        )
        uc.check(status, "uc_hook_add")
        return int(hook.value)

    def add_instruction_hook(
        self, instruction: int, callback: Any, begin: int = 1, end: int = 0
    ) -> int:
        """Hooks an instruction, one of ``UC_ARM64_INS_*``, where it is between the two."""
        hook = c_size_t()
        status = uc.uc_hook_add(
            self.handle,
            byref(hook),
            c_int(uc.UC_HOOK_INSN),
            callback,
            c_void_p(),
            c_uint64(begin),
            c_uint64(end),
            c_int(instruction),
        )
        uc.check(status, "uc_hook_add")
        return int(hook.value)

    def remove_hook(self, hook: int) -> None:
        uc.check(uc.uc_hook_del(self.handle, hook), "uc_hook_del")

    def close(self) -> None:
        for context in self._contexts:
            uc.uc_context_free(context)
        uc.uc_close(self.handle)
