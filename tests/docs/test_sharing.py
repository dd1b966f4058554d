"""docs/sharing.md: the mail is what the commands write, and its program does what the page says."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from vcpu_scenario.cli import main
from vcpu_scenario.machine.real.lab import list_kernels

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/sharing.md").read_text(encoding="utf-8")
SCENARIO = "docs/mail/skipped-step.vcpu.yaml"
MAIL = (ROOT / "docs/mail/skipped-step.txt").read_text(encoding="utf-8")
COMPILER = "aarch64-linux-gnu-gcc"

_REAL = re.compile(r"^- Linux .*\n(?: .*\n)*", re.MULTILINE)
_MACHINES = re.compile(r"( \\\n +)?( --machine=\S+)+")


def report(folder: Path, *options: str) -> str:
    out = folder / "mail.txt"
    assert main(["report", SCENARIO, *options, "--output", str(out)]) == 0
    return out.read_text(encoding="utf-8")


@pytest.fixture(autouse=True)
def _in_the_project(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)


def test_what_is_emulated_in_the_mail_is_what_the_command_writes(tmp_path: Path) -> None:
    emulated = report(tmp_path)
    assert emulated.count("- No real kernel was run for this report.\n") == 1
    expected = emulated.replace("- No real kernel was run for this report.\n", "")
    assert _MACHINES.sub("", _REAL.sub("", MAIL)) == expected
    assert len(_REAL.findall(MAIL)) == 2


def test_the_mail_is_within_72_columns() -> None:
    assert max(map(len, MAIL.splitlines())) <= 72


@pytest.fixture
def _lab() -> None:
    kept = {entry.name for entry in list_kernels() if entry.kept is not None}
    if shutil.which("qemu-system-aarch64") is None or not {"5.10", "7.2"} <= kept:
        pytest.skip("NO LAB: it takes QEMU and the kernels 5.10 and 7.2")


@pytest.mark.slow
@pytest.mark.usefixtures("_lab")
def test_the_mail_is_what_real_kernels_gave(tmp_path: Path) -> None:
    found = report(tmp_path, "--machine", "lab:5.10", "--machine", "lab:7.2")
    release = re.compile(r"Linux \S+")
    assert release.sub("Linux", found).split() == release.sub("Linux", MAIL).split()


@pytest.mark.slow
@pytest.mark.usefixtures("_lab")
def test_the_program_does_what_the_page_says(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if shutil.which(COMPILER) is None:
        pytest.skip(f"{COMPILER} is not installed")
    source, program = tmp_path / "skipped-step.c", tmp_path / "skipped-step"
    assert main(["export", SCENARIO, "--kernel", "7.3", "--output", str(source)]) == 0
    options = ["-Wall", "-O2", "-static", "-o", str(program), str(source)]
    subprocess.run([COMPILER, *options], check=True)
    for kernel, status in (("7.2", 0), ("5.10", 1)):
        capsys.readouterr()
        assert main(["lab", "run", kernel, str(program)]) == status
        assert f"$ scenario lab run {kernel} skipped-step\n{capsys.readouterr().out}" in PAGE


TRACE = "docs/mail/skipped-step-7.2.ftrace"


@pytest.mark.parametrize("arguments", [[TRACE, "--kernel", "7.2"], [TRACE, SCENARIO]])
def test_an_import_on_the_page_is_what_the_command_prints(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["import", *arguments]) == 0
    shown = f"$ scenario import {' '.join(arguments)}\n{capsys.readouterr().out}"
    assert shown in PAGE
