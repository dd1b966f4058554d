"""``scenario export`` and ``scenario report`` as commands: what they select, write and refuse."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.commandline import Scenario, in_folder

from .conftest import ROOT

ONE = "single-step/access-handled-by-userspace.vcpu.yaml"
MANY = "rules/vcpu-events-first.vcpu.yaml"


@pytest.fixture
def scenario(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Scenario:
    return in_folder(ROOT / "scenarios", monkeypatch, capsys)


def test_one_program_goes_to_standard_output(scenario: Scenario) -> None:
    outcome = scenario("export", ONE)
    assert outcome.status == 0
    assert outcome.out.startswith("// SPDX-License-Identifier: GPL-2.0-only\n")
    assert "int main(void)" in outcome.out


def test_several_go_into_a_folder_and_nowhere_else(scenario: Scenario, tmp_path: Path) -> None:
    outcome = scenario("export", MANY)
    assert (outcome.status, outcome.out) == (4, "")
    assert "2 programs: name a folder" in outcome.err
    folder = tmp_path / "new" / "folder"
    outcome = scenario("export", MANY, "--output", f"{folder}/")
    assert outcome.status == 0
    assert sorted(outcome.out.split()) == sorted(str(path) for path in folder.iterdir())
    assert len(list(folder.iterdir())) == 2


@pytest.mark.parametrize(
    "case",
    [
        "rules/vcpu-events-first[event=serror,serror=true,abort=false]@6.12/plain",
        "[event=serror,serror=true,abort=false]@6.12",
    ],
)
def test_a_case_is_named_by_its_id_or_the_end_of_it(scenario: Scenario, case: str) -> None:
    listed = scenario("list", MANY, "--kernel", "6.12").out
    assert case.rpartition("/")[0].rpartition("/")[2] in listed or case.startswith("[")
    outcome = scenario("export", f"{MANY}::{case}")
    assert outcome.status == 0, outcome.err
    assert "[event=serror,serror=true,abort=false]@6.12" in outcome.out


def test_a_case_that_is_not_there_selects_nothing(scenario: Scenario) -> None:
    assert scenario("export", f"{MANY}::[event=none]").status == 5
    assert scenario("export", ONE, "--kernel", "4.14", "-k", "nothing").status == 5


def test_what_c_cannot_say_is_told_by_name_and_the_rest_is_written(
    scenario: Scenario, tmp_path: Path
) -> None:
    text = (
        "title: interrupted\nguest: {words: [0xd503201f]}\n"
        "debug: {single_step: true}\nbefore: [host_interrupt: true]\n"
        "expect: [{exits: [debug: {step: 0x40000004}]}]\n"
    )
    (tmp_path / "a.vcpu.yaml").write_text(text)
    (tmp_path / "b.vcpu.yaml").write_text(text.replace("before: [host_interrupt: true]\n", ""))
    outcome = scenario("export", str(tmp_path), "--output", f"{tmp_path}/out/")
    assert outcome.status == 4
    assert "a: cannot be exported: host_interrupt: real KVM takes interrupts" in outcome.err
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["b.c"]


def test_a_report_is_written_where_it_should_go(scenario: Scenario, tmp_path: Path) -> None:
    out = tmp_path / "mail.md"
    options = ("--kernel", "5.10", "--kernel", "6.12", "--format", "markdown")
    assert scenario("report", ONE, *options, "--output", str(out)).status == 0
    assert "| 5.10 | as expected | 10 exits |" in out.read_text()
    assert scenario("report", ONE, *options).out == out.read_text()


def test_an_emulated_machine_is_no_real_kernel(scenario: Scenario) -> None:
    outcome = scenario("report", ONE, "--machine", "emulated:6.12")
    assert outcome.status == 4
    assert "emulated:6.12 is no real kernel" in outcome.err
