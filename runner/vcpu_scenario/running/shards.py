"""Shards: the parts of a run that are done in different places and joined afterwards.

A case belongs to a shard by a hash of its id, so that a case that is added or removed moves no
other one, and any place can tell by itself which cases are its own. What a shard reports says
which part of what whole it is, so that a part that was lost is missed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final

from msgspec import Struct

if TYPE_CHECKING:
    from vcpu_scenario.language import ScenarioCase
    from vcpu_scenario.verdict.result import Result

MOST: Final = 10_000
"""Shards at most."""

_SHARD: Final = re.compile(r"(\d{1,6})/(\d{1,6})\Z")


class ShardError(ValueError):
    """No shard is written like that."""


class Shard(Struct, frozen=True):
    """Part ``number`` of ``of``, counted from 1; written ``2/8``."""

    number: int
    of: int

    def __str__(self) -> str:
        return f"{self.number}/{self.of}"

    def holds(self, case_id: str) -> bool:
        return shard_of(case_id, self.of) == self.number


WHOLE: Final = Shard(1, 1)


def parse_shard(text: str) -> Shard:
    """Read ``2/8``; raises :class:`ShardError`."""
    match = _SHARD.match(text)
    if match is None:
        raise ShardError(f"`{text}` is no shard; expected one such as 2/8")
    number, of = map(int, match.groups())
    if not 1 <= of <= MOST:
        raise ShardError(f"`{text}`: there are 1 to {MOST} shards")
    if not 1 <= number <= of:
        raise ShardError(f"`{text}`: of {of} shards the first is 1/{of} and the last {of}/{of}")
    return Shard(number, of)


def shard_of(case_id: str, of: int) -> int:
    """The number, from 1, of the shard that the case is in; the same everywhere and always."""
    return int.from_bytes(sha256(_bytes(case_id)).digest()[:8], "big") % of + 1


def _bytes(text: str) -> bytes:
    # A file's name need not be UTF-8: Python reads the bytes that are not as surrogates.
    return text.encode("utf-8", "surrogatepass")


def filled(cases: Sequence[ScenarioCase], of: int) -> dict[Shard, int]:
    """How many of ``cases`` are in each shard that has any, in the order of the shards."""
    counts: dict[Shard, int] = {}
    for number in sorted(shard_of(case.id, of) for case in cases):
        shard = Shard(number, of)
        counts[shard] = counts.get(shard, 0) + 1
    return counts


class Share(Struct, frozen=True):
    """What a shard knows of the whole.

    ``positions`` says of each of its cases, by id, which it is of all cases, counted from 0;
    ``cases`` is how many there are in all shards, and ``digest`` is of all their ids in order:
    shards of which it differs are not of one run.
    """

    shard: Shard
    cases: int
    digest: str
    positions: Mapping[str, int]

    def to_json(self, results: Sequence[Result]) -> dict[str, Any]:
        """What the JSON report on ``results`` holds of it under ``shard``."""
        return {
            "number": self.shard.number,
            "of": self.shard.of,
            "cases": self.cases,
            "digest": self.digest,
            "positions": [self.positions[result.case.id] for result in results],
        }


def take(shard: Shard, cases: Sequence[ScenarioCase]) -> tuple[list[ScenarioCase], Share]:
    """The cases in ``shard``, and what it has to know of the others."""
    own = [(n, case) for n, case in enumerate(cases) if shard.holds(case.id)]
    digest = sha256(_bytes("\n".join(case.id for case in cases))).hexdigest()[:32]
    share = Share(shard, len(cases), digest, {case.id: n for n, case in own})
    return [case for _, case in own], share
