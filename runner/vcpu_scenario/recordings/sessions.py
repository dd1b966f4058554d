"""What real VMMs told a debugger, as data: one document for the sessions of one machine.

``{"guests": {name: {"at": entry, "code": {address: hex}}}, "recordings": [{"vmm", "version",
"kernel", "release", "cpu", "sessions": [{"guest", "session", "packets", "stops", "output"}]}]}``.
The packets are ``[sent, received]``, null where no answer came in time, ``{"text": "l"}`` for a
description of registers, of which only the first letter is kept; ``^C`` is the byte 3 and
``(closed)`` the end of the process. A stop is ``[packets before it, pc, PSTATE, the registers that
are others than at the stop before]``, all zero before the first.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final, NamedTuple

from vcpu_scenario.case import Case
from vcpu_scenario.course import Recorded

SESSION: Final = "stops"
"""The name of a session that is a scenario's stops."""
_DESCRIPTION: Final = "qXfer:features:read:"


class Session(NamedTuple):
    """``name`` is that of the guest, which is the case's."""

    name: str
    case: Case
    recorded: Recorded


def document(sessions: Iterable[Session], kernel: str, release: str, cpu: str) -> dict[str, Any]:
    """All of them, under the kernel of that name, which calls itself ``release``."""
    guests: dict[str, Any] = {}
    recordings: dict[str, Any] = {}
    for name, case, recorded in sessions:
        guests[name] = _guest(case)
        head = {"vmm": recorded.vmm, "version": recorded.version, "kernel": kernel}
        fresh = {**head, "release": release, "cpu": cpu, "sessions": []}
        recordings.setdefault(recorded.vmm, fresh)["sessions"].append(_session(name, recorded))
    return {"guests": guests, "recordings": list(recordings.values())}


def _guest(case: Case) -> dict[str, Any]:
    code = {f"{load.addr:#x}": load.data.hex() for load in case.loads}
    return {"at": dict(case.regs).get("pc", 0), "code": code}


def _session(name: str, recorded: Recorded) -> dict[str, Any]:
    return {
        "guest": name,
        "session": SESSION,
        "packets": [[sent, _received(sent, got)] for sent, got in recorded.packets],
        "stops": [list(stop) for stop in recorded.stops],
        "output": recorded.output,
    }


def _received(sent: str, received: str | None) -> Any:
    if received and sent.startswith(_DESCRIPTION):
        return {"text": received[0]}
    return received
