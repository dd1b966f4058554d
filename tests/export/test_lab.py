"""Exported programs on real kernels give the scenario's verdict, and fail where it is made false.

Needs what ``tests/real/test_real_kernels.py`` needs, and a compiler for arm64.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from vcpu_scenario.export.subject import Subject, subjects
from vcpu_scenario.language import loads
from vcpu_scenario.machine.real.lab import Ended, Lab, Program

from tests.real.conftest import lab as lab

from .conftest import EVERYTHING, ROOT, compiled, shipped

pytestmark = pytest.mark.slow

_NAMES = (
    "single-step/access-handled-by-userspace",
    "thread/qemu-adjacent-user-mmio",
    "in-kernel/coalesced-writes-stepped",
    "in-kernel/ioeventfd-takes-only-its-value",
    "immediate-exit/completes-the-access",
    "hypercalls/psci-version",
    "rules/psci-system-suspend",
    "rules/vgic-sgi-from-two-sources",
    "single-step/store-to-read-only-memory",
    "snapshots/registers-and-memory",
    "mmio/cfi-flash",
    "mmio/pl011-interrupt",
    "vcpus/turns",
)


def status(lab: Lab, subject: Subject, compiler: str, folder: Path) -> tuple[int, str]:
    gic = subject.combination.case.gic
    program = Program(subject.name, compiled(subject, compiler, folder))
    ended = lab.execute(program, gic.version if gic is not None else 3)
    assert isinstance(ended, Ended), ended
    return ended.status, ended.output


def test_a_program_passes_where_the_scenario_does(lab: Lab, compiler: str, tmp_path: Path) -> None:
    for name in _NAMES:
        for subject in shipped(ROOT / "scenarios" / f"{name}.vcpu.yaml"):
            found, output = status(lab, subject, compiler, tmp_path)
            assert found == 0, output
            assert f"ok 1 {subject.short_name}" in output


@pytest.mark.parametrize(
    ("true", "false", "told"),
    [
        ("debug: {step: store, regs: {x1: 0x2a}}", "debug: {step: store}", ""),
        ("len: 4, data: 0x2a, pc: ", "len: 4, data: 0x2b, pc: ", "exit 2: "),
        ("debug: {step: off+8}", "debug: {step: off}", "exit_pc is 0x40000024, not 0x4000001c"),
        ("- system_event: {type: shutdown}", "- system_event: {type: reset}", "type is 0x1"),
    ],
)
def test_a_program_of_a_scenario_made_false_says_what_came(
    lab: Lab, compiler: str, tmp_path: Path, true: str, false: str, told: str
) -> None:
    path = ROOT / "scenarios" / f"{_NAMES[0]}.vcpu.yaml"
    text = path.read_text()
    assert true in text
    (subject,) = subjects(loads(text.replace(true, false), path), ())
    found, output = status(lab, subject, compiler, tmp_path)
    assert found == (1 if told else 0), output
    assert told in output


@pytest.mark.parametrize(
    ("true", "false", "told"),
    [
        ("title", "title", ""),
        ('uart: "A"', 'uart: "B"', "byte 0 of the output is 0x41, not 0x42"),
        ("- hypercall: {nr: 7}", "- mmio: {write: uart, len: 4}", "must never come"),
        ("00 00 00 0b", "00 00 00 0c", "byte 3 of memory at 0x40000800 is 0xb, not 0xc"),
        ("- system_event: {type: shutdown}", "- any: {repeat: 2}", "others were expected"),
        ("x21: 7, x20", "x21: 8, x20", "is 0x7, not 0x8"),
    ],
)
def test_every_part_of_a_program_tells_true_from_false(
    lab: Lab, compiler: str, tmp_path: Path, true: str, false: str, told: str
) -> None:
    text = EVERYTHING.read_text()
    assert true in text
    (subject,) = subjects(loads(text.replace(true, false), EVERYTHING), ())
    found, output = status(lab, subject, compiler, tmp_path)
    assert found == (1 if told else 0), output
    assert told in output


@pytest.mark.parametrize(
    ("name", "true", "false", "told"),
    [
        ("snapshots/registers-and-memory", "quads: [2]", "quads: [3]", "is 0x2, not 0x3"),
        ("snapshots/raised-interrupt", "brk: irq+4", "brk: lost", "exit_pc is"),
        ("mmio/cfi-flash", "x25: 0x00ff2017", "x25: 0x00ff2018", "is 0xff2017, not 0xff2018"),
        ("mmio/pl011-interrupt", "x19: 0x10", "x19: 0x20", "is 0x10, not 0x20"),
        ("mmio/pl011-interrupt", 'uart: ">"', 'uart: "!"', "byte 0 of the output is 0x3e"),
        ("vcpus/turns", "words: [200, 2]", "words: [199, 2]", "is 0xc8, not 0xc7"),
    ],
)
def test_what_a_vmm_does_by_itself_tells_true_from_false(
    lab: Lab, compiler: str, tmp_path: Path, name: str, true: str, false: str, told: str
) -> None:
    path = ROOT / "scenarios" / f"{name}.vcpu.yaml"
    text = path.read_text()
    assert true in text
    made = [*subjects(loads(text.replace(true, false), path), ())]
    found, output = status(lab, made[-1], compiler, tmp_path)
    assert found == 1, output
    assert told in output


def test_what_one_kernel_does_fails_on_another(lab: Lab, compiler: str, tmp_path: Path) -> None:
    (path,) = (ROOT / "scenarios").glob(f"{_NAMES[0]}.vcpu.yaml")
    for kernel, passes in (("5.10", {"5.10"}), ("6.12", {"6.1", "6.12", "6.16", "6.17", "7.2"})):
        (subject,) = subjects(loads(path.read_text(), path), [kernel])
        found, output = status(lab, subject, compiler, tmp_path)
        assert found == (0 if lab.kernel in passes else 1), output


def test_a_program_of_a_kernel_that_nothing_is_expected_of_is_skipped(
    lab: Lab, compiler: str, tmp_path: Path
) -> None:
    text = (
        "title: none\nguest: {words: [0xd503201f]}\ndebug: {single_step: true}\n"
        "expect: [{kernels: '4.14', exits: [debug: {step: 0x40000004}]}]\n"
    )
    (subject,) = subjects(loads(text, tmp_path / "none.vcpu.yaml"), ())
    found, output = status(lab, subject, compiler, tmp_path)
    assert (found, "# SKIP nothing is expected of this kernel" in output) == (4, True)
