"""Redistributor regions as a scenario says them: what has no place in the base of one."""

from __future__ import annotations

import pytest
from vcpu_scenario.ioctls.attributes import SetDeviceAttr
from vcpu_scenario.source import InvalidScenario

from .build import scenario

TEXT = """\
title: t
guest: {words: [0xd4200000]}
debug: {software_breakpoints: true}
before:
  - create_vgic: vgic-v3
  - %s_vgic_attr: {group: addr, attr: v3_redist_region, region: {base: %s, count: 1}}
expect: [{exits: [debug: {}]}]
"""


@pytest.mark.parametrize("verb", ["set", "get"])
@pytest.mark.parametrize(
    "base", ["0x080a_1000", "0x080a_0001", "0x10_0000_080a_0000", "0xfff0_0000_080a_0000", "-65536"]
)
def test_a_base_with_bits_that_are_none_of_a_base_is_told(verb: str, base: str) -> None:
    """They are the count, the flags and the index (``KVM_VGIC_V3_RDIST_BASE_MASK``)."""
    with pytest.raises(InvalidScenario, match=r"multiple of 64 KiB below 2\^52"):
        scenario(TEXT % (verb, base))


@pytest.mark.parametrize("base", [0, 0x080A_0000, 0xF_FFFF_FFFF_0000])
def test_a_base_is_in_the_value_as_it_is_written(base: int) -> None:
    (found,) = (one.case for one in scenario(TEXT % ("set", hex(base))).cases(["6.12"]))
    action = found.before[-1]
    assert isinstance(action, SetDeviceAttr)
    assert action.value == 1 << 52 | base
