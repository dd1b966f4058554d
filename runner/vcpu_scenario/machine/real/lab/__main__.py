"""The lab from a shell: ``python -m vcpu_scenario.machine.real.lab``."""

from __future__ import annotations

import argparse
import dataclasses
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from vcpu_scenario.machine.real import wire
from vcpu_scenario.machine.real.lab import kernels
from vcpu_scenario.machine.real.lab.apt import announce
from vcpu_scenario.machine.real.lab.errors import LabError, LabUnavailableError
from vcpu_scenario.machine.real.lab.lab import Lab, Lost, Result, Skipped
from vcpu_scenario.machine.real.lab.options import LabOptions
from vcpu_scenario.recordings import jobs as oracle
from vcpu_scenario.recordings.conform import first_difference
from vcpu_scenario.trace import Trace

_INTERRUPTED: Final = 2
_FAILED: Final = 3
_USAGE: Final = 4
_UNAVAILABLE: Final = 5


def main(arguments: list[str] | None = None) -> int:
    """Exit status: 0 done, 1 differences or lost cases, 2 interrupted, 3 failed, 4 a file that
    cannot be read, 5 not to be had here."""
    parsed = _parser().parse_args(arguments)
    try:
        return int(parsed.do(parsed))
    except KeyboardInterrupt:
        return _INTERRUPTED
    except LabError as error:
        announce(f"lab: {error}")
        return _UNAVAILABLE if isinstance(error, LabUnavailableError) else _FAILED
    except (OSError, ValueError) as error:  # a file of cases or recordings
        announce(f"lab: {error}")
        return _USAGE


def _list(_: argparse.Namespace) -> int:
    for listed in kernels.list_kernels():
        kept = f"{listed.kept.package} {listed.kept.version}" if listed.kept else "not fetched"
        print(f"{listed.name:<9} {kept:<55} {', '.join(listed.suites)}")
    return 0


def _fetch(parsed: argparse.Namespace) -> int:
    for name in parsed.kernels:
        kernel = kernels.fetch(name, parsed.mirror, update=parsed.update, progress=announce)
        print(f"{name}: {kernel.package} {kernel.version}")
    return 0


def _path(parsed: argparse.Namespace) -> int:
    print(kernels.path(parsed.kernel).image)
    return 0


def _run(parsed: argparse.Namespace) -> int:
    """One line of JSON for each case, in order: a trace, or why there is none."""
    lost = 0
    with Lab(parsed.kernel, _options(parsed), announce) as lab:
        for result in lab.run_all(map(wire.load_case, _lines(parsed.cases))):
            if isinstance(result, Trace):
                print(wire.dump_trace(result), flush=True)
                continue
            lost += isinstance(result, Lost)
            print(f'{{"_":"{type(result).__name__}"}}', flush=True)
            announce(f"lab: {_why(result)}")
    return 1 if lost else 0


def _conform(parsed: argparse.Namespace) -> int:
    recorded_as = parsed.recorded_as or ".".join(parsed.kernel.split(".")[:2])
    ran = differing = 0
    with Lab(parsed.kernel, _options(parsed), announce) as lab:
        for path in parsed.recordings:
            for job in oracle.jobs(path):
                recorded = job.trace(recorded_as)
                if recorded is None:
                    continue
                ran += 1
                found = _difference(recorded, lab.run(job.case))
                differing += bool(found)
                if found:
                    print(f"{Path(path).name}: {job.name}: {found}", flush=True)
    print(f"{parsed.kernel}: {ran} jobs, {differing} differ from {recorded_as}")
    return 1 if differing or not ran else 0


def _difference(recorded: oracle.RecordedTrace, result: Result) -> str:
    if not isinstance(result, Trace):
        return _why(result)
    found = first_difference(recorded, result)
    if found is None:
        return ""
    return f"{found.at}: recorded {found.expected}, found {found.found}"


def _why(result: Skipped | Lost) -> str:
    if isinstance(result, Skipped):
        return f"skipped: {result.reason}"
    return f"lost: {result.reason}\n{result.console}"


def _lines(path: str) -> Iterator[str]:
    if path == "-":
        yield from sys.stdin
    else:
        with open(path) as file:
            yield from file


def _options(parsed: argparse.Namespace) -> LabOptions:
    names = {field.name for field in dataclasses.fields(LabOptions)}
    given = {name: value for name, value in vars(parsed).items() if name in names}
    if "extra" in given:
        given["extra"] = tuple(given["extra"])
    return dataclasses.replace(LabOptions(), **given)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="lab", description="Real KVM/arm64 under QEMU.")
    commands = parser.add_subparsers(required=True)

    listing = commands.add_parser("list", help="the kernels, and which of them are kept here")
    listing.set_defaults(do=_list)

    fetching = commands.add_parser("fetch", help="get kernels from a Debian mirror")
    fetching.add_argument("kernels", nargs="+", help="a release, 6.12, or a version, 6.12.107")
    fetching.add_argument("--mirror", help="a Debian mirror other than this machine's own")
    fetching.add_argument("--update", action="store_true", help="even if one is kept")
    fetching.set_defaults(do=_fetch)

    finding = commands.add_parser("path", help="where a fetched kernel's image is")
    finding.add_argument("kernel")
    finding.set_defaults(do=_path)

    running = commands.add_parser("run", help="run cases, a line of JSON each")
    running.add_argument("kernel")
    running.add_argument("cases", help="a file, or - for standard input")
    _add_options(running)
    running.set_defaults(do=_run)

    conforming = commands.add_parser("conform", help="compare with recorded traces")
    conforming.add_argument("kernel")
    conforming.add_argument("recordings", nargs="+", help="files of recorded jobs")
    conforming.add_argument("--as", dest="recorded_as", help="the kernel's name in the recordings")
    _add_options(conforming)
    conforming.set_defaults(do=_conform)
    return parser


def _add_options(parser: argparse.ArgumentParser) -> None:
    absent = argparse.SUPPRESS
    parser.add_argument("--cpu", default=absent, help="QEMU's -cpu")
    parser.add_argument("--qemu", default=absent, help="the QEMU to run")
    parser.add_argument("--mirror", default=absent, help="a Debian mirror")
    parser.add_argument("--append", default=absent, help="more for the kernel's command line")
    parser.add_argument("--kernel-image", type=Path, default=absent, help="a kernel of your own")
    parser.add_argument("--initrd", type=Path, default=absent, help="an initramfs with python3")
    parser.add_argument(
        "--qemu-arg",
        dest="extra",
        action="append",
        default=absent,
        help="one more argument for QEMU",
        metavar="ARG",
    )
    parser.add_argument("--boot-seconds", type=float, default=absent, help="how long to boot")
    parser.add_argument("--case-seconds", type=float, default=absent, help="how long for a case")
    parser.add_argument("--nice", type=int, default=absent, help="added to QEMU's niceness")


if __name__ == "__main__":
    sys.exit(main())
