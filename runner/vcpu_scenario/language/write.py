"""Cases as scenarios: the text of a file that loads as the same case.

For what a program made or found (random cases, recorded jobs), not for what an author wrote. A
trace, where there is one, becomes the expectation of the kernel that it is from.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

from msgspec.structs import replace

import vcpu_scenario.case as c
from vcpu_scenario.actions import write as write_action
from vcpu_scenario.actions.guestdebug import guest_debug_entry
from vcpu_scenario.actions.kind import Unwritable
from vcpu_scenario.actions.memory import slot_entry
from vcpu_scenario.arm64.disassembly import disassemble
from vcpu_scenario.case import Case
from vcpu_scenario.kernels.release import KNOWN_RELEASES, parse_release
from vcpu_scenario.language.expecting import BELL, expectation_lines
from vcpu_scenario.language.loader import loads
from vcpu_scenario.language.notation import Decimal, flow, quoted_text, scalar
from vcpu_scenario.source import InvalidScenario
from vcpu_scenario.trace import Trace
from vcpu_scenario.vmm.setup import features_of

_DEFAULT: Final = Case(slots=())


def write(
    case: Case,
    *,
    title: str,
    about: str = "",
    tags: Sequence[str] = (),
    origin: Sequence[str] = (),
    kernel: str = "",
    trace: Trace | None = None,
) -> str:
    """The text of a scenario whose only case is ``case``.

    ``trace`` is what ``kernel`` gave, on whichever host; without it the scenario expects nothing,
    and what ``case`` reads at its exits and its end (``reads_irq_level``, ``peek``, ``final_regs``,
    ``lists_registers``) is left out. Raises :class:`Unwritable` where the language cannot say what
    ``case`` does. What ``case`` was to do after the run had ended is left out, too: a scenario
    holds that all of its actions are done.
    """
    if trace is not None:
        case = _done(case, trace)
    lines = [f"title: {quoted_text(title)}"]
    if about:
        lines += ["about: |", *(f"  {line}".rstrip() for line in about.splitlines())]
    lines += _list("origin", origin)
    lines += _list("tags", tags)
    release = parse_release(kernel or KNOWN_RELEASES[-1])
    if release.host:
        lines.append(f"host: {one_host(release.host)}")
    lines += _sections(case)
    if trace is not None:
        lines += ["", *expectation_lines(case, trace, str(release.on("")))]
    text = "\n".join(lines) + "\n"
    _check(text, case, trace, kernel)
    return text


def one_host(name: str) -> str:
    """The word for a host in a scenario. Raises :class:`Unwritable` for one of several."""
    if "+" in name:
        raise Unwritable(f"a scenario is for one host or another, and {name} is several at once")
    return name


def _done(case: Case, trace: Trace) -> Case:
    """``case`` with what was done of it, up to what was refused."""
    reacted = len(trace.exits) - (not trace.ended.is_between_runs)
    first = len(case.setup)
    done = first + len(case.before) - trace.left
    return replace(
        case,
        on=tuple((exit_, actions) for exit_, actions in case.on if exit_ < reacted),
        setup=case.setup[:done],
        before=case.before[: max(done - first, 0)],
    )


def _list(key: str, texts: Iterable[str]) -> list[str]:
    found = [quoted_text(text) for text in texts]
    return [f"{key}: [{', '.join(found)}]"] if found else []


def _check(text: str, case: Case, trace: Trace | None, kernel: str) -> None:
    """What is written must be read as what was to be written, or it is worth nothing."""
    try:
        (found,) = loads(text, "written.vcpu.yaml").cases([kernel or KNOWN_RELEASES[-1]])
    except InvalidScenario as error:
        first = error.diagnostics[0]
        raise Unwritable(f"{first.message}, found {first.found}") from None
    if trace is None or not trace.exits:
        case = replace(case, reads_irq_level=False)
    if trace is None or trace.error is not None:
        case = replace(case, peek=(), final_regs=(), lists_registers=False)
    if found.case != case:
        raise Unwritable("what is written would be read as something else")


def _sections(case: Case) -> Iterator[str]:
    for section in (_memory, _guest, _data, _devices, _debug, _actions, _rest):
        lines = list(section(case))
        if lines:
            yield ""
            yield from lines


def _memory(case: Case) -> Iterator[str]:
    yield "memory:"
    for slot in case.slots:
        yield f"  - {flow(slot_entry(slot))}"


def _guest(case: Case) -> Iterator[str]:
    if not case.loads:
        raise Unwritable("no code is loaded")
    code = case.loads[0]
    if not code.data or len(code.data) % 4 or code.addr % 4:
        raise Unwritable("the first bytes that are loaded are no code")
    yield "guest:"
    yield f"  at: {scalar(code.addr)}"
    yield "  words:"
    yield from _words(code, "    ")
    registers = dict(case.regs)
    if len(registers) != len(case.regs):
        raise Unwritable("a register is set twice")
    if case.regs and case.regs[-1] == ("pc", code.addr):
        del registers["pc"]
    if registers:
        yield f"  regs: {flow(registers)}"


def _words(load: c.Load, indent: str) -> Iterator[str]:
    for addr, word in _instructions(load):
        yield f"{indent}- 0x{word:08x}  # {disassemble(word, addr)}"


def _instructions(load: c.Load) -> list[tuple[int, int]]:
    words = struct.unpack(f"<{len(load.data) // 4}I", load.data)
    return [(load.addr + 4 * n, word) for n, word in enumerate(words)]


def _data(case: Case) -> Iterator[str]:
    if len(case.loads) > 1:
        yield "data:"
    for load in case.loads[1:]:
        at = f"at: {scalar(load.addr)}"
        if not _is_code(load):
            yield f"  - {{{at}, hex: {json.dumps(load.data.hex(' '))}}}"
        elif len(load.data) == 4:
            ((addr, word),) = _instructions(load)
            yield f"  - {{{at}, words: [0x{word:08x}]}}  # {disassemble(word, addr)}"
        else:
            yield f"  - {at}"
            yield "    words:"
            yield from _words(load, "      ")


def _is_code(load: c.Load) -> bool:
    if not load.data or len(load.data) % 4 or load.addr % 4:
        return False
    return not any(disassemble(word, addr)[0] == "." for addr, word in _instructions(load))


def _devices(case: Case) -> Iterator[str]:
    found = list(_device_entries(case))
    if found:
        yield "devices:"
    for name, entry in found:
        yield f"  {name}: {flow(entry)}"


def _device_entries(case: Case) -> Iterator[tuple[str, dict[str, Any]]]:
    for device in case.devices:
        yield device.name, _userspace(device)
    if case.gic is not None:
        yield "gic", _gic(case.gic)
    for number, ioeventfd in enumerate(case.ioeventfds):
        entry = {"handled_by": "kernel", "model": "ioeventfd", "at": ioeventfd.addr}
        entry["len"] = ioeventfd.len
        if ioeventfd.match is not None:
            entry["match"] = ioeventfd.match
        yield f"{BELL}{number}", entry
    for number, zone in enumerate(case.coalesced):
        entry = {"handled_by": "kernel", "model": "coalesced", "at": zone.addr, "size": zone.size}
        yield f"ring{number}", entry


def _userspace(device: c.Device) -> dict[str, Any]:
    entry: dict[str, Any] = {"handled_by": "userspace", "at": device.base, "size": device.size}
    if device.model != "registers":
        entry["model"] = device.model
    if device.registers:
        entry["registers"] = _unique(device.registers)
    if device.replies:
        entry["replies"] = {key: list(values) for key, values in _unique(device.replies).items()}
    if device.console:
        entry["console"] = True
    if device.input:
        entry["input"] = device.input.decode("latin-1")
    return entry


def _unique(pairs: Sequence[tuple[int, Any]]) -> dict[int, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise Unwritable("an offset is listed twice")
    return found


def _gic(gic: c.Gic) -> dict[str, Any]:
    entry = {"handled_by": "kernel", "model": f"vgic-v{gic.version}", "distributor": gic.dist}
    if gic.version == 3:
        return entry | {"redistributor": gic.redist}
    return entry | {"cpu_interface": gic.cpu}


def _debug(case: Case) -> Iterator[str]:
    if case.debug is not None:
        yield f"debug: {flow(guest_debug_entry(case.debug))}"


# -- actions ---------------------------------------------------------------------------------------


def _actions(case: Case) -> Iterator[str]:
    if case.setup:
        yield "setup:"
        yield from (f"  - {flow(write_action(action))}" for action in case.setup)
    if case.before:
        yield "before:"
        yield from (f"  - {flow(write_action(action))}" for action in case.before)
    if case.reactions:
        raise Unwritable("an action at the exits that fit a pattern")
    if case.on:
        yield "on:"
    for index, actions in case.on:
        yield f"  - exit: {index}"
        yield "    then:"
        yield from (f"      - {flow(write_action(action))}" for action in actions)


# -- the rest ------------------------------------------------------------------------------------

_AFTER_BRK: Final = {"always": "skip", "never": "stay"}


def _rest(case: Case) -> Iterator[str]:
    if case.vcpus != _DEFAULT.vcpus:
        yield f"vcpus: {case.vcpus}"
    if case.quantum is not None:
        yield f"quantum: {case.quantum}"
    if not case.psci_0_2 or case.features:
        yield f"features: [{', '.join(features_of(case))}]"
    if case.caps:
        yield f"capabilities: [{', '.join(case.caps)}]"
    if case.default_reply != _DEFAULT.default_reply:
        yield f"default_reply: {scalar(case.default_reply)}"
    if case.observe != _DEFAULT.observe:
        yield f"observe: [{', '.join(case.observe)}]"
    if case.skip_brk in _AFTER_BRK:
        yield f"after_brk: {_AFTER_BRK[case.skip_brk]}"
    yield f"limits: {flow(_limits(case.limits))}"


def _limits(limits: c.Limits) -> dict[str, Any]:
    default = _DEFAULT.limits
    # A number of exits that is not given is that of the exits expected.
    entry: dict[str, Any] = {"exits": Decimal(limits.exits)}
    if limits.instructions != default.instructions:
        entry["instructions"] = Decimal(limits.instructions)
    if limits.seconds != default.seconds:
        entry["seconds"] = limits.seconds
    if limits.repeats is not None:
        entry["repeats"] = Decimal(limits.repeats)
    if not limits.stop_on_intr:
        entry["stop_on_eintr"] = False
    if limits.stop_on_event:
        entry["stop_on_event"] = True
    return entry
