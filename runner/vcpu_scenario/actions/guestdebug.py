"""KVM_SET_GUEST_DEBUG."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Literal

from vcpu_scenario.actions.kind import Kind, Name, Node, Reader, Unwritable, of
from vcpu_scenario.ioctls.vcpu import GuestDebug, SetGuestDebug, Watchpoint
from vcpu_scenario.kvm import abi

_BCR: Final = 0x1E7
"""Enabled at every EL, all four bytes of the instruction (``E``, ``PMC`` 3, ``BAS`` 0xf)."""

_LSC: Final = {"r": 1, "w": 2, "rw": 3}
_FLAGS: Final = (
    ("enable", abi.KVM_GUESTDBG_ENABLE, True),
    ("single_step", abi.KVM_GUESTDBG_SINGLESTEP, False),
    ("software_breakpoints", abi.KVM_GUESTDBG_USE_SW_BP, False),
)
"""Keys of the language for flags of ``control``, with their default."""

_WORDS: Final = (
    (abi.KVM_GUESTDBG_ENABLE, "enable"),
    (abi.KVM_GUESTDBG_SINGLESTEP, "singlestep"),
    (abi.KVM_GUESTDBG_USE_SW_BP, "use_sw_bp"),
    (abi.KVM_GUESTDBG_USE_HW, "use_hw"),
)
_KNOWN: Final = sum(flag for flag, _ in _WORDS)
_ACCESS: Final[Mapping[str, Literal["r", "w", "rw"]]] = {
    "read": "r",
    "write": "w",
    "readwrite": "rw",
}
_ACCESS_WORDS: Final = {letter: word for word, letter in _ACCESS.items()}


# -- in the language ------------------------------------------------------------------------------


def read_guest_debug(node: Node, reader: Reader) -> GuestDebug:
    """What the mapping ``node`` asks for; what it does not name is off."""
    asked = dict(reader.entries(node))
    control = sum(flag for key, flag, default in _FLAGS if reader.flag(asked.get(key), default))
    if "hardware_breakpoints" in asked or "watchpoints" in asked:
        control |= abi.KVM_GUESTDBG_USE_HW
    return GuestDebug(
        control,
        tuple(map(reader.address, reader.items(asked.get("hardware_breakpoints")))),
        tuple(_read_watchpoint(each, reader) for each in reader.items(asked.get("watchpoints"))),
    )


def _read_watchpoint(node: Node, reader: Reader) -> Watchpoint:
    asked = dict(reader.entries(node))
    addr = reader.address(asked.get("at"))
    length = reader.number(asked.get("len"), low=1, high=1 << 31)
    if length <= 8:
        fits = addr % 8 + length <= 8
    else:
        fits = length & length - 1 == 0 and addr % length == 0
    if not fits and "len" in asked:
        reader.complain(
            "no watchpoint covers these bytes",
            asked["len"],
            found=f"{length} bytes at {addr:#x}",
            expected="up to 8 bytes within a doubleword, "
            "or a power of two at an address that is its multiple",
        )
    access = reader.text(asked["access"]) if "access" in asked else "readwrite"
    return Watchpoint(addr, length, _ACCESS[access])


def guest_debug_entry(debug: GuestDebug) -> dict[str, Any]:
    """The request as the language writes it. Raises :class:`Unwritable`."""
    control = debug.control
    hardware = bool(control & abi.KVM_GUESTDBG_USE_HW)
    if control & ~_KNOWN or (not hardware and (debug.hw_bp or debug.watch)):
        raise Unwritable(f"a debug request with control {control:#x}")
    entry: dict[str, Any] = {
        key: bool(control & flag)
        for key, flag, default in _FLAGS
        if bool(control & flag) is not default
    }
    if hardware and (debug.hw_bp or not debug.watch):
        entry["hardware_breakpoints"] = list(debug.hw_bp)
    if debug.watch:
        entry["watchpoints"] = [
            {"at": watch.addr, "len": watch.len, "access": _ACCESS_WORDS[watch.type]}
            for watch in debug.watch
        ]
    return entry


# -- in the uAPI ----------------------------------------------------------------------------------


def struct_of(debug: GuestDebug) -> abi.kvm_guest_debug:
    """``struct kvm_guest_debug`` with breakpoints and watchpoints encoded as QEMU does."""
    out = abi.kvm_guest_debug(control=debug.control)
    for n, addr in enumerate(debug.hw_bp):
        out.arch.dbg_bcr[n] = _BCR
        out.arch.dbg_bvr[n] = addr
    for n, watch in enumerate(debug.watch):
        out.arch.dbg_wcr[n], out.arch.dbg_wvr[n] = _watchpoint_registers(watch)
    return out


def _watchpoint_registers(watch: Watchpoint) -> tuple[int, int]:
    """(WCR, WVR): byte select within a doubleword, or an address mask for larger ranges.

    Arm ARM D17.3.11, DBGWCR<n>_EL1.
    """
    control = 1 | 3 << 1 | _LSC[watch.type] << 3
    if watch.len <= 8:
        offset = watch.addr & 7
        select = ((1 << watch.len) - 1) << offset & 0xFF
        return control | select << 5, watch.addr & ~7
    mask = watch.len.bit_length() - 1
    return control | 0xFF << 5 | mask << 24, watch.addr & ~(watch.len - 1)


def _words(action: SetGuestDebug, name: Name) -> str:
    debug = action.debug
    control = "|".join(word for flag, word in _WORDS if debug.control & flag) or "0"
    points = [f"breakpoint {name(addr)}" for addr in debug.hw_bp]
    points += [f"watch {name(w.addr)} len {w.len} {w.type}" for w in debug.watch]
    return ", ".join((f"KVM_SET_GUEST_DEBUG {control}", *points))


KINDS: Final = (
    Kind(
        SetGuestDebug,
        schema={"debug": of("guest_debug", "KVM_SET_GUEST_DEBUG; what is not named is off.")},
        read=lambda key, node, reader: [SetGuestDebug(read_guest_debug(node, reader))],
        write=lambda action: {"debug": guest_debug_entry(action.debug)},
        perform=lambda machine, action: machine.set_guest_debug(struct_of(action.debug)),
        words=_words,
    ),
)
