"""The lab from a shell: kernels listed and fetched, recordings compared with one that boots."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from vcpu_scenario.cli import conform, main, stops
from vcpu_scenario.cli.machines import LabArguments
from vcpu_scenario.running.target import InLab

from .conftest import Debian
from .test_lab import Options, options

__all__ = ["options"]

RECORDED = Path(__file__).parents[1] / "recorded"
SCENARIOS = Path(__file__).parents[2] / "scenarios"


def status(*arguments: str) -> int:
    return main(list(arguments))


@pytest.mark.slow
def test_kernels_are_fetched_listed_and_found(
    debian: Debian, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "vcpu_scenario.machine.real.lab.userland.archive", lambda *_, **__: Path("userland")
    )
    debian.holds("linux-image-6.1.0-50-cloud-arm64", "6.1.176-1", {"boot/vmlinuz-6.1": "x"})
    assert status("lab", "fetch", "6.1") == 0
    assert capsys.readouterr().out == "6.1: linux-image-6.1.0-50-cloud-arm64 6.1.176-1\n"
    assert status("lab", "list") == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line for line in lines if line.startswith("6.1 ") and "6.1.176-1" in line]
    assert [line for line in lines if line.startswith("6.12 ") and "not fetched" in line]
    assert status("lab", "path", "6.1") == 0
    assert Path(capsys.readouterr().out.strip()).read_text() == "x"


@pytest.fixture
def lab(options: Options, monkeypatch: pytest.MonkeyPatch) -> None:
    """``--machine lab:K`` boots the stand-in for QEMU, whose traces are nothing like KVM's."""
    monkeypatch.setattr(
        conform, "machine", lambda name, *_: InLab(name.removeprefix("lab:"), options())
    )


def test_a_kernel_that_differs_from_the_recordings_is_told(
    lab: None, capsys: pytest.CaptureFixture[str]
) -> None:
    recording = str(RECORDED / "core.json.xz")
    assert status("conform", recording, "--machine", "lab:6.12.118", "--format", "json") == 1
    found = json.loads(capsys.readouterr().out)["kernels"]
    assert list(found) == ["6.12"]
    assert (found["6.12"]["total"], found["6.12"]["exact"]) == (52, 0)


def test_vmms_act_on_the_kernel_of_a_lab(
    options: Options, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stops, "machine", lambda *_: InLab("6.12", options()))
    scenario = str(SCENARIOS / "thread" / "pl011-write-step.vcpu.yaml")
    args = ("--machine", "lab:6.12", "--vmm", "crosvm", "--format", "json")
    assert status("stops", scenario, *args) == 0
    (told,) = json.loads(capsys.readouterr().out)
    (row,) = told["rows"]
    assert (told["machine"], row["kernels"]) == ("lab:6.12", ["6.12"])
    assert row["cells"]["crosvm"]["words"] == "crosvm on GICv3"
    assert row["cells"]["crosvm"]["evidence"]["kind"] == "machine"


def test_recordings_of_another_kernel_alone_check_nothing(
    lab: None, capsys: pytest.CaptureFixture[str]
) -> None:
    assert status("conform", str(RECORDED / "core.json.xz"), "--machine", "lab:5.4") == 4
    assert "nothing was recorded on 5.4" in capsys.readouterr().err


def test_a_lab_is_one_kernel_and_no_other(lab: None, capsys: pytest.CaptureFixture[str]) -> None:
    recording = str(RECORDED / "core.json.xz")
    assert status("conform", recording, "--machine", "lab:6.12", "--kernel", "6.1") == 4
    assert "lab:6.12 is 6.12, and no other" in capsys.readouterr().err


@pytest.fixture
def programs(options: Options, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with programs that end as their text says, and a stand-in for QEMU to run them."""
    monkeypatch.setattr(LabArguments, "options", lambda self: options())
    for name, text in (("good", "0 fine"), ("bad", "1 wrong"), ("none", "4 no such thing")):
        (tmp_path / name).write_text(text)
    return tmp_path


def test_programs_run_in_one_boot_and_say_how_they_end(
    programs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert status("lab", "run", "6.12", str(programs / "good"), str(programs / "none")) == 0
    assert capsys.readouterr().out.splitlines() == [
        "good on GICv3: fine",
        "good: pass",
        "none on GICv3: no such thing",
        "none: skip",
    ]
    assert len((programs / "log").read_text().splitlines()) == 1


def test_a_program_that_fails_is_a_mismatch(
    programs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    names = [str(programs / name) for name in ("bad", "good")]
    assert status("lab", "run", "6.12", "--gic", "2", *names) == 1
    out = capsys.readouterr().out
    assert "bad on GICv2: wrong\nbad: fail, status 1\n" in out
    assert "good: pass" in out


def test_a_program_that_is_not_there_is_told_before_anything_boots(
    programs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert status("lab", "run", "6.12", str(programs / "nothing")) == 4
    assert "cannot read" in capsys.readouterr().err
    assert not (programs / "log").exists()
