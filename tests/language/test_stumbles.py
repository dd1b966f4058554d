"""What newcomers stumble over: each has an answer that says what to write."""

from __future__ import annotations

from pathlib import Path

import pytest
from vcpu_scenario import InvalidScenario, loads, run
from vcpu_scenario.errors import UsageError
from vcpu_scenario.kernels.meant import kernels_meant
from vcpu_scenario.kernels.release import parse_range, parse_release
from vcpu_scenario.running.targets import BadTarget, target
from vcpu_scenario.verdict.result import guest_of

from tests.assembly.test_elf import Elf, Segment

BRK = "guest: {words: [0xd4200000]}\ndebug: {software_breakpoints: true}\n"
EXPECT = "expect: [{exits: [debug: {}]}]\n"


def complaints(text: str) -> str:
    with pytest.raises(InvalidScenario) as invalid:
        loads(text)
    return str(invalid.value)


@pytest.mark.parametrize("value", [">=5.11", ">=6.1 <6.14", "@5", "`a`", "%x"])
@pytest.mark.parametrize("place", ["kernels: ", "expect:\n  - kernels: ", "tags:\n  - "])
def test_a_value_that_needs_quotes_is_shown_with_them(place: str, value: str) -> None:
    assert f'help: quote it: "{value}"' in complaints(f"title: t\n{place}{value}\n{BRK}")


def test_a_folded_text_is_nothing_to_quote() -> None:
    assert loads(f"title: >\n  folded\n{BRK}{EXPECT}").title.strip() == "folded"


@pytest.mark.parametrize("name", ["v6.12", "v6.12.107", "v5.0-v2trap"])
def test_a_release_may_be_named_as_its_tag(name: str) -> None:
    assert parse_release(name) == parse_release(name.removeprefix("v"))


def test_a_range_may_be_of_tags() -> None:
    assert parse_range(">=v5.11") == parse_range(">=5.11")
    assert parse_range("v5.0..v5.10") == parse_range("5.0..5.10")


def test_the_case_of_a_tag_is_that_of_the_release() -> None:
    (result,) = run(loads(f"title: t\n{BRK}{EXPECT}"), kernels="v6.12")
    assert result.case.id.endswith("@6.12/plain")


@pytest.mark.parametrize("key", ["vmm: qemu", "tags: mmio", "origin: a commit"])
def test_one_of_a_list_needs_no_list(key: str) -> None:
    name, _, value = key.partition(": ")
    one, several = (
        loads(f"title: t\n{key}\n{BRK}{EXPECT}"),
        loads(f"title: t\n{name}: [{value}]\n{BRK}{EXPECT}"),
    )
    assert (one.vmms, one.tags, one.origin) == (several.vmms, several.tags, several.origin)


def test_a_clause_may_be_for_one_vmm() -> None:
    clauses = "{vmm: qemu, exits: [debug: {}]}, {kernels: '5.10', exits: [debug: {}]}"
    scenario = loads(f"title: t\nvmm: [plain, qemu]\n{BRK}expect: [{clauses}]\n")
    assert {case.vmm for case in scenario.cases(["6.12"]) if case.expectation} == {"qemu"}


@pytest.mark.parametrize(
    "key", ["features: psci_0_2", "capabilities: arm_nisv_to_user", "observe: x7"]
)
def test_one_of_what_the_vcpu_has_needs_no_list(key: str) -> None:
    name, _, value = key.partition(": ")
    (one,) = loads(f"title: t\n{key}\n{BRK}{EXPECT}").cases(["6.12"])
    (several,) = loads(f"title: t\n{name}: [{value}]\n{BRK}{EXPECT}").cases(["6.12"])
    assert one.case == several.case


@pytest.mark.parametrize(
    ("key", "meant"),
    [
        ("vmm: qemo", "qemu"),
        ("vmm: [plain, qemo]", "qemu"),
        ("features: psci", "psci_0_2"),
        ("capabilities: nisv_to_user", "arm_nisv_to_user"),
        ("observe: xx1", "x1"),
    ],
)
def test_a_word_that_is_near_is_told(key: str, meant: str) -> None:
    assert f"did you mean `{meant}`?" in complaints(f"title: t\n{key}\n{BRK}{EXPECT}")


@pytest.mark.parametrize(
    ("key", "help_"),
    [
        ("memory: {at: 0, size: 1MiB}", "begin each item with `- `"),
        ("before: {irq: 5}", "begin each item with `- `"),
        ("expect: {exits: [debug: {}]}", "begin each item with `- `"),
        ("expect: [{exits: {debug: {}}}]", "begin each item with `- `"),
        ("expect: [{stops: 0x40000000}]", "a list of one is written [0x40000000]"),
        ("matrix: {x: 5}", "a list of one is written [5]"),
    ],
)
def test_where_order_counts_a_list_is_asked_for_also_of_one(key: str, help_: str) -> None:
    assert help_ in complaints(f"title: t\n{key}\n{BRK}")


@pytest.mark.parametrize("key", ["data: 5", "memory: ram"])
def test_what_no_item_can_be_is_not_shown_as_one(key: str) -> None:
    assert "help" not in complaints(f"title: t\n{key}\n{BRK}{EXPECT}")


UART = "devices: {uart: {handled_by: userspace, at: 0x0900_0000, model: MODEL}}\n"


@pytest.mark.parametrize("text", ["", "K"])
def test_what_a_device_sends_that_never_sends_is_no_expectation(text: str) -> None:
    clause = f"expect: [{{final: {{output: {{uart: '{text}'}}}}}}]\n"
    told = complaints(f"title: t\n{BRK}{UART.replace('MODEL', 'registers')}{clause}")
    assert "`uart` never sends anything" in told


@pytest.mark.slow
def test_that_a_device_sends_nothing_is_an_expectation_where_it_can() -> None:
    code = "guest: {words: [0xd2a12000, 0x52800961, 0x39000001, 0xd4200000]}\n"
    text = (
        f"title: t\n{code}debug: {{software_breakpoints: true}}\n{UART.replace('MODEL', 'pl011')}"
    )
    clause = "limits: {exits: %d}\nexpect: [{final: {output: {uart: ''}}}]\n"
    quiet = text.replace(code, code.replace("0x39000001", "0xd503201f"))
    assert [r.verdict for r in run(loads(text + clause % 2), kernels="6.12")] == ["fail"]
    assert [r.verdict for r in run(loads(quiet + clause % 1), kernels="6.12")] == ["pass"]


@pytest.mark.parametrize("key", ["vmm: qemo", "tags: Not A Tag"])
def test_one_that_is_none_is_told(key: str) -> None:
    assert f"wrong value for `{key.partition(':')[0]}`" in complaints(
        f"title: t\n{key}\n{BRK}{EXPECT}"
    )


def test_a_branch_is_shown_with_the_label_it_goes_to() -> None:
    words = "guest: {at: 0x40000000, words: [0xd503201f, 0x54ffffe1, 0x14000400], symbols: {"
    text = f"title: t\n{words}again: 0x40000000}}}}\n{EXPECT.replace('debug: {}', 'any: {pc: 0}')}"
    (case,) = loads(text).cases(["6.12"])
    guest = guest_of(case)
    assert guest.place(0x40000004).instruction == "b.ne again"
    assert guest.place(0x40000008).instruction == "b #0x40001008"


MEANT = [
    ("6.12-rc1", "6.12"),
    ("v6.12-rc1", "6.12"),
    ("6.12.5-foo", "6.12.5"),
    ("6.12.0-1-amd64", "6.12.0"),
    ("6.12.57+deb13-amd64", "6.12.57"),
    ("5.0-v2trp", "5.0-v2trap"),
    ("linux-6.12", "6.12"),
    ("Linux 6.12", "6.12"),
    ("V6.12", "6.12"),
    ("5.10.x", "5.10"),
    ("=6.12", "6.12"),
    ("==6.12", "6.12"),
    ("~6.1", "6.1"),
    ("5.10+", ">=5.10"),
    ("5.0..", ">=5.0"),
    ("..5.10", "<=5.10"),
    ("6.1-6.12", "6.1..6.12"),
    ("v6.1-v6.12", "6.1..6.12"),
    ("6.1 - 6.12", "6.1..6.12"),
    ("6.1 to 6.12", "6.1..6.12"),
    ("6.1–6.12", "6.1..6.12"),
    ("5.0...5.10", "5.0..5.10"),
    ("5.0..=5.10", "5.0..5.10"),
    ("6.12-rc1..6.14-rc2", "6.12..6.14"),
    ("=>5.11", ">=5.11"),
    ("≥5.11", ">=5.11"),
    (">=5.11, <6.1", ">=5.11 <6.1"),
    (">=5.11 and <6.1", ">=5.11 <6.1"),
]


@pytest.mark.parametrize(("written", "meant"), MEANT)
def test_what_others_write_for_kernels_is_told_as_it_is_written_here(
    written: str, meant: str
) -> None:
    assert kernels_meant(written) == f"did you mean `{meant}`?"
    assert parse_range(meant).rows()
    assert f"did you mean `{meant}`?" in complaints(
        f"title: t\n{BRK}expect: [{{kernels: '{written}', exits: [debug: {{}}]}}]\n"
    )
    with pytest.raises(UsageError, match=r"--kernel: .*did you mean") as raised:
        run(loads(f"title: t\n{BRK}{EXPECT}"), kernels=written)
    assert f"did you mean `{meant}`?" in str(raised.value)


@pytest.mark.parametrize(
    ("written", "told"),
    [
        ("5.10, 6.1", "several ranges are given one by one: `5.10`, `6.1`"),
        ("!=5.10", "to leave a release out"),
        ("5.10-5.0", ""),
        ("nonsense", ""),
        ("1-" * 5000, ""),
    ],
)
def test_no_range_is_made_up(written: str, told: str) -> None:
    assert kernels_meant(written).startswith(told)
    assert "did you mean" not in kernels_meant(written)


@pytest.mark.parametrize("name", ["lab:6.12-rc1", "lab:v6.12-rc1", "emulated:6.12-rc1"])
def test_a_machine_is_told_as_its_release_is(name: str) -> None:
    with pytest.raises(BadTarget, match=r"did you mean `6\.12`"):
        target(name)


@pytest.mark.parametrize(
    "guest",
    [
        "guest: {elf: missing.elf}",
        "guest: {binary: missing.bin}",
        "guest: {at: 0x40000001, words: [0xd4200000]}",
        "guest: {at: 0x40000001, words: [0xd4200000], symbols: {there: 0x80000000}}",
        "guest: {words: [0xd4200000], binary: b}",
        "guest: {code: 'nonsense'}",
    ],
)
@pytest.mark.parametrize("memory", ["", "memory: [{at: 0x80000000, size: 1MiB}]\n"])
def test_one_fault_of_the_guest_is_one_error(guest: str, memory: str) -> None:
    told = complaints(
        f"title: t\n{guest}\n{memory}"
        "devices: {uart: {handled_by: userspace, at: 0x40010000}}\n"
        "data: [{at: 0x80000000, hex: '00'}]\n"
        "expect: [{exits: [mmio: {read: label}], final: {memory: [{at: 0x80000000, hex: '00'}]}}]\n"
    )
    assert told.count(": error: ") == 1, told


def test_slots_that_are_added_count_with_the_others() -> None:
    told = complaints(
        f"title: t\n{BRK}before: [{{add_memory: {{at: 0x100000000, size: 1GiB}}}}]\n{EXPECT}"
    )
    assert "the memory slots are too large together" in told


def test_an_item_that_is_two_actions_is_told() -> None:
    text = f"title: t\n{BRK}before: [{{skip_instruction: true, immediate_exit: true}}]\n{EXPECT}"
    with pytest.raises(InvalidScenario) as caught:
        loads(text)
    assert "one item is one action" in str(caught.value)


def test_an_errno_without_its_action_is_told() -> None:
    with pytest.raises(InvalidScenario) as caught:
        loads(f"title: t\n{BRK}before: [{{errno: EINVAL}}]\n{EXPECT}")
    assert "one item is one action" in str(caught.value)


def test_the_code_of_a_character_is_a_number_also_where_an_address_may_stand() -> None:
    text = "title: t\nguest: {words: [0xd4200000], regs: {x0: \"'A'\", x1: \"'\\\\n'\"}}\n"
    assert dict(loads(text).combinations[0].case.regs) == {
        "pc": 0x4000_0000,
        "x0": ord("A"),
        "x1": ord("\n"),
    }


def test_access_alone_is_that_of_any_watchpoint() -> None:
    code = "guest: {words: [0xb9000420, 0xb9400420, 0xd4200000], regs: {x1: 0x40008000}}\n"
    text = (
        f"title: t\n{code}"
        "debug: {watchpoints: [{at: 0x40008004, len: 4}], software_breakpoints: true}\n"
        "on: [{each: {debug: {access: write}}, then: [{set: {x5: 1}}, {skip_instruction: true}]}]\n"
        "observe: [x5]\n"
        "expect:\n"
        "  - exits:\n"
        "      - debug: {access: write, pc: 0x40000000, regs: {x5: 0}}\n"
        "      - debug: {watchpoint: 0x40000004, access: read, regs: {x5: 1},\n"
        "          then: [skip_instruction: true]}\n"
        "      - debug: {brk: 0x40000008}\n"
    )
    assert [result.verdict for result in run(loads(text), kernels="6.12")] == ["pass"]
    wrong = text.replace("watchpoint: 0x40000004, access: read", "access: write")
    assert [result.verdict for result in run(loads(wrong), kernels="6.12")] == ["fail"]
    assert "`access` only goes with `watchpoint`" in complaints(
        text.replace("{brk: 0x40000008}", "{brk: 0x40000008, access: read}")
    )


@pytest.mark.parametrize("number", [0, 7])
def test_the_number_of_a_brk_in_place_of_its_address_is_told(number: int) -> None:
    word = f"0x{0xD4200000 | number << 5:x}"
    text = (
        f"title: t\nguest: {{words: [{word}], symbols: {{trap: 0x40000000}}}}\n"
        "debug: {software_breakpoints: true}\n"
        f"expect: [{{exits: [debug: {{brk: {number}}}]}}]\n"
    )
    (result,) = run(loads(text), kernels="6.12")
    told = f"`brk` is the address of a BRK, and `imm` its number: brk: trap, imm: {number}"
    assert [told in mismatch.notes for mismatch in result.mismatches] == [True]
    (other,) = run(loads(text.replace(f"brk: {number}", "brk: 0x40000004")), kernels="6.12")
    assert not any("its number" in note for found in other.mismatches for note in found.notes)


def test_an_elf_file_of_which_parts_lie_far_apart_has_a_slot_for_each(tmp_path: Path) -> None:
    far = [Segment(0x400000, b"note"), Segment(0x40000000), Segment(0x40010000, memory=0x180000)]
    (tmp_path / "far.elf").write_bytes(Elf(segments=far).build())
    (tmp_path / "near.elf").write_bytes(Elf().build())
    text = "title: t\nguest: {elf: far.elf}\nexpect: [{exits: [error: {}]}]\n"
    slots = loads(text, tmp_path / "t.vcpu.yaml").combinations[0].case.slots
    assert [(slot.base, slot.size) for slot in slots] == [
        (0x400000, 1 << 20),
        (0x40000000, 0x190000),
    ]
    near = loads(text.replace("far", "near"), tmp_path / "t.vcpu.yaml").combinations[0].case.slots
    assert [(slot.base, slot.size) for slot in near] == [(0x40000000, 1 << 20)]
    high = Elf(segments=[Segment(0xFFFF_0000_0000_0000)], entry=0xFFFF_0000_0000_0000)
    (tmp_path / "near.elf").write_bytes(high.build())
    with pytest.raises(InvalidScenario, match="beyond the guest's physical address space"):
        loads(text.replace("far", "near"), tmp_path / "t.vcpu.yaml")


DEBUG = "debug: {software_breakpoints: true}\n"
CODE = "title: t\nguest: {at: 0x40000000, code: 'brk #1; room: .skip 8; brk #2'}\n" + DEBUG + EXPECT
WORDS = CODE.replace(
    "code: 'brk #1; room: .skip 8; brk #2'", "words: [0xd4200020, 0, 0, 0xd4200040]"
)


@pytest.mark.parametrize("text", [CODE, WORDS])
@pytest.mark.parametrize("at", [0x40000000, 0x40000008])
def test_bytes_over_code_are_an_error_and_in_room_for_them_are_not(text: str, at: int) -> None:
    placed = "data: [{at: %#x, words: [1, 2]}]\n"
    assert "these bytes lie over the guest's code" in complaints(text + placed % at)
    assert loads(text + placed % 0x40000004)
