"""The set-up of a VM in C: one function for each step, in the order in which a case is set up."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from vcpu_scenario.case import (
    Action,
    AddMemslot,
    Attempt,
    Case,
    Gic,
    ImmediateExit,
    PendSignal,
    RunVcpu,
    WriteMemory,
)
from vcpu_scenario.export import actions, snapshots, vcpu
from vcpu_scenario.export.names import Names
from vcpu_scenario.export.refusal import Unexportable
from vcpu_scenario.export.text import function
from vcpu_scenario.export.vgic import OF_IRQFDS, is_of_vgic
from vcpu_scenario.ioctls.doorbells import AddIoeventfd
from vcpu_scenario.ioctls.memory import DiscardMemory, SetMemoryRegion
from vcpu_scenario.ioctls.vcpu import SetGuestDebug
from vcpu_scenario.ioctls.vm import CreateVcpu, has_new_vm
from vcpu_scenario.kvm.features import PMU_V3, POWER_OFF
from vcpu_scenario.vmm.debugger import stepping

_CAPS: Final = {
    "arm_nisv_to_user": "KVM_CAP_ARM_NISV_TO_USER",
    "arm_system_suspend": "KVM_CAP_ARM_SYSTEM_SUSPEND",
    "arm_writable_imp_id_regs": "KVM_CAP_ARM_WRITABLE_IMP_ID_REGS",
}
_MOST_DATA: Final = 1 << 16
_BESIDE_NO_TURNS: Final = (CreateVcpu, ImmediateExit, PendSignal)


def definitions(case: Case, names: Names, every: Iterable[Action]) -> list[str]:
    """The functions, and ``set_up`` that calls them; ``every`` are the actions of all courses.
    Raises :class:`Unexportable`."""
    asked = _asked(every)
    _refuse(case, asked)
    snapshots.refuse(case, asked)
    create_vcpu, init = "create_vcpu", "init_vcpu"
    debug = [] if case.debug is None else [SetGuestDebug(case.debug)]
    steps = [
        # Some capabilities can only be enabled before there is a vCPU, and some ioctls ask for one.
        (create_vcpu if case.setup else "", []),
        ("ask_first", actions.statements(case.setup, names)),
        ("add_memory", [actions.memslot(slot) for slot in case.slots]),
        ("load_guest", list(_loads(case, names))),
        ("enable_capabilities", list(_caps(case))),
        ("" if case.setup else create_vcpu, []),
        (init, []),
        ("add_vcpus", list(_vcpus(case, names))),
        ("add_vgic", list(_vgic(case.gic, asked)) if case.gic is not None else []),
        ("add_ioeventfds", list(_ioeventfds(case, names))),
        (
            "add_coalesced_zones",
            [
                f"add_coalesced_zone({names.address(zone.addr)}, {zone.size:#x});"
                for zone in case.coalesced
            ],
        ),
        ("set_registers", [vcpu.register(name, value, names) for name, value in case.regs]),
        ("set_debug", actions.statements(debug, names)),
        ("begin", actions.statements(case.before, names)),
    ]
    out: list[str] = []
    calls = {"create_vm": "create_vm();"}
    for name, body in steps:
        if name == "begin" and has_new_vm(asked):
            out += snapshots.new_vm(case, names, asked, calls)
        if name == create_vcpu:
            calls[name] = "create_vcpu();"
        elif name == init:
            if PMU_V3 in names.features:
                calls["need_pmu"] = "need_pmu();"
            calls[name] = f"init_vcpu({vcpu.features(names.features)});"
        elif body:
            out += [*function(f"static void {name}(void)", body), ""]
            calls[name] = f"{name}();"
    begin = ["catch_alarms();", *calls.values()]
    return [*out, *function("static void set_up(void)", begin), ""]


def _refuse(case: Case, asked: Iterable[Action]) -> None:
    if case.quantum is not None and any(isinstance(one, _BESIDE_NO_TURNS) for one in asked):
        raise Unexportable("quantum beside a vCPU that is created or a KVM_RUN that is interrupted")
    debugs = (one.debug for one in asked if isinstance(one, SetGuestDebug))
    stepped = any(map(stepping, filter(None, (case.debug, *debugs))))
    if stepped and any(device.console for device in case.devices):
        raise Unexportable("a console of a vCPU that is stepped")
    discarded = [one for one in asked if isinstance(one, DiscardMemory)]
    watched = {one.slot for one in discarded if one.userfaultfd}
    if any(not one.userfaultfd and one.slot in watched for one in discarded):
        raise Unexportable("memory that is discarded for good beside userfaults of it")
    if watched and any(isinstance(one, WriteMemory) for one in asked):
        raise Unexportable("userfaults beside what the VMM writes, which would be counted")


def _vcpus(case: Case, names: Names) -> Iterator[str]:
    """All but the first, which are off until the guest switches them on."""
    if case.vcpus < 2:
        return
    yield "int nr;"
    yield ""
    yield f"for (nr = 1; nr < {case.vcpus}; nr++) {{"
    yield "\tadd_vcpu(nr);"
    yield "\tturn_to(nr);"
    yield f"\tinit_vcpu({vcpu.features((*names.features, POWER_OFF))});"
    yield "}"
    yield "turn_to(0);"


def counts(case: Case, every: Iterable[Action]) -> list[str]:
    """Macros that the definitions of memory slots and eventfds need; ``every`` are all actions."""
    asked = _asked(every)
    slots = len(case.slots) + _added(asked, len(case.slots))
    lines = [f"#define NR_MEMSLOTS\t{slots}"]
    if doorbells := len(case.ioeventfds) + sum(isinstance(one, AddIoeventfd) for one in asked):
        lines.append(f"#define NR_IOEVENTFDS\t{doorbells}")
    if case.several or any(isinstance(one, RunVcpu) for one in asked):
        lines.append(f"#define NR_VCPUS\t{_highest_vcpu(case, every) + 1}")
    if gsis := {one.gsi for one in asked if isinstance(one, OF_IRQFDS)}:
        lines.append(f"#define NR_IRQFDS\t{len(gsis)}")
    return lines


def _asked(every: Iterable[Action]) -> list[Action]:
    """The actions, also those that are to be refused."""
    return [one.action if isinstance(one, Attempt) else one for one in every]


def _highest_vcpu(case: Case, every: Iterable[Action]) -> int:
    """The highest number of a vCPU that there is; one that is to be refused is none."""
    return max((case.vcpus - 1, *(one.vcpu for one in every if isinstance(one, CreateVcpu))))


def _added(asked: list[Action], first: int) -> int:
    """How many slots the actions make beside those of the set-up, numbered up to ``first``."""
    numbers = {one.slot for one in asked if isinstance(one, SetMemoryRegion) and one.slot >= first}
    in_turn = sum(isinstance(one, AddMemslot) for one in asked)
    if numbers and in_turn:
        raise Unexportable("add_memory beside memory_region of a new slot")
    return len(numbers) + in_turn


def _loads(case: Case, names: Names) -> Iterator[str]:
    for load in case.loads:
        if load is names.code:
            yield "write_guest(GUEST_CODE, guest_code, guest_end - guest_code);"
            continue
        data = load.data.rstrip(b"\0")
        if len(data) > _MOST_DATA:
            raise Unexportable(f"{len(data):,} bytes of data at {load.addr:#x}")
        if data:
            yield from actions.write_memory(load.addr, data, names)


def _caps(case: Case) -> Iterator[str]:
    for cap in case.caps:
        if cap == "manual_dirty_log_protect2":
            manual = "KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2"
            yield f"enable_cap_with({manual}, KVM_DIRTY_LOG_MANUAL_PROTECT_ENABLE,"
            yield f'\t"{manual}");'
            continue
        name = _CAPS.get(cap)
        if name is None:
            raise Unexportable(f"the capability {cap}")
        yield f'enable_cap({name}, "{name}");'


def _vgic(gic: Gic, asked: Iterable[Action]) -> Iterator[str]:
    places = (
        [("KVM_VGIC_V3_ADDR_TYPE_DIST", gic.dist), ("KVM_VGIC_V3_ADDR_TYPE_REDIST", gic.redist)]
        if gic.version == 3
        else [("KVM_VGIC_V2_ADDR_TYPE_DIST", gic.dist), ("KVM_VGIC_V2_ADDR_TYPE_CPU", gic.cpu)]
    )
    yield f"int vgic = create_vgic(KVM_DEV_TYPE_ARM_VGIC_V{gic.version});"
    yield ""
    if any(map(is_of_vgic, asked)):
        yield "vgic_fd = vgic;"
    for kind, addr in places:
        yield f"set_vgic_attr(vgic, KVM_DEV_ARM_VGIC_GRP_ADDR, {kind},"
        yield f"\t      &(uint64_t){{ {addr:#x} }});"
    yield "/* SGIs, PPIs and 32 SPIs: the fewest that there can be */"
    yield "set_vgic_attr(vgic, KVM_DEV_ARM_VGIC_GRP_NR_IRQS, 0, &(uint32_t){ 64 });"
    yield "set_vgic_attr(vgic, KVM_DEV_ARM_VGIC_GRP_CTRL, KVM_DEV_ARM_VGIC_CTRL_INIT, NULL);"


def _ioeventfds(case: Case, names: Names) -> Iterator[str]:
    for each in case.ioeventfds:
        yield f"add_ioeventfd({vcpu.doorbell(each.addr, each.len, each.match, names)});"
