"""Everything of a scenario but its expectations, for one combination of its parameters."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final, Literal, NamedTuple

from msgspec.structs import replace

from vcpu_scenario.case import Case, Limits
from vcpu_scenario.expectation import Acting
from vcpu_scenario.kvm.features import PSCI_0_2
from vcpu_scenario.language.actions import Doings, read_debug, read_each, read_first
from vcpu_scenario.language.deviceentry import Devices
from vcpu_scenario.language.devices import read_devices
from vcpu_scenario.language.exits import ExitReader
from vcpu_scenario.language.files import Folder
from vcpu_scenario.language.guest import Program, Sources, read_program
from vcpu_scenario.language.limits import LIMITS_OF_LINUX, MAX_INSTRUCTIONS, read_limits
from vcpu_scenario.language.memory import (
    Bytes,
    Memory,
    check_added,
    check_in_memory,
    joined,
    loads_of,
    read_memory,
    read_placed,
)
from vcpu_scenario.language.nodes import (
    Map,
    Node,
    Scalar,
    Sequence,
    entries_of,
    is_faulty,
    items_of,
    text_of,
)
from vcpu_scenario.language.placed import check_flashes, check_loads, check_over
from vcpu_scenario.language.problems import Problems
from vcpu_scenario.language.reactions import ReadReaction, read_on
from vcpu_scenario.language.regions import check_overlaps
from vcpu_scenario.language.renamed import said_twice
from vcpu_scenario.language.scope import MAX_VCPUS, Scope
from vcpu_scenario.source import quoted

DEFAULT_REPLY: Final = 0x8877665544332211
DEFAULT_OBSERVE: Final = ("x0", "x1", "x2", "x3")

_AFTER_BRK: Final[Mapping[str, Literal["without-actions", "always", "never"]]] = {
    "continue": "without-actions",
    "skip": "always",
    "stay": "never",
}


class Setup(NamedTuple):
    """What every clause of an expectation shares; ``case`` runs without any of them."""

    case: Case
    program: Program
    devices: Devices
    memory: Memory
    doings: Doings
    limited: bool
    """``limits.exits`` is given: a run need not end with its expectation."""
    acting: tuple[Acting, ...]
    """What is asked for before the first KVM_RUN, in order, and by ``on:``, by exit."""
    reactions: tuple[ReadReaction, ...]
    """What it asks for as exits come."""
    always_refused: bool
    """Every clause expects that the kernel refuses the set-up."""
    whole: bool
    """Nothing of all this was taken out because something is wrong with it."""
    clean: bool
    """Nothing of all this is faulty."""
    exits: ExitReader

    @property
    def scope(self) -> Scope:
        return self.doings.scope


def read_setup(root: Map, problems: Problems, sources: Sources, exits: ExitReader) -> Setup:
    """Reads ``root``, of which the schema's check has taken out what it has something against.

    ``exits`` may have read those of other combinations of parameters.
    """
    reports = problems.reports
    scope = Scope(problems, complete=_is_whole(root, "guest") and _is_whole(root, "devices"))
    folder = sources.folder
    folder.missing = ""
    guest = root.get("guest")
    program, devices = _read_names(root, scope, sources)
    memory, data = _read_memory(root, program, devices, scope, folder)
    quantum = _read_turns(root, scope)
    features = _texts(root.get("features"), (PSCI_0_2,))
    psci = PSCI_0_2 in features
    doings = Doings(scope, folder)
    debug = root.get("debug")
    setup = read_first(root.get("setup"), doings)
    before = read_each(root.get("before"), doings)
    code, placed = program, None
    if program.tree is not None:
        around = memory.slots, devices.gic, devices.userspace
        asked = [action for action, _ in (*setup, *before)]
        tree = program.tree.of(*around, psci=psci, vcpus=scope.vcpus, asked=asked)
        program = replace(program, loads=(*program.loads, tree))
        check_loads(program, [], memory, scope)
        at = guest.get("device_tree") if isinstance(guest, Map) else None
        span = program.span if at is None else at.span
        placed = None if span is None else Bytes(tree.addr, tree.data, span, "")
    if problems.reports == reports:
        check_over(code, placed, memory, data, scope)
    on = read_on(root.get("on"), doings)
    case = Case(
        slots=tuple(memory.slots),
        loads=(*program.loads, *loads_of(memory.contents), *loads_of(data)),
        regs=_registers(guest, program, scope),
        caps=_texts(root.get("capabilities"), ()),
        gic=devices.gic,
        ioeventfds=tuple(devices.ioeventfds.values()),
        coalesced=tuple(devices.coalesced),
        devices=tuple(devices.userspace),
        default_reply=_word(root.get("default_reply"), DEFAULT_REPLY, scope),
        debug=read_debug(debug, doings),
        setup=tuple(action for action, _ in setup),
        before=tuple(action for action, _ in before),
        on=on.by_number,
        reactions=tuple(read.reaction for read in on.reactions),
        observe=_observe(root.get("observe"), on.reactions, scope),
        skip_brk=_AFTER_BRK[text_of(root.get("after_brk")) or "continue"],
        psci_0_2=psci,
        vcpus=scope.vcpus,
        quantum=quantum,
        features=tuple(name for name in features if name != PSCI_0_2),
        limits=read_limits(
            root.get("limits"), LIMITS_OF_LINUX if program.linux else Limits(), scope
        ),
        missing=folder.missing,
    )
    check_doings(doings, memory)
    limits = root.get("limits")
    limited = isinstance(limits, Map) and limits.get("exits") is not None
    whole = not (problems and _is_faulty_but_for_clauses(root))
    return Setup(
        case,
        program,
        devices,
        memory,
        doings,
        limited,
        (*(Acting(-1, span) for _, span in (*setup, *before)), *on.acting),
        on.reactions,
        _is_always_refused(items_of(root.get("expect"))),
        whole,
        whole and problems.reports == reports,
        exits.of(scope),
    )


def _is_always_refused(clauses: Iterable[Node]) -> bool:
    return all(isinstance(one, Map) and one.key("refused") is not None for one in clauses)


def _read_names(root: Map, scope: Scope, sources: Sources) -> tuple[Program, Devices]:
    """The guest's code and the devices, whose names ``scope`` has from here on."""
    guest, written = root.get("guest"), root.get("devices")
    if isinstance(guest, Map):
        scope.complete &= not is_faulty(guest.get("symbols"))
    devices = read_devices(written, scope)
    scope.devices, scope.registers_of = devices.addresses, devices.registers
    scope.devices_written = frozenset(key.text for key, _ in entries_of(written))
    scope.loses_devices = not _is_whole(root, "devices")
    program = read_program(guest, scope, sources) if isinstance(guest, Map) else Program(ok=False)
    scope.labels = program.symbols
    scope.complete &= program.ok
    _check_names(written, program, scope)
    return program, devices


def _read_memory(
    root: Map, program: Program, devices: Devices, scope: Scope, folder: Folder
) -> tuple[Memory, list[Bytes]]:
    """The memory, and the data that is to be in it."""
    memory = read_memory(root.get("memory"), program, scope, folder)
    memory.complete &= _is_whole(root, "memory")
    data = [read_placed(item, scope, folder) for item in items_of(root.get("data"))]
    check_overlaps([*memory.regions, *devices.regions], scope)
    check_loads(program, data, memory, scope)
    check_flashes(devices, memory.slots, scope)
    return memory, data


def _read_turns(root: Map, scope: Scope) -> int | None:
    """The quantum of the vCPUs, whose number ``scope`` has from here on."""
    vcpus, quantum = root.get("vcpus"), root.get("quantum")
    if vcpus is not None:
        scope.vcpus = scope.number(vcpus, low=1, high=MAX_VCPUS)
    elif root.faulty:  # it may be what is misspelt
        scope.vcpus = MAX_VCPUS
    if quantum is not None and vcpus is None and scope.vcpus == 1:
        scope.problems.add(
            "one vCPU takes no turns", quantum.span, help="leave `quantum` out, or say `vcpus`"
        )
    return scope.number(quantum, low=100, high=MAX_INSTRUCTIONS) if quantum else None


def _is_faulty_but_for_clauses(root: Map) -> bool:
    return root.faulty or any(is_faulty(node) for key, node in root.entries if key.text != "expect")


def _is_whole(root: Map, key: str) -> bool:
    node = root.get(key)
    return not (root.faulty if node is None else isinstance(node, Map | Sequence) and node.faulty)


def check_doings(doings: Doings, memory: Memory) -> None:
    """Checks what actions do to memory, once all of a run have been read."""
    if not (doings.added.regions or doings.written):
        return
    later = joined(memory, doings.added)
    if doings.added.regions:
        check_added(later, doings.scope)
    for written in doings.written:
        check_in_memory(written, later, "this writes", doings.scope)


def _check_names(devices: Node | None, program: Program, scope: Scope) -> None:
    for key, _ in entries_of(devices):
        if key.text in program.symbols or key.text in program.defined:
            scope.problems.add(
                f"{quoted(key.text)} is the name of a device and of a label",
                key.span,
                expected="a name of its own for each",
            )


def _one_or_more(node: Node) -> tuple[Node, ...]:
    return node.items if isinstance(node, Sequence) else (node,)


def _texts(node: Node | None, default: tuple[str, ...]) -> tuple[str, ...]:
    if node is None:
        return default
    return tuple(dict.fromkeys(text_of(item) for item in _one_or_more(node)))


def _word(node: Node | None, default: int, scope: Scope) -> int:
    return default if node is None else scope.word(node)


def _registers(guest: Node | None, program: Program, scope: Scope) -> tuple[tuple[str, int], ...]:
    if not isinstance(guest, Map):
        return ()
    entry = guest.get("entry")
    written, older = guest.get("regs"), guest.key("registers")
    if written is not None and older is not None:
        scope.problems.take(said_twice(older, "regs"))
    elif older is not None:
        written = guest.get("registers")
    registers = {name: value for name, value, _ in scope.registers(written)}
    if entry is not None and "pc" in registers:
        scope.problems.add("both `entry` and `regs` say where the vCPU starts", entry.span)
    start = scope.address(entry) if entry is not None else program.entry
    if start is not None:
        registers.setdefault("pc", start)
    if program.linux and program.tree is not None:
        registers.setdefault("x0", program.tree.at)
    return tuple(registers.items())


def _observe(
    node: Node | None, reactions: tuple[ReadReaction, ...], scope: Scope
) -> tuple[str, ...]:
    waited_for = [check.reg for read in reactions for check in read.expected.regs]
    if node is None:
        return tuple(dict.fromkeys((*DEFAULT_OBSERVE, *waited_for)))
    names = (scope.register(item) for item in _one_or_more(node) if isinstance(item, Scalar))
    return tuple(dict.fromkeys((*(name for name in names if name is not None), *waited_for)))
