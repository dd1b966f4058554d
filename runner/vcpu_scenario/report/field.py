"""A trace from the field beside the model: on which kernels they agree, and where they part."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Final

from msgspec.structs import replace

from vcpu_scenario.kernels.inwords import ranges_of
from vcpu_scenario.kernels.release import Release, parse_release
from vcpu_scenario.report.cite import Citations
from vcpu_scenario.report.difference import difference_lines
from vcpu_scenario.report.styled import Line, line

if TYPE_CHECKING:
    from vcpu_scenario.field.beside import Beside
    from vcpu_scenario.field.records import FieldTrace

_SHOWN: Final = 8
"""Places that are shown at most."""


def text(field: FieldTrace, found: Sequence[Beside]) -> Iterator[Line]:
    """Every line of it. What a mismatch expects is the trace's, what it found the model's."""
    yield line((f"{field.path}: {_what(field)}", "title"))
    if not any(seen.exit for seen in field.exits):
        known = "which exits they are is not shown (`strace -e kvm=vcpu`): their number is compared"
        yield line((known, "skip"))
    agreeing = [each for each in found if each.agrees]
    if agreeing:
        compared = min(each.compared for each in agreeing)
        more = len(field.exits) - compared
        after = f" in the first {compared:,}; {more:,} were not compared" if more > 0 else ""
        yield line(("no difference", "pass"), f" on {_on(agreeing, found)}{after}")
    for number, group in _early(found):
        of_all = f"{_exits(number)} of {number + group[0].more:,}"
        yield line(("ends early", "fail"), f" on {_on(group, found)}: no difference in {of_all}")
    citations = Citations()
    parting = list(_alike(each for each in found if each.mismatch is not None))
    for group in parting[:_SHOWN]:
        yield line()
        yield line(("differs", "fail"), f" on {_on(group, found)}")
        mismatch = group[0].mismatch
        assert mismatch is not None
        yield from difference_lines(mismatch, citations)
    if len(parting) > _SHOWN:
        yield line((f"and in {len(parting) - _SHOWN} other ways", "dim"))
    for reason, group in _left_out(found):
        yield line()
        yield line(("not compared", "skip"), f" on {_on(group, found)}: {reason}")


def _what(field: FieldTrace) -> str:
    threads = f" of {field.vcpus} threads" if field.vcpus > 1 else ""
    return f"{_exits(len(field.exits))}{threads}, by {field.source}"


def _exits(count: int) -> str:
    return f"{count:,} exit{'' if count == 1 else 's'}"


def _early(found: Iterable[Beside]) -> Iterator[tuple[int, list[Beside]]]:
    """Those of which the trace has the beginning alone, as far as which exit."""
    groups: dict[tuple[int, int], list[Beside]] = {}
    for each in found:
        if each.as_far_as_it_goes and each.more:
            groups.setdefault((each.compared, each.more), []).append(each)
    for (compared, _), group in groups.items():
        yield compared, group


def _on(group: Sequence[Beside], every: Sequence[Beside]) -> str:
    """The kernels of ``group``, with the rest of the case's name where there are several."""
    names = {_name(each) for each in every}
    told = []
    for name in dict.fromkeys(map(_name, group)):
        own = {parse_release(each.case.kernel) for each in group if _name(each) == name}
        there = [parse_release(each.case.kernel) for each in every if _name(each) == name]
        kernels = ", ".join(_ranges(own, there))
        told.append(f"{kernels} ({name})" if len(names) > 1 else kernels)
    return "; ".join(told)


def _ranges(own: set[Release], there: Sequence[Release]) -> Iterable[str]:
    if len(there) < _FEW:
        return [str(release) for release in there if release in own]
    return ranges_of(own, there)


_FEW: Final = 4


def _name(each: Beside) -> str:
    head, _, place = each.case.id.rpartition("@")
    return f"{head}/{place.partition('/')[2]}"


def _alike(found: Iterable[Beside]) -> Iterator[list[Beside]]:
    """Those that part from the trace in the same way; rules may be others."""
    groups: dict[object, list[Beside]] = {}
    for each in found:
        assert each.mismatch is not None
        groups.setdefault(replace(each.mismatch, rules=()), []).append(each)
    yield from groups.values()


def _left_out(found: Iterable[Beside]) -> Iterator[tuple[str, list[Beside]]]:
    groups: dict[str, list[Beside]] = {}
    for each in found:
        if each.left_out:
            groups.setdefault(each.left_out, []).append(each)
    yield from groups.items()
