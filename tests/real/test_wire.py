"""What goes over the wire comes back as it was."""

from __future__ import annotations

import json
from pathlib import Path
from typing import get_args

import pytest
from vcpu_scenario import case as c
from vcpu_scenario.machine.real import wire
from vcpu_scenario.recordings.jobs import jobs
from vcpu_scenario.trace import Exit, Ring, RingEntry, Trace

from .cases import ACTIONS, FULL

RECORDED = Path(__file__).parents[1] / "recorded"


def test_a_case_with_everything_comes_back_equal() -> None:
    assert wire.load_case(wire.dump_case(FULL)) == FULL


def test_the_case_with_everything_has_every_kind_of_action() -> None:
    assert {type(action) for action in ACTIONS} == set(get_args(c.Action))


@pytest.mark.slow
def test_every_recorded_job_comes_back_equal() -> None:
    cases = [job.case for path in RECORDED.glob("*.json.xz") for job in jobs(path)]
    assert cases
    for case in cases:
        assert wire.load_case(wire.dump_case(case)) == case


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
        ended="interrupted",
    )
    back = wire.load_trace(wire.dump_trace(trace))
    assert back == trace
    assert back.to_json() == trace.to_json()


def test_a_refused_set_up_keeps_its_error() -> None:
    trace = Trace(error="cap nisv: Invalid argument: errno 22", errno=22, ended="refused")
    assert wire.load_trace(wire.dump_trace(trace)) == trace


def test_what_is_sent_is_one_line() -> None:
    assert "\n" not in wire.dump_case(FULL)


@pytest.mark.parametrize(
    "line",
    [
        "",
        "[]",
        "7",
        '{"_":"Nothing"}',
        '{"_":"Case"}',
        '{"_":"Case","slots":[],"colour":1}',
        wire.dump_trace(Trace()),
    ],
)
def test_what_is_no_case_is_refused(line: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011  json's own errors are ValueErrors too
        wire.load_case(line)


def test_fields_at_their_defaults_are_not_sent() -> None:
    sent = json.loads(wire.dump_case(c.Case(slots=())))
    assert sent == {"_": "Case", "slots": [], "limits": {"_": "Limits"}}
