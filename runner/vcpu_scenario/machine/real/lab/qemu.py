"""One run of QEMU: an arm64 machine with EL2, a console to read and memory to talk over."""

from __future__ import annotations

import contextlib
import mmap
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final, Literal

from vcpu_scenario.machine.real.errors import LabUnavailableError
from vcpu_scenario.machine.real.lab.initramfs import COMMAND
from vcpu_scenario.machine.real.lab.options import LabOptions
from vcpu_scenario.machine.real.lab.process import bound_to_us
from vcpu_scenario.machine.real.mailbox import SIZE, Mailbox

GicVersion = Literal[2, 3]

_SHOWN: Final = 16 * 1024
"""Bytes from the end of the console that a message may show."""

_QUICK: Final = 0.0005
_SLOW: Final = 0.01
"""Seconds between two looks into the mailbox: at first, and after a long wait."""


class GuestGoneError(Exception):
    """QEMU ended or the time was up before the guest said what was waited for."""


class Qemu:
    """A guest from its power-on. :meth:`close` ends it at once: it has nothing to lose."""

    def __init__(self, image: Path, initrd: bytes, gic: GicVersion, options: LabOptions) -> None:
        self._resources = contextlib.ExitStack()
        with self._resources:
            self._console = self._memory("console")
            self._complaints = self._memory("complaints")
            shared = self._memory("mailbox")
            os.ftruncate(shared, SIZE)
            self._mailbox = Mailbox(mmap.mmap(shared, SIZE), host=True)
            archive = self._memory("initrd", initrd)
            command = [find_qemu(options.qemu), *_machine(gic, options)]
            command += [*_mailbox(shared), "-serial", f"file:{_path(self._console)}"]
            command += ["-kernel", str(image), "-initrd", _path(archive)]
            command += ["-append", _command_line(options), *options.extra]
            self._process = self._start(command, options.nice, (self._console, shared, archive))
            self._resources = self._resources.pop_all()

    def _memory(self, name: str, content: bytes = b"") -> int:
        """A file that is nowhere on disk, and gone with the last process that has it open."""
        fd = os.memfd_create(name)
        self._resources.callback(os.close, fd)
        with open(fd, "wb", closefd=False) as file:
            file.write(content)
        return fd

    def _start(
        self, command: list[str], nice: int, inherited: tuple[int, ...]
    ) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(
            bound_to_us(command, nice=nice),
            stdin=subprocess.DEVNULL,
            stdout=self._complaints,
            stderr=self._complaints,
            pass_fds=inherited,
            start_new_session=True,  # Ctrl-C is for whoever started us, not for QEMU
        )
        self._resources.callback(_end, process)
        return process

    @property
    def console(self) -> str:
        """The end of what the kernel printed, and what QEMU itself complains of."""
        return "\n".join(filter(None, map(_end_of, (self._console, self._complaints))))

    def send(self, word: str, text: str = "") -> None:
        """Raises ValueError where the message is too large."""
        self._mailbox.send(word, text)

    def hear(self, seconds: float) -> tuple[str, str]:
        """The guest's next (word, text), for which it has ``seconds`` of the host, but for those in
        which QEMU itself waits for a processor. Raises :class:`GuestGoneError`."""
        pid = self._process.pid
        in_line = seconds_in_line(pid)
        deadline = time.monotonic() + seconds
        pause = _QUICK
        while (message := self._mailbox.receive()) is None:
            if self._process.poll() is not None:
                raise GuestGoneError("the guest ended")
            late = time.monotonic() - deadline
            if late > 0 and late > seconds_in_line(pid) - in_line:
                raise GuestGoneError(f"no answer within {seconds:.0f} s")
            time.sleep(pause)
            pause = min(pause * 1.1, _SLOW)
        return message

    def close(self) -> None:
        self._resources.close()


def _machine(gic: GicVersion, options: LabOptions) -> Iterator[str]:
    yield from ("-M", f"virt,virtualization=on,gic-version={gic}")
    yield from ("-cpu", options.cpu, "-smp", "1", "-m", str(options.memory))
    yield from ("-nodefaults", "-display", "none", "-net", "none", "-no-reboot")
    if options.icount is not None:
        yield from ("-icount", f"shift={options.icount}")


def _mailbox(fd: int) -> Iterator[str]:
    memory = f"memory-backend-file,id=mailbox,share=on,mem-path={_path(fd)},size={SIZE}"
    yield from ("-object", memory, "-device", "ivshmem-plain,memdev=mailbox")


def _path(fd: int) -> str:
    return f"/proc/self/fd/{fd}"


def _command_line(options: LabOptions) -> str:
    # panic=-1 resets at once, and -no-reboot turns a reset into the end of QEMU.
    return " ".join(f"console=ttyAMA0 panic=-1 {options.append} {COMMAND}".split())


def _end_of(fd: int) -> str:
    size = os.fstat(fd).st_size
    shown = os.pread(fd, _SHOWN, max(0, size - _SHOWN))
    return shown.decode(errors="replace").replace("\r", "").strip()


def seconds_in_line(pid: int) -> float:
    """How long a process was ready to run and had no processor, 0 where the kernel does not say: of
    its threads, that which waited longest (``/proc/PID/task/TID/schedstat``, in ns)."""
    stats = Path(f"/proc/{pid}/task").glob("*/schedstat")
    with contextlib.suppress(OSError):  # it may end meanwhile
        return max((int(one.read_text().split()[1]) for one in stats), default=0) / 1e9
    return 0.0


def find_qemu(qemu: str) -> str:
    """Its full path. Raises :class:`LabUnavailableError` with what to install."""
    found = shutil.which(qemu)
    if found is None:
        raise LabUnavailableError(
            f"no {qemu} here; on Debian: apt-get install --no-install-recommends qemu-system-arm"
        )
    return found


def _end(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.wait()
