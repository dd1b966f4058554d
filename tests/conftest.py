"""Options and fixtures of all tests. A golden file is what a command prints, kept beside the test
that looks at it."""

from __future__ import annotations

import signal
from collections import defaultdict
from collections.abc import Callable
from operator import itemgetter
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests import goldenfiles

# How fast a machine is, what else it does and what chance draws are no property of what is tested.
settings.register_profile(
    "steady",
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    derandomize=True,
)
# ``--hypothesis-profile random`` draws other examples each time.
settings.register_profile("random", settings.get_profile("steady"), derandomize=False)
settings.load_profile("steady")

SKIPPED = "--skipped"
LONG = 0.5
"""Seconds that a test of the inner loop may take."""

# A shell ignores Ctrl-C for what it runs in the background, and so would all that is tested here.
signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        goldenfiles.OPTION, action="store_true", help="write golden files anew, compare none"
    )
    parser.addoption(
        "--fuzz", type=int, default=300, help="inputs that each fuzzer runs (default: 300)"
    )
    parser.addoption(
        "--random-cases", type=int, default=200, help="random cases for invariants (default: 200)"
    )
    parser.addoption(
        SKIPPED, type=Path, help="write there which tests were skipped: `pytest @FILE` runs them"
    )


def pytest_configure(config: pytest.Config) -> None:
    if config.getoption(goldenfiles.OPTION):
        goldenfiles.ask()
    if hasattr(config, "workerinput"):
        return
    if file := config.getoption(SKIPPED):
        config.pluginmanager.register(Skipped(file))
    if config.getoption("markexpr") == "not slow":
        config.pluginmanager.register(Unmarked())


class Skipped:
    """Keeps the ids of the tests that are skipped, one on a line, in ``file``."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._ids: dict[str, None] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.skipped and not hasattr(report, "wasxfail"):
            self._ids[report.nodeid] = None

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.skipped:
            self._ids[report.nodeid] = None

    def pytest_sessionfinish(self) -> None:
        self._file.write_text("".join(f"{name}\n" for name in self._ids), encoding="utf-8")


class Unmarked:
    """Names the tests that took long without the marker ``slow``. A busy machine names some that
    are quick: it is a hint and no failure."""

    def __init__(self) -> None:
        self._seconds = defaultdict[str, float](float)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self._seconds[report.nodeid] += report.duration

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        long = [(name, took) for name, took in self._seconds.items() if took > LONG]
        if long:
            terminalreporter.section("to be marked slow, if it is not the machine that is busy")
        for name, took in sorted(long, key=itemgetter(1), reverse=True)[:10]:
            terminalreporter.line(f"{took:.1f} s {name}")


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Callable[[str, str], None]:
    """``golden(name, text)``: ``text`` is what ``golden/<name>`` beside the test holds."""

    def compare(name: str, text: str) -> None:
        path = Path(request.path).parent / "golden" / name
        if goldenfiles.are_renewed():
            path.parent.mkdir(exist_ok=True)
            path.write_text(text, encoding="utf-8")
            return
        assert path.exists(), f"no golden file {path}: run ./test.sh --golden"
        assert text == path.read_text(encoding="utf-8"), f"differs from {path}"

    return compare
