"""Whoever ends a command gets what is done, and nothing of it is left: no process, no file."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from .test_process import COMMAND, environment

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
SLOW = """\
title: many polls
guest: {at: 0x40000000, words: [0xb9400001, 0x17ffffff], registers: {x0: 0x09000000, x5: '${x5}'}}
matrix: {x5: [%s]}
limits: {exits: 20000}
expect: [{exits: [mmio: {read: 0x09000000, repeat: 20000}]}]
"""
QUICK = """\
title: done as soon as anything is
guest: {words: [0xb9400001], registers: {x0: 0x09000000}}
expect: [{exits: [mmio: {read: 0x09000000}]}]
"""
PATIENCE = 120.0
"""Seconds for what a busy machine may take long for; nothing is waited for that comes earlier."""


@pytest.fixture
def slow(tmp_path: Path) -> Path:
    path = tmp_path / "slow.vcpu.yaml"
    path.write_text(SLOW % ", ".join(map(str, range(200))))
    return path


@pytest.fixture
def quick(tmp_path: Path) -> Path:
    """A case that is done before the slow ones are, so that something is, however slow it is."""
    path = tmp_path / "quick.vcpu.yaml"
    path.write_text(QUICK)
    return path


def start(*args: object, **more: object) -> subprocess.Popen[str]:
    process: subprocess.Popen[str] = subprocess.Popen(
        [*COMMAND, *map(str, args)],
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        **{"preexec_fn": _with_hangups, **more},  # type: ignore[call-overload]
    )
    return process


def _with_hangups() -> None:
    # Tests that run under nohup hand its choice on, and the command respects it.
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


def wait_for(what: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not what():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def members(group: int) -> list[int]:
    """The processes of a session that are still there."""
    found = []
    for entry in os.listdir("/proc"):
        if entry.isdecimal():
            try:
                fields = Path("/proc", entry, "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            if int(fields[3]) == group and fields[0] != "Z":
                found.append(int(entry))
    return found


def working(process: subprocess.Popen[str], seconds: float, *, alone: bool = False) -> bool:
    """Whether its workers, or with ``alone`` itself, have had so many seconds of a processor.

    A machine that is slow, or busy, gets as far in them as any: what has begun by then has begun.
    """
    assert process.poll() is None, process.communicate()
    ticks = 0
    for member in members(process.pid):
        if (member == process.pid) is alone:
            with contextlib.suppress(OSError):
                fields = Path("/proc", str(member), "stat").read_text().rpartition(")")[2].split()
                ticks += int(fields[11]) + int(fields[12])
    return ticks >= seconds * os.sysconf("SC_CLK_TCK")


@pytest.mark.slow
@pytest.mark.parametrize("number", SIGNALS)
@pytest.mark.parametrize("whole_group", [False, True])
@pytest.mark.parametrize("times", [1, 3])
def test_a_signal_reports_what_is_done_and_leaves_nothing(
    quick: Path, slow: Path, number: signal.Signals, whole_group: bool, times: int
) -> None:
    report = slow.with_name("report.json")
    process = start(
        "run", quick, slow, "-j", "2", "--kernel", "6.12", "--format", "json", "--output", report
    )
    wait_for(lambda: working(process, 1.0))
    for _ in range(times):
        (os.killpg if whole_group else os.kill)(process.pid, number)
        time.sleep(0.015)
    out, err = process.communicate(timeout=PATIENCE)
    assert (process.returncode, out, err) == (2, "", "")
    summary = json.loads(report.read_text())["summary"]
    assert summary["not_run"] > 0
    assert summary["total"] == summary["pass"] > 0
    assert members(process.pid) == []
    left = ["quick.vcpu.yaml", "report.json", "slow.vcpu.yaml"]
    assert sorted(os.listdir(slow.parent)) == left


@pytest.mark.slow
def test_nohup_means_what_it_says(slow: Path) -> None:
    process = start(
        "run", slow, "--kernel", "6.12", "-k", "x5=1]",
        preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN),
    )  # fmt: skip
    wait_for(lambda: len(members(process.pid)) == 2)
    os.killpg(process.pid, signal.SIGHUP)
    assert "1 passed" in process.communicate(timeout=PATIENCE)[0]
    assert process.returncode == 0


@pytest.mark.slow
def test_workers_end_with_a_parent_that_is_killed(slow: Path) -> None:
    process = start("run", slow, "-j", "2", "--kernel", "6.12", "--output", slow.with_name("r"))
    wait_for(lambda: len(members(process.pid)) == 3)
    process.kill()
    process.communicate(timeout=PATIENCE)
    wait_for(lambda: not members(process.pid))
    assert os.listdir(slow.parent) == ["slow.vcpu.yaml"]


@pytest.mark.slow
@pytest.mark.parametrize("number", SIGNALS)
@pytest.mark.parametrize("command", ["check"])
@pytest.mark.parametrize("after", [0.0, 0.3])
def test_every_command_ends_at_a_signal_without_a_traceback(
    slow: Path, command: str, number: signal.Signals, after: float
) -> None:
    process = start(*command.split(), slow)
    wait_for(lambda: taken(process))
    time.sleep(after)
    for _ in range(3):
        process.send_signal(number)
        time.sleep(0.01)
    _, err = process.communicate(timeout=PATIENCE)
    assert process.returncode in (0, 1, 2)
    assert err == ("scenario: interrupted\n" if process.returncode == 2 else err)
    assert "Traceback" not in err


def taken(process: subprocess.Popen[str]) -> bool:
    """Whether the command has begun, and Python with it."""
    if process.poll() is not None:
        return True
    status = Path("/proc", str(process.pid), "status").read_text()
    caught = next(line for line in status.splitlines() if line.startswith("SigCgt"))
    return bool(int(caught.split()[1], 16) >> signal.SIGHUP - 1 & 1)


@pytest.mark.slow
@pytest.mark.parametrize(
    "streams", [">&-", "2>&-", ">&- 2>&-", "<&- >&- 2>&-", "> /dev/full", "2> /dev/full", "| true"]
)
@pytest.mark.parametrize(
    ("command", "status"),
    [
        ("--help", 0),
        ("", 4),
        ("run no-such", 4),
        ("list step", 0),
        ("run wrong --kernel 6.12", 1),
        ("check step", 0),
    ],
)  # fmt: skip
def test_closed_and_full_streams_end_as_they_should(
    command: str, status: int, streams: str, tmp_path: Path
) -> None:
    said = tmp_path / "said"
    done = subprocess.run(
        [
            "bash",
            "-c",
            f'exec 9>"$1"; $S {command} 2>&9 {streams}; exit ${{PIPESTATUS[0]}}',
            "-",
            said,
        ],
        env=environment(S=f"{sys.executable} -m vcpu_scenario"),
        cwd=Path(__file__).parent / "data",
        stdout=subprocess.DEVNULL,
        check=False,
        timeout=PATIENCE,
    )
    err = said.read_text()
    if streams == "> /dev/full" and "cannot write" in err:
        told = "scenario: cannot write to standard output: No space left on device\n"
        assert (done.returncode, err.splitlines(keepends=True)[-1]) == (3, told)
    else:
        assert done.returncode == status
    assert streams != "> /dev/full" or status == 4 or "cannot write" in err
    assert "internal error" not in err
    assert "Traceback" not in err


@pytest.mark.slow
@pytest.mark.parametrize("number", SIGNALS)
@pytest.mark.parametrize(
    ("command", "told"),
    [
        ("compare --machine emulated:6.12 --machine emulated:5.10", "were not compared"),
        ("record --machine emulated:6.12 --format oracle --output report.json", "not recorded"),
    ],
)
def test_what_is_compared_or_recorded_until_a_signal_is_not_lost(
    quick: Path, slow: Path, command: str, told: str, number: signal.Signals
) -> None:
    process = start(*command.split(), quick, slow, cwd=slow.parent)
    wait_for(lambda: working(process, 4.0, alone=True))
    process.send_signal(number)
    out, err = process.communicate(timeout=PATIENCE)
    assert (process.returncode, "Traceback" in err) == (2, False), err
    last = err.splitlines()[-1]
    assert last.startswith("interrupted: ")
    assert told in last
    assert members(process.pid) == []
    if "record" in command:
        done = len(json.loads(slow.with_name("report.json").read_text()))
        assert f"{done} case" in err
        left = ["quick.vcpu.yaml", "report.json", "slow.vcpu.yaml"]
        assert sorted(os.listdir(slow.parent)) == left
    else:
        assert "differ between emulated:6.12 and emulated:5.10" in out


HANGS = """\
title: runs for an hour
guest: {words: [0x14000000]}
limits: {instructions: 90_000_000_000, seconds: 300}
expect: [{exits: [interrupted: {}]}]
"""


@pytest.mark.slow
@pytest.mark.parametrize("number", SIGNALS[1:])
def test_a_case_that_takes_hours_ends_after_one_signal(
    number: signal.Signals, tmp_path: Path
) -> None:
    (tmp_path / "made.vcpu.yaml").write_text(HANGS)
    process = start("run", tmp_path, "--kernel", "6.12")
    wait_for(lambda: working(process, 1.0))
    process.send_signal(number)
    _, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 2, err
    assert err.splitlines()[-1] == "interrupted: 1 of 1 cases were not run"
    assert members(process.pid) == []


@pytest.mark.slow
def test_scenarios_that_are_recorded_when_a_signal_comes_are_whole(tmp_path: Path) -> None:
    for name in map(str, range(200)):
        (tmp_path / f"{name}.vcpu.yaml").write_text(
            SLOW.partition("matrix")[0].replace("${x5}", "5") + "limits: {exits: 20000}\n"
        )
    before = (tmp_path / "0.vcpu.yaml").read_text()
    process = start("record", tmp_path, "--machine", "emulated:6.12", "--yes")
    wait_for(lambda: working(process, 4.0, alone=True))
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 2, err
    assert "interrupted" in err.splitlines()[-1]
    for path in tmp_path.iterdir():
        text = path.read_text()
        assert text == before or text.startswith(before.rstrip())
