"""Files that a scenario names: within its own folder or one that was allowed, and of a size that
is meant."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from msgspec import Struct, field

from vcpu_scenario.host.reading import Unreadable, read_regular, reason
from vcpu_scenario.language.distribution import PREFIX, Missing, read_distributed
from vcpu_scenario.language.nodes import Scalar
from vcpu_scenario.language.problems import Problems
from vcpu_scenario.source import quoted

MAX_SCENARIO: Final = 1 << 20
MAX_CONTENTS: Final = 256 << 20
"""Of all files that a scenario names together."""
_ALLOW: Final = "`--allow-dir DIR` lets scenarios name the files in DIR as well"


class Folder(Struct):
    """The folder of a scenario, which the files it names may not leave, through no link, but for
    another one that is allowed.

    A file is read once, whatever names it how often; all of them together are bounded.
    """

    path: Path
    problems: Problems
    allowed: tuple[Path, ...] = ()
    """Other folders with files that it may name, resolved."""
    missing: str = ""
    """What of a distribution is named and not here, with what to do."""
    _read: dict[str, bytes | Unreadable] = field(default_factory=dict)
    _left: int = MAX_CONTENTS

    def read(self, name: Scalar) -> bytes | None:
        """The contents of the file that ``name`` names; None, and a report, if it has none. One
        of a distribution that is not here is noted as ``missing`` instead."""
        found = self._read.get(name.text)
        if found is None:
            found = self._read[name.text] = self._fetch(name.text)
        if isinstance(found, bytes):
            return found
        if isinstance(found, Missing):
            self.missing = str(found)
            return None
        self.problems.add(
            f"cannot read the file {quoted(name.text)}: {found}",
            name.span,
            expected=self._whence(name.text),
            help=found.help,
        )
        return None

    def _whence(self, name: str) -> str:
        if name.startswith(PREFIX):
            return ""
        return " or ".join(f"a file in {folder}/" for folder in (self.path, *self.allowed))

    def _fetch(self, name: str) -> bytes | Unreadable:
        try:
            if name.startswith(PREFIX):
                return read_distributed(name)
            data = read_regular(self._within(name), self._left, follow=False)
        except Unreadable as fault:
            return fault
        self._left -= len(data)
        return data

    def _within(self, name: str) -> Path:
        try:
            folder = self.path.resolve()
            wanted = (folder / name).resolve()
        except (OSError, RuntimeError, ValueError) as error:
            raise Unreadable(reason(error)) from None
        if not any(map(wanted.is_relative_to, (folder, *self.allowed))):
            raise Unreadable("it is outside the scenario's folder", _ALLOW)
        return wanted
