"""The lab from a shell."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from vcpu_scenario.machine.real import wire
from vcpu_scenario.machine.real.lab.__main__ import main
from vcpu_scenario.trace import Trace

from .cases import PLAIN
from .conftest import Debian
from .test_lab import HANGS, PANICS, SKIPS, Options, case, options

__all__ = ["options"]

RECORDED = Path(__file__).parents[1] / "recorded"


@pytest.fixture
def arguments(options: Options) -> list[str]:
    """What makes a command use the stand-in for QEMU."""
    chosen = options()
    own = ["--kernel-image", "kernel", "--initrd", str(chosen.initrd)]
    return ["--qemu", chosen.qemu, *own, "--qemu-arg", chosen.extra[0], "--case-seconds", "3"]


def test_kernels_are_fetched_listed_and_found(
    debian: Debian, capsys: pytest.CaptureFixture[str]
) -> None:
    debian.holds("linux-image-6.1.0-50-cloud-arm64", "6.1.176-1", {"boot/vmlinuz-6.1": "x"})
    assert main(["fetch", "6.1"]) == 0
    assert capsys.readouterr().out == "6.1: linux-image-6.1.0-50-cloud-arm64 6.1.176-1\n"
    assert main(["list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line for line in lines if line.startswith("6.1 ") and "6.1.176-1" in line]
    assert [line for line in lines if line.startswith("6.12 ") and "not fetched" in line]
    assert main(["path", "6.1"]) == 0
    assert Path(capsys.readouterr().out.strip()).read_text() == "x"


def test_what_cannot_be_had_here_has_a_status_of_its_own(
    debian: Debian, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["fetch", "6.1"]) == 5
    assert "no package of Linux 6.1" in capsys.readouterr().err
    assert main(["path", "6.1"]) == 3


def test_each_case_gets_its_line(
    arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cases = tmp_path / "cases"
    numbers = (1, SKIPS, 2)
    cases.write_text("".join(wire.dump_case(case(number)) + "\n" for number in numbers))
    assert main(["run", "6.12", str(cases), *arguments]) == 0
    written = capsys.readouterr()
    first, skipped, last = written.out.splitlines()
    assert wire.load_trace(first) == Trace(ended="gic 3, 1")
    assert json.loads(skipped) == {"_": "Skipped"}
    assert wire.load_trace(last) == Trace(ended="gic 3, 2")
    assert "skipped: not on real KVM" in written.err


@pytest.mark.parametrize("special", [PANICS, HANGS])
def test_a_lost_case_shows_in_the_status(
    arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str], special: int
) -> None:
    cases = tmp_path / "cases"
    cases.write_text(wire.dump_case(case(special)) + "\n" + wire.dump_case(PLAIN) + "\n")
    assert main(["run", "6.12", str(cases), *arguments]) == 1
    written = capsys.readouterr()
    assert json.loads(written.out.splitlines()[0]) == {"_": "Lost"}
    assert len(written.out.splitlines()) == 2
    assert "Booting Linux" in written.err


def test_a_kernel_that_differs_from_the_recordings_is_told(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["conform", "6.12", str(RECORDED / "core.json.xz"), *arguments]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 53
    assert lines[-1] == "6.12: 52 jobs, 52 differ from 6.12"


def test_recordings_of_another_kernel_alone_check_nothing(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    recording = str(RECORDED / "core.json.xz")
    assert main(["conform", "6.12", "--as", "2.6", recording, *arguments]) == 1
    assert capsys.readouterr().out == "6.12: 0 jobs, 0 differ from 2.6\n"


@pytest.mark.parametrize("text", ["{", "{}", '{"_":"Trace"}'])
def test_what_is_no_case_is_told(
    arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str
) -> None:
    cases = tmp_path / "cases"
    cases.write_text(text + "\n")
    assert main(["run", "6.12", str(cases), *arguments]) == 4
    assert capsys.readouterr().err.startswith("lab: ")


def test_a_file_that_is_not_there_is_told(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["run", "6.12", "/nowhere", *arguments]) == 4
    assert "/nowhere" in capsys.readouterr().err
