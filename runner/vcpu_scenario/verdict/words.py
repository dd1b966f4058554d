"""The uAPI's numbers in words: syndromes, exits, errnos.

Syndrome encodings are those of ESR_ELx in the Arm Architecture Reference Manual (DDI 0487,
section D24.2.40), as far as KVM hands them to userspace.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from vcpu_scenario.arm64.esr import (
    CM,
    EC_BKPT32,
    EC_BREAKPT_LOW,
    EC_BRK64,
    EC_MASK,
    EC_SOFTSTP_LOW,
    EC_WATCHPT_LOW,
    IL,
    STEP_EX,
    STEP_ISV,
    WNR,
    class_of,
)
from vcpu_scenario.kvm import abi
from vcpu_scenario.kvm.errnos import errno_name
from vcpu_scenario.trace import Ending

Name = Callable[[int], str]
"""Turns an address into what the author calls it: ``poll+4``, ``uart+0x18``, ``0x40000000``."""


def hsr_words(hsr: int) -> str:
    """A syndrome of ``KVM_EXIT_DEBUG`` in words; empty for exception classes it never has."""
    describe = _ISS.get(class_of(hsr))
    return describe(hsr) if describe is not None else ""


def executed_one(hsr: int) -> bool:
    """Whether the CPU itself says, by a software step with ISV=1, that it has executed an
    instruction since it was entered."""
    return class_of(hsr) == EC_SOFTSTP_LOW and bool(hsr & STEP_ISV)


def _step(hsr: int) -> str:
    if not hsr & IL:
        return "software step, IL=0: made up by KVM, not reported by the CPU"
    if not hsr & STEP_ISV:
        return "software step, ISV=0: nothing was executed"
    if hsr & STEP_EX:
        return "software step, ISV=1, EX=1: a load-exclusive was executed"
    return "software step, ISV=1: one instruction was executed"


def _watchpoint(hsr: int) -> str:
    access = "cache maintenance" if hsr & CM else "write" if hsr & WNR else "read"
    return f"watchpoint, {access}"


_ISS: Final[Mapping[int, Callable[[int], str]]] = {
    EC_BREAKPT_LOW: lambda hsr: "hardware breakpoint",
    EC_SOFTSTP_LOW: _step,
    EC_WATCHPT_LOW: _watchpoint,
    EC_BKPT32: lambda hsr: f"BKPT #{hsr & 0xFFFF:#x}",
    EC_BRK64: lambda hsr: f"BRK #{hsr & 0xFFFF:#x}",
}

EVENT_NAMES: Final = {kind: word for word, kind in abi.SYSTEM_EVENTS.items()}


def describe(fields: Mapping[str, Any], name: Name) -> str:
    """What an exit is in a few words: ``debug exit, step, at next``.

    ``fields`` holds what is known of it under the field names of traces, with ``exit``, ``errno``
    and ``pc`` among them. An expectation knows less than a recorded exit does: ``hsr_mask`` says
    which bits of ``hsr`` it speaks of.
    """
    pc = fields.get("pc")
    where = f" at {name(pc)}" if isinstance(pc, int) else ""
    errno = fields.get("errno")
    if errno or fields.get("ret") == -1:
        stale = fields.get("exit")
        left = f" (exit_reason {stale})" if stale not in (None, "UNKNOWN") else ""
        return f"KVM_RUN failing{f' with {errno_name(errno)}' if errno else ''}{where}{left}"
    exit_ = fields.get("exit")
    if exit_ is None:
        return f"any exit{where}"
    detail = _DETAIL.get(exit_)
    return f"{_TITLES.get(exit_, exit_)}{detail(fields, name) if detail else ''}{where}"


_CLASSES: Final = {
    EC_BREAKPT_LOW: "hardware breakpoint",
    EC_SOFTSTP_LOW: "software step",
    EC_WATCHPT_LOW: "watchpoint",
    EC_BKPT32: "BKPT",
    EC_BRK64: "BRK",
}


def _debug(fields: Mapping[str, Any], name: Name) -> str:
    hsr = fields.get("hsr")
    if hsr is None:
        return ""
    ec = class_of(hsr)
    if ec == EC_SOFTSTP_LOW:
        return ", step"
    if ec == EC_BRK64:
        known = fields.get("hsr_mask", 0xFFFFFFFF)
        return f", BRK #{hsr & 0xFFFF:#x}" if known & 0xFFFF == 0xFFFF else ", BRK"
    return f", {_CLASSES.get(ec, f'EC {ec:#x}')}"


def _mmio(fields: Mapping[str, Any], name: Name) -> str:
    write = fields.get("is_write")
    out = "" if write is None else " write" if write else " read"
    if (length := fields.get("len")) is not None:
        out += f" of {length} byte{'s' if length != 1 else ''}"
    if isinstance(addr := fields.get("addr"), int):
        out += f" {'to' if write else 'from'} {name(addr)}"
    return out


def _system_event(fields: Mapping[str, Any], name: Name) -> str:
    kind = fields.get("type")
    return "" if kind is None else f" {EVENT_NAMES.get(kind, kind)}"


def _arm_nisv(fields: Mapping[str, Any], name: Name) -> str:
    ipa = fields.get("ipa")
    return f" for {name(ipa)}" if isinstance(ipa, int) else ""


_TITLES: Final = {
    "DEBUG": "debug exit",
    "MMIO": "MMIO",
    "SYSTEM_EVENT": "system event",
    "ARM_NISV": "ARM_NISV",
    "HYPERCALL": "hypercall",
}

_DETAIL: Final[Mapping[str, Callable[[Mapping[str, Any], Name], str]]] = {
    "DEBUG": _debug,
    "MMIO": _mmio,
    "SYSTEM_EVENT": _system_event,
    "ARM_NISV": _arm_nisv,
}

_VALUE_WORDS: Final[Mapping[str, Callable[[int], str]]] = {
    "hsr": hsr_words,
    "errno": lambda value: errno_name(value) if value else "no error",
    "is_write": lambda value: "a write" if value else "a read",
    "type": lambda value: EVENT_NAMES.get(value, ""),
}

_DECIMAL: Final = frozenset({"ret", "errno", "len", "is_write", "type", "ndata"})

ENTRY_PC: Final = "pc of kvm_entry"
EXIT_PC: Final = "pc of kvm_exit"
"""What the tracepoints of these names show: the guest's pc at the first entry of a KVM_RUN, and at
its last exception to KVM."""

_ADDRESSES: Final = frozenset({"pc", "addr", "ipa", "far", ENTRY_PC, EXIT_PC})


def value_words(field: str, value: Any, name: Name) -> str:
    """A field's value with its meaning: ``0xca000022 (software step, ISV=0: ...)``."""
    if value is None:
        return "nothing"
    if isinstance(value, bytes):
        return value.hex(" ")
    if isinstance(value, (tuple, list)):
        return "[" + ", ".join(f"{item:#x}" for item in value) + "]"
    if not isinstance(value, int):
        return str(value)
    plain = str(value) if field in _DECIMAL else f"{value:#x}"
    if field in _ADDRESSES:
        named = name(value)
        return plain if named == plain else f"{named} ({plain})"
    describe_value = _VALUE_WORDS.get(field)
    words = describe_value(value) if describe_value is not None else ""
    return f"{plain} ({words})" if words else plain


def masked_words(field: str, value: int, mask: int) -> str:
    """A value of which only the bits in ``mask`` count."""
    ec = class_of(value)
    if field != "hsr" or mask & EC_MASK != EC_MASK:
        return f"{value & mask:#x} under mask {mask:#x}"
    words = _CLASSES.get(ec, "")
    rest = mask & ~EC_MASK
    if ec == EC_SOFTSTP_LOW and rest == STEP_ISV:
        words += f", ISV={int(bool(value & STEP_ISV))}"
    elif (ec == EC_BRK64 and rest == 0xFFFF) or (ec == EC_WATCHPT_LOW and rest == WNR):
        words = hsr_words(value)
    elif rest:
        words += f", {value & mask:#x} under mask {mask:#x}"
    return f"EC {ec:#x} ({words})" if words else f"EC {ec:#x}"


ENDINGS: Final[Mapping[Ending, str]] = {
    Ending.EXIT_LIMIT: "the run was cut at its limit of {exits} exits",
    Ending.REPEATS: "the run was cut after {repeats} repeats of the same exit",
    Ending.INTERRUPTED: "the run was interrupted: the guest gave no exit within its limits",
    Ending.ERROR: "the run ended because KVM_RUN failed",
    Ending.SYSTEM_EVENT: "the run ended at a system event",
}
"""Why a run ended, for a person; keyed by :attr:`vcpu_scenario.trace.Trace.ended`."""
NO_SYNDROME: Final = (
    ": the access at {pc:#x} is to no memory and has no valid syndrome, as those of pairs, of SIMD"
    " registers and with write-back have none"
)
"""What ``ENOSYS`` of ``KVM_RUN`` means."""
INTERRUPTED_BY_VMM: Final = "the run was interrupted, as its VMM asked"
