"""What the VMM is to do that no run of a scenario has done."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final, NamedTuple

from vcpu_scenario.case import FOR_THE_NEXT_RUN, Action, Case
from vcpu_scenario.expectation import Acting, Expectation, ExpectedExit
from vcpu_scenario.language.clauses import Clause
from vcpu_scenario.language.contradictions import like_none
from vcpu_scenario.language.effects import IDLE, WHYS, idle
from vcpu_scenario.language.means import Means, means_of
from vcpu_scenario.language.possible import NO_RUN_FOLLOWS, why_not
from vcpu_scenario.language.problems import Problems
from vcpu_scenario.language.reactions import ReadReaction, can_come
from vcpu_scenario.language.setup import Setup
from vcpu_scenario.source import Span

_NOT_AT_THE_LAST: Final = "only an exit's own `then` has anything done after the last exit of a run"
_AT_THE_LIMIT: Final = (
    "each run ends before it, at the limit of exits that its clause or `limits:` sets;"
    f" {_NOT_AT_THE_LAST}"
)
_TOO_FEW: Final = f"no clause expects enough exits that fit; {_NOT_AT_THE_LAST}"
_REFUSED: Final = "the kernel is to refuse the set-up: there is no run"

Told = Iterator[tuple[Span, str]]
"""The text that asks for something, and why it is never done; empty where it may be."""


class Run(NamedTuple):
    """What of a clause's run decides whether something is done in it."""

    means: Means
    exits: tuple[ExpectedExit, ...] | None
    most: int
    """So many exits it has at most, none where the set-up is to be refused."""
    ends_there: bool
    """It ends with the last of its exits."""
    acts_there: bool
    """The VMM acts after the last of the most."""

    @classmethod
    def of(cls, case: Case, expectation: Expectation | None, *, limited: bool) -> Run:
        means, limits = means_of(case), case.limits
        if expectation is None:
            return cls(means, None, limits.exits, False, limits.act_at_last)
        if expectation.refused is not None:
            return cls(means, (), 0, True, False)
        exits = expectation.exits
        fixed = exits is not None and all(item.most == item.least for item in exits)
        return cls(means, exits, limits.exits, fixed and not limited, limits.act_at_last)


def never_done(setup: Setup, clauses: Sequence[Clause]) -> Told:
    """What ``setup`` has the VMM do, compared with the runs of ``clauses``."""
    if not (setup.acting or setup.reactions or setup.devices.typing):
        return
    limited = setup.limited
    runs = [Run.of(case, wanted, limited=limited) for case, wanted in clauses]
    runs = runs or [Run.of(setup.case, None, limited=limited)]
    cases = [setup.case, *(case for case, _ in clauses)]
    on = dict(setup.case.on)
    bounds = Bounds.of(runs)
    first = [acting.span for acting in setup.acting if acting.exit < 0]
    idles = dict(idle(setup.case.before, first[len(setup.case.setup) :], None, cases))
    for acting in setup.acting:
        if acting.exit < 0:
            yield acting.span, idles.get(acting.span, "")
        else:
            yield from _acted(acting, on.get(acting.exit, ()), bounds)
    for reaction in setup.reactions if clauses else ():
        yield from _reacted(reaction, runs, cases)
    refused = _REFUSED if bounds.refused else ""
    yield from ((typing.span, refused) for typing in setup.devices.typing)


class Bounds(NamedTuple):
    """Up to which exit something is done in one of the runs, and followed by a KVM_RUN."""

    done: int
    followed: int
    refused: bool
    """None of them has an exit."""

    @classmethod
    def of(cls, runs: Sequence[Run]) -> Bounds:
        most = max(run.most for run in runs)
        return cls(max(run.most - (not run.acts_there) for run in runs), most - 1, not most)


def _acted(acting: Acting, actions: Sequence[Action], bounds: Bounds) -> Told:
    """What is asked for after an exit by its number, as a whole and each of its ``actions``."""
    done = acting.exit < bounds.done
    never = _REFUSED if bounds.refused else _AT_THE_LIMIT
    yield acting.span, "" if done else never
    if done:
        followed = acting.exit < bounds.followed
        yield from _each(actions, acting.each, {}, followed=followed)


def _reacted(read: ReadReaction, runs: Sequence[Run], cases: Sequence[Case]) -> Told:
    """What is asked for at exits as they come, as a whole and each action."""
    why = _why_never(read, runs, followed=False)
    yield read.expected.span, why
    if not why:
        followed = not _why_never(read, runs, followed=True)
        actions, each = read.reaction.actions, read.each
        idles = dict(idle(actions, each, read.expected, cases))
        yield from _each(actions, each, idles, followed=followed)


def _each(
    actions: Sequence[Action],
    each: Sequence[Span],
    idles: Mapping[Span, str],
    *,
    followed: bool,
) -> Told:
    for action, span in zip(actions, each, strict=False):
        undone = isinstance(action, FOR_THE_NEXT_RUN) and not followed
        yield span, NO_RUN_FOLLOWS if undone else idles.get(span, "")


def _why_never(read: ReadReaction, runs: Sequence[Run], *, followed: bool) -> str:
    """Why no exit comes in any of these runs at which it is done, and that a KVM_RUN follows if
    it is to be ``followed``; empty where one may."""
    why = like_none(read.expected)
    for run in runs if not why else ():
        impossible = why_not(read.expected, run.means)
        but_last = followed or not run.acts_there
        if read.reaction.nth > run.most - but_last:
            continue
        if not impossible and can_come(read, run.exits, all=run.ends_there, but_last=but_last):
            return ""
        why = impossible or why
    return why or (_TOO_FEW if any(run.most for run in runs) else _REFUSED)


def check_done(never: Mapping[Span, str], problems: Problems) -> None:
    """Reports each text of ``never`` that has a reason why it is never done, or does nothing."""
    for span, why in never.items():
        if why:
            problems.add(IDLE if why in WHYS else "this is never done", span, help=why)
