"""A trace from the field as the draft of a scenario: the exits that were seen, and what is unknown.

The draft is a scenario that ``check`` takes. What no trace shows, the guest's code before all, is
said as comments, for whoever continues from it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from vcpu_scenario.actions.guestdebug import guest_debug_entry
from vcpu_scenario.field.asked import asked_of
from vcpu_scenario.field.exits import body, possible
from vcpu_scenario.field.items import Item, items_of, written
from vcpu_scenario.field.records import FieldTrace, Seen
from vcpu_scenario.field.standin import stand_in
from vcpu_scenario.ioctls.vcpu import GuestDebug
from vcpu_scenario.kvm import abi
from vcpu_scenario.language.notation import Decimal, flow, quoted_text

MOST: Final = 5_000
"""Items of ``exits:`` in a draft; what repeats is one item."""

_MOST_VCPUS: Final = 8
_QUANTUM: Final = "10_000"
_PAGE: Final = 0x1000
_RAM: Final = 1 << 20
_CODE: Final = 1 << 14
_HIGHEST: Final = 1 << 40
"""Where guest memory ends at the latest: pcs from there on are of a guest with its MMU on."""
_USUAL: Final = 0x4000_0000


def draft(field: FieldTrace, name: str, kernel: str | None = None) -> str:
    """The text of the scenario; ``name`` is what the trace is called, ``kernel`` its release."""
    exits = [seen for seen in field.exits if possible(seen)]
    debugging = asked_of(exits)
    several = 1 < field.vcpus <= _MOST_VCPUS
    items = list(items_of(exits, debugging, vcpus=several))
    lines = [
        f"title: {quoted_text(f'imported from {name}')}",
        *_about(field),
        # Without turns vCPU 0 alone runs.
        *([f"vcpus: {field.vcpus}", f"quantum: {_QUANTUM}"] if several else []),
        *_system(exits),
        *_guest(exits, several=several),
        *_debug(debugging),
        "expect:",
        f'  - kernels: "{kernel}"' if kernel else "  - about: on which kernel is not in the trace",
        "    exits:" if items else "    exits: []",
        *(f"      {text}" for text in written(items[:MOST])),
        *(["    never:", "      - error: {}"] if _says_nothing(items) else []),
    ]
    if len(items) > MOST:
        lines.append(f"      # {len(items) - MOST:,} more are not written here")
    return "\n".join(lines) + "\n"


def _says_nothing(items: Sequence[Item]) -> bool:
    """Whether all that is known is that KVM_RUN came back once: then it gave no error at least."""
    return [(one.kind, one.times, dict(one.body)) for one in items] == [("any", 1, {})]


def _about(field: FieldTrace) -> Iterator[str]:
    count, threads = len(field.exits), field.vcpus
    of = f" of {threads} threads" if threads > 1 else ""
    yield "about: |"
    yield f"  {count:,} exit{'' if count == 1 else 's'}{of} as {field.source} show{_s(field)} them."
    for span, words in field.lost[:8]:
        yield f"  Line {span.line}: {words}."
    for seen in [each for each in field.exits if not possible(each)][:8]:
        yield f"  Line {seen.span.line}: KVM_EXIT_{seen.exit}, which no scenario can ask for."
    yield "  A draft: the guest's code and registers are not in a trace; a placeholder is there."
    yield ""


def _s(field: FieldTrace) -> str:
    return "s" if field.source == "strace" else ""


def _system(exits: Sequence[Seen]) -> Iterator[str]:
    """What has to be asked of KVM for such exits to come at all."""
    names = {seen.exit for seen in exits if not seen.errno}
    capabilities = ["arm_nisv_to_user"] if "ARM_NISV" in names else []
    suspends = abi.KVM_SYSTEM_EVENT_SUSPEND
    if any((kind := seen.facts.get("type")) and kind.value == suspends for seen in exits):
        capabilities.append("arm_system_suspend")
    if capabilities:
        yield f"capabilities: {flow(capabilities)}"
    if "HYPERCALL" in names:
        calls = sorted({fact.value & 0xFFFF_FFFF for fact in _facts(exits, "HYPERCALL", "nr")})
        yield "before:"
        for call in calls or [0xC600_0000]:
            said = {"base": call, "nr_functions": Decimal(1), "action": "fwd_to_user"}
            yield f"  - {flow({'smccc_filter': said})}"


def _facts(exits: Sequence[Seen], exit_: str, name: str) -> Iterator[Any]:
    for seen in exits:
        if seen.exit == exit_ and not seen.errno and name in seen.facts:
            yield seen.facts[name]


def _guest(exits: Sequence[Seen], *, several: bool) -> Iterator[str]:
    places = [fact.value for seen in exits if (fact := seen.facts.get("entered")) is not None]
    known = [place for place in places if place < _HIGHEST]
    start = (known or [_USUAL])[0] & ~3
    memory = list(_memory(start, exits))
    yield from memory
    made = stand_in(start, _room(start, paged=bool(memory)), () if several else exits)
    yield "# TODO: the guest's own code and registers, which no trace has, in the place of these:"
    yield f"# a placeholder that is to make {_of(made.made, len(exits))}, where the trace has them."
    yield "guest:"
    yield f"  at: {start:#x}"
    if made.regs:
        yield f"  regs: {flow(made.regs)}"
    yield "  code: |"
    if places and not known:
        yield f"    // Its MMU is on: it was entered at {places[0]:#x} first."
    yield "    // What the trace shows of it:"
    shown = list(dict.fromkeys(filter(None, map(_place, exits))))
    yield from (f"    // {text}" for text in shown[:_PLACES] or ["nothing"])
    if len(shown) > _PLACES:
        yield f"    // and {len(shown) - _PLACES:,} more places"
    yield from (f"    {text}" for text in made.lines())
    yield ""
    if made.made == len(exits):
        yield f"limits: {flow({'exits': Decimal(max(made.made, 1))})}"
        yield ""


def _of(made: int, count: int) -> str:
    if made == count:
        return f"all {count:,} exits" if count != 1 else "the exit"
    return f"{f'{made:,}' if made else 'none'} of the {count:,} exits"


def _room(start: int, *, paged: bool) -> range:
    """Where its code may lie: within the guest's memory, and near enough."""
    size = _PAGE if paged else _CODE
    base = start & -size
    return range(base, base + size, 4)


_PLACES: Final = 200


def _memory(start: int, exits: Sequence[Seen]) -> Iterator[str]:
    """One page in place of the slot around the code, where that would take what had exits."""
    touched = {fact.value // _PAGE for fact in _facts(exits, "MMIO", "addr")}
    slot = start & -_RAM
    if any(slot // _PAGE <= page < (slot + _RAM) // _PAGE for page in touched):
        base = start & -_PAGE
        readonly = base // _PAGE in touched
        slot_ = {"at": base, "size": Decimal(_PAGE)} | ({"readonly": True} if readonly else {})
        yield "memory:"
        yield f"  - {flow(slot_)}"


def _place(seen: Seen) -> str:
    left = seen.facts.get("left")
    if left is None or seen.errno:
        return ""
    kind, said = body(seen)
    said.pop("reply", None)
    said.pop("data", None)
    what = said.pop("exit", kind)
    key = next(iter(said), "")
    if what == "mmio":
        return f"{left.value:#x} {key}s {said['len']} bytes at {int(said[key]):#x}"
    if what == "debug" and key in ("step", "brk", "hardware_breakpoint", "watchpoint"):
        return f"{left.value:#x} {_AT[key]}"
    where = "before " if what in ("system_event", "hypercall") else ""
    return f"{where}{left.value:#x} {what}"


_AT: Final = {
    "step": "was stepped to",
    "brk": "is a BRK",
    "hardware_breakpoint": "has a hardware breakpoint",
    "watchpoint": "accesses what is watched",
}


def _debug(debugging: Mapping[int, GuestDebug]) -> Iterator[str]:
    if 0 in debugging:
        yield f"debug: {flow(guest_debug_entry(debugging[0]))}"
        yield ""
