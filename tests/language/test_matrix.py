"""The matrix, its parameters, and which clause is for which case."""

from __future__ import annotations

from typing import Any

import pytest
from vcpu_scenario.case import SetRegister
from vcpu_scenario.kernels.release import KNOWN_RELEASES, RangeError
from vcpu_scenario.language import ScenarioCase
from vcpu_scenario.source import InvalidScenario

from tests.language.build import SMALL, messages, scenario, small


def ids(text: str, kernels: list[str] | None = None, vmms: list[str] | None = None) -> list[str]:
    return [case.id for case in small(text).cases(kernels, vmms)]


def using(*names: str) -> str:
    """An expectation in which the parameters stand."""
    text = " ".join(f"${{{name}}}" for name in names)
    return f"expect: [{{final: {{memory: [{{at: start, text: 'of {text}'}}]}}}}]\n"


def value(case: ScenarioCase) -> Any:
    (action,) = case.case.before
    assert isinstance(action, SetRegister)
    return action.value


def test_a_mapping_makes_a_case_of_every_combination() -> None:
    assert ids("matrix: {width: [1, 0x4], op: [a b, ldr]}\n" + using("width", "op"), ["6.12"]) == [
        "made[width=1,op=a_b]@6.12/plain",
        "made[width=1,op=ldr]@6.12/plain",
        "made[width=0x4,op=a_b]@6.12/plain",
        "made[width=0x4,op=ldr]@6.12/plain",
    ]


def test_a_list_makes_a_case_of_each_row() -> None:
    text = "matrix: [{op: ldrb, len: 1}, {len: 4, op: ldr}]\n" + using("op")
    assert ids(text, ["6.12"]) == [
        "made[op=ldrb,len=1]@6.12/plain",
        "made[op=ldr,len=4]@6.12/plain",
    ]


def test_ids_differ_where_the_values_look_alike() -> None:
    found = ids("matrix: {op: [a b, a_b, a/b]}\n" + using("op"), ["6.12"])
    assert found == [
        "made[op=a_b]@6.12/plain",
        "made[op=a_b,#2]@6.12/plain",
        "made[op=a_b,#3]@6.12/plain",
    ]


def test_ids_do_not_depend_on_what_else_is_run() -> None:
    text = "vmm: [qemu, plain]\nmatrix: {width: [1, 2]}\n" + using("width")
    text = text.replace("[{", "[{kernels: '>=6.0', ", 1)
    every = ids(text)
    assert len(every) == len(set(every))
    assert set(ids(text, ["6.12", "7.3"], ["plain"])) < set(every)


@pytest.mark.parametrize(
    ("values", "text", "expected"),
    [
        ("[7]", "'${p}'", [7]),
        ("[0x10, 1MiB]", "'${p}'", [16, 1 << 20]),
        ("[1, 2]", "0x${p}0", [0x10, 0x20]),
        ("[start, done+4]", "'${p}'", [0x40000000, 0x40000008]),
        ("[start, done]", "'${p}+8'", [0x40000008, 0x4000000C]),
        ("['0x1']", "${p}", [1]),
    ],
)
def test_a_parameter_stands_for_its_value(values: str, text: str, expected: list[int]) -> None:
    found = small(f"matrix: {{p: {values}}}\nbefore:\n- set:\n    x0: {text}\n").cases(["6.12"])
    assert [value(case) for case in found] == expected


def test_a_parameter_may_stand_in_a_key() -> None:
    (found,) = small('matrix: {n: [7]}\nbefore: [{set: {"x${n}": 1}}]\n').cases(["6.12"])
    assert found.case.before == (SetRegister("x7", 1),)


def test_a_parameter_alone_is_a_boolean_too() -> None:
    found = small('matrix: {on: [true, false]}\nfeatures: []\ndebug: {enable: "${on}"}\n')
    controls = [case.case.debug for case in found.cases(["6.12"])]
    assert [debug.control for debug in controls if debug is not None] == [1, 0]


def test_two_dollars_are_one() -> None:
    found = small("matrix: {p: [1]}\ndata: [{at: 0x40001000, text: 'a $${p} ${p} $$ $'}]\n").cases(
        ["6.12"]
    )
    assert found[0].case.loads[1].data == b"a ${p} 1 $$ $"


def test_parameters_stand_in_code() -> None:
    text = (
        "title: x\n"
        "matrix: {n: [1, 2]}\n"
        "guest:\n"
        "  code: |\n"
        "    start: mov x0, #${n}\n"
        "    end: b end\n"
    )
    one, two = scenario(text).cases(["6.12"])
    assert one.case.loads[0].data == bytes.fromhex("200080d2 00000014")
    assert two.case.loads[0].data == bytes.fromhex("400080d2 00000014")
    assert [span.line for span in two.lines.values()] == [5, 6]
    assert len(two.scenario.sources) == 2


CLAUSES = """
matrix: {width: [1, 2, 4], op: [read, write]}
vmm: [plain, qemu]
expect:
- kernels: "4.14"
  about: old
  exits: []
- when: {width: [1, 0x2], op: read}
  about: narrow reads
  exits: []
- vmm: [qemu]
  when: {width: 4}
  about: wide in qemu
  exits: []
- kernels: ">=5.0"
  about: else
  exits: []
"""


@pytest.mark.parametrize(
    ("kernel", "vmm", "params", "about"),
    [
        ("4.14", "plain", {"width": 1, "op": "read"}, "old"),
        ("4.14", "qemu", {"width": 4, "op": "write"}, "old"),
        ("6.12", "plain", {"width": 2, "op": "read"}, "narrow reads"),
        ("6.12", "plain", {"width": 2, "op": "write"}, "else"),
        ("6.12", "qemu", {"width": 4, "op": "write"}, "wide in qemu"),
        ("6.12", "plain", {"width": 4, "op": "write"}, "else"),
        ("4.19", "plain", {"width": 4, "op": "write"}, None),
        ("4.19", "qemu", {"width": 4, "op": "write"}, "wide in qemu"),
    ],
)
def test_the_first_clause_that_fits_is_the_expectation(
    kernel: str, vmm: str, params: dict[str, Any], about: str | None
) -> None:
    (found,) = [case for case in small(CLAUSES).cases([kernel], [vmm]) if case.params == params]
    assert (found.expectation.about if found.expectation else None) == about


def test_without_kernels_it_runs_where_something_is_expected() -> None:
    found = small(CLAUSES).cases()
    kernels = {case.kernel for case in found if case.params == {"width": 4, "op": "write"}}
    assert "4.19" in {case.kernel for case in found if case.vmm == "qemu"}
    assert kernels == set(KNOWN_RELEASES)
    assert all(case.expectation for case in found)


def test_without_a_clause_nothing_runs_unless_a_kernel_is_named() -> None:
    assert ids("") == []
    assert ids("", ["6.12"]) == ["made@6.12/plain"]


def test_a_clause_for_all_is_for_every_known_release_and_no_variant() -> None:
    found = small("expect: [{exits: []}]\n").cases()
    assert [case.kernel for case in found] == list(KNOWN_RELEASES)


def test_a_variant_runs_where_it_is_named() -> None:
    text = 'expect: [{kernels: "5.0-v2trap", exits: []}, {exits: []}]\n'
    found = {case.kernel: case for case in small(text).cases()}
    assert set(found) == {*KNOWN_RELEASES, "5.0-v2trap"}
    assert ids("expect: [{exits: []}]\n", ["5.0-v2trap"]) == []
    whole = 'kernels: [">=7.2", "7.2-v2trap"]\nexpect: [{exits: []}]\n'
    assert ids(whole, ["7.2-v2trap"]) == ["made@7.2-v2trap/plain"]


def test_a_release_between_known_ones_runs_where_it_is_named() -> None:
    found = small('expect: [{kernels: "4.17", exits: []}]\n').cases()
    assert [case.kernel for case in found] == ["4.17"]
    stable = small('expect: [{kernels: ">=6.1", exits: []}]\n').cases(["6.1.176"])
    assert [case.id for case in stable] == ["made@6.1.176/plain"]


def test_a_scenario_runs_only_on_what_it_is_for() -> None:
    text = 'kernels: "5.0..5.10"\nvmm: [qemu]\nexpect: [{exits: []}]\n'
    assert ids(text, ["4.19", "5.10", "5.11"]) == ["made@5.10/qemu"]
    assert ids(text, ["5.10"], ["plain"]) == []


def test_what_is_no_kernel_is_refused() -> None:
    with pytest.raises(RangeError):
        small().cases(["six"])


def test_combinations_share_what_they_have_in_common() -> None:
    text = SMALL + "matrix: {n: [1, 2, 3]}\nexpect: [{exits: [any: {pc: '${n}'}]}]\n"
    cases = scenario(text).cases()
    assert len({id(case.case) for case in cases}) == 3


def test_combinations_that_differ_in_nothing_that_is_used_are_an_error() -> None:
    same = "two combinations of the matrix are the same case"
    assert messages("matrix: {n: [1, 2]}\n") == [same]
    assert messages("matrix: {n: [1, 1]}\n" + using("n")) == [same]
    assert messages("matrix: [{n: 1, of: a}, {n: 1, of: b}]\n" + using("n")) == [same]
    both = "expect: [{when: {n: 1}, exits: []}, {stops: [], exits: []}]\n"
    assert same not in messages("matrix: {n: [1, 2]}\n" + both)
    by_case = "expect: [{exits: [any: {pc: {n=1: start, else: done}}]}]\n"
    assert messages("matrix: {n: [1, 2]}\n" + by_case) == []


@pytest.mark.parametrize(
    "text",
    [
        "about: of ${n}\nexpect: [{exits: []}]\n",
        "expect: [{about: 'of ${n}', exits: [any: {pc: start}]}]\n",
        "expect: [{exits: [any: {pc: start, note: 'of ${n}'}]}]\n",
        "expect: [{xfail: {reason: 'of ${n}', link: 'https://example.org/${n}'}, exits: []}]\n",
    ],
)
def test_what_is_told_and_no_more_makes_no_other_case(text: str) -> None:
    same = "two combinations of the matrix are the same case"
    assert messages("matrix: {n: [1, 2]}\n" + text) == [same]


@pytest.mark.parametrize(
    "text",
    [
        "expect: [{exits: [], final: {output: {note: 'of ${n}'}}}]\n"
        "devices: {note: {handled_by: userspace, at: 0x09000000, model: pl011}}\n",
        "expect: [{about: t, when: {n: 1}, exits: []}, {exits: []}]\n",
        "expect: [{exits: [any: {pc: start, note: t, when: {n: 1}}]}]\n",
    ],
)
def test_a_name_or_a_condition_beside_what_is_told_is_a_use(text: str) -> None:
    assert messages("matrix: {n: [1, 2]}\n" + text) == []


def test_a_value_for_a_parameter_that_is_wrong_where_it_stands_is_told_there_alone() -> None:
    """That no case has the value which was meant is no fault of its own."""
    text = """\
title: t
matrix: {op: [nop, isb?]}
guest: {code: "${op}"}
expect: [{exits: [any: {regs: {x1: {op=isb: 1, else: 2}}}]}]
"""
    with pytest.raises(InvalidScenario) as invalid:
        scenario(text)
    assert [each.message for each in invalid.value.diagnostics] == [
        "assembler: `?` cannot stand here"
    ]


@pytest.mark.parametrize(
    "clause",
    [
        "when: {n: [1, VALUE]}, exits: []",
        "exits: [debug: {when: {n: [1, VALUE]}}]",
        "exits: [any: {pc: {'n=1,VALUE': start, 'n=3': done}}]",
    ],
)
def test_a_value_that_a_parameter_never_has_is_told_beside_one_that_it_has(clause: str) -> None:
    text = f"matrix: {{n: [1, 2, 3]}}\nexpect: [{{{clause}}}]\n"
    never = "`n` never has this value"
    assert messages(text.replace("VALUE", "22")) == [never]
    assert never not in messages(text.replace("VALUE", "2"))


def test_one_of_several_ranges_that_no_known_kernel_fits_is_told() -> None:
    """What comes of the others does not show that it is misspelt."""
    text = 'expect: [{kernels: ["6.1", ">=61.12"], exits: []}]\n'
    assert messages(text) == ["no known kernel is in this range"]


BRK = "debug: {software_breakpoints: true}\n"
IDLE = "no case ever has this"


@pytest.mark.parametrize(
    ("head", "clause"),
    [
        ("matrix: {n: [1, 2, 4]}\n", "when: {n: [1, 2]}"),
        ("matrix: [{n: 1, m: 1}, {n: 3, m: 1}]\n", "when: {n: 1}"),
        ("vmm: [plain, qemu]\n", "vmm: plain"),
        ("host: [default, protected]\n", "host: default"),
        ('host: [default, protected]\nkernels: ">=5.10"\n', 'kernels: "<6.1"'),
    ],
)
def test_what_the_scenario_names_and_no_clause_is_for_is_told(head: str, clause: str) -> None:
    """It is never run, and nothing showed that."""
    clause = f"{clause}, exits: [debug: {{brk: done}}]"
    used = "before: [set: {x1: '${n}'}]\n" if "n:" in head else ""
    assert messages(f"{head}{used}{BRK}expect: [{{{clause}}}]\n") == [IDLE]
    assert messages(f"{head}{used}{BRK}") == []


def test_combinations_may_be_left_out_if_each_value_has_a_case() -> None:
    text = "matrix: {n: [1, 2], m: [1, 2]}\nbefore: [set: {x1: '${n}', x2: '${m}'}]\n"
    both = "{when: {n: 1}, exits: [debug: {}]}, {when: {m: 1}, exits: [debug: {}]}"
    assert messages(f"{text}{BRK}expect: [{both}]\n") == []


def test_what_is_done_only_with_parameters_that_no_clause_is_for_is_never_done() -> None:
    text = "matrix: {n: [1, 2], m: [1, 2]}\nbefore: [set: {x1: '${n}', x2: '${m}'}]\n"
    text += "on: [{exit: 3, then: [set: {x1: 5}]}]\n"
    brk = "exits: [debug: {}]"
    both = f"{{when: {{n: 1, m: 1}}, {brk}}}, {{when: {{n: 2, m: 2}}, {brk}}}"
    assert messages(f"{text}{BRK}expect: [{both}]\n") == ["this is never done"]
