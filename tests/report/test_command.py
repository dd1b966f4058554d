"""Several reports of one run: how forms and files pair, and what becomes of each."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from junitparser import JUnitXml
from vcpu_scenario.cli import main

Run = Callable[..., tuple[int, str, str]]

ONE = ("mixed", "--kernel", "6.4", "--vmm", "plain", "-k", "load")


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs ``scenario run`` with what it is given: status, stdout, stderr."""
    for name in ("GITHUB_STEP_SUMMARY", "GITHUB_WORKSPACE", "NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)

    def command(*args: str) -> tuple[int, str, str]:
        status = main(["run", *args])
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    return command


def formats(*pairs: tuple[str, str | Path]) -> list[str]:
    return [word for form, file in pairs for word in ("--format", form, "--output", str(file))]


def test_each_form_goes_to_its_file_in_order(run: Run, tmp_path: Path) -> None:
    files = {form: tmp_path / form for form in ("json", "junit", "ktap", "html", "github")}
    status, out, _ = run(*ONE, *formats(*files.items(), ("text", "-")))
    assert status == 0
    assert "1 passed" in out
    assert json.loads(files["json"].read_text())["summary"]["pass"] == 1
    assert JUnitXml.fromfile(str(files["junit"])).tests == 1
    assert files["ktap"].read_text().startswith("KTAP version 1\n")
    assert files["html"].read_text().startswith("<!doctype html>")
    assert files["github"].read_text() == ""


def test_forms_and_files_pair_also_when_all_forms_come_first(run: Run, tmp_path: Path) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    args = ("--format", "ktap", "--format", "json", "--output", str(one), "--output", str(other))
    assert run(*ONE, *args)[0] == 0
    assert one.read_text().startswith("KTAP")
    assert other.read_text().startswith("{")


def test_a_single_report_needs_no_file(run: Run) -> None:
    assert run(*ONE, "--format", "ktap")[1].startswith("KTAP version 1\n")


@pytest.mark.slow
def test_text_and_annotations_share_standard_output(run: Run) -> None:
    status, out, _ = run("mixed", "--kernel", "6.12", "--format", "text", "--format", "github")
    assert status == 1
    text, annotations = out.split("\n::error ", 1)
    assert text.startswith("mixed/")
    assert annotations.startswith("file=mixed/")


@pytest.mark.parametrize(
    ("args", "complaint"),
    [
        (["--format", "json", "--format", "ktap"], "json and ktap cannot share standard output"),
        (["--format", "json", "--format", "text", "--output", "x"], "2 --format and 1 --output"),
        (["--format", "json", "--output", "x", "--output", "y"], "1 --format and 2 --output"),
        (formats(("json", "x"), ("ktap", "./x")), "one file cannot hold two reports"),
    ],
)
def test_what_does_not_pair_is_told_before_anything_is_run(
    run: Run, args: list[str], complaint: str
) -> None:
    before = sorted(os.listdir())
    status, out, err = run(*ONE, *args)
    assert (status, out) == (4, "")
    assert complaint in err
    assert sorted(os.listdir()) == before


def test_one_file_that_cannot_be_written_leaves_the_others_as_they_were(
    run: Run, tmp_path: Path
) -> None:
    good = tmp_path / "good"
    good.write_text("old")
    status, _, err = run(*ONE, *formats(("json", good), ("html", tmp_path / "no" / "such")))
    assert status == 4
    assert "cannot write" in err
    assert good.read_text() == "old"
    assert os.listdir(tmp_path) == ["good"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")
def test_a_disk_that_is_full_for_one_report_takes_no_other_with_it(
    run: Run, tmp_path: Path
) -> None:
    good = tmp_path / "good"
    status, _, err = run(*ONE, *formats(("json", "/dev/full"), ("ktap", good)))
    assert status == 3
    assert "cannot write /dev/full" in err
    assert good.read_text().startswith("KTAP")


@pytest.mark.slow
def test_the_summary_is_appended_to_the_steps(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "summary.md"
    target.write_text("before\n")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(target))
    monkeypatch.setenv("GITHUB_WORKSPACE", str(Path.cwd().parent))
    status, out, _ = run("mixed", "--kernel", "6.12", "--format", "github")
    assert status == 1
    assert out.startswith("::error file=data/mixed/")
    assert target.read_text().startswith("before\n## vCPU scenarios: 3 failed")


@pytest.mark.parametrize(
    ("form", "sign"),
    [
        ("junit", 'errors="1"'),
        ("ktap", "not ok 1 every case was run # ERROR no case is selected"),
        ("github", "::error title=vCPU scenarios::no case is selected"),
        ("html", '<p class="note" role="alert">no case is selected</p>'),
    ],
)
def test_a_report_on_nothing_is_not_a_good_one(run: Run, form: str, sign: str) -> None:
    status, out, _ = run("mixed", "-k", "no_such", "--format", form)
    assert status == 5
    assert sign in out


@pytest.mark.parametrize("form", ["junit", "ktap", "github", "html"])
def test_a_report_on_a_run_that_stopped_says_how_much_is_missing(run: Run, form: str) -> None:
    status, out, _ = run("mixed", "--kernel", "6.12", "-x", "--format", form)
    assert status == 1
    assert "stopped at the first failure: 3 of 5 cases were not run" in out


@pytest.mark.slow
def test_a_page_has_its_ladders_whatever_ran_the_cases(run: Run, tmp_path: Path) -> None:
    pages = [tmp_path / "one", tmp_path / "other"]
    for page, jobs in zip(pages, ("1", "2"), strict=True):
        run("mixed", "--kernel", "6.12", "--format", "html", "--output", str(page), "-j", jobs)
    one, other = (page.read_text() for page in pages)
    assert '"head":"MMIO read of 4 bytes from uart+0x18 at poll"' in one
    assert one == other
