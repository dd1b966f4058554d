"""The vCPU's interrupt lines, events, state and reset, and which one's turn it is: KVM_IRQ_LINE,
KVM_SET_VCPU_EVENTS, KVM_SET_MP_STATE and KVM_ARM_VCPU_INIT."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from vcpu_scenario.actions.kind import Kind, Name, Node, Reader, Unwritable, number, of
from vcpu_scenario.case import RunVcpu
from vcpu_scenario.ioctls.vcpu import InitVcpu, SetIrqLine, SetMpState, SetVcpuEvents
from vcpu_scenario.kvm import abi
from vcpu_scenario.kvm.features import FEATURES
from vcpu_scenario.machine.errors import initialising
from vcpu_scenario.machine.interface import Machine

# -- interrupt lines ------------------------------------------------------------------------------

_LEVELS: Final = {"raise": 1, "lower": 0}
_CPU_LINES: Final = ("irq", "fiq")
_MOST: Final = 0xFFF
"""The highest number of a vCPU that the ioctl can say."""
_TYPES: Final[Mapping[str, tuple[int, Callable[[Node, Reader], int]]]] = {
    "spi": (
        abi.KVM_ARM_IRQ_TYPE_SPI,
        lambda node, reader: reader.number(node, low=32, high=0xFFFF),
    ),
    "ppi": (abi.KVM_ARM_IRQ_TYPE_PPI, lambda node, reader: reader.number(node, low=16, high=31)),
    "cpu": (
        abi.KVM_ARM_IRQ_TYPE_CPU,
        lambda node, reader: int(reader.text(node) == _CPU_LINES[1]),
    ),
}
"""By key: the ioctl's type of line, and how its number is read."""

_KEYS: Final = {number: key for key, (number, _) in _TYPES.items()}


def _read_line(key: str, node: Node, reader: Reader) -> Iterable[SetIrqLine]:
    asked = dict(reader.entries(node))
    of = asked.pop("vcpu", None)
    vcpu = 0 if of is None else reader.number(of, low=0, high=_MOST)
    if len(asked) > 1 or (of is not None and not asked):
        found = ", ".join(asked) or "none"
        reader.complain("one line is of one kind", node, found=found, expected="spi, ppi or cpu")
    for kind, value in asked.items():
        number, read = _TYPES[kind]
        line = number << abi.KVM_ARM_IRQ_TYPE_SHIFT | read(value, reader)
        yield SetIrqLine(line | _vcpu_bits(vcpu), _LEVELS[key])


def _vcpu_bits(vcpu: int) -> int:
    """``vcpu_index``, and ``vcpu2_index`` above it."""
    return (vcpu & 0xFF) << abi.KVM_ARM_IRQ_VCPU_SHIFT | vcpu >> 8 << abi.KVM_ARM_IRQ_VCPU2_SHIFT


def _vcpu_of(irq: int) -> int:
    low = irq >> abi.KVM_ARM_IRQ_VCPU_SHIFT & 0xFF
    return low | irq >> abi.KVM_ARM_IRQ_VCPU2_SHIFT << 8


def _write_line(action: SetIrqLine) -> dict[str, Any]:
    kind, number = action.irq >> abi.KVM_ARM_IRQ_TYPE_SHIFT & 0xF, action.irq & 0xFFFF
    known = kind in _KEYS and (kind != abi.KVM_ARM_IRQ_TYPE_CPU or number < len(_CPU_LINES))
    if action.level not in (0, 1) or not known:
        raise Unwritable(f"an interrupt line {action.irq:#x} at level {action.level}")
    line: Any = _CPU_LINES[number] if kind == abi.KVM_ARM_IRQ_TYPE_CPU else number
    of = {"vcpu": vcpu} if (vcpu := _vcpu_of(action.irq)) else {}
    return {"raise" if action.level else "lower": {_KEYS[kind]: line, **of}}


# -- events ---------------------------------------------------------------------------------------


def _read_events(key: str, node: Node, reader: Reader) -> Iterable[SetVcpuEvents]:
    asked = dict(reader.entries(node))
    yield SetVcpuEvents(
        reader.flag(asked.get("ext_dabt_pending")),
        reader.flag(asked.get("serror_pending")),
        reader.word(asked["serror_esr"]) if "serror_esr" in asked else None,
    )


def _write_events(action: SetVcpuEvents) -> dict[str, Any]:
    events: dict[str, Any] = {"ext_dabt_pending": action.ext_dabt, "serror_pending": action.serror}
    if action.serror_esr is not None:
        events["serror_esr"] = action.serror_esr
    return {"vcpu_events": events}


def _set_events(machine: Machine, action: SetVcpuEvents) -> None:
    events = abi.kvm_vcpu_events(
        serror_pending=action.serror,
        serror_has_esr=action.serror_esr is not None,
        ext_dabt_pending=action.ext_dabt,
        serror_esr=action.serror_esr or 0,
    )
    machine.set_vcpu_events(events)


def _events_words(action: SetVcpuEvents, name: Name) -> str:
    events = [word for word, on in (("ext_dabt", action.ext_dabt), ("serror", action.serror)) if on]
    if action.serror_esr is not None:
        events.append(f"serror_esr {action.serror_esr:#x}")
    return f"KVM_SET_VCPU_EVENTS {' '.join(events)}".rstrip()


# -- the MP state ---------------------------------------------------------------------------------

MP_STATES: Final = {
    "runnable": abi.KVM_MP_STATE_RUNNABLE,
    "stopped": abi.KVM_MP_STATE_STOPPED,
    "suspended": abi.KVM_MP_STATE_SUSPENDED,
}
MP_WORDS: Final = {state: word for word, state in MP_STATES.items()}


def _write_mp_state(action: SetMpState) -> dict[str, Any]:
    if action.state not in MP_WORDS:
        raise Unwritable(f"an MP state {action.state}")
    return {"mp_state": MP_WORDS[action.state]}


# -- whose turn it is -----------------------------------------------------------------------------


def _read_turn(key: str, node: Node, reader: Reader) -> Iterable[RunVcpu]:
    yield RunVcpu(reader.number(node, low=0, high=reader.last_vcpu))


# -- the reset ------------------------------------------------------------------------------------


def _read_init(key: str, node: Node, reader: Reader) -> Iterable[InitVcpu]:
    if asked := dict(reader.entries(node)):
        yield _init_of(asked, reader)
        return
    if not reader.flag(node, default=True):
        reader.complain("this does nothing", node, found="false", expected="true, or a list")
    yield InitVcpu(None if reader.flag(node) else _features(node, reader))


def _features(node: Node, reader: Reader) -> tuple[str, ...]:
    return tuple(dict.fromkeys(reader.text(item) for item in reader.items(node)))


def _init_of(asked: Mapping[str, Node], reader: Reader) -> InitVcpu:
    return InitVcpu(
        _features(asked["features"], reader) if "features" in asked else None,
        reader.number(asked["target"], low=0, high=0xFFFF_FFFF) if "target" in asked else None,
        reader.number(asked["bits"], low=0, high=_ALL_BITS) if "bits" in asked else 0,
    )


_ALL_BITS: Final = (1 << 224) - 1
"""The seven words of ``kvm_vcpu_init.features``."""


def _write_init(action: InitVcpu) -> dict[str, Any]:
    features = None if action.features is None else list(action.features)
    if action.target is None and not action.bits:
        return {"vcpu_init": True if features is None else features}
    asked = {"features": features, "target": action.target, "bits": action.bits or None}
    return {"vcpu_init": {key: value for key, value in asked.items() if value is not None}}


def _init(machine: Machine, action: InitVcpu) -> None:
    features = machine.features if action.features is None else action.features
    machine.vcpu_init(features, action.target, action.bits)


_FEATURE: Final = {
    "description": "KVM_ARM_VCPU_ and this name.",
    "type": "string",
    "enum": list(FEATURES),
}


KINDS: Final = (
    Kind(
        InitVcpu,
        schema={
            "vcpu_init": {
                "title": "true, a list of features, or a mapping that says more",
                "description": "KVM_ARM_VCPU_INIT once more, which resets the vCPU: with the"
                " features of the set-up, which in `setup` are none yet, or with those of a list.",
                "type": ["boolean", "array", "object"],
                "items": _FEATURE,
                "additionalProperties": False,
                "minProperties": 1,
                "properties": {
                    "features": {
                        "description": "Default: those of the set-up.",
                        "type": "array",
                        "items": _FEATURE,
                    },
                    "target": number("target. Default: that of KVM_ARM_PREFERRED_TARGET."),
                    "bits": number(
                        "Further bits of features[]: bit 32 is the first of features[1]."
                    ),
                },
            }
        },
        read=_read_init,
        write=_write_init,
        perform=_init,
        words=lambda action, name: initialising(action.features or (), action.target, action.bits),
    ),
    Kind(
        SetIrqLine,
        schema={
            key: of("interrupt", f"KVM_IRQ_LINE with level {level}.")
            for key, level in _LEVELS.items()
        },
        read=_read_line,
        write=_write_line,
        perform=lambda machine, action: machine.irq_line(action.irq, action.level),
        words=lambda action, name: f"KVM_IRQ_LINE {action.irq:#x} level {action.level}",
    ),
    Kind(
        SetVcpuEvents,
        schema={
            "vcpu_events": {
                "description": "KVM_SET_VCPU_EVENTS.",
                "type": "object",
                "additionalProperties": False,
                "minProperties": 1,
                "properties": {
                    "ext_dabt_pending": of("flag", "exception.ext_dabt_pending."),
                    "serror_pending": of("flag", "exception.serror_pending."),
                    "serror_esr": number("exception.serror_esr, with serror_has_esr."),
                },
            }
        },
        read=_read_events,
        write=_write_events,
        perform=_set_events,
        words=_events_words,
    ),
    Kind(
        SetMpState,
        schema={
            "mp_state": {
                "description": "KVM_SET_MP_STATE.",
                "type": "string",
                "enum": list(MP_STATES),
            }
        },
        read=lambda key, node, reader: [SetMpState(MP_STATES[reader.text(node)])],
        write=_write_mp_state,
        perform=lambda machine, action: machine.set_mp_state(action.state),
        words=lambda action, name: f"KVM_SET_MP_STATE {action.state}",
    ),
    Kind(
        RunVcpu,
        schema={
            "run_vcpu": number(
                "The next KVM_RUN is of this vCPU, by its number from 0, and so is "
                "what is done after this action."
            )
        },
        read=_read_turn,
        write=lambda action: {"run_vcpu": action.vcpu},
        perform=lambda machine, action: machine.select(action.vcpu),
        words=lambda action, name: f"turns to vCPU {action.vcpu}",
    ),
)
