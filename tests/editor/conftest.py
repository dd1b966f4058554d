"""The YAML language server that editors run, as ``npm install yaml-language-server`` gives it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from .client import LanguageServer

ROOT: Final = Path(__file__).parents[2]
BINARY: Final = "node_modules/yaml-language-server/bin/yaml-language-server"
SETTINGS: Final = {
    "yaml": {
        "schemas": {"./schemas/scenario.schema.json": "*.vcpu.yaml"},
        "schemaStore": {"enable": False},
        "yamlVersion": "1.2",
        "validate": True,
        "hover": True,
        "completion": True,
    }
}


def command() -> list[str] | None:
    """How to start the server: the script that SCENARIO_YAMLLS names, the one that .ci/tools
    installs, or the one in the PATH."""
    node = shutil.which("node")
    named = os.environ.get("SCENARIO_YAMLLS")
    for script in (named, ROOT / ".cache/yamlls" / BINARY):
        if node and script and Path(script).is_file():
            return [node, str(script), "--stdio"]
    installed = shutil.which("yaml-language-server")
    return [installed, "--stdio"] if installed else None


@pytest.fixture(scope="session")
def server() -> Iterator[LanguageServer]:
    found = command()
    if found is None:
        pytest.skip(
            "no YAML language server: npm install --prefix .cache/yamlls yaml-language-server,"
            " or name its script in SCENARIO_YAMLLS"
        )
    running = LanguageServer(found, ROOT, SETTINGS)
    yield running
    running.close()
