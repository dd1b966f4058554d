"""Kernel releases: their names, their order, and ranges of them.

A release is named as ``uname -r`` begins, ``6.12`` or ``6.12.107``; ``5.0-v2trap`` is a
*variant* of release 5.0, the same kernel booted with an option that changes what a vCPU sees.
What follows a plus is a host, ``6.12+cortex-a76`` (:mod:`vcpu_scenario.kernels.hosts`).
A range compares at the precision in which it is written: ``5.10`` is the whole series, and
``<6.1`` leaves out all of 6.1.y.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from typing import Final, NamedTuple

from msgspec import Struct
from msgspec.structs import replace

from vcpu_scenario.kernels import hosts

KNOWN_RELEASES: Final = (
    *("4.14", "4.15", "4.16", "4.17", "4.18", "4.19"),
    *("5.0", "5.3", "5.4", "5.5", "5.6", "5.7", "5.9", "5.10", "5.11", "5.12", "5.13", "5.15"),
    *("5.17", "5.18", "5.19"),
    *("6.0", "6.1", "6.2", "6.3", "6.4", "6.5", "6.6", "6.7", "6.11", "6.12", "6.13", "6.14"),
    *("6.15", "6.16", "6.17", "6.18", "6.19"),
    *("7.1", "7.2", "7.3"),
)
"""The rows of the kernel table, oldest first."""

_LAST_SERIES: Final = {4: 20, 5: 19, 6: 19}
"""After which the next major begins: there is no 4.21."""

LONGTERM: Final = ("4.14", "4.19", "5.4", "5.10", "5.15", "6.1", "6.6", "6.12", "6.18")
"""The releases that kernel.org has maintained as longterm ones, from the oldest known on."""

WORDS: Final[Mapping[str, tuple[str, ...]]] = {"latest": KNOWN_RELEASES[-1:], "lts": LONGTERM}
"""Releases by a word."""

VARIANTS: Final = ("v2trap",)
"""``v2trap``: accesses to the GICv2 CPU interface trap and are emulated in hyp."""

_EXPECTED_VARIANT: Final = f"{' or '.join(VARIANTS)}, or the release alone"
_NAME = re.compile(
    r"v?(\d{1,4}(?:\.\d{1,4}){0,3})(?:-([A-Za-z][A-Za-z0-9_]*))?(?:\+(\w[\w.+~-]*))?\Z"
)
_COMPARATOR = re.compile(r"(>=|<=|>|<)")


class RangeError(ValueError):
    """A release or a range that cannot be read; ``text`` is the part at fault."""

    def __init__(self, message: str, text: str, expected: str = "") -> None:
        super().__init__(message)
        self.text = text
        self.expected = expected


class NoSuchRelease(RangeError):
    """No kernel was ever called so."""


class Release(Struct, frozen=True, order=True, cache_hash=True):
    """A release in the order of releases; a variant comes right after the release itself, and
    one on another host (:mod:`vcpu_scenario.kernels.hosts`) after the one on the default host."""

    numbers: tuple[int, ...]
    variant: str = ""
    host: str = ""

    @property
    def kind(self) -> str:
        """What tells it from the plain release on the default host, ``-v2trap`` or ``+protected``;
        releases of a kind make a row to look along."""
        variant = f"-{self.variant}" if self.variant else ""
        return variant + (f"+{self.host}" if self.host else "")

    def on(self, host: str) -> Release:
        """The same release on ``host``."""
        return replace(self, host=host)

    def __str__(self) -> str:
        return ".".join(map(str, self.numbers)) + self.kind


@lru_cache(maxsize=1024)
def parse_release(name: str) -> Release:
    """Read ``6.12``, ``v6.12``, ``6.12.107``, ``5.0-v2trap`` or ``6.12+protected``; raises
    :class:`RangeError`."""
    match = _NAME.match(name)
    if match is None:
        raise RangeError(
            f"{_shown(name)} is not a kernel release", name, "a release such as 6.12 or 6.12.107"
        )
    numbers, variant, host = match.groups()
    major, *minor = map(int, numbers.split(".")[:2])
    if minor and minor[0] > (last := _LAST_SERIES.get(major, minor[0])):
        raise NoSuchRelease(
            f"there is no {major}.{minor[0]}",
            name,
            f"{major}.{last} at the latest, after which {major + 1}.0 came",
        )
    if variant and variant not in VARIANTS:
        raise RangeError(f"no variant is called `{variant}`", variant, _EXPECTED_VARIANT)
    try:
        found = hosts.host([host]) if host else ""
    except hosts.UnknownHost as error:
        raise RangeError(str(error), error.word, error.expected) from None
    return Release(tuple(map(int, numbers.split("."))), variant or "", found)


def _shown(text: str) -> str:
    return f"`{text}`" if text.strip() else "an empty text"


class _Bound(NamedTuple):
    """Compares a release, cut or padded to the precision of ``numbers``, by ``relation``."""

    relation: str
    numbers: tuple[int, ...]

    def admits(self, release: tuple[int, ...]) -> bool:
        precision = len(self.numbers)
        cut = (release + (0,) * precision)[:precision]
        return _OPERATORS[self.relation](cut, self.numbers)


_OPERATORS: Final[Mapping[str, Callable[[tuple[int, ...], tuple[int, ...]], bool]]] = {
    ">=": operator.ge,
    "<=": operator.le,
    ">": operator.gt,
    "<": operator.lt,
    "==": operator.eq,
}


class _Term(Struct, frozen=True):
    """Bounds that hold together, for releases of one variant."""

    bounds: tuple[_Bound, ...]
    variant: str

    def admits(self, release: Release) -> bool:
        return release.variant == self.variant and all(
            bound.admits(release.numbers) for bound in self.bounds
        )

    def edges(self) -> Iterable[Release]:
        for bound in self.bounds:
            *series, last = bound.numbers
            if not last and len(series) == 1 and series[0] - 1 in _LAST_SERIES:
                before = series[0] - 1
                yield Release((before, _LAST_SERIES[before]), self.variant)
            for number in range(max(last - 1, 0), last + 2):
                if len(series) != 1 or number <= _LAST_SERIES.get(series[0], number):
                    yield Release((*series, number), self.variant)

    def named(self) -> Iterable[Release]:
        return (
            Release(bound.numbers, self.variant)
            for bound in self.bounds
            if bound.relation == "==" and len(bound.numbers) > 1
        )


class KernelRange(Struct, frozen=True, cache_hash=True):
    """A union of terms such as ``>=6.1 <6.14``, ``5.0..5.10`` or ``4.14``.

    It matches a variant only where the term itself names it (``>=4.14-v2trap``), and a release
    whatever the host.
    """

    terms: tuple[_Term, ...]

    def matches(self, kernel: str) -> bool:
        """Whether the release named ``kernel`` is in the range; raises :class:`RangeError`."""
        return self.admits(parse_release(kernel))

    def admits(self, release: Release) -> bool:
        return _admits(self, release)

    def rows(self) -> tuple[str, ...]:
        """What a run over this range covers, oldest first.

        These are the known releases in it, known releases as variants where it names variants,
        and releases between known ones that it names itself (``5.4``).
        """
        return _rows(self)

    def has_any(self) -> bool:
        """Whether it has a known release, or one of those between them, as 6.1.33 is."""
        between = (edge for edge in self.edges() if _KNOWN[0] <= edge.numbers[:2] <= _KNOWN[-1])
        return bool(self.rows()) or any(map(self.admits, between))

    def edges(self) -> frozenset[Release]:
        """Each release that a bound names, and those next to it: wherever the range begins or
        ends, one of them is on either side."""
        return frozenset(edge for term in self.terms for edge in term.edges())


# Scenarios ask for a few ranges again and again, and each of them of every release.
@lru_cache(maxsize=1 << 14)
def _admits(range_: KernelRange, release: Release) -> bool:
    return any(term.admits(release) for term in range_.terms)


@lru_cache(maxsize=1 << 10)
def _rows(range_: KernelRange) -> tuple[str, ...]:
    candidates = {Release(numbers) for numbers in _KNOWN}
    for term in range_.terms:
        if term.variant:
            candidates |= {Release(numbers, term.variant) for numbers in _KNOWN}
        candidates |= {
            release for release in term.named() if _KNOWN[0] <= release.numbers[:2] <= _KNOWN[-1]
        }
    return tuple(str(release) for release in sorted(candidates) if _admits(range_, release))


_KNOWN = tuple(parse_release(name).numbers for name in KNOWN_RELEASES)

ALL_RELEASES: Final = KernelRange((_Term((), ""),))
"""Every release, and no variant."""


def parse_range(texts: str | Iterable[str]) -> KernelRange:
    """Read one range, one of ``WORDS``, or several as their union; raises :class:`RangeError`."""
    if isinstance(texts, str):
        texts = (texts,)
    named = (one for text in texts for one in WORDS.get(text.strip(), (text,)))
    return KernelRange(tuple(_term(text) for text in named))


@lru_cache(maxsize=1 << 10)
def _term(text: str) -> _Term:
    parts = _COMPARATOR.sub(r" \1", text).split()
    bounds: list[_Bound] = []
    variants: set[str] = set()
    waiting = ""
    for part in parts:
        if part in _OPERATORS:
            waiting += part
            continue
        for relation, release in _bounds(waiting + part):
            bounds.append(_Bound(relation, release.numbers))
            variants.add(release.variant)
        waiting = ""
    if waiting or not bounds:
        raise RangeError(f"{_shown(text)} is not a range of kernels", text, EXPECTED)
    if len(variants) > 1:
        raise RangeError(f"`{text}` mixes a variant with plain releases", text)
    return _Term(tuple(bounds), variants.pop())


EXPECTED: Final = (
    'a range such as ">=5.11", "<6.1", "5.0..5.10", "4.14" or ">=6.1 <6.14", or latest or lts'
)


def _bounds(part: str) -> list[tuple[str, Release]]:
    match = _COMPARATOR.match(part)
    relation = match.group() if match else "=="
    rest = part[len(relation) :] if match else part
    if ".." not in rest:
        return [(relation, _bound(rest))]
    low, _, high = rest.partition("..")
    if match or not low or not high:
        raise RangeError(f"`{part}` is not a range of kernels", part, EXPECTED)
    return [(">=", _bound(low)), ("<=", _bound(high))]


def _bound(name: str) -> Release:
    try:
        release = parse_release(name)
    except NoSuchRelease:
        raise
    except RangeError as error:
        expected = error.expected if error.expected == _EXPECTED_VARIANT else EXPECTED
        raise RangeError(str(error), error.text, expected) from None
    if release.host:
        raise RangeError(f"`{name}` names a host, and a range is one of releases", name, EXPECTED)
    return release
