"""The codes of a scenario: assembled once each, from what is stored or again."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from vcpu_scenario.assembly import cache
from vcpu_scenario.assembly.assembled import Assembled, AssemblerError, GivenUp, NoAssembler
from vcpu_scenario.assembly.names import Names, in_source, with_names

if TYPE_CHECKING:
    from vcpu_scenario.assembly.ahead import Ahead


class Codes:
    """Those of the scenario ``path``, whose ``sources`` are assembled one beside the other once one
    is not stored; no assembler works on behind the block."""

    def __init__(self, path: Path, sources: Callable[[], Iterable[str]]) -> None:
        self._path = path
        self._sources = sources
        self._ahead: Ahead | None = None
        self._assembled: dict[tuple[str, int], Assembled | Exception] = {}
        self.made_of: dict[tuple[str, int], None] = {}
        """The sources that code was made of, with addresses for the names of devices."""
        self._given_up: GivenUp | None = None
        """What took too long to assemble; a matrix would have each of its codes take as long."""

    def assemble(self, source: str, base: int, names: Names) -> Assembled:
        """The code of ``source``; where that is none as it is, with addresses for ``names``.

        In this order, so that no name of a device changes what code means that has one already.
        """
        key = source, base
        found: Assembled | Exception | None = self._kept(source, base)
        if found is None:
            named = with_names(source, names)
            if named.edits:
                found = self._kept(named.text, base)
                key = (named.text, base) if found else key
            found = found or self._made(source, base)
            if named.edits and isinstance(found, AssemblerError):
                key = named.text, base
                found = in_source(self._made(*key), named)
        if isinstance(found, Exception):
            raise found
        self.made_of[key] = None
        return found

    def _kept(self, source: str, base: int) -> Assembled | None:
        made = self._assembled.get((source, base))
        if isinstance(made, Assembled):
            return made
        kept = cache.cached(self._path, source, base)
        if kept is not None:
            self._assembled[source, base] = kept
        return kept

    def _made(self, source: str, base: int) -> Assembled | Exception:
        made = self._assembled.get((source, base)) or self._given_up
        if made is None:
            made = self._assembled[source, base] = self._assemble_anew(source, base)
        return made

    def _assemble_anew(self, source: str, base: int) -> Assembled | Exception:
        # Not before it is needed: stored words take no assembler.
        from vcpu_scenario.assembly.ahead import Ahead

        self._ahead = self._ahead or Ahead((source, *self._sources()), base)
        try:
            return self._ahead.assemble(source, base)
        except GivenUp as error:
            self._given_up = error
            return error
        except (AssemblerError, NoAssembler) as error:
            return error

    def __enter__(self) -> Codes:
        return self

    def __exit__(self, *_: object) -> None:
        if self._ahead is not None:
            self._ahead.end()
