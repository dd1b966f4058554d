"""Every rule is held by a scenario that ships: take it from a kernel and one no longer passes."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from itertools import pairwise
from typing import Final

import pytest
from msgspec.structs import fields
from vcpu_scenario.kernels.behaviour import Behaviour
from vcpu_scenario.kernels.hosts import is_so, ranges_of_host
from vcpu_scenario.kernels.modelled import MODELLED
from vcpu_scenario.kernels.release import KNOWN_RELEASES, VARIANTS, parse_range, parse_release
from vcpu_scenario.kernels.rules import BY_NAME, RULES, Rule
from vcpu_scenario.kernels.table import kernel, with_rules
from vcpu_scenario.language import ScenarioCase
from vcpu_scenario.machine.errors import Unsupported
from vcpu_scenario.running.causes import run_as
from vcpu_scenario.running.execute import judged

from tests.scenarios.recordings import shipped

MAINLINE: Final = (
    *(f"4.{minor}" for minor in range(14, 21)),
    *(f"5.{minor}" for minor in range(20)),
    *(f"6.{minor}" for minor in range(20)),
    *(f"7.{minor}" for minor in range(4)),
)
"""Every release of Linux that the table speaks of."""

ECLIPSED: Final = {
    ("active_pending_kept", "6.14"): "step_state_swapped_at_load",
    ("mmio_not_completed_over_exception", "6.17"): "user_aborts_committed_at_once",
    ("smc_not_advanced", "4.14"): "smc_undefined",
}
"""Where a rule would change nothing, beside another that the kernel has in its place."""

HELD_BY_SWEEPS: Final = frozenset({"hypercall_bitmaps", "hypercall_bitmap_2"})
"""What the language cannot say: registers that it has no name for. tests/registers holds these to
what real kernels answered."""

IN_TRACES_ALONE: Final = frozenset({"first_run_refused_untraced"})
"""What a kernel tells ftrace, and not its VMM: tests/field."""

SEEN_WITHIN: Final = frozenset({"id_isar3_masked", "id_df2_masked", "id_lsui_masked"})
"""Beyond their ends nothing is modelled that they would change."""

BETWEEN_ROWS: Final = {
    "smccc_workaround_3_in_hyp",
    "core_ids_listed",
    "zfr0_hidden",
    "dirty_log_initially_set",
    "dirty_log_manual_protect",
    "user_memory2",
    "vgic_ends_checked",
    "vm_type_ipa_size",
    "vcpu_ids_reset_once",
    "vgic_table_address_52bit",
    "vgic_lpis_by_number",
    "its_movall_moves_every",
    "its_caches_apart",
}
"""5.2, 5.16, 4.20, 6.8 and 6.10 have them, and are no rows."""


def each_rule_but(*names: str) -> pytest.MarkDecorator:
    rules = [rule for rule in RULES if rule.name not in names]
    return pytest.mark.parametrize("rule", rules, ids=lambda rule: rule.name)


@pytest.mark.slow
@each_rule_but(*HELD_BY_SWEEPS, *IN_TRACES_ALONE)
def test_no_kernel_passes_without_a_rule_of_its_own(rule: Rule) -> None:
    rows = [row for row in KNOWN_RELEASES if has(rule, row) and is_looked_at(rule.host, row)]
    assert rows, f"no kernel of the table has the rule {rule.name}"
    missed = [row for row in rows if not is_noticed(rule, row)]
    assert not missed, (
        f"without {rule.name} every scenario still passes on {', '.join(missed)}; "
        f"tagged with it: {tagged(rule)}"
    )


@pytest.mark.slow
@each_rule_but(*HELD_BY_SWEEPS, *IN_TRACES_ALONE, *SEEN_WITHIN)
def test_no_kernel_passes_with_a_rule_of_its_neighbours(rule: Rule) -> None:
    """The ends of a rule's range are held from outside as well."""
    outside = [
        row
        for one, other in pairwise(KNOWN_RELEASES)
        for row, inside in ((one, other), (other, one))
        if not has(rule, row) and has(rule, inside) and is_looked_at(rule.host, row)
    ]
    missed = [
        row
        for row in outside
        if not is_noticed(rule, row) and ECLIPSED.get((rule.name, row)) not in kernel(row).rules
    ]
    assert not missed, (
        f"with {rule.name} added every scenario still passes on {', '.join(missed)}; "
        f"tagged with it: {tagged(rule)}"
    )


@pytest.mark.slow
@pytest.mark.parametrize(("name", "row"), ECLIPSED)
def test_an_eclipsed_rule_changes_nothing(name: str, row: str) -> None:
    assert ECLIPSED[name, row] in kernel(row).rules
    assert name not in kernel(row).rules
    assert not is_noticed(BY_NAME[name], row)


def has(rule: Rule, row: str) -> bool:
    """Whether the release has the rule, as a variant for a rule that belongs to variants, and on
    its host for one of a host."""
    at = f"+{rule.host}" if rule.host else ""
    names = (f"{row}{at}",) if rule.kernels else tuple(f"{row}-{variant}" for variant in VARIANTS)
    return any(rule.name in kernel(name).rules for name in names)


def is_noticed(rule: Rule, row: str) -> bool:
    """Whether a scenario that passes on the release, or on a variant of it, fails once the rule
    is taken away there, or added where it is not."""
    for case in cases(rule, row):
        if rule.host and not is_so(parse_release(case.kernel).host, rule.host):
            continue
        rules = kernel(case.kernel).rules
        if not passes(case, rules ^ {rule.name}) and passes(case, rules):
            return True
    return False


def cases(rule: Rule, row: str) -> Iterator[ScenarioCase]:
    """What ships for the release and its variants; scenarios tagged with the rule come first."""
    order = range(len(shipped()))
    for number in sorted(order, key=lambda number: rule.name not in shipped()[number].tags):
        yield from cases_of(number, row)


@cache
def cases_of(number: int, row: str) -> tuple[ScenarioCase, ...]:
    """The cases of a shipped scenario that expect something there."""
    names = [row, *(f"{row}-{variant}" for variant in VARIANTS)]
    found = shipped()[number].cases(names)
    expected = (case for case in found if case.expectation is not None)
    return tuple(
        one for one in expected if is_looked_at(parse_release(one.kernel).host, one.kernel)
    )


def is_looked_at(host: str, kernel_: str) -> bool:
    """Whether the host has the kernel, so far as anybody knows."""
    release = parse_release(kernel_)
    return all(parse_range(text).admits(release) for text in ranges_of_host(host))


def passes(case: ScenarioCase, rules: frozenset[str]) -> bool:
    """Judged only: why a run fails here is known. A kernel that lacks what a case asks for skips
    it, and passes nothing."""
    try:
        trace = run_as(with_rules(case.kernel, rules), case.case)
    except Unsupported:
        return False
    result = judged(case, trace)
    assert result.verdict in ("pass", "fail"), f"{case.id}: {result.reason}"
    return result.verdict == "pass"


def tagged(rule: Rule) -> str:
    return ", ".join(found.name for found in shipped() if rule.name in found.tags) or "none"


def test_a_tag_that_looks_like_a_rule_is_one() -> None:
    known = {rule.name for rule in RULES}
    for scenario in shipped():
        unknown = {tag for tag in scenario.tags if "_" in tag} - known
        assert not unknown, f"{scenario.name}: {', '.join(sorted(unknown))}"


def test_each_rule_is_a_switch_of_the_machine() -> None:
    names = [rule.name for rule in RULES]
    assert len(names) == len(set(names))
    assert not {*names} & {*MODELLED}, "what is modelled is no rule of a kernel"
    assert {*names, *MODELLED} == {field.name for field in fields(Behaviour)}


def test_each_release_at_which_a_rule_begins_or_ends_is_a_row() -> None:
    """So a release between two rows is like the earlier of them."""
    known = [parse_release(name) for name in KNOWN_RELEASES]
    for name in MAINLINE:
        row = max(release for release in known if release <= parse_release(name))
        differing = (kernel(name).rules ^ kernel(str(row)).rules) - HELD_BY_SWEEPS - BETWEEN_ROWS
        assert not differing, f"{', '.join(sorted(differing))}: {name} needs a row of its own"


def test_the_table_has_the_first_and_the_last_release_and_none_that_never_was() -> None:
    assert set(KNOWN_RELEASES) <= set(MAINLINE)
    assert (KNOWN_RELEASES[0], KNOWN_RELEASES[-1]) == (MAINLINE[0], MAINLINE[-1])
