"""Recording: a clause in a scenario whose other text stays, and traces that conform reads."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from vcpu_scenario.cli import main
from vcpu_scenario.recordings.jobs import jobs

from tests.guests import listed

TEXT = """\
# above
title: step over a load
guest:
  at: 0x40000000
  words: CODE   # mov, ldr, add, brk
debug: {single_step: true, software_breakpoints: true}

expect:
  # old
  - kernels: "5.10"   # beside
    exits: []
  # new
  - kernels: ">=5.11"
    exits: [debug: {step: 0x40000008}]
  # below
""".replace("CODE", listed("mov x0, #0x09000000; ldr w1, [x0, #0x18]; add x2, x2, #1; brk #7"))


@pytest.fixture
def scenario(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("CI", raising=False)
    path = tmp_path / "a.vcpu.yaml"
    path.write_text(TEXT)
    return path


@pytest.mark.slow
@pytest.mark.parametrize("kernel", ["5.10", "6.12"])
def test_what_is_recorded_passes_and_all_else_stays(scenario: Path, kernel: str) -> None:
    assert main(["record", str(scenario), "--machine", f"emulated:{kernel}", "--yes"]) == 0
    assert main(["run", str(scenario), "--kernel", kernel]) == 0
    left = [line for line in TEXT.splitlines() if "5.10" not in line and "[]" not in line]
    kept = scenario.read_text().splitlines()
    assert [line for line in kept if line in left] == left


POLL = """\
title: a device is polled
guest:
  words: CODE
  symbols: {start: 0x40000000, poll: 0x40000004, write: 0x4000000c, done: 0x40000010}
devices:
  uart: {handled_by: userspace, model: scripted, at: 0x09000000, replies: {0x18: [0x20, 0]}}
debug: {single_step: true, software_breakpoints: true}
observe: [x1]
""".replace(
    "CODE",
    listed("""
        start: mov x0, #0x09000000
        poll: ldr w1, [x0, #0x18]
        tbnz w1, #5, poll
        write: str w1, [x0]
        done: brk #7
    """),
)


def recorded(text: str, kernel: str, tmp_path: Path) -> str:
    """What is added to a scenario that expects nothing."""
    path = tmp_path / "poll.vcpu.yaml"
    path.write_text(text)
    assert main(["record", str(path), "--machine", f"emulated:{kernel}", "--yes"]) == 0
    assert main(["run", str(path), "--kernel", kernel]) == 0
    return path.read_text().removeprefix(text)


@pytest.mark.usefixtures("scenario")
def test_exits_are_written_as_an_author_would(tmp_path: Path) -> None:
    assert (
        recorded(POLL, "6.12", tmp_path)
        == """
expect:
  - kernels: "6.12"
    exits:
      - debug: {step: poll, regs: {x1: 0}}
      - mmio: {read: uart+0x18, len: 4, pc: poll}
      - debug: {step: poll+4, after_emulation: true, regs: {x1: 0x20}}
      - debug: {step: poll}
      - mmio: {read: uart+0x18, len: 4, pc: poll}
      - debug: {step: poll+4, after_emulation: true, regs: {x1: 0}}
      - debug: {step: write}
      - mmio: {write: uart, len: 4, data: 0, pc: write}
      - debug: {step: done, after_emulation: true}
      - debug: {brk: done, imm: 7}
"""
    )


TWO = """\
title: vCPU 1 is switched on by its VMM
vcpus: 2
guest: {words: [0xd4200000], symbols: {start: 0x40000000}}  # brk
debug: {software_breakpoints: true}
on:
  - exit: 0
    then: [run_vcpu: 1, mp_state: runnable, set: {pc: start}, debug: {software_breakpoints: true}]
limits: {exits: 2, instructions: 10000}
"""


@pytest.mark.usefixtures("scenario")
def test_exits_of_another_vcpu_say_whose_they_are(tmp_path: Path) -> None:
    added = recorded(TWO, "6.12", tmp_path)
    assert "vcpu: 0" not in added
    assert added.count("vcpu: 1") == 1


@pytest.mark.usefixtures("scenario")
def test_a_second_kernel_is_recorded_into_the_clause_of_the_first(tmp_path: Path) -> None:
    recorded(POLL, "6.12", tmp_path)
    path = tmp_path / "poll.vcpu.yaml"
    for kernel in ("5.10", "4.14"):
        assert main(["record", str(path), "--machine", f"emulated:{kernel}", "--yes"]) == 0
    lines = path.read_text().splitlines()
    assert sum(line.startswith("  - ") for line in lines) == 1
    assert '  - kernels: ["4.14", "5.10", "6.12"]' in lines
    assert '      - mmio: {read: uart+0x18, len: 4, pc: {"4.14": poll+4, else: poll}}' in lines
    for kernel in ("4.14", "5.10", "6.12"):
        assert main(["run", str(path), "--kernel", kernel]) == 0


@pytest.mark.usefixtures("scenario")
def test_a_value_that_was_wrong_for_one_kernel_goes_when_that_is_recorded(tmp_path: Path) -> None:
    recorded(POLL, "6.12", tmp_path)
    path = tmp_path / "poll.vcpu.yaml"
    assert main(["record", str(path), "--machine", "emulated:5.11", "--yes"]) == 0
    right = path.read_text()
    assert right.count("pc: poll}") == 2
    path.write_text(right.replace("pc: poll}", 'pc: {"5.11": start, else: poll}}', 1))
    assert main(["run", str(path), "--kernel", "5.11"]) == 1
    assert main(["record", str(path), "--machine", "emulated:5.11", "--yes"]) == 0
    assert path.read_text() == right


@pytest.mark.usefixtures("scenario")
def test_a_syndrome_that_no_short_form_says_is_written_beside_it(tmp_path: Path) -> None:
    lines = recorded(POLL, "4.18", tmp_path).splitlines()
    first = "      - debug: {step: start, after_emulation: true, hsr: 0xc8000000, regs: {x1: 0}}"
    assert lines[4] == first


WATCH = """\
title: a watchpoint, a breakpoint and the end
guest:
  words: CODE
  symbols: {store: 0x40000000, next: 0x40000004, data: 0x40000800}
  registers: {x0: 0x40000800}
debug:
  hardware_breakpoints: [next]
  watchpoints: [{at: 0x40000800, len: 4, access: write}]
observe: [x0]
on:
  - {exit: 0, then: [debug: {hardware_breakpoints: [next]}]}
  - {exit: 1, then: [debug: {}]}
""".replace(
    "CODE",
    listed("""
        store: str w2, [x0]
        next: nop
        mov w0, #0x0008  // SYSTEM_OFF
        movk w0, #0x8400, lsl #16
        hvc #0
    """),
)


@pytest.mark.usefixtures("scenario")
def test_every_kind_of_exit_has_its_short_form(tmp_path: Path) -> None:
    exits = recorded(WATCH, "6.12", tmp_path).splitlines()[4:]
    assert exits == [
        "      - debug: {watchpoint: store, access: write, far: 0x40000800,"
        " regs: {x0: 0x40000800}}",
        "      - debug: {hardware_breakpoint: next}",
        "      - system_event: {type: shutdown, ndata: 1, data: [0], pc: next+0x10,"
        " regs: {x0: 0xfffffffffffffffa}}",
    ]


@pytest.mark.usefixtures("scenario")
def test_what_runs_on_behind_the_code_is_not_recorded(tmp_path: Path) -> None:
    text = (
        f"title: t\nguest: {{words: {listed('brk #7')}}}\ndebug: {{software_breakpoints: true}}\n"
    )
    (line,) = recorded(text, "6.12", tmp_path).splitlines()[4:]
    assert line.startswith("      - debug: {brk: 0x40000000, imm: 7")


MATRIX = """\
title: two widths
matrix: {load: [0xb9400001, 0x39400001]}
guest:
  words: [0xd2a12000, "${load}", 0xd42000e0]
devices:
  uart: {handled_by: userspace, at: 0x09000000}
debug: {software_breakpoints: true}
observe: []
"""


@pytest.mark.usefixtures("scenario")
def test_a_matrix_gets_a_clause_for_each_combination(tmp_path: Path) -> None:
    added = recorded(MATRIX, "6.12", tmp_path)
    assert [line.strip() for line in added.splitlines() if "when" in line or "mmio" in line] == [
        "when: {load: 0xb9400001}",
        "- mmio: {read: uart, len: 4, pc: 0x40000004}",
        "when: {load: 0x39400001}",
        "- mmio: {read: uart, len: 1, pc: 0x40000004}",
    ]


@pytest.mark.slow
@pytest.mark.usefixtures("scenario")
def test_a_clause_for_the_same_parameters_is_replaced_and_no_other(tmp_path: Path) -> None:
    added = recorded(MATRIX, "6.12", tmp_path)
    path = tmp_path / "poll.vcpu.yaml"
    path.write_text(MATRIX + added.replace("len: 1", "len: 2"))
    assert main(["record", str(path), "--machine", "emulated:6.12", "--yes"]) == 0
    assert path.read_text() == MATRIX + added


@pytest.mark.usefixtures("scenario")
@pytest.mark.parametrize(
    ("expect", "why"),
    [
        ("expect: [exits: [interrupted: {}]]\n", "9: cannot be recorded: `expect:` is written in"),
    ],
)
def test_where_there_is_no_place_for_a_clause_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], expect: str, why: str
) -> None:
    path = tmp_path / "poll.vcpu.yaml"
    path.write_text(POLL + expect)
    assert main(["record", str(path), "--machine", "emulated:6.12", "--yes"]) == 1
    assert f"{path}:{why}" in capsys.readouterr().err
    assert path.read_text() == POLL + expect


def test_nothing_is_written_unasked(scenario: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["record", str(scenario), "--machine", "emulated:6.12"]) == 1
    assert scenario.read_text() == TEXT
    assert '+  - kernels: "6.12"' in capsys.readouterr().out


def test_nothing_is_recorded_in_ci(scenario: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CI", "true")
    assert main(["record", str(scenario), "--machine", "emulated:6.12", "--yes"]) == 4
    assert scenario.read_text() == TEXT


def test_recorded_traces_are_reproduced(scenario: Path, tmp_path: Path) -> None:
    traces = tmp_path / "traces.json"
    command = ["record", str(scenario), "--machine", "emulated:6.12", "--format", "oracle"]
    assert main([*command, "--output", str(traces)]) == 0
    (job,) = jobs(traces)
    assert [trace.kernels for trace in job.traces] == [("6.12",)]
    assert main(["conform", str(traces)]) == 0
    document = json.loads(traces.read_text())
    document[0]["traces"][0]["exits"][0]["pc"] += 4
    traces.write_text(json.dumps(document))
    assert main(["conform", str(traces)]) == 1


def test_two_kernels_are_shown_side_by_side(
    scenario: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    machines = ["--machine", "emulated:5.10", "--machine", "emulated:6.12"]
    assert main(["compare", str(scenario), *machines, "--color", "never"]) == 1
    out = capsys.readouterr().out
    assert "emulated:5.10" in out
    assert "= flags: nothing, not 0x1" in out


def test_a_machine_compared_with_itself_does_not_differ(scenario: Path) -> None:
    machines = ["--machine", "emulated:6.12", "--machine", "emulated:6.12"]
    assert main(["compare", str(scenario), *machines]) == 0


def test_a_clause_for_one_vmm_is_not_lost(
    scenario: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It may say of that VMM's stops what is not the kernel's to tell."""
    for_one = '  - kernels: "6.12"\n    vmm: [qemu-2017]\n    exits: []\n'
    text = TEXT.replace("debug:", "vmm: [plain, qemu-2017]\ndebug:", 1)
    scenario.write_text(text := text.replace("  # new\n", for_one + "  # new\n"))
    assert main(["record", str(scenario), "--machine", "emulated:6.12", "--yes"]) == 1
    assert scenario.read_text() == text
    assert f"{scenario}:13: cannot be recorded: a clause for" in capsys.readouterr().err


def test_a_comparison_on_a_release_of_which_nothing_is_expected_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "old.vcpu.yaml"
    path.write_text(
        "title: of an old release\nguest: {at: 0x40000000, words: [0xd4200000]}\n"
        "debug: {software_breakpoints: true}\n"
        'expect: [{kernels: "4.14", exits: [debug: {brk: 0x40000000}]}]\n'
    )
    machines = ["--machine", "emulated:6.12", "--machine", "emulated:7.2"]
    assert main(["compare", str(path), *machines]) == 5
    assert capsys.readouterr().err == "no case is selected: nothing is expected on 6.12\n"


HOSTED = TEXT.replace("guest:\n", "host: [default, protected]\nguest:\n")


@pytest.mark.slow
def test_what_a_host_gives_is_a_clause_for_that_host(scenario: Path) -> None:
    scenario.write_text(HOSTED.replace('">=5.11"', '">=6.12"'))
    assert main(["record", str(scenario), "--machine", "emulated:6.17+protected", "--yes"]) == 0
    assert '  - kernels: "6.17"\n    host: protected\n' in scenario.read_text()
    assert main(["run", str(scenario), "--kernel", "6.17", "--host", "protected"]) == 0
    assert main(["record", str(scenario), "--machine", "emulated:6.17", "--yes"]) == 0
    assert '  - kernels: "6.17"\n    host: default\n' in scenario.read_text()
    assert main(["run", str(scenario), "--kernel", "6.17"]) == 0


def test_a_host_that_the_scenario_does_not_name_is_not_recorded(
    scenario: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status = main(["record", str(scenario), "--machine", "emulated:6.17+protected", "--yes"])
    assert status == 1
    assert "write `host: [default, protected]`" in capsys.readouterr().err
    assert scenario.read_text() == TEXT
