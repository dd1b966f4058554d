"""Many files shared out to processes: the same results, in order, whatever becomes of one."""

from __future__ import annotations

import gc
import os
import signal
from pathlib import Path

import pytest
from vcpu_scenario.running import each
from vcpu_scenario.running.each import done_for_each

from tests.commandline import Scenario

from .conftest import children

TEXT = """\
title: one step
tags: [{tag}]
guest:
  registers: {{x5: {number}}}
  words: [0xd4200000]
debug: {{single_step: true}}
expect:
  - exits: [debug: {{brk: 0x40000000, regs: {{x5: {number}}}}}]
"""


@pytest.fixture
def two(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(each, "_processors", lambda: 2)


@pytest.fixture
def many(tmp_path: Path) -> Path:
    for number in range(120):
        text = TEXT.format(number=number, tag="odd" if number % 2 else "even")
        (tmp_path / f"n{number:03}.vcpu.yaml").write_text(text)
    return tmp_path


@pytest.mark.parametrize("processors", [1, 2, 5])
@pytest.mark.parametrize("count", [0, 1, 30, 300])
def test_all_is_done_in_order_in_any_number_of_processes(
    processors: int, count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(each, "_processors", lambda: processors)
    threshold = gc.get_threshold()
    found = list(done_for_each(lambda number: (number, os.getpid()), count))
    assert [number for number, _ in found] == list(range(count))
    assert ({pid for _, pid in found} <= {os.getpid()}) == (processors == 1 or count <= 30)
    assert gc.get_threshold() == threshold
    assert not children()


def test_what_is_lost_with_its_process_is_done_here(two: None) -> None:
    here = os.getpid()

    def work(number: int) -> int:
        if number == 70 and os.getpid() != here:
            os.kill(os.getpid(), signal.SIGKILL)
        return number

    assert list(done_for_each(work, 200)) == list(range(200))


def test_what_is_raised_in_a_process_is_raised_here(two: None) -> None:
    def work(number: int) -> int:
        if number == 70:
            raise LookupError("seventy")
        return number

    coming = done_for_each(work, 200)
    with pytest.raises(LookupError, match="seventy"):
        list(coming)
    assert not children()


def test_where_no_process_can_be_made_all_is_done_here(
    two: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse() -> int:
        raise OSError(11, "Resource temporarily unavailable")

    monkeypatch.setattr(os, "fork", refuse)
    assert list(done_for_each(lambda number: number, 100)) == list(range(100))


def test_no_process_is_left_when_nobody_wants_more(two: None) -> None:
    coming = done_for_each(lambda number: number, 500)
    assert next(coming) == 0
    coming.close()
    assert not children()


@pytest.mark.slow
@pytest.mark.parametrize(
    "command",
    [
        ("check",),
        ("list",),
        ("list", "--format", "json", "-k", "n01", "--kernel", "6.12"),
        ("list", "--tag", "odd"),
        ("list", "--format", "json", "-k", "nowhere"),
        ("fmt", "--check"),
        ("fmt", "--diff"),
    ],
    ids=" ".join,
)
@pytest.mark.parametrize("broken", [False, True])
def test_a_command_says_the_same_in_one_process_and_in_two(
    command: tuple[str, ...],
    broken: bool,
    many: Path,
    scenario: Scenario,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if broken:
        for number in (3, 60, 61):
            (many / f"n{number:03}.vcpu.yaml").write_text(
                "title: [x\n" if number == 3 else "a: b\n"
            )
    if command[0] == "fmt":
        (many / "n007.vcpu.yaml").write_text(TEXT.format(number=7, tag="odd") + "  # end\n\n\n")
    said = []
    for processors in (1, 2):
        monkeypatch.setattr(each, "_processors", lambda count=processors: count)
        said.append(scenario(*command, str(many)).transcript)
    assert said[0] == said[1]
    assert "n061" in said[0] or not broken or command[0] == "fmt"


@pytest.mark.slow
def test_fmt_writes_the_same_from_two_processes(two: None, many: Path, scenario: Scenario) -> None:
    assert scenario("fmt", str(many)).out.endswith("120 scenarios, 120 files changed\n")
    for number in range(0, 120, 10):
        path = many / f"n{number:03}.vcpu.yaml"
        path.write_text(path.read_text().replace("tags: [", "tags:   ["))
    assert scenario("fmt", str(many)).out.endswith("120 scenarios, 12 files changed\n")
    assert "tags: [even]" in (many / "n050.vcpu.yaml").read_text()
    assert scenario("fmt", "--check", str(many)).status == 0
