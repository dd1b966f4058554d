"""Every shipped case: the causes found are all rules of the kernel without which it is another run.

``causes`` asks the machine which rules a run looks at and takes away only those. Here those that it
does not look at are taken away: all at once, and one by one where that is another run::

    python -m tests.running.every [KERNEL...]
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from vcpu_scenario.kernels.table import kernel
from vcpu_scenario.language import ScenarioCase
from vcpu_scenario.machine.errors import Unsupported
from vcpu_scenario.running import causes as c
from vcpu_scenario.running.paths import find
from vcpu_scenario.running.select import Selection, load_all

SCENARIOS: Final = Path(__file__).parents[2] / "scenarios"


@dataclass(frozen=True, slots=True)
class Difference:
    """Rules that have an effect and are not cited."""

    case: str
    cited: frozenset[str]
    missed: frozenset[str]


def cases(
    kernels: Sequence[str] = (), files: Sequence[tuple[Path, str]] | None = None
) -> list[ScenarioCase]:
    """The shipped cases that expect something, on ``kernels`` or on all; of ``files`` or of all."""
    scenarios, wrong = load_all(find([str(SCENARIOS)]) if files is None else files)
    assert not wrong
    selected = Selection(tuple(kernels)).cases(scenarios)
    return [case for case in selected if case.expectation is not None]


def differences(case: ScenarioCase) -> Iterator[Difference]:
    """What is wrong with the causes of one case; nothing of one that the machine cannot run."""
    own = kernel(case.kernel)
    try:
        asked = c.Asked(own)
        trace = c.run_as(asked.kernel, case.case)
    except Unsupported:
        return

    def matter(*rules: str) -> bool:
        other = c.run_without(own, frozenset(rules), case.case)
        return c.first_change(trace, other) is not None

    # What is asked for, causes() takes away one by one, as would be done here.
    unasked = own.rules - asked.rules
    missed = {name for name in unasked if matter(name)} if matter(*unasked) else set()
    if missed:
        found = c.causes(case.case, case.kernel)
        cited = frozenset(name for cause in found if len(cause.rules) == 1 for name in cause.rules)
        yield Difference(case.id, cited, frozenset(missed))


def _of_file(kernels: Sequence[str], file: tuple[Path, str]) -> tuple[int, list[Difference]]:
    selected = cases(kernels, [file])
    return len(selected), [wrong for case in selected for wrong in differences(case)]


def main(kernels: Sequence[str]) -> int:
    """Prints each difference; 1 if there is any."""
    with ProcessPoolExecutor() as processes:
        results = list(processes.map(partial(_of_file, kernels), find([str(SCENARIOS)])))
    found = [difference for _, some in results for difference in some]
    for difference in found:
        print(difference)
    total = sum(count for count, _ in results)
    print(f"{total} cases, {len(found)} whose causes are wrong")
    return 1 if found or not total else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
