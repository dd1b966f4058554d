"""Kernels come from Debian, checked by apt, and are kept whole or not at all."""

from __future__ import annotations

from pathlib import Path

import pytest
from vcpu_scenario.machine.real.errors import LabError, LabUnavailableError
from vcpu_scenario.machine.real.lab import kernels

from .conftest import Debian

NEW = "linux-image-6.12.107+deb13-cloud-arm64"
OLD = "linux-image-6.12.94+deb13-cloud-arm64"


def quiet(told: str) -> None:
    """Takes no notice of progress."""


def fetch(name: str, mirror: str | None = None, *, update: bool = False) -> kernels.Kernel:
    return kernels.fetch(name, mirror, update=update, progress=quiet)


def image(text: str, release: str = "6.12") -> dict[str, str]:
    return {f"boot/vmlinuz-{release}": text, f"boot/config-{release}": "CONFIG_KVM=y"}


@pytest.mark.slow
def test_the_newest_version_of_a_release_is_taken_and_kept(debian: Debian) -> None:
    debian.holds(OLD, "6.12.94-1", image("old"))
    debian.holds(NEW, "6.12.107-1", image("new"))
    kernel = fetch("6.12")
    assert kernel.image.read_text() == "new"
    assert (kernel.package, kernel.version) == (NEW, "6.12.107-1")
    assert kernels.path("6.12") == kernel


@pytest.mark.slow
def test_a_version_can_be_named_exactly(debian: Debian) -> None:
    debian.holds(OLD, "6.12.94-1", image("old"))
    debian.holds(NEW, "6.12.107-1", image("new"))
    assert fetch("6.12.94").image.read_text() == "old"


@pytest.mark.slow
def test_one_release_is_not_taken_for_another(debian: Debian) -> None:
    debian.holds("linux-image-6.1.0-50-cloud-arm64", "6.1.176-1", image("6.1"))
    debian.holds(NEW, "6.12.107-1", image("6.12"))
    assert fetch("6.1").image.read_text() == "6.1"
    with pytest.raises(LabError, match=r"no package of Linux 6\.1\.17 "):
        fetch("6.1.17")


@pytest.mark.slow
def test_packages_that_are_no_signed_cloud_kernel_are_let_be(debian: Debian) -> None:
    for name in (
        "linux-image-6.12.107+deb13-arm64",
        "linux-image-6.12.107+deb13-cloud-arm64-unsigned",
        "linux-binary-unsigned-6.12.107+deb13-cloud-arm64",
        "linux-image-6.12.107+deb13-cloud-arm64-dbg",
        "linux-image-cloud-arm64",
        "linux-headers-6.12.107+deb13-cloud-arm64",
    ):
        debian.holds(name, "6.12.107-1", image(name))
    with pytest.raises(LabUnavailableError, match=r"no package of Linux 6\.12 "):
        fetch("6.12")


@pytest.mark.slow
def test_a_release_candidate_is_no_release(debian: Debian) -> None:
    debian.holds("linux-image-7.4-rc3-cloud-arm64", "7.4~rc3-1~exp1", image("rc"))
    with pytest.raises(LabUnavailableError):
        fetch("7.4")


@pytest.mark.slow
def test_the_image_is_found_where_7_2_keeps_it(debian: Debian) -> None:
    name = "7.2.13+deb14-cloud-arm64"
    debian.holds(f"linux-image-{name}", "7.2.13-1", {"usr/share/doc/changelog": "none"})
    debian.holds(f"linux-binary-{name}", "7.2.13-1", {f"usr/lib/modules/{name}/vmlinuz": "7.2"})
    kernel = fetch("7.2")
    assert kernel.image.read_text() == "7.2"
    assert kernel.package == f"linux-binary-{name}"


@pytest.mark.slow
def test_a_package_that_the_mirror_lost_gives_way_to_the_one_before(debian: Debian) -> None:
    debian.holds(OLD, "6.12.94-1", image("old"))
    debian.holds(NEW, "6.12.107-1", image("new"), gone=True)
    assert fetch("6.12").image.read_text() == "old"


@pytest.mark.slow
def test_where_no_package_can_be_had_each_is_told(debian: Debian) -> None:
    debian.holds(OLD, "6.12.94-1", {"usr/share/doc/changelog": "none"})
    debian.holds(NEW, "6.12.107-1", image("new"), gone=True)
    with pytest.raises(LabUnavailableError) as told:
        fetch("6.12")
    assert "404  Not Found" in str(told.value)
    assert f"{OLD} 6.12.94-1 holds no kernel" in str(told.value)
    with pytest.raises(LabError):
        kernels.path("6.12")


@pytest.mark.slow
def test_what_apt_said_is_told_where_a_package_is_missed(debian: Debian) -> None:
    with pytest.raises(LabUnavailableError, match="Failed to fetch some suite"):
        fetch("6.12")


@pytest.mark.slow
def test_a_kept_kernel_asks_no_mirror(debian: Debian) -> None:
    debian.holds(NEW, "6.12.107-1", image("new"))
    fetch("6.12")
    before = len(debian.asked())
    fetch("6.12")
    assert len(debian.asked()) == before


@pytest.mark.slow
def test_an_update_takes_what_is_new(debian: Debian) -> None:
    debian.holds(OLD, "6.12.94-1", image("old"))
    fetch("6.12")
    debian.holds(NEW, "6.12.107-1", image("new"))
    assert fetch("6.12").image.read_text() == "old"
    assert fetch("6.12", update=True).image.read_text() == "new"


@pytest.mark.slow
def test_a_failed_update_keeps_what_was_there(debian: Debian) -> None:
    debian.holds(OLD, "6.12.94-1", image("old"))
    fetch("6.12")
    debian.packages.clear()
    debian.holds(NEW, "6.12.107-1", image("new"), gone=True)
    with pytest.raises(LabUnavailableError):
        fetch("6.12", update=True)
    assert kernels.path("6.12").image.read_text() == "old"


@pytest.mark.slow
def test_the_mirror_is_the_machines_own(debian: Debian) -> None:
    debian.holds(NEW, "6.12.107-1", image("new"))
    fetch("6.12")
    sources = debian.asked()[-1]["sources"]
    assert "http://mirror/debian trixie main" in sources
    assert "http://mirror/debian-security trixie-security main" in sources


@pytest.mark.slow
def test_the_mirror_can_be_given(debian: Debian) -> None:
    debian.sources()
    debian.holds(NEW, "6.12.107-1", image("new"))
    fetch("6.12", "http://other/debian")
    sources = debian.asked()[-1]["sources"]
    assert sources.count("http://other/debian") == 1
    assert "security" not in sources


def test_without_debian_among_the_sources_a_mirror_is_asked_for(debian: Debian) -> None:
    debian.sources("noble", "noble-security")
    with pytest.raises(LabUnavailableError, match="--mirror"):
        fetch("6.12")


def test_without_apt_own_files_are_asked_for(
    debian: Debian, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(LabUnavailableError, match="--kernel-image and --initrd"):
        fetch("6.12")


@pytest.mark.slow
def test_apt_works_apart_from_the_machines_own(debian: Debian, tmp_path: Path) -> None:
    debian.holds(NEW, "6.12.107-1", image("new"))
    fetch("6.12")
    told = debian.asked()[-1]["configuration"]
    apart = str(tmp_path / "cache")
    for name in (
        "State",
        "State::status",
        "State::lists",
        "Cache",
        "Etc::sourcelist",
        "Etc::parts",
    ):
        assert f'Dir::{name} "{apart}' in told
    assert 'APT::Architecture "arm64";' in told


@pytest.mark.slow
def test_apt_uses_the_machines_proxy_but_nothing_unsigned(debian: Debian) -> None:
    debian.holds(NEW, "6.12.107-1", image("new"))
    fetch("6.12")
    asked = debian.asked()[-1]
    assert 'Acquire::http::Proxy "http://proxy:3128";' in asked["configuration"]
    assert "AllowInsecureRepositories" not in asked["configuration"]
    assert asked["sources"].count("signed-by=") == asked["sources"].count("deb [")


@pytest.mark.parametrize("name", ["", "banana", "6", "6.12-rc1", "../../etc", "6.12/.."])
def test_what_is_no_release_is_refused(debian: Debian, name: str) -> None:
    with pytest.raises(LabError, match="no release of Linux"):
        fetch(name)


def test_a_kernel_that_was_not_fetched_says_how(debian: Debian) -> None:
    with pytest.raises(LabError, match=r"scenario lab fetch 6\.12"):
        kernels.path("6.12")


@pytest.mark.slow
def test_the_list_has_the_catalogue_and_what_is_kept(debian: Debian) -> None:
    debian.holds(OLD, "6.12.94-1", image("old"))
    fetch("6.12.94")
    listed = {entry.name: entry for entry in kernels.list_kernels()}
    assert list(listed) == ["5.10", "6.1", "6.12", "6.12.94", "6.16", "6.17", "7.2"]
    assert listed["6.12"].kept is None
    kept = listed["6.12.94"].kept
    assert kept is not None
    assert kept.version == "6.12.94-1"
    assert listed["6.16"].suites == ("trixie-backports",)
