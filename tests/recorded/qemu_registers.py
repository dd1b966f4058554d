"""``python -m tests.recorded.qemu_registers``: QEMU's system registers, of what it told.

Writes ``vmm/vmms/qemu_registers.json``: for each build the names in its order, what is a constant
of QEMU, and what the others hold where KVM has none of that id.
"""

from __future__ import annotations

import re
from collections import defaultdict
from typing import Any, Final

from vcpu_scenario.host.printable import json_text
from vcpu_scenario.machine.emulated.machine import create
from vcpu_scenario.vmm.session import Session
from vcpu_scenario.vmm.vmms.qemu_registers import FOLDER, kvm_id

from tests.debugger.wire import Recorded, recorded

FIRST: Final = 68
CONSTANT: Final = frozenset(
    (
        *("ACTLR_EL1", "AFSR0_EL1", "AFSR1_EL1", "AIDR", "CLIDR", "CTR_EL0", "DBGVCR32_EL2"),
        *("ID_AA64AFR0_EL1", "ID_AA64AFR1_EL1", "ID_AFR0", "MDCCINT_EL1", "REVIDR_EL1"),
    )
)
"""``ARM_CP_CONST`` in ``helper.c`` and ``debug_helper.c``, of those that KVM has."""


def sessions() -> list[Recorded]:
    return [each for each in recorded() if each.name == "system"]


def description(session: Recorded) -> str:
    """All of ``system-registers.xml``."""
    of_it = (told for sent, told in session.packets if "system-registers" in sent)
    return "".join(told[1:] for told in of_it if told[0] in "ml")


def names(session: Recorded) -> list[str]:
    return re.findall(r'<reg name="(\w+)"', description(session))


def values(session: Recorded) -> dict[str, int]:
    """What ``p`` of each gave."""
    told = dict(reversed(session.packets))
    answers = ((name, told[f"p{n:x}"]) for n, name in enumerate(names(session), FIRST))
    return {name: int.from_bytes(bytes.fromhex(text), "little") for name, text in answers}


def table() -> dict[str, Any]:
    found: defaultdict[str, dict[str, Any]] = defaultdict(
        lambda: {"names": [], "constant": {}, "without_kvm": {}}
    )
    for session in sessions():
        machine = create(f"{session.kernel}+{session.cpu}")
        with_kvm = Session(machine, session.case, session.vmm)
        listed = set(machine.reg_list())
        with_kvm.close()
        build = found[session.vmm]
        build["names"] = names(session)
        for name, value in values(session).items():
            of_kvm = kvm_id(name)
            if of_kvm is None or name in CONSTANT:
                kind = "constant"
            elif of_kvm not in listed:
                kind = "without_kvm"
            else:
                continue
            if build[kind].setdefault(name, value) != value:
                raise ValueError(f"{name} is no constant")
    return dict(found)


if __name__ == "__main__":
    (FOLDER / "qemu_registers.json").write_text(json_text(table()), encoding="utf-8")
