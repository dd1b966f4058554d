"""What is common to commands: the flags that every one takes, and the host that many run on."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from vcpu_scenario.errors import UsageError


class Common(Struct):
    """Flags of the whole program, set while the command line is read."""

    debug: bool = False
    colour: str = "auto"


COMMON = Common()


def hosts_asked(cpu: str | None, named: Sequence[str] | None) -> tuple[str, ...]:
    """The hosts that ``--cpu`` and ``--host`` ask for, by name
    (:mod:`vcpu_scenario.kernels.hosts`); none where neither does. Raises :class:`UsageError`."""
    found = [_host("--host", [word]) for word in named or ()]
    if cpu is None:
        return tuple(dict.fromkeys(found))
    from vcpu_scenario.arm64.cpumodels import CPUS
    from vcpu_scenario.source import did_you_mean

    if cpu not in CPUS:
        near = did_you_mean(cpu, CPUS)
        there = "; ".join(filter(None, [f"there are {', '.join(CPUS)}", near]))
        raise UsageError(f"--cpu: no CPU is called `{cpu}`; {there}")
    each = [_host("--cpu", [cpu, *filter(None, [host])]) for host in found or [""]]
    return tuple(dict.fromkeys(each))


def _host(option: str, words: Sequence[str]) -> str:
    from vcpu_scenario.kernels import hosts
    from vcpu_scenario.source import did_you_mean

    try:
        return hosts.host(words)
    except hosts.UnknownHost as error:
        near = did_you_mean(error.word, hosts.WORDS)
        there = near or f"expected {error.expected}"
        raise UsageError(f"{option}: {error}; {there}") from None
