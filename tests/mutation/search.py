"""The two searches: clauses that must not pass, and patterns over sequences."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from random import Random
from typing import NamedTuple

from msgspec.structs import replace
from vcpu_scenario.language import ScenarioCase, load
from vcpu_scenario.machine.emulated.machine import create
from vcpu_scenario.running.execute import execute, judged
from vcpu_scenario.trace import Stop, Trace
from vcpu_scenario.verdict.consume import consumed, matches

from tests.mutation.brute import can_be_laid, holds
from tests.mutation.mutate import mutated

ROOT = Path(__file__).parents[2]
KERNELS = ("4.14", "5.4", "5.10", "6.1", "6.12", "7.3")


class Run(NamedTuple):
    """A case that passes, and what came."""

    case: ScenarioCase
    trace: Trace
    stops: tuple[Stop, ...]


@cache
def passing() -> tuple[Run, ...]:
    """Every shipped case on a few kernels, the examples of the docs among them."""
    return tuple(_passing())


def _passing() -> Iterator[Run]:
    for folder in ("scenarios", "docs/examples"):
        for path in sorted((ROOT / folder).rglob("*.vcpu.yaml")):
            for case in load(path).cases(KERNELS):
                result = execute(case, create) if case.expectation is not None else None
                if result is not None and result.verdict == "pass" and result.trace is not None:
                    yield Run(case, result.trace, result.stops)


@dataclass(slots=True)
class Tally:
    """How many clauses were tried, and how many of them must not pass."""

    tried: int = 0
    false: int = 0
    wrong: list[str] | None = None


def clauses(seed: int, count: int) -> Tally:
    """Changes ``count`` clauses and holds the verdict to the plain judge, both ways."""
    tally = Tally(wrong=[])
    assert tally.wrong is not None
    for number in range(seed, seed + count):
        random = Random(number)
        run = random.choice(passing())
        assert run.case.expectation is not None
        expectation = mutated(random, run.case.expectation, run.trace, run.stops)
        result = judged(replace(run.case, expectation=expectation), run.trace)
        right = holds(expectation, run.trace, run.stops)
        tally.tried += 1
        tally.false += not right
        if (result.verdict == "pass") != right:
            tally.wrong.append(f"seed {number}: {run.case.id} is a {result.verdict}")
    return tally


class Item(NamedTuple):
    """``letters`` fit it."""

    letters: str
    least: int
    most: int | None


class Letters:
    """Which letters of ``text`` fit the items of ``pattern``."""

    def __init__(self, pattern: tuple[Item, ...], text: str) -> None:
        self.table = [[letter in item.letters for letter in text] for item in pattern]

    def one(self, item: int, thing: int) -> bool:
        return self.table[item][thing]

    def all(self, item: int) -> int:
        return sum(1 << thing for thing, fits in enumerate(self.table[item]) if fits)


def pattern_and_text(random: Random) -> tuple[tuple[Item, ...], str]:
    """A short pattern, and a text that fits it or nearly does."""
    alphabet = random.choice(("a", "ab", "abc"))
    pattern = []
    for _ in range(random.randrange(6)):
        letters = random.choice((alphabet, random.choice(alphabet), random.choice(alphabet)))
        least = random.choice((0, 1, 1, 1, 2, 3, 5))
        most = random.choice((least or 1, least or 1, least + 1, least + 4, None))
        pattern.append(Item(letters, least, most))
    text = ""
    for item in pattern:
        most = item.least + 4 if item.most is None else item.most
        text += "".join(random.choices(item.letters, k=random.randint(item.least, most)))
    if text and random.randrange(2):
        at = random.randrange(len(text))
        text = text[:at] + random.choice(("", "a", "b", "ab")) + text[at + random.randrange(3) :]
    return tuple(pattern), text


def patterns(seed: int, count: int) -> Tally:
    """Holds the sets of places to every way of laying a pattern over a text."""
    tally = Tally(wrong=[])
    assert tally.wrong is not None
    for number in range(seed, seed + count):
        pattern, text = pattern_and_text(Random(number))
        fits = Letters(pattern, text)
        right = can_be_laid(pattern, fits.table, len(text))
        tally.tried += 1
        tally.false += not right
        if matches(pattern, len(text), fits) != right or not _is_way(pattern, text, fits, right):
            tally.wrong.append(f"seed {number}: {pattern} over {text!r}")
    return tally


def _is_way(pattern: tuple[Item, ...], text: str, fits: Letters, whole: bool) -> bool:
    """Whether what is said to be consumed can be, and is all of it where all of it can be."""
    taken = consumed(pattern, len(text), fits)
    if taken is None or len(taken) > len(pattern):
        return False
    at = 0
    for number, times in enumerate(taken):
        item, last = pattern[number], number == len(taken) - 1
        if (times < item.least and not last) or (item.most is not None and times > item.most):
            return False
        if not all(fits.table[number][at : at + times]):
            return False
        at += times
    return at == len(text) if whole else at <= len(text)
