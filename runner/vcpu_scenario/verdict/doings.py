"""What the VMM was to do after certain exits, and did not, because the run had ended."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby

from vcpu_scenario.case import FOR_THE_NEXT_RUN, Limits
from vcpu_scenario.expectation import Acting, Expectation, Reacting, Typing
from vcpu_scenario.source import Span, quoted
from vcpu_scenario.trace import Ending, Trace, observed
from vcpu_scenario.verdict.records import Kind, Mismatch
from vcpu_scenario.vmm.patterns import Reactions

_ENDS_AT_ITS_EXIT = (Ending.ERROR, Ending.SYSTEM_EVENT, Ending.INTERRUPTED, Ending.REPEATS)
"""How a run ends before the VMM does anything after the last exit. At a limit of exits it does so
as well, unless it acts at the last; but then it is known beforehand which exit that is."""


def asked_at(expectation: Expectation, trace: Trace) -> list[Span]:
    """The texts of what the VMM is to do after the last exit, or where there is none before the
    first KVM_RUN, one for each action in the order in which it does them."""
    due: list[int] = []
    reactions = Reactions([one.reaction for one in expectation.reacting])
    if expectation.reacting:
        for exit_, state in zip(trace.exits, observed(trace.exits), strict=True):
            due = reactions.due(exit_, state)
    found = [span for number in due for span in expectation.reacting[number].each]
    for acting in expectation.acting:
        if acting.exit == len(trace.exits) - 1:
            found += acting.each or (acting.span,)
    return found


def not_done(acting: Sequence[Acting], trace: Trace, ending: str) -> Iterator[Mismatch]:
    """Yields what was not done, once for each text that asks for it; ``ending`` says in words why
    the run ended. What the kernel refused is another matter."""
    if trace.ended.is_between_runs:
        return
    done = len(trace.exits) - (trace.ended in _ENDS_AT_ITS_EXIT)
    undone = [wanted for wanted in acting if wanted.exit >= done]
    for span, wanted in groupby(undone, lambda one: one.span):
        exits = [one.exit for one in wanted]
        first = exits[0]
        came = "ended the run" if first < len(trace.exits) else "never came"
        more = f" and {len(exits) - 1} more" if len(exits) > 1 else ""
        yield Mismatch(
            Kind.NOT_DONE,
            f"not done: what the VMM does after exit {first}{more}",
            span,
            notes=tuple(filter(None, (f"exit {first} {came}", ending))),
        )


def not_reacted(
    reacting: Sequence[Reacting], trace: Trace, limits: Limits, ending: str
) -> Iterator[Mismatch]:
    """Yields each reaction for which no exit of the run has come, or not so often as it asks; and
    what it has for the next KVM_RUN where that did not come."""
    if not reacting or trace.ended.is_between_runs:
        return
    cut = trace.ended is Ending.EXIT_LIMIT and not limits.act_at_last
    last = cut or trace.ended in _ENDS_AT_ITS_EXIT
    exits = trace.exits[: len(trace.exits) - last]
    found = Reactions([one.reaction for one in reacting])
    seen = [*zip(exits, observed(exits), strict=True)]
    for exit_, state in seen[:-1]:
        found.at(exit_, state)
    earlier = list(found.fitted)
    for exit_, state in seen[-1:]:
        found.at(exit_, state)
    if last or not _ends_after_actions(trace, limits):
        earlier = found.fitted
    for one, fitted, followed in zip(reacting, found.fitted, earlier, strict=True):
        wanted = max(one.reaction.nth, 1)
        if followed < wanted <= fitted:
            for action, span in zip(one.reaction.actions, one.each, strict=False):
                if isinstance(action, FOR_THE_NEXT_RUN):
                    what = "not done: what the VMM does for the next KVM_RUN"
                    notes = filter(None, ("no KVM_RUN followed the exit", ending))
                    yield Mismatch(Kind.NOT_DONE, what, span, notes=tuple(notes))
        if fitted < wanted:
            which = "such an exit" if wanted == 1 else f"exit {wanted} of such exits"
            came = f"{fitted} came before the last" if fitted else "none came before the last"
            yield Mismatch(
                Kind.NOT_DONE,
                f"not done: what the VMM does after {which}",
                one.span,
                notes=tuple(filter(None, (came, ending))),
            )


def _ends_after_actions(trace: Trace, limits: Limits) -> bool:
    """Whether the VMM acted after the last exit, and called KVM_RUN no more."""
    return trace.ended is Ending.EXIT_LIMIT and limits.act_at_last


def not_typed(typing: Sequence[Typing], trace: Trace, ending: str) -> Iterator[Mismatch]:
    """Yields the first on each UART for which it never sent what is waited for."""
    if trace.ended.is_between_runs:
        return
    for device, items in groupby(typing, lambda one: one.device):
        sent, seen = trace.output.get(device, b""), 0
        for one in items:
            place = sent.find(one.after, seen)
            if place < 0:
                what = f"not done: what is typed to {device} after {quoted(one.after.decode())}"
                notes = filter(None, (f"{device} never sent that", ending))
                yield Mismatch(Kind.NOT_DONE, what, one.span, notes=tuple(notes))
                break
            seen = place + len(one.after)
