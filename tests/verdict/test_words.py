"""Numbers of the uAPI in words."""

from __future__ import annotations

import pytest
from msgspec.structs import replace
from vcpu_scenario.case import Limits
from vcpu_scenario.trace import Ending, Exit, Trace
from vcpu_scenario.verdict.judge import ending
from vcpu_scenario.verdict.words import describe, hsr_words, masked_words, value_words


@pytest.mark.parametrize(
    ("hsr", "words"),
    [
        (0xCB000022, "software step, ISV=1: one instruction was executed"),
        (0xCB000062, "software step, ISV=1, EX=1: a load-exclusive was executed"),
        (0xCA000022, "software step, ISV=0: nothing was executed"),
        (0xC8000000, "software step, IL=0: made up by KVM, not reported by the CPU"),
        (0xC8000022, "software step, IL=0: made up by KVM, not reported by the CPU"),
        (0xC2000022, "hardware breakpoint"),
        (0xD2000022, "watchpoint, read"),
        (0xD2000062, "watchpoint, write"),
        (0xD2000162, "watchpoint, cache maintenance"),
        (0xF2000007, "BRK #0x7"),
        (0xE2000010, "BKPT #0x10"),
        (0x96000010, ""),
    ],
)
def test_a_debug_syndrome_says_what_happened(hsr: int, words: str) -> None:
    assert hsr_words(hsr) == words


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"exit": "DEBUG", "pc": 8, "hsr": 0xCB000022}, "debug exit, step at 0x8"),
        ({"exit": "DEBUG", "pc": 8, "hsr": 0xF2000007}, "debug exit, BRK #0x7 at 0x8"),
        ({"exit": "DEBUG", "hsr": 0xF2000000, "hsr_mask": 0xFC000000}, "debug exit, BRK"),
        ({"exit": "DEBUG", "pc": 8}, "debug exit at 0x8"),
        (
            {"exit": "MMIO", "is_write": 0, "len": 4, "addr": 16, "pc": 8},
            "MMIO read of 4 bytes from 0x10 at 0x8",
        ),
        ({"exit": "MMIO", "is_write": 1, "len": 1}, "MMIO write of 1 byte"),
        ({"exit": "MMIO", "is_write": 1, "addr": 16}, "MMIO write to 0x10"),
        ({"exit": "SYSTEM_EVENT", "type": 1, "pc": 8}, "system event shutdown at 0x8"),
        ({"exit": "ARM_NISV", "ipa": 16, "pc": 8}, "ARM_NISV for 0x10 at 0x8"),
        ({"exit": "HYPERCALL", "pc": 8}, "hypercall at 0x8"),
        ({"exit": "UNKNOWN", "errno": 38, "pc": 8}, "KVM_RUN failing with ENOSYS at 0x8"),
        (
            {"exit": "MMIO", "errno": 4, "pc": 8},
            "KVM_RUN failing with EINTR at 0x8 (exit_reason MMIO)",
        ),
        ({"ret": -1, "pc": 8}, "KVM_RUN failing at 0x8"),
        ({"pc": 8}, "any exit at 0x8"),
        ({}, "any exit"),
    ],
)
def test_an_exit_is_told_in_a_few_words(fields: dict[str, object], words: str) -> None:
    assert describe(fields, hex) == words


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("errno", 4, "4 (EINTR)"),
        ("errno", 0, "0 (no error)"),
        ("is_write", 1, "1 (a write)"),
        ("type", 2, "2 (reset)"),
        ("type", 77, "77"),
        ("len", 8, "8"),
        ("far", 16, "sixteen (0x10)"),
        ("pc", 17, "0x11"),
        ("data", b"\x2a\x00", "2a 00"),
        ("data", (1, 255), "[0x1, 0xff]"),
        ("exit", "MMIO", "MMIO"),
        ("hsr", None, "nothing"),
        ("hsr", 0xCA000022, "0xca000022 (software step, ISV=0: nothing was executed)"),
        ("nr", 0x84000008, "0x84000008"),
    ],
)
def test_a_value_is_told_with_its_meaning(field: str, value: object, words: str) -> None:
    assert value_words(field, value, lambda addr: "sixteen" if addr == 16 else hex(addr)) == words


@pytest.mark.parametrize(
    ("value", "mask", "words"),
    [
        (0xC8000000, 0xFC000000, "EC 0x32 (software step)"),
        (0xC8000000, 0xFD000000, "EC 0x32 (software step, ISV=0)"),
        (0xC9000000, 0xFD000000, "EC 0x32 (software step, ISV=1)"),
        (0xF0000007, 0xFC00FFFF, "EC 0x3c (BRK #0x7)"),
        (0xD0000040, 0xFC000040, "EC 0x34 (watchpoint, write)"),
        (0x96000010, 0xFC000000, "EC 0x25"),
        (0xC8000022, 0xFC00003F, "EC 0x32 (software step, 0xc8000022 under mask 0xfc00003f)"),
        (0x12345678, 0x000000FF, "0x78 under mask 0xff"),
    ],
)
def test_a_syndrome_is_told_as_far_as_it_counts(value: int, mask: int, words: str) -> None:
    assert masked_words("hsr", value, mask) == words


def test_another_field_under_a_mask_is_told_as_it_is() -> None:
    assert masked_words("iss", 0x47, 0x40) == "0x40 under mask 0x40"


def test_a_run_that_failed_says_with_which_error_and_what_enosys_means() -> None:
    limits = Limits()
    exits = (Exit("UNKNOWN", -1, 38, 0x4000_0004, {}, {}),)
    said = ending(Trace(exits=exits, ended=Ending.ERROR), limits)
    assert said.startswith("the run ended because KVM_RUN failed with ENOSYS: ")
    assert "0x40000004" in said
    other = (replace(exits[0], errno=14),)
    said = ending(Trace(exits=other, ended=Ending.ERROR), limits)
    assert said == "the run ended because KVM_RUN failed with EFAULT"
