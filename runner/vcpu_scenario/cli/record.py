"""``scenario record``: what a real kernel gives becomes an expectation, or a recorded trace."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec.structs import replace

from vcpu_scenario.cli.difference import difference
from vcpu_scenario.cli.interrupt import UntilAsked
from vcpu_scenario.cli.loading import count, scenarios_of
from vcpu_scenario.cli.machines import LabArguments, failing, host_of, machine
from vcpu_scenario.cli.nothing import NO_CASE
from vcpu_scenario.cli.output import cannot_write, complain, destination, say
from vcpu_scenario.cli.run import cases_on
from vcpu_scenario.cli.status import Status
from vcpu_scenario.errors import UsageError
from vcpu_scenario.host.printable import json_text, printable
from vcpu_scenario.host.textfile import TextFile
from vcpu_scenario.kernels.release import parse_release
from vcpu_scenario.running.select import Selection
from vcpu_scenario.running.targets import Lost, Skipped, Target
from vcpu_scenario.trace import Trace

if TYPE_CHECKING:
    from vcpu_scenario.language import ScenarioCase
    from vcpu_scenario.recordings.format import Json


def record(
    paths: Sequence[str],
    selection: Selection,
    name: str,
    form: str,
    output: str | None,
    lab: LabArguments,
    *,
    vmms: Sequence[str] = (),
    yes: bool,
) -> Status:
    """Runs the cases selected on one machine and writes down what it gives."""
    if form == "scenario" and os.environ.get("CI"):
        raise UsageError("CI is set: expectations are recorded by people, who look at the change")
    if vmms and form != "vmm":
        raise UsageError("--vmm: only with --format vmm")
    scenarios = scenarios_of(paths, "nothing was recorded")
    with machine(name, lab, selection.hosts) as target:
        if target.kernel is None:
            raise UsageError("--machine: name one kernel: lab:6.12, emulated:6.12 or kvm")
        if form == "vmm":
            from vcpu_scenario.cli.sessions import sessions

            return sessions(scenarios, selection, target, vmms, output, lab.options().cpu)
        if form == "oracle":
            return _oracle(cases_on(target, selection, scenarios), target, output)
        every = selection.kernels or (target.kernel,)
        hosts = host_of(target, selection.hosts)
        cases = [case for scenario in scenarios for case in scenario.cases(every, None, hosts)]
        return _scenarios(_selected(cases, selection), target, yes=yes)


def _selected(cases: Sequence[ScenarioCase], selection: Selection) -> list[ScenarioCase]:
    from vcpu_scenario.running.keyword import compile_keyword

    selects = compile_keyword(selection.keyword)
    return [case for case in cases if selects(case.id)]


def _scenarios(cases: Sequence[ScenarioCase], target: Target, *, yes: bool) -> Status:
    if not cases:
        complain(NO_CASE)
        return Status.NOTHING_SELECTED
    by_file: dict[Path, list[ScenarioCase]] = {}
    for case in cases:
        by_file.setdefault(case.scenario.path, []).append(case)
    status = Status.OK
    for done, (path, found) in enumerate(by_file.items()):
        try:
            if not _file(path, found, target, yes=yes):
                status = Status.MISMATCH
        except KeyboardInterrupt:
            left = len(by_file) - done
            complain(f"interrupted: {left} of {count(len(by_file), 'scenario')} were not recorded")
            return Status.INTERRUPTED
    return status


def _file(path: Path, cases: Sequence[ScenarioCase], target: Target, *, yes: bool) -> bool:
    """Records one scenario; tells whether its file says now what the kernel gives."""
    from vcpu_scenario.actions.kind import Unwritable
    from vcpu_scenario.authoring.recorded import merged_in, with_clause
    from vcpu_scenario.language.loader import read_written
    from vcpu_scenario.running.execute import judged
    from vcpu_scenario.verdict.overrun import up_to_its_last_brk
    from vcpu_scenario.verdict.result import Verdict

    file = TextFile(read_written(path))
    fresh, written = file.text, []
    try:
        for case in reversed(_one_of_each_combination(cases)):  # each comes before the last one
            trace, as_it_is = _trace(_to_its_end(case), target), _trace(case, target)
            if trace is None or as_it_is is None:
                return False
            if case.expectation is not None and judged(case, as_it_is).verdict is Verdict.PASS:
                continue
            trace = up_to_its_last_brk(case.case, trace)
            kernel = target.kernel or ""
            fresh = with_clause(fresh, path, kernel, case.case, trace, case.symbols, case.params)
            written.append((case, trace))
        if written:
            fresh = merged_in(fresh, path, target.kernel or "")
        for case, trace in written:
            _check(fresh, case, trace)
    except Unwritable as reason:
        where = f"{path}:{reason.line}" if reason.line else str(path)
        complain(f"{where}: cannot be recorded: {reason}")
        return False
    if not written:
        say(f"{printable(path)}: expects already what {target.name} gives\n")
        return True
    after = file.rewritten(fresh)
    shown = printable(path)
    say(difference(file.written, after, shown, f"{shown} (as on {target.name})"))
    if not yes and not _agreed(path):
        complain(f"{printable(path)}: nothing was written; --yes writes it")
        return False
    if read_written(path) != file.written:
        complain(f"{printable(path)}: it was changed meanwhile; nothing was written")
        return False
    _write(path, after)
    return True


def _write(path: Path, text: str) -> None:
    from vcpu_scenario.host.writing import write_whole

    try:
        write_whole(path, text.encode())
    except OSError as error:
        raise cannot_write(path, error) from None


def _one_of_each_combination(cases: Sequence[ScenarioCase]) -> list[ScenarioCase]:
    """Of each combination of parameters the first case: the VMM makes no difference to exits."""
    found: dict[str, ScenarioCase] = {}
    for case in cases:
        found.setdefault(case.id.partition("@")[0], case)
    return list(found.values())


def _to_its_end(case: ScenarioCase) -> ScenarioCase:
    """``case`` with the exits of no clause as its limit, until an exit comes again as it was
    and the VMM has nothing more to do."""
    whole = next(one.case for one in case.scenario.combinations if one.params == case.params)
    acts = max((index for index, _ in whole.on), default=0)
    acts += sum(max(one.nth, 1) for one in whole.reactions)
    limits = replace(whole.limits, repeats=whole.limits.repeats or 1 + acts)
    return replace(case, case=replace(whole, limits=limits))


def _check(text: str, case: ScenarioCase, trace: Trace) -> None:
    """What is written must be read as an expectation that the trace meets."""
    from vcpu_scenario.actions.kind import Unwritable
    from vcpu_scenario.language.loader import loads
    from vcpu_scenario.running.execute import judged
    from vcpu_scenario.source import InvalidScenario

    try:
        scenario = loads(text, case.scenario.path)
    except InvalidScenario as error:
        first = error.diagnostics[0]
        raise Unwritable(f"the scenario would be invalid: {first.message}") from None
    found = scenario.cases([case.kernel], [case.vmm], [parse_release(case.kernel).host])
    again = next(one for one in found if one.params == case.params)
    if again.expectation is None or judged(again, trace).mismatches:
        raise Unwritable("the trace would not meet what is written")


def _agreed(path: Path) -> bool:
    if not sys.stdin.isatty():
        return False
    import typer

    return typer.confirm(f"write {path}?")


def _trace(case: ScenarioCase, target: Target) -> Trace | None:
    with failing():
        found = target.run(case.case, case.kernel)
    if isinstance(found, Skipped | Lost):
        complain(f"{printable(case.id)}: {found.reason}")
        return None
    if found.unmodelled is not None:
        complain(f"{case.id}: {found.unmodelled}")
        return None
    return found


def _oracle(cases: Sequence[ScenarioCase], target: Target, output: str | None) -> Status:
    """One entry for each case, as ``scenario conform`` reads them."""
    from vcpu_scenario.recordings.write import Unrecordable

    entries = []
    left_out = 0
    with destination(output) as to:
        with UntilAsked(cases) as to_do:
            for case in to_do:
                try:
                    entries.append(_entry(case, target))
                except Unrecordable as reason:
                    left_out += 1
                    complain(f"{printable(case.id)}: no recorded job can say this: {reason}")
        to.write(json_text(entries))
    complain(f"{count(len(entries), 'case')} recorded on {target.name}, {left_out} left out")
    if to_do.left:
        complain(f"interrupted: {to_do.left} of {count(len(cases), 'case')} were not recorded")
        return Status.INTERRUPTED
    return Status.OK if entries else Status.NOTHING_SELECTED


def _entry(case: ScenarioCase, target: Target) -> Json:
    """The recorded job and what came; raises Unrecordable where none gives the same again."""
    from vcpu_scenario.recordings.jobs import case_of
    from vcpu_scenario.recordings.write import Unrecordable, entry

    trace = _trace(case, target)
    if trace is None:
        raise Unrecordable("it gave no trace")
    made = entry(case.id.partition("@")[0], case.case, {target.kernel or "": trace})
    with failing():
        again = target.run(case_of(made["job"]), case.kernel)
    if not isinstance(again, Trace) or again.to_json() != trace.to_json():
        raise Unrecordable("a device that does more than reply")
    return made
