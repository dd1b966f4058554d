"""The Python API: load scenarios, run them, compare runs.

>>> from vcpu_scenario import compare, load, run
>>> scenario = load("scenarios/thread/pl011-write-step.vcpu.yaml")
>>> broken, fixed = run(scenario, kernels=["5.10", "6.12"])
>>> fixed.case.id, fixed.verdict
('scenarios/thread/pl011-write-step@6.12/plain', 'pass')

All results are frozen records, documented at their classes:
:class:`~vcpu_scenario.verdict.result.Result`, :class:`~vcpu_scenario.trace.Trace`,
:class:`~vcpu_scenario.language.model.Scenario`, :class:`~vcpu_scenario.verdict.traces.Comparison`.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from msgspec.structs import replace

from vcpu_scenario.errors import UsageError
from vcpu_scenario.language.model import Scenario, ScenarioCase
from vcpu_scenario.language.permission import granting
from vcpu_scenario.running.paths import find
from vcpu_scenario.running.select import Selection, load_all
from vcpu_scenario.source import Diagnostic, InvalidScenario
from vcpu_scenario.trace import Entry, Exit, Stop, Trace
from vcpu_scenario.verdict.records import Mismatch
from vcpu_scenario.verdict.result import Result, Verdict
from vcpu_scenario.verdict.traces import Comparison, Difference, compare_traces

if TYPE_CHECKING:
    from concurrent.futures import Executor

    from vcpu_scenario.running.targets import Create

__all__ = [
    "Comparison",
    "Diagnostic",
    "Difference",
    "Entry",
    "Exit",
    "InvalidScenario",
    "Mismatch",
    "Result",
    "Scenario",
    "ScenarioCase",
    "Stop",
    "Trace",
    "UsageError",
    "Verdict",
    "compare",
    "dumps",
    "failure_text",
    "load",
    "loads",
    "run",
]

StrPath: TypeAlias = str | os.PathLike[str]
Runnable: TypeAlias = StrPath | Scenario | ScenarioCase
"""What can be run: a file, a folder of files, a scenario, or one of its cases."""


def load(path: StrPath, *, allow_dirs: Iterable[StrPath] = ()) -> Scenario:
    """Load the scenario in the file ``path``.

    Its cases have the ids of the command line: relative to the working directory. It may name files
    in its own folder and in ``allow_dirs``. Raises :class:`InvalidScenario` with all errors of the
    file, and :class:`~vcpu_scenario.errors.UsageError` for what is no folder.

    >>> scenario = load("scenarios/thread/pl011-write-step.vcpu.yaml")
    >>> scenario.title
    "single-stepping pl011_write, where 2017's thread began"
    >>> [case.kernel for case in scenario.cases()][:3]
    ['4.14', '4.15', '4.16']
    """
    from vcpu_scenario.language import loader

    path = Path(path)
    with granting(allow_dirs):
        scenario = loader.load(path)
    if not path.exists():
        return scenario
    ((_, name),) = find([str(path)])
    return replace(scenario, name=name)


def loads(text: str, path: StrPath = "<text>", *, allow_dirs: Iterable[StrPath] = ()) -> Scenario:
    """Load a scenario from ``text``. Files that it names are relative to the folder of ``path``.

    Raises and takes ``allow_dirs`` as :func:`load` does.

    >>> scenario = loads('''
    ... title: a breakpoint
    ... guest: {at: 0x40000000, words: [0xd42000e0]}    # brk #7
    ... debug: {software_breakpoints: true}
    ... expect:
    ...   - exits: [debug: {brk: 0x40000000, imm: 7}]
    ... ''')
    >>> [result.verdict for result in run(scenario, kernels="7.3")]
    ['pass']
    """
    from vcpu_scenario.language import loader

    with granting(allow_dirs):
        return loader.loads(text, Path(path))


def dumps(scenario: Mapping[str, Any]) -> str:
    """Return the text of a scenario built in Python, for :func:`loads` or a file.

    ``scenario`` has the keys of a scenario file, and values of the types of YAML 1.2: mappings,
    lists, strings, integers, floats, booleans and None. Raises :class:`TypeError` for any other.

    >>> scenario = {"title": "a step", "guest": {"at": 0x40000000, "code": "nop\\nbrk #7\\n"}}
    >>> print(dumps(scenario), end="")
    title: "a step"
    guest:
      at: 1073741824
      code: |
        nop
        brk #7
    """
    from vcpu_scenario.language.dump import dump

    return dump(scenario)


def run(
    what: Runnable | Iterable[Runnable],
    kernels: str | Iterable[str] | None = None,
    vmms: str | Iterable[str] | None = None,
    *,
    keyword: str = "",
    tags: Iterable[str] = (),
    machine: Create | None = None,
    executor: Executor | None = None,
) -> list[Result]:
    """Run the cases of ``what`` and judge each. Returns one result per case, in their order.

    ``kernels`` are releases (``6.12``) or ranges of the known ones (``>=6.1``), ``vmms`` names of
    personalities, ``keyword`` an expression over ids as ``-k`` takes it, and ``tags`` a scenario
    must have one of: as on the command line, with the same defaults. They select among the cases
    of scenarios; a :class:`ScenarioCase` is always run. If nothing is selected the list is empty,
    which is not success.

    ``machine`` creates the machine for a kernel's name, by default an emulated one. ``executor``,
    of :mod:`concurrent.futures` or with its interface, runs the cases in batches; the workers must
    be able to import ``machine``. Without it the cases run one after the other in this process.

    Raises :class:`InvalidScenario` with the errors of all files, and :class:`UsageError` for an
    unknown path, kernel or VMM, or a malformed expression.

    >>> results = run("scenarios/thread", kernels=[">=6.12"], tags=["pl011"])
    >>> {result.verdict for result in results}
    {'pass'}

    >>> from concurrent.futures import ThreadPoolExecutor
    >>> with ThreadPoolExecutor() as threads:
    ...     again = run("scenarios/thread", ">=6.12", tags=["pl011"], executor=threads)
    >>> again == results
    True
    """
    selection = Selection(_names(kernels), _names(vmms), keyword, tuple(tags))
    single = isinstance(what, (str, os.PathLike, Scenario, ScenarioCase))
    cases = list(_cases([what] if single else what, selection))  # type: ignore[list-item,arg-type]
    if executor is not None:
        from vcpu_scenario.running.batch import run_on

        return list(run_on(executor, cases, machine))
    from vcpu_scenario.machine.emulated.machine import create
    from vcpu_scenario.running.execute import execute

    return [execute(case, machine or create) for case in cases]


def compare(one: Result | Trace, other: Result | Trace) -> Comparison:
    """Compare two runs: align their exits and list every field that differs.

    Neither is the reference, and rules are ignored. The exits are paired so that as few fields as
    possible differ; an exit that has no partner is a difference of its own. Raises
    :class:`ValueError` for a result without a trace, which was not run.

    >>> old, new = run("scenarios/thread/pl011-write-step.vcpu.yaml", ["5.10", "6.12"])
    >>> comparison = compare(old, new)
    >>> comparison.same
    False
    >>> print(comparison.differences[0].words())
    exit 0: flags: nothing, not 0x1

    Exits that one of them lacks, with the guest's labels for addresses:

    >>> from vcpu_scenario.verdict.result import guest_of
    >>> for difference in comparison.differences:
    ...     if not difference.field:
    ...         print(difference.words(guest_of(new.case).name))
    exit 5: only in the second: debug exit, step at busy
    exit 8: only in the second: debug exit, step at next
    exit 13: only in the second: debug exit, step at busy
    exit 16: only in the second: debug exit, step at next
    """
    return compare_traces(_trace(one), _trace(other))


def failure_text(*results: Result) -> str:
    """Return the failures of ``results`` as the command line prints them, empty if there are none.

    >>> wrong = loads('''
    ... title: a breakpoint
    ... guest: {at: 0x40000000, words: [0xd42000e0]}    # brk #7
    ... debug: {software_breakpoints: true}
    ... expect:
    ...   - exits: [debug: {brk: 0x40000000, imm: 8}]
    ... ''')
    >>> print(failure_text(*run(wrong, kernels="7.3")), end="")
    a breakpoint
    <text>@7.3/plain
    <BLANKLINE>
    <text>:6:43: field hsr: expected EC 0x3c (BRK #0x8), found 0xf2000007 (BRK #0x7)
       = in exit 0: debug exit, BRK #0x7 at 0x40000000
       = guest: (0x40000000) `brk #7`, <text>:3:33
    """
    from vcpu_scenario.report.styled import plain
    from vcpu_scenario.report.text import alike, failure, not_modelled, without_model

    failed = [result for result in results if result.verdict is Verdict.FAIL]
    unmodelled = [result for result in results if result.verdict is Verdict.NOT_MODELLED]
    parts = [plain(failure(group)) for group in alike(failed)]
    parts += [plain(without_model(group)) for group in not_modelled(unmodelled)]
    parts += [f"\n{r.case.id}\n{r.reason}\n" for r in results if r.verdict is Verdict.ERROR]
    return "".join(parts).removeprefix("\n")


def _names(names: str | Iterable[str] | None) -> tuple[str, ...]:
    if names is None:
        return ()
    return (names,) if isinstance(names, str) else tuple(names)


def _cases(what: Iterable[Runnable], selection: Selection) -> Iterable[ScenarioCase]:
    for item in what:
        if isinstance(item, ScenarioCase):
            yield item
        elif isinstance(item, Scenario):
            yield from selection.cases([item])
        else:
            scenarios, diagnostics = load_all(find([os.fspath(item)]))
            if diagnostics:
                raise InvalidScenario(diagnostics)
            yield from selection.cases(scenarios)


def _trace(run_: Result | Trace) -> Trace:
    if isinstance(run_, Trace):
        return run_
    if run_.trace is None:
        raise ValueError(f"{run_.case.id} was not run: {run_.reason}")
    return run_.trace
