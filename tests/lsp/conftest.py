"""The server that `scenario lsp` is, one for all tests of a process that only ask it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from .client import Editor

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Editor]:
    running = Editor(tmp_path_factory.mktemp("workspace"))
    yield running
    running.close()


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Editor]:
    """A server that a test may end."""
    running = Editor(tmp_path)
    yield running
    running.process.kill()
    running.process.wait()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where a scenario of a test is."""
    return tmp_path / "made.vcpu.yaml"
