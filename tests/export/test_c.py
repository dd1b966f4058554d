"""What a program says and does: compiled without warnings, refused where C cannot say it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import get_args

import pytest
from msgspec.structs import replace
from vcpu_scenario.case import Action
from vcpu_scenario.export import actions
from vcpu_scenario.export.c import VMMS as IN_C
from vcpu_scenario.export.c import program
from vcpu_scenario.export.course import refusal_of
from vcpu_scenario.export.refusal import Unexportable
from vcpu_scenario.export.styles import SELFTEST
from vcpu_scenario.export.subject import subjects
from vcpu_scenario.export.text import identifiers
from vcpu_scenario.kvm.registers import SYSTEM_REGISTERS
from vcpu_scenario.language import load
from vcpu_scenario.vmm.vmms import VMMS

from .conftest import EVERYTHING, ROOT, SHIPPED, compiled, only, shipped

_VARIED = (
    "single-step/access-handled-by-userspace",
    "thread/qemu-in-kernel-and-user-mmio",
    "thread/pl011-write",
    "in-kernel/coalesced-writes-stepped",
    "in-kernel/ioeventfd-takes-only-its-value",
    "hypercalls/psci-version",
    "rules/psci-system-suspend",
    "rules/vgic-sgi-from-two-sources",
    "watchpoints/address-of-the-access",
    "snapshots/counters-of-a-pmu",
    "mmio/cfi-flash",
    "mmio/pl011-interrupt",
    "vcpus/turns",
)
"""Between them they have every part of a program."""


def named(name: str) -> Path:
    return ROOT / "scenarios" / f"{name}.vcpu.yaml"


@pytest.mark.slow
@pytest.mark.parametrize("name", _VARIED)
def test_a_program_compiles_without_a_warning(name: str, compiler: str, tmp_path: Path) -> None:
    for subject in shipped(named(name)):
        assert compiled(subject, compiler, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("kernels", [(), ("6.12",)])
def test_what_no_shipped_scenario_has_compiles_as_well(
    kernels: tuple[str, ...], compiler: str, tmp_path: Path
) -> None:
    for path in (EVERYTHING, named("thread/qemu-adjacent-user-mmio")):
        for subject in subjects(load(path), kernels):
            assert compiled(subject, compiler, tmp_path)


def test_a_program_reads_as_it_did(golden: Callable[[str, str], None]) -> None:
    for name in _VARIED[:2]:
        subject = shipped(named(name))[-1]
        golden(f"{subject.file_name}.c", program(subject))


def test_a_selftest_reads_as_it_did(golden: Callable[[str, str], None]) -> None:
    (subject,) = subjects(load(named(_VARIED[0])), ("6.12",))
    golden("selftest.c", program(subject, style=SELFTEST))


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem.split(".")[0])
def test_a_selftest_asks_its_harness_and_no_file_descriptor(path: Path) -> None:
    for subject in shipped(path):
        used = identifiers(program(subject, style=SELFTEST))
        assert used >= {"vm_create_barebones", "__vm_vcpu_add", "ksft_set_plan"}
        assert "__vcpu_run" in used or all(map(refusal_of, subject.branches))
        assert used.isdisjoint({"exit"} | ({"kvm_fd"} if "kvm_call" not in used else set()))
        assert used.isdisjoint(f"REG_{name.upper()}" for name in SYSTEM_REGISTERS), "sysreg-defs.h"
        by_hand = {"must", "vm_fd", *(() if "userfaults" in used else ("ioctl",))}
        assert any(map(refusal_of, subject.branches)) or used.isdisjoint(by_hand)


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem.split(".")[0])
def test_every_shipped_scenario_can_be_exported(path: Path) -> None:
    for subject in shipped(path):
        text = program(subject)
        assert text.isascii()
        text = text.replace(subject.file_name, "").replace(subject.short_name, "")
        lines = text.expandtabs(8).split("\n")
        assert max(map(len, lines)) <= 100


STEP = """\
title: a step
guest:
  code: |
    start: nop
    next:  nop
debug: {single_step: true}
"""


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("expect: [{exits: [debug: {step: next}], xfail: {reason: no, link: http://x}}]", "xfail"),
        ("limits: {repeats: 3}\nexpect: [{exits: [debug: {step: next}]}]", "limits.repeats"),
        ("before: [host_interrupt: true]\nexpect: [{exits: [debug: {step: next}]}]", "host_inte"),
        (
            "expect: [{exits: [debug: {step: next, repeat: {least: 1, most: 9999}}]}]",
            "exits that repeat",
        ),
        ("vcpus: 2\nbefore: [snapshot: a]\nexpect: [{exits: []}]", "several vCPUs"),
        (
            "before: [snapshot: a, add_memory: {at: 2GiB, size: 4KiB}]\nexpect: [{exits: []}]",
            "memory slots that change",
        ),
        (
            "before: [snapshot: a, restore: a, discard_memory: {slot: 0, userfaultfd: true}]\n"
            "expect: [{exits: []}]",
            "a new VM beside a userfaultfd",
        ),
        (
            "vcpus: 2\nquantum: 100\nbefore: [immediate_exit: true]\nexpect: [{exits: []}]",
            "quantum beside",
        ),
        (
            "devices: {uart: {handled_by: userspace, model: pl011, at: 9MiB, console: true}}\n"
            "expect: [{exits: []}]",
            "a console of a vCPU that is stepped",
        ),
    ],
)
def test_what_c_cannot_say_is_refused_by_name(text: str, what: str, tmp_path: Path) -> None:
    with pytest.raises(Unexportable, match=what):
        program(only(STEP + text, tmp_path))


def test_a_vmm_that_is_not_there_in_c_is_refused(tmp_path: Path) -> None:
    assert set(VMMS) > IN_C
    subject = replace(
        only(f"{STEP}expect: [{{exits: [debug: {{step: next}}]}}]", tmp_path), vmm="x"
    )
    with pytest.raises(Unexportable, match="the VMM x"):
        program(subject)


ENDS = """\
title: an end
guest: {code: "start: hvc #0; brk #0"}
on: [{exit: 0, then: [mp_state: runnable]}]
debug: {software_breakpoints: true}
"""


@pytest.mark.parametrize(
    "expected",
    [
        "exits: [system_event: {type: shutdown}, debug: {brk: start}]",
        "exits: [system_event: {type: shutdown}, debug: {brk: start, repeat: {least: 0, most: 1}}]",
        "final: {regs: {x1: 5}}",
    ],
)
def test_a_program_goes_on_after_an_end_where_its_vmm_acts(expected: str, tmp_path: Path) -> None:
    expect = f"expect: [{{{expected}}}]\n"
    assert "goes_on = true;" in program(only(ENDS + expect, tmp_path))
    ends = f"{ENDS}limits: {{stop_on_event: true}}\n"
    if "exits" not in expected:
        assert "goes_on" not in program(only(ends + expect, tmp_path))


SEVERAL = """\
title: vCPUs
guest: {code: "start: brk #0"}
debug: {software_breakpoints: true}
vcpus: 2
"""


POLLED = """\
title: a device is polled
guest: {words: [0xb9400001, 0xb9400001, 0xd4000002], symbols: {start: 0x40000000}}
devices: {uart: {handled_by: userspace, at: 0x09000000}}
on:
  - {nth: 2, of: {mmio: {read: 0x09000000, regs: {x1: 7}}}, then: [set: {x2: 1}]}
  - {each: {mmio: {read: 0x09000000}}, then: [set: {x3: 1}]}
expect:
"""
READ = "mmio: {read: 0x09000000, len: 4}"


@pytest.mark.parametrize(
    ("exits", "reacts", "ends"),
    [
        (f"{READ}, {READ}, system_event: {{type: reset}}", "\tgo_on();", "return true;"),
        (
            f"{READ}, {READ}, {READ[:-1]}, then: [get: {{x2: 1}}]}}",
            "\tgo_on();",
            "return nr_exits != 3;",
        ),
        (f"{READ[:-1]}, repeat: {{least: 2}}}}", "} while (go_on());", "return true;"),
    ],
)
def test_where_a_pattern_may_fit_a_program_looks_itself(
    exits: str, reacts: str, ends: str, tmp_path: Path
) -> None:
    text = program(only(f"{POLLED}- exits: [{exits}]\n", tmp_path))
    assert "same(get_reg(REG_X(1)), 0x7) && ++nr_due_0 == 2;" in " ".join(text.split())
    assert "bool due_1 = is_mmio_read(" in text
    assert text.index("if (due_0)") < text.index("if (due_1)")
    assert reacts in text
    assert ends in text


def test_where_what_is_expected_says_which_exit_fits_its_number_is_enough(tmp_path: Path) -> None:
    said = READ[:-1] + ", regs: {x1: 7}}"
    exits = f"{READ[:-1]}, regs: {{x1: 5}}}}, {said}, {said}, system_event: {{}}"
    text = program(only(f"{POLLED}- exits: [{exits}]\n", tmp_path))
    assert "due_0" not in text
    assert text.count("set_reg(REG_X(2), 0x1);") == 1
    assert text.count("set_reg(REG_X(3), 0x1);") == 3


def test_an_exit_is_of_the_vcpu_whose_turn_it_is(tmp_path: Path) -> None:
    text = program(
        only(
            f"{SEVERAL}before: [run_vcpu: 1, mp_state: runnable]\n"
            "expect: [{exits: [debug: {brk: start, vcpu: 1}]}]\n",
            tmp_path,
        )
    )
    assert "\tturn_to(1);\n\tset_mp_state(KVM_MP_STATE_RUNNABLE);\n" in text
    assert "\texpect(is_brk(PC(start)));\n\texpect(same(vcpu_nr, 1));\n" in text
    assert "\t\tinit_vcpu(1 << KVM_ARM_VCPU_PSCI_0_2 | 1 << KVM_ARM_VCPU_POWER_OFF);\n" in text


def test_vcpus_take_turns_by_themselves(tmp_path: Path) -> None:
    expect = "expect: [{exits: [debug: {brk: start}]}]\n"
    turns = "} while (result == -EINTR && --turns && turn_to_next());"
    assert turns in program(only(f"{SEVERAL}quantum: 1000\n{expect}", tmp_path))
    assert turns not in program(only(f"{SEVERAL}{expect}", tmp_path))


KEPT = """\
title: kept
guest: {code: "start: brk #0"}
debug: {software_breakpoints: true}
before: [snapshot: a b, snapshot: a-b]
on:
  - first: {debug: {}}
    then: [restore: {snapshot: a-b, into: INTO, refused: {id_aa64isar0_el1: EBUSY}}]
expect: [{exits: [debug: {brk: start}, any: {}]}]
"""


@pytest.mark.parametrize(
    ("into", "begun"),
    [("same_vm", "init_vcpu(1 << KVM_ARM_VCPU_PSCI_0_2);"), ("new_vm", "new_vm();")],
)
def test_a_snapshot_is_restored_into_a_vcpu_that_is_as_new(
    into: str, begun: str, tmp_path: Path
) -> None:
    text = program(only(KEPT.replace("INTO", into), tmp_path))
    assert "\ttake_snapshot(&snapshot_a_b);\n\ttake_snapshot(&snapshot_a_b_);\n" in text
    assert (
        "\texpect_refusal(ONE_REG_ID_AA64ISAR0_EL1, EBUSY);\n"
        f"\t{begun}\n\trestore_snapshot(&snapshot_a_b_);\n"
    ) in text
    assert ("static void new_vm(void)" in text) == (into == "new_vm")


def test_a_program_for_a_cpu_looks_for_it(tmp_path: Path) -> None:
    text = f"{STEP}expect: [{{exits: [debug: {{step: next}}]}}]\n"
    assert "running_cpu" not in program(only(text, tmp_path))
    for cpu in ("cortex-a57", "cortex-a76"):
        macro = f"CPU_{cpu.upper().replace('-', '_')}"
        made = program(only(f"{text}host: {cpu}\n", tmp_path))
        assert f"\tif (running_cpu() != {macro})\n\t\tskip(" in made
        assert f"#define {macro}\t0x4100d" in made
    assert "running_cpu" not in program(only(f"{text}host: [default, protected]\n", tmp_path))


ASKED = """\
title: asked
guest: {code: "start: brk #0"}
debug: {software_breakpoints: true}
before: [{ACTION}]
expect: [{exits: [debug: {brk: start}]}]
"""


@pytest.mark.parametrize(
    ("action", "line"),
    [
        (
            "check_extension: {cap: max_vcpus, value: 512}",
            'expect_answer(check_extension(KVM_CAP_MAX_VCPUS), 512, "KVM_CHECK_EXTENSION");',
        ),
        (
            "check_extension: {cap: msi_devid, of: system}, errno: EINVAL",
            'must_fail(system_extension(KVM_CAP_MSI_DEVID), EINVAL, "KVM_CHECK_EXTENSION");',
        ),
        (
            "get_mp_state: stopped",
            'expect_answer(get_mp_state(), KVM_MP_STATE_STOPPED, "KVM_GET_MP_STATE");',
        ),
        (
            "preferred_target: 5",
            'expect_answer(preferred_target(), 5, "KVM_ARM_PREFERRED_TARGET");',
        ),
        (
            "get_vcpu_events: {serror_pending: true}",
            "expect_vcpu_events(&(struct kvm_vcpu_events) {",
        ),
        (
            "set_device_addr: {id: 1, addr: 0x8000000}, errno: ENODEV",
            'must_fail(set_device_addr(0x1, 0x8000000), ENODEV, "KVM_ARM_SET_DEVICE_ADDR");',
        ),
        (
            "has_vm_attr: {group: 1}, errno: ENXIO",
            'must_fail(has_vm_attr(1, 0), ENXIO, "KVM_HAS_DEVICE_ATTR");',
        ),
        (
            "ioctl: {request: KVM_GET_CLOCK}, errno: EINVAL",
            'must_fail(vm_call(KVM_GET_CLOCK, &(uint8_t[48]){ 0x0 }), EINVAL, "KVM_GET_CLOCK");',
        ),
        (
            "ioctl: {request: KVM_SET_TSS_ADDR, arg: 5}, errno: EINVAL",
            'must_fail(vm_call(KVM_SET_TSS_ADDR, (void *)0x5), EINVAL, "KVM_SET_TSS_ADDR");',
        ),
        ("get: {x5: 9}", "check(same(get_reg(REG_X(5)), 0x9));"),
        ("get: {v5: 0x1_0000_0000_0000_0002}", "check(is_wide_reg(REG_V(5), 0x1, 0x2));"),
        (
            "get: {0x6030000000134fff: 0}, errno: ENOENT",
            'must_fail(try_get_reg(0x6030000000134fff), ENOENT, "KVM_GET_ONE_REG");',
        ),
        (
            "raise: {vcpu: 256, ppi: 20}, errno: EINVAL",
            "must_fail(try_irq_line(KVM_ARM_IRQ_TYPE_PPI, 1 << KVM_ARM_IRQ_VCPU2_SHIFT | 20, 1),",
        ),
        (
            "vcpu_init: {target: 1}, errno: EINVAL",
            'must_fail(try_init_vcpu_as(1, 0x4), EINVAL, "KVM_ARM_VCPU_INIT");',
        ),
        ("create_vcpu: 0, errno: EEXIST", 'must_fail(try_add_vcpu(0), EEXIST, "KVM_CREATE_VCPU");'),
        ("create_vm: 31, errno: EINVAL", 'must_fail(try_vm(0x1f), EINVAL, "KVM_CREATE_VM");'),
        (
            "enable_cap: {cap: 9999}, errno: EINVAL",
            'must_fail(enable_vm_cap(9999, 0x0, 0x0), EINVAL, "KVM_ENABLE_CAP");',
        ),
    ],
)
def test_what_a_vmm_asks_is_a_call_of_its_own(action: str, line: str, tmp_path: Path) -> None:
    text = program(only(ASKED.replace("ACTION", action), tmp_path))
    assert f"\t{line}" in text


def test_every_action_is_there_in_c() -> None:
    assert set(actions._OF) == set(get_args(Action))


def test_what_the_author_says_stands_beside_the_exit(tmp_path: Path) -> None:
    text = program(
        only(
            f"{STEP}expect:\n  - exits:\n      # above\n      - debug: {{step: next}}  # behind\n"
            "      - debug: {step: next+4, note: noted}\n",
            tmp_path,
        )
    )
    assert "\t/* above behind */\n\trun_vcpu();\n\texpect(is_step(PC(next)));\n" in text
    assert "\t/* noted */\n\trun_vcpu();\n" in text


def test_text_of_the_scenario_cannot_leave_its_comment(tmp_path: Path) -> None:
    text = program(
        only(
            STEP.replace("a step", '"*/ #error \\u2028 /*"')
            + "expect: [{exits: [debug: {step: next, note: '*/ boom'}]}]",
            tmp_path,
        )
    )
    assert "*/ #error" not in text
    assert "*/ boom" not in text


def test_a_run_that_goes_on_behind_its_last_exit_is_a_failure(tmp_path: Path) -> None:
    text = "limits: {exits: 9}\nexpect: [{exits: [debug: {step: next}]}]"
    assert "expect_the_end();" in program(only(STEP + text, tmp_path))
    assert "expect_the_end();" not in program(only(STEP + text.split("\n")[1], tmp_path))
