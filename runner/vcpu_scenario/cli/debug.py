"""``scenario debug``: serves a scenario to a debugger, through a VMM's eyes."""

from __future__ import annotations

import os
import select
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from msgspec import Struct
from msgspec.structs import replace

from vcpu_scenario.cli.loading import count, scenarios_of
from vcpu_scenario.cli.output import cannot_write, complain
from vcpu_scenario.cli.status import Status
from vcpu_scenario.errors import UsageError
from vcpu_scenario.kernels.release import KNOWN_RELEASES
from vcpu_scenario.running.select import Selection
from vcpu_scenario.source import did_you_mean
from vcpu_scenario.vmm.vmms import VMMS

if TYPE_CHECKING:
    from vcpu_scenario.debugger.checkpoints import Checkpoints
    from vcpu_scenario.debugger.stub import Stub
    from vcpu_scenario.language import Scenario, ScenarioCase

_DEBUGGERS: Final = ("gdb-multiarch", "aarch64-linux-gnu-gdb", "gdb")
_PORT: Final = 1234


class Where(Struct, frozen=True):
    """Where the debugger comes from; ``gdb`` starts one."""

    port: int | None = None
    path: str | None = None
    stdio: bool = False
    gdb: bool = False

    def __post_init__(self) -> None:
        if sum((self.port is not None, self.path is not None, self.stdio, self.gdb)) > 1:
            raise UsageError("give one of --port, --socket, --stdio and --gdb")


def debug(
    file: str,
    kernel: str | None,
    vmm: str,
    where: Where,
    *,
    hosts: tuple[str, ...] = (),
    strict: bool,
    elf: str | None,
) -> Status:
    """Serves the case until a debugger ends it."""
    check_vmm(vmm)
    path, _, name = file.partition("::")
    scenarios = scenarios_of([path])
    case = _case(scenarios, name, kernel, hosts)
    if case is None:
        return Status.NOTHING_SELECTED
    case = replace(case, vmm=vmm, id=f"{case.id.rpartition('/')[0]}/{vmm}")
    _say_what_is_left(case)
    if elf is not None:
        _write_elf(elf, case)
    stub, kept = _stub(case, vmm, strict=strict)
    try:
        return _serve(case, stub, kept, where)
    finally:
        stub.target.session.close()


def check_vmm(vmm: str) -> None:
    """Raises :class:`UsageError` for one that a debugger cannot be shown."""
    if vmm not in VMMS:
        guess = did_you_mean(vmm, VMMS)
        known = ", ".join(VMMS)
        raise UsageError(
            f"--vmm: no VMM is called `{vmm}`; there are {known}{f'; {guess}' if guess else ''}"
        )


def _case(
    scenarios: Sequence[Scenario], name: str, kernel: str | None, hosts: tuple[str, ...]
) -> ScenarioCase | None:
    """The one that was named, on the newest kernel where none is."""
    if len(scenarios) != 1:
        complain(f"name one scenario to debug, not {count(len(scenarios), 'scenario')}")
        return None
    named = Selection(
        (kernel,) if kernel else (KNOWN_RELEASES[-1],), hosts=hosts, complain=complain
    )
    cases = named.cases(scenarios)
    if not cases and not kernel:
        cases = Selection(hosts=hosts, complain=complain).cases(scenarios)[-1:]
    if not cases:
        complain(f"the scenario is not for {kernel}")
        return None
    fitting = [case for case in cases if name in case.id.partition("@")[0]]
    if name and not fitting:
        known = sorted({case.id.partition("@")[0].partition("[")[2].rstrip("]") for case in cases})
        complain(
            f"no case is called `{name}`; there are {', '.join(filter(None, known)) or 'none'}"
        )
        return None
    return fitting[0]


def _say_what_is_left(case: ScenarioCase) -> None:
    actions = len(case.case.all_actions()) - len(case.case.before)
    if actions:
        complain(f"{count(actions, 'action')} of `then:` and `on:` are left to the debugger")


def _write_elf(path: str, case: ScenarioCase) -> None:
    from vcpu_scenario.host.writing import write_whole

    try:
        write_whole(path, _elf(case))
    except OSError as error:
        raise cannot_write(path, error) from None


def _elf(case: ScenarioCase) -> bytes:
    from vcpu_scenario.debugger.elf import elf_of

    return elf_of(case.case, case.symbols, case.lines)


def _stub(case: ScenarioCase, vmm: str, *, strict: bool) -> tuple[Stub, Checkpoints]:
    from vcpu_scenario.debugger.checkpoints import Checkpoints
    from vcpu_scenario.debugger.dialect import OURS, STRICT
    from vcpu_scenario.debugger.handlers import HANDLERS
    from vcpu_scenario.debugger.history import History
    from vcpu_scenario.debugger.monitor import Monitor
    from vcpu_scenario.debugger.stub import Stub
    from vcpu_scenario.machine.emulated.machine import create
    from vcpu_scenario.machine.errors import KvmError, NotModelled, Unsupported
    from vcpu_scenario.vmm.session import Session

    try:
        history = History(lambda: Session(create(case.kernel), case.case, vmm))
    except KvmError as refusal:
        raise UsageError(f"the kernel refuses the set-up: {refusal.what}") from None
    except (NotModelled, Unsupported) as limit:
        raise UsageError(str(limit)) from None
    dialect = STRICT[vmm] if strict else OURS
    stub = Stub(history, dialect, HANDLERS, Monitor(history, case))
    return stub, Checkpoints(stub, history)


def _serve(case: ScenarioCase, stub: Stub, kept: Checkpoints, where: Where) -> Status:
    from vcpu_scenario.debugger.server import CannotListen, listening, serve, talk
    from vcpu_scenario.debugger.wire import StandardWire

    if where.stdio:
        kept.serve(lambda: talk(stub, StandardWire(), keep=kept.keep))
        return Status.OK
    if where.gdb:
        return _with_gdb(case, stub, kept)
    try:
        port = _PORT if where.port is None else where.port
        with listening(port, where.path) as listener:
            at = where.path or ":".join(map(str, listener.getsockname()))
            complain(f"{case.id}: a debugger may come to {at}")
            kept.serve(lambda: serve(stub, listener, kept.has_first, kept.keep))
    except CannotListen as error:
        raise UsageError(str(error)) from None
    return Status.OK


def _with_gdb(case: ScenarioCase, stub: Stub, kept: Checkpoints) -> Status:
    import tempfile

    from vcpu_scenario.debugger.server import listening, serve

    program = _debugger()
    with tempfile.TemporaryDirectory(prefix="scenario-debug-") as folder:
        elf = Path(folder, "guest.elf")
        elf.write_bytes(_elf(case))
        path = str(Path(folder, "socket"))
        with listening(path=path) as listener, _interrupts_are_the_debuggers():
            # A ^C goes to both processes: the debugger makes of it what it is.
            command = [program, "-q", "-ex", f"target remote {path}", str(elf)]
            with subprocess.Popen(command) as child:
                runs = _running(child)
                kept.serve(
                    lambda: serve(stub, listener, lambda: kept.has_first() and runs(), kept.keep)
                )
    return Status.OK


def _running(child: subprocess.Popen[bytes]) -> Callable[[], bool]:
    """Whether it runs; a fork of this process, whose child it is not, can ask as well."""
    try:
        over = os.pidfd_open(child.pid)
    except OSError:  # a kernel before 5.3, or a sandbox
        return lambda: child.poll() is None
    return lambda: not select.select([over], [], [], 0)[0]


@contextmanager
def _interrupts_are_the_debuggers() -> Iterator[None]:
    # Caught and not ignored: what is ignored here is ignored in the child as well.
    before = signal.signal(signal.SIGINT, lambda *_: None)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _debugger() -> str:
    """``$GDB``, or the first that is installed and may know AArch64."""
    named = os.environ.get("GDB")
    for name in (named,) if named else _DEBUGGERS:
        if found := shutil.which(name):
            return found
    what = f"$GDB names `{named}`, which is not installed" if named else "no gdb is installed"
    raise UsageError(f"{what}; install gdb-multiarch, or set GDB to one that knows AArch64")
