"""What a kernel does otherwise than a release: found, and told as a known rule or as none."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from msgspec.structs import replace
from vcpu_scenario.analysis.changes import cases, registers
from vcpu_scenario.analysis.changes.explained import changes
from vcpu_scenario.analysis.changes.records import Asked, Change, Found
from vcpu_scenario.analysis.generate import REAL, generate
from vcpu_scenario.case import Case
from vcpu_scenario.cli import labcheck
from vcpu_scenario.cli.machines import NO_LAB
from vcpu_scenario.cli.status import Status
from vcpu_scenario.errors import UsageError
from vcpu_scenario.kernels.table import kernel
from vcpu_scenario.report.changes import text
from vcpu_scenario.report.styled import plain
from vcpu_scenario.running import targets
from vcpu_scenario.running.paths import find
from vcpu_scenario.running.select import Selection, load_all
from vcpu_scenario.running.targets import Emulated, Lost
from vcpu_scenario.survey import Answers, Survey
from vcpu_scenario.trace import Trace

ROOT = Path(__file__).parents[2]


class Kernel(Emulated):
    """Stands in for the real kernel of a release."""

    real = True


class Wrong(Kernel):
    """A 6.12 that makes an exit of every other one 8 bytes longer, and has one register more."""

    def run(self, case: Case, kernel: str) -> targets.Found:
        found = super().run(case, kernel)
        assert isinstance(found, Trace)
        exits = tuple(
            replace(each, fields={**each.fields, "len": each.fields["len"] + 8})
            if each.fields.get("len")
            else each
            for each in found.exits
        )
        return replace(found, exits=exits)

    def ask(self, survey: Survey) -> Answers | targets.Skipped | Lost:
        given = super().ask(survey)
        assert isinstance(given, Answers)
        more = tuple(
            (*a, 0x6030_0000_0013_DFFF) if isinstance(a, tuple) else a for a in given.given
        )
        return Answers(more)


class Unsteady(Kernel):
    """Differs the first time that it is asked, and not again."""

    def __init__(self) -> None:
        super().__init__("6.12")
        self.asked = 0

    def run(self, case: Case, kernel: str) -> targets.Found:
        self.asked += 1
        return Emulated("5.10" if self.asked == 1 else "6.12").run(case, kernel)


class Dies(Kernel):
    """A kernel that no case leaves alive."""

    def run(self, case: Case, kernel: str) -> targets.Found:
        return Lost("the guest ended", "Kernel panic")


def asked(path: str, release: str) -> Iterator[Asked]:
    scenarios, faults = load_all(find([str(ROOT / path)]))
    assert not faults
    for case in Selection((release,)).cases(scenarios):
        if case.expectation is not None:
            yield Asked("scenarios", case.id, case.case)


def compared(path: str, real: targets.Target, release: str) -> list[Found]:
    model = Emulated(release)
    return [cases.compared(each, real, model) for each in asked(path, release)]


SPINNING = {"wfi_ended_by_untold_timer"}
"""Its scenario spins before its first exit, and a case that does is not compared."""

STEP = "scenarios/thread/pl011-write-step.vcpu.yaml"


@pytest.mark.slow
def test_every_rule_that_parts_two_releases_is_found_by_the_shipped_scenarios() -> None:
    found = compared("scenarios", Kernel("7.2"), "6.17")
    found += registers.compared(Kernel("7.2"), Emulated("6.17"))
    made = changes(found, "6.17")
    parting = (kernel("6.17").rules ^ kernel("7.2").rules) - SPINNING
    assert {rule for change in made for rule in change.rules} >= parting
    assert all(change.rules for change in made)


@pytest.mark.slow
def test_a_release_is_as_it_is() -> None:
    found = compared("scenarios", Kernel("7.2"), "7.2")
    found += registers.compared(Kernel("7.2"), Emulated("7.2"))
    found += [
        cases.compared(
            Asked("random programs", str(n), generate(n, REAL)), Kernel("7.2"), Emulated("7.2")
        )
        for n in range(10)
    ]
    assert {each.state for each in found} == {"same", "not compared"}
    assert changes(found, "7.2") == []


def test_what_no_rule_makes_is_told_as_such() -> None:
    found = compared(STEP, Wrong("6.12"), "6.12")
    (change,) = changes(found, "6.12")
    assert change.rules == ()
    assert change.found[0].kind == "exit: len"
    assert change.found[0].first == "exit 4: len: 4, not 12"


@pytest.mark.slow
def test_a_register_that_is_new_is_told() -> None:
    found = list(registers.compared(Wrong("6.12"), Emulated("6.12")))
    differing = [each for each in found if each.state != "same"]
    assert {each.first for each in differing} == {"KVM_GET_REG_LIST: only the kernel has it"}
    assert len(differing) == len(registers.SITUATIONS)


@pytest.mark.slow
def test_a_rule_that_registers_show_is_found() -> None:
    found = registers.compared(Kernel("7.2"), Emulated("6.17"))
    assert [change.rules for change in changes(found, "6.17")] == [("timer_control_plain",)]


def test_what_differs_only_once_is_no_change() -> None:
    found = compared(STEP, Unsteady(), "6.12")
    assert [each.state for each in found] == ["not compared"]
    assert changes(found, "6.12") == []


@pytest.mark.slow
def test_a_kernel_that_dies_is_a_change_and_ends_nothing() -> None:
    found = compared("scenarios/thread", Dies("6.12"), "6.12")
    assert len(found) > 10
    (change,) = changes(found, "6.12")
    assert len(change.found) == len(found)
    assert change.found[0].kind == "lost: the guest ended"


def test_the_table_says_what_differs_and_on_which_cases() -> None:
    found = compared(STEP, Kernel("5.10"), "6.12")
    said = plain(text("7.9 (7.9.1)", "6.12", found, changes(found, "6.12")))
    assert said.splitlines()[:4] == [
        "7.9 (7.9.1) beside the model of 6.12, whose values come first",
        "",
        "           asked  same  differs  lost  not compared",
        "scenarios      1     0        1     0             0",
    ]
    assert said.splitlines()[-1] == "1 difference of 1 kind: 7.9 (7.9.1) is not as 6.12"


def none(kernel: str, release: str, found: Sequence[Found], made: Sequence[Change]) -> str:
    return plain(text(kernel, release, found, made)).splitlines()[-1]


def test_no_difference_is_said_with_how_much_was_compared() -> None:
    found = compared(STEP, Kernel("6.12"), "6.12")
    assert none("6.12", "6.12", found, []) == "no difference in 1 that were compared"


@pytest.mark.slow
@pytest.mark.parametrize(("real", "status"), [("7.2", Status.OK), ("5.10", Status.MISMATCH)])
def test_the_exit_status_says_whether_anything_differs(
    real: str,
    status: Status,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def machine(name: str, *_: object, **__: object) -> targets.Target:
        return Kernel(real) if name.startswith("lab:") else Emulated(name.partition(":")[2])

    monkeypatch.setattr(labcheck, "machine", machine)
    request = labcheck.Request("7.9", [str(ROOT / STEP)], [], "7.2", 1, 0, None)
    assert labcheck.check(request, NO_LAB) is status
    assert "random programs" in capsys.readouterr().out


def test_without_paths_the_scenarios_that_ship_are_asked(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "broken.vcpu.yaml").write_text("no: scenario")
    monkeypatch.setattr(labcheck, "_SHIPPED", ROOT / "scenarios" / "thread")
    asked = labcheck._asked(labcheck.Request("7.9", (), (), "7.2", 0, 0, None), "7.2")
    assert asked is not None
    assert len(asked) > 10
    monkeypatch.setattr(labcheck, "_SHIPPED", tmp_path / "none")
    with pytest.raises(UsageError, match="name a folder of them"):
        labcheck._asked(labcheck.Request("7.9", (), (), "7.2", 0, 0, None), "7.2")
