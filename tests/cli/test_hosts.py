"""``--host`` and ``--cpu``: which cases are selected, and what they run on."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from vcpu_scenario.cli.machines import on_host, selection_for
from vcpu_scenario.cli.options import hosts_asked
from vcpu_scenario.cli.status import Status
from vcpu_scenario.errors import UsageError
from vcpu_scenario.running.select import Selection
from vcpu_scenario.running.targets import Emulated

from tests.commandline import Scenario, in_folder

TEXT = """\
title: a step on two hosts
kernels: ">=6.12"
host: [default, protected]
guest: {at: 0x40000000, words: [0xd503201f, 0xd42000e0]}
debug: {single_step: true, software_breakpoints: true}
expect:
  - host: protected
    kernels: ">=6.14"
    exits: [debug: {brk: 0x40000004}]
  - exits: [debug: {step: 0x40000004}, debug: {brk: 0x40000004}]
"""


@pytest.fixture
def two(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Scenario:
    (tmp_path / "two.vcpu.yaml").write_text(TEXT)
    (tmp_path / "any.vcpu.yaml").write_text(
        TEXT.replace("host: [default, protected]\n", "").replace(
            '  - host: protected\n    kernels: ">=6.14"\n    exits: [debug: {brk: 0x40000004}]\n',
            "",
        )
    )
    return in_folder(tmp_path, monkeypatch, capsys)


@pytest.mark.parametrize(
    ("cpu", "named", "hosts"),
    [
        (None, None, ()),
        (None, ["default"], ("",)),
        ("cortex-a57", None, ("",)),
        ("cortex-a76", None, ("cortex-a76",)),
        (None, ["default", "protected"], ("", "protected")),
        ("cortex-a76", ["default", "protected"], ("cortex-a76", "cortex-a76+protected")),
    ],
)
def test_a_cpu_and_a_way_to_boot_are_one_host(
    cpu: str | None, named: list[str] | None, hosts: tuple[str, ...]
) -> None:
    assert hosts_asked(cpu, named) == hosts


@pytest.mark.parametrize(
    ("cpu", "named", "told"),
    [
        (None, ["protectd"], "--host: no host is called `protectd`; did you mean `protected`?"),
        ("cortex-a99", None, "--cpu: no CPU is called `cortex-a99`; there are cortex-a57"),
        ("cortex-a76", ["cortex-a72"], "--cpu: no host is cortex-a72 and cortex-a76 at once"),
    ],
)
def test_what_is_no_host_is_refused(cpu: str | None, named: list[str] | None, told: str) -> None:
    with pytest.raises(UsageError, match=told.replace("?", r"\?")):
        hosts_asked(cpu, named)


def test_each_host_of_a_scenario_is_run_and_one_that_is_asked_for_alone(two: Scenario) -> None:
    every = two("list", "two.vcpu.yaml", "--kernel", "6.17").out.splitlines()
    assert every == ["two@6.17/plain", "two@6.17+protected/plain"]
    only = two("list", "two.vcpu.yaml", "--kernel", "6.17", "--host", "protected").out
    assert only == "two@6.17+protected/plain\n"
    assert two("run", "two.vcpu.yaml").status == 0


def test_a_scenario_that_names_no_host_runs_on_any_and_is_held_to_what_it_says(
    two: Scenario,
) -> None:
    assert two("run", "any.vcpu.yaml", "--kernel", "6.17", "--cpu", "cortex-a76").status == 0
    lost = two("run", "any.vcpu.yaml", "--kernel", "6.17", "--host", "protected")
    assert lost.status == 1
    assert "any@6.17+protected/plain" in lost.out
    assert "= rule: pkvm_debug_mdscr_lost" in lost.out


def test_a_report_says_the_host_with_the_kernel(two: Scenario) -> None:
    report = json.loads(two("run", "two.vcpu.yaml", "--kernel", "6.17", "--format", "json").out)
    assert [case["kernel"] for case in report["cases"]] == ["6.17", "6.17+protected"]


def test_explain_shows_each_host_of_a_release(two: Scenario) -> None:
    shown = two("explain", "two.vcpu.yaml", "--kernel", "7.2").out
    assert "two@7.2/plain" in shown
    assert "two@7.2+protected/plain" in shown


def test_a_history_goes_along_one_host(two: Scenario) -> None:
    told = two("history", "two.vcpu.yaml", "--host", "protected").out
    assert "two with plain on protected" in told
    assert "6.14+protected to 7.2+protected" in told
    assert "pkvm_debug_mdscr_lost" in told


def test_two_hosts_are_compared(two: Scenario) -> None:
    machines = ("--machine", "emulated:6.17", "--machine", "emulated:6.17+protected")
    assert two("compare", "any.vcpu.yaml", *machines).status == 1
    machines = ("--machine", "emulated:6.12", "--machine", "emulated:6.12+protected")
    assert two("compare", "any.vcpu.yaml", *machines).status == 0


def test_a_kernel_says_its_host_itself(two: Scenario) -> None:
    assert two("run", "two.vcpu.yaml", "--kernel", "6.17+protected").status == 0
    wrong = two("run", "two.vcpu.yaml", "--kernel", "6.17+pkvm")
    assert wrong.status == Status.USAGE
    assert "no host is called `pkvm`" in wrong.err


@pytest.mark.parametrize(
    "asked",
    [
        ("--cpu", "cortex-a76"),
        ("--host", "default"),
        ("--cpu", "cortex-a76", "--host", "protected"),
        ("--kernel", "6.12", "--cpu", "cortex-a57"),
    ],
)
def test_a_kernel_on_another_host_than_is_asked_for_is_refused(
    two: Scenario, asked: tuple[str, ...]
) -> None:
    """It ran there, and what was asked for was dropped."""
    for command in ("run", "list", "history", "explain", "stops"):
        wrong = two(command, "any.vcpu.yaml", "--kernel", "6.17+protected", *asked)
        assert wrong.status == Status.USAGE
        assert "6.17+protected is on another host than --cpu and --host ask for" in wrong.err
    for same in (("--host", "protected"), ("--host", "default", "--host", "protected")):
        assert two("run", "two.vcpu.yaml", "--kernel", "6.17+protected", *same).status == 0


def test_a_machine_of_one_kernel_is_one_host() -> None:
    assert on_host("lab:6.17", ["protected"]) == "lab:6.17+protected"
    assert on_host("lab:6.17", [""]) == "lab:6.17"
    assert on_host("emulated", ["protected"]) == "emulated"
    with pytest.raises(UsageError, match=r"--host: lab:6\.17 is one host; name one"):
        on_host("lab:6.17", ["", "protected"])
    with pytest.raises(UsageError, match="names its host already"):
        on_host("lab:6.17+protected", ["cortex-a76"])
    with pytest.raises(UsageError, match="--cpu: kvm runs on the CPU of this host"):
        on_host("kvm", ["cortex-a76"])


@pytest.mark.parametrize(
    ("name", "asked", "hosts"),
    [
        ("6.17", (), ("",)),
        ("6.17", ("protected",), ("protected",)),
        ("6.17+protected", (), ("protected",)),
    ],
)
def test_what_is_selected_on_it_is_for_its_host(
    name: str, asked: tuple[str, ...], hosts: tuple[str, ...]
) -> None:
    found = selection_for(Emulated(name), Selection(("6.17",), hosts=asked))
    assert (found.kernels, found.hosts) == ((name,), hosts)


def test_a_kernel_that_was_never_seen_on_a_host_is_not_modelled(two: Scenario) -> None:
    """It was a skip, and `history` gave exits that no kernel has given there."""
    here = ("any.vcpu.yaml", "--kernel", "7.3", "--host", "protected")
    words = "protected: only kernels >=6.1 <7.3 are modelled there"
    for command in ("run", "explain", "stops"):
        told = two(command, *here)
        assert told.status == Status.NOT_MODELLED
        assert words in told.out or command == "stops"  # where it stands in a column
    told = two("history", *here, "--kernel", "7.2")
    assert f"7.3+protected  left out: not modelled: {words}" in told.out
    assert "\n7.3+protected\n" not in told.out
    two("run", *here, "--format", "json", "--output", "one.json")
    assert two("merge", "one.json").status == Status.NOT_MODELLED
    machines = ("--machine", "emulated:7.3+protected", "--machine", "emulated:7.2+protected")
    told = two("compare", "any.vcpu.yaml", *machines)
    assert (told.status, words in told.out) == (Status.NOT_MODELLED, True)
