"""The lab from a shell: kernels listed and fetched, recordings compared with one that boots."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from vcpu_scenario.case import Load
from vcpu_scenario.cli import conform, main, record, stops
from vcpu_scenario.cli.machines import LabArguments
from vcpu_scenario.cli.status import Status
from vcpu_scenario.errors import UsageError
from vcpu_scenario.machine.real.lab import carried
from vcpu_scenario.running.targets import InLab
from vcpu_scenario.vmm.carried.image import executable

from tests.debugger.guests import AT

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


@pytest.mark.slow
@pytest.mark.usefixtures("debian")
def test_a_kernel_that_was_not_fetched_is_an_error_of_use(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert status("lab", "path", "6.1") == Status.USAGE
    assert capsys.readouterr().err.endswith("get it with: scenario lab fetch 6.1\n")


@pytest.mark.slow
def test_a_vmm_that_a_lab_carries_is_fetched_like_a_kernel(
    debian: Debian, capsys: pytest.CaptureFixture[str]
) -> None:
    debian.sources("bookworm", "trixie")
    program = executable((Load(AT, b"code"),), AT).decode("latin1")
    debian.holds("qemu-system-arm", "1:10.0+dfsg-1", {"usr/bin/qemu-system-aarch64": program})
    assert status("lab", "fetch", "qemu") == 0
    name, made = capsys.readouterr().out.strip().split(": ")
    assert (name, Path(made).exists()) == ("qemu", True)


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


@pytest.fixture
def carrying(options: Options, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A lab that has archives of VMMs to carry."""
    archive = tmp_path / "vmm.cpio"
    archive.write_bytes(b"cpio")
    monkeypatch.setattr(carried, "archive", lambda *_, **__: archive)
    for command in (stops, record):
        monkeypatch.setattr(command, "machine", lambda *_: InLab("6.12", options()))


def test_a_vmm_that_the_lab_carries_tells_of_itself(
    carrying: None, capsys: pytest.CaptureFixture[str]
) -> None:
    scenario = str(SCENARIOS / "thread" / "pl011-write-step.vcpu.yaml")
    args = ("stops", scenario, "--machine", "lab:6.12", "--vmm", "qemu", "--vmm", "crosvm")
    assert status(*args, "--format", "json") == 0
    (told,) = json.loads(capsys.readouterr().out)
    cells = told["rows"][0]["cells"]
    assert cells["qemu"]["words"] == "qemu itself"
    assert cells["qemu"]["evidence"] == {"kind": "itself", "version": "1.2.3", "kernels": ["6.12"]}
    assert cells["crosvm"]["words"] == "crosvm on GICv3"
    assert status(*args, "--acted", "--format", "json") == 0
    (told,) = json.loads(capsys.readouterr().out)
    assert told["rows"][0]["cells"]["qemu"]["words"] == "qemu on GICv3"


def test_what_the_vmm_itself_cannot_be_is_left_out_with_its_reason(
    carrying: None, capsys: pytest.CaptureFixture[str]
) -> None:
    scenario = str(SCENARIOS / "thread" / "pl011-busy.vcpu.yaml")
    assert status("stops", scenario, "--machine", "lab:6.12", "--vmm", "qemu") == 0
    reason = "uart+0x18 is to read 0x20, and QEMU's PL011 reads 0x90"
    assert f"left out: {reason}" in capsys.readouterr().out


def test_sessions_are_kept_as_data(carrying: None, capsys: pytest.CaptureFixture[str]) -> None:
    paths = [
        str(SCENARIOS / "thread" / f"{name}.vcpu.yaml") for name in ("pl011-write", "pl011-busy")
    ]
    args = ("--machine", "lab:6.12", "--format", "vmm", "--vmm", "qemu-7.2")
    assert status("record", *paths, *args) == 0
    out, err = capsys.readouterr()
    document = json.loads(out)
    (name,) = document["guests"]
    assert name.endswith("thread/pl011-write")
    assert document["guests"][name]["at"] == 0x4000_0000
    assert document["recordings"] == [
        {
            "vmm": "qemu-7.2",
            "version": "1.2.3",
            "kernel": "6.12",
            "release": "6.12.0-fake",
            "cpu": "cortex-a57",
            "sessions": [
                {
                    "guest": name,
                    "session": "stops",
                    "packets": [["?", "T05"], ["s", None]],
                    "stops": [[1, 4, 5, {"x0": 6}]],
                    "output": "Q",
                }
            ],
        }
    ]
    assert "1 session recorded on lab:6.12, 1 left out" in err


def test_a_session_is_recorded_of_a_vmm_that_is_carried(
    carrying: None, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    scenario = str(SCENARIOS / "thread" / "pl011-write.vcpu.yaml")
    args = ("record", scenario, "--machine", "lab:6.12", "--vmm", "crosvm")
    assert status(*args, "--format", "vmm") == 4
    assert "a lab carries qemu and qemu-7.2, not `crosvm`" in capsys.readouterr().err
    assert status(*args) == 4
    assert "--vmm: only with --format vmm" in capsys.readouterr().err
    monkeypatch.undo()
    args = ("record", scenario, "--machine", "emulated:6.12", "--format", "vmm")
    assert status(*args) == 4
    assert "emulated:6.12 carries no VMM" in capsys.readouterr().err


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


def test_the_clock_of_a_lab_is_chosen() -> None:
    chosen = [LabArguments(settings=[f"icount={value}"]).options() for value in ("5", "off")]
    assert [options.icount for options in chosen] == [5, None]
    with pytest.raises(UsageError, match="icount: `on` is no number"):
        LabArguments(settings=["icount=on"]).options()
