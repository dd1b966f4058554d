"""What newcomers stumble over: each has an answer that says what to write."""

from __future__ import annotations

import pytest
from vcpu_scenario import InvalidScenario, loads, run
from vcpu_scenario.kernels.release import parse_range, parse_release
from vcpu_scenario.verdict.result import guest_of

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
    scenario = loads(
        f"title: t\nvmm: [plain, qemu]\n{BRK}expect: [{{vmm: qemu, exits: [debug: {{}}]}}]\n"
    )
    assert {case.vmm for case in scenario.cases(["6.12"]) if case.expectation} == {"qemu"}


@pytest.mark.parametrize("key", ["vmm: qemo", "tags: Not A Tag"])
def test_one_that_is_none_is_told(key: str) -> None:
    assert f"wrong value for `{key.partition(':')[0]}`" in complaints(
        f"title: t\n{key}\n{BRK}{EXPECT}"
    )


def test_a_device_that_code_names_is_told_with_its_address() -> None:
    code = "guest: {code: 'ldr x0, =uart'}\n"
    device = "devices: {uart: {handled_by: userspace, at: 0x0900_0000}}\n"
    assert "`uart` is a device: in code write its address, 0x0900_0000" in complaints(
        f"title: t\n{code}{device}{EXPECT}"
    )


def test_a_branch_is_shown_with_the_label_it_goes_to() -> None:
    words = "guest: {at: 0x40000000, words: [0xd503201f, 0x54ffffe1, 0x14000400], symbols: {"
    text = f"title: t\n{words}again: 0x40000000}}}}\n{EXPECT.replace('debug: {}', 'any: {pc: 0}')}"
    (case,) = loads(text).cases(["6.12"])
    guest = guest_of(case)
    assert guest.place(0x40000004).instruction == "b.ne again"
    assert guest.place(0x40000008).instruction == "b #0x40001008"
