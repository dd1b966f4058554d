"""What a fuzzer's input is given to, and what of it is a finding."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final, Protocol

from vcpu_scenario.assembly.assemblers import VARIABLE
from vcpu_scenario.assembly.cache import words_path
from vcpu_scenario.case import Case
from vcpu_scenario.interchange.cases import case_to_json
from vcpu_scenario.language import Scenario, load
from vcpu_scenario.machine.emulated.machine import create
from vcpu_scenario.machine.errors import Unsupported
from vcpu_scenario.report.json import report as json_report
from vcpu_scenario.report.styled import plain
from vcpu_scenario.report.text import report as text_report
from vcpu_scenario.running.execute import execute
from vcpu_scenario.source import InvalidScenario, render
from vcpu_scenario.trace import Trace
from vcpu_scenario.vmm.loop import run_case

from tests.analysis.legal import faults
from tests.fuzz.assembling import AssemblerTarget
from tests.fuzz.documents import document, kept_words
from tests.fuzz.finding import Finding, bounded
from tests.fuzz.machine import case_of, kernel_of, reads_time
from tests.fuzz.packets import PacketsTarget
from tests.fuzz.papers import PapersTarget


class Target(Protocol):
    """Runs inputs by seed."""

    def run(self, seed: int) -> str:
        """A word for what became of the input; raises :class:`Finding`."""
        ...

    def artefact(self, seed: int) -> tuple[str, bytes]:
        """A file name's suffix and the input itself, to keep beside what was found."""
        ...

    def close(self) -> None:
        """Leaves nothing behind."""
        ...


class MachineTarget:
    """Hostile cases on the emulated machine of a kernel that belongs to the seed."""

    def run(self, seed: int) -> str:
        case, name = case_of(seed), kernel_of(seed)
        return bounded(lambda: self.run_case(case, name, again=seed % 8 == 0))

    def run_case(self, case: Case, name: str, *, again: bool = True) -> str:
        try:
            trace = _trace(case, name)
        except Unsupported:
            return "unsupported"
        if found := faults(case, name, trace):
            raise Finding("; ".join(found[:3]))
        if again and not reads_time(case) and _trace(case, name) != trace:
            raise Finding("another trace when it is run again")
        return str(trace.ended)

    def artefact(self, seed: int) -> tuple[str, bytes]:
        import json

        document = {"kernel": kernel_of(seed), "case": case_to_json(case_of(seed))}
        return ".case.json", json.dumps(document, indent=1).encode()

    def close(self) -> None:
        """There is nothing to leave."""


def _trace(case: Case, name: str) -> Trace:
    machine = create(name)
    try:
        return run_case(machine, case)
    finally:
        machine.close()


class LoaderTarget:
    """Documents in a folder with things that a scenario might try to read."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="scenario-fuzz-"))
        inside = self.folder / "scenarios"
        inside.mkdir()
        (inside / "data.bin").write_bytes(bytes(range(256)))
        (inside / "guest.elf").write_bytes(_ELF)
        (inside / "folder").mkdir()
        (inside / "link").symlink_to("/etc/passwd")
        (inside / "loop").symlink_to("loop")
        os.mkfifo(inside / "pipe")
        with (inside / "big.bin").open("wb") as file:
            file.truncate(64 << 20)
        self._inside = inside

    @property
    def file(self) -> Path:
        """The scenario, one for each process."""
        return self._inside / f"input-{os.getpid()}.vcpu.yaml"

    def close(self) -> None:
        shutil.rmtree(self.folder)

    def run(self, seed: int) -> str:
        self.file.write_bytes(document(seed))
        if seed % 16 == 0:
            words_path(self.file).write_bytes(kept_words(seed))
        # Assembling takes longer than all the rest, and is held to its bounds elsewhere.
        assembler, os.environ[VARIABLE] = os.environ.get(VARIABLE), "none"
        try:
            return bounded(self.run_file)
        finally:
            os.environ[VARIABLE] = assembler or ""

    def run_file(self) -> str:
        """Loads the file and does with it all that a command would."""
        try:
            scenario = load(self.file)
        except InvalidScenario as invalid:
            if not invalid.diagnostics:
                raise Finding("invalid without a reason") from None
            for diagnostic in invalid.diagnostics:
                if not render(diagnostic):
                    raise Finding("a diagnostic without a text") from None
            return "invalid"
        return _run_some(scenario)

    def artefact(self, seed: int) -> tuple[str, bytes]:
        return ".vcpu.yaml", document(seed)


def _run_some(scenario: Scenario) -> str:
    """Runs a few of its cases, as far as that is cheap, and reports on them."""
    cases = scenario.cases()
    cases = cases[:: max(1, len(cases) // 3)][:3]
    results = []
    for case in cases:
        limits = case.case.limits
        if limits.exits * limits.instructions > 200_000_000:
            continue
        result = execute(case, create)
        if result.verdict == "error":
            raise Finding(f"{case.id}: {result.reason}\n{result.detail}")
        results.append(result)
    plain(text_report(results, seconds=0.0, width=100))
    json_report(results)
    return "valid"


_ELF: Final = bytes.fromhex(
    # An AArch64 executable of one segment with two instructions at 0x40000000.
    "7f454c46020101000000000000000000"
    "0200b700010000000000004000000000"
    "40000000000000000000000000000000"
    "00000000400038000100400000000000"
    "01000000050000007800000000000000"
    "00000040000000000000004000000000"
    "08000000000000000800000000000000"
    "00100000000000001f2003d5000020d4"
)

TARGETS: Final[Mapping[str, Callable[[], Target]]] = {
    "machine": MachineTarget,
    "loader": LoaderTarget,
    "assembler": AssemblerTarget,
    "packets": PacketsTarget,
    "papers": PapersTarget,
}
