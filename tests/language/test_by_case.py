"""An exit, a stop or a value says for which cases it is, and each case is read without the rest."""

from __future__ import annotations

import pytest
from vcpu_scenario.case import SetRegister
from vcpu_scenario.ioctls.attributes import DeviceAttr, GetDeviceAttr, Holder
from vcpu_scenario.language import Scenario, ScenarioCase
from vcpu_scenario.source import InvalidScenario

from tests.language.build import scenario

HEAD = """\
title: made by a test
vmm: [plain, qemu, qemu-2017]
guest: {words: [0xd503201f, 0xd4200000], symbols: {start: 0x40000000, done: 0x40000004}}
devices: {uart: {handled_by: userspace, at: 0x09000000, model: pl011}}
debug: {single_step: true}
expect:
"""
START, DONE = 0x40000000, 0x40000004


def of(text: str, kernel: str, vmm: str = "plain") -> ScenarioCase:
    (found,) = scenario(HEAD + text).cases([kernel], [vmm])
    return found


def checks(case: ScenarioCase, exit_: int = 0) -> dict[str, object]:
    assert case.expectation is not None
    assert case.expectation.exits is not None
    expected = case.expectation.exits[exit_]
    return {
        **{check.field: check.value for check in expected.checks},
        **{check.reg: check.value for check in expected.regs},
    }


def pcs(case: ScenarioCase) -> list[object]:
    assert case.expectation is not None
    assert case.expectation.exits is not None
    return [checks(case, n).get("pc") for n in range(len(case.expectation.exits))]


MANY = """\
- exits:
    - debug: {step: start}
    - mmio: {read: uart, len: 4, pc: {"<5.0": done, else: start}}
    - debug: {step: done, kernels: ["4.15..4.20", ">=5.11"]}
    - debug: {step: start, kernels: ">=5.11", vmm: qemu-2017}
"""


@pytest.mark.parametrize(
    ("kernel", "vmm", "expected"),
    [
        ("4.14", "plain", [START, DONE]),
        ("4.15", "plain", [START, DONE, DONE]),
        ("4.20", "qemu", [START, DONE, DONE]),
        ("5.0", "plain", [START, START]),
        ("5.10", "qemu-2017", [START, START]),
        ("5.11", "qemu", [START, START, DONE]),
        ("5.11", "qemu-2017", [START, START, DONE, START]),
        ("7.3", "qemu-2017", [START, START, DONE, START]),
    ],
)
def test_each_case_has_its_own_exits(kernel: str, vmm: str, expected: list[int]) -> None:
    assert pcs(of(MANY, kernel, vmm)) == expected


@pytest.mark.parametrize(
    ("kernel", "expected"),
    [
        ("5.2", [START, START]),
        ("5.10.200", [START, START]),
        ("5.14", [START, START, DONE]),
        ("6.12.107", [START, START, DONE]),
        ("8.0", [START, START, DONE]),
    ],
)
def test_a_kernel_that_is_no_row_of_the_table_has_them_as_well(
    kernel: str, expected: list[int]
) -> None:
    assert pcs(of(MANY, kernel)) == expected


def test_a_value_is_by_vmm_within_kernels() -> None:
    text = """\
- exits:
    - debug:
        step: start
        regs: {x1: {"<6.1": {qemu: 1, "plain, qemu-2017": 2}, else: null}}
"""
    assert checks(of(text, "6.0", "qemu"))["x1"] == 1
    assert checks(of(text, "6.0", "qemu-2017"))["x1"] == 2
    assert "x1" not in checks(of(text, "6.1", "qemu"))


def by_parameter(text: str) -> Scenario:
    return scenario(HEAD.replace("vmm:", "matrix: {width: [1, 4, 8]}\nvmm:") + text)


def test_a_value_and_an_exit_are_by_parameter() -> None:
    text = """\
- exits:
    - mmio: {read: uart, len: {"width=1, 4": 4, width=8: 8}}
    - debug: {step: done, when: {width: [1, 8]}}
"""
    text = text.replace("width=1, 4", "width=1,4")
    found = by_parameter(text).cases(["6.12"], ["plain"])
    assert [checks(case)["len"] for case in found] == [4, 4, 8]
    assert [len(pcs(case)) for case in found] == [2, 1, 2]


@pytest.mark.parametrize(
    "value",
    [
        "vcpu: {'<6.1': 0, else: null}",
        "repeat: {'<6.1': 2, else: null}",
        "vcpu: {'<6.1': {qemu: any, else: null}, else: 0}",
        "then: [get_vcpu_events: {serror_pending: {'<6.1': true, else: null}}]",
        "then: [get_vcpu_events: {serror_esr: {'<6.1': 1, else: null}}]",
        "then: [preferred_target: {'<6.1': 1, else: null}]",
        "then: [reg_writable_masks: {masks: {id_aa64pfr0_el1: {'<6.1': 1, else: null}}}]",
    ],
)
def test_null_is_an_error_where_what_is_not_named_has_a_value(value: str) -> None:
    """The first vCPU, once, 0: to take null for that compares what null says is not compared."""
    with pytest.raises(InvalidScenario) as invalid:
        scenario(f"{HEAD}- exits:\n    - debug: {{step: start, {value}}}\n    - any: {{}}\n")
    assert "wrong value for `else`" in [one.message for one in invalid.value.diagnostics]


def test_whose_exit_it_is_may_be_left_open_in_some_cases() -> None:
    text = "- exits: [debug: {step: start, vcpu: {'<6.1': any, else: 0}}, any: {}]\n"
    head = f"vcpus: 2\n{HEAD.replace('[plain, qemu, qemu-2017]', 'plain')}"
    for kernel, vcpu in (("6.0", None), ("6.1", 0)):
        (case,) = scenario(head + text).cases([kernel])
        assert checks(case).get("vcpu") == vcpu


def test_what_the_vmm_does_after_an_exit_is_done_only_where_that_comes() -> None:
    text = """\
- exits:
    - debug: {step: start, kernels: ">=5.0", then: [{set: {x1: 1}}]}
    - debug: {step: done, then: {"<6.1": [{set: {x2: 2}}], else: null}}
    - any: {}
"""
    one, two = SetRegister("x1", 1), SetRegister("x2", 2)
    assert of(text, "4.14").case.on == ((0, (two,)),)
    assert of(text, "5.0").case.on == ((0, (one,)), (1, (two,)))
    assert of(text, "6.1").case.on == ((0, (one,)),)


def test_stops_final_values_and_what_never_comes_are_by_case() -> None:
    text = """\
- stops:
    - start
    - {at: done, kernels: ">=5.0"}
  never:
    - interrupted: {kernels: "<5.0"}
  final:
    regs: {x1: {"<5.0": 1, else: 2}}
    memory:
      - {at: start, words: {"<5.0": [5], else: null}}
    output: {uart: {"<5.0": a, else: b}}
"""
    old, new = of(text, "4.14").expectation, of(text, "5.0").expectation
    assert old is not None
    assert new is not None
    assert [len(found.stops or ()) for found in (old, new)] == [1, 2]
    assert [len(found.never) for found in (old, new)] == [1, 0]
    assert [found.final.regs[0].value for found in (old, new)] == [1, 2]
    assert [len(found.final.memory) for found in (old, new)] == [1, 0]
    assert [found.final.outputs[0].data for found in (old, new)] == [b"a", b"b"]


def test_a_repeat_a_note_and_the_reason_of_a_clause_are_by_case() -> None:
    text = """\
- about: {"<5.0": old, "5.3": third}
  exits:
    - debug: {step: start, repeat: {"<5.0": 3, else: {least: 1, most: 2}}, note: {">=6.1": new}}
"""
    found = {kernel: of(text, kernel).expectation for kernel in ("4.14", "5.3", "6.1")}
    assert {kernel: one and one.about for kernel, one in found.items()} == {
        "4.14": "old",
        "5.3": "third",
        "6.1": "",
    }
    exits = {kernel: one.exits[0] for kernel, one in found.items() if one and one.exits}
    assert (exits["4.14"].least, exits["4.14"].most) == (3, 3)
    assert (exits["6.1"].least, exits["6.1"].most, exits["6.1"].note) == (1, 2, "new")


def test_a_release_that_only_a_condition_names_is_a_case() -> None:
    text = '- exits: [debug: {step: start}, debug: {step: done, kernels: "6.12.107"}]\n'
    assert "6.12.107" in scenario(HEAD + text).audience.rows()
    assert len(pcs(of(text, "6.12.107"))) == 2
    assert len(pcs(of(text, "6.12"))) == 1


def test_a_variant_that_only_a_condition_names_is_a_case() -> None:
    text = '- exits: [debug: {step: start}, debug: {step: done, kernels: "5.0-v2trap"}]\n'
    assert len(pcs(of(text, "5.0-v2trap"))) == 2
    assert len(pcs(of(text, "5.0"))) == 1


def test_a_check_is_at_its_own_place_in_the_file() -> None:
    case = of(MANY, "5.0")
    assert case.expectation is not None
    assert case.expectation.exits is not None
    (pc,) = (check for check in case.expectation.exits[1].checks if check.field == "pc")
    assert pc.written == "start"
    line = (HEAD + MANY).splitlines()[pc.span.line - 1]
    assert line[pc.span.column - 1 :].startswith("start}}")


def test_a_value_that_is_the_same_for_some_parameters_alone_is_a_value_by_case() -> None:
    text = HEAD.replace("expect:", "matrix: {width: [1, 4]}\nexpect:") + (
        '- exits: [{mmio: {read: uart, len: {"<5.0": "${width}", else: 4}}}]\n'
    )
    cases = scenario(text).cases(["4.14", "5.0"], ["qemu"])
    assert {checks(case)["len"] for case in cases} == {1, 4}


@pytest.mark.parametrize("holder", ["vgic", "vcpu", "its"])
def test_what_an_attribute_is_expected_to_be_may_depend_on_the_case(holder: Holder) -> None:
    read = f'get_{holder}_attr: {{group: 99, attr: 1, value: {{"<5.0": 1, else: 2}}}}'
    text = f"- exits:\n    - debug: {{step: start, then: [{read}]}}\n    - any: {{}}\n"
    which = DeviceAttr(holder, 99, 1)
    for kernel, value in ("4.14", 1), ("5.10", 2):
        assert of(text, kernel).case.on == ((0, (GetDeviceAttr(which, value),)),)
