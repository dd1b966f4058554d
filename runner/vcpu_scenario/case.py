"""A case: one run, compiled down to what a VMM and a machine need and nothing more.

Scenarios compile to cases, recorded jobs are read as cases, and a case travels as JSON into a
lab's guest, where only the standard library and records are at hand. Addresses are guest physical
addresses (IPAs), sizes are bytes, register names are those of :mod:`vcpu_scenario.kvm.registers`.
"""

from __future__ import annotations

from typing import Final, Literal, TypeAlias

from msgspec import Struct

from vcpu_scenario.ioctls import Ioctl
from vcpu_scenario.ioctls.doorbells import AddCoalescedZone
from vcpu_scenario.ioctls.vcpu import GuestDebug
from vcpu_scenario.ioctls.vm import CreateVcpu


class Memslot(Struct, frozen=True):
    """RAM of the guest; a write to a ``readonly`` slot is an MMIO write."""

    base: int
    size: int
    readonly: bool = False


class Load(Struct, frozen=True):
    """Bytes that are in guest memory before the first ``KVM_RUN``; ``virtual`` is where the guest
    runs them once it has switched its own translation on, if that is elsewhere."""

    addr: int
    data: bytes
    virtual: int | None = None
    zeros: int = 0
    """How many bytes behind them are its own too: zeros, as memory has them."""

    @property
    def end(self) -> int:
        return self.addr + len(self.data) + self.zeros


class Gic(Struct, frozen=True):
    """An in-kernel interrupt controller: ``redist`` for version 3, ``cpu`` for version 2."""

    version: Literal[2, 3]
    dist: int
    redist: int = 0
    cpu: int = 0


class Ioeventfd(Struct, frozen=True):
    """``KVM_IOEVENTFD``: ``len`` 0 takes any width, ``match`` None any value."""

    addr: int
    len: int
    match: int | None = None


class CoalescedZone(Struct, frozen=True):
    """``KVM_REGISTER_COALESCED_MMIO``."""

    addr: int
    size: int


class SetRegister(Struct, frozen=True):
    reg: str
    value: int


class WriteMemory(Struct, frozen=True):
    addr: int
    data: bytes


class ImmediateExit(Struct, frozen=True):
    """``run->immediate_exit`` is 1 for the next ``KVM_RUN`` alone."""


class SetMmioData(Struct, frozen=True):
    """Overwrites all 8 bytes of ``run->mmio.data``, little-endian."""

    value: int


class SetRunField(Struct, frozen=True):
    """Forges a field of ``struct kvm_run`` between two runs."""

    field: Literal["exit_reason", "mmio.is_write", "mmio.len"]
    value: int


class SkipInstruction(Struct, frozen=True):
    """Adds 4 to the guest's pc."""


class RunVcpu(Struct, frozen=True):
    """The next ``KVM_RUN`` is of this vCPU, and so is all that is done before it."""

    vcpu: int


class RunAgain(Struct, frozen=True):
    """Nothing but to call ``KVM_RUN`` again, where a VMM would end."""


class PendSignal(Struct, frozen=True):
    """A signal is pending when the next ``KVM_RUN`` starts, which lets it through."""


class Attempt(Struct, frozen=True):
    """An action that the kernel is expected to refuse, with ``errno``."""

    action: Action
    errno: int


class AddMemslot(Struct, frozen=True):
    slot: Memslot


class HostInterrupt(Struct, frozen=True):
    """A host interrupt arrives between two entries of the next ``KVM_RUN``, on the emulated machine
    alone. Up to 6.0 it makes a pending step start over (``Kernel.loses_steps``)."""


FOR_THE_NEXT_RUN: Final = (
    RunAgain,
    PendSignal,
    ImmediateExit,
    HostInterrupt,
    SetMmioData,
    SetRunField,
)
"""Actions that are nothing without a ``KVM_RUN`` behind them."""


Action: TypeAlias = (
    SetRegister
    | WriteMemory
    | ImmediateExit
    | SetMmioData
    | SetRunField
    | SkipInstruction
    | RunVcpu
    | RunAgain
    | PendSignal
    | Attempt
    | AddMemslot
    | HostInterrupt
    | Ioctl
)


class Device(Struct, frozen=True):
    """A device model that userspace runs.

    ``model`` names one of :mod:`vcpu_scenario.vmm.devices`; ``registers`` maps offsets to values of
    a register file, ``replies`` offsets to the values that successive reads get. ``typed`` has what
    a UART is to have sent with what is typed to it then, one after the other, and ``spi`` is the
    interrupt that it raises. Accesses to a ``console`` are answered without a trace of them, unless
    they are stepped.
    """

    name: str
    base: int
    size: int
    model: str = "registers"
    registers: tuple[tuple[int, int], ...] = ()
    replies: tuple[tuple[int, tuple[int, ...]], ...] = ()
    input: bytes = b""
    console: bool = False
    typed: tuple[tuple[bytes, bytes], ...] = ()
    spi: int | None = None


class FieldPattern(Struct, frozen=True):
    """A field of an exit by its name in traces, and its value in one of four forms: a number, of
    which ``mask`` leaves the bits that count, a text, its first bytes, or a list of words."""

    field: str
    number: int | None = None
    mask: int | None = None
    text: str | None = None
    data: bytes | None = None
    words: tuple[int, ...] | None = None


class ExitPattern(Struct, frozen=True):
    """What an exit has to be like; ``failing`` if ``KVM_RUN`` may have failed."""

    fields: tuple[FieldPattern, ...] = ()
    regs: tuple[tuple[str, int], ...] = ()
    failing: bool = False


class Reaction(Struct, frozen=True):
    """What the VMM does after an exit that fits: after the ``nth`` of them, from 1, or after each
    where that is 0."""

    pattern: ExitPattern
    actions: tuple[Action, ...]
    nth: int = 1


_SHORT: Final = 1_000_000_000


class Limits(Struct, frozen=True):
    """Where a run ends at the latest.

    ``exits`` counts exits of the vCPU; ``repeats`` ends after that many repeats of an exit that
    is the same in every field; ``instructions`` bounds the guest within one ``KVM_RUN`` on the
    emulated machine and ``seconds`` does so on real KVM: either way the run is interrupted and
    reports ``EINTR``, which ends the case unless ``stop_on_intr`` is off. A system event or an
    error ends it where there is nothing to do after it, and with ``stop_on_event`` in any case.
    """

    exits: int = 40
    instructions: int = 1_000_000
    seconds: float = 0.3
    repeats: int | None = None
    stop_on_intr: bool = True
    stop_on_event: bool = False
    act_at_last: bool = False
    """Whether the VMM acts after the last of ``exits`` as after any other, before the run ends."""

    @property
    def may_run_again(self) -> bool:
        """Whether the case is short enough to be run dozens of times, to look for causes."""
        return self.instructions <= _SHORT


class Case(Struct, frozen=True):
    """Everything that one run needs. See the module's notes on units."""

    slots: tuple[Memslot, ...]
    loads: tuple[Load, ...] = ()
    regs: tuple[tuple[str, int], ...] = ()
    caps: tuple[str, ...] = ()
    gic: Gic | None = None
    ioeventfds: tuple[Ioeventfd, ...] = ()
    coalesced: tuple[CoalescedZone, ...] = ()
    devices: tuple[Device, ...] = ()
    default_reply: int = 0x8877665544332211
    debug: GuestDebug | None = None
    setup: tuple[Action, ...] = ()
    """What is done to the VM and its first vCPU before any other ioctl of the set-up."""
    before: tuple[Action, ...] = ()
    on: tuple[tuple[int, tuple[Action, ...]], ...] = ()
    reactions: tuple[Reaction, ...] = ()
    """What is done at exits as they come, before what ``on`` has for the same exit."""
    observe: tuple[str, ...] = ("x0", "x1", "x2", "x3")
    peek: tuple[tuple[int, int], ...] = ()
    """(address, length) of memory to read at the end."""
    final_regs: tuple[str, ...] = ()
    """Registers to read at the end, beside those observed."""
    reads_irq_level: bool = False
    """Whether ``run->s.regs.device_irq_level`` is read at each exit."""
    lists_registers: bool = False
    """Whether ``KVM_GET_REG_LIST`` is read at the end."""
    skip_brk: Literal["without-actions", "always", "never"] = "without-actions"
    """When pc is moved past a BRK that exited: where the exit has no actions, always, never."""
    psci_0_2: bool = True
    features: tuple[str, ...] = ()
    """What KVM_ARM_VCPU_INIT asks for beside ``psci_0_2``, by the names of :mod:`kvm.features`."""
    vcpus: int = 1
    """All but the first are off until one that runs switches them on."""
    quantum: int | None = None
    """Instructions after which it is the next vCPU's turn; None where the VMM alone says whose it
    is. No real machine counts them."""
    missing: str = ""
    """What of it is not here, with what to do: then it cannot run."""
    vmm: str = "plain"
    """The VMM, one of :data:`vcpu_scenario.vmm.vmms.VMMS`."""
    limits: Limits = Limits()

    @property
    def several(self) -> bool:
        """Whether it has several vCPUs, from the beginning or created on the way."""
        return self.vcpus > 1 or any(isinstance(one, CreateVcpu) for one in self.all_actions())

    @property
    def console_accesses(self) -> int:
        """How many accesses to its consoles are answered without an exit: one for each thousand
        instructions of the limit, as a guest that polls its UART would run for ever."""
        return self.limits.instructions // 1000 if any(one.console for one in self.devices) else 0

    @property
    def fills_ring(self) -> bool:
        """Whether it has a coalesced zone, from the beginning or added on the way."""
        added = (isinstance(one, AddCoalescedZone) for one in self.all_actions())
        return bool(self.coalesced) or any(added)

    def all_actions(self) -> tuple[Action, ...]:
        """Every action there is, whenever it is done."""
        after = (*(actions for _, actions in self.on), *(one.actions for one in self.reactions))
        return (*self.setup, *self.before, *(action for actions in after for action in actions))
