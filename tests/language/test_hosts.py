"""A scenario says for which hosts it is, and an exit, a value or a clause on which it holds."""

from __future__ import annotations

from pathlib import Path

import pytest
from vcpu_scenario.language import Scenario, loads
from vcpu_scenario.source import InvalidScenario

from tests.language.build import messages

HEAD = """\
title: made by a test
kernels: ["6.1", "6.17", "5.10"]
guest: {words: [0xd503201f, 0xd4200000], symbols: {start: 0x40000000, done: 0x40000004}}
debug: {single_step: true}
"""
PLAIN = "expect: [exits: [debug: {step: done}]]\n"


def scenario(text: str) -> Scenario:
    return loads(HEAD + text, Path("t.vcpu.yaml"))


def kernels(of: Scenario, **asked: list[str]) -> list[str]:
    return [case.kernel for case in of.cases(**asked)]


def expected(of: Scenario, kernel: str) -> list[object]:
    (case,) = of.cases([kernel])
    assert case.expectation is not None
    assert case.expectation.exits is not None
    return [
        check.value
        for exit_ in case.expectation.exits
        for check in exit_.checks
        if check.field == "pc"
    ]


def faults(text: str) -> list[str]:
    with pytest.raises(InvalidScenario) as found:
        scenario(text)
    return [
        f"{one.span.line}:{one.span.column}: {one.message}; found {one.found}; {one.expected}"
        for one in found.value.diagnostics
    ]


def test_a_scenario_without_hosts_is_run_on_the_default_one_and_is_for_any() -> None:
    plain = scenario(PLAIN)
    assert kernels(plain) == ["5.10", "6.1", "6.17"]
    assert kernels(plain, hosts=["cortex-a76"]) == [
        "5.10+cortex-a76",
        "6.1+cortex-a76",
        "6.17+cortex-a76",
    ]
    assert kernels(plain, kernels=["6.1+protected"]) == ["6.1+protected"]


def test_a_scenario_is_run_on_each_of_its_hosts_that_has_the_kernel() -> None:
    both = scenario("host: [default, protected]\n" + PLAIN)
    assert kernels(both) == ["5.10", "6.1", "6.1+protected", "6.17", "6.17+protected"]
    assert kernels(both, hosts=["protected"]) == ["6.1+protected", "6.17+protected"]
    assert kernels(both, hosts=[""]) == ["5.10", "6.1", "6.17"]
    assert kernels(both, kernels=["6.17"]) == ["6.17", "6.17+protected"]
    assert kernels(both, kernels=["6.17", "6.17+protected"]) == ["6.17", "6.17+protected"]


def test_a_scenario_is_for_no_other_host_than_those_it_names() -> None:
    only = scenario("host: cortex-a57\n" + PLAIN)
    assert kernels(only) == ["5.10", "6.1", "6.17"]
    assert kernels(only, hosts=["cortex-a76"]) == []
    assert kernels(only, kernels=["6.17+protected"]) == []


def test_the_host_is_in_the_name_of_a_case() -> None:
    both = scenario("host: [default, cortex-a76]\nvmm: [plain, qemu]\n" + PLAIN)
    assert [case.id for case in both.cases(["6.17"])] == [
        "t@6.17/plain",
        "t@6.17/qemu",
        "t@6.17+cortex-a76/plain",
        "t@6.17+cortex-a76/qemu",
    ]


def test_a_clause_an_exit_and_a_value_hold_on_some_hosts() -> None:
    some = scenario("""\
host: [default, protected, cortex-a76]
expect:
  - host: protected
    kernels: ">=6.14"
    exits: []
  - exits:
      - debug: {step: start, host: [default, cortex-a76]}
      - debug: {step: {protected: done, "default, cortex-a76": start}}
""")
    start, done = 0x4000_0000, 0x4000_0004
    assert expected(some, "6.17+protected") == []
    assert expected(some, "6.1+protected") == [done]
    assert expected(some, "6.17+cortex-a76") == [start, start]


def test_a_host_that_no_case_is_on_is_told() -> None:
    (fault,) = faults("expect: [{host: protected, exits: []}, {exits: []}]\n")
    assert fault.startswith("5:17: the scenario is run on no such host; found protected")
    (fault,) = faults("host: [default, cortex-a76]\nexpect: [{host: protected, exits: []}]\n")
    assert fault.endswith("among default, cortex-a76, what the scenario's own `host` names")


def test_a_word_that_is_no_host_is_told_where_it_stands() -> None:
    (fault,) = faults("host: pkvm\n" + PLAIN)
    assert fault.startswith("5:7: wrong value for `host`; found `pkvm`")
    (fault,) = faults(
        "host: [default, protected]\n"
        'expect: [exits: [debug: {step: {"default, qemu": done, else: start}}]]\n'
    )
    assert fault.startswith("6:33: `default, qemu` cannot be a key here")


def test_a_range_of_kernels_names_no_host() -> None:
    (fault,) = faults("expect: [{kernels: 6.17+protected, exits: []}]\n")
    assert "names a host" in fault


HOST, VMM = "the scenario is run on no such host", "the scenario is run with no such VMM"


@pytest.mark.parametrize(
    ("clause", "told"),
    [
        ("host: [default, cortex-a72], exits: []", HOST),
        ("exits: [any: {pc: done, host: [cortex-a72, default]}]", HOST),
        ("exits: [any: {pc: {'cortex-a72, default': start, else: done}}]", HOST),
        ("vmm: [qemu, plain], exits: []", VMM),
        ("exits: [any: {pc: {'plain, qemu': start, else: done}}]", VMM),
    ],
)
def test_a_host_or_a_vmm_without_a_case_is_told_beside_one_that_has_some(
    clause: str, told: str
) -> None:
    assert told in messages(f"host: [default, cortex-a76]\nexpect: [{{{clause}}}]\n")
    own = "host: [default, cortex-a76, cortex-a72]\nvmm: [plain, qemu]\n"
    assert told not in messages(f"{own}expect: [{{{clause}}}]\n")


def test_a_host_that_has_none_of_the_kernels_is_told() -> None:
    text = 'kernels: "%s"\nhost: [default, protected]\nexpect: [{exits: []}]\n'
    assert messages(text % "<5.0") == ["no case is on this host"]
    assert messages(text % ">=5.0") == []
