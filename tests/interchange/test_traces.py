"""What goes over the wire comes back as it was."""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path
from typing import get_args

import pytest
from vcpu_scenario import case as c
from vcpu_scenario.interchange.cases import dump_case, load_case
from vcpu_scenario.interchange.traces import dump_trace, load_trace
from vcpu_scenario.ioctls.vcpu import GuestDebug
from vcpu_scenario.language import load
from vcpu_scenario.machine.emulated.machine import create
from vcpu_scenario.machine.errors import Unsupported
from vcpu_scenario.recordings.jobs import jobs
from vcpu_scenario.trace import (
    Answer,
    Ending,
    Entry,
    Exit,
    GuestException,
    Inside,
    Ring,
    RingEntry,
    Trace,
)
from vcpu_scenario.vmm.loop import run_case

from .cases import ACTIONS, FULL

RECORDED = Path(__file__).parents[1] / "recorded"
SCENARIOS = sorted((Path(__file__).parents[2] / "scenarios").rglob("*.vcpu.yaml"))[::3]


def test_a_case_with_everything_comes_back_equal() -> None:
    assert load_case(dump_case(FULL)) == FULL


def test_the_case_with_everything_has_every_kind_of_action() -> None:
    assert {type(action) for action in ACTIONS} == set(get_args(c.Action))


@pytest.mark.slow
def test_every_recorded_job_comes_back_equal() -> None:
    cases = [job.case for path in RECORDED.glob("*.json.xz") for job in jobs(path)]
    assert cases
    for case in cases:
        assert load_case(dump_case(case)) == case


def test_a_trace_comes_back_equal_with_its_bytes_and_numbers() -> None:
    trace = Trace(
        exits=(
            Exit("MMIO", 0, 0, 4, {"addr": 9, "len": 4, "is_write": 1, "data": "00ff"}, {"x0": 1}),
            Exit("SYSTEM_EVENT", -1, 4, 8, {"type": 1, "ndata": 1, "data": [0]}, {}),
        ),
        eventfd=(0, 2),
        ring=Ring(0, 1, (RingEntry(0xB000000, 4, bytes(8)),)),
        final_regs={"sp": 2**64 - 1},
        memory={0x4000_0000: b"\x00\xff"},
        output={"uart": b"hi"},
        ended=Ending.INTERRUPTED,
    )
    back = load_trace(dump_trace(trace))
    assert back == trace
    assert back.to_json() == trace.to_json()


def test_a_refused_set_up_keeps_its_error() -> None:
    trace = Trace(error="cap nisv: Invalid argument: errno 22", errno=22, ended=Ending.REFUSED)
    assert load_trace(dump_trace(trace)) == trace


def test_what_is_sent_is_one_line() -> None:
    assert "\n" not in dump_case(FULL)


@pytest.mark.parametrize(
    "line",
    [
        "",
        "[]",
        "7",
        "{}",
        '{"slots":[],"colour":1}',
        dump_trace(Trace()),
    ],
)
def test_what_is_no_case_is_refused(line: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011  json's own errors are ValueErrors too
        load_case(line)


ENTRIES = (
    Entry(None, (Answer(7), GuestException()), 4, kicked=True, inside=Inside()),
    Entry(0, ACTIONS, 8, GuestDebug(3), frozenset({0x4000_0010})),
    Entry(
        1, (), 12, GuestDebug(3), frozenset({0x4000_0010}), inside=Inside(True, 4, 8, 12, 16, ())
    ),
    Entry(2, (), 16, inside=Inside(ran=(4, 8))),
)


def test_entries_come_back_with_the_debug_state_that_stays_from_one_to_the_next() -> None:
    back = load_trace(dump_trace(Trace(entries=ENTRIES)))
    assert back.entries == ENTRIES


def test_each_trace_of_a_shipped_case_comes_back_as_it_was() -> None:
    for path in SCENARIOS:
        for case in load(path).cases(["5.0", "7.2"]):
            try:
                with closing(create(case.kernel)) as machine:
                    trace = run_case(machine, case.case)
            except Unsupported:
                continue  # the kernel lacks what the scenario asks for or is not modelled there
            back = load_trace(dump_trace(trace))
            assert back == trace
            assert back.entries == trace.entries


@pytest.mark.parametrize(
    "entry",
    [
        {},
        {"exit": "0", "pc": 0},
        {"exit": 0, "pc": None},
        {"exit": 0, "pc": 0, "did": [{"do": "Nothing"}]},
        {"exit": 0, "pc": 0, "did": 3},
        {"exit": 0, "pc": 0, "did": [{"do": "SetRegister", "reg": "x1", "value": "5"}]},
        {"exit": 0, "pc": 0, "did": [{"do": "WriteMemory", "addr": [], "data": ""}]},
        {"exit": 0, "pc": 0, "did": [{"do": "SetGuestDebug", "debug": {"control": {}}}]},
        {"exit": 0, "pc": 0, "did": [{"do": "SetRunField", "field": "x", "value": 1}]},
        {"exit": 0, "pc": 0, "kicked": "yes"},
        {"exit": 0, "pc": 0, "debug": {"colour": 1}},
        {"exit": 0, "pc": 0, "breakpoints": ["here"]},
        {"exit": 0, "pc": 0, "inside": {"ran": ["here"]}},
        {"exit": 0, "pc": 0, "inside": {"completed": 3}},
        {"exit": 0, "pc": 0, "inside": {"colour": 1}},
    ],
)
def test_what_is_no_entry_is_refused(entry: object) -> None:
    with pytest.raises(ValueError, match=r"not a|nothing that"):
        load_trace(json.dumps({"exits": [], "entries": [entry]}))


@pytest.mark.parametrize("exits", [[1], [-1], [10**12], [0, 0], [0, 2], [0, None, 2]])
def test_entries_that_give_other_exits_than_there_are_in_order_are_refused(
    exits: list[int | None],
) -> None:
    entries = [{"exit": exit_, "pc": 0} for exit_ in exits]
    with pytest.raises(ValueError, match="is missing from its entries"):
        load_trace(json.dumps({"exits": [], "entries": entries}))
