"""``scenario debug`` says what is wrong with how it was asked."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.commandline import in_folder

EXAMPLES = Path(__file__).parents[2] / "docs" / "examples"


@pytest.mark.parametrize(
    ("args", "status", "words"),
    [
        (["first.vcpu.yaml", "--vmm", "qmu"], 4, "no VMM is called `qmu`"),
        (["first.vcpu.yaml", "--kernel", "2.6"], 4, "--kernel"),
        (["first.vcpu.yaml", "--port", "1", "--stdio"], 4, "give one of --port"),
        (["first.vcpu.yaml::nothing"], 5, "no case is called `nothing`"),
        (["."], 5, "name one scenario to debug"),
        (["none.vcpu.yaml"], 4, "no such file or folder"),
        (["first.vcpu.yaml", "--socket", "no/such/folder/s"], 4, "cannot listen at no/such"),
        (["first.vcpu.yaml", "--socket", "s" * 200], 4, "cannot listen at sss"),
        (["first.vcpu.yaml", "--elf", "no/such/folder/elf"], 3, "cannot write no/such/folder/elf"),
        (
            ["../../scenarios/vcpus/what-they-share.vcpu.yaml", "--vmm", "crosvm"],
            4,
            "crosvm's `gdb` requires the number of vCPU to be 1",
        ),
    ],
)
def test_what_is_wrong_is_said(
    args: list[str],
    status: int,
    words: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    done = in_folder(EXAMPLES, monkeypatch, capsys)("debug", *args)
    assert done.status == status, done.transcript
    assert words in done.err
    assert "Traceback" not in done.err


def test_without_a_gdb_it_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    scenario = in_folder(EXAMPLES, monkeypatch, capsys)
    monkeypatch.setenv("GDB", "no-such-gdb")
    done = scenario("debug", "first.vcpu.yaml", "--gdb")
    assert done.status == 4
    assert "$GDB names `no-such-gdb`" in done.err
