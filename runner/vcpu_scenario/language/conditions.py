"""The conditions in a clause, and what they leave of it in one case."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Final, NamedTuple

from msgspec import Struct, field
from msgspec.structs import replace

from vcpu_scenario.kernels.hosts import WORDS as HOSTS
from vcpu_scenario.kernels.release import KernelRange
from vcpu_scenario.language.audience import Selector
from vcpu_scenario.language.bycase import BOUNDS, ELSE, Left, rewritten
from vcpu_scenario.language.nodes import Map, Node, Scalar, resolve
from vcpu_scenario.language.params import Values
from vcpu_scenario.language.problems import Problems
from vcpu_scenario.language.seen import Seen
from vcpu_scenario.language.selection import read_ranges, read_selector
from vcpu_scenario.source import Span, quoted
from vcpu_scenario.vmm.vmms import VMMS

_PARAMETER: Final = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)=(.*)\Z", re.DOTALL)


class Conditions(NamedTuple):
    """Conditions by the text that they stand in: the body of an exit, or the key of a value by
    case, which is None for ``else``."""

    items: Mapping[Span, Selector]
    keys: Mapping[Span, Selector | None]
    within: Collection[Span]
    """The exits, stops and entries of the ring in which any stands: most have none."""
    doubted: Collection[Span]
    """Bodies and values by case beside which something was taken out, or a value is asked for
    that there is not: the condition that would have made a difference may be what is misspelt."""
    sound: bool = True
    """Nothing is wrong with any of them, and none asks for a value that there is not."""

    @property
    def selectors(self) -> tuple[Selector, ...]:
        return (*self.items.values(), *(found for found in self.keys.values() if found))


def read_conditions(
    clause: Map, own: Selector | None, taken: Values | None, problems: Problems
) -> Conditions:
    """Every condition in ``clause`` beside its ``own``; ``taken`` are the values of the scenario's
    parameters, None where not all of them are known."""
    reading = _Reading(taken, problems, own is not None and _asks_amiss(own, taken))
    before = problems.reports
    rewritten(clause, reading)
    sound = problems.reports == before and not (reading.doubting or reading.amiss)
    return Conditions(reading.items, reading.keys, reading.within, reading.doubted, sound)


class _Reading(Struct):
    taken: Values | None
    problems: Problems
    doubting: bool
    """The clause itself asks for a value that there is not."""
    amiss: bool = False
    """One of the conditions does."""
    items: dict[Span, Selector] = field(default_factory=dict)
    keys: dict[Span, Selector | None] = field(default_factory=dict)
    within: set[Span] = field(default_factory=set)
    doubted: set[Span] = field(default_factory=set)
    item: Node | None = None

    def goes_through(self, item: Node) -> bool:
        self.item = item
        return True

    def comes(self, body: Map) -> bool:
        selector = read_selector(body, self.taken, self.problems)
        self._note(body, [selector])
        self.items[body.span] = selector
        return True

    def value(self, choices: Map, rest: Left, *, whole: bool) -> Node | None:
        selectors = {
            key.span: None if key.text == ELSE else self._key(key) for key, _ in choices.entries
        }
        self._note(choices, filter(None, selectors.values()))
        self.keys |= selectors
        for _, value in choices.entries:
            rest(value)
        return choices

    def _note(self, node: Map, selectors: Iterable[Selector]) -> None:
        if self.item is not None:
            self.within.add(self.item.span)
        amiss = any(_asks_amiss(selector, self.taken) for selector in selectors)
        self.amiss |= amiss
        taken_out = self.problems.took_from(node) or self.problems.took_from(self.item)
        if amiss or self.doubting or taken_out:
            self.doubted.add(node.span)

    def _key(self, key: Scalar) -> Selector:
        words = [word.strip() for word in key.text.split(",")]
        if key.text in BOUNDS:
            self._complain(key, "`least` and `most` stand beside a case", "put them into the case")
        elif any(word in VMMS for word in words):
            self._check(key, words, VMMS, "no VMM is called")
            return Selector(None, tuple(words), {}, key.span)
        elif any(word in HOSTS for word in words):
            self._check(key, words, HOSTS, "no host is called")
            return Selector(None, None, {}, key.span, hosts=tuple(words))
        elif (parameter := _PARAMETER.match(key.text)) is not None:
            return Selector(None, None, self._values(key, *parameter.groups()), key.span)
        elif not isinstance(key.value, str):
            self._complain(key, "a range of kernels is a text", f'quote it: "{key.text}"')
        texts = [] if key.text in BOUNDS else [(word, key) for word in words]
        found = read_ranges(texts, self.problems) or KernelRange(())
        return Selector(found, None, {}, key.span, key.span)

    def _check(self, key: Scalar, words: list[str], known: Collection[str], none: str) -> None:
        for word in words:
            if word not in known:
                self.problems.add(
                    f"{none} {quoted(word)}",
                    key.span,
                    expected=", ".join(known),
                    near=(word, known),
                )

    def _values(self, key: Scalar, name: str, texts: str) -> Mapping[str, tuple[Scalar, ...]]:
        if self.taken is not None and name not in self.taken:
            self.problems.add(
                f"no parameter is called {quoted(name)}",
                key.span,
                expected=", ".join(self.taken) or "a matrix: that has it",
                near=(name, self.taken),
            )
        asked = map(str.strip, texts.split(","))
        return {name: tuple(replace(key, value=resolve(text), text=text) for text in asked)}

    def _complain(self, key: Scalar, message: str, help: str) -> None:
        self.problems.add(message, key.span, found=key.text, help=help)


def _asks_amiss(selector: Selector, taken: Values | None) -> bool:
    return taken is not None and any(selector.never_had(taken))


class Course(Struct, frozen=True):
    """Leaves of a clause what is for one case, and notes in ``seen`` what it met; ``known`` if a
    case of the scenario is like it."""

    conditions: Conditions
    fits: Callable[[Selector], bool]
    seen: Seen
    case: str
    known: bool

    def goes_through(self, item: Node) -> bool:
        return item.span in self.conditions.within

    def comes(self, body: Map) -> bool:
        holds = self.fits(self.conditions.items[body.span])
        if self.known and body.span not in self.conditions.doubted:
            self.seen.met(body.span, holds)
        return holds

    def value(self, choices: Map, rest: Left, *, whole: bool) -> Node | None:
        fitting = [entry for entry in choices.entries if self._fits(entry[0])]
        if not fitting:
            fitting = [entry for entry in choices.entries if entry[0].text == ELSE]
        keys = [key for key, _ in fitting]
        sure = not choices.faulty and choices.span not in self.conditions.doubted
        self.seen.chosen(choices, keys, self.case, left_out=sure and whole and not keys)
        if sure and self.known:
            self.seen.count(choices, keys)
        return rest(fitting[0][1]) if fitting else None

    def _fits(self, key: Scalar) -> bool:
        selector = self.conditions.keys[key.span]
        return selector is not None and self.fits(selector)
