"""Ioeventfds as a scenario says them: which values a write can match."""

from __future__ import annotations

import pytest
from vcpu_scenario.case import Ioeventfd
from vcpu_scenario.source import InvalidScenario

from .build import scenario

HEAD = """\
title: t
guest: {words: [0xd4200000]}
%s
expect: [{exits: [debug: {}]}]
debug: {software_breakpoints: true}
"""
DEVICE = "devices: {bell: {handled_by: kernel, model: ioeventfd, at: 0x09000000, %s}}"
ACTION = "before: [{%s: {at: 0x09000000, %s}}]"
FORMS = [
    DEVICE,
    ACTION.replace("%s", "add_ioeventfd", 1),
    ACTION.replace("%s", "remove_ioeventfd", 1),
    ACTION.replace("%s", "read_ioeventfd", 1).replace("%s", "count: 1, %s"),
]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    ("length", "match"), [(1, "0x100"), (2, "-1"), (4, "-1"), (4, "0xdead_beef_0000_0001")]
)
def test_a_match_that_no_write_of_its_width_has_is_told(form: str, length: int, match: str) -> None:
    most = (1 << 8 * length) - 1
    with pytest.raises(InvalidScenario) as told:
        scenario(HEAD % (form % f"len: {length}, match: {match}"))
    assert "out of range" in str(told.value)
    assert f"expected: 0 to {most if most < 0x1000 else hex(most)}" in str(told.value)


@pytest.mark.parametrize(
    ("length", "match", "datamatch"),
    [(1, "0xff", 0xFF), (4, "0xffff_ffff", 0xFFFF_FFFF), (8, "-1", (1 << 64) - 1)],
)
def test_a_match_may_be_the_largest_value_of_its_width(
    length: int, match: str, datamatch: int
) -> None:
    text = HEAD % (DEVICE % f"len: {length}, match: {match}")
    (found,) = (one.case for one in scenario(text).cases(["6.12"]))
    assert found.ioeventfds == (Ioeventfd(0x0900_0000, length, datamatch),)


def test_an_ioeventfd_of_any_width_has_no_match() -> None:
    """The kernel refuses it, which an action of a scenario may expect."""
    with pytest.raises(InvalidScenario, match="of any width matches any value"):
        scenario(HEAD % (DEVICE % "len: 0, match: 1"))
    refused = "before: [{add_ioeventfd: {at: 0x09000000, match: 1}, errno: EINVAL}]"
    assert scenario(HEAD % refused)
