"""An exit that a trace shows, as the language says it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from vcpu_scenario.arm64 import esr
from vcpu_scenario.field.records import UNSHOWN, Seen
from vcpu_scenario.kvm.errnos import ERRNOS, errno_word
from vcpu_scenario.language.notation import Decimal
from vcpu_scenario.language.possible import NEVER
from vcpu_scenario.verdict.words import EVENT_NAMES

CAUSES: Final = {
    esr.EC_SOFTSTP_LOW: "step",
    esr.EC_BRK64: "brk",
    esr.EC_BREAKPT_LOW: "hardware_breakpoint",
    esr.EC_WATCHPT_LOW: "watchpoint",
}
"""What a debug exit is for, by exception class."""


def possible(seen: Seen) -> bool:
    """Whether a scenario can ask for such an exit."""
    return bool(seen.errno) or seen.exit not in NEVER


def body(seen: Seen) -> tuple[str, dict[str, Any]]:
    """The variant of ``exits:`` that ``seen`` is, and what it says."""
    if seen.errno == UNSHOWN:
        return "error", {}
    if seen.errno:
        if seen.errno == ERRNOS["EINTR"]:
            return "interrupted", {}
        word = errno_word(seen.errno)
        return "error", {"errno": Decimal(word) if isinstance(word, int) else word}
    say = _SAY.get(seen.exit)
    said = None if say is None else say(seen)
    if say is None or said is None:
        return "any", {"exit": seen.exit} if seen.exit else {}
    return seen.exit.lower(), said


def cause(seen: Seen) -> str | None:
    """What a debug exit is for; None where the trace does not show it."""
    hsr = seen.facts.get("hsr")
    return None if hsr is None else CAUSES.get(esr.class_of(hsr.value))


def _debug(seen: Seen) -> dict[str, Any] | None:
    left, why = seen.facts.get("left"), cause(seen)
    return None if left is None or why is None else {why: left.value}


def _mmio(seen: Seen) -> dict[str, Any] | None:
    facts = seen.facts
    if not {"is_write", "addr", "len"} <= set(facts) or facts["len"].value not in (1, 2, 4, 8):
        return None
    length = facts["len"].value
    write = facts["is_write"].value
    said: dict[str, Any] = {
        "write" if write else "read": facts["addr"].value,
        "len": Decimal(length),
    }
    if write and "data" in facts:
        said["data"] = facts["data"].value & (1 << 8 * length) - 1
    if not write and seen.reply is not None:
        said["reply"] = seen.reply
    return said


def _arm_nisv(seen: Seen) -> dict[str, Any]:
    named = {"esr_iss": "iss", "fault_ipa": "ipa"}
    return {key: seen.facts[name].value for key, name in named.items() if name in seen.facts}


def _system_event(seen: Seen) -> dict[str, Any]:
    kind = seen.facts.get("type")
    return {} if kind is None else {"type": EVENT_NAMES.get(kind.value, kind.value)}


def _hypercall(seen: Seen) -> dict[str, Any]:
    number = seen.facts.get("nr")
    return {} if number is None else {"nr": number.value}


_SAY: Final[Mapping[str, Callable[[Seen], dict[str, Any] | None]]] = {
    "DEBUG": _debug,
    "MMIO": _mmio,
    "ARM_NISV": _arm_nisv,
    "SYSTEM_EVENT": _system_event,
    "HYPERCALL": _hypercall,
}
