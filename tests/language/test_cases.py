"""What a scenario compiles to."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest
from vcpu_scenario.case import (
    AddMemslot,
    Case,
    CoalescedZone,
    Device,
    ExitPattern,
    FieldPattern,
    Gic,
    HostInterrupt,
    ImmediateExit,
    Ioeventfd,
    Limits,
    Load,
    Memslot,
    Reaction,
    SetMmioData,
    SetRegister,
    SetRunField,
    SkipInstruction,
    WriteMemory,
)
from vcpu_scenario.ioctls.vcpu import (
    GuestDebug,
    SetGuestDebug,
    SetIrqLine,
    SetMpState,
    SetVcpuEvents,
    Watchpoint,
)
from vcpu_scenario.kvm import abi
from vcpu_scenario.language import ScenarioCase, load
from vcpu_scenario.source import InvalidScenario
from vcpu_scenario.vmm.devices import MODELS

from tests.language.build import EVERYTHING, case, messages, scenario, small

U64 = (1 << 64) - 1


def everything() -> ScenarioCase:
    """The case with width 4 and value 0x2b on 6.12, to which the first clause belongs."""
    found = {case.id: case for case in scenario(EVERYTHING).cases(["6.12"], ["plain"])}
    return found["made[width=4,value=0x2b]@6.12/plain"]


def test_everything_the_language_says_is_in_the_case() -> None:
    quads = (0x40000000).to_bytes(8, "little") + b"\xff" * 8
    debug = abi.KVM_GUESTDBG_ENABLE | abi.KVM_GUESTDBG_SINGLESTEP | abi.KVM_GUESTDBG_USE_SW_BP
    assert everything().case == Case(
        slots=(
            Memslot(0x40000000, 1 << 20),
            Memslot(0x50000000, 64 << 10, readonly=True),
            Memslot(0x60000000, 0x2000),
        ),
        loads=(
            Load(0x40000000, bytes.fromhex("1f2003d5 1f2003d5 000020d4")),
            Load(0x50000000, b"rom"),
            Load(0x60000000, quads),
            Load(0x60001000, bytes.fromhex("01000000 08000040")),
        ),
        regs=(
            ("x0", 0x2B),
            ("sp_el1", 0x40080000),
            ("vbar_el1", 0x40000010),
            ("s3_0_c15_c0_0", U64),
            ("pc", 0x40000000),
        ),
        caps=("arm_nisv_to_user",),
        gic=Gic(3, 0x08000000, redist=0x080A0000),
        ioeventfds=(Ioeventfd(0x09000800, 4, 1), Ioeventfd(0x0A000000, 0)),
        coalesced=(CoalescedZone(0x0B000000, 16),),
        devices=(
            Device("uart", 0x09000000, 0x1000, "pl011", input=b"hello"),
            Device("timer", 0x09010000, 0x100, "registers", registers=((0x18, 0x90),)),
            Device("rng", 0x09020000, 0x1000, "scripted", replies=((0, (1, 2)), (8, (3,)))),
            Device("fixed", 0x09030000, 0x1000, "replies-by-address", registers=((4, 7),)),
        ),
        default_reply=0x1122334455667788,
        debug=GuestDebug(
            debug | abi.KVM_GUESTDBG_USE_HW,
            (0x40000004, 0x4000000C),
            (Watchpoint(0x60000000, 8, "w"), Watchpoint(0x60001000, 4096, "rw")),
        ),
        before=(SetIrqLine(0x1000021, 1), SetIrqLine(1, 1), SetIrqLine(0x200001B, 0)),
        on=(
            (
                1,
                (
                    SetGuestDebug(GuestDebug(0)),
                    SetRegister("x1", 7),
                    SetRegister("pc", 0x40000004),
                    WriteMemory(0x40000000, bytes.fromhex("1f2003d5")),
                    ImmediateExit(),
                    SetMmioData(5),
                    SetRunField("exit_reason", 0),
                    SetRunField("mmio.is_write", 1),
                    SetRunField("mmio.len", 2),
                    SkipInstruction(),
                    SetVcpuEvents(ext_dabt=True, serror=True, serror_esr=0x123),
                    SetMpState(abi.KVM_MP_STATE_RUNNABLE),
                    AddMemslot(Memslot(0x70000000, 4096, readonly=True)),
                    HostInterrupt(),
                ),
            ),
            (5, (SetMmioData(0x90), SetRegister("x3", 1))),
            (8, (ImmediateExit(),)),
            (9, (ImmediateExit(),)),
        ),
        reactions=(
            Reaction(
                ExitPattern(
                    (
                        FieldPattern("exit", text="DEBUG"),
                        FieldPattern("hsr", 0x32 << 26, 0x3F << 26 | 1 << 24),
                        FieldPattern("pc", 0x40000004),
                    ),
                    (("x1", 0),),
                ),
                (SkipInstruction(),),
            ),
            Reaction(
                ExitPattern(
                    (FieldPattern("exit", text="INTR"), FieldPattern("pc", 0x40000008)),
                    failing=True,
                ),
                (SetRegister("x8", 1),),
                0,
            ),
            Reaction(
                ExitPattern(
                    (
                        FieldPattern("exit", text="MMIO"),
                        FieldPattern("is_write", 1),
                        FieldPattern("addr", 0x09000000),
                        FieldPattern("len", 2),
                        FieldPattern("data", data=b"\x07\x00"),
                    )
                ),
                (SetIrqLine(0x1000021, 0),),
                2,
            ),
        ),
        observe=("x1", "esr_el1", "x2", "x30", "x5"),
        peek=((0x60000000, 8),),
        final_regs=("x6", "pc"),
        skip_brk="never",
        psci_0_2=False,
        limits=Limits(30, 1000, 0.5, 3, stop_on_intr=False),
    )


def test_a_case_knows_its_scenario_its_symbols_and_its_lines() -> None:
    found = everything()
    assert (found.kernel, found.vmm) == ("6.12", "plain")
    assert found.params == {"width": 4, "value": 0x2B}
    assert found.symbols == {"start": 0x40000000, "poll": 0x40000004, "done": 0x40000008}
    lines = {addr: (span.line, span.column) for addr, span in found.lines.items()}
    line = EVERYTHING.split("\n").index("  words: [0xd503201f, 0xd503201f, 0xd4200000]") + 1
    assert lines == {0x40000000: (line, 11), 0x40000004: (line, 23), 0x40000008: (line, 35)}
    assert found.scenario.title == "everything that the language can say"
    assert found.scenario.about == "Two lines\nof prose.\n"
    assert found.scenario.tags == ("single-step", "mmio")
    assert found.scenario.origin == ("Message-ID 87k20bxm13.fsf@linaro.org",)


def test_what_is_left_out_has_the_documented_defaults() -> None:
    found = case("")
    assert found.case == Case(
        slots=(Memslot(0x40000000, 1 << 20),),
        loads=(Load(0x40000000, bytes.fromhex("1f2003d5 000020d4")),),
        regs=(("pc", 0x40000000),),
    )
    assert found.expectation is None
    assert found.id == "made@6.12/plain"


def test_the_default_slot_holds_the_code_wherever_it_is() -> None:
    found = scenario("title: x\nguest: {at: 0x80001234, words: [0]}\n").cases(["6.12"])
    assert found[0].case.slots == (Memslot(0x80001000, 1 << 20),)


@pytest.mark.parametrize(
    ("text", "control"),
    [
        ("debug: {}", abi.KVM_GUESTDBG_ENABLE),
        ("debug: {enable: false}", 0),
        ("debug: {watchpoints: []}", abi.KVM_GUESTDBG_ENABLE | abi.KVM_GUESTDBG_USE_HW),
        (
            "debug: {enable: false, hardware_breakpoints: []}",
            abi.KVM_GUESTDBG_USE_HW,
        ),
        ("debug: {single_step: true}", abi.KVM_GUESTDBG_ENABLE | abi.KVM_GUESTDBG_SINGLESTEP),
    ],
)
def test_debug_flags_follow_from_what_is_there(text: str, control: int) -> None:
    debug = case(text).case.debug
    assert debug is not None
    assert debug.control == control


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0x10", 16),
        ('"0x10"', 16),
        ("0x0900_0000", 0x09000000),
        ("1_000", 1000),
        ("4KiB", 4096),
        ("1MiB", 1 << 20),
        ("0x2GiB", 2 << 30),
        ("007", 7),
        ("0o17", 15),
        ("-1", U64),
        ("-0x10", U64 - 15),
        ("0xffff_ffff_ffff_ffff", U64),
        ("start", 0x40000000),
        ("done+4", 0x40000008),
        ("done + 0x1_0", 0x40000014),
        ("done-4", 0x40000000),
        ("uart", 0x09000000),
        ("uart+1KiB", 0x09000400),
    ],
)
def test_numbers_and_addresses(text: str, value: int) -> None:
    uart = "devices: {uart: {handled_by: userspace, at: 0x09000000}}\n"
    found = case(f"{uart}before: [{{set: {{x0: {text}}}}}]\n")
    assert found.case.before == (SetRegister("x0", value),)


def test_a_name_less_than_its_offset_wraps_as_the_registers_do() -> None:
    assert messages("before: [{set: {x0: start-0x4000_0001}}]\n") == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [("continue", "without-actions"), ("skip", "always"), ("stay", "never")],
)
def test_what_happens_after_a_brk(text: str, expected: str) -> None:
    assert case(f"after_brk: {text}\n").case.skip_brk == expected


def test_actions_of_on_come_before_those_of_then_at_the_same_exit() -> None:
    found = case(
        "on: [{exit: 1, then: [{set: {x1: 1}}]}]\n"
        "expect:\n"
        "- exits:\n"
        "  - any: {}\n"
        "  - mmio: {read: 0x09000000, reply: 2, then: [{set: {x1: 3}}]}\n"
        "  - any: {}\n"
    )
    assert found.case.on == ((1, (SetRegister("x1", 1), SetMmioData(2), SetRegister("x1", 3))),)


def test_clauses_may_add_the_same_memory_each() -> None:
    clause = (
        "- kernels: '{}'\n  exits: [{{any: {{then: [{{add_memory: {{at: 0x90000000, size: 4KiB}}}},"
        " {{write: {{at: 0x90000000, words: [1]}}}}]}}}}, any: {{}}]\n"
        "  final: {{memory: [{{at: 0x90000000, words: [1]}}]}}\n"
    )
    assert messages("expect:\n" + clause.format("<5.0") + clause.format(">=5.0")) == []


def test_every_model_of_a_userspace_device_is_one_that_the_vmm_has() -> None:
    memory = "memory: [{at: 0x40000000, size: 1MiB}, {at: 0x08000000, size: 1MiB, readonly: true}]"
    place = "at: 0x08000000, size: 1MiB"
    for model in MODELS:
        text = f"{memory}\ndevices: {{d: {{handled_by: userspace, {place}, model: {model}}}}}\n"
        assert [device.model for device in case(text).case.devices] == [model]


def test_a_device_may_lie_over_a_read_only_slot_and_a_doorbell_in_a_device() -> None:
    text = """
memory:
  - {at: 0x40000000, size: 1MiB}
  - {at: 0x50000000, size: 1MiB, readonly: true}
devices:
  flash: {handled_by: userspace, at: 0x50000000, size: 1MiB}
  ring: {handled_by: kernel, model: coalesced, at: 0x50000100, size: 16}
  uart: {handled_by: userspace, at: 0x09000000}
  bell: {handled_by: kernel, model: ioeventfd, at: 0x09000800, len: 4}
"""
    assert messages(text) == []


def test_files_are_read_from_the_folder_of_the_scenario(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "code.bin").write_bytes(b"\x00\x00\x20\xd4")
    (tmp_path / "here.bin").symlink_to("data/code.bin")
    path = tmp_path / "made.vcpu.yaml"
    path.write_text(
        "title: x\n"
        "guest: {binary: data/code.bin}\n"
        "data: [{at: 0x40001000, file: here.bin}, {at: 0x40002000, file: data/../here.bin}]\n"
    )
    code = b"\x00\x00\x20\xd4"
    (found,) = load(path).cases(["6.12"])
    assert found.case.loads == (
        Load(0x40000000, code),
        Load(0x40001000, code),
        Load(0x40002000, code),
    )


def elf(entry: int, segments: list[tuple[int, bytes]]) -> bytes:
    """An executable for AArch64 with these segments, by address, and no sections."""
    header = struct.Struct("<4s5B7xHHIQQQIHHHHHH")
    program = struct.Struct("<IIQQQQQQ")
    offset = header.size + program.size * len(segments)
    heads, body = b"", b""
    for addr, data in segments:
        at = offset + len(body)
        heads += program.pack(1, 5, at, addr, addr, len(data), len(data), 1)
        body += data
    sizes = (header.size, program.size, len(segments), 64, 0, 0)
    head = header.pack(b"\x7fELF", 2, 1, 1, 0, 0, 2, 183, 1, entry, header.size, 0, 0, *sizes)
    return head + heads + body


def test_a_position_independent_elf_file_is_loaded_at_the_place_of_the_guest(
    tmp_path: Path,
) -> None:
    path = tmp_path / "a.vcpu.yaml"
    data = bytearray(elf(4, [(0, bytes.fromhex("1f2003d5000000d4"))]))
    data[16:18] = (3).to_bytes(2, "little")
    (tmp_path / "guest.elf").write_bytes(data)
    for text, base in (("", 0x40000000), ("at: 0x40200000, ", 0x40200000)):
        path.write_text(f"title: x\nguest: {{{text}elf: guest.elf}}\n")
        (found,) = load(path).cases(["6.1"])
        assert found.case.loads[0].addr == base
        assert found.case.regs == (("pc", base + 4),)


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        (3, ":2:9: error: a position-independent ELF file is not aligned"),
        (2, "an ELF file brings its own addresses"),
    ],
)
def test_an_elf_file_that_cannot_be_at_the_place_of_the_guest_is_an_error(
    tmp_path: Path, kind: int, said: str
) -> None:
    path = tmp_path / "a.vcpu.yaml"
    data = bytearray(elf(4, [(0, bytes.fromhex("1f2003d5000000d4"))]))
    data[16:18] = kind.to_bytes(2, "little")
    (tmp_path / "guest.elf").write_bytes(data)
    path.write_text("title: x\nguest: {at: 0x40200800, elf: guest.elf}\n")
    with pytest.raises(InvalidScenario, match=said):
        load(path)


def test_an_elf_file_brings_its_addresses_and_its_entry(tmp_path: Path) -> None:
    code = bytes.fromhex("1f2003d5 000020d4")
    (tmp_path / "guest.elf").write_bytes(elf(0x40002004, [(0x40002000, code), (0x40003000, b"x")]))
    path = tmp_path / "made.vcpu.yaml"
    path.write_text("title: x\nguest: {elf: guest.elf}\n")
    (found,) = load(path).cases(["6.12"])
    assert found.case.slots == (Memslot(0x40002000, 1 << 20),)
    assert found.case.loads == (Load(0x40002000, code), Load(0x40003000, b"x"))
    assert found.case.regs == (("pc", 0x40002004),)


def test_the_name_of_a_scenario_is_its_path_below_the_folder_named(tmp_path: Path) -> None:
    folder = tmp_path / "scenarios" / "single-step"
    folder.mkdir(parents=True)
    path = folder / "brk.vcpu.yaml"
    path.write_text("title: x\nguest: {words: [0xd4200000]}\n")
    assert load(path).name == "brk"
    assert load(path, tmp_path / "scenarios").name == "single-step/brk"
    assert load(path, tmp_path / "elsewhere").name == "brk"
    (found,) = load(path, tmp_path / "scenarios").cases(["7.3"])
    assert found.id == "single-step/brk@7.3/plain"


def test_a_scenario_says_which_kernels_it_is_for() -> None:
    kernels = scenario(EVERYTHING).kernels
    assert kernels is not None
    assert kernels.matches("6.12")
    assert not kernels.matches("7.3")
    assert small().kernels is None


def test_loading_leaves_the_scenario_as_it_is_for_everyone() -> None:
    found = small()
    with pytest.raises(AttributeError):
        found.title = "another"  # type: ignore[misc]


NAMED = """
devices:
  uart: {handled_by: userspace, model: pl011, at: 0x09000000}
  gic: {handled_by: kernel, model: vgic-v3, distributor: 0x08000000, redistributor: 0x080a0000}
"""


@pytest.mark.parametrize(
    ("name", "address"),
    [
        ("uart", 0x09000000),
        ("uart+DR", 0x09000000),
        ("uart+FR", 0x09000018),
        ("uart + CR", 0x09000030),
        ("uart+DMACR", 0x09000048),
        ("gic+GICD_CTLR", 0x08000000),
        ("gic+GICD_ISENABLER1", 0x08000104),
        ("gic+GICD_IPRIORITYR8+1", 0x08000421),
        ("gic+GICD_IROUTER33", 0x08006108),
        ("gic+GICR_WAKER", 0x080A0014),
        ("gic+GICR_ISENABLER0", 0x080B0100),
        ("gic+GICR_ICFGR1", 0x080B0C04),
    ],
)
def test_a_register_of_a_known_device_has_a_name(name: str, address: int) -> None:
    found = case(f"{NAMED}expect: [{{exits: [mmio: {{read: {name}}}]}}]\n")
    assert found.expectation is not None
    assert found.expectation.exits is not None
    (addr,) = (one for one in found.expectation.exits[0].checks if one.field == "addr")
    assert addr.value == address


def test_a_gicv2_has_the_names_of_its_cpu_interface() -> None:
    text = """
devices:
  gic: {handled_by: kernel, model: vgic-v2, distributor: 0x08000000, cpu_interface: 0x08010000}
before: [write: {at: start, words: [gic+GICC_DIR, gic+GICD_SGIR]}]
"""
    (wrote,) = case(text + "expect: [{never: [interrupted: {}]}]\n").case.before
    assert isinstance(wrote, WriteMemory)
    assert wrote.data == struct.pack("<2I", 0x08011000, 0x08000F00)


@pytest.mark.parametrize(
    ("written", "code"),
    [("'A'", 0x41), ("'0'", 0x30), (r"'\\n'", 10), (r"'\\\\'", 0x5C), ("' '", 0x20)],
)
def test_a_character_stands_for_its_code(written: str, code: int) -> None:
    text = f'expect: [{{exits: [mmio: {{write: uart, len: 1, data: "{written}"}}]}}]\n'
    found = case(NAMED + text)
    assert found.expectation is not None
    assert found.expectation.exits is not None
    (data,) = (one for one in found.expectation.exits[0].checks if one.field == "data")
    assert data.value == bytes((code,))
