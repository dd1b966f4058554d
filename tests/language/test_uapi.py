"""What arm64's KVM offers a VMM: a scenario asks for it and it is right, or is told that it cannot.

The names are those of ``include/uapi/linux/kvm.h`` and ``arch/arm64/include/uapi/asm/kvm.h`` up to
7.2. What this machine has is what the schema says; all else is a fault of the file, with its place.
"""

from __future__ import annotations

import json
from errno import EINTR, EINVAL
from typing import Any

import pytest
from vcpu_scenario.language import loads
from vcpu_scenario.language.schema import choices, schema_text
from vcpu_scenario.machine.emulated.machine import create
from vcpu_scenario.running.execute import execute
from vcpu_scenario.source import InvalidScenario

GUEST = "title: t\nguest: {words: [0xb9400001], registers: {x0: 0x0a000000}}\n"
EXPECT = "expect: [{exits: [mmio: {read: 0x0a000000}]}]\n"
KERNELS = ("4.14", "5.10", "6.12", "7.2")

FEATURES = (
    *("power_off", "el1_32bit", "psci_0_2", "pmu_v3", "sve", "ptrauth_address"),
    *("ptrauth_generic", "has_el2", "has_el2_e2h0"),
)
"""KVM_ARM_VCPU_*, for KVM_ARM_VCPU_INIT."""
CAPABILITIES = (
    *("arm_nisv_to_user", "arm_mte", "arm_system_suspend", "arm_eager_split_chunk_size"),
    *("arm_writable_imp_id_regs", "arm_sea_to_user", "arm_inject_serror_esr", "arm_user_irq"),
    *("arm_vm_ipa_size", "manual_dirty_log_protect2", "dirty_log_ring", "dirty_log_ring_acq_rel"),
    *("dirty_log_ring_with_bitmap", "halt_poll", "exit_hypercall", "set_guest_debug2"),
    *("memory_fault_info", "guest_memfd", "pmu_capability", "counter_offset"),
)
"""KVM_CAP_*, for KVM_ENABLE_CAP; some can only be asked for."""
DEVICES = {
    "vgic-v2": "distributor: 0x08000000, cpu_interface: 0x08010000",
    "vgic-v3": "distributor: 0x08000000, redistributor: 0x080a0000",
    "vgic-its": "distributor: 0x08080000",
    "pv-time": "at: 0x08080000",
    "vfio": "at: 0x08080000",
}
"""KVM_DEV_TYPE_*, and what else is made with KVM_SET_DEVICE_ATTR."""
ATTRIBUTES = ("nr_irqs", "ctrl", "dist_regs", "redist_regs", "cpu_sysregs", "level_info",
              "its_regs", "redist_region", "maintenance_irq", "its")  # fmt: skip
"""KVM_DEV_ARM_VGIC_GRP_* but the addresses."""
KINDS = (
    "vm_type",
    "ipa_size",
    "ipa_bits",
    "protected",
    "dirty_log",
    "counter_offset",
    "smccc_filter",
)
"""What else a VMM says of a VM: the argument of KVM_CREATE_VM, and ioctls of it."""
STATES = ("runnable", "uninitialized", "init_received", "halted", "sipi_received", "stopped",
          "check_stop", "operating", "load", "ap_reset_hold", "suspended")  # fmt: skip
"""KVM_MP_STATE_*."""


def values(*path: str) -> set[str]:
    """The words that the schema allows at ``path``."""
    node: Any = json.loads(schema_text())
    defs = node["definitions"]
    for key in path:
        while "$ref" in node:
            node = defs[node["$ref"].rpartition("/")[2]]
        node = node[key]
    found: set[str] = set()

    def gather(part: Any) -> None:
        if isinstance(part, dict):
            if "$ref" in part:
                gather(defs[part["$ref"].rpartition("/")[2]])
            found.update(word for word in part.get("enum", ()) if isinstance(word, str))
            found.update(choices(part) if isinstance(part.get("pattern"), str) else ())
            found.update([part["const"]] if isinstance(part.get("const"), str) else [])
            for below in part.values():
                gather(below)
        elif isinstance(part, list):
            for below in part:
                gather(below)

    gather(node)
    return found


def refused(text: str, word: str) -> None:
    """Loading says what is wrong, where ``word`` stands."""
    with pytest.raises(InvalidScenario) as invalid:
        loads(text, "t.vcpu.yaml")
    line = next(n for n, row in enumerate(text.splitlines(), 1) if word in row)
    places = [(found.span.line, found.span.column) for found in invalid.value.diagnostics]
    assert (line, text.splitlines()[line - 1].index(word) + 1) in places


def held(text: str) -> None:
    """It is run, on each kernel: as expected, or refused as that kernel does, or a vCPU that does
    not run waits until somebody interrupts it or initialises its PMU, or it is not modelled."""
    for case in loads(text, "t.vcpu.yaml").cases(KERNELS):
        result = execute(case, create)
        trace = result.trace
        assert trace is not None, (case.id, result)
        waits = [exit_.errno for exit_ in trace.exits] in ([EINTR], [EINVAL])
        known = result.verdict in ("pass", "not-modelled")
        assert known or trace.errno or waits, (case.id, result)


def asked(word: str, allowed: set[str], text: str) -> None:
    if word in allowed:
        held(text)
    else:
        refused(text, word)


@pytest.mark.parametrize("word", FEATURES)
def test_a_feature_of_a_vcpu_is_had_or_refused(word: str) -> None:
    asked(word, values("properties", "features"), f"{GUEST}features: [{word}]\n{EXPECT}")


@pytest.mark.parametrize("word", CAPABILITIES)
def test_a_capability_is_had_or_refused(word: str) -> None:
    asked(word, values("properties", "capabilities"), f"{GUEST}capabilities: [{word}]\n{EXPECT}")


@pytest.mark.parametrize("word", DEVICES)
def test_a_device_of_the_kernel_is_had_or_refused(word: str) -> None:
    device = f"devices: {{d: {{handled_by: kernel, model: {word}, {DEVICES[word]}}}}}\n"
    asked(word, values("definitions", "device"), f"{GUEST}{device}{EXPECT}")


@pytest.mark.parametrize("word", ATTRIBUTES)
def test_an_attribute_of_a_vgic_cannot_be_said(word: str) -> None:
    device = f"{{handled_by: kernel, model: vgic-v3, {DEVICES['vgic-v3']}, {word}: 1}}"
    refused(f"{GUEST}devices: {{gic: {device}}}\n{EXPECT}", word)


@pytest.mark.parametrize("word", KINDS)
def test_another_kind_of_vm_cannot_be_said(word: str) -> None:
    refused(f"{GUEST}{word}: 1\n{EXPECT}", word)


@pytest.mark.parametrize("word", STATES)
def test_a_state_of_a_vcpu_is_had_or_refused(word: str) -> None:
    allowed = values("definitions", "action", "properties", "mp_state")
    text = f"{GUEST}before: [{{mp_state: {word}}}]\nlimits: {{instructions: 10000}}\n{EXPECT}"
    asked(word, allowed, text)


@pytest.mark.parametrize(
    "text",
    [
        "memory: [{at: 0x10000000000, size: 0x1000}]",
        "devices: {d: {at: 0x10000000000, handled_by: userspace}}",
        "devices: {d: {at: 0xfffffff000, size: 0x2000, handled_by: userspace}}",
    ],
)
def test_an_address_of_a_larger_vm_is_refused(text: str) -> None:
    """40 bits, the type 0 of KVM_CREATE_VM."""
    with pytest.raises(InvalidScenario):
        loads(f"{GUEST}{text}\n{EXPECT}", "t.vcpu.yaml")


def test_the_lists_have_all_that_the_schema_has() -> None:
    assert values("properties", "features") <= set(FEATURES)
    assert values("properties", "capabilities") <= set(CAPABILITIES)
    assert values("definitions", "action", "properties", "mp_state") <= set(STATES)
