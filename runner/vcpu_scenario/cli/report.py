"""``scenario report``: what goes into a mail about a scenario."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from vcpu_scenario.cli.loading import scenarios_of
from vcpu_scenario.cli.machines import LabArguments, failing, machine
from vcpu_scenario.cli.nothing import none_selected
from vcpu_scenario.cli.output import destination
from vcpu_scenario.cli.status import Status
from vcpu_scenario.errors import UsageError
from vcpu_scenario.host.package import VERSION
from vcpu_scenario.kernels.release import parse_release
from vcpu_scenario.running.select import Selection
from vcpu_scenario.verdict.result import Verdict

if TYPE_CHECKING:
    from vcpu_scenario.analysis.history import History
    from vcpu_scenario.language import Scenario, ScenarioCase
    from vcpu_scenario.report.mail import Evidence, OnReal
    from vcpu_scenario.verdict.result import Result


def report(
    path: str,
    selection: Selection,
    machines: Sequence[str],
    lab: LabArguments,
    form: str,
    output: str | None,
) -> Status:
    """Runs the scenario on every release that it is for, and on the real kernels named, and tells
    what came. Exit status 0 whatever that is: a failure is what is reported."""
    with destination(output) as to:
        scenarios = scenarios_of([path])
        found = [each for one in scenarios for each in _evidence(one, selection, machines, lab)]
        if not found:
            return none_selected(scenarios, selection)
        from vcpu_scenario.report import mail

        to.write(mail.markdown(found) if form == "markdown" else mail.text(found))
        return Status.OK


def _evidence(
    scenario: Scenario, selection: Selection, machines: Sequence[str], lab: LabArguments
) -> Iterator[Evidence]:
    from vcpu_scenario.analysis.history import histories
    from vcpu_scenario.machine.emulated.machine import create
    from vcpu_scenario.report.mail import Evidence
    from vcpu_scenario.running.execute import execute

    cases = selection.wherever_meant(scenario)
    real = list(_on_real(cases, machines, lab))
    for history in histories(cases):
        mine = [case for case in cases if _same(case, history.case)]
        results = {case.kernel: execute(case, create) for case in mine}
        seen = tuple(one for one in real if _same(one.result.case, history.case))
        yield Evidence(
            history,
            _code(history.case),
            results,
            seen,
            tuple(_commands(history, results, seen)),
            tuple(_program(history, results)),
            VERSION,
        )


def _same(one: ScenarioCase, other: ScenarioCase) -> bool:
    """Whether the two differ in their kernel alone, and these are of one kind."""
    names = [case.id.rpartition("@")[0] for case in (one, other)]
    kinds = [parse_release(case.kernel).kind for case in (one, other)]
    return names[0] == names[1] and one.vmm == other.vmm and kinds[0] == kinds[1]


def _on_real(
    cases: Sequence[ScenarioCase], machines: Sequence[str], lab: LabArguments
) -> Iterator[OnReal]:
    from vcpu_scenario.report.mail import OnReal
    from vcpu_scenario.running.execute import execute_on

    for name in machines:
        if name.partition(":")[0] == "emulated":
            raise UsageError(f"--machine: {name} is no real kernel; releases are emulated anyway")
        with failing(), machine(name, lab) as target:
            mine = [case for case in cases if case.kernel == target.kernel]
            if not mine:
                raise UsageError(f"--machine: no case is for {target.kernel}, which {name} is")
            for case in mine:
                result = execute_on(case, target)
                yield OnReal(target.name, target.itself, result)


def _code(case: ScenarioCase) -> str:
    """The guest's assembly, else its words."""
    from vcpu_scenario.export.guest import text_of

    return text_of(case.scenario, case.case)


def _commands(
    history: History, results: dict[str, Result], real: Sequence[OnReal]
) -> Iterator[tuple[str, ...]]:
    path = str(history.case.scenario.path)
    yield "scenario", "run", path
    failing = [kernel for kernel, result in results.items() if result.verdict is Verdict.FAIL]
    shown = failing[-1] if failing else list(results)[-1]
    yield "scenario", "explain", path, "--kernel", shown
    machines = dict.fromkeys(one.machine for one in real)
    yield "scenario", "report", path, *(f"--machine={name}" for name in machines)


def _program(history: History, results: dict[str, Result]) -> Iterator[tuple[str, ...]]:
    """Makes the C program for the newest release that is as expected, which fails on those that
    are not, and runs it on the kernels of the lab that the scenario is for."""
    from vcpu_scenario.export.c import program
    from vcpu_scenario.export.refusal import Unexportable
    from vcpu_scenario.export.subject import subjects
    from vcpu_scenario.machine.real.lab.kernels import CATALOGUE

    passing = [kernel for kernel, result in results.items() if result.verdict is Verdict.PASS]
    case = history.case
    for subject in subjects(case.scenario, passing[-1:], [case.vmm]) if passing else ():
        if subject.combination.params != case.params:
            continue
        try:
            program(subject)
        except Unexportable:
            return
        chosen = f"::{subject.combination.name}" if subject.combination.name else ""
        vmm = ["--vmm", case.vmm] if len(case.scenario.vmms) > 1 else []
        name = subject.file_name
        path = f"{case.scenario.path}{chosen}"
        yield "scenario", "export", path, "--kernel", subject.kernel, *vmm, "--output", f"{name}.c"
        yield "aarch64-linux-gnu-gcc", "-O2", "-static", "-o", name, f"{name}.c"
        for kernel in CATALOGUE:
            if kernel in results:
                yield "scenario", "lab", "run", kernel, name
