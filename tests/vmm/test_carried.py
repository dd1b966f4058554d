"""A VMM that the lab carries: what of a case it can be, and a session with it over its gdbstub."""

from __future__ import annotations

import io
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from elftools.elf.elffile import ELFFile
from msgspec.structs import replace
from vcpu_scenario.case import Case, Device, Gic, Ioeventfd, Load, Memslot, SetRegister, WriteMemory
from vcpu_scenario.course import Course, Recorded
from vcpu_scenario.debugger.dialect import STRICT
from vcpu_scenario.debugger.handlers import HANDLERS
from vcpu_scenario.debugger.history import History
from vcpu_scenario.debugger.server import listening, serve
from vcpu_scenario.debugger.stub import Stub
from vcpu_scenario.ioctls.vcpu import GuestDebug, SetIrqLine, Watchpoint
from vcpu_scenario.kvm import abi
from vcpu_scenario.machine.emulated.machine import create
from vcpu_scenario.recordings.sessions import Session as Kept
from vcpu_scenario.recordings.sessions import document
from vcpu_scenario.vmm.carried import virt
from vcpu_scenario.vmm.carried.image import executable
from vcpu_scenario.vmm.carried.session import WireSession
from vcpu_scenario.vmm.carried.wire import Gone, Wire
from vcpu_scenario.vmm.session import Session
from vcpu_scenario.vmm.stepping import course_of, step_through

from tests.debugger import guests
from tests.debugger.wire import differences, of_document
from tests.guests import binary

AT = guests.AT
UART = Device("uart", 0x0900_0000, 0x1000, registers=((0x18, 0x90),))
FITS = replace(guests.CASE, devices=(UART,), regs=(("pc", AT), ("x9", 5)))
OFF = binary("""
    mov x0, #0x09000000
    ldr w1, [x0, #0x18]
    add x2, x2, #1
    mov w0, #8
    movk w0, #0x8400, lsl #16
    hvc #0
""")


def test_a_case_of_virts_memory_and_uart_fits() -> None:
    assert virt.beyond(FITS) == ""
    assert virt.beyond(replace(FITS, gic=Gic(3, 0x0800_0000, 0x080A_0000))) == ""
    assert virt.beyond(replace(FITS, devices=())) == ""
    assert virt.ram(FITS) == 0x10000


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"slots": (Memslot(0, 0x1000),)}, "memory at 0x0: virt's RAM begins at 0x40000000"),
        ({"slots": (Memslot(AT, 1 << 40),)}, "memory beyond"),
        ({"slots": (Memslot(AT, 0x10000, readonly=True),)}, "read-only memory at 0x40000000"),
        ({"loads": (Load(0x5000_0000, b"four"),)}, "no memory at 0x50000000"),
        ({"devices": (replace(UART, registers=((0x18, 1),)),)}, "uart+0x18 is to read 0x1"),
        ({"devices": (replace(UART, input=b"x"),)}, "nobody types"),
        ({"devices": (replace(UART, base=AT),)}, "uart: at 0x40000000 virt has RAM"),
        ({"devices": (replace(UART, base=0x0A00_0000),)}, "virt has virtio-mmio"),
        ({"devices": (replace(UART, base=0x0B00_0000),)}, "nothing of virt's, which reads 0x0"),
        ({"devices": (replace(UART, replies=((0, (0, 1)),)),)}, "one thing after another"),
        ({"gic": Gic(3, 0x0100_0000, 0x0200_0000)}, "a GIC at other addresses"),
        ({"ioeventfds": (Ioeventfd(0x0900_0000, 4),)}, "an ioeventfd"),
        ({"caps": ("arm_system_suspend",)}, "arm_system_suspend: QEMU does not enable it"),
        ({"features": ("sve",)}, "sve: QEMU's -cpu host"),
        ({"psci_0_2": False}, "psci_0_2 off"),
        ({"vcpus": 2}, "several vCPUs"),
        ({"regs": (("vbar_el1", 0),)}, "vbar_el1 is set"),
        ({"before": (SetRegister("sctlr_el1", 0),)}, "sctlr_el1 is set"),
        ({"before": (SetIrqLine(0x0200_0020, 1),)}, "a debugger cannot have QEMU do it"),
        ({"missing": "no assembler"}, "no assembler"),
    ],
)
def test_what_virt_has_not_is_named(change: dict[str, object], why: str) -> None:
    assert why in virt.beyond(replace(FITS, **change))


def test_the_image_has_each_load_where_it_is_to_be() -> None:
    loads = (Load(AT, b"code"), Load(AT + 0x2000, b"more than that"))
    file = ELFFile(io.BytesIO(executable(loads, AT + 4)))
    assert (file["e_machine"], file["e_entry"]) == ("EM_AARCH64", AT + 4)
    found = [Load(each["p_paddr"], each.data()) for each in file.iter_segments()]
    assert tuple(found) == loads


@contextmanager
def speaking(case: Case, kernel: str, vmm: str, folder: Path) -> Iterator[Wire]:
    """A wire to a stub that answers as that VMM's own."""
    path, over = str(folder / "gdb"), threading.Event()
    with listening(path=path) as listener:
        history = History(lambda: Session(create(kernel), case, vmm))
        stub = Stub(history, STRICT[vmm], HANDLERS)
        thread = threading.Thread(target=serve, args=(stub, listener, lambda: not over.is_set()))
        thread.start()
        wire = Wire(path, 10)
        try:
            yield wire
        finally:
            wire.close()
            over.set()
            thread.join(20)
            history.close()
            assert not thread.is_alive()


def spoken(case: Case, kernel: str, vmm: str, folder: Path) -> Recorded:
    with speaking(case, kernel, vmm, folder) as wire:
        session = WireSession(case, wire, str(folder))
        course = course_of(session)
        session.end()
        kept = tuple(wire.kept)
    return Recorded(vmm, "", kept, tuple(session.stops), session.output, course)


def told(course: Course) -> object:
    stops = [(each.why, each.pc, each.regs) for each in course.landings]
    return stops, course.end, course.unset


HARDWARE = GuestDebug(
    abi.KVM_GUESTDBG_ENABLE | abi.KVM_GUESTDBG_USE_HW,
    (guests.NEXT, guests.STORE),
    (Watchpoint(guests.CELL, 8, "w"),),
)


@pytest.mark.parametrize("vmm", ["qemu", "qemu-7.2"])
@pytest.mark.parametrize("kernel", ["5.10", "6.12"])
@pytest.mark.parametrize(
    "case",
    [
        replace(FITS, loads=(Load(AT, OFF),)),
        replace(FITS, before=(SetRegister("x2", 7), WriteMemory(guests.CELL, bytes(8)))),
        pytest.param(replace(FITS, debug=HARDWARE), marks=pytest.mark.slow),
    ],
    ids=["steps to the end", "what is set first", "points"],
)
def test_what_is_told_over_the_wire_is_what_was_told(
    case: Case, kernel: str, vmm: str, tmp_path: Path
) -> None:
    if case.debug is not None and kernel == "5.10":
        pytest.skip("the watchpoint never comes back, which is a matter of time")
    machine = create(kernel)
    acted = step_through(machine, case, vmm)
    machine.close()
    recorded = spoken(case, kernel, vmm, tmp_path)
    assert told(recorded.course) == told(acted)
    assert len(recorded.stops) >= len(acted.landings)


def test_a_session_that_is_kept_can_be_played_again(tmp_path: Path) -> None:
    case = replace(FITS, loads=(Load(AT, OFF),))
    recorded = spoken(case, "5.10", "qemu-7.2", tmp_path)
    made = document([Kept("guest", case, recorded)], "5.10", "5.10.0", "cortex-a57")
    (session,) = of_document(made)
    found = list(differences(session, lambda: Session(create("5.10"), case, "qemu-7.2")))
    assert len(found) > 5 * 34
    assert [each for each in found if each is not None] == []


def test_where_nobody_listens_that_is_told(tmp_path: Path) -> None:
    with pytest.raises(Gone, match="no gdbstub"):
        Wire(str(tmp_path / "none"), 0)
