"""How exits changed from release to release: groups, causes, and how they are told."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from msgspec.structs import replace
from vcpu_scenario.analysis import history as module
from vcpu_scenario.analysis.history import Cause, History, Rules, emulated, histories
from vcpu_scenario.api import load
from vcpu_scenario.cli import main
from vcpu_scenario.kernels.table import Kernel, kernel
from vcpu_scenario.language.model import ScenarioCase
from vcpu_scenario.machine.errors import Unsupported
from vcpu_scenario.report.history import WIDTH, document, markdown, text
from vcpu_scenario.report.styled import plain
from vcpu_scenario.trace import Exit, Trace

Golden = Callable[[str, str], None]

KERNELS = ["4.18", "5.10", "5.11", "5.12", "6.12"]


def cases(*kernels: str, path: str = "mixed/load.vcpu.yaml") -> list[ScenarioCase]:
    return load(path).cases(kernels or None, ["plain"])


def step(pc: int, **fields: int) -> Exit:
    return Exit("DEBUG", 0, 0, pc, {"hsr": 0xCA000022, "far": 0, **fields}, {})


@pytest.fixture
def rules(monkeypatch: pytest.MonkeyPatch) -> dict[str, set[str]]:
    """The rules of made-up kernels, by the kernel's name."""
    table: dict[str, set[str]] = {}

    def made_up(name: str) -> Kernel:
        return replace(kernel("6.12"), rules=frozenset(table[name]))

    monkeypatch.setattr(module, "kernel", made_up)
    return table


def machine(*parts: tuple[str, Exit, Exit]) -> module.Run:
    """Runs whose nth exit is the third of the nth part where its rule holds, else the second."""

    def run(case: ScenarioCase, rules: Rules) -> Trace:
        return Trace(tuple(new if rule in rules else old for rule, old, new in parts))

    return run


def causes(history: History) -> list[tuple[Cause, ...]]:
    return [group.change.causes for group in history.groups if group.change is not None]


def test_neighbours_with_the_same_exits_are_a_group(rules: dict[str, set[str]]) -> None:
    rules |= {"5.0": set(), "5.3": {"a"}, "5.4": {"a", "b"}, "5.5": {"b"}}
    (history,) = histories(cases(*rules), machine(("a", step(0), step(4))))
    assert [group.kernels for group in history.groups] == [("5.0",), ("5.3", "5.4"), ("5.5",)]


def test_rules_alone_do_not_part_kernels(rules: dict[str, set[str]]) -> None:
    rules |= {"5.0": set(), "5.3": {"a"}}

    def run(case: ScenarioCase, rules: Rules) -> Trace:
        return Trace((step(0),))

    (history,) = histories(cases(*rules), run)
    assert len(history.groups) == 1


def test_a_cause_is_a_rule_without_which_there_is_no_such_change(
    rules: dict[str, set[str]],
) -> None:
    rules |= {"5.0": {"kept", "lost", "idle"}, "5.3": {"kept", "gained", "bystander"}}
    run = machine(("gained", step(0), step(4)), ("lost", step(8), step(12)))
    (history,) = histories(cases(*rules), run)
    assert causes(history) == [(Cause("gained", gained=True), Cause("lost", gained=False))]


def test_what_makes_the_first_exit_differ_is_told_first(rules: dict[str, set[str]]) -> None:
    rules |= {"5.0": {"lost"}, "5.3": {"gained"}}
    run = machine(("lost", step(0), step(4)), ("gained", step(8), step(12)))
    (history,) = histories(cases(*rules), run)
    assert [cause.rule for cause in causes(history)[0]] == ["lost", "gained"]


def test_rules_that_only_together_make_the_change_are_both_causes(
    rules: dict[str, set[str]],
) -> None:
    rules |= {"5.0": set(), "5.3": {"a", "b", "c"}}

    def run(case: ScenarioCase, rules: Rules) -> Trace:
        return Trace((step(4 if {"a", "b"} <= rules else 0),))

    (history,) = histories(cases(*rules), run)
    assert causes(history) == [(Cause("a", gained=True), Cause("b", gained=True))]


def test_rules_that_no_machine_can_have_together_are_no_obstacle(
    rules: dict[str, set[str]],
) -> None:
    rules |= {"5.0": set(), "5.3": {"a", "b"}}

    def run(case: ScenarioCase, rules: Rules) -> Trace:
        if rules == {"b"}:
            raise RuntimeError("b needs a")
        return Trace((step(4 if "b" in rules else 0),))

    (history,) = histories(cases(*rules), run)
    assert {cause.rule for cause in causes(history)[0]} == {"a", "b"}


def test_a_kernel_that_cannot_run_it_is_left_out_and_named(rules: dict[str, set[str]]) -> None:
    rules |= {"5.0": set(), "5.3": {"a"}, "5.4": set()}

    def run(case: ScenarioCase, rules: Rules) -> Trace:
        if "a" in rules:
            raise Unsupported("no such thing")
        return Trace((step(0),))

    (history,) = histories(cases(*rules), run)
    assert [group.kernels for group in history.groups] == [("5.0", "5.4")]
    assert history.left_out == (("5.3", "no such thing"),)
    assert "5.3         left out: no such thing" in plain(text([history])).splitlines()


def test_kernels_come_in_the_order_of_releases(rules: dict[str, set[str]]) -> None:
    rules |= {"5.10": set(), "5.4": set(), "6.1": {"a"}}
    (history,) = histories(cases(*rules), machine(("a", step(0), step(4))))
    assert [group.kernels for group in history.groups] == [("5.4", "5.10"), ("6.1",)]


def test_variants_have_a_history_of_their_own() -> None:
    path = "variant/one.vcpu.yaml"
    found = histories(cases("5.0", "6.12", "5.0-v2trap", "6.12-v2trap", path=path))
    assert [group.kernels for history in found for group in history.groups] == [
        ("5.0",),
        ("6.12",),
        ("5.0-v2trap",),
        ("6.12-v2trap",),
    ]
    assert "variant/one with plain on v2trap\n" in plain(text(found))


def test_a_vmm_that_acts_otherwise_is_told_as_the_cause() -> None:
    (history,) = histories(cases("6.0", "6.1", "6.2", path="history/acts.vcpu.yaml"))
    (change,) = [group.change for group in history.groups if group.change is not None]
    assert (change.vmm, change.causes) == (True, ())
    assert "6.2  exit 1 differs: the VMM does something else" in plain(text([history]))


def test_clauses_of_different_length_are_no_change() -> None:
    """A run ends where its clause does; a history goes on as far as the longest."""
    found = histories(cases("6.4", "6.12"))
    assert [cause.rule for each in causes(found[0]) for cause in each] == []
    assert len(found[0].groups[0].trace.exits) == 5


def test_the_thread_of_2017_is_told_by_its_rules() -> None:
    (history,) = histories(cases(*KERNELS))
    assert [group.kernels for group in history.groups] == [
        ("4.18",),
        ("5.10",),
        ("5.11", "5.12"),
        ("6.12",),
    ]
    assert [[cause.rule for cause in each] for each in causes(history)] == [
        ["step_exit_faked", "mmio_skip_at_completion"],
        ["pc_adjusted_at_entry"],
        ["debug_hsr_high"],
    ]


def test_every_cause_is_confirmed_by_the_emulated_machine() -> None:
    """Without any one of the causes the newer kernel's run would be another."""
    (history,) = histories(cases(*KERNELS))
    for group in history.groups[1:]:
        assert group.change is not None
        for cause in group.change.causes:
            without = kernel(group.kernels[0]).rules ^ {cause.rule}
            assert emulated(group.case, without).exits != group.trace.exits


FORMS: Mapping[str, Callable[[list[History]], str]] = {
    "history.txt": lambda found: plain(text(found)),
    "history.md": markdown,
    "history.json": document,
}


@pytest.mark.parametrize("name", FORMS)
def test_a_history_is_what_its_golden_file_says(name: str, golden: Golden) -> None:
    golden(name, FORMS[name](histories(cases(*KERNELS))))


def test_text_fits_a_mail() -> None:
    lines = plain(text(histories(cases()))).splitlines()
    assert max(map(len, lines)) <= WIDTH


def test_long_stretches_without_a_change_are_counted(rules: dict[str, set[str]]) -> None:
    rules |= {"5.0": set(), "5.3": {"a"}}
    same = [("never", step(4 * n), step(4 * n)) for n in range(20)]
    (history,) = histories(cases(*rules), machine(*same, ("a", step(100), step(104))))
    assert "       ... 16 exits as before" in plain(text([history])).splitlines()


def test_what_changes_in_every_exit_is_told_once(rules: dict[str, set[str]]) -> None:
    rules |= {"5.0": set(), "5.3": {"a"}}
    parts = [("a", step(4 * n), step(4 * n, flags=1)) for n in range(3)]
    (history,) = histories(cases(*rules), machine(*parts))
    told = [part for part in plain(text([history])).splitlines() if "flags" in part]
    assert told == ["-      flags: nothing", "+      flags: 0x1, and in 2 more exits"]


def test_markdown_is_not_broken_by_what_a_scenario_says() -> None:
    (case,) = cases("6.12")
    hostile = replace(case, scenario=replace(case.scenario, title="a | b `c` <d> *e*\nf"))
    found = markdown(histories([hostile]))
    assert found.startswith(r"## a \| b \`c\` \<d\> \*e\* f" + "\n")


# -- the command -------------------------------------------------------------------------------


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    def command(*args: str) -> tuple[int, str, str]:
        status = main(["history", *args])
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    return command


Run = Callable[..., tuple[int, str, str]]


def test_the_command_looks_at_every_kernel_that_the_scenario_is_for(run: Run) -> None:
    status, out, _ = run("history/acts.vcpu.yaml", "--format", "json")
    (told,) = json.loads(out)
    assert status == 0
    assert [group["kernels"] for group in told["groups"]] == [["6.0"], ["6.2"]]


def test_the_command_takes_kernels_a_vmm_and_an_expression(run: Run) -> None:
    args = ("--kernel", "5.10", "--kernel", ">=7.2", "--vmm", "qemu-2017", "-k", "load")
    status, out, _ = run("mixed", *args, "--format", "json")
    (told,) = json.loads(out)
    assert (status, told["vmm"]) == (0, "qemu-2017")
    assert [group["kernels"] for group in told["groups"]] == [["5.10"], ["7.2", "7.3"]]


def test_the_command_writes_to_a_file(run: Run, tmp_path: Any) -> None:
    target = tmp_path / "history.md"
    args = ("--kernel", "6.12", "--format", "markdown", "--output", str(target))
    assert run("mixed/load.vcpu.yaml", *args) == (0, "", "")
    assert target.read_text().startswith("## step over a load that the VMM emulates\n")


def test_an_expression_that_fits_nothing_selects_nothing(run: Run) -> None:
    assert run("mixed", "-k", "no_such") == (5, "", "no case is selected\n")


def test_a_scenario_that_is_invalid_is_told(run: Run, tmp_path: Any) -> None:
    broken = tmp_path / "broken.vcpu.yaml"
    broken.write_text("title: broken\n")
    status, out, err = run(str(broken))
    assert (status, out) == (4, "")
    assert "lacks `guest`" in err
