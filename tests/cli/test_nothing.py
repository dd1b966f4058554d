"""Where no case is selected it is said which kernels the scenarios are for."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.commandline import in_folder

TEXT = """\
title: t
kernels: {kernels}
guest: {{words: [0xd42000e0]}}
debug: {{software_breakpoints: true}}
expect: [{{exits: [debug: {{brk: 0x40000000}}]}}]
"""


@pytest.mark.parametrize("command", ["run", "explain", "history", "report", "stops"])
@pytest.mark.parametrize(
    ("kernels", "asked", "said"),
    [
        ('">=6.12"', ("--kernel", "5.10"), ": the scenario is for 6.12..7.3, not for 5.10"),
        ("['5.10', '6.1']", ("--kernel", "4.14"), ": the scenario is for 5.10, 6.1, not for 4.14"),
        ('">=6.12"', ("-k", "nothing"), ""),
        ('">=6.12"', ("-k", "nothing", "--kernel", "5.10"), ""),
    ],
)
def test_it_is_said_which_kernels_they_are_for(
    command: str,
    kernels: str,
    asked: tuple[str, ...],
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    tmp_path.joinpath("a.vcpu.yaml").write_text(TEXT.format(kernels=kernels))
    found = in_folder(tmp_path, monkeypatch, capsys)(command, "a.vcpu.yaml", *asked)
    assert (found.status, found.err) == (5, f"no case is selected{said}\n")
