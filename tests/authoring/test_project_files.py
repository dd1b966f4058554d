"""Files that editors, pre-commit and SchemaStore read."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft7Validator
from vcpu_scenario.authoring.template import MODELINE
from vcpu_scenario.language import schema

from tests.commandline import Scenario

ROOT = Path(__file__).parents[2]
SHIPPED = sorted((ROOT / "scenarios").glob("**/*.vcpu.yaml"))
SCHEMA = schema.scenario_schema()
HOOKS = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text())


def test_there_are_scenarios() -> None:
    assert len(SHIPPED) > 60


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_a_shipped_scenario_leads_editors_to_the_schema(path: Path) -> None:
    first = path.read_text(encoding="utf-8").partition("\n")[0]
    assert first.startswith(MODELINE)
    named = (path.parent / first.removeprefix(MODELINE)).resolve()
    assert named == ROOT / "schemas/scenario.schema.json"


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_a_shipped_scenario_acts_at_exits_by_what_they_are(path: Path) -> None:
    """And not by their numbers, which change when an exit is added before them."""
    found = yaml.load(path.read_text(encoding="utf-8"), Loader=yaml.CSafeLoader).get("on", ())
    assert not [item for item in found if "exit" in item]


def test_the_schema_is_published_under_its_version() -> None:
    version = re.fullmatch(r"https://.*/(vcpu-scenario-(\d+)\.json)", SCHEMA["$id"])
    assert version is not None
    published = ROOT / "schemas" / version[1]
    assert published.read_text() == schema.schema_text()


def test_the_command_prints_the_schema(scenario: Scenario, tmp_path: Path) -> None:
    outcome = scenario("schema")
    assert outcome.status == 0
    assert outcome.out == (ROOT / "schemas/scenario.schema.json").read_text()
    Draft7Validator.check_schema(json.loads(outcome.out))
    assert scenario("schema", "--output", "s.json").out == ""
    assert (tmp_path / "s.json").read_text() == outcome.out


def test_an_unwritable_place_is_told(scenario: Scenario) -> None:
    outcome = scenario("schema", "--output", "no/such/folder.json")
    assert outcome.status == 4
    assert outcome.err.startswith("scenario: --output: cannot write no/such/folder.json: ")


def test_the_entry_for_schemastore_is_one_that_it_takes() -> None:
    """Its own checks: src/schemas/json/schema-catalog.json and cli.js of SchemaStore."""
    entry: dict[str, Any] = json.loads((ROOT / "docs/schemastore.json").read_text())
    assert set(entry) == {"name", "description", "fileMatch", "url", "versions"}
    assert entry["fileMatch"] == ["*.vcpu.yaml"]
    assert entry["url"] == SCHEMA["$id"] == list(entry["versions"].values())[-1]
    for text in entry["name"], entry["description"]:
        assert "schema" not in text.lower()
        assert not re.search(r"[,. \t-]$", text)


def test_vs_code_finds_the_schema_without_a_modeline() -> None:
    settings = json.loads((ROOT / ".vscode/settings.json").read_text())
    (file,) = settings["yaml.schemas"]
    assert (ROOT / file).resolve() == ROOT / "schemas/scenario.schema.json"
    assert settings["yaml.schemas"][file] == "*.vcpu.yaml"


def test_hooks_are_offered_to_pre_commit() -> None:
    assert [hook["id"] for hook in HOOKS] == ["scenario-check", "scenario-fmt"]
    assert all(re.search(hook["files"], "a/b.vcpu.yaml") for hook in HOOKS)
    assert not any(re.search(hook["files"], "a/b.yaml") for hook in HOOKS)


@pytest.mark.slow
@pytest.mark.parametrize("hook", HOOKS, ids=lambda hook: hook["id"])
def test_a_hook_takes_the_files_of_a_commit(hook: dict[str, Any], tmp_path: Path) -> None:
    good, bad = tmp_path / "good.vcpu.yaml", tmp_path / "bad.vcpu.yaml"
    good.write_text("title: t\n\nguest:\n  words: [0xd4200000]\n")
    bad.write_text("title: [\n")
    program, *arguments = shlex.split(hook["entry"])
    assert program == "scenario"

    def status(*files: Path) -> int:
        return subprocess.run(
            [sys.executable, "-m", "vcpu_scenario", *arguments, *map(str, files)],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(ROOT / "runner")},
            capture_output=True,
            check=False,
            timeout=60,
        ).returncode

    assert status(good) == 0
    assert status(good, bad) == 4
