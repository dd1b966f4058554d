"""What a debugger is told that steps a guest through, as JSON."""

from __future__ import annotations

import json
from typing import Any

from vcpu_scenario.course import Course, End, Landing, Recorded, Steps, Why
from vcpu_scenario.interchange.cases import case_from_json, case_to_json
from vcpu_scenario.interchange.records import one_line
from vcpu_scenario.interchange.traces import trace_from_json, trace_to_json


def dump_steps(steps: Steps) -> str:
    """One line of JSON."""
    return one_line({"case": case_to_json(steps.case), "vmm": steps.vmm})


def load_steps(line: str) -> Steps:
    """Raises ValueError where ``line`` is nothing to step through."""
    document = json.loads(line)
    try:
        return Steps(case_from_json(document["case"]), document["vmm"])
    except (LookupError, TypeError) as error:
        raise ValueError(f"nothing to step through: {error}") from error


def dump_course(course: Course) -> str:
    """One line of JSON: the fields of :class:`vcpu_scenario.course.Course`."""
    return one_line(_course_to_json(course))


def load_course(line: str) -> Course:
    """Raises ValueError where ``line`` is no course."""
    document = json.loads(line)
    try:
        return _course(document)
    except (LookupError, TypeError, AttributeError) as error:
        raise ValueError(f"not a course: {error}") from error


def dump_recorded(recorded: Recorded) -> str:
    """One line of JSON: the fields of :class:`vcpu_scenario.course.Recorded`."""
    return one_line({**recorded._asdict(), "course": _course_to_json(recorded.course)})


def load_recorded(line: str) -> Recorded:
    """Raises ValueError where ``line`` is no recording."""
    document = json.loads(line)
    try:
        return Recorded(
            str(document["vmm"]),
            str(document["version"]),
            tuple((str(sent), received) for sent, received in document["packets"]),
            tuple((at, pc, pstate, regs) for at, pc, pstate, regs in document["stops"]),
            str(document["output"]),
            _course(document["course"]),
        )
    except (LookupError, TypeError, AttributeError) as error:
        raise ValueError(f"not a recording: {error}") from error


def _course_to_json(course: Course) -> dict[str, Any]:
    return {**course._asdict(), "trace": trace_to_json(course.trace)}


def _course(document: Any) -> Course:
    return Course(
        tuple(map(_landing, document["landings"])),
        End(document["end"]),
        str(document["words"]),
        int(document["pc"]),
        bool(document["given"]),
        tuple(_point(*point) for point in document["unset"]),
        trace_from_json(document["trace"]),
    )


def _landing(fields: Any) -> Landing:
    why, pc, regs, entries, exits = fields
    return Landing(Why(why), int(pc), tuple(map(int, regs)), int(entries), int(exits))


def _point(kind: int, addr: int, length: int) -> tuple[int, int, int]:
    return int(kind), int(addr), int(length)
