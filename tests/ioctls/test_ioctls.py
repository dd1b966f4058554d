"""Odd arguments of the ioctls are refused, or taken, as real kernels do.

Held to ``ioctls.json.xz``: Debian's 5.10.223 and 7.2.13 (QEMU 7.2, Cortex-A57).
"""

from __future__ import annotations

import pytest
from vcpu_scenario.case import Case
from vcpu_scenario.machine.emulated.machine import create
from vcpu_scenario.trace import Trace
from vcpu_scenario.vmm.loop import run_case

from tests.ioctls.recorded import recorded, without_wording
from tests.ioctls.sweep import cases


@pytest.mark.parametrize("kernel", recorded())
def test_each_is_as_on_the_kernel(kernel: str) -> None:
    differing = [
        title
        for title, case in cases().items()
        if (found := emulated(kernel, case)).unmodelled is None
        and without_wording(found) != recorded()[kernel][title]
    ]
    assert not differing


@pytest.mark.parametrize("kernel", recorded())
def test_what_is_not_modelled_of_them_is_aarch32(kernel: str) -> None:
    told = {found.unmodelled.what for found in traces(kernel) if found.unmodelled is not None}
    assert all("AArch32" in what for what in told)


def traces(kernel: str) -> list[Trace]:
    return [emulated(kernel, case) for title, case in cases().items() if "pstate" in title]


def emulated(kernel: str, case: Case) -> Trace:
    machine = create(kernel)
    try:
        return run_case(machine, case)
    finally:
        machine.close()
