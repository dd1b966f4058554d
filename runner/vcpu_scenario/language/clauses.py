"""What a clause of ``expect:`` expects, and the case that its actions and registers make."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from msgspec.structs import replace

from vcpu_scenario.case import FOR_THE_NEXT_RUN, Action, Case, Limits
from vcpu_scenario.expectation import (
    Acting,
    Check,
    Expectation,
    ExpectedExit,
    ExpectedStop,
    RegisterCheck,
    Xfail,
)
from vcpu_scenario.language.actions import check_snapshots
from vcpu_scenario.language.contradictions import check_contradictions
from vcpu_scenario.language.effects import check_effects
from vcpu_scenario.language.errno import read_errno
from vcpu_scenario.language.exits import ReadExit, read_register_checks
from vcpu_scenario.language.final import check_whole, read_final
from vcpu_scenario.language.limits import MAX_EXITS
from vcpu_scenario.language.means import means_of
from vcpu_scenario.language.nodes import Map, Node, Scalar, entries_of, items_of, text_of, value_at
from vcpu_scenario.language.nodes import Sequence as Items
from vcpu_scenario.language.possible import check_order, check_possible
from vcpu_scenario.language.sense import check_asserts
from vcpu_scenario.language.setup import Setup, check_doings


class Clause(NamedTuple):
    """A clause for one combination of parameters: the case to run, what to expect of it."""

    case: Case
    expectation: Expectation


def read_clause(node: Map, setup: Setup) -> Clause:
    """Reads a clause; its exits' actions join those that ``on:`` has for the same exits."""
    problems = setup.scope.problems
    before = problems.reports
    whole = not problems.took_from(node)
    setup = setup._replace(whole=setup.whole and whole, clean=setup.clean and whole)
    # Clauses are alternatives: what one of them does to memory is nothing to the others.
    setup = setup._replace(doings=setup.doings.branch())
    exits = setup.exits.exits(node.get("exits"), setup.doings)
    never = _never(node.get("never"), setup)
    stops = _stops(node.get("stops"), setup)
    check_doings(setup.doings, setup.memory)
    if setup.clean:
        check_snapshots(setup.doings)
    on = _joined(setup.case.on, exits or (), setup)
    if on != setup.case.on:
        setup = setup._replace(case=replace(setup.case, on=on))
    final = read_final(node.get("final"), setup)
    refused = _refused(node.get("refused"), setup)
    _check_alone(node, setup)
    limits = setup.case.limits
    if exits is not None:
        if not setup.limited:
            limits = replace(limits, exits=_ends_with(exits, limits.exits))
        limits = replace(limits, act_at_last=_acts_at_last(exits, limits.exits))
        _check_lengths(exits, limits.exits, setup)
    expectation = Expectation(
        node.span,
        None if exits is None else tuple(item.expected for item in exits),
        never,
        stops,
        final,
        refused,
        text_of(node.get("about")),
        _xfail(node),
        acting=_acting(exits or (), setup, limits),
        reacting=tuple(read.reacting for read in setup.reactions),
        typing=tuple(setup.devices.typing),
        always_refused=setup.always_refused,
        to_its_end=not setup.limited and (exits is None or not _is_fixed(exits)),
    )
    case = replace(
        setup.case,
        limits=limits,
        observe=_observed(setup.case.observe, expectation),
        peek=tuple(dict.fromkeys((check.addr, len(check.data)) for check in final.memory)),
        reads_irq_level=_names_irq_level(expectation, setup),
        lists_registers=final.reg_list is not None,
        final_regs=tuple(dict.fromkeys(check.reg for check in final.regs)),
    )
    if setup.clean and problems.reports == before:
        check_possible(exits or (), expectation, means_of(case), problems)
        check_order(exits or (), case, problems)
        check_effects(exits or (), case, problems)
        check_asserts(expectation, node, limits.exits, problems)
        check_contradictions(expectation, problems)
    return Clause(case, expectation)


def _acting(exits: Sequence[ReadExit], setup: Setup, limits: Limits) -> tuple[Acting, ...]:
    """What the VMM does after which exits of a run that ends at its ``limits`` at the latest."""
    acting = list(setup.acting)
    index = 0
    for item in exits:
        if item.acting is not None:
            span, each = item.acting, item.each
            acting += [Acting(n, span, each) for n in range(index, index + item.expected.least)]
        index += item.expected.least
    behind = limits.exits - (not limits.act_at_last)
    return tuple(one for one in acting if one.exit < behind)


def _xfail(clause: Map) -> Xfail | None:
    node, key = clause.get("xfail"), clause.key("xfail")
    if not isinstance(node, Map) or key is None:
        return None
    reason, link = (text_of(node.get(name)) for name in ("reason", "link"))
    return Xfail(reason.strip(), link, key.span)


def _check_alone(node: Map, setup: Setup) -> None:
    refused = node.key("refused")
    if refused is None:
        return
    for name in ("exits", "stops", "never", "final"):
        if (key := node.key(name)) is not None:
            setup.scope.problems.add(
                f"a refused set-up has no `{name}`", key.span, help="leave one of the two out"
            )


def _ends_with(exits: Sequence[ReadExit], default: int) -> int:
    """The limit of a run that ends with its expectation; the default where an exit may come any
    number of times."""
    total = sum(item.expected.least for item in exits)
    return min(max(total, 1 if _is_fixed(exits) else default), MAX_EXITS)


def _acts_at_last(exits: Sequence[ReadExit], limit: int) -> bool:
    """Whether the run's last exit has an action of its own. What is for several exits is done
    between them, and what ``on:`` has is not done at the last alone."""
    if not exits or not _is_fixed(exits) or sum(item.expected.least for item in exits) != limit:
        return False
    last = exits[-1]
    return last.expected.least == 1 and not all(
        isinstance(action, FOR_THE_NEXT_RUN) for action in last.actions
    )


def _is_fixed(exits: Sequence[ReadExit]) -> bool:
    """Whether they say how many exits there are."""
    return all(item.expected.most == item.expected.least for item in exits)


def _check_lengths(exits: Sequence[ReadExit], limit: int, setup: Setup) -> None:
    total = 0
    for item in exits:
        total += item.expected.least
        if total > limit:
            setup.scope.problems.add(
                "more exits are expected than the run may have",
                item.expected.span,
                found=f"at least {total} exits up to here",
                expected=f"at most limits.exits, {limit}",
            )
            return


def _joined(
    on: tuple[tuple[int, tuple[Action, ...]], ...], exits: Iterable[ReadExit], setup: Setup
) -> tuple[tuple[int, tuple[Action, ...]], ...]:
    joined = dict(on)
    index, fixed = 0, True
    for item in exits:
        if item.acting is not None and not fixed:
            setup.scope.problems.add(
                "which exit this is depends on how often an earlier one comes",
                item.acting,
                expected="fixed numbers of repeats before it",
                help="give the earlier exits a fixed `repeat`, or list the action under `on:`, for"
                " the `first` exit that is like this one",
            )
        least, most = item.expected.least, item.expected.most
        if item.actions and fixed:
            if most != least:
                setup.scope.problems.add(
                    "how often this is done depends on how often the exit comes",
                    item.acting or item.expected.span,
                    expected="a fixed number of repeats",
                )
            for n in range(index, min(index + least, MAX_EXITS)):
                joined[n] = (*joined.get(n, ()), *item.actions)
        fixed &= most == least
        index += least
    return tuple(sorted(joined.items()))


def _observed(names: tuple[str, ...], expectation: Expectation) -> tuple[str, ...]:
    checks: list[RegisterCheck] = []
    for expected in (*(expectation.exits or ()), *expectation.never):
        checks += expected.regs
    for stop in expectation.stops or ():
        checks += stop.regs
    return tuple(dict.fromkeys((*names, *(check.reg for check in checks))))


def _names_irq_level(expectation: Expectation, setup: Setup) -> bool:
    waited_for = (read.expected for read in setup.reactions)
    named = (*(expectation.exits or ()), *expectation.never, *waited_for)
    return any(check.field == "device_irq_level" for item in named for check in item.checks)


def _never(node: Node | None, setup: Setup) -> tuple[ExpectedExit, ...]:
    for item in items_of(node):
        for _, body in entries_of(item):
            for name in ("then", "reply", "repeat"):
                key = body.key(name) if isinstance(body, Map) else None
                if key is not None:
                    setup.scope.problems.add(f"an exit that never comes has no `{name}`", key.span)
    return tuple(item.expected for item in setup.exits.exits(node, setup.doings) or ())


def _stops(node: Node | None, setup: Setup) -> tuple[ExpectedStop, ...] | None:
    if not isinstance(node, Items):
        return None
    return tuple(_stop(item, setup) for item in node.items)


def _stop(item: Node, setup: Setup) -> ExpectedStop:
    check_whole(item, ("at",), setup)
    at = item.get("at") if isinstance(item, Map) else item
    reason = value_at(item, "reason")
    return ExpectedStop(
        setup.scope.address(at),
        reason.text if isinstance(reason, Scalar) else None,
        read_register_checks(value_at(item, "regs"), setup.scope),
        text_of(at),
        item.span,
    )


def _refused(node: Node | None, setup: Setup) -> Check | None:
    errno = value_at(node, "errno")
    if errno is None:
        return None
    return Check("errno", read_errno(errno, setup.scope), text_of(errno), errno.span)
