"""What each of KVM's tracepoints says, as kernels of all releases print it.

A function for each in a table: it reads the text behind the event's name and notes what that shows.
The texts are TP_printk of include/trace/events/kvm.h, arch/arm64/kvm/trace*.h (virt/kvm/arm/trace.h
up to 5.7) and arch/arm64/kvm/vgic/trace.h.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Final, TypeAlias

from msgspec.structs import replace

from vcpu_scenario.arm64.esr import EC_SHIFT
from vcpu_scenario.field.breakpoints import breakpoints, watchpoints
from vcpu_scenario.field.records import Debugging, Line
from vcpu_scenario.field.run import MMIO, Run
from vcpu_scenario.kvm import abi

Read: TypeAlias = Callable[[Run, Line], None]

# A line may be a stranger's, made so that looking for a pattern takes for ever: no part of one can
# match what the next one can, or as much as there is from each place of many.
_HEX: Final = r"(?:0x\s*+)?([0-9a-fA-F]{1,16})"


def _pattern(text: str) -> re.Pattern[str]:
    """``{}`` stands for a number in hexadecimal."""
    return re.compile(re.escape(text).replace(r"\{\}", _HEX).replace(r"\ ", r"\s*+"))


def _found(pattern: re.Pattern[str], line: Line) -> re.Match[str]:
    match = pattern.search(line.text)
    if match is None:
        raise line.bad("no kernel prints this event so", help="is the line cut, or edited?")
    return match


def _numbers(pattern: re.Pattern[str], line: Line) -> tuple[int, ...]:
    return tuple(int(digits, 16) for digits in _found(pattern, line).groups())


_ENTRY: Final = _pattern("PC: {}")


def _kvm_entry(run: Run, line: Line) -> None:
    (pc,) = _numbers(_ENTRY, line)
    if "entered" not in run.facts:
        run.note("entered", pc, line)


_EXIT: Final = _pattern("HSR_EC: {}")
_EXIT_PC: Final = _pattern("PC: {}")


def left_guest(run: Run) -> None:
    """That the guest had an exception to KVM, of which nothing is known yet."""
    run.hypercall = None
    run.forget("left", "hsr", "ipa", "iss", "nr", *MMIO)


def _kvm_exit(run: Run, line: Line) -> None:
    (ec,) = _numbers(_EXIT, line)
    (pc,) = _numbers(_EXIT_PC, line)
    run.trapped = not line.text.startswith(("IRQ", "SERROR"))
    left_guest(run)
    if run.trapped:
        run.note("left", pc, line)
        run.note("hsr", ec << EC_SHIFT, line)
    else:
        run.did("an exception of the host")


_FAULT: Final = _pattern("ipa {}, hsr {}, hxfar {}, pc {}")
_NISV: Final = _pattern("ipa {}, esr {}, far {}, pc {}")
_ISS: Final = (1 << 25) - 1


def _kvm_guest_fault(run: Run, line: Line) -> None:
    ipa, hsr, far, _ = _numbers(_FAULT, line)
    # The ipa is that of the page: what lies in it, the faulting address says.
    run.note("ipa", ipa | far & 0xFFF, line)
    run.note("iss", hsr & _ISS, line)
    run.did("a fault of stage 2")


def _kvm_mmio_nisv(run: Run, line: Line) -> None:
    ipa, esr, _, _ = _numbers(_NISV, line)
    run.note("ipa", ipa, line)
    run.note("iss", esr & _ISS, line)


_MMIO: Final = re.compile(
    r"mmio (unsatisfied-read|read|write) len (\d{1,3})"
    r" gpa 0x([0-9a-f]{1,16}) val 0x([0-9a-f]{1,16})"
)


def _kvm_mmio(run: Run, line: Line) -> None:
    way, length, gpa, value = _found(_MMIO, line).groups()
    if way == "read":  # the read before is complete, or one that the kernel has answered
        run.answered = int(value, 16)
        return
    run.note("is_write", int(way == "write"), line)
    run.note("len", int(length), line)
    run.note("addr", int(gpa, 16), line)
    if way == "write":
        run.note("data", int(value, 16), line)


_HVC: Final = _pattern("HVC at {} (r0: {}, imm: {})")


def _kvm_hvc_arm64(run: Run, line: Line) -> None:
    _, run.hypercall, _ = _numbers(_HVC, line)
    run.note("nr", run.hypercall, line)
    run.did(f"a hypercall {run.hypercall:#x}")


_SYS_ACCESS: Final = re.compile(r"PC: [0-9a-f]+ (\S+) \((\d+(?:,\d+){4})\) (read|write)")


def _kvm_sys_access(run: Run, line: Line) -> None:
    name, encoding, way = _found(_SYS_ACCESS, line).groups()
    named = f"({encoding})" if name == "UNKN" else name
    run.did(f"a {way} of {named}")


_WFX: Final = re.compile(r"wf([ie]) at", re.IGNORECASE)


def _kvm_wfx_arm64(run: Run, line: Line) -> None:
    run.did(f"WF{_found(_WFX, line)[1].upper()}")


_FLAGS: Final = _pattern("flags: {}")


def _kvm_set_guest_debug(run: Run, line: Line) -> None:
    (flags,) = _numbers(_FLAGS, line)
    run.debugging = Debugging(line.span, flags)


_REGSET: Final = re.compile(
    r"\d{1,2} (?P<kind>\w+) CTRL:(?:\{(?P<c>[^{}]*+)\}|(?P<cd>[\d ]*)) ?"
    r"VALUE:(?:\{(?P<v>[^{}]*+)\}|(?P<vd>[\d ]*))"
)
"""trace-cmd has decimals, and the address of the name for the name."""


def _kvm_arm_set_regset(run: Run, line: Line) -> None:
    """The breakpoints or watchpoints as they are for the guest, or for the VMM's debugger."""
    asked = run.debugging
    if asked is None or not (asked.flags or 0) & abi.KVM_GUESTDBG_USE_HW:
        return
    found = _found(_REGSET, line)
    pairs = tuple(zip(_listed(found, "c", line), _listed(found, "v", line), strict=False))
    # KVM traces its breakpoints before its watchpoints.
    run.regsets.setdefault(found["kind"], "WAPTS" if run.regsets else "BKPTS")
    kind = found["kind"] if found["kind"] in ("BKPTS", "WAPTS") else run.regsets[found["kind"]]
    if kind == "BKPTS":
        asked = replace(asked, breakpoints=asked.breakpoints or breakpoints(pairs))
    else:
        asked = replace(asked, watchpoints=asked.watchpoints or watchpoints(pairs))
    run.debugging = asked


def _listed(found: re.Match[str], group: str, line: Line) -> tuple[int, ...]:
    try:
        if (decimals := found[f"{group}d"]) is not None:
            return tuple(map(int, decimals.split()))  # of so many digits that Python reads none
        return tuple(int(number, 16) for number in found[group].split(",") if number.strip())
    except ValueError:
        raise line.bad("no kernel prints this event so") from None


_INJECT: Final = re.compile(
    r"Inject (.{0,64}?) interrupt \(\d+\), vcpu->idx: \d+, num: (\d+), level: (\d+)"
)


def _kvm_irq_line(run: Run, line: Line) -> None:
    kind, number, level = _found(_INJECT, line).groups()
    run.did(f"KVM_IRQ_LINE of {kind} {number}, level {level}")


def _by_itself(what: str) -> Read:
    """Reads an event of which it counts that there was one."""

    def read(run: Run, line: Line) -> None:
        run.did(what)

    return read


def _of_no_exit(run: Run, line: Line) -> None:
    """An event that says nothing of what the guest did or got."""


USERSPACE_EXIT: Final = "kvm_userspace_exit"
REASON: Final = re.compile(r"reason (\S+) \((-?\d{1,10})\)")

READ: Final[Mapping[str, Read]] = {
    "kvm_entry": _kvm_entry,
    "kvm_exit": _kvm_exit,
    "kvm_guest_fault": _kvm_guest_fault,
    "kvm_access_fault": _by_itself("an access flag fault"),
    "kvm_mmio": _kvm_mmio,
    "kvm_mmio_nisv": _kvm_mmio_nisv,
    "kvm_mmio_emulate": _of_no_exit,
    "kvm_hvc_arm64": _kvm_hvc_arm64,
    "kvm_handle_sys_reg": _of_no_exit,  # kvm_sys_access says which
    "kvm_sys_access": _kvm_sys_access,
    "trap_reg": _of_no_exit,
    "kvm_wfx_arm64": _kvm_wfx_arm64,
    "kvm_set_guest_debug": _kvm_set_guest_debug,
    "kvm_arm_setup_debug": _of_no_exit,
    "kvm_arm_clear_debug": _of_no_exit,
    "kvm_arm_set_dreg32": _of_no_exit,
    "kvm_arm_set_regset": _kvm_arm_set_regset,
    "kvm_irq_line": _kvm_irq_line,
    "kvm_set_way_flush": _by_itself("cache maintenance by set and way"),
    "kvm_toggle_cache": _by_itself("caches switched on or off"),
    "kvm_nested_eret": _by_itself("an ERET of a nested guest"),
    "kvm_inject_nested_exception": _by_itself("an exception to a nested hypervisor"),
    "kvm_forward_sysreg_trap": _by_itself("a trap for a nested hypervisor"),
}
"""Every tracepoint that says something of an exit, and those around it that do not. Others of KVM
(of timers, the vGIC, halt polling, the host's memory) are passed over."""
