"""A trace as the clause of a scenario that expects it: every exit, every field."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from vcpu_scenario.actions.kind import Unwritable
from vcpu_scenario.case import Case
from vcpu_scenario.language.notation import Decimal, flow, quoted_text, scalar
from vcpu_scenario.trace import Exit, RingEntry, Trace

BELL: Final = "bell"
"""What an ioeventfd is called, with its index after it."""


def expectation_lines(case: Case, trace: Trace, kernel: str) -> Iterator[str]:
    """The lines of ``expect:`` for what ``kernel`` gave. Raises :class:`Unwritable`."""
    yield "expect:"
    yield f'  - kernels: "{kernel}"'
    if trace.error is not None:
        if not trace.errno:
            raise Unwritable("a refusal of which the errno is not known")
        yield f"    refused: {{errno: {trace.errno}}}"
        return
    yield "    exits:" if trace.exits else "    exits: []"
    yield from (f"      - {flow(_exit(exit_))}" for exit_ in trace.exits)
    final = _final(case, trace)
    if final:
        yield "    final:"
        for key, lines in final.items():
            yield f"      {key}:"
            yield from (f"        {line}" for line in lines)


def said_of_exit(
    exit_: Exit, variant: Callable[[Exit], tuple[str, dict[str, Any]]]
) -> tuple[str, dict[str, Any]]:
    """The variant of ``exits:`` that an exit is, with what may be said of any behind it."""
    exit_, vcpu = exit_.of_vcpu()
    kind, body = variant(exit_)
    if vcpu:  # where none is named, 0 is meant
        body["vcpu"] = Decimal(vcpu)
    if "device_irq_level" in exit_.fields:
        body["device_irq_level"] = exit_.fields["device_irq_level"]
    if exit_.regs:
        body["regs"] = dict(exit_.regs)
    return kind, body


def _exit(exit_: Exit) -> dict[str, Any]:
    kind, body = said_of_exit(exit_, _with_pc)
    return {kind: body}


def _with_pc(exit_: Exit) -> tuple[str, dict[str, Any]]:
    kind, body = _variant(exit_)
    return kind, {**body, "pc": exit_.pc}


def _variant(exit_: Exit) -> tuple[str, dict[str, Any]]:
    if exit_.ret < 0:
        stale = {"exit": exit_.exit}
        if exit_.errno == _EINTR:
            return "interrupted", stale
        return "error", {"errno": Decimal(exit_.errno), **stale}
    fields = _FIELDS.get(exit_.exit)
    if fields is None:
        return "any", {"exit": exit_.exit}
    return fields(exit_.fields)


_EINTR: Final = 4


def _debug(fields: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    return "debug", dict(fields)


def _mmio(fields: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    way = "write" if fields["is_write"] else "read"
    body: dict[str, Any] = {way: fields["addr"], "len": fields["len"]}
    if "data" in fields:
        body["data_bytes"] = bytes.fromhex(fields["data"]).hex(" ")
    return "mmio", body


_FIELDS: Final[Mapping[str, Callable[[Mapping[str, Any]], tuple[str, dict[str, Any]]]]] = {
    "DEBUG": _debug,
    "MMIO": _mmio,
    "SYSTEM_EVENT": lambda fields: ("system_event", dict(fields)),
    "ARM_NISV": lambda fields: (
        "arm_nisv",
        {"esr_iss": fields["iss"], "fault_ipa": fields["ipa"]},
    ),
    "HYPERCALL": lambda fields: ("hypercall", dict(fields)),
}


def _final(case: Case, trace: Trace) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    if trace.final_regs:
        found["regs"] = [f"{name}: {value:#x}" for name, value in trace.final_regs.items()]
    if trace.reg_list is not None:
        found["reg_list"] = [f"count: {len(trace.reg_list)}"]
    if trace.memory:
        found["memory"] = [
            f"- {{at: {scalar(addr)}, hex: {quoted_text(data.hex(' '))}}}"
            for addr, data in trace.memory.items()
        ]
    if trace.eventfd:
        found["eventfd"] = [f"{BELL}{n}: {count}" for n, count in enumerate(trace.eventfd)]
    if trace.ring is not None:
        found["ring"] = [f"- {flow(_ring_entry(entry))}" for entry in trace.ring.entries]
    if trace.output:
        found["output"] = [f"{name}: {_output(data)}" for name, data in trace.output.items()]
    return {key: lines for key, lines in found.items() if lines}


def _ring_entry(entry: RingEntry) -> dict[str, Any]:
    value = int.from_bytes(entry.data[: entry.len], "little")
    return {"at": entry.addr, "len": entry.len, "data": value}


def _output(data: bytes) -> str:
    try:
        return quoted_text(data.decode())
    except UnicodeDecodeError:
        raise Unwritable("a device sent out what is no text") from None
