"""The arguments and options that more than one command takes, and those that go together."""

from collections.abc import Callable
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer
from msgspec import Struct

from vcpu_scenario.cli import complete
from vcpu_scenario.cli.options import hosts_asked
from vcpu_scenario.cli.output import complain

if TYPE_CHECKING:
    from vcpu_scenario.running.select import Selection


def option(names: str, what: str, completion: Callable[..., Any] | None = None, **more: Any) -> Any:
    """``names`` has the option's forms, and behind them what stands for its value; ``what`` is its
    help."""
    *forms, last = names.split()
    if last.startswith("-"):
        return typer.Option(*forms, last, help=what, autocompletion=completion, **more)
    return typer.Option(*forms, metavar=last, help=what, autocompletion=completion, **more)


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
        help="Scenarios, or folders of them. Default: `paths` under [tool.vcpu-scenario] in "
        "pyproject.toml, or this folder.",
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
    return option("--kernel K", what, complete.kernels, show_default=False)


def vmm_option(what: str) -> Any:
    """``--vmm``, any number of times; ``what`` is its help."""
    return option("--vmm V", what, complete.vmms, show_default=False)


def machine_option(what: str = "") -> Any:
    """``--machine`` with the emulated one as default; ``what`` is said of it besides."""
    return option(
        "--machine M",
        "emulated (the default), kvm of an arm64 host, or lab:6.12, that kernel under QEMU." + what,
        complete.machines,
        show_default=False,
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
    list[str] | None, vmm_option("Run with this VMM personality. Repeatable. Default: all.")
]
Keyword = Annotated[
    str,
    option(
        "-k EXPR", "Select cases by words of their ids, with 'and', 'or', 'not' and parentheses."
    ),
]
Tags = Annotated[
    list[str] | None,
    option("--tag T", "Select scenarios with this tag. Repeatable: any of them.", complete.tags),
]
FormatOption = Annotated[Format, option("--format text|json", "Format of the output.")]
Output = Annotated[
    str | None, option("--output FILE", "Write the report to FILE. Default: stdout.")
]
Jobs = Annotated[
    int,
    option(
        "-j --jobs N",
        "Run in N processes, 1 by default. 0 runs in this process, for a debugger or profiler.",
        min=0,
        show_default=False,
    ),
]
CpuOption = Annotated[
    str | None,
    option(
        "--cpu CPU",
        "CPU of the host, emulated or of a lab: cortex-a57 (the default), cortex-a72 or"
        " cortex-a76.",
        complete.cpus,
    ),
]
HostOption = Annotated[
    list[str] | None,
    option(
        "--host HOST",
        "Run on this host: default, protected or gicv3-trapped. Repeatable. Default: all that"
        " a scenario names.",
        complete.hosts,
    ),
]


class Hosts(Struct, frozen=True):
    """The host to run on."""

    cpu: CpuOption = None
    host: HostOption = None

    def asked(self) -> tuple[str, ...]:
        """The hosts by name. Raises :class:`UsageError`."""
        return hosts_asked(self.cpu, self.host)


_ANY_HOST: Final = Hosts()


class Cases(Struct, frozen=True):
    """The cases of scenarios to take, which all are if nothing is said."""

    kernel: Kernels = None
    vmm: Vmms = None
    keyword: Keyword = ""
    tag: Tags = None
    cpu: CpuOption = None
    host: HostOption = None

    def selection(self) -> "Selection":
        """Raises :class:`UsageError` for a host that there is not."""
        hosts = Hosts(self.cpu, self.host)
        return selection(self.kernel, self.vmm, self.keyword, self.tag, hosts)


def selection(
    kernel: list[str] | None,
    vmm: list[str] | None,
    keyword: str,
    tag: list[str] | None = None,
    hosts: Hosts = _ANY_HOST,
) -> "Selection":
    from vcpu_scenario.running.select import Selection

    return Selection(
        tuple(kernel or ()),
        tuple(vmm or ()),
        keyword,
        tuple(tag or ()),
        hosts.asked(),
        complain=complain,
    )


class Reports(Struct, frozen=True):
    """The reports to write, and where to."""

    format_: Annotated[
        list[ReportFormat] | None,
        option(
            "--format FORM",
            "Format of the report: text (the default), json, junit, ktap, github or html."
            " Repeatable: each with its own --output.",
        ),
    ] = None
    output: Annotated[
        list[str] | None,
        option(
            "--output FILE",
            "Write the report to FILE; - is stdout, the default. The n-th --format goes to the"
            " n-th --output.",
        ),
    ] = None

    @property
    def forms(self) -> list[str]:
        return [form.value for form in self.format_ or []]

    @property
    def files(self) -> list[str]:
        return self.output or []
