"""Linux as a guest."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Literal

import fdt
import pytest
from msgspec.structs import replace
from vcpu_scenario.assembly.devicetree import Boot, device_tree
from vcpu_scenario.assembly.kernelimage import KernelImage, read_image
from vcpu_scenario.assembly.refusal import NotAGuest
from vcpu_scenario.case import Case, Device, Gic, Memslot
from vcpu_scenario.language import load
from vcpu_scenario.language.distribution import read_distributed
from vcpu_scenario.language.model import ScenarioCase
from vcpu_scenario.machine.emulated.machine import create
from vcpu_scenario.running.execute import execute
from vcpu_scenario.source import InvalidScenario
from vcpu_scenario.vmm.loop import run_case

from tests.linux.userspace import LINE, initrd

MIB = 1 << 20
HEADER = struct.pack("<8xQQQ24x4s4x", 0, 4 * MIB, 0xA, b"ARM\x64")
SCENARIO = """\
title: Linux boots
guest:
  linux: {{image: {image}, initrd: initrd, cmdline: "{cmdline}"}}
devices:
  gic: {{handled_by: kernel, model: vgic-v3, distributor: 0x08000000, redistributor: 0x080a0000}}
  uart: {{handled_by: userspace, model: pl011, at: 0x09000000, console: true}}
debug: {{hardware_breakpoints: [{breakpoints}]}}
kernels: ["5.10", "6.12"]
{vcpus}
expect:
{expect}
"""
ITS = """\
before:
  - create_device: {type: vgic_its}
  - set_its_attr: {group: addr, attr: its, value: 0x08080000}
  - set_its_attr: {group: ctrl, attr: init}
"""
PMU = """\
features: [psci_0_2, pmu_v3]
before:
  - set_vcpu_attr: {{group: pmu_v3, attr: irq, value: {irq}}}
  - set_vcpu_attr: {{group: pmu_v3, attr: init}}
"""
SHUTDOWN = "  - exits: [{system_event: {type: shutdown}}]"


def cases(
    folder: Path,
    image: str = "debian:6.12",
    expect: str = SHUTDOWN,
    breakpoints: str = "",
    cmdline: str = "console=ttyAMA0 nokaslr cryptomgr.notests",
    vcpus: str = "",
) -> list[ScenarioCase]:
    path = folder / "linux.vcpu.yaml"
    path.write_text(
        SCENARIO.format(
            image=image,
            expect=expect,
            breakpoints=breakpoints,
            cmdline=cmdline,
            vcpus=vcpus,
        )
    )
    (folder / "initrd").write_bytes(initrd())
    return list(load(path).cases())


def fetched(folder: Path, **parts: str) -> list[ScenarioCase]:
    found = cases(folder, **parts)
    if found[0].case.missing:
        pytest.skip(found[0].case.missing)
    return found


def made(folder: Path) -> Case:
    """A case whose kernel is a header alone."""
    (folder / "Image").write_bytes(HEADER + bytes(64))
    return cases(folder, "Image")[0].case


# -- what the boot protocol asks for ---------------------------------------------------------------


def test_an_image_says_where_it_goes_and_what_it_takes() -> None:
    assert read_image(HEADER) == KernelImage(0, 4 * MIB)


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "too short"),
        (bytes(64), "neither an arm64 Image nor code"),
        (b"\x7fELF".ljust(64, b"\0"), "neither an arm64 Image nor code"),
        (b"\x1f\x8b".ljust(64, b"\0"), "gzip"),
        (struct.pack("<8xQQQ24x4s4x", 0, 8, 0, b"ARM\x64"), "sizes that cannot be"),
        (struct.pack("<8xQQQ24x4s4x", 0, MIB, 1, b"ARM\x64"), "big-endian"),
    ],
)
def test_what_is_no_image_is_refused_in_words(data: bytes, why: str) -> None:
    with pytest.raises(NotAGuest, match=why):
        read_image(data)


def test_code_without_a_header_goes_where_vmms_load_it() -> None:
    code = struct.pack("<16I", *[0xD503_201F] * 16)
    assert read_image(code) == KernelImage(0x8_0000, len(code) + 2 * MIB)


def test_the_vcpu_starts_at_the_image_with_the_device_tree_in_x0(tmp_path: Path) -> None:
    case = made(tmp_path)
    registers = dict(case.regs)
    assert registers["pc"] == 0x4000_0000
    tree = next(load for load in case.loads if load.addr == registers["x0"])
    assert tree.data[:4] == b"\xd0\x0d\xfe\xed"
    assert registers["x0"] % (2 * MIB) == 0
    assert registers["x0"] >= 0x4000_0000 + 4 * MIB  # what the image takes beyond its file
    assert case.slots == (Memslot(0x4000_0000, 128 * MIB),)


def test_the_device_tree_tells_of_the_initrd(tmp_path: Path) -> None:
    case = made(tmp_path)
    tree = fdt.parse_dtb(next(ld.data for ld in case.loads if ld.data[:2] == b"\xd0\x0d"))
    start = tree.get_property("linux,initrd-start", "chosen").data[1]
    end = tree.get_property("linux,initrd-end", "chosen").data[1]
    assert next(load for load in case.loads if load.addr == start).data == initrd()
    assert end - start == len(initrd())


def test_the_device_tree_has_what_the_vm_has() -> None:
    blob = device_tree(
        Boot("quiet"),
        (Memslot(1 << 32, 2 * MIB), Memslot(0, 4096, readonly=True)),
        Gic(2, 0x800_0000, cpu=0x801_0000),
        (Device("uart", 0x900_0000, 0x1000, "pl011"), Device("other", 0xA00_0000, 0x1000)),
        psci=False,
    )
    tree = fdt.parse_dtb(blob)
    names = {node.name for node in tree.root.nodes}
    assert names == {
        "chosen", "memory@100000000", "cpus", "intc@8000000", "timer", "clock", "pl011@9000000",
        "aliases",
    }  # fmt: skip
    assert tree.get_property("reg", "memory@100000000").data == [1, 0, 0, 2 * MIB]
    assert tree.get_property("compatible", "intc@8000000").value == "arm,cortex-a15-gic"
    assert not tree.exist_property("enable-method", "cpus/cpu@0")


@pytest.mark.parametrize("version", [2, 3])
def test_the_device_tree_has_each_vcpu_and_its_part_of_the_gic(version: Literal[2, 3]) -> None:
    gic = Gic(version, 0x800_0000, redist=0x80A_0000, cpu=0x801_0000)
    tree = fdt.parse_dtb(device_tree(Boot(vcpus=2), (), gic, (), psci=True))
    assert [node.name for node in tree.get_node("cpus").nodes] == ["cpu@0", "cpu@1"]
    assert tree.get_property("reg", "cpus/cpu@1").value == 1
    assert tree.get_property("enable-method", "cpus/cpu@1").value == "psci"
    size = tree.get_property("reg", "intc@8000000").data[-1]
    assert size == (0x4_0000 if version == 3 else 0x2000)
    flags = tree.get_property("interrupts", "timer").data[2]
    assert flags >> 8 == (0 if version == 3 else 0b11)


def test_a_uart_that_does_not_say_which_interrupt_it_has_gets_one_that_is_free() -> None:
    spis = (None, 33, None)
    uarts = [Device(f"u{n}", 0x900_0000 + n * 0x1000, 0x1000, "pl011") for n in range(3)]
    given = [replace(uart, spi=spi) for uart, spi in zip(uarts, spis, strict=True)]
    gic = Gic(2, 0x800_0000, cpu=0x801_0000)
    tree = fdt.parse_dtb(device_tree(Boot(), (), gic, given, psci=True))
    found = [tree.get_property("interrupts", f"pl011@{uart.base:x}").data[1] for uart in uarts]
    assert found == [34 - 32, 33 - 32, 35 - 32]


def test_the_device_tree_has_an_its_where_the_vmm_puts_one(tmp_path: Path) -> None:
    made(tmp_path)
    path = tmp_path / "linux.vcpu.yaml"
    assert not fdt.parse_dtb(tree_of(path)).exist_node("intc@8000000/its@8080000")
    with path.open("a") as scenario:
        scenario.write(ITS)
    its = fdt.parse_dtb(tree_of(path)).get_node("intc@8000000/its@8080000")
    assert its.get_property("compatible").value == "arm,gic-v3-its"
    assert its.get_property("reg").data == [0, 0x808_0000, 0, 0x2_0000]


@pytest.mark.parametrize("irq", [23, 40])
def test_the_device_tree_has_a_pmu_where_its_interrupt_is_private(tmp_path: Path, irq: int) -> None:
    made(tmp_path)
    path = tmp_path / "linux.vcpu.yaml"
    assert not fdt.parse_dtb(tree_of(path)).exist_node("pmu")
    with path.open("a") as scenario:
        scenario.write(PMU.format(irq=irq))
    tree = fdt.parse_dtb(tree_of(path))
    assert tree.exist_node("pmu") == (irq == 23)
    if irq == 23:
        assert tree.get_property("compatible", "pmu").value == "arm,armv8-pmuv3"
        assert tree.get_property("interrupts", "pmu").data == [1, 7, 4]


def tree_of(path: Path) -> bytes:
    case = next(iter(load(path).cases())).case
    return next(load.data for load in case.loads if load.data[:2] == b"\xd0\x0d")


def test_a_kernel_that_was_not_fetched_is_skipped_with_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "empty"))
    read_distributed.cache_clear()
    result = execute(cases(tmp_path, breakpoints="gic_cpu_config")[0], create)
    assert result.verdict == "skip"
    assert "scenario lab fetch 6.12" in result.reason


@pytest.mark.parametrize(
    "name",
    ["debian:../../../kernel", "debian:6.12/../6.1", "debian:", "debian:6", "debian:6.12\\0"],
)
def test_the_kernel_of_a_distribution_has_a_release_for_a_name_and_no_path(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    kept = tmp_path / "kernel"
    kept.mkdir()
    (kept / "kernel.json").write_text('{"package": "p", "version": "1"}')
    (kept / "vmlinuz").write_bytes(HEADER + bytes(64))
    with pytest.raises(InvalidScenario, match="no release of Linux"):
        cases(tmp_path, f"'{name}'")


@pytest.mark.parametrize("cmdline", ["\\xfc", "a\\0b", "a\\nb", "x" * 2048])
def test_a_command_line_that_linux_does_not_take_is_an_error(cmdline: str, tmp_path: Path) -> None:
    (tmp_path / "Image").write_bytes(HEADER + bytes(64))
    with pytest.raises(InvalidScenario, match="no command line for Linux"):
        cases(tmp_path, "Image", cmdline=cmdline)


def test_without_a_command_line_the_device_tree_has_none(tmp_path: Path) -> None:
    (tmp_path / "Image").write_bytes(HEADER + bytes(64))
    found = cases(tmp_path, "Image", cmdline="")[0]
    blob = next(ld.data for ld in found.case.loads if ld.data[:2] == b"\xd0\x0d")
    assert not fdt.parse_dtb(blob).exist_property("bootargs", "chosen")


# -- Debian's kernel, where it is fetched ----------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize(
    ("guest", "host"),
    [
        ("6.12", "5.10"),
        ("5.10", "6.12"),
        ("6.1", "6.12"),
        ("6.12", "6.12"),
        ("6.17", "6.12"),
        ("7.2", "6.12"),
    ],
)
def test_debian_boots_to_a_userspace_that_prints_and_powers_off(
    guest: str, host: str, tmp_path: Path
) -> None:
    of_each = fetched(tmp_path, image=f"debian:{guest}")
    (found,) = [case for case in of_each if case.kernel == host]
    result = execute(found, create)
    assert result.verdict == "pass"
    assert result.trace is not None
    assert LINE.replace(b"\n", b"\r\n") in result.trace.output["uart"]


@pytest.mark.slow
def test_debian_is_typed_to_by_the_interrupt_of_its_uart(tmp_path: Path) -> None:
    case = fetched(tmp_path)[1].case
    uart = replace(case.devices[0], spi=33, typed=((LINE.strip(), b"typed\r"),))
    loads = tuple(
        replace(load, data=initrd(reading=True)) if load.data == initrd() else load
        for load in case.loads
    )
    trace = run_case(create("6.12"), replace(case, devices=(uart,), loads=loads))
    assert trace.exits[-1].exit == "SYSTEM_EVENT"
    assert b"typed\r\n" in trace.output["uart"].partition(LINE.strip())[2]


@pytest.mark.slow
def test_debian_brings_up_two_vcpus(tmp_path: Path) -> None:
    case = replace(fetched(tmp_path, vcpus="vcpus: 2")[1].case, quantum=50_000)
    trace = run_case(create("6.12"), case)
    assert trace.exits[-1].exit == "SYSTEM_EVENT"
    assert b"SMP: Total of 2 processors activated" in trace.output["uart"]
    assert LINE.replace(b"\n", b"\r\n") in trace.output["uart"]


@pytest.mark.slow
def test_a_second_boot_is_the_same_bit_for_bit(tmp_path: Path) -> None:
    # Without `console` each access of the UART is an exit of the trace.
    case = fetched(tmp_path)[0].case
    devices = tuple(replace(device, console=False) for device in case.devices)
    case = replace(case, devices=devices, limits=replace(case.limits, exits=100_000))
    first, second = (run_case(create("6.12"), case) for _ in range(2))
    assert first.exits[-1].exit == "SYSTEM_EVENT"
    assert first == second


@pytest.mark.slow
def test_a_step_over_a_store_to_the_gic_is_lost_on_old_kernels_alone(tmp_path: Path) -> None:
    expect = """\
  - exits:
      - debug:
          hardware_breakpoint: gic_cpu_config
          then: [debug: {hardware_breakpoints: [gic_cpu_config+0x44]}]
      - debug:
          hardware_breakpoint: gic_cpu_config+0x44
          then: [debug: {single_step: true}]
      - debug: {step: gic_cpu_config+0x48, kernels: "6.12"}
      - debug: {step: gic_cpu_config+0x4c}
"""
    found = fetched(
        tmp_path,
        expect=expect,
        breakpoints="gic_cpu_config",
        cmdline="earlycon=pl011,0x09000000 nokaslr",
    )
    assert [execute(case, create).verdict for case in found] == ["pass", "pass"]
