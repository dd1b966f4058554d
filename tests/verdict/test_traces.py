"""Where two traces part first: by the number of the exit, whatever fits better further on."""

from __future__ import annotations

from msgspec.structs import replace
from vcpu_scenario.trace import Ending, Exit, Ring, Trace
from vcpu_scenario.verdict.traces import compare_traces, first_difference, first_other_exit


def step(pc: int, **regs: int) -> Exit:
    return Exit("DEBUG", 0, 0, pc, {"hsr": 0xCB00_0022, "far": 0}, regs)


ONE = Trace((step(0, x0=1), step(4), step(8)), eventfd=(1,), ring=Ring(0, 0, ()))


def test_the_same_have_no_difference() -> None:
    assert first_difference(ONE, replace(ONE)) == ()
    assert first_other_exit(ONE, replace(ONE)) is None


def test_an_exit_that_is_missing_makes_the_next_one_another() -> None:
    other = replace(ONE, exits=(ONE.exits[0], ONE.exits[2]))
    found = first_difference(ONE, other)
    assert [(each.exits, each.field, each.one, each.other) for each in found] == [
        ((1, 1), "pc", 4, 8)
    ]
    assert first_other_exit(ONE, other) == 1
    assert compare_traces(ONE, other).differences[0].exits == (1, None)


def test_the_trace_that_goes_on_has_the_exit_alone() -> None:
    (found,) = first_difference(replace(ONE, exits=ONE.exits[:2]), ONE)
    assert (found.exits, found.one, found.other) == ((None, 2), None, ONE.exits[2].to_json())


def test_every_field_of_that_exit_is_named_and_no_later_one() -> None:
    exits = (ONE.exits[0], replace(ONE.exits[1], pc=12, regs={"x0": 2}), step(16))
    found = first_difference(ONE, replace(ONE, exits=exits))
    assert [each.field for each in found] == ["pc", "regs.x0"]


def test_a_refused_set_up_comes_before_everything() -> None:
    (found,) = first_difference(ONE, Trace(error="cap nisv", errno=22))
    assert (found.at, found.one, found.other) == ("set-up", None, "refused with EINVAL")


def test_refusals_between_two_runs_are_compared_by_their_errno() -> None:
    refused = replace(ONE, ended=Ending.REFUSED, refused="memslot 0x0+0x800: EINVAL")
    same = replace(refused, refused="KVM_SET_USER_MEMORY_REGION: EINVAL")
    assert first_difference(refused, same) == ()
    (found,) = first_difference(
        refused, replace(same, refused="KVM_SET_USER_MEMORY_REGION: EEXIST")
    )
    assert found.other == "refused: KVM_SET_USER_MEMORY_REGION: EEXIST"


def test_the_final_state_comes_last() -> None:
    found = first_difference(ONE, replace(ONE, eventfd=(2,), ring=Ring(0, 1, ())))
    assert [(each.at, each.one, each.other) for each in found] == [
        ("eventfd", 1, 2),
        ("ring", 0, 1),
    ]
