"""Packages with what guests are made of: fetched by their names, and read by scenarios."""

from __future__ import annotations

from pathlib import Path

import pytest
from vcpu_scenario.cli import main
from vcpu_scenario.language import load
from vcpu_scenario.machine.emulated.machine import create
from vcpu_scenario.machine.real.errors import LabError, LabUnavailableError
from vcpu_scenario.machine.real.lab import packages
from vcpu_scenario.running.execute import execute
from vcpu_scenario.source import InvalidScenario
from vcpu_scenario.verdict.result import Verdict

from .conftest import Debian

BRK = "\0\0\x20\x54"
"""BRK, but for a bit that no text has: B.EQ to where it is, which is taken."""
TEXT = """\
title: code of a package
guest: {binary: "debian:NAME"}
limits: {exits: 1}
expect: [{exits: [interrupted: {}]}]
"""


def written(folder: Path, name: str) -> Path:
    path = folder / "made.vcpu.yaml"
    path.write_text(TEXT.replace("NAME", name))
    return path


@pytest.mark.slow
def test_a_package_is_fetched_by_its_name_and_kept(
    debian: Debian, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    debian.holds("firmware-for-it", "1.9-2", {"usr/lib/it/fw.bin": "old"})
    debian.holds("firmware-for-it", "1.10-1", {"usr/lib/it/fw.bin": BRK})
    debian.holds("firmware-for-it-too", "2-1", {"usr/lib/it/fw.bin": "other"})
    assert main(["lab", "fetch", "firmware-for-it"]) == 0
    assert capsys.readouterr().out == "firmware-for-it 1.10-1\n"
    before = len(debian.asked())
    assert packages.fetch("firmware-for-it").version == "1.10-1"
    assert len(debian.asked()) == before
    case = next(iter(load(written(tmp_path, "firmware-for-it/usr/lib/it/fw.bin")).cases()))
    assert case.case.loads[0].data == BRK.encode()
    assert execute(case, create).verdict is Verdict.PASS


@pytest.mark.slow
def test_a_file_that_a_package_has_not_is_an_error_where_it_is_named(
    debian: Debian, tmp_path: Path
) -> None:
    debian.holds("firmware-for-it", "1-1", {"usr/lib/it/fw.bin": BRK})
    packages.fetch("firmware-for-it")
    with pytest.raises(LabError, match=r"firmware-for-it 1-1 has no file usr/lib/fw\.bin"):
        packages.read("firmware-for-it", "usr/lib/fw.bin", 100)
    with pytest.raises(LabError, match="more than 3 bytes"):
        packages.read("firmware-for-it", "usr/lib/it/fw.bin", 3)
    with pytest.raises(InvalidScenario, match=r"2:17.*has no file usr/lib/fw\.bin") as caught:
        load(written(tmp_path, "firmware-for-it/usr/lib/fw.bin"))
    assert "expected" not in str(caught.value)


@pytest.mark.slow
def test_a_package_that_no_suite_has_is_told(debian: Debian) -> None:
    with pytest.raises(LabUnavailableError, match="no package firmware-for-it in trixie"):
        packages.fetch("firmware-for-it")


@pytest.mark.parametrize("name", ["../kernels", "a", "UPPER", "a/b", ""])
def test_a_name_leads_nowhere_but_to_a_package(name: str) -> None:
    with pytest.raises(LabError, match="no name of a package"):
        packages.path(name)


def test_a_scenario_whose_file_was_never_fetched_is_skipped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    case = next(iter(load(written(tmp_path, "no-such-package/fw.bin")).cases()))
    result = execute(case, create)
    assert result.verdict is Verdict.SKIP
    assert result.reason == (
        "Debian's no-such-package is not here; get it with: scenario lab fetch no-such-package"
    )


@pytest.mark.parametrize("name", ["u-boot-qemu", "6.12.x", "", "../x"])
def test_what_names_no_file_of_a_distribution_is_a_fault(tmp_path: Path, name: str) -> None:
    with pytest.raises(InvalidScenario, match="no release of Linux, and no file of a package"):
        load(written(tmp_path, name))
