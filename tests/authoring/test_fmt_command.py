"""``scenario fmt`` as a command."""

from __future__ import annotations

import io
import os
import stat
import sys
from pathlib import Path

import pytest

from tests.commandline import Scenario

UGLY = "guest: {words: [0xd4200000]}\ntitle:   a brk\n"
NEAT = "title: a brk\n\nguest:\n  words: [0xd4200000]\n"


@pytest.fixture
def files(tmp_path: Path) -> Path:
    (tmp_path / "neat.vcpu.yaml").write_text(NEAT)
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub/ugly.vcpu.yaml").write_text(UGLY)
    return tmp_path


def test_it_formats_in_place_and_names_what_changed(scenario: Scenario, files: Path) -> None:
    outcome = scenario("fmt", ".")
    assert outcome.transcript == "sub/ugly.vcpu.yaml\n2 scenarios, 1 file changed\n--- status 0\n"
    assert (files / "sub/ugly.vcpu.yaml").read_text() == NEAT
    assert scenario("fmt", ".").transcript == "2 scenarios, 0 files changed\n--- status 0\n"


def test_check_changes_nothing_and_fails(scenario: Scenario, files: Path) -> None:
    outcome = scenario("fmt", "--check", ".")
    assert outcome.transcript == (
        "--- stderr\n"
        "sub/ugly.vcpu.yaml: not in the form in which it would be written\n"
        "`scenario fmt` would change 1 file\n"
        "--- status 1\n"
    )
    assert (files / "sub/ugly.vcpu.yaml").read_text() == UGLY


def test_check_of_neat_scenarios_is_content(scenario: Scenario, files: Path) -> None:
    assert scenario("fmt", "--check", "neat.vcpu.yaml").transcript == (
        "1 scenario: nothing to format\n--- status 0\n"
    )


def test_diff_shows_what_would_change(scenario: Scenario, files: Path) -> None:
    outcome = scenario("fmt", "--diff", "sub")
    assert outcome.status == 1
    assert outcome.out == (
        "--- sub/ugly.vcpu.yaml\n+++ sub/ugly.vcpu.yaml\n@@ -1,2 +1,4 @@\n"
        "-guest: {words: [0xd4200000]}\n-title:   a brk\n"
        "+title: a brk\n+\n+guest:\n+  words: [0xd4200000]\n"
    )
    assert (files / "sub/ugly.vcpu.yaml").read_text() == UGLY


def test_what_is_no_yaml_is_told_and_the_others_are_formatted(
    scenario: Scenario, files: Path
) -> None:
    (files / "broken.vcpu.yaml").write_text("title: [\n")
    (files / "latin.vcpu.yaml").write_bytes(b"title: \xe9\n")
    (files / "marked.vcpu.yaml").write_text(f"---\n{UGLY}")
    outcome = scenario("fmt", ".")
    assert outcome.status == 4
    assert outcome.out == "sub/ugly.vcpu.yaml\n5 scenarios, 1 file changed\n"
    assert "broken.vcpu.yaml:1:8: error: not YAML" in outcome.err
    assert "latin.vcpu.yaml:1:8: error: not UTF-8" in outcome.err
    assert (
        "marked.vcpu.yaml:1:1: error: cannot format: the file has directives and document markers"
        in outcome.err
    )
    assert (files / "marked.vcpu.yaml").read_text() == f"---\n{UGLY}"


def test_an_unfinished_scenario_can_be_formatted(scenario: Scenario, files: Path) -> None:
    """Who is still writing has no valid scenario yet."""
    (files / "begun.vcpu.yaml").write_text("expect: [{exits: [{mmio: {len: 3}}]}]\ntitle: x\n")
    assert scenario("fmt", "begun.vcpu.yaml").status == 0
    assert (files / "begun.vcpu.yaml").read_text() == (
        "title: x\n\nexpect:\n  - exits:\n      - mmio: {len: 3}\n"
    )


def test_standard_input_is_formatted_to_standard_output(
    scenario: Scenario, monkeypatch: pytest.MonkeyPatch
) -> None:
    def given(text: str) -> None:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text.encode())))

    given(UGLY)
    assert scenario("fmt", "-").transcript == f"{NEAT}--- status 0\n"
    given(UGLY)
    assert scenario("fmt", "--check", "-").status == 1
    given(NEAT)
    assert scenario("fmt", "--diff", "-").transcript == "--- status 0\n"
    given("a: [")
    outcome = scenario("fmt", "-")
    assert outcome.status == 4
    assert outcome.out == ""
    assert "<stdin>:1:4: error: not YAML" in outcome.err


def test_without_scenarios_nothing_is_selected(scenario: Scenario) -> None:
    assert scenario("fmt", ".").transcript == (
        "--- stderr\nno scenario (*.vcpu.yaml) was found\n--- status 5\n"
    )


def test_a_file_keeps_its_mode_and_a_link_its_target(scenario: Scenario, files: Path) -> None:
    target = files / "sub/ugly.vcpu.yaml"
    target.chmod(0o640)
    (files / "link.vcpu.yaml").symlink_to(target)
    assert scenario("fmt", "link.vcpu.yaml").status == 0
    assert (files / "link.vcpu.yaml").is_symlink()
    assert target.read_text() == NEAT
    assert stat.S_IMODE(target.stat().st_mode) == 0o640
    assert sorted(os.listdir(files / "sub")) == ["ugly.vcpu.yaml"]


def test_a_folder_that_cannot_be_written_is_told(
    scenario: Scenario, files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(os, "replace", refuse)
    outcome = scenario("fmt", "sub")
    assert outcome.status == 3
    assert outcome.err == "scenario: cannot write sub/ugly.vcpu.yaml: Read-only file system\n"
    assert (files / "sub/ugly.vcpu.yaml").read_text() == UGLY
    assert os.listdir(files / "sub") == ["ugly.vcpu.yaml"]
