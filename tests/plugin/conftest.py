"""Projects that have scenarios among their tests."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from vcpu_scenario.api import dumps

ROOT = Path(__file__).parents[2]

Run = Callable[..., pytest.RunResult]


def breakpoint(imm: int = 7, **more: Any) -> dict[str, Any]:
    """A scenario that passes with ``imm`` 7 and fails with any other."""
    clause = {"exits": [{"debug": {"brk": 0x40000004, "imm": imm}}]}
    scenario = {
        "title": "a breakpoint",
        "guest": {"at": 0x40000000, "words": [0xD503201F, 0xD42000E0]},
        "debug": {"software_breakpoints": True},
        "kernels": ["5.10", "6.12"],
        "expect": [clause | more.pop("clause", {})],
    }
    return scenario | more


PLUGIN = ("-p", "vcpu_scenario.pytest_plugin")
"""Loads the plugin, installed with its entry point or not; others are not loaded by themselves."""


@pytest.fixture(scope="session", autouse=True)
def everything_is_imported() -> None:
    """Pytester forgets what a run of pytest in this process imports, and only half of it where a
    package remembers its modules."""
    import vcpu_scenario.pytest_plugin.fixture
    import vcpu_scenario.pytest_plugin.nodes

    wrong = vcpu_scenario.api.loads(dumps(breakpoint(imm=8)))
    assert vcpu_scenario.api.failure_text(*vcpu_scenario.api.run(wrong))


@pytest.fixture
def project(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    """A folder ``sub`` with a scenario that passes and one that fails, on two kernels each."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    for name in ("PYTEST_ADDOPTS", "PYTEST_XDIST_WORKER", "PYTEST_XDIST_WORKER_COUNT"):
        monkeypatch.delenv(name, raising=False)
    folder = pytester.mkdir("sub")
    (folder / "right.vcpu.yaml").write_text(dumps(breakpoint(tags=["brk", "single-step"])))
    (folder / "wrong.vcpu.yaml").write_text(dumps(breakpoint(imm=8, tags=["brk"])))
    return pytester


@pytest.fixture(params=["here", "process"])
def run(request: pytest.FixtureRequest, project: pytest.Pytester) -> Run:
    """Runs pytest in this process, and again in one of its own."""
    if request.param == "process":
        return lambda *args: project.runpytest_subprocess(*PLUGIN, *args)
    return lambda *args: project.runpytest_inprocess(*PLUGIN, *args)
