"""Two traces held against each other."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from vcpu_scenario.api import Comparison, compare, run
from vcpu_scenario.machine.errors import Unsupported
from vcpu_scenario.trace import Ending, Exit, Ring, RingEntry, Trace

STEP = 0xCA000022
BRK = 0xF2000007


def debug(pc: int, hsr: int = STEP, regs: Mapping[str, int] | None = None, **more: Any) -> Exit:
    return Exit("DEBUG", 0, 0, pc, {"hsr": hsr, "far": 0, **more}, regs or {})


def mmio(pc: int, **fields: Any) -> Exit:
    given = {"addr": 0x9000018, "len": 4, "is_write": 0, "data": "00" * 8} | fields
    return Exit("MMIO", 0, 0, pc, given, {})


def error(errno: int, stale: str = "MMIO") -> Exit:
    return Exit(stale, -1, errno, 0x1000, {}, {})


def told(comparison: Comparison) -> list[str]:
    return [difference.words() for difference in comparison.differences]


RUN = Trace(
    (debug(0x1000), mmio(0x1004), debug(0x1008), debug(0x100C, BRK)), ended=Ending.EXIT_LIMIT
)


def test_a_trace_is_the_same_as_itself() -> None:
    comparison = compare(RUN, RUN)
    assert comparison.same
    assert comparison.pairs == ((0, 0), (1, 1), (2, 2), (3, 3))
    assert str(comparison) == "the same"


def test_an_exit_that_one_lacks_is_a_gap_and_the_rest_stays_aligned() -> None:
    shorter = replace(RUN, exits=(RUN.exits[0], *RUN.exits[2:]))
    comparison = compare(RUN, shorter)
    assert comparison.pairs == ((0, 0), (1, None), (2, 1), (3, 2))
    (difference,) = comparison.differences
    assert (difference.at, difference.exits, difference.field) == ("exit", (1, None), "")
    assert difference.one["addr"] == 0x9000018
    assert told(comparison) == [
        "exit 1: only in the first: MMIO read of 4 bytes from 0x9000018 at 0x1004"
    ]
    assert told(compare(shorter, RUN)) == [
        "exit 1: only in the second: MMIO read of 4 bytes from 0x9000018 at 0x1004"
    ]


def test_every_field_that_differs_is_named() -> None:
    other = replace(RUN, exits=(RUN.exits[0], mmio(0x1008, data="01" + "00" * 7), *RUN.exits[2:]))
    assert told(compare(RUN, other)) == [
        "exit 1: pc: 0x1004, not 0x1008",
        "exit 1: data: 0000000000000000, not 0100000000000000",
    ]


def test_a_field_that_one_lacks_is_nothing_there() -> None:
    other = replace(RUN, exits=(debug(0x1000, flags=1), *RUN.exits[1:]))
    assert told(compare(RUN, other)) == ["exit 0: flags: nothing, not 0x1"]


def test_syndromes_are_told_in_words() -> None:
    other = replace(RUN, exits=(*RUN.exits[:3], debug(0x100C, BRK + 1)))
    assert told(compare(RUN, other)) == [
        "exit 3: hsr: 0xf2000007 (BRK #0x7), not 0xf2000008 (BRK #0x8)"
    ]


def test_exits_of_different_kinds_are_not_held_against_each_other() -> None:
    other = replace(RUN, exits=(*RUN.exits[:3], debug(0x100C)))
    assert compare(RUN, other).pairs[3:] == ((3, None), (None, 3))


def test_errors_are_of_one_kind_whatever_exit_reason_is_left() -> None:
    one, other = Trace((error(38, "MMIO"),)), Trace((error(38, "UNKNOWN"),))
    assert told(compare(one, other)) == ["exit 0: exit: MMIO, not UNKNOWN"]
    assert compare(one, Trace((error(4),))).pairs == ((0, None), (None, 0))


def test_exits_are_named_by_both_numbers_where_they_differ() -> None:
    shifted = Trace((debug(0xF00), debug(0x1000, regs={"x1": 1})))
    comparison = compare(Trace((debug(0x1000, regs={"x1": 2}),)), shifted)
    assert told(comparison)[1:] == ["exit 0, not 1: x1: 0x2, not 0x1"]


def test_a_register_is_named_once_until_one_of_its_values_changes() -> None:
    def trace(*values: int) -> Trace:
        return Trace(
            tuple(debug(0x1000 + 4 * n, regs={"x1": value}) for n, value in enumerate(values))
        )

    comparison = compare(trace(1, 2, 2, 3, 4, 5), trace(1, 7, 7, 3, 8, 8))
    assert told(comparison) == [
        "exit 1: x1: 0x2, not 0x7",
        "exit 4: x1: 0x4, not 0x8",
        "exit 5: x1: 0x5, not 0x8",
    ]


def test_registers_count_by_value_not_by_when_they_are_told() -> None:
    one = Trace((debug(0x1000, regs={"x1": 1}), debug(0x1004)))
    other = Trace((debug(0x1000, regs={"x1": 1}), debug(0x1004, regs={"x1": 1})))
    assert compare(one, other).same


def test_a_list_is_a_list_however_it_was_read() -> None:
    one, other = (Trace((Exit("SYSTEM_EVENT", 0, 0, 0, {"data": d}, {}),)) for d in ((1,), [1]))
    assert compare(one, other).same


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"eventfd": (1, 3)}, "eventfd 1: 0x2, not 0x3"),
        ({"eventfd": (1,)}, "eventfd 1: 0x2, not nothing"),
        ({"final_regs": {"x5": 6}}, "register x5: 0x5, not 0x6"),
        ({"memory": {0x2000: b"\1\3"}}, "memory 0x2000: 01 02, not 01 03"),
        ({"memory": {}}, "memory 0x2000: 01 02, not nothing"),
        ({"output": {"uart": b"I"}}, "output uart: 48, not 49"),
        ({"ended": Ending.REPEATS}, "end: , not repeats"),
        ({"errno": 22, "error": "cap"}, "set-up: nothing, not refused with EINVAL"),
        ({"error": "cap"}, "set-up: nothing, not refused: cap"),
    ],
)
def test_the_final_state_counts(change: dict[str, Any], words: str) -> None:
    one = Trace(
        eventfd=(1, 2), final_regs={"x5": 5}, memory={0x2000: b"\1\2"}, output={"uart": b"H"}
    )
    assert told(compare(one, replace(one, **change))) == [words]


def test_how_a_machine_words_a_refusal_does_not_count() -> None:
    assert compare(Trace(error="no", errno=22), Trace(error="never", errno=22)).same


def test_the_ring_counts_by_its_indices_and_each_entry() -> None:
    entry = RingEntry(0x9000000, 4, b"\1\0\0\0")
    one = Trace(ring=Ring(0, 2, (entry, entry)))
    other = Trace(ring=Ring(0, 1, (entry._replace(data=b"\2\0\0\0"),)))
    assert [(d.field, d.at) for d in compare(one, other).differences] == [
        ("last", "ring"),
        ("0", "ring"),
        ("1", "ring"),
    ]
    assert [d.at for d in compare(one, Trace()).differences] == ["ring"]


@pytest.mark.slow
def test_nothing_is_lost_of_runs_too_long_to_align() -> None:
    one = Trace(tuple(debug(0x1000 + 4 * n) for n in range(1500)))
    other = Trace(tuple(debug(0x100000 + 4 * n) for n in range(1600)))
    comparison = compare(one, other)
    firsts = [first for first, _ in comparison.pairs if first is not None]
    seconds = [second for _, second in comparison.pairs if second is not None]
    assert firsts == list(range(1500))
    assert seconds == list(range(1600))


exits = st.lists(
    st.builds(
        debug,
        st.sampled_from([0x1000, 0x1004, 0x1008]),
        st.sampled_from([STEP, BRK]),
        st.dictionaries(st.sampled_from(["x1", "x2"]), st.integers(0, 2)),
    ),
    max_size=8,
)


@pytest.mark.slow
@given(exits, exits)
def test_every_exit_is_in_one_pair_and_in_order(one: list[Exit], other: list[Exit]) -> None:
    pairs = compare(Trace(tuple(one)), Trace(tuple(other))).pairs
    assert [first for first, _ in pairs if first is not None] == list(range(len(one)))
    assert [second for _, second in pairs if second is not None] == list(range(len(other)))
    assert (None, None) not in pairs


@pytest.mark.slow
@given(exits, exits)
def test_traces_are_the_same_only_if_they_are(one: list[Exit], other: list[Exit]) -> None:
    def values(trace: list[Exit]) -> list[tuple[object, ...]]:
        now: dict[str, int] = {}
        out: list[tuple[object, ...]] = []
        for exit_ in trace:
            now = {**now, **exit_.regs}
            out.append((exit_.pc, exit_.fields, now))
        return out

    same = compare(Trace(tuple(one)), Trace(tuple(other))).same
    assert same == (values(one) == values(other))


def test_two_releases_part_at_the_steps_that_one_of_them_loses(
    monkeypatch: pytest.MonkeyPatch, pytestconfig: pytest.Config
) -> None:
    monkeypatch.chdir(pytestconfig.rootpath)
    path = "scenarios/thread/pl011-write-step.vcpu.yaml"
    lossy, mended = run(path, ["5.10", "6.12"])
    lost = [difference for difference in compare(lossy, mended).differences if not difference.field]
    symbols = mended.case.symbols
    assert {difference.other["pc"] for difference in lost} == {symbols["busy"], symbols["next"]}
    assert all(difference.one is None for difference in lost)
    (again,) = run(path, "6.12")
    assert compare(mended, again).same


def test_what_was_not_run_cannot_be_compared(
    monkeypatch: pytest.MonkeyPatch, pytestconfig: pytest.Config
) -> None:
    def machine(kernel: str) -> Any:
        raise Unsupported("no machine")

    monkeypatch.chdir(pytestconfig.rootpath)
    (result,) = run("scenarios/thread/pl011-write-step.vcpu.yaml", "6.12", machine=machine)
    with pytest.raises(ValueError, match="was not run: no machine"):
        compare(result, RUN)
