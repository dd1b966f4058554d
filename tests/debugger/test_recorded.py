"""Our stub before our QEMU answers every packet as real QEMU did under real KVM.

Replies, and pc, PSTATE and all registers of each stop count, but for what is told here by name.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import pytest
from vcpu_scenario.machine.emulated.machine import create
from vcpu_scenario.vmm.session import Session

from tests.debugger.wire import Difference, Recorded, differences, recorded

OF_THE_HOST: Final = {
    ("g", "x5", 0x7A0008): "GICD_TYPER: how many interrupts QEMU asks for",
    ("narrow-g", "x5", 0x7A0008): "GICD_TYPER: how many interrupts QEMU asks for",
    ("narrow-x", "x7", 0x11): "GICR_TYPER.PLPIS: QEMU has an ITS",
    ("dev", "x1", 0x11): "GICR_TYPER.PLPIS: QEMU has an ITS",
}
"""(guest, register, recorded value)."""

NOT_ANSWERED: Final = {
    "qRcmd,": "QEMU's monitor has QEMU's own commands",
    "qXfer:features:read:aarch64-fpu.xml": "our description is shorter: it comes in fewer parts",
    "pa1": "10.0's CNTV_CVAL_EL0, which has the counter",
    "p9c": "7.2's CNTV_CVAL_EL0",
    "m0,10": "the device tree, which is there for Linux",
    "m10000000,4": "nothing behind a PCI bridge",
    "m9000019,1": "QEMU asks its PL011 for the word that the byte is in",
    "m9020000,8": "fw_cfg is scripted here, byte by byte",
    "pffffffff": "QEMU takes it for -1, and shows what is before its registers",
}
"""Packets by how they begin."""

ENDS: Final = {
    ("g", "wild-el0-a32"): "not modelled: AArch32",
    ("wfi", "steps"): "not modelled: an armed timer",
    ("wfi", "bp1"): "not modelled: an armed timer",
    ("wfi", "bp2"): "not modelled: an armed timer",
    ("wfi", "run"): "not modelled: an armed timer",
    ("narrow-g", "ctrlc"): "it depends on when the ^C comes",
    ("narrow-g", "cont"): "it depends on when the ^C comes",
    ("pair", "vcont-both"): "which of two vCPUs that stop at once is told of",
    ("pair", "both-step-then-go"): "which of two vCPUs that stop at once is told of",
    ("pair", "writes-while-bp-other"): "which of two vCPUs that stop at once is told of",
}
"""Sessions that are compared up to where it ends, for this reason."""

_STALE: Final = (
    "FAR is that of the last stage-2 abort, and QEMU's RAM is mapped in pages that are larger"
)
LEFT_OUT: Final = {
    **{("watch", name, "5.10"): _STALE for name in ("reads-r", "writes-w", "reads-a", "stay")},
    **{("poll", "ctrlc", kernel): "it depends on when the ^C comes" for kernel in ("6.16", "6.17")},
}
"""(guest, session, kernel)."""

LEAST: Final = 9_000
"""What is compared in each recording."""


def kinds() -> list[tuple[str, str, str]]:
    return list({(each.vmm, each.version, each.kernel): None for each in recorded()})


def told(session: Recorded, found: Difference) -> str:
    """Why the difference is none, as it is told above; empty where it is one."""
    host = {name: why for name, why in OF_THE_HOST.items() if name[2] == found.recorded}
    by_value = host.get((session.guest, found.what, found.recorded), "") if host else ""
    by_packet = next(
        (why for begin, why in NOT_ANSWERED.items() if found.what.startswith(begin)), ""
    )
    return by_value or by_packet


def played(session: Recorded) -> Iterator[Difference | None]:
    def make() -> Session:
        return Session(create(f"{session.kernel}+{session.cpu}"), session.case, session.vmm)

    return differences(session, make)


def compared(session: Recorded) -> Iterator[Difference | None]:
    """What counts: None for each thing that is the same."""
    for found in played(session):
        if found is not None and told(session, found):
            continue
        if found is not None and (session.guest, session.name) in ENDS:
            return
        yield found


def is_left_out(session: Recorded) -> bool:
    return (session.guest, session.name, session.kernel) in LEFT_OUT


@pytest.mark.slow
@pytest.mark.parametrize(("vmm", "version", "kernel"), kinds())
def test_every_packet_is_answered_as_it_was(vmm: str, version: str, kernel: str) -> None:
    parted, same = [], 0
    for session in recorded():
        if (session.vmm, session.version, session.kernel) != (vmm, version, kernel):
            continue
        if not is_left_out(session):
            found = list(compared(session))
            same += found.count(None)
            parted += [(session.guest, session.name, each) for each in found if each is not None]
    assert not parted, (len(parted), same, parted[:3])
    assert same >= LEAST, same


def test_every_exception_is_one_of_some_session() -> None:
    sessions = {(each.guest, each.name) for each in recorded()}
    assert {name[:2] for name in LEFT_OUT} | set(ENDS) <= sessions
    assert {guest for guest, _, _ in OF_THE_HOST} <= {guest for guest, _ in sessions}
    packets = {sent for each in recorded() for sent, _ in each.packets}
    assert all(any(sent.startswith(begin) for sent in packets) for begin in NOT_ANSWERED)


def test_three_builds_were_recorded_under_six_kernels() -> None:
    assert len({kernel for _, _, kernel in kinds()}) == 6
    assert {vmm for vmm, _, _ in kinds()} == {"qemu", "qemu-7.2", "qemu-2017"}
