"""The examples in the documentation do what they say."""

from __future__ import annotations

import doctest
import importlib
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def in_the_repository(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)


@pytest.mark.slow
def test_examples_of_the_module() -> None:
    found = doctest.testmod(importlib.import_module("vcpu_scenario.api"))
    assert found.attempted > 0
    assert found.failed == 0


@pytest.mark.slow
@pytest.mark.parametrize("page", sorted(ROOT.glob("docs/*.md")), ids=lambda page: page.name)
def test_examples_of_a_page(page: Path) -> None:
    assert doctest.testfile(str(page), module_relative=False).failed == 0


def test_every_public_function_has_an_example() -> None:
    api = importlib.import_module("vcpu_scenario.api")
    functions = [name for name in api.__all__ if name[0].islower()]
    assert functions
    for name in functions:
        assert ">>>" in getattr(api, name).__doc__, name


def test_importing_the_package_imports_nothing_but_its_version() -> None:
    import subprocess

    code = "import sys, vcpu_scenario; print([n for n in sys.modules if 'vcpu_scenario.' in n])"
    command = [sys.executable, "-c", code]
    found = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "['vcpu_scenario.host', 'vcpu_scenario.host.package']"
