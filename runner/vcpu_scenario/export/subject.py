"""What one program is about: a scenario with one combination of its parameters and one VMM, and
its clauses with the kernels that they are for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from vcpu_scenario.arm64.cpumodels import CpuModel
from vcpu_scenario.export.reactions import by_number
from vcpu_scenario.export.refusal import Unexportable
from vcpu_scenario.export.text import identifier
from vcpu_scenario.kernels.hosts import cpu_of, is_so, modes_of
from vcpu_scenario.kernels.inwords import ranges_of
from vcpu_scenario.kernels.release import KernelRange, Release, parse_range, parse_release
from vcpu_scenario.language.clauses import Clause
from vcpu_scenario.language.model import Combination, Scenario
from vcpu_scenario.language.variants import places_of
from vcpu_scenario.verdict.guest import Guest

_MOST_NAME: Final = 40


class Branch(Struct, frozen=True):
    """A clause. ``kernels`` says for which releases it stands, ``condition`` says it in C of
    ``kernel``; both are empty where it stands for all. ``name`` ends the names of its functions."""

    name: str
    kernels: str
    condition: str
    clause: Clause

    @property
    def suffix(self) -> str:
        """What ends the names of its functions, with an underscore, or nothing."""
        return f"_{self.name}" if self.name else ""


class Subject(Struct, frozen=True):
    """``branches`` in the order in which they are tried; ``kernel`` is the one release whose
    clause it is, empty where the running kernel chooses. ``condition`` says in C for which kernels
    there is any, as far as the scenario says so as a whole; ``cpu`` is the one that it is for, None
    where for any or where the release was chosen, with its host."""

    scenario: Scenario
    combination: Combination
    vmm: str
    kernel: str
    condition: str
    branches: tuple[Branch, ...]
    cpu: CpuModel | None = None

    @property
    def name(self) -> str:
        """``single-step/mmio-write-step[width=4]``"""
        vmm = f"/{self.vmm}" if len(self.scenario.vmms) > 1 else ""
        kernel = f"@{self.kernel}" if self.kernel else ""
        return f"{self.scenario.name}{self.combination.name}{kernel}{vmm}"

    @property
    def short_name(self) -> str:
        """:attr:`name` without folders."""
        folders = len(self.scenario.name) - len(self.scenario.name.rpartition("/")[2])
        return self.name[folders:]

    @property
    def file_name(self) -> str:
        """A name for its file, without suffix."""
        name = self.short_name
        return "".join(char if char.isalnum() or char in "._" else "-" for char in name).strip("-")

    @property
    def guest(self) -> Guest:
        return Guest(self.combination.case, self.combination.symbols, self.combination.lines)


def subjects(
    scenario: Scenario, kernels: Sequence[str], vmms: Sequence[str] = ()
) -> Iterator[Subject]:
    """The programs that the scenario makes: without ``kernels`` one for all of its clauses, else
    one for each of these releases. Each for every combination, and for each of its VMMs or those
    of them in ``vmms``.

    Raises :class:`Unexportable` where a clause cannot be chosen by what a kernel says of itself.
    """
    host, cpu = ("", None) if kernels else _host_of(scenario.audience.hosts)
    whole = scenario.kernels
    condition = _condition(whole) if whole is not None and not kernels else ""
    for combination in scenario.combinations:
        for vmm in scenario.vmms:
            if vmms and vmm not in vmms:
                continue
            for kernel in kernels or ("",):
                branches = tuple(
                    _of_one(scenario, combination, vmm, kernel)
                    if kernel
                    else _of_all(scenario, combination, vmm, host)
                )
                if len(branches) == 1:
                    branches = (replace(branches[0], name=""),)
                if branches:
                    yield Subject(scenario, combination, vmm, kernel, condition, branches, cpu)


def _host_of(hosts: Sequence[str] | None) -> tuple[str, CpuModel | None]:
    """The host that a program is for where no release is chosen, and the CPU that it looks for: a
    CPU is known by its MIDR_EL1, and nothing tells a program how its kernel was booted."""
    if hosts is None:
        return "", None
    host = "" if "" in hosts else hosts[0]
    if modes_of(host) or (host and len(hosts) > 1):
        raise Unexportable(f"a host that no kernel says that it is on: --kernel 6.17+{host}")
    return host, None if any(map(modes_of, hosts)) else cpu_of(host)


def _of_one(
    scenario: Scenario, combination: Combination, vmm: str, kernel: str
) -> Iterator[Branch]:
    release = parse_release(kernel)
    if not scenario.audience.admits(release):
        return
    clauses = zip(scenario.audience.clauses, combination.clauses, strict=True)
    for number, (selector, found) in enumerate(clauses):
        if found is not None and selector.fits(release, vmm):
            clause = found.get(scenario.audience.fits(number, release, vmm))
            if clause is not None:
                yield Branch("", "", "", by_number(clause))
            return


def _of_all(scenario: Scenario, combination: Combination, vmm: str, host: str) -> Iterator[Branch]:
    taken: set[str] = set()
    for selector_kernels, clause in _clauses(scenario, combination, vmm, host):
        kernels = _plain(selector_kernels)
        if kernels is not None and not kernels.terms:
            continue  # for variants alone, which no kernel says of itself that it is
        condition = _condition(kernels) if kernels is not None else ""
        words = _words(kernels) if kernels is not None else ""
        name = _name(words, taken, len(taken))
        yield Branch(name, words, condition, by_number(clause))
        if not condition:
            break  # no kernel is left for those that follow


def _clauses(
    scenario: Scenario, combination: Combination, vmm: str, host: str
) -> Iterator[tuple[KernelRange | None, Clause]]:
    """Each clause with the kernels that it is for; one with conditions for each set of kernels for
    which the same of them hold."""
    audience = scenario.audience
    every = {kernel for kernel, _ in places_of(audience) if kernel.host == host}
    clauses = zip(audience.clauses, combination.clauses, strict=True)
    for number, (selector, found) in enumerate(clauses):
        if found is None or (selector.vmms is not None and vmm not in selector.vmms):
            continue
        if selector.hosts is not None and not any(is_so(host, one) for one in selector.hosts):
            continue
        if len(found) == 1 and not audience.conditions[number]:
            yield selector.kernels, next(iter(found.values()))
            continue
        fitting: dict[int, set[Release]] = {}
        for kernel in sorted(every):
            if selector.fits(kernel, vmm):
                fitting.setdefault(audience.fits(number, kernel, vmm), set()).add(kernel)
        apart = [(kernels, found[bits]) for bits, kernels in fitting.items() if bits in found]
        for kernels, clause in apart:
            # The host is no part of what a kernel says of itself.
            here, all_here = ({one.on("") for one in some} for some in (kernels, every))
            whole = selector.kernels if len(apart) == 1 else parse_range(ranges_of(here, all_here))
            yield whole, clause


def _plain(kernels: KernelRange | None) -> KernelRange | None:
    if kernels is None:
        return None
    return KernelRange(tuple(term for term in kernels.terms if not term.variant))


def _name(words: str, taken: set[str], number: int) -> str:
    name = identifier(words).strip("_") if words else "any_kernel"
    if name in taken or len(name) > _MOST_NAME:
        name = f"clause_{number}"
    taken.add(name)
    return name


def _condition(kernels: KernelRange) -> str:
    """The range in C."""
    terms = [" && ".join(_bound(*bound) for bound in term.bounds) for term in kernels.terms]
    several = len(terms) > 1
    return " || ".join(f"({term})" if several and "&&" in term else term for term in terms if term)


def _bound(relation: str, numbers: tuple[int, ...]) -> str:
    if len(numbers) > 3:
        release = Release(numbers)
        raise Unexportable(f"the release {release}: a kernel says no more of itself than 6.1.33")
    low, high = _release(numbers), _release((*numbers[:-1], numbers[-1] + 1))
    return {
        ">=": f"kernel >= {low}",
        "<": f"kernel < {low}",
        ">": f"kernel >= {high}",
        "<=": f"kernel < {high}",
        "==": f"kernel >= {low} && kernel < {high}",
    }[relation]


def _release(numbers: tuple[int, ...]) -> str:
    padded = (*numbers, 0, 0)[:3]
    return f"RELEASE({', '.join(map(str, padded))})"


_WORDS: Final = {">=": "from {}", "<": "before {}", ">": "after {}", "<=": "up to {}", "==": "{}"}


def _words(kernels: KernelRange) -> str:
    """``5.0 to 5.10 and from 5.13``"""
    return " and ".join(_term(term.bounds) for term in kernels.terms)


def _term(bounds: Sequence[tuple[str, tuple[int, ...]]]) -> str:
    named = [(relation, str(Release(numbers))) for relation, numbers in bounds]
    if [relation for relation, _ in named] == [">=", "<="]:
        return f"{named[0][1]} to {named[1][1]}"
    return ", ".join(_WORDS[relation].format(name) for relation, name in named)
