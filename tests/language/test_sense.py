"""What asserts nothing, cannot come or is never done is an error, and what can is none."""

from __future__ import annotations

import pytest
from vcpu_scenario.source import InvalidScenario

from tests.language.build import messages, small

ASSERTS_NOTHING = "the clause asserts nothing"
OF_ALL = "this holds of every run: the clause asserts nothing"
CANNOT_COME = "nothing can bring this exit about"
NOT_DONE = "this is never done"
BANNED = "this must never come and must come: no run fulfils the clause"
NEVER_SHOWN = "nothing ever shows whether this exit comes"
STEPS = "debug: {single_step: true}\n"


@pytest.mark.parametrize(
    ("clause", "message"),
    [
        ("{}", ASSERTS_NOTHING),
        ('{kernels: "6.12"}', ASSERTS_NOTHING),
        ("{about: what it is}", ASSERTS_NOTHING),
        ("{xfail: {reason: why, link: 'https://example.org/1'}}", ASSERTS_NOTHING),
        ("{never: []}", "`never` has no items"),
        ("{never: [], exits: [mmio: {read: 0}]}", "`never` has no items"),
        ("{final: {}}", "`final` has too few keys"),
        ("{final: {regs: {}}}", "`regs` has too few keys"),
        ("{final: {memory: []}}", "`memory` has no items"),
        ('{final: {reg_list: {count: {"<6.0": 3, else: null}}}}', ASSERTS_NOTHING),
        ("{final: {eventfd: {}}}", "`eventfd` has too few keys"),
        ("{final: {output: {}}}", "`output` has too few keys"),
        ('{final: {memory: [{at: start, hex: ""}]}}', "this compares no bytes"),
        ("{final: {memory: [{at: start, words: []}]}}", "this compares no bytes"),
        ('{exits: [mmio: {write: 0, data_bytes: ""}]}', "this compares no bytes"),
        ("{exits: [any: {repeat: {least: 0}}]}", OF_ALL),
        ("{exits: [any: {repeat: {least: 1}}]}", OF_ALL),
        ("{exits: [any: {note: the only one}]}", OF_ALL),
        ("{exits: [any: {repeat: {least: 0}}, any: {repeat: {least: 0}}]}", OF_ALL),
        ("{exits: [any: {}, any: {repeat: {least: 0}}]}", OF_ALL),
        ("{exits: [any: {repeat: {least: 0}}, mmio: {read: 0, repeat: {least: 0}}]}", OF_ALL),
        ("{exits: [mmio: {read: 0, repeat: {least: 0}}, any: {repeat: {least: 1}}]}", OF_ALL),
        ("{exits: [any: {repeat: {least: 0, most: 100000}}]}", OF_ALL),
    ],
)
def test_a_clause_that_any_run_fulfils_is_an_error(clause: str, message: str) -> None:
    assert messages(f"expect:\n- {clause}\n") == [message]


@pytest.mark.parametrize(
    "clause",
    [
        "{stops: [], exits: [mmio: {read: 0}]}",
        "{stops: [], exits: [mmio: {read: 0}, error: {}]}",
        '{stops: [], exits: [mmio: {read: 0}, mmio: {read: 8, kernels: "<6.0"}]}',
        "{stops: [], exits: [any: {exit: MMIO}, interrupted: {exit: DEBUG}]}",
        "{vmm: [qemu, firecracker], stops: [], exits: [mmio: {read: 0}]}",
    ],
)
def test_no_stops_beside_exits_that_are_none_is_an_error(clause: str) -> None:
    text = f"vmm: [plain, qemu, firecracker]\n{STEPS}expect:\n- {clause}\n"
    assert messages(text) == ["`stops` asserts nothing beside these exits"]


@pytest.mark.parametrize("clause", ["{stops: []}", "{stops: [], exits: [any: {repeat: 2}]}"])
def test_no_stops_where_no_debugger_is_told_of_any_is_an_error(clause: str) -> None:
    assert messages(f"expect:\n- {clause}\n") == ["`stops` asserts nothing"]
    assert messages(f"vmm: [firecracker]\nexpect:\n- {clause}\n") == []


@pytest.mark.parametrize(
    ("exits", "never", "told"),
    [
        ("mmio: {read: 0, len: 4}", "mmio: {read: 0}", True),
        ("mmio: {read: 0, len: 4}", "mmio: {read: 0, len: 8}", False),
        ("mmio: {read: 0}", "mmio: {read: 0, len: 8}", False),
        ("mmio: {read: 0, repeat: {least: 0}}", "mmio: {read: 0}", False),
        ("mmio: {read: 0}", "any: {exit: MMIO}", True),
        ("any: {exit: MMIO}", "mmio: {read: 0}", False),
        ("mmio: {read: 0}", "any: {}", True),
        (
            "mmio: {write: 0, len: 4, data: 0x12345678}",
            'mmio: {write: 0, data_bytes: "78 56"}',
            True,
        ),
        (
            "mmio: {write: 0, len: 4, data: 0x12345678}",
            'mmio: {write: 0, data_bytes: "78 57"}',
            False,
        ),
        ("mmio: {write: 0, regs: {x1: 1}}", "mmio: {write: 0, regs: {x1: 1}}", True),
        ("mmio: {write: 0, regs: {x1: 1}}", "mmio: {write: 0, regs: {x1: 2}}", False),
        ("debug: {brk: start, imm: 7}", "debug: {brk: start}", True),
        ("debug: {brk: start}", "debug: {brk: start, imm: 7}", False),
        ("debug: {step: start}", "debug: {brk: start}", False),
        ("interrupted: {}", "error: {}", False),
    ],
)
def test_what_must_come_and_must_never_come_is_an_error(
    exits: str, never: str, *, told: bool
) -> None:
    clause = f"{{exits: [any: {{}}, {exits}], never: [system_event: {{type: reset}}, {never}]}}"
    found = messages(
        f"debug: {{single_step: true, software_breakpoints: true}}\nexpect: [{clause}]\n"
    )
    assert found == [BANNED] * told


@pytest.mark.parametrize(
    ("exit_", "told"),
    [
        ("debug: {brk: done, hsr: 0xca000022}", True),
        ("debug: {brk: done, imm: 1, hsr: 0xf2000002}", True),
        ("debug: {brk: done, imm: 1, hsr: 0xf2000001}", False),
        ('mmio: {write: 0, len: 4, data: 0, data_bytes: "01"}', True),
        ('mmio: {write: 0, len: 4, data: 1, data_bytes: "01"}', False),
    ],
)
def test_what_no_exit_is_like_is_an_error(exit_: str, told: bool) -> None:
    debug = "debug: {software_breakpoints: true}\n"
    for clause in (f"exits: [{exit_}]", f"never: [{exit_}]"):
        found = messages(f"{debug}expect: [{{{clause}}}]\n")
        assert found == ["no exit is like this"] * told
    on = f"on: [{{first: {{{exit_}}}, then: [set: {{x1: 1}}]}}]\nexpect: [{{stops: [start]}}]\n"
    assert messages(debug + on) == [NOT_DONE] * told


def test_what_must_come_on_some_kernels_alone_may_be_banned_on_others() -> None:
    exits = 'exits: [mmio: {read: 8}, mmio: {read: 0, kernels: "<6.0"}]'
    for kernels, told in ((">=6.0", False), ("<5.4", True)):
        banned = f'never: [mmio: {{read: 8, len: 8}}, mmio: {{read: 0, kernels: "{kernels}"}}]'
        assert messages(f"expect:\n- {{{exits}, {banned}}}\n") == [BANNED] * told


@pytest.mark.parametrize(
    ("debug", "clause"),
    [
        (STEPS, "{stops: []}"),
        (STEPS, "{stops: [], exits: [mmio: {read: 0}, any: {repeat: {least: 0}}]}"),
        (STEPS, "{stops: [], exits: [mmio: {read: 0}, any: {}]}"),
        (STEPS, "{stops: [], exits: [debug: {}]}"),
        (f"{STEPS}vmm: [plain, qemu-2017]\n", "{stops: [], exits: [mmio: {read: 0}]}"),
        (
            "",
            '{exits: [mmio: {read: 0}, any: {repeat: {least: 0}, kernels: ">=6.0"}], '
            "never: [mmio: {write: 0}]}",
        ),
    ],
)
def test_what_must_not_come_where_it_may_is_no_error(debug: str, clause: str) -> None:
    assert messages(f"{debug}expect:\n- {clause}\n") == []


def test_no_clause_at_all_under_expect_is_an_error() -> None:
    assert messages("expect: []\n") == ["`expect` has no items"]


def test_exits_that_are_indented_wrongly_are_told() -> None:
    text = "expect:\n- kernels: '>=5.11'\n- exits: [mmio: {read: 0}]\n"
    assert messages(text) == [ASSERTS_NOTHING]


@pytest.mark.parametrize(
    "clause",
    [
        "{exits: []}",
        "{exits: [interrupted: {}]}",
        "{exits: [any: {repeat: 2}]}",
        "{exits: [any: {repeat: {least: 2}}]}",
        "{exits: [any: {repeat: {most: 3}}]}",
        "{exits: [any: {repeat: {most: 39}}]}",
        "{exits: [mmio: {read: 0, repeat: {least: 0}}, any: {}]}",
        "{exits: [mmio: {read: 0}, any: {repeat: {least: 0}}]}",
        "{exits: [any: {pc: start}]}",
        "{exits: [any: {regs: {x0: 1}}]}",
        "{exits: [any: {exit: MMIO, repeat: {least: 0}}]}",
        "{exits: [any: {}], final: {regs: {x0: 0}}}",
        "{never: [any: {}]}",
        "{refused: {errno: EINVAL}}",
    ],
)
def test_a_clause_that_some_run_breaks_is_none(clause: str) -> None:
    assert messages(f"expect:\n- {clause}\n") == []


def test_a_ring_and_a_device_may_be_expected_to_stay_empty() -> None:
    devices = (
        "devices:\n  ring: {handled_by: kernel, model: coalesced, at: 0x0b000000, size: 16}\n"
        "  uart: {handled_by: userspace, at: 0x09000000, model: pl011}\n"
    )
    assert messages(f"{devices}expect:\n- final: {{ring: []}}\n") == []
    assert messages(f'{devices}expect:\n- final: {{output: {{uart: ""}}}}\n') == []


@pytest.mark.parametrize(
    ("given", "exit_"),
    [
        ("", "hypercall: {}"),
        ("", "any: {exit: HYPERCALL}"),
        ("", "any: {exit: SHUTDOWN}"),
        ("", "any: {exit: FAIL_ENTRY}"),
        ("", "any: {exit: INTERNAL_ERROR}"),
        ("", "any: {exit: MEMORY_FAULT}"),
        ("", "any: {exit: ARM_SEA}"),
        ("", "interrupted: {exit: HYPERCALL}"),
        ("", "hypercall: {repeat: {least: 0}}"),
        ("", "system_event: {type: wakeup}"),
        ("", "system_event: {type: 4}"),
        ("", "system_event: {type: crash}"),
        ("", "system_event: {type: 3}"),
        ("", "system_event: {type: 9}"),
        ("", "system_event: {type: suspend}"),
        ("features: []\n", "system_event: {type: shutdown}"),
        ("features: []\n", "system_event: {}"),
        ("features: []\ncapabilities: [arm_system_suspend]\n", "system_event: {type: suspend}"),
        ("", "arm_nisv: {}"),
        ("", "debug: {}"),
        ("debug: {enable: false, single_step: true}\n", "debug: {step: start}"),
        ("", "mmio: {read: start}"),
    ],
)
def test_an_exit_that_nothing_can_bring_about_is_an_error(given: str, exit_: str) -> None:
    assert messages(f"{given}expect: [{{exits: [{exit_}]}}]\n") == [CANNOT_COME]


@pytest.mark.parametrize(
    ("given", "exit_"),
    [
        ("", "system_event: {type: shutdown}"),
        ("", "system_event: {type: reset}"),
        ("capabilities: [arm_system_suspend]\n", "system_event: {type: suspend}"),
        ("before: [mp_state: suspended]\n", "system_event: {type: wakeup}"),
        ("capabilities: [arm_nisv_to_user]\n", "arm_nisv: {}"),
        ("debug: {}\n", "debug: {}"),
        ("before: [debug: {single_step: true}]\n", "debug: {step: done}"),
        ("before: [forge: {exit_reason: 3}]\n", "interrupted: {exit: HYPERCALL}"),
        ("", "any: {exit: ARM_LDST64B}"),
        (
            "memory:\n- {at: 0x40000000, size: 4KiB}\n"
            "- {at: 0x50000000, size: 4KiB, readonly: true}\n",
            "mmio: {write: 0x50000000}",
        ),
    ],
)
def test_an_exit_that_a_kernel_can_bring_about_is_none(given: str, exit_: str) -> None:
    assert messages(f"{given}expect: [{{exits: [{exit_}]}}]\n") == []


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ("", ["nothing ever shows whether this exit comes"]),
        ("debug: {}\n", ["nothing ever shows whether this exit comes"]),
        ("before: [debug: {single_step: true}]\n", []),
    ],
)
def test_what_must_never_come_is_none_of_a_console(given: str, told: list[str]) -> None:
    uart = "{handled_by: userspace, model: pl011, at: 0x9000000, console: true}"
    other = "{handled_by: userspace, at: 0xa000000}"
    devices = f"devices:\n  uart: {uart}\n  other: {other}\n"
    for exit_, found in (("write: uart+DR", told), ("read: other", [])):
        text = f"{given}{devices}expect: [{{never: [mmio: {{{exit_}}}]}}]\n"
        assert messages(text) == found


def test_what_must_never_come_may_be_anything() -> None:
    assert messages("expect: [{never: [hypercall: {}, debug: {}]}]\n") == []


def test_no_stop_is_told_without_guest_debug() -> None:
    assert messages("expect: [{stops: [start]}]\n") == ["nothing can bring this stop about"]
    assert messages("debug: {}\nexpect: [{stops: [start]}]\n") == []


THEN = "then: [set: {x0: 1}]"
READ = "mmio: {read: 0}"


@pytest.mark.parametrize(
    ("exits", "told"),
    [
        (f"system_event: {{type: reset, {THEN}}}", []),
        (f"mmio: {{read: 0, {THEN}}}", []),
        (f"mmio: {{read: 0, reply: 1, {THEN}}}", [NOT_DONE]),
        ("mmio: {read: 0, then: [set: {x0: 1}, run_again: true, signal: true]}", [NOT_DONE] * 2),
        ("mmio: {read: 0, reply: 1}", [NOT_DONE]),
        ("system_event: {type: reset, then: [run_again: true]}", [NOT_DONE]),
        (
            f"system_event: {{}}, {READ}",
            ["nothing comes after a system event without an action, which ends the run"],
        ),
        (
            "system_event: {repeat: 2}",
            ["nothing comes after a system event without an action, which ends the run"],
        ),
        (
            f"error: {{}}, {READ}",
            ["nothing comes after an error without an action, which ends the run"],
        ),
        (f"error: {{{THEN}}}, {READ}", []),
        (f"system_event: {{{THEN}}}, {READ}", []),
        (f"system_event: {{repeat: 2, {THEN}}}, {READ}", []),
        (
            f"interrupted: {{}}, {READ}",
            ["nothing comes after an interrupted run without an action, which ends the run"],
        ),
        (f"interrupted: {{{THEN}}}, {READ}", []),
        (f"mmio: {{read: 0, {THEN}}}, {READ}", []),
        ("mmio: {read: 0, reply: 1, repeat: 3}", []),
        (f"system_event: {{repeat: {{least: 0, most: 1}}}}, {READ}", []),
    ],
)
def test_what_comes_behind_the_end_of_the_run_is_an_error(exits: str, told: list[str]) -> None:
    assert messages(f"expect: [{{exits: [{exits}]}}]\n") == told


FIT = "of: {any: {}}, then: [set: {x0: 1}]}]"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("on: [{exit: 39, then: [skip_instruction: true]}]\n", [NOT_DONE]),
        ("on: [{exit: 38, then: [skip_instruction: true]}]\n", []),
        (f"on: [{{nth: 40, {FIT}\nexpect: [{{never: [interrupted: {{}}]}}]\n", [NOT_DONE]),
        (f"on: [{{nth: 39, {FIT}\nexpect: [{{never: [interrupted: {{}}]}}]\n", []),
        (
            f"on: [{{nth: 9, {FIT}\nlimits: {{exits: 9}}\nexpect: [{{stops: []}}]\n{STEPS}",
            [NOT_DONE],
        ),
        ("on: [{exit: 4, then: [skip_instruction: true]}]\nlimits: {exits: 5}\n", [NOT_DONE]),
        (f"on: [{{exit: 1, then: [set: {{x0: 1}}]}}]\nexpect: [{{exits: [{READ}]}}]\n", [NOT_DONE]),
        (
            "on: [{exit: 1, then: [set: {x0: 1}]}]\nexpect:\n"
            f"- {{kernels: '<5.0', exits: [{READ}]}}\n"
            f"- {{exits: [{READ}, {READ}, {READ}]}}\n",
            [],
        ),
    ],
)
def test_an_action_at_an_exit_that_no_run_goes_past_is_an_error(text: str, told: list[str]) -> None:
    assert messages(text) == told


LAST = "{read: 0, then: [set: {x0: 1}]}"


@pytest.mark.parametrize(
    "action",
    ["signal: true", "immediate_exit: true", "reply: 1", "run_again: true", "host_interrupt: true"],
)
@pytest.mark.parametrize("when", ["exit: 1", "nth: 2, of: {mmio: {}}", "first: {mmio: {read: 0}}"])
def test_what_is_for_the_next_run_is_never_done_at_the_last_exit(when: str, action: str) -> None:
    text = f"on: [{{{when}, then: [set: {{x0: 1}}, {action}]}}]\n"
    goes_on = f"{{exits: [mmio: {LAST}, mmio: {LAST}, mmio: {{write: 0}}]}}"
    ends = f"{{exits: [mmio: {{write: 0}}, mmio: {LAST}]}}"
    assert messages(f"{text}expect: [{ends}]\n") == [NOT_DONE]
    assert messages(f"{text}expect: [{{kernels: '<5.0', {ends[1:]}, {goes_on}]\n") == []


@pytest.mark.parametrize(
    "text",
    [
        "on: [{exit: 3, then: [get: {x5: 99}]}]\n",
        "on: [{first: {mmio: {}}, then: [get: {x5: 99}]}]\n",
        "devices: {uart: {handled_by: userspace, at: 0x9000000, model: pl011, "
        "typed: [{after: a, text: b}]}}\n",
    ],
)
def test_what_only_refused_set_ups_have_done_is_never_done(text: str) -> None:
    refused = "{refused: {errno: EINVAL}}"
    assert messages(f"{text}expect: [{refused}]\n") == [NOT_DONE]
    ran = "{exits: [any: {exit: MMIO, repeat: {least: 4}}]}"
    assert messages(f"{text}expect: [{{kernels: '<5.0', {refused[1:]}, {ran}]\n") == []


def test_what_is_done_before_a_set_up_that_is_refused_may_be_done() -> None:
    assert messages("before: [set: {x1: 1}]\nexpect: [{refused: {errno: EINVAL}}]\n") == []


def test_nothing_is_said_of_what_is_faulty_anyway() -> None:
    assert messages("expect: [{exits: [mmio: {read: nowhere}]}]\n") == [
        "no label and no device is called `nowhere`"
    ]


def test_a_refused_set_up_has_nothing_that_never_comes() -> None:
    text = "expect: [{refused: {errno: EINVAL}, never: [mmio: {read: 0}]}]\n"
    assert messages(text) == ["a refused set-up has no `never`"]


def test_a_clause_knows_what_must_be_done_for_it() -> None:
    text = (
        "on: [{exit: 1, then: [set: {x0: 1}]}, {exit: 7, then: [set: {x0: 1}]}]\n"
        "expect:\n"
        "- kernels: '6.12'\n"
        "  exits: [mmio: {read: 0, reply: 1, repeat: 2}, mmio: {read: 8}]\n"
        "- kernels: '7.3'\n"
        "  exits: [mmio: {read: 0, repeat: 9}]\n"
    )
    old, new = (case.expectation for case in small(text).cases(["6.12", "7.3"]))
    assert old is not None
    assert new is not None
    assert sorted(one.exit for one in old.acting) == [0, 1, 1]
    assert [one.exit for one in new.acting] == [1, 7]


@pytest.mark.parametrize(
    ("text", "vmms", "what"),
    [
        ("vcpus: 2\nvmm: [plain, qemu]\n", "qemu", "several vCPUs"),
        ("vcpus: 2\nvmm: firecracker\n", "firecracker", "several vCPUs"),
        ("before: [create_vcpu: 1]\nvmm: [plain, qemu, crosvm]\n", "qemu, crosvm", "several vCPUs"),
        ("before: [snapshot: a, restore: a]\nvmm: [plain, kvmtool]\n", "kvmtool", "a new VM"),
    ],
)
def test_what_no_debugger_has_is_an_error(text: str, vmms: str, what: str) -> None:
    """Each such case was a skip on every machine."""
    text += f"{STEPS}expect: [exits: [debug: {{step: start}}]]\n"
    with pytest.raises(InvalidScenario, match=f"no machine runs {what} with") as invalid:
        small(text)
    (found,) = invalid.value.diagnostics
    assert f"cases with {vmms}, such as made@" in found.found


@pytest.mark.parametrize(
    "text",
    [
        "vcpus: 2\nvmm: plain\nexpect: [exits: [mmio: {read: 0}]]\n",
        "before: [snapshot: a, restore: {snapshot: a, into: same_vm}]\nvmm: qemu\n"
        "expect: [exits: [mmio: {read: 0}]]\n",
        "vcpus: 2\nvmm: [plain]\nexpect: [{vmm: plain, exits: [mmio: {read: 0}]}]\n",
        "vcpus: 2\nvmm: [plain, qemu]\n"
        "expect: [{vmm: qemu, refused: {errno: EINVAL}}, exits: [mmio: {read: 0}]]\n",
    ],
)
def test_several_vcpus_without_a_debugger_are_none(text: str) -> None:
    assert messages(text) == []


TURNS = "vcpus: 2\nlimits: {exits: 3}\n"
ON_1 = "before: [run_vcpu: 1]\n"
ON_EXIT_OF_1 = "on: [{first: {any: {vcpu: 1}}, then: [set: {x1: 1}]}]\n"


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("expect: [exits: [any: {vcpu: 1}]]\n", CANNOT_COME),
        ("expect: [exits: [mmio: {read: 0, vcpu: 1}]]\n", CANNOT_COME),
        (f"{ON_1}expect: [exits: [mmio: {{read: 0}}]]\n", CANNOT_COME),
        ("expect: [never: [any: {vcpu: 1}]]\n", NEVER_SHOWN),
        (f"{ON_1}expect: [never: [mmio: {{read: 0}}]]\n", NEVER_SHOWN),
        (f"{ON_EXIT_OF_1}expect: [exits: [any: {{repeat: 3}}]]\n", NOT_DONE),
    ],
)
def test_an_exit_of_a_vcpu_that_is_never_run_is_an_error(text: str, wrong: str) -> None:
    assert wrong in messages(TURNS + text)
    turn = "on: [{exit: 0, then: [run_vcpu: 0]}, {exit: 1, then: [run_vcpu: 1]}]\n"
    turn = turn if "on:" not in text else "quantum: 1000\n"
    assert wrong not in messages(TURNS + turn + text)
    assert wrong not in messages(TURNS + "quantum: 1000\n" + text)
