"""Joins the JSON reports on shards into one, and misses the shard that was lost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any, Final, TypeAlias

from msgspec import Struct

from vcpu_scenario.errors import UsageError
from vcpu_scenario.host.printable import printable
from vcpu_scenario.host.reading import Unreadable, parse_json
from vcpu_scenario.interchange.shapes import BadShape
from vcpu_scenario.running.shape import check
from vcpu_scenario.running.shards import Shard, shard_of

Json: TypeAlias = Mapping[str, Any]


class MergeError(UsageError):
    """Reports that are none, or do not belong together; the message names them."""


class Part(Struct, frozen=True):
    """What a shard's report says of the whole; see :class:`vcpu_scenario.running.shards.Share`."""

    shard: Shard
    cases: int
    digest: str
    positions: tuple[int, ...]

    @property
    def whole(self) -> tuple[int, int, str]:
        """What all shards of one run have in common."""
        return self.shard.of, self.cases, self.digest


class Document(Struct, frozen=True):
    """A JSON report: where it came from, its cases, and ``part`` where it is on a shard."""

    name: str
    cases: tuple[Json, ...]
    not_run: int
    part: Part | None = None


class Joined(Struct, frozen=True):
    """The cases of all reports as one run has them in order.

    ``not_run`` counts the cases without a result, of shards that were lost as well; ``note``
    says why there are any.
    """

    cases: tuple[Json, ...]
    not_run: int = 0
    note: str = ""


MAX_VALUES: Final = 8 << 20
"""In a report."""


def read(name: str, raw: bytes) -> Document:
    """The report ``raw`` that came from ``name``; raises :class:`MergeError`."""
    name = printable(name)
    try:
        document = parse_json(raw, MAX_VALUES)
        check(document)
    except (Unreadable, BadShape) as error:
        why = printable(str(error))
        raise MergeError(f"{name} is no JSON report of scenario run: {why}") from None
    return _document(name, document)


def _document(name: str, document: Json) -> Document:
    cases, shard = document["cases"], document.get("shard")
    part = _part(name, shard, cases) if shard is not None else None
    total, not_run = (document["summary"][key] for key in ("total", "not_run"))
    if total != len(cases):
        raise MergeError(
            f"{name} was damaged: its summary is of {total} cases, and it has {len(cases)}"
        )
    return Document(name, tuple(cases), not_run, part)


def _part(name: str, of_whole: Json, cases: Sequence[Json]) -> Part:
    shard = Shard(of_whole["number"], of_whole["of"])
    positions = of_whole["positions"]
    damaged = (
        shard.number > shard.of
        or len(positions) != len(cases)
        or any(one >= other for one, other in pairwise(positions))
        or any(position >= of_whole["cases"] for position in positions)
        or any(shard_of(case["id"], shard.of) != shard.number for case in cases)
    )
    if damaged:
        raise MergeError(f"{name} was damaged: its cases are not those of shard {shard}")
    return Part(shard, of_whole["cases"], of_whole["digest"], tuple(positions))


def join(documents: Sequence[Document]) -> Joined:
    """The one report that they make up; raises :class:`MergeError` where they make up none."""
    parts = [document for document in documents if document.part is not None]
    if not parts:
        return _join_whole(documents)
    if len(parts) < len(documents):
        whole = next(document for document in documents if document.part is None)
        raise MergeError(
            f"{parts[0].name} is the report on a shard, and {whole.name} is on a whole run"
        )
    return _join_shards(parts)


def _join_whole(documents: Sequence[Document]) -> Joined:
    cases = tuple(case for document in documents for case in document.cases)
    _check_distinct(documents)
    not_run = sum(document.not_run for document in documents)
    return Joined(cases, not_run, _not_run_words(not_run, len(cases) + not_run))


def _check_distinct(documents: Sequence[Document]) -> None:
    seen: dict[str, str] = {}
    for document in documents:
        for case in document.cases:
            if (other := seen.get(case["id"])) is not None:
                raise MergeError(
                    f"the case {printable(case['id'])} is in both {other} and {document.name}"
                )
            seen[case["id"]] = document.name


def _join_shards(documents: Sequence[Document]) -> Joined:
    first = documents[0]
    assert first.part is not None
    shards: dict[int, str] = {}
    placed: dict[int, Json] = {}
    for document in documents:
        assert document.part is not None
        shard = document.part.shard
        if document.part.whole != first.part.whole:
            raise MergeError(
                f"{first.name} and {document.name} are not of one run: "
                + _difference(first.part, document.part)
            )
        if shard.number in shards:
            raise MergeError(f"shard {shard} is in both {shards[shard.number]} and {document.name}")
        shards[shard.number] = document.name
        placed.update(zip(document.part.positions, document.cases, strict=True))
    cases = tuple(placed[position] for position in sorted(placed))
    return Joined(cases, *_missing_shards(first.part, shards, documents))


def _difference(one: Part, other: Part) -> str:
    if one.shard.of != other.shard.of:
        return f"of {one.shard.of} shards and of {other.shard.of}"
    if one.cases != other.cases:
        return f"of {one.cases} cases and of {other.cases}"
    return "their cases have other ids"


def _missing_shards(
    part: Part, shards: Mapping[int, str], documents: Sequence[Document]
) -> tuple[int, str]:
    """How many cases have no result, and why; a shard without cases need not have been run."""
    not_run = sum(document.not_run for document in documents)
    lost = part.cases - not_run - sum(len(document.cases) for document in documents)
    notes = []
    if lost:
        absent = [str(Shard(n, part.shard.of)) for n in range(1, part.shard.of + 1)]
        absent = [name for n, name in enumerate(absent, 1) if n not in shards]
        which = f"{'s' if len(absent) > 1 else ''} {_list_names(absent)}"
        where = f"no report on shard{which}: " if absent else ""
        notes.append(f"{where}{lost} of {part.cases} cases are lost")
    if not_run:
        notes.append(_not_run_words(not_run, part.cases))
    return lost + not_run, "; ".join(notes)


def _list_names(names: Sequence[str], most: int = 8) -> str:
    if len(names) > most:
        return f"{', '.join(names[:most])} and {len(names) - most} more"
    return " and ".join(filter(None, (", ".join(names[:-1]), names[-1]))) if names else ""


def _not_run_words(not_run: int, cases: int) -> str:
    return f"{not_run} of {cases} cases were not run" if not_run else ""
