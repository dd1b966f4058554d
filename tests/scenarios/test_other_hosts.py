"""The shipped scenarios that name no host, on hosts of which a lab gave the same: all hold."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pytest
from vcpu_scenario.cli.status import Status

from tests.commandline import in_folder

pytestmark = pytest.mark.slow

ROOT: Final = Path(__file__).parents[2]
SEEN: Final = (
    ("5.10", "--host", "gicv3-trapped"),
    ("6.12", "--host", "gicv3-trapped"),
)
"""Kernels and hosts: Debian's kernels under QEMU 7.2 passed all of them."""


@pytest.mark.parametrize("where", SEEN, ids=" ".join)
def test_what_a_host_s_kernel_does_the_emulated_machine_does(
    where: tuple[str, ...], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    kernel, option, name = where
    scenario = in_folder(ROOT, monkeypatch, capsys)
    outcome = scenario("run", "scenarios", "--kernel", kernel, option, name)
    assert outcome.status == Status.OK, outcome.out
