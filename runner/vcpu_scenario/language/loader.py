"""From a file to a scenario: every step of it, and everything that is wrong with it at once."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from vcpu_scenario.host.reading import Unreadable, read_regular
from vcpu_scenario.language import schema, yaml12
from vcpu_scenario.language.audience import Audience
from vcpu_scenario.language.bycase import CONDITIONS
from vcpu_scenario.language.codes import Codes
from vcpu_scenario.language.conditions import read_conditions
from vcpu_scenario.language.debuggers import check_debuggers
from vcpu_scenario.language.exits import ExitReader
from vcpu_scenario.language.files import MAX_SCENARIO, Folder
from vcpu_scenario.language.guest import Sources
from vcpu_scenario.language.model import Combination, Scenario
from vcpu_scenario.language.neverdone import check_done, never_done
from vcpu_scenario.language.nodes import Map, Node, Scalar, is_faulty, items_of, text_of
from vcpu_scenario.language.params import (
    HEADER,
    Parameters,
    case_names,
    check_distinct,
    check_size,
    combinations,
    shown,
    substitute,
    substitute_in,
    taken_values,
    values_of,
)
from vcpu_scenario.language.permission import granted
from vcpu_scenario.language.problems import Problems
from vcpu_scenario.language.reachable import check_idle, check_places, check_reachable, check_values
from vcpu_scenario.language.selection import (
    DEFAULT_VMMS,
    named_hosts,
    read_hosts,
    read_kernels,
    read_selector,
    read_vmms,
)
from vcpu_scenario.language.setup import read_setup
from vcpu_scenario.language.variants import ClauseReader
from vcpu_scenario.source import Diagnostic, InvalidScenario, Span, split_lines

SUFFIX: Final = ".vcpu.yaml"

MAX_CASES: Final = 1_000_000
MAX_KERNELS: Final = 500
MAX_CLAUSES: Final = 100_000
"""Of ``expect``, each counted for each combination of parameters that it is read for."""


def load(path: str | Path, root: str | Path | None = None, *, strictly: bool = False) -> Scenario:
    """Loads the scenario ``path``; ``root`` is the folder that its cases' ids are relative to.

    With ``strictly`` it is ``jsonschema`` that decides whether the file fits the schema. Raises
    :class:`vcpu_scenario.source.InvalidScenario` with everything that is wrong with it.
    """
    path = Path(path)
    return loads(read_text(path), path, root, strictly=strictly)


def loads(
    text: str,
    path: str | Path,
    root: str | Path | None = None,
    *,
    strictly: bool = False,
    conditions: bool = True,
) -> Scenario:
    """Loads a scenario from ``text``, which stands in ``path`` or could; without ``conditions``
    those that tell no cases from others are no fault."""
    path = Path(path)
    node, faults = yaml12.parse(text, str(path))
    problems = Problems(faults)
    checked = schema.check(node, problems) if node is not None else None
    if strictly and node is not None:
        from vcpu_scenario.language.referee import decide

        decide(node, problems)
    if isinstance(checked, Map):
        loader = _Loader(path, text, checked, problems)
        scenario = loader.scenario(_name(path, root), conditions=conditions)
        if not problems:
            return scenario
    raise InvalidScenario(problems)


def read_text(path: Path) -> str:
    """The text of the scenario ``path``; raises :class:`vcpu_scenario.source.InvalidScenario`."""
    return read_written(path).removeprefix("\ufeff")


def read_written(path: Path) -> str:
    """:func:`read_text` with the byte order mark, if the file begins with one."""
    start = Span(str(path), 1, 1, 1, 1)
    try:
        raw = read_regular(path, MAX_SCENARIO)
    except Unreadable as fault:
        raise InvalidScenario(
            [Diagnostic(f"cannot read the scenario: {fault}", start, help=fault.help)]
        ) from None
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        # Without the mark, which is no column of the first line.
        before = split_lines(raw[: error.start].decode().removeprefix("\ufeff"))
        line, column = len(before), len(before[-1]) + 1
        span = Span(str(path), line, column, line, column + 1)
        byte = f"the byte 0x{raw[error.start]:02x}"
        raise InvalidScenario(
            [Diagnostic("not UTF-8", span, found=byte, expected="text in UTF-8")]
        ) from None


def _name(path: Path, root: str | Path | None) -> str:
    name = path.name.removesuffix(SUFFIX)
    name = path.stem if name == path.name else name
    if root is None:
        return name
    try:
        folder = path.parent.relative_to(root)
    except ValueError:
        return name
    return (folder / name).as_posix()


class _Loader:
    """Reads one document that its schema has nothing left against."""

    def __init__(self, path: Path, text: str, root: Map, problems: Problems) -> None:
        self.path = path
        self.root = root
        self.problems = problems
        matrix = root.get("matrix")
        self.whole = not is_faulty(matrix) and not (matrix is None and root.faulty)
        """The matrix has all the parameters that the file gives it."""
        before = problems.reports
        self.rows = combinations(matrix, problems)
        if matrix is not None and not check_size(self.rows, text, matrix, problems):
            self.rows = []
        self.whole &= problems.reports == before
        if not self.whole and root.dynamic:
            self.rows = []
        self.never: dict[Span, str] = {}
        """Why what a text asks for is never done, empty where it may be."""
        self.exits = ExitReader()
        self.codes = Codes(path, self._sources)
        folder = Folder(path.parent, problems, granted())
        self.sources = Sources(self.codes.assemble, folder, split_lines(text))

    def scenario(self, name: str, *, conditions: bool) -> Scenario:
        root, problems = self.root, self.problems
        before = len(problems)
        nodes = [item for item in items_of(root.get("expect")) if isinstance(item, Map)]
        taken = taken_values(self.rows) if self.whole and self.rows else None
        selectors = [read_selector(node, taken, problems) for node in nodes]
        held = [
            read_conditions(node, own, taken, problems)
            for node, own in zip(nodes, selectors, strict=True)
        ]
        audience = Audience(
            read_kernels(root.get("kernels"), problems),
            read_vmms(root.get("vmm")) or DEFAULT_VMMS,
            tuple(selectors),
            tuple(found.selectors for found in held),
            named_hosts(read_hosts(root.get("host"))),
        )
        chosen = (root.get("vmm"), root.get("host"))
        told = root.faulty or any(map(_selects_faultily, nodes)) or any(map(is_faulty, chosen))
        sound = self.whole and bool(self.rows) and not told and len(problems) == before
        sized = sound and self._check_size(audience)
        reader = ClauseReader.of(audience, held)
        with self.codes:
            combinations = tuple(self._combinations(reader))
        # A value that is wrong where it stands may be why none is as is asked.
        meant = sized and not problems.blames_parameters()
        if meant and taken:
            check_values(audience, taken, problems)
        if sized:
            check_reachable(audience, self.rows, problems, told=len(problems) > before)
            check_places(audience, root.get("host"), problems)
        if meant and conditions:
            reader.report(problems)
        if sound and not problems:
            check_distinct(self.rows, root, problems)
            check_idle(audience, self.rows, root, problems)
        scenario = Scenario(
            self.path,
            name,
            text_of(root.get("title")).strip(),
            text_of(root.get("about")),
            _texts(root.get("tags")),
            _texts(root.get("origin")),
            audience,
            combinations,
            tuple(self.codes.made_of),
        )
        if sized and not problems:
            check_debuggers(scenario, root.get("vmm"), problems)
        return scenario

    def _check_size(self, audience: Audience) -> bool:
        """Whether the cases are few enough; of too many the first combination alone is read."""
        kernels, clauses = len(audience.rows()), len(audience.clauses)
        cases = len(self.rows) * kernels * len(audience.vmms)
        if kernels > MAX_KERNELS or cases > MAX_CASES:
            what, found = "cases", f"{cases:,} on {kernels:,} kernels"
            most = f"{MAX_CASES:,} on {MAX_KERNELS}"
        elif len(self.rows) * clauses > MAX_CLAUSES:
            what, found = "clauses", f"{len(self.rows):,} combinations of {clauses:,} clauses"
            most = f"{MAX_CLAUSES:,} in all"
        else:
            return True
        at = self.root.get("matrix") or self.root
        self.problems.add(
            f"the scenario makes too many {what}", at.span, found=found, expected=f"at most {most}"
        )
        self.rows = self.rows[:1]
        return False

    def _combinations(self, reader: ClauseReader) -> Iterator[Combination]:
        for row, name in zip(self.rows, case_names(self.rows), strict=True):
            self.problems.parameters = shown(row)
            yield self._combination(reader, row, name)
        if not self.problems:
            check_done(self.never, self.problems)

    def _combination(self, reader: ClauseReader, row: Parameters, name: str) -> Combination:
        root = self._with_parameters(row)
        setup = read_setup(root, self.problems, self.sources, self.exits)
        nodes = [item for item in items_of(root.get("expect")) if isinstance(item, Map)]
        clauses = reader.read(nodes, row, setup)
        read = [clause for found in clauses if found for clause in found.values()]
        # These parameters have no case where none of the clauses is for them.
        for span, why in never_done(setup, read) if read or not nodes else ():
            self.never[span] = why if self.never.get(span, why) else ""
        program = setup.program
        return Combination(
            name, values_of(row), setup.case, clauses, program.symbols, program.lines
        )

    def _sources(self) -> Iterator[str]:
        """The guest's code for each combination of parameters."""
        guest = self.root.get("guest")
        code = guest.get("code") if isinstance(guest, Map) else None
        if code is not None and code.dynamic:
            for row in self.rows:
                yield text_of(substitute(code, row, Problems()))

    def _with_parameters(self, row: Parameters) -> Map:
        root = self.root
        if not root.dynamic:
            return root
        root = substitute_in(root, row, self.problems, but=HEADER)
        checked = schema.check(root, self.problems, again=True)
        return checked if isinstance(checked, Map) else root


def _selects_faultily(clause: Map) -> bool:
    """Whether something of what the clause is for may have been taken out."""
    return clause.faulty or any(is_faulty(clause.get(key)) for key in CONDITIONS)


def _texts(node: Node | None) -> tuple[str, ...]:
    """One text, or a list of them."""
    return tuple(text_of(item) for item in ([node] if isinstance(node, Scalar) else items_of(node)))
