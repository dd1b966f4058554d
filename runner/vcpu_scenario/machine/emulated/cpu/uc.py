"""Unicorn's library through ctypes, without its Python bindings.

The bindings cost 60 ms to import and several microseconds a call; a debug step costs two. Only
what the emulated vCPU needs is declared here, under Unicorn's own names and numbers
(``unicorn/unicorn.h`` and ``arm64.h`` of 2.1.4, the version that is pinned: where it keeps the
state of its CPU is found by :mod:`vcpu_scenario.machine.emulated.cpu.layout`).
"""

from __future__ import annotations

import ctypes
import importlib.util
import os
from ctypes import POINTER, c_char_p, c_int, c_size_t, c_uint32, c_uint64, c_void_p
from pathlib import Path
from typing import Any, Final, TypeAlias

UC_ARCH_ARM64: Final = 2
UC_MODE_ARM: Final = 0

UC_ERR_OK: Final = 0
UC_ERR_READ_UNMAPPED: Final = 6
UC_ERR_WRITE_UNMAPPED: Final = 7
UC_ERR_FETCH_UNMAPPED: Final = 8
UC_ERR_INSN_INVALID: Final = 10
UC_ERR_WRITE_PROT: Final = 12
UC_ERR_READ_PROT: Final = 13
UC_ERR_FETCH_PROT: Final = 14
UC_ERR_EXCEPTION: Final = 21

UC_PROT_READ: Final = 1
UC_PROT_WRITE: Final = 2
UC_PROT_EXEC: Final = 4
UC_PROT_ALL: Final = 7

UC_MEM_WRITE: Final = 17

UC_HOOK_INSN: Final = 1 << 1
UC_HOOK_CODE: Final = 1 << 2
UC_HOOK_BLOCK: Final = 1 << 3
UC_HOOK_MEM_WRITE_UNMAPPED: Final = 1 << 5
UC_HOOK_MEM_UNMAPPED: Final = 0x70
UC_HOOK_MEM_WRITE_PROT: Final = 1 << 8
UC_HOOK_MEM_READ: Final = 1 << 10
UC_HOOK_MEM_WRITE: Final = 1 << 11
UC_HOOK_EDGE_GENERATED: Final = 1 << 15

UC_ARM64_INS_MRS: Final = 1
UC_ARM64_INS_MSR: Final = 2

UC_CTL_UC_PAGE_SIZE: Final = 1
UC_CTL_UC_USE_EXITS: Final = 4
UC_CTL_CPU_MODEL: Final = 7
UC_CTL_TB_REMOVE_CACHE: Final = 9
UC_CTL_TB_FLUSH: Final = 10
UC_CTL_TLB_FLUSH: Final = 11
UC_CTL_TCG_BUFFER_SIZE: Final = 13
UC_CTL_IO_WRITE: Final = 1

UC_CPU_ARM64_A57: Final = 0
UC_CPU_ARM64_A72: Final = 2
UC_CPU_ARM64_MAX: Final = 3

UC_ARM64_REG_Q0: Final = 104
UC_ARM64_REG_X0: Final = 199
UC_ARM64_REG_PC: Final = 260
UC_ARM64_REG_PSTATE: Final = 265
UC_ARM64_REG_SP_EL0: Final = 270
UC_ARM64_REG_SP_EL1: Final = 271
UC_ARM64_REG_CP_REG: Final = 290
UC_ARM64_REG_FPCR: Final = 291
UC_ARM64_REG_FPSR: Final = 292


class CpReg(ctypes.Structure):
    """``uc_arm64_cp_reg``: a system register by its encoding."""

    _fields_ = [
        ("crn", c_uint32),
        ("crm", c_uint32),
        ("op0", c_uint32),
        ("op1", c_uint32),
        ("op2", c_uint32),
        ("val", c_uint64),
    ]


MEM_INVALID_HOOK: Final = ctypes.CFUNCTYPE(
    ctypes.c_bool, c_void_p, c_int, c_uint64, c_int, ctypes.c_int64, c_void_p
)
MEM_HOOK: Final = ctypes.CFUNCTYPE(None, c_void_p, c_int, c_uint64, c_int, ctypes.c_int64, c_void_p)

CpRegPointer: TypeAlias = "ctypes._Pointer[CpReg]"
SYSTEM_HOOK: Final = ctypes.CFUNCTYPE(c_uint32, c_void_p, c_int, POINTER(CpReg), c_void_p)
"""Takes the register that the instruction names, and the system register. What it returns says
whether the instruction is done: what a read gives is then for it to write."""

CODE_HOOK: Final = ctypes.CFUNCTYPE(None, c_void_p, c_uint64, c_uint32, c_void_p)
EDGE_HOOK: Final = ctypes.CFUNCTYPE(None, c_void_p, c_void_p, c_void_p, c_void_p)
"""Takes two ``uc_tb``, which begin with their pc: the code that is new, and where it was come from.
Is not called for the first code that an engine ever runs."""


class UnicornError(Exception):
    """A call that cannot fail did: the machine's own fault, never the guest's."""


def _library() -> ctypes.CDLL:
    # A register unknown to Unicorn reads as 0 with a line on stderr unless told otherwise.
    os.environ.setdefault("UC_IGNORE_REG_BREAK", "1")
    spec = importlib.util.find_spec("unicorn")
    if spec is None or not spec.submodule_search_locations:
        raise UnicornError("the package 'unicorn' is not installed; pip install unicorn==2.1.4")
    folder = Path(spec.submodule_search_locations[0]) / "lib"
    found = sorted(folder.glob("libunicorn.so*")) + sorted(folder.glob("libunicorn*.dylib"))
    if not found:
        raise UnicornError(f"no libunicorn in {folder}; pip install unicorn==2.1.4")
    return ctypes.CDLL(str(found[0]))


_lib: Final = _library()


def prototype(name: str, *argtypes: Any) -> Any:
    """The function ``name`` as it takes ``argtypes``, for this caller alone."""
    function = _lib[name]
    function.argtypes = argtypes
    function.restype = c_int
    return function


uc_open = prototype("uc_open", c_int, c_int, POINTER(c_void_p))
uc_close = prototype("uc_close", c_void_p)
uc_mem_map_ptr = prototype("uc_mem_map_ptr", c_void_p, c_uint64, c_size_t, c_uint32, c_void_p)
uc_mem_unmap = prototype("uc_mem_unmap", c_void_p, c_uint64, c_size_t)
uc_hook_del = prototype("uc_hook_del", c_void_p, c_size_t)
uc_context_save = prototype("uc_context_save", c_void_p, c_void_p)
uc_context_restore = prototype("uc_context_restore", c_void_p, c_void_p)
uc_context_alloc = prototype("uc_context_alloc", c_void_p, POINTER(c_void_p))
uc_context_free = prototype("uc_context_free", c_void_p)
uc_vmem_translate = prototype("uc_vmem_translate", c_void_p, c_uint64, c_int, POINTER(c_uint64))
uc_emu_stop = prototype("uc_emu_stop", c_void_p)
# Called at every exit, and without argtypes: converting arguments costs as much as the calls. All
# that they are passed is ctypes values of the right type, and register numbers.
uc_emu_start = _lib.uc_emu_start
uc_reg_read = _lib.uc_reg_read
uc_reg_write = _lib.uc_reg_write
ZERO: Final = c_uint64(0)
_uc_strerror = _lib.uc_strerror
_uc_strerror.restype = c_char_p
# Variadic: no argtypes, so every argument is passed as an explicit ctypes value.
uc_hook_add = _lib.uc_hook_add
uc_hook_add.restype = c_int
uc_ctl = _lib.uc_ctl
uc_ctl.restype = c_int
uc_context_size = _lib.uc_context_size
uc_context_size.argtypes = (c_void_p,)
uc_context_size.restype = c_size_t


def check(status: int, what: str) -> None:
    if status:
        raise UnicornError(f"{what}: {_uc_strerror(c_int(status)).decode()}")
