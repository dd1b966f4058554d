"""``scenario migrate`` as a command: what it writes, what it leaves, how it ends."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import pytest

from tests.authoring.test_migrating import NEW, OLD
from tests.commandline import Scenario


@pytest.fixture
def files(tmp_path: Path) -> Path:
    (tmp_path / "new.vcpu.yaml").write_text(NEW)
    (tmp_path / "old.vcpu.yaml").write_bytes(b"\xef\xbb\xbf" + OLD.replace("\n", "\r\n").encode())
    return tmp_path


def test_it_migrates_in_place_and_names_what_changed(scenario: Scenario, files: Path) -> None:
    outcome = scenario("migrate", ".")
    assert outcome.transcript == "old.vcpu.yaml\n2 scenarios, 1 file changed\n--- status 0\n"
    migrated = b"\xef\xbb\xbf" + NEW.replace("\n", "\r\n").encode()
    assert (files / "old.vcpu.yaml").read_bytes() == migrated
    assert scenario("migrate", ".").transcript == "2 scenarios, 0 files changed\n--- status 0\n"


def test_check_changes_nothing_and_fails(scenario: Scenario, files: Path) -> None:
    before = (files / "old.vcpu.yaml").read_bytes()
    assert scenario("migrate", "--check", ".").transcript == (
        "--- stderr\n"
        "old.vcpu.yaml: in an older form of the language\n"
        "`scenario migrate` would change 1 file\n"
        "--- status 1\n"
    )
    assert (files / "old.vcpu.yaml").read_bytes() == before
    assert scenario("migrate", "--check", "new.vcpu.yaml").transcript == (
        "1 scenario: nothing to migrate\n--- status 0\n"
    )


def test_diff_shows_the_words(scenario: Scenario, files: Path) -> None:
    outcome = scenario("migrate", "--diff", "old.vcpu.yaml")
    assert outcome.status == 1
    assert '-    "do":' in outcome.out
    assert '+    "then":' in outcome.out


def test_a_file_that_is_no_yaml_is_left_and_the_others_are_migrated(
    scenario: Scenario, files: Path
) -> None:
    (files / "bad.vcpu.yaml").write_text("title: [\n")
    outcome = scenario("migrate", ".")
    assert outcome.status == 4
    assert "bad.vcpu.yaml:" in outcome.err
    assert (files / "bad.vcpu.yaml").read_text() == "title: [\n"
    assert "ext_dabt_pending" in (files / "old.vcpu.yaml").read_text()


def test_standard_input_is_migrated_to_standard_output(
    scenario: Scenario, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(OLD.encode()), "utf-8"))
    assert scenario("migrate", "-").out == NEW


def test_check_of_an_old_file_says_how_to_migrate(scenario: Scenario, files: Path) -> None:
    outcome = scenario("check", "old.vcpu.yaml")
    assert outcome.status == 4
    assert outcome.err.count("run `scenario migrate`") == 3
