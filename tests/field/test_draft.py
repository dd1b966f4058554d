"""A draft says what a trace shows, and is a scenario that ``check`` takes whatever that is."""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest
from vcpu_scenario.authoring.formatting import formatted
from vcpu_scenario.field.draft import draft
from vcpu_scenario.field.reading import read_trace
from vcpu_scenario.field.records import BadTrace
from vcpu_scenario.language.loader import loads

HEAD = " vmm-{} [000] 1.0: "
EVENTS = (
    "kvm_entry: PC: 0x{a:x}",
    "kvm_exit: TRAP: HSR_EC: 0x{ec:04x} (SOFTSTP_LOW), PC: 0x{a:x}",
    "kvm_exit: IRQ: HSR_EC: 0x0000 (UNKNOWN), PC: 0x{a:x}",
    "kvm_guest_fault: ipa 0x{b:x}, hsr 0x{c:x}, hxfar 0x{a:x}, pc 0x{a:x}",
    "kvm_mmio: mmio write len {len} gpa 0x{b:x} val 0x{c:x}",
    "kvm_mmio: mmio unsatisfied-read len {len} gpa 0x{b:x} val 0x0",
    "kvm_mmio: mmio read len {len} gpa 0x{b:x} val 0x{c:x}",
    "kvm_mmio_nisv: ipa 0x{b:x}, esr 0x{c:x}, far 0x1, pc 0x{a:x}",
    "kvm_hvc_arm64: HVC at 0x{a:x} (r0: 0x{c:x}, imm: 0x0)",
    "kvm_set_guest_debug: vcpu: 0000000083a4db5a, flags: 0x{flags:08x}",
    "kvm_arm_set_regset: 2 BKPTS CTRL:{{0x{c:x},0x1e7}} VALUE:{{0x{a:x},0x{b:x}}}",
    "kvm_arm_set_regset: 2 WAPTS CTRL:{{0x{c:x},0x1ff}} VALUE:{{0x{a:x},0x{b:x}}}",
    "kvm_irq_line: Inject VGIC SPI interrupt (1), vcpu->idx: 0, num: 33, level: 1",
    *("kvm_userspace_exit: reason KVM_EXIT ({reason})",) * 6,
    "kvm_userspace_exit: reason restart (4)",
    "kvm_userspace_exit: reason error ({errno})",
)


def lines(random: Random) -> str:
    """What no kernel may ever have traced, in the form of what kernels trace."""

    def address() -> int:
        near = 0x4000_0000 + random.randrange(0x2000)
        return random.choice([near, 0x900_0018, random.getrandbits(64), random.getrandbits(40)])

    return "".join(
        HEAD.format(random.choice([1, 1, 2]))
        + random.choice(EVENTS).format(
            a=address(),
            b=address(),
            c=random.choice([random.getrandbits(64), 0x8400_0008, 0x1E7, 0]),
            ec=random.choice([0x24, 0x32, 0x3C, 0x30, 0x34, 0x16, random.randrange(64)]),
            len=random.choice([1, 2, 4, 8, 3, 0, 16]),
            flags=random.choice([1, 3, 0x1_0003, 0x2_0001, 0x3_0003, random.getrandbits(32)]),
            reason=random.choice([6, 4, 24, 28, 3, 10, 8, 9, 17, 39, 0, 5]),
            errno=random.choice([22, 38, 8, 14, 133, 77]),
        )
        + "\n"
        for _ in range(random.randrange(1, 40))
    )


@pytest.mark.slow
def test_a_draft_is_valid_whatever_the_trace_shows(tmp_path: Path) -> None:
    path, drafts = tmp_path / "trace.txt", 0
    for seed in range(300):
        path.write_text(lines(Random(seed)))
        try:
            text = draft(read_trace(str(path)), "trace.txt", "6.12" if seed % 2 else None)
        except BadTrace:
            continue
        loads(formatted(text, path), tmp_path / "draft.vcpu.yaml")
        drafts += 1
    assert drafts > 100


TRACE = """\
 vmm-1 [000] 1.0: kvm_set_guest_debug: vcpu: 0000000083a4db5a, flags: 0x00010003
 vmm-1 [000] 1.1: kvm_entry: PC: 0x0000000040000000
 vmm-1 [000] 1.2: kvm_exit: TRAP: HSR_EC: 0x0020 (IABT_LOW), PC: 0x0000000040000000
 vmm-1 [000] 1.3: kvm_guest_fault: ipa 0x40000000, hsr 0x82000005, hxfar 0x40000000, pc 0x40000000
 vmm-1 [000] 1.4: kvm_entry: PC: 0x0000000040000000
 vmm-1 [000] 1.5: kvm_exit: TRAP: HSR_EC: 0x0032 (SOFTSTP_LOW), PC: 0x0000000040000004
 vmm-1 [000] 1.6: kvm_userspace_exit: reason KVM_EXIT_DEBUG (4)
 vmm-1 [000] 1.7: kvm_entry: PC: 0x0000000040000004
 vmm-1 [000] 1.8: kvm_exit: TRAP: HSR_EC: 0x0024 (DABT_LOW), PC: 0x0000000040000004
 vmm-1 [000] 1.9: kvm_mmio: mmio unsatisfied-read len 4 gpa 0x9000018 val 0x0
 vmm-1 [000] 2.0: kvm_userspace_exit: reason KVM_EXIT_MMIO (6)
 vmm-1 [000] 2.1: kvm_mmio: mmio read len 4 gpa 0x9000018 val 0x90
 vmm-1 [000] 2.2: kvm_entry: PC: 0x0000000040000008
 vmm-1 [000] 2.3: kvm_exit: TRAP: HSR_EC: 0x0032 (SOFTSTP_LOW), PC: 0x0000000040000008
 vmm-1 [000] 2.4: kvm_userspace_exit: reason KVM_EXIT_DEBUG (4)
"""


def test_a_draft_has_the_exits_and_says_what_is_unknown(tmp_path: Path) -> None:
    path = tmp_path / "trace.txt"
    path.write_text(TRACE)
    assert draft(read_trace(str(path)), "trace.txt", "6.12") == (
        """\
title: "imported from trace.txt"
about: |
  3 exits as KVM's tracepoints show them.
  A draft: the guest's code and registers are not in a trace; a placeholder is there.

# TODO: the guest's own code and registers, which no trace has, in the place of these:
# a placeholder that is to make all 3 exits, where the trace has them.
guest:
  at: 0x40000000
  regs: {x1: 0x9000018}
  code: |
    // What the trace shows of it:
    // 0x40000004 was stepped to
    // 0x40000004 reads 4 bytes at 0x9000018
    // 0x40000008 was stepped to
    placeholder:
        nop
        ldr wzr, [x1]
    at_40000008:
        b at_40000008

limits: {exits: 3}

debug: {single_step: true, software_breakpoints: true}

expect:
  - kernels: "6.12"
    exits:
      # in the kernel before: a fault of stage 2
      - debug: {step: 0x40000004}
      - mmio: {read: 0x9000018, len: 4, reply: 0x90}
      - debug: {step: 0x40000008}
"""
    )


@pytest.mark.parametrize(
    ("events", "code"),
    [
        (  # a loop that polls a device
            [("DABT_LOW", 0x24, 0x40000004, "unsatisfied-read len 1 gpa 0x9000018 val 0x0")] * 2,
            "nop|ldrb wzr, [x1]|b at_40000004",
        ),
        (  # two writes, of which the second is jumped to
            [
                ("DABT_LOW", 0x24, 0x40000000, "write len 4 gpa 0x9000000 val 0x41"),
                ("DABT_LOW", 0x24, 0x40000010, "write len 8 gpa 0x9000008 val 0x0"),
            ],
            "str w2, [x1]|b at_40000010|str xzr, [x3]|b at_40000014",
        ),
        (  # another instruction at the same place: only what comes before is made
            [
                ("DABT_LOW", 0x24, 0x40000000, "write len 4 gpa 0x9000000 val 0x41"),
                ("DABT_LOW", 0x24, 0x40000000, "write len 4 gpa 0x9000000 val 0x42"),
            ],
            "str w2, [x1]|b placeholder",
        ),
    ],
)
def test_a_placeholder_makes_the_exits_where_they_came(
    tmp_path: Path, events: list[tuple[str, int, int, str]], code: str
) -> None:
    path = tmp_path / "trace.txt"
    head = HEAD.format(1)
    text = f"{head}kvm_entry: PC: 0x40000000\n"
    for name, ec, pc, mmio in events:
        text += f"{head}kvm_exit: TRAP: HSR_EC: 0x{ec:04x} ({name}), PC: 0x{pc:x}\n"
        text += f"{head}kvm_mmio: mmio {mmio}\n"
        text += f"{head}kvm_userspace_exit: reason KVM_EXIT_MMIO (6)\n"
    path.write_text(text)
    lines = draft(read_trace(str(path)), "trace").splitlines()
    first = lines.index("    placeholder:")
    found = [line.strip() for line in lines[first : lines.index("", first)]]
    instructions = [line for line in found if line[-1] != ":" and line[0] != "."]
    assert "|".join(instructions) == code


def test_a_draft_of_one_exit_without_a_name_asserts_something(tmp_path: Path) -> None:
    path = tmp_path / "trace.txt"
    path.write_text("7 ioctl(5, KVM_RUN, 0) = 0\n")
    text = draft(read_trace(str(path)), "trace")
    assert text.endswith("      - any: {}\n    never:\n      - error: {}\n")
    loads(text, tmp_path / "draft.vcpu.yaml")


def test_exits_that_repeat_are_one_item(tmp_path: Path) -> None:
    path = tmp_path / "trace.txt"
    path.write_text("7 ioctl(5, KVM_RUN, 0) = 0 (KVM_EXIT_MMIO)\n" * 1000)
    assert "      - any: {exit: MMIO, repeat: 1000}\n" in draft(read_trace(str(path)), "trace")
