"""What nobody has set up tells nothing: not that nothing happened."""

from __future__ import annotations

import contextlib
from errno import EBADF

import pytest
from vcpu_scenario.language import loads
from vcpu_scenario.machine.emulated.machine import create
from vcpu_scenario.machine.errors import KvmError
from vcpu_scenario.machine.real.irqfds import Irqfds
from vcpu_scenario.machine.real.memory import GuestMemory
from vcpu_scenario.running.execute import execute

TEXT = """\
title: t
memory: [{at: 0x40000000, size: 64KiB}, {at: 0x50000000, size: 64KiB}]
guest: {at: 0x40000000, words: [0xd42000e0]}
devices:
  gic: {handled_by: kernel, model: vgic-v3, distributor: 0x08000000, redistributor: 0x080a0000}
debug: {software_breakpoints: true}
expect: [{exits: [debug: {brk: 0x40000000}]}]
before:
"""
FAULTS = "userfaults: {slot: 1, pages: []}"
RESAMPLED = "resampled: {gsi: 3, count: 0}"


@pytest.mark.parametrize(
    ("before", "told"),
    [
        ([FAULTS], "read of the userfaultfd of slot 1: EBADF"),
        (["userfaults: {slot: 9, pages: []}"], "read of the userfaultfd of slot 9: EBADF"),
        (["discard_memory: {slot: 1}", FAULTS], "read of the userfaultfd of slot 1: EBADF"),
        ([RESAMPLED], "read of the resamplefd of gsi 3: EBADF"),
        (["irqfd: {gsi: 3}", RESAMPLED], "read of the resamplefd of gsi 3: EBADF"),
        (["discard_memory: {slot: 1, userfaultfd: true}", FAULTS], ""),
        (["discard_memory: {slot: 1, userfaultfd: true}", FAULTS, FAULTS], ""),
        (["irqfd: {gsi: 3, resample: true}", "remove_irqfd: {gsi: 3}", RESAMPLED], ""),
    ],
)
def test_it_is_refused_and_not_empty(before: list[str], told: str) -> None:
    items = "".join(f"  - {one}\n" for one in before)
    (case,) = loads(TEXT + items, "t.vcpu.yaml").cases(["6.12"])
    result = execute(case, create)
    assert result.trace is not None
    assert (result.trace.error or "") == told
    assert result.verdict == ("fail" if told else "pass")


def test_real_kvm_has_no_file_for_it_either() -> None:
    with contextlib.ExitStack() as resources:
        for read in (GuestMemory(-1).userfaults, Irqfds(-1, resources).resamples):
            with pytest.raises(KvmError) as refused:
                read(3)
            assert refused.value.errno == EBADF
