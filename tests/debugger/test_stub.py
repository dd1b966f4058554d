"""The stub answers by the protocol, whatever the VMM, and offers what is asked of it."""

from __future__ import annotations

import pytest
from vcpu_scenario.debugger.packets import framed
from vcpu_scenario.debugger.stub import Stub
from vcpu_scenario.vmm.vmms import VMMS

from tests.debugger.guests import AGAIN, AT, CELL, LOAD, NEXT, STORE, stub


def say(to: Stub, *packets: str, looks: int = 50) -> list[str]:
    """The answer to each packet; a resume is interrupted after so many looks."""
    found = []
    for packet in packets:
        came = to.receive(framed(packet.encode()))
        if to.resume is not None:
            left = iter(range(looks))
            came += to.run(lambda left=left: b"\x03" if next(left, None) is None else b"")  # type: ignore[misc]
        found.append(came.decode().removeprefix("+")[1:-3])
    return found


def test_registers_memory_and_steps() -> None:
    to = stub()
    assert say(to, f"m{AT:x},4", "P5=2a00000000000000", "p5", "s", "p20") == [
        "0020a1d2",
        "OK",
        "2a00000000000000",
        "T05thread:1;",
        (AT + 4).to_bytes(8, "little").hex(),
    ]
    assert len(say(to, "g")[0]) == 2 * (33 * 8 + 4)


def test_the_step_over_the_load_skips_on_5_10() -> None:
    for kernel, pc in (("5.10", STORE), ("6.12", NEXT)):
        to = stub(kernel=kernel)
        say(to, f"Z0,{LOAD:x},4", "c", f"z0,{LOAD:x},4", "s")
        assert to.target.session.pc == pc


@pytest.mark.parametrize("vmm", ["plain", "qemu"])
def test_a_watchpoint_is_told_with_its_address(vmm: str) -> None:
    to = stub(vmm)
    told = say(to, f"Z2,{CELL:x},8", "c")[1]
    assert told == ("T05thread:1;watch:40000100;" if vmm == "qemu" else "T05thread:1;")


@pytest.mark.parametrize("vmm", VMMS)
def test_an_interrupt_stops_every_guest(vmm: str) -> None:
    to = stub(vmm)
    told = say(to, "c")[0]
    assert told[:3] == ("T05" if vmm == "kvmtool" else "T02")
    assert AGAIN <= to.target.session.pc <= AGAIN + 4


def test_a_c_behind_a_step_comes_before_it() -> None:
    to = stub()
    came = to.receive(framed(b"vCont;s:1") + b"\x03")
    assert came == b"+"
    assert to.run(lambda: b"").startswith(b"$T02")
    assert to.target.session.pc == AT


def test_what_comes_while_the_guest_runs_is_answered_behind_the_stop() -> None:
    to = stub()
    to.receive(framed(b"c"))
    sent = iter([framed(b"p20"), b"\x03"])
    came = to.run(lambda: next(sent, b""))
    assert came.index(b"$T02") < came.index(b"+$")


@pytest.mark.parametrize(
    "half", [b"$m4000\x03", b"$\x03", b"\x03$m", b"$m0,1#\x03", b"$X0,2:\x03\x03"]
)
def test_a_c_within_a_packet_that_stops_there_interrupts_the_guest(half: bytes) -> None:
    made = stub()
    made.receive(framed(b"c"))
    coming = [half]
    assert made.run(lambda: coming.pop() if coming else b"").startswith(b"$T02")
    assert made.resume is None
    assert made.receive(framed(b"qC")).endswith(framed(b"QC1"))


def test_a_c_within_a_packet_of_which_the_rest_comes_is_a_byte_of_it() -> None:
    made = stub()
    made.receive(framed(b"c"))
    whole = framed(b"X%x,1:\x03" % AT)
    coming = [whole[:-4], *[b""] * 5, whole[-4:], *[b""] * 60, b"\x03"]
    seen = iter(coming)
    assert made.run(lambda: next(seen)).startswith(b"$T02")
    assert list(seen) == []


def test_a_client_that_is_gone_stops_the_guest() -> None:
    to = stub()
    to.receive(framed(b"c"))
    assert to.run(lambda: None) == b""
    assert to.closing
    assert to.connected() == b""
    assert say(to, "?") == ["T05thread:1;"]


def test_a_packet_is_sent_again_on_a_nack() -> None:
    to = stub()
    first = to.receive(framed(b"qC"))
    assert to.receive(b"-") == first.removeprefix(b"+")
    assert to.receive(b"$qC#00") == b"-"


@pytest.mark.parametrize("packet", ["qC$", "qCx"])
def test_a_packet_that_goes_on_behind_the_name_of_a_whole_one_is_another(packet: str) -> None:
    assert say(stub(), "qC", packet) == ["QC1", ""]


def test_without_acks_nothing_is_acknowledged() -> None:
    to = stub()
    assert to.receive(framed(b"QStartNoAckMode")) == b"+" + framed(b"OK")
    assert to.receive(framed(b"qC")) == framed(b"QC1")
    assert to.receive(b"$qC#00") == b""


def test_the_description_comes_in_parts() -> None:
    to, text, start = stub(), "", 0
    while not text.startswith("l"):
        text = say(to, f"qXfer:features:read:aarch64-core.xml:{start:x},100")[0]
        start += len(text) - 1
    assert start > 1000
    assert say(to, "qXfer:features:read:none.xml:0,100") == ["E00"]


@pytest.mark.parametrize(
    ("packet", "answer"),
    [
        ("Z0,zz,4", ""),
        ("Z0", "E22"),
        ("Z9,40000000,4", ""),
        ("mffffffffffffffff,ffffffffffffffff", "E22"),
        ("mfffffffffffffffff,4", ""),
        ("m,", ""),
        ("M40000000,8:00", "E22"),
        ("P20=zz", "E22"),
        ("pe6", "E14"),
        ("pffffffff", "E14"),
        ("Hgp2.2", "E22"),
        ("Hgpx", "E22"),
        ("vCont;x", ""),
        ("vCont;s:p9.9", "E22"),
        ("qXfer:features:read:target.xml", "E22"),
        ("qRcmd,zz", "E22"),
        ("D;7", "E22"),
        ("\x80\xff", ""),
    ],
)
def test_a_bad_packet_is_an_error_or_unknown(packet: str, answer: str) -> None:
    assert say(stub(), packet) == [answer]


def test_a_strict_stub_offers_what_the_vmm_s_own_does() -> None:
    for vmm, packet, offered in (
        ("qemu", "QStartNoAckMode", False),
        ("qemu", "qqemu.sstepbits", True),
        ("crosvm", f"Z0,{LOAD:x},4", False),
        ("crosvm", f"Z1,{LOAD:x},4", True),
        ("firecracker", f"Z2,{CELL:x},8", False),
        ("kvmtool", f"Z2,{CELL:x},8", True),
    ):
        assert bool(say(stub(vmm, strict=True), packet)[0]) == offered, (vmm, packet)


@pytest.mark.parametrize(
    ("vmm", "packet", "answer"),
    [
        (
            "crosvm",
            "qSupported:multiprocess+",
            "PacketSize=1000;vContSupported+;multiprocess+;QStartNoAckMode+;hwbreak+;"
            "qXfer:features:read+",
        ),
        ("firecracker", "?", "T05thread:01;"),
        ("firecracker", "s", "T05thread:01;"),
        ("crosvm", "s", "S05"),
        ("cloud-hypervisor", "vCont;s:1;c", "S05"),
        ("cloud-hypervisor", "vCont;c", "S02"),
        ("cloud-hypervisor", "s", ""),  # which ends it
        ("firecracker", "T2", "E01"),
        ("firecracker", "vCont;s:1", "T05thread:01;"),
        ("cloud-hypervisor", "p0", ""),
        ("crosvm", "p0", "0000000000000000"),
        ("cloud-hypervisor", "qC", ""),
        ("firecracker", "!", ""),
        ("firecracker", "qThreadExtraInfo,1", b"Vcpu ID: 0".hex()),
        ("cloud-hypervisor", "qThreadExtraInfo,1", ""),
        ("firecracker", f"m{AT:x},4", "E79"),
        ("firecracker", f"z1,{AT:x},4", "E16"),
        ("crosvm", f"z1,{AT:x},4", "OK"),
        ("crosvm", "vKill;1", ""),
    ],
)
def test_a_strict_stub_answers_as_the_gdbstub_crate(vmm: str, packet: str, answer: str) -> None:
    assert say(stub(vmm, strict=True), packet) == [answer]


@pytest.mark.parametrize(
    ("packet", "answer"),
    [
        ("qSupported:multiprocess+", "PacketSize=4000;qXfer:features:read+;swbreak+;hwbreak+"),
        ("vCont?", ""),
        ("qAttached", ""),
        ("vKill;1", ""),
        ("qC", "QC1"),
        ("qfThreadInfo", "m1"),
        ("qThreadExtraInfo,1", b"vCPU 0".hex()),
        ("T2", "E03"),
        (f"z1,{AT:x},4", "E02"),
        (f"m{AT:x},4", "E0e"),  # it is none of the kernel's half
        ("m", "E16"),
        ("s", "T05thread:1;"),
    ],
)
def test_a_strict_kvmtool_answers_as_its_gdb_c(packet: str, answer: str) -> None:
    assert say(stub("kvmtool", strict=True), packet) == [answer]


def test_kvmtool_goes_on_after_a_kill() -> None:
    to = stub("kvmtool", strict=True)
    assert say(to, "k") == [""]
    assert (to.closing, to.detached, to.ended) == (True, True, False)


@pytest.mark.parametrize(
    ("packet", "answer"),
    [
        ("qSupported", "PacketSize=1000;qXfer:features:read+;vContSupported+;multiprocess+"),
        ("qqemu.Supported", "sstepbits;sstep;PhyMemMode"),
        ("Qqemu.sstepbits", "ENABLE=1"),
        ("qqemu.sstep=0", "OK"),
        ("Qqemu.sstep:1", "OK"),
        ("Qqemu.sstep=", ""),  # no answer at all
        ("qqemu.sstepx", ""),
        ("T0", "OK"),
        ("T2", "E22"),
        ("H", "E22"),
        ("Hs-1", "OK"),
        ("Hs1", "E22"),
        ("m,4", ""),
        ("Z0,,4", ""),
        ("vCont;sx", ""),
        ("vCont;s:", "E22"),
        ("vCont;C", "E22"),
        ("vCont;Czz", "E22"),
        ("vCont;s:1;c:p2.1", "E22"),
        ("vKill", ""),
        ("P20=", "E22"),
        ("qXfer:features:read:target.xml:ffff,10", "E00"),
    ],
)
def test_a_strict_stub_parses_packets_as_qemu(packet: str, answer: str) -> None:
    """``cmd_parse_params``, ``gdb_handle_vcont`` and the handlers of ``gdbstub/gdbstub.c``."""
    assert say(stub("qemu", strict=True), packet) == [answer]


def test_the_gdbstub_crate_shows_fp_with_the_core_registers() -> None:
    (shown,) = say(stub("crosvm", strict=True), "g")
    assert len(shown) == 2 * (33 * 8 + 4 + 32 * 16 + 8)


def test_a_guest_that_switches_itself_off_is_over() -> None:
    to = stub()
    off = "".join(word.to_bytes(4, "little").hex() for word in (0x52800100, 0x72B08000, 0xD4000002))
    assert say(to, f"M{AT:x},c:{off}", "c")[1].endswith("$W00")
    assert to.closing
    assert to.ended


def test_a_first_packet_that_was_sent_again_is_answered_once() -> None:
    answer = stub().receive(framed(b"qSupported:swbreak+") * 3 + framed(b"qC"))
    assert (answer.count(b"PacketSize"), answer.count(b"QC")) == (1, 1)
