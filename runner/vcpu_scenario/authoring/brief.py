"""Exits that came, as an author would expect them: by label, in the language's short forms.

What is left out says nothing of its own: ``far`` where no watchpoint was hit holds the last
mmio.data, ``flags`` is the same at every debug exit of a release, and behind the ``len`` bytes of
a write stand older ones. ``hsr`` stays where the short form does not say all of it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from vcpu_scenario.arm64.esr import (
    EC_BREAKPT_LOW,
    EC_BRK64,
    EC_SOFTSTP_LOW,
    EC_WATCHPT_LOW,
    WNR,
    class_of,
)
from vcpu_scenario.case import Case
from vcpu_scenario.kvm.errnos import errno_name, errno_word
from vcpu_scenario.language.expecting import said_of_exit
from vcpu_scenario.language.notation import Decimal, Verbatim, scalar
from vcpu_scenario.trace import Exit
from vcpu_scenario.verdict.guest import Guest
from vcpu_scenario.verdict.words import EVENT_NAMES, executed_one

Name = Callable[[int], Any]

_NAMED: Final = re.compile(r"([A-Za-z_.$][A-Za-z0-9_.$]*)(\+0x[0-9a-f]+)?\Z")


def names(case: Case, symbols: Mapping[str, int]) -> Name:
    """Says an address as the language can: by a label of the code or a userspace device where one
    is at it or before it, else as a number."""
    guest = Guest(case, symbols)
    known = {*symbols, *(device.name for device in case.devices)}

    def name(addr: int) -> Any:
        found = _NAMED.match(guest.name(addr))
        if found is None or found[1] not in known:
            return addr
        return Verbatim(f"{found[1]}+{scalar(int(found[2], 16))}" if found[2] else found[1])

    return name


def brief(exit_: Exit, name: Name) -> tuple[str, dict[str, Any]]:
    """The variant of ``exits:`` that the exit is, and what it says."""
    return said_of_exit(exit_, lambda own: _variant(own, name))


def _variant(exit_: Exit, name: Name) -> tuple[str, dict[str, Any]]:
    pc = {"pc": name(exit_.pc)}
    if exit_.ret < 0:
        kind = "interrupted" if errno_name(exit_.errno) == "EINTR" else "error"
        errno = {} if kind == "interrupted" else {"errno": _errno(exit_.errno)}
        return kind, {**errno, "exit": exit_.exit, **pc}
    if exit_.exit == "DEBUG":
        return "debug", _debug(exit_, name)
    say = _SAY.get(exit_.exit)
    if say is None:
        return "any", {"exit": exit_.exit, **pc}
    kind, body = say(exit_.fields, name)
    return kind, {**body, **pc}


def _errno(errno: int) -> Any:
    word = errno_word(errno)
    return Decimal(word) if isinstance(word, int) else word


def _debug(exit_: Exit, name: Name) -> dict[str, Any]:
    hsr = exit_.fields["hsr"]
    short = _SHORT.get(class_of(hsr))
    if short is None:
        body, said = {"pc": name(exit_.pc)}, None
    else:
        key, more, said = short(hsr)
        body = {key: name(exit_.pc), **more}
    if hsr != said:
        body["hsr"] = hsr
    if "hsr_high" in exit_.fields:
        body["hsr_high"] = exit_.fields["hsr_high"]
    if class_of(hsr) == EC_WATCHPT_LOW:
        body["far"] = name(exit_.fields["far"])
    return body


def _step(hsr: int) -> tuple[str, dict[str, Any], int]:
    if executed_one(hsr):
        return "step", {}, 0xCB00_0022
    return "step", {"after_emulation": True}, 0xCA00_0022


def _brk(hsr: int) -> tuple[str, dict[str, Any], int]:
    return "brk", {"imm": hsr & 0xFFFF}, 0xF200_0000 | hsr & 0xFFFF


def _hardware_breakpoint(hsr: int) -> tuple[str, dict[str, Any], int]:
    return "hardware_breakpoint", {}, 0xC200_0022


def _watchpoint(hsr: int) -> tuple[str, dict[str, Any], int]:
    access = "write" if hsr & WNR else "read"
    return "watchpoint", {"access": access}, 0xD200_0022 | hsr & WNR


_SHORT: Final[Mapping[int, Callable[[int], tuple[str, dict[str, Any], int]]]] = {
    EC_SOFTSTP_LOW: _step,
    EC_BRK64: _brk,
    EC_BREAKPT_LOW: _hardware_breakpoint,
    EC_WATCHPT_LOW: _watchpoint,
}
"""By exception class: the key, what refines it, and the ``hsr`` of which that says everything."""


def _mmio(fields: Mapping[str, Any], name: Name) -> tuple[str, dict[str, Any]]:
    length = fields["len"]
    body: dict[str, Any] = {
        "write" if fields["is_write"] else "read": name(fields["addr"]),
        "len": length,
    }
    if fields["is_write"]:
        body["data"] = int.from_bytes(bytes.fromhex(fields["data"])[:length], "little")
    return "mmio", body


def _system_event(fields: Mapping[str, Any], name: Name) -> tuple[str, dict[str, Any]]:
    kind = fields["type"]
    return "system_event", {**fields, "type": EVENT_NAMES.get(kind, kind)}


def _arm_nisv(fields: Mapping[str, Any], name: Name) -> tuple[str, dict[str, Any]]:
    return "arm_nisv", {"esr_iss": fields["iss"], "fault_ipa": name(fields["ipa"])}


def _hypercall(fields: Mapping[str, Any], name: Name) -> tuple[str, dict[str, Any]]:
    return "hypercall", dict(fields)


_SAY: Final[Mapping[str, Callable[[Mapping[str, Any], Name], tuple[str, dict[str, Any]]]]] = {
    "MMIO": _mmio,
    "SYSTEM_EVENT": _system_event,
    "ARM_NISV": _arm_nisv,
    "HYPERCALL": _hypercall,
}
