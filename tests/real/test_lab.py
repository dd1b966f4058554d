"""A lab answers for each case by itself, whatever its guest does."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import Any

import pytest
from msgspec.structs import replace
from vcpu_scenario.case import Case, Device, Limits, Load
from vcpu_scenario.machine.real.lab import (
    BootError,
    Lab,
    LabOptions,
    LabUnavailableError,
    Lost,
    Skipped,
    boot,
    run_cases,
)
from vcpu_scenario.machine.real.lab.guest import patience
from vcpu_scenario.machine.real.lab.qemu import seconds_in_line
from vcpu_scenario.running.targets import InLab
from vcpu_scenario.trace import Trace

from tests.interchange.cases import GICV2, PLAIN

ROOT = Path(__file__).parents[2]
PANICS, HANGS, SKIPS, FAILS, BABBLES, KILLED, ASSERTS, LACKS = range(101, 109)


def case(number: int, base: Case = PLAIN) -> Case:
    return replace(base, limits=Limits(exits=number, seconds=0))


@pytest.fixture
def options(tmp_path: Path) -> Callable[..., LabOptions]:
    qemu = tmp_path / "qemu"
    qemu.write_text(
        f"#!{sys.executable}\n"
        f"import sys\n"
        f"sys.path.insert(0, {str(ROOT)!r})\n"
        f"from tests.real.fake_qemu import main\n"
        f"main()\n"
    )
    qemu.chmod(0o755)
    initrd = tmp_path / "initrd"
    initrd.write_bytes(b"")

    def make(play: str = f"works:{tmp_path}/log", **more: Any) -> LabOptions:
        return LabOptions(
            qemu=str(qemu), kernel_image=Path("kernel"), initrd=initrd, extra=(play,), **more
        )

    return make


@pytest.fixture
def boots(tmp_path: Path) -> Callable[[], list[dict[str, Any]]]:
    log = tmp_path / "log"
    return lambda: [json.loads(line) for line in log.read_text().splitlines()]


def gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


Options = Callable[..., LabOptions]
Boots = Callable[[], list[dict[str, Any]]]


def test_one_boot_serves_all_cases_in_their_order(options: Options, boots: Boots) -> None:
    results = run_cases("6.12", [case(1), case(2), case(3)], options())
    assert [result.refused for result in results if isinstance(result, Trace)] == [
        "gic 3, 1",
        "gic 3, 2",
        "gic 3, 3",
    ]
    assert len(boots()) == 1


def test_nothing_is_booted_for_no_cases(options: Options, tmp_path: Path) -> None:
    assert run_cases("6.12", [], options()) == []
    assert not (tmp_path / "log").exists()


@pytest.mark.slow
def test_a_case_with_a_gicv2_runs_where_there_is_one(options: Options, boots: Boots) -> None:
    results = run_cases("6.12", [case(1), case(2, GICV2), case(3)], options())
    assert [result.refused for result in results if isinstance(result, Trace)] == [
        "gic 3, 1",
        "gic 2, 2",
        "gic 3, 3",
    ]
    assert [entry["gic"] for entry in boots()] == ["3", "2"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("word", "at", "count"), [(0xD51B9D03, 0, 3), (0xD53B9D03, 0, 1), (0xD51B9D03, 2, 1)]
)
def test_a_guest_that_sets_its_cycle_counter_has_a_boot_of_its_own(
    options: Options, boots: Boots, word: int, at: int, count: int
) -> None:
    load = Load(0x4000_0000, bytes(at) + word.to_bytes(4, "little"))
    sets = case(1, replace(PLAIN, loads=(load,), features=("pmu_v3",)))
    run_cases("6.12", [sets, case(2), sets], options())
    assert len(boots()) == count


@pytest.mark.slow
@pytest.mark.parametrize(
    ("special", "reason"), [(PANICS, "the guest ended"), (HANGS, "no answer within")]
)
def test_a_panic_or_a_hang_loses_only_its_own_case(
    options: Options, boots: Boots, special: int, reason: str
) -> None:
    chosen = options(case_seconds=3)
    first, lost, last = run_cases("6.12", [case(1), case(special), case(3)], chosen)
    assert isinstance(first, Trace)
    assert isinstance(last, Trace)
    assert isinstance(lost, Lost)
    assert reason in lost.reason
    assert "Booting Linux" in lost.console
    assert len(boots()) == 2
    assert all(gone(entry["pid"]) for entry in boots())


def test_a_lost_case_shows_the_panic(options: Options) -> None:
    (lost,) = run_cases("6.12", [case(PANICS)], options())
    assert isinstance(lost, Lost)
    assert lost.console.endswith("Kernel panic - not syncing: Oops")


def test_a_lost_case_shows_what_qemu_complains_of(options: Options) -> None:
    (lost,) = run_cases("6.12", [case(ASSERTS)], options())
    assert isinstance(lost, Lost)
    assert "Booting Linux" in lost.console
    assert lost.console.endswith("Assertion `bpr > 0' failed.")


def test_what_real_kvm_cannot_do_is_skipped_with_its_reason(options: Options) -> None:
    assert run_cases("6.12", [case(SKIPS)], options()) == [Skipped("not on real KVM")]
    lacks = Skipped("no such ioctl", Trace(refused="so far"))
    assert run_cases("6.12", [case(LACKS)], options()) == [lacks]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("special", "reason"),
    [
        (FAILS, "the VM failed: vcpu_scenario.machine.errors.KvmError: KVM_GET_ONE_REG: "),
        (BABBLES, "its answer cannot be read"),
        (KILLED, "the guest ended"),
    ],
)
def test_a_vm_that_dies_takes_one_case(
    options: Options, boots: Boots, special: int, reason: str
) -> None:
    """What it leaves behind in its kernel is nothing to the next: that has another one."""
    first, lost, last = run_cases("6.12", [case(1), case(special), case(3)], options())
    assert isinstance(first, Trace)
    assert isinstance(last, Trace)
    assert isinstance(lost, Lost)
    assert reason in lost.reason
    assert len(boots()) == 2
    assert all(gone(entry["pid"]) for entry in boots())


@pytest.mark.slow
def test_a_kernel_that_does_not_come_up_again_loses_cases_and_no_results(
    options: Options, tmp_path: Path
) -> None:
    chosen = options()
    with Lab("6.12", chosen) as lab:
        assert isinstance(lab.run(case(1)), Trace)
        assert isinstance(lab.run(case(PANICS)), Lost)
        qemu = Path(chosen.qemu)
        works = qemu.read_text()
        qemu.write_text(f"#!/bin/sh\necho started >> {tmp_path}/starts\necho no >&2; exit 1\n")
        for _ in range(6):
            lost = lab.run(case(1))
            assert isinstance(lost, Lost)
            assert "did not come up again" in lost.reason
        qemu.write_text(works)
    assert (tmp_path / "starts").read_text().count("started") == 3


@pytest.mark.slow
def test_a_guest_of_another_kind_that_does_not_come_up_loses_its_cases_alone(
    options: Options,
) -> None:
    """What the guests that came up have done is not lost with it."""
    chosen = options()
    gicv2 = case(2, GICV2)
    with Lab("6.12", chosen) as lab:
        assert isinstance(lab.run(case(1)), Trace)
        qemu = Path(chosen.qemu)
        works = qemu.read_text()
        qemu.write_text("#!/bin/sh\nexit 1\n")
        lost = lab.run(gicv2)
        assert isinstance(lost, Lost)
        assert "did not come up with a GICv2" in lost.reason
        qemu.write_text(works)
        assert isinstance(lab.run(gicv2), Trace)
        assert isinstance(lab.run(case(3)), Trace)


@pytest.mark.slow
def test_a_case_that_does_not_fit_is_skipped_and_the_guest_stays(
    options: Options, boots: Boots
) -> None:
    large = replace(case(1), loads=(Load(0x4000_0000, Random(0).randbytes(52 << 20)),))
    skipped, next_one = run_cases("6.12", [large, case(2)], options())
    assert isinstance(skipped, Skipped)
    assert "does not fit" in skipped.reason
    assert isinstance(next_one, Trace)
    assert len(boots()) == 1


def test_closing_ends_the_guest(options: Options, boots: Boots) -> None:
    with Lab("6.12", options()) as lab:
        lab.run(case(1))
        assert not gone(boots()[0]["pid"])
    assert gone(boots()[0]["pid"])


@pytest.mark.slow
def test_an_interrupted_case_ends_its_guest(
    options: Options, boots: Boots, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(line: str) -> Trace:
        raise KeyboardInterrupt

    with Lab("6.12", options()) as lab:
        lab.run(case(1))
        with monkeypatch.context() as patched:
            patched.setattr("vcpu_scenario.machine.real.lab.guest.load_trace", interrupt)
            with pytest.raises(KeyboardInterrupt):
                lab.run(case(2))
        assert gone(boots()[0]["pid"])
        assert isinstance(lab.run(case(3)), Trace)


def test_a_booted_lab_knows_its_release(options: Options) -> None:
    with boot("6.12", options()) as lab:
        assert lab.release() == "6.12.0-fake"


def test_the_options_reach_qemu(options: Options, boots: Boots) -> None:
    chosen = options(cpu="cortex-a76", memory=300, append="quiet", icount=5, nice=1)
    run_cases("6.12", [case(1)], chosen)
    arguments = boots()[0]["arguments"]
    given = dict(pairwise(arguments))
    assert given["-cpu"] == "cortex-a76"
    assert given["-m"] == "300"
    assert given["-icount"] == "shift=5"
    assert given["-kernel"] == "kernel"
    assert " quiet " in given["-append"]
    assert given["-M"] == "virt,virtualization=on,gic-version=3"


def test_a_lab_on_another_host_has_its_cpu_and_its_parameters(
    options: Options, boots: Boots
) -> None:
    with InLab("6.12+cortex-a76+protected", options(append="quiet")) as lab:
        assert lab.name == "lab:6.12+cortex-a76+protected"
        assert lab.kernel == "6.12+cortex-a76+protected"
        assert isinstance(lab.run(case(1), "6.12"), Trace)
    given = dict(pairwise(boots()[0]["arguments"]))
    assert given["-cpu"] == "cortex-a76"
    assert " quiet kvm-arm.mode=protected " in given["-append"]


def test_a_lab_on_a_host_keeps_the_cpu_that_it_was_told_of(options: Options, boots: Boots) -> None:
    with InLab("6.12+protected", options(cpu="cortex-a72")) as lab:
        lab.run(case(1), "6.12")
    assert dict(pairwise(boots()[0]["arguments"]))["-cpu"] == "cortex-a72"


def test_without_icount_the_hosts_clock_counts(options: Options, boots: Boots) -> None:
    run_cases("6.12", [case(1)], options(icount=None))
    assert "-icount" not in boots()[0]["arguments"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("play", "told"),
    [
        ("complains", "could not load kernel"),
        ("panics", "No working init found"),
        ("has_no_kvm", "no KVM to offer"),
    ],
)
def test_a_kernel_that_does_not_come_up_is_told(options: Options, play: str, told: str) -> None:
    with pytest.raises(BootError, match=told):
        boot("6.12", options(play))


@pytest.mark.slow
def test_a_kernel_that_prints_nothing_is_given_up(options: Options) -> None:
    with pytest.raises(BootError, match="no answer within 1 s; its console stayed empty"):
        boot("6.12", options("silent", boot_seconds=1))


def test_without_qemu_it_says_what_to_install(options: Options) -> None:
    chosen = replace(options(), qemu="no-such-qemu")
    with pytest.raises(LabUnavailableError, match="qemu-system-arm"):
        Lab("6.12", chosen)


@pytest.mark.slow
def test_the_time_a_case_may_take_grows_with_its_limits(options: Options) -> None:
    hanging = replace(case(HANGS), limits=Limits(exits=HANGS, seconds=0.005))
    (lost,) = run_cases("6.12", [hanging], options(case_seconds=0.5))
    assert isinstance(lost, Lost)
    assert lost.reason == "no answer within 3 s"


def test_the_time_a_case_may_take_grows_with_what_its_consoles_may_be_sent() -> None:
    console = Device("uart", 0x0900_0000, 0x1000, "pl011", console=True)
    limits = Limits(exits=1, instructions=99_000, seconds=0.5)
    quiet = replace(PLAIN, limits=limits)
    assert patience(quiet, LabOptions(case_seconds=10, icount=None)) == 10.5
    assert patience(replace(quiet, devices=(console,)), LabOptions(icount=None)) == 60 + 50


def test_a_guest_whose_clock_counts_instructions_has_longer_seconds() -> None:
    case = replace(PLAIN, limits=Limits(exits=1, seconds=1))
    assert patience(case, LabOptions(case_seconds=10, icount=3)) == 14


@pytest.mark.slow
def test_the_time_in_which_qemu_waits_for_a_processor_does_not_count() -> None:
    here = {min(os.sched_getaffinity(0))}
    spin = [sys.executable, "-c", f"import os; os.sched_setaffinity(0, {here})\nwhile True: pass"]
    with contextlib.ExitStack() as ended:
        for spinning in [subprocess.Popen(spin) for _ in range(3)]:
            ended.callback(spinning.wait)
            ended.callback(spinning.kill)
        began = time.monotonic()
        while seconds_in_line(spinning.pid) < 0.1 and time.monotonic() - began < 30:
            time.sleep(0.05)
        assert 0.1 <= seconds_in_line(spinning.pid) <= time.monotonic() - began + 1
    assert seconds_in_line(spinning.pid) == 0
