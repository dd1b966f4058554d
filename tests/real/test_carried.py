"""The VMMs that a lab carries: made of Debian's packages, and told of by themselves."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from vcpu_scenario.case import Load
from vcpu_scenario.course import Recorded, Steps
from vcpu_scenario.machine.real.errors import LabError
from vcpu_scenario.machine.real.lab import Lab, cache, carried
from vcpu_scenario.vmm.carried.image import executable

from tests.debugger.guests import AT
from tests.vmm.test_carried import FITS, told

from .conftest import Debian
from .test_real_stops import emulated

PROGRAM = executable((Load(AT, b"code"),), AT).decode("latin1")


def made(vmm: str) -> Path:
    return carried.archive(vmm, progress=lambda _: None)


@pytest.mark.slow
def test_it_is_made_once_of_the_suites_that_have_it(debian: Debian) -> None:
    debian.sources("bookworm", "trixie")
    debian.holds("qemu-system-arm", "1:10.0+dfsg-1", {"usr/bin/qemu-system-aarch64": PROGRAM})
    debian.holds("libc6", "2.41", {"usr/lib/ld.so.1": "x"})
    archive = made("qemu")
    assert b"vmm/qemu/qemu-system-aarch64\0" in archive.read_bytes()
    assert b"ld.so.1" not in archive.read_bytes()
    downloads = [each["words"] for each in debian.asked() if "download" in each["words"]]
    assert downloads[0][-2:] == ["qemu-system-arm=1:10.0+dfsg-1", "libc6=2.41"]
    assert "trixie main" in debian.asked()[-1]["sources"]
    asked = len(debian.asked())
    assert made("qemu") == archive
    assert len(debian.asked()) == asked


@pytest.mark.slow
def test_packages_without_it_are_told(debian: Debian) -> None:
    debian.holds("qemu-system-arm", "7.2", {"usr/share/doc": "x"})
    with pytest.raises(LabError, match="has qemu-system-aarch64"):
        made("qemu-7.2")


def test_what_a_program_is_linked_with_is_found() -> None:
    program = Path(sys.executable).read_bytes()
    files = {"python": program}
    found = carried.needed("python", lambda name: files.get(name, PROGRAM.encode("latin1")))
    assert "libc.so.6" in found
    with pytest.raises(LabError, match="no ELF file"):
        carried.needed("text", lambda _: b"text")


@pytest.mark.slow
@pytest.mark.parametrize("vmm", carried.CARRIED)
def test_qemu_itself_tells_what_the_one_that_is_acted_does(lab: Lab, vmm: str) -> None:
    if not list((cache.root() / "vmm").glob(f"{vmm}-[0-9]*/vmm.cpio")):
        pytest.skip(f"NO LAB: {vmm} was not fetched; scenario lab fetch {vmm} does it")
    case = FITS
    recorded = lab.record(Steps(case, vmm))
    assert isinstance(recorded, Recorded), recorded
    assert recorded.version.startswith("7.2." if vmm == "qemu-7.2" else "10.")
    assert told(recorded.course) == told(emulated(lab, case, vmm))
