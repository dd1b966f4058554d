"""Traces of all makes are read: what each line shows, and what is said of one that is none."""

from __future__ import annotations

from pathlib import Path

import pytest
from vcpu_scenario.field.reading import read_trace
from vcpu_scenario.field.records import UNSHOWN, BadTrace, FieldTrace

FTRACE = """\
# tracer: nop
#
#           TASK-PID     CPU#  |||||  TIMESTAMP  FUNCTION
#              | |         |   |||||     |         |
          qemu-128     [000] d....    16.682849: kvm_entry: PC: 0x0000000040000000
          qemu-128     [000] .....    16.682901: {exit} PC: 0x0000000040000004
          qemu-128     [000] .....    16.682907: kvm_guest_fault: ipa 0x9000000, hsr 0x93800046, \
hxfar 0x9000018, pc 0x00000040000004
          qemu-128     [000] .....    16.683348: kvm_mmio: mmio write len 4 gpa 0x9000018 val 0x41
          qemu-128     [000] .....    16.683355: kvm_userspace_exit: reason KVM_EXIT_MMIO (6)
"""
EXIT = "kvm_exit: TRAP: HSR_EC: 0x0024 (DABT_LOW),"
CALL = "7 ioctl(5, KVM_RUN, 0) = 0\n7 ioctl(5, KVM_RUN, "
LATER = " <unfinished ...>\n7 <... ioctl resumed>"
ASKED = " v-1 [000] 1.0: kvm_set_guest_debug: vcpu: 0, flags: 0x20001\n"
REGSET = " v-1 [000] 1.0: kvm_arm_set_regset: 1 BKPTS "
ENDLESS = {
    "blanks before a number": "kvm_guest_fault: ipa" + " " * 60_000 + "z",
    "many beginnings of an interrupt": "kvm_irq_line: " + "Inject " * 8_000,
    "many beginnings of breakpoints": "kvm_arm_set_regset: " + "1 A CTRL:{" * 6_000,
}
"""What none but a stranger writes, and takes a careless pattern seconds for a line."""


def read(tmp_path: Path, text: str | bytes) -> FieldTrace:
    path = tmp_path / "trace.txt"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return read_trace(str(path))


def fault(tmp_path: Path, text: str | bytes) -> BadTrace:
    with pytest.raises(BadTrace) as caught:
        read(tmp_path, text)
    return caught.value


def test_an_exit_has_what_the_lines_before_it_show(tmp_path: Path) -> None:
    (seen,) = read(tmp_path, FTRACE.format(exit=EXIT)).exits
    assert (seen.exit, seen.errno, seen.span.line) == ("MMIO", 0, 9)
    values = {name: fact.value for name, fact in seen.facts.items()}
    assert values == {
        "entered": 0x4000_0000,
        "left": 0x4000_0004,
        "hsr": 0x24 << 26,
        "ipa": 0x900_0018,
        "iss": 0x180_0046,
        "is_write": 1,
        "len": 4,
        "addr": 0x900_0018,
        "data": 0x41,
    }
    assert seen.facts["addr"].span.line == 8


@pytest.mark.parametrize(
    "head",
    [
        "  qemu-system-aar-128   [003] d..2.  16.68: ",  # ftrace
        "  qemu-system-aar-128   [003] d..2    16.682849: ",  # up to 5.16
        "  qemu-128   (    128) [003] d..2.    16.682849: ",  # with record-tgid
        "     CPU 0/KVM-128   [003]   16.682849: ",  # trace-cmd report
        "CPU 0/KVM   128 [003] 16.682849: kvm:",  # perf script
        "CPU 0/KVM 120/128 [003] 16.682849123: kvm:",
    ],
)
def test_the_head_of_a_line_may_be_of_any_tracer(tmp_path: Path, head: str) -> None:
    lines = [f"{head}{text}\n" for text in ("kvm_entry: PC: 0x4", "kvm_userspace_exit: {}")]
    (seen,) = read(tmp_path, "".join(lines).format("reason KVM_EXIT_DEBUG (4)")).exits
    assert seen.exit == "DEBUG"
    assert seen.facts["entered"].value == 4


@pytest.mark.parametrize(
    ("reason", "exit_", "errno"),
    [
        ("KVM_EXIT_MMIO (6)", "MMIO", 0),
        ("0x18 (24)", "SYSTEM_EVENT", 0),  # more than the kernel's table has names for
        ("restart (4)", "INTR", 4),
        ("error (38)", "", 38),
    ],
)
def test_how_a_run_ended_is_told_by_its_number(
    tmp_path: Path, reason: str, exit_: str, errno: int
) -> None:
    (seen,) = read(tmp_path, f" vmm-1 [000] 1.0: kvm_userspace_exit: reason {reason}\n").exits
    assert (seen.exit, seen.errno) == (exit_, errno)


def test_a_system_event_is_of_the_hypercall_before_it(tmp_path: Path) -> None:
    text = (
        " vmm-1 [000] 1.0: kvm_hvc_arm64: HVC at 0x00040008 (r0: 0x84000009, imm: 0x0)\n"
        " vmm-1 [000] 1.0: kvm_userspace_exit: reason KVM_EXIT_SYSTEM_EVENT (24)\n"
    )
    (seen,) = read(tmp_path, text).exits
    assert seen.facts["type"].value == 2


def test_each_thread_is_a_vcpu(tmp_path: Path) -> None:
    line = " CPU {}/KVM-{} [000] 1.0: kvm_userspace_exit: reason KVM_EXIT_MMIO (6)\n"
    found = read(tmp_path, line.format(0, 70) + line.format(1, 71) + line.format(0, 70))
    assert [seen.vcpu for seen in found.exits] == [0, 1, 0]
    assert found.vcpus == 2


def test_lost_events_are_told_with_their_line(tmp_path: Path) -> None:
    text = "CPU:2 [LOST 4711 EVENTS]\n" + FTRACE.format(exit=EXIT)
    ((span, words),) = read(tmp_path, text).lost
    assert (span.line, words) == (1, "4711 events were lost here: exits may be missing")


def test_an_event_that_trace_cmd_does_not_show_is_told_once(tmp_path: Path) -> None:
    text = FTRACE.format(exit="kvm_exit:             <CANT FIND FIELD exit_reason>")
    found = read(tmp_path, text + text)
    ((span, words),) = found.lost
    assert span.line == 6
    assert words.startswith("kvm_exit is shown without its fields; `trace-cmd report -N`")
    assert "left" not in found.exits[0].facts
    assert found.exits[0].facts["addr"].value == 0x900_0018


def test_what_trace_cmd_puts_before_the_fields_is_passed_over(tmp_path: Path) -> None:
    hidden = 'kvm_exit:      CAN\'T FIND FIELD "vcpu_id"<CANT FIND FIELD exit_reason>'
    text = FTRACE.format(exit=EXIT).replace("kvm_exit: ", hidden)
    found = read(tmp_path, text)
    assert found.lost == ()
    assert found.exits[0].facts["left"].value == 0x4000_0004
    assert text.splitlines()[5][found.exits[0].facts["left"].span.column - 1 :].startswith("TRAP:")


def test_breakpoints_are_read_as_trace_cmd_prints_them(tmp_path: Path) -> None:
    """The addresses of the names for the names, the breakpoints first, and decimals."""
    events = (
        "kvm_set_guest_debug: vcpu: 0xffff1c3dc8770000, flags: 0x00020001",
        "kvm_arm_set_regset: 6 ffffa19b6d436d50 CTRL:485 0 0 0 0 0 VALUE:1073741828 0 0 0 0 0",
        "kvm_arm_set_regset: 4 ffffa19b6d436d58 CTRL:511 0 0 0 VALUE:1073807368 0 0 0",
        "kvm_userspace_exit: reason KVM_EXIT_DEBUG (4)",
    )
    (seen,) = read(tmp_path, "".join(f" vmm-1 [000] 1.0: {each}\n" for each in events)).exits
    assert seen.debugging is not None
    assert seen.debugging.breakpoints == (0x4000_0004,)
    assert [at for at, _, _ in seen.debugging.watchpoints] == [0x4001_0008]


def test_an_error_of_which_trace_cmd_does_not_show_the_number_is_one(tmp_path: Path) -> None:
    line = " vmm-1 [000] 1.0: kvm_userspace_exit:   reason KVM_EXIT_UNKNOWN (0)\n"
    (seen,) = read(tmp_path, line).exits
    assert (seen.exit, seen.errno) == ("", UNSHOWN)


def test_what_the_vmm_answered_is_with_the_read(tmp_path: Path) -> None:
    head = " vmm-1 [000] 1.0: "
    text = "".join(
        f"{head}{event}\n"
        for event in (
            "kvm_mmio: mmio unsatisfied-read len 4 gpa 0x9000018 val 0x0",
            "kvm_userspace_exit: reason KVM_EXIT_MMIO (6)",
            "kvm_mmio: mmio read len 4 gpa 0x9000018 val 0x90",
            "kvm_userspace_exit: reason KVM_EXIT_DEBUG (4)",
        )
    )
    first, second = read(tmp_path, text).exits
    assert (first.reply, second.reply) == (0x90, None)


STRACE = """\
128   ioctl(4, KVM_CREATE_VCPU, 0)      = 5
128   ioctl(5, KVM_SET_GUEST_DEBUG, 0xffffee96e408) = 0
128   ioctl(5, KVM_RUN, 0)              = 0 (KVM_EXIT_MMIO)
128   ioctl(5, KVM_RUN, 0)              = -1 EINTR (Interrupted system call)
"""


def test_strace_names_the_exits_that_it_was_asked_for(tmp_path: Path) -> None:
    first, second = read(tmp_path, STRACE).exits
    assert (first.exit, first.errno, first.debugging is None) == ("MMIO", 0, False)
    assert (second.exit, second.errno) == ("INTR", 4)


@pytest.mark.parametrize(
    "line",
    [
        "ioctl(15, KVM_RUN, 0) = 0",
        "[pid  4711] ioctl(15, KVM_RUN, 0)       = 0",
        "4711 12:00:01.123456 ioctl(15, KVM_RUN, 0) = 0 <0.000042>",
        "1700000000.123456 ioctl(15<anon_inode:kvm-vcpu:0>, KVM_RUN, 0) = 0",
    ],
)
def test_strace_with_any_options_is_read(tmp_path: Path, line: str) -> None:
    (seen,) = read(tmp_path, line + "\n").exits
    assert (seen.exit, seen.errno) == ("", 0)


def test_a_call_that_strace_tells_in_two_lines_is_one(tmp_path: Path) -> None:
    text = (
        "71 ioctl(9, KVM_RUN, 0 <unfinished ...>\n"
        "72 ioctl(8, KVM_RUN, 0 <unfinished ...>\n"
        "71 <... ioctl resumed>) = 0 (KVM_EXIT_DEBUG)\n"
        "72 <... ioctl resumed>) = ? <unavailable>\n"
    )
    (seen,) = read(tmp_path, text.replace("= ? <unavailable>", "= ?")).exits
    assert (seen.exit, seen.span.line) == ("DEBUG", 3)


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("", 1, "no trace of KVM"),
        ("hello\nworld\n", 1, "no trace of KVM"),
        ("\n".join(["x"] * 5) + "\0", 5, "not text"),
        (FTRACE.format(exit="kvm_exit: TRAP: HSR_"), 6, "no kernel prints this event so"),
        (" v-1 [000] 1.0: kvm_userspace_exit: reas\n", 1, "no kernel prints this event so"),
        (" v-1 [000] 1.0: kvm_userspace_exit: reason ? (999)\n", 1, "no exit of KVM has"),
        (" v-1 [000] 1.0: kvm_entry: PC: 0x4\n", 1, "it has no exit"),
        ("7 ioctl(5, KVM_RUN, 0\n", 1, "what KVM_RUN gave is not on this line"),
        ("7 ioctl(5, KVM_RUN, 0) = 0 (KVM_EXIT_NONE)\n", 1, "`KVM_EXIT_NONE` is no exit of KVM"),
        ("x" * 100_000, 1, "a line of 100,000 characters"),
        ("\n" * 2_000_001, 2_000_001, "it has more than 2,000,000 lines"),
        (f"{CALL}{'x' * 40_000}{LATER}{'x' * 40_000}{LATER}\n", 3, "a call of 80,"),
        (f"{ASKED}{REGSET}CTRL:{'9' * 5_000} VALUE:4\n", 2, "no kernel prints this event so"),
        (f"{ASKED}{REGSET}CTRL:{{{'x'}}} VALUE:{{4}}\n", 2, "no kernel prints this event so"),
    ],
)
def test_a_trace_that_cannot_be_read_says_where_and_why(
    tmp_path: Path, text: str, line: int, message: str
) -> None:
    found = fault(tmp_path, text)
    assert found.diagnostic.span.line == line
    assert found.diagnostic.message.startswith(message)


@pytest.mark.parametrize("what", ENDLESS)
def test_no_line_takes_for_ever(tmp_path: Path, what: str) -> None:
    hidden = ENDLESS[what].replace(": ", ': CAN\'T FIND FIELD "x"', 1)
    lines = [f" v-1 [000] 1.0: {hidden}\n"] * 40
    found = read(tmp_path, ASKED + "".join(lines) + FTRACE.format(exit=EXIT))
    assert [words.partition(" is shown")[0] for _, words in found.lost] == [
        ENDLESS[what].partition(":")[0]
    ]


def test_what_a_call_gave_is_looked_for_at_the_end_of_its_line(tmp_path: Path) -> None:
    line = f"ioctl(5, KVM_RUN, 0){'= 0 ' * 16_000}"
    with pytest.raises(BadTrace, match="what KVM_RUN gave"):
        read(tmp_path, f"{line}x\n" * 40)
    assert len(read(tmp_path, f"{line} = 0 (KVM_EXIT_DEBUG)\n" * 40).exits) == 40


def test_bytes_of_no_text_at_all_are_told(tmp_path: Path) -> None:
    assert fault(tmp_path, bytes(range(256))).diagnostic.message == "not text"
    found = fault(tmp_path, b"\xff\xfe 7 ioctl(5, KVM_RUN, 0) = 0 (\xff)\n")
    assert found.diagnostic.message == "no trace of KVM"


def test_what_is_no_file_is_told(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "none", Path("/dev/zero")):
        with pytest.raises(BadTrace):
            read_trace(str(path))
