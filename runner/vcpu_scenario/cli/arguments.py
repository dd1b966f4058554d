"""The arguments and options that more than one command takes, and those that go together."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Any

import typer

from vcpu_scenario.cli import complete
from vcpu_scenario.cli.options import hosts_asked
from vcpu_scenario.cli.output import complain
from vcpu_scenario.running.select import Selection


class Format(StrEnum):
    """Forms of output."""

    text = "text"
    json = "json"


class ReportFormat(StrEnum):
    """Forms of the report on a run."""

    text = "text"
    json = "json"
    junit = "junit"
    ktap = "ktap"
    github = "github"
    html = "html"


Paths = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="PATH...",
        help="Scenarios, or folders of them. Default: this folder.",
        autocompletion=complete.paths,
    ),
]
RequiredPaths = Annotated[
    list[str],
    typer.Argument(
        metavar="PATH...", help="Scenarios, or folders of them.", autocompletion=complete.paths
    ),
]
OneScenario = Annotated[
    str, typer.Argument(metavar="PATH", help="A scenario.", autocompletion=complete.paths)
]


def kernel_option(what: str) -> Any:
    """``--kernel``, any number of times; ``what`` is its help."""
    return typer.Option(
        "--kernel", metavar="K", help=what, autocompletion=complete.kernels, show_default=False
    )


def vmm_option(what: str) -> Any:
    """``--vmm``, any number of times; ``what`` is its help."""
    return typer.Option(
        "--vmm", metavar="V", help=what, autocompletion=complete.vmms, show_default=False
    )


def machine_option(what: str = "") -> Any:
    """``--machine`` with the emulated one as default; ``what`` is said of it besides."""
    return typer.Option(
        "--machine",
        metavar="M",
        help="emulated (the default), kvm of an arm64 host, or lab:6.12, that kernel under QEMU."
        + what,
        show_default=False,
        autocompletion=complete.machines,
    )


Kernels = Annotated[
    list[str] | None,
    kernel_option(
        "Run on this release, or on the known ones in a range such as '>=6.1'. Repeatable."
        " Default: every kernel for which a scenario states an expectation."
    ),
]
OnlyKernels = Annotated[
    list[str] | None,
    kernel_option(
        "Only these releases, or the known ones in a range such as '>=6.1'. Repeatable."
        " Default: every kernel that the scenario is for."
    ),
]
Vmms = Annotated[
    list[str] | None,
    vmm_option("Run with this VMM personality. Repeatable. Default: all."),
]
Keyword = Annotated[
    str,
    typer.Option(
        "-k",
        metavar="EXPR",
        help="Select cases by words of their ids, with 'and', 'or', 'not' and parentheses.",
    ),
]
Tags = Annotated[
    list[str] | None,
    typer.Option(
        "--tag",
        metavar="T",
        help="Select scenarios with this tag. Repeatable: any of them.",
        autocompletion=complete.tags,
    ),
]
FormatOption = Annotated[
    Format, typer.Option("--format", metavar="text|json", help="Format of the output.")
]
Output = Annotated[
    str | None,
    typer.Option("--output", metavar="FILE", help="Write the report to FILE. Default: stdout."),
]
Jobs = Annotated[
    int,
    typer.Option(
        "-j",
        "--jobs",
        metavar="N",
        min=0,
        help="Run in N processes, 1 by default. 0 runs in this process, for a debugger or"
        " profiler.",
        show_default=False,
    ),
]
CpuOption = Annotated[
    str | None,
    typer.Option(
        "--cpu",
        metavar="CPU",
        help="CPU of the host, emulated or of a lab: cortex-a57 (the default), cortex-a72 or"
        " cortex-a76.",
        autocompletion=complete.cpus,
    ),
]
HostOption = Annotated[
    list[str] | None,
    typer.Option(
        "--host",
        metavar="HOST",
        help="Run on this host: default, protected or gicv3-trapped. Repeatable. Default: all that"
        " a scenario names.",
        autocompletion=complete.hosts,
    ),
]


@dataclass(frozen=True, slots=True)
class Hosts:
    """The host to run on."""

    cpu: CpuOption = None
    host: HostOption = None

    def asked(self) -> tuple[str, ...]:
        """The hosts by name. Raises :class:`UsageError`."""
        return hosts_asked(self.cpu, self.host)


@dataclass(frozen=True, slots=True)
class Cases:
    """The cases of scenarios to take, which all are if nothing is said."""

    kernel: Kernels = None
    vmm: Vmms = None
    keyword: Keyword = ""
    tag: Tags = None
    cpu: CpuOption = None
    host: HostOption = None

    def selection(self) -> Selection:
        """Raises :class:`UsageError` for a host that there is not."""
        hosts = Hosts(self.cpu, self.host)
        return selection(self.kernel, self.vmm, self.keyword, self.tag, hosts)


def selection(
    kernel: list[str] | None,
    vmm: list[str] | None,
    keyword: str,
    tag: list[str] | None = None,
    hosts: Hosts = Hosts(),
) -> Selection:
    return Selection(
        tuple(kernel or ()),
        tuple(vmm or ()),
        keyword,
        tuple(tag or ()),
        hosts.asked(),
        complain=complain,
    )


@dataclass(frozen=True, slots=True)
class Reports:
    """The reports to write, and where to."""

    format_: Annotated[
        list[ReportFormat] | None,
        typer.Option(
            "--format",
            metavar="FORM",
            help="Format of the report: text (the default), json, junit, ktap, github or html."
            " Repeatable: each with its own --output.",
        ),
    ] = None
    output: Annotated[
        list[str] | None,
        typer.Option(
            "--output",
            metavar="FILE",
            help="Write the report to FILE; - is stdout, the default. The n-th --format goes to the"
            " n-th --output.",
        ),
    ] = None

    @property
    def forms(self) -> list[str]:
        return [form.value for form in self.format_ or []]

    @property
    def files(self) -> list[str]:
        return self.output or []
