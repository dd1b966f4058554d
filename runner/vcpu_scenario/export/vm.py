"""What the VMM asks of its VM, in C: each an expression that is negative where KVM refuses it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from vcpu_scenario.case import Action, Attempt
from vcpu_scenario.export import attributes, questions, vcpu, vgic
from vcpu_scenario.export.names import Names
from vcpu_scenario.export.refusal import Unexportable
from vcpu_scenario.export.text import call
from vcpu_scenario.ioctls.attributes import GetDeviceAttr, HasDeviceAttr, SetDeviceAttr
from vcpu_scenario.ioctls.devices import (
    CreateDevice,
    CreateVgic,
    Irqfd,
    RemoveIrqfd,
    SetGsiRouting,
    SignalMsi,
)
from vcpu_scenario.ioctls.doorbells import RemoveCoalescedZone, RemoveIoeventfd
from vcpu_scenario.ioctls.memory import (
    ClearDirtyLog,
    DiscardMemory,
    GetDirtyLog,
    SetHostMapping,
    SetMemoryRegion,
)
from vcpu_scenario.ioctls.vm import (
    Ask,
    GetRegister,
    GetRegWritableMasks,
    SetCounterOffset,
    SetSmcccFilter,
    SetStealTime,
)
from vcpu_scenario.kvm.errnos import errno_name
from vcpu_scenario.kvm.registers import FEATURE_IDS, id_of

_MOST_PAGES: Final = 1 << 16
_WIDTH: Final = 80
_FLAGS: Final = {0: "0", 1: "KVM_MEM_LOG_DIRTY_PAGES", 2: "KVM_MEM_READONLY"}
_PROTECTIONS: Final = {
    "read_write": "PROT_READ | PROT_WRITE",
    "read": "PROT_READ",
    "none": "PROT_NONE",
}


def _region(action: SetMemoryRegion, names: Names) -> str:
    flags = action.log_dirty | action.readonly << 1
    words = _FLAGS.get(flags, "KVM_MEM_LOG_DIRTY_PAGES | KVM_MEM_READONLY")
    if action.bits:
        words = f"{words} | {action.bits:#x}"
    name = "set_memory_region2" if action.second else "set_memory_region"
    return call(name, str(action.slot), f"{action.base:#x}", f"{action.size:#x}", words)


def _mapping(action: SetHostMapping, names: Names) -> str:
    if action.access == "unmapped":
        return f"unmap_memory({action.slot})"
    if action.access == "past_end":
        return f"map_past_end({action.slot})"
    return f"protect_memory({action.slot}, {_PROTECTIONS[action.access]})"


def _discard(action: DiscardMemory, names: Names) -> str:
    way = "discard_with_userfaultfd" if action.userfaultfd else "discard_memory"
    return f"{way}({action.slot})"


def _pages(pages: tuple[int, ...]) -> str:
    """An array of them, and how many there are."""
    if any(page >= _MOST_PAGES for page in pages):
        raise Unexportable(f"dirty pages beyond the first {_MOST_PAGES:,}")
    if not pages:
        return "NULL, 0"
    return f"(uint32_t[]) {{ {', '.join(map(str, pages))} }}, {len(pages)}"


def _clear(action: ClearDirtyLog, names: Names) -> str:
    if action.count > _MOST_PAGES:
        raise Unexportable(f"a dirty log of more than {_MOST_PAGES:,} pages")
    where = f"{action.slot}, {action.first}, {action.count}"
    return f"clear_dirty_log({where}, {_pages(action.pages)})"


def _masks(masks: tuple[tuple[str, int], ...]) -> Iterator[str]:
    """An array of all, those that are 0 left out."""
    yield "expect_reg_masks((uint64_t[192]) {"
    for name, mask in masks:
        yield f"\t[{FEATURE_IDS.index(id_of(name))}] = {mask:#x},"
    yield "});"


def _doorbell(action: RemoveIoeventfd, names: Names) -> str:
    where = vcpu.doorbell(action.addr, action.len, action.match, names)
    return f"remove_ioeventfd({where})"


_CALLS: Final[Mapping[type[Action], tuple[str, Callable[[Any, Names], str]]]] = {
    SetMemoryRegion: ("KVM_SET_USER_MEMORY_REGION", _region),
    SetHostMapping: ("a change of the memory's mapping", _mapping),
    DiscardMemory: ("madvise of guest memory", _discard),
    GetDirtyLog: ("KVM_GET_DIRTY_LOG", lambda action, names: f"get_dirty_log({action.slot})"),
    ClearDirtyLog: ("KVM_CLEAR_DIRTY_LOG", _clear),
    RemoveIoeventfd: ("KVM_IOEVENTFD", _doorbell),
    RemoveCoalescedZone: (
        "KVM_UNREGISTER_COALESCED_MMIO",
        lambda action, names: (
            f"remove_coalesced_zone({names.address(action.addr)}, {action.size:#x})"
        ),
    ),
    SetSmcccFilter: (
        "KVM_ARM_VM_SMCCC_FILTER",
        lambda action, names: (
            f"set_smccc_filter({action.base:#x}, {action.count:#x}, {action.action}, {action.pad})"
        ),
    ),
    SetCounterOffset: (
        "KVM_ARM_SET_COUNTER_OFFSET",
        lambda action, names: f"set_counter_offset({action.offset:#x}, {action.reserved:#x})",
    ),
    GetRegWritableMasks: (
        "KVM_ARM_GET_REG_WRITABLE_MASKS",
        lambda action, names: f"get_reg_masks({action.range}, {action.reserved:#x})",
    ),
    SetStealTime: (
        "KVM_ARM_VCPU_PVTIME_IPA",
        lambda action, names: f"set_steal_time({names.address(action.addr)})",
    ),
    CreateVgic: ("KVM_CREATE_DEVICE", vgic.create),
    SetDeviceAttr: ("KVM_SET_DEVICE_ATTR", attributes.set_attr),
    GetDeviceAttr: ("KVM_GET_DEVICE_ATTR", attributes.get_attr),
    HasDeviceAttr: ("KVM_HAS_DEVICE_ATTR", attributes.has_attr),
    CreateDevice: ("KVM_CREATE_DEVICE", vgic.create_device),
    SignalMsi: ("KVM_SIGNAL_MSI", vgic.signal_msi),
    SetGsiRouting: ("KVM_SET_GSI_ROUTING", vgic.route),
    Irqfd: ("KVM_IRQFD", vgic.irqfd),
    RemoveIrqfd: ("KVM_IRQFD", lambda action, names: f"remove_irqfd({action.gsi})"),
    **questions.CALLS,
}
"""What a failure calls it, and the expression."""


def _call(action: Action, names: Names) -> tuple[str, str] | None:
    """What a failure calls it, and the expression; None for what is no ioctl of the VM."""
    if isinstance(action, Ask):
        return action.request, questions.ask(action, names)
    known = _CALLS.get(type(action))
    if known is None:
        return None
    what = action.request if isinstance(action, SetMemoryRegion) else known[0]
    return what, known[1](action, names)


def _done(action: Action, names: Names) -> Iterator[str]:
    called = _call(action, names)
    assert called is not None
    what, expression = called
    if (wanted := _answer(action)) is not None:
        yield from _broken(f"expect_answer({expression}, {wanted}", f'"{what}"')
        return
    if isinstance(action, GetRegister) and action.value is not None:
        yield from questions.get_register(action, names)
        return
    yield from _broken(f"succeed({expression}", f'"{what}"')
    if isinstance(action, Ask) and (events := questions.expected_events(action)) is not None:
        yield from f"expect_vcpu_events({events});".split("\n")
    if isinstance(action, GetDirtyLog) and action.pages is not None:
        yield f"expect_dirty({_pages(action.pages)});"
    if isinstance(action, GetRegWritableMasks) and action.masks is not None:
        yield from _masks(action.masks)
    if isinstance(action, GetDeviceAttr) and action.value is not None:
        yield f"expect_attr({action.value:#x});"


def statement(action: Action, names: Names) -> list[str]:
    """The lines that do it."""
    return list(_done(action, names))


def _answer(action: Action) -> str | None:
    """What the call is to return, where more is expected than that it succeeds."""
    if isinstance(action, Ask):
        return questions.answer(action)
    if isinstance(action, SignalMsi) and action.delivered is not None:
        return str(int(action.delivered))
    return None


def _attempted(action: Attempt, names: Names) -> Iterator[str]:
    known = _call(action.action, names) or vcpu.tried(action.action, names)
    if known is None:
        raise Unexportable("errno of an action that ends the program where it is refused")
    what, expression = known
    tried = f"must_fail({expression}"
    yield from _broken(tried, f'{errno_name(action.errno)}, "{what}"')


def _broken(start: str, rest: str) -> Iterator[str]:
    """A call, in two lines where it is long; where it is broken already the last one counts."""
    *before, start = start.split("\n")
    yield from before
    if len(start) + len(rest) <= _WIDTH:
        yield f"{start}, {rest});"
    else:
        yield f"{start},"
        yield f"\t{rest});"


OF: Final[Mapping[type[Action], Callable[[Any, Names], Iterator[str]]]] = {
    **dict.fromkeys((*_CALLS, Ask), _done),
    Attempt: _attempted,
}
