"""What may be meant by a name in guest code that is not defined."""

from __future__ import annotations

import re
from typing import Final

from msgspec.structs import replace

from vcpu_scenario.assembly.assembled import Problem
from vcpu_scenario.assembly.names import is_word_of_assembly, names_defined
from vcpu_scenario.language.scope import Scope, register_meant
from vcpu_scenario.source import did_you_mean

_WORD: Final = re.compile(r"[A-Za-z_.$][\w.$]*")
_UNDEFINED: Final = re.compile(r"`([A-Za-z_.$][\w.$]*)` is not defined")

_MISSING: Final = re.compile(r"is not defined|can't resolve")
_SUM: Final = re.compile(r"\*UND\*|relocatable expression|can't resolve L\d+\x01")

_STATEMENT: Final = re.compile(r"\s*(?:[\w.$]+:\s*)*[\w.]+")
"""What stands before the operands."""


class Faulty:
    """Code that does not assemble: ``source``, and the devices that ``scope`` knows."""

    def __init__(self, source: str, scope: Scope) -> None:
        self._lines = source.split("\n")
        self._scope = scope
        self.defined = frozenset(names_defined(source))

    def is_of_another_fault(self, problem: Problem) -> bool:
        """Whether it is about a device in which something is wrong that is told itself: it could
        not be read, or has the name of a label."""
        devices = self._scope.devices_written
        unread = devices - self._scope.devices.keys()
        is_of_name = _MISSING.search(problem.message) or _SUM.search(problem.message)
        if self._scope.loses_devices and is_of_name:
            return True
        line = _WORD.findall(self._line(problem.line))
        if not unread.isdisjoint((*_WORD.findall(problem.message), *line)):
            return True
        clashing = devices & self.defined
        return not clashing.isdisjoint(line)

    def in_words(self, problem: Problem) -> Problem:
        """The problem by the name that it is about, if it is about one, and what to do about it."""
        if _SUM.search(problem.message):
            # Of two names that are none the assembler says that it cannot add them.
            before, behind = self._parted(problem)
            if not before.split(":")[-1].strip():
                behind = _STATEMENT.sub("", behind, count=1)
            known = self.defined | self._scope.devices_written
            words = (word for word in _WORD.findall(behind) if not is_word_of_assembly(word))
            name = next((word for word in words if word not in known), "")
            problem = replace(problem, message=f"`{name}` is not defined") if name else problem
        return replace(problem, hint=self._hint(problem) or problem.hint)

    def _parted(self, problem: Problem) -> tuple[str, str]:
        line, at = self._line(problem.line), max(problem.column - 1, 0)
        return line[:at], line[at:]

    def _hint(self, problem: Problem) -> str:
        devices = self._scope.devices
        for word in _WORD.findall(problem.message):
            if word in devices and is_word_of_assembly(word):
                meant = "means something else in code: write the device's address"
                return f"`{word}` {meant}, {devices[word]:#x}"
        undefined = _UNDEFINED.search(problem.message)
        if undefined is None:
            return ""
        return self._register(problem.line, undefined[1]) or did_you_mean(
            undefined[1], [*self.defined, *devices]
        )

    def _line(self, number: int) -> str:
        return self._lines[number - 1] if number <= len(self._lines) else ""

    def _register(self, line: int, name: str) -> str:
        """``name`` stands behind a device as one of its registers would."""
        found = re.search(rf"([\w.$]+)[ \t]*\+[ \t]*{re.escape(name)}(?![\w.$])", self._line(line))
        if found is None or found[1] not in self._scope.devices:
            return ""
        known = self._scope.registers_of.get(found[1], {})
        meant = register_meant(name, known)
        return (
            meant if name in meant or known else f"`{found[1]}` has no register `{name}`: {meant}"
        )
