"""A case that uses every field, and one of every action."""

from __future__ import annotations

from vcpu_scenario import case as c
from vcpu_scenario import ioctls as i

ACTIONS: tuple[c.Action, ...] = (
    c.SetGuestDebug(c.GuestDebug(3, (0x4000_0000,), (c.Watchpoint(0x4000_0100, 4, "rw"),))),
    c.SetRegister("x5", 2**64 - 1),
    c.WriteMemory(0x4000_0010, b"\x00\xff"),
    c.SetIrqLine(0x0100_0020, 1),
    c.ImmediateExit(),
    c.SetMmioData(0x8877_6655_4433_2211),
    c.SetRunField("mmio.is_write", 1),
    c.SkipInstruction(),
    c.SetVcpuEvents(serror=True, serror_esr=7),
    c.SetMpState(5),
    c.RunVcpu(1),
    c.AddMemslot(c.Memslot(0x5000_0000, 0x1000, readonly=True)),
    c.Attempt(c.SetRegister("x1", 1), 22),
    i.SetMemoryRegion(1, 0x5000_0000, 0x1000, readonly=True, log_dirty=True),
    i.SetHostMapping(1, "past_end"),
    i.GetDirtyLog(1, (0, 3)),
    i.ClearDirtyLog(1, 64, 64, (64,)),
    i.CreateVgic(3),
    i.SetVgicAttr(0, 2, 0x0800_0000),
    i.SetVgicAttr(4, 0),
    i.GetVgicAttr(0, 5, 0x10_0000_0804_0001, 1),
    i.HasVgicAttr(7, 32),
    i.Irqfd(8, resample=True),
    i.RemoveIrqfd(8),
    i.SignalIrqfd(8),
    i.ReadResamples(8, 2),
    i.RemoveIoeventfd(0x0A00_0000, 4, 0),
    i.RemoveCoalescedZone(0x0B00_0000, 0x100),
    i.EmptyRing(169),
    i.SetSmcccFilter(0x8600_1000, 1, 2),
    i.SetSmcccFilter(0x8600_1000, 1, 3, 0xFF),
    i.SetStealTime(0x5000_0040),
    i.TakeSnapshot("a"),
    i.RestoreSnapshot("a", "same_vm", (("midr_el1", 22),)),
    i.SetCounterOffset(0x1000, 1),
    i.CreateVm(44),
    i.CreateVcpu(1),
    i.CreateIrqchip(),
    i.EnableCap(177, 1, 2),
    c.InitVcpu(("psci_0_2", "power_off")),
    c.InitVcpu(None, 99, 1 << 32),
    c.RunAgain(),
    c.PendSignal(),
    c.Attempt(c.SetMpState(10), 22),
    c.HostInterrupt(),
)

FULL = c.Case(
    slots=(c.Memslot(0x4000_0000, 0x10000), c.Memslot(0x4800_0000, 0x1000, readonly=True)),
    loads=(c.Load(0x4000_0000, bytes(range(16))),),
    regs=(("pc", 0x4000_0000), ("x0", 0)),
    caps=("arm_nisv_to_user",),
    gic=c.Gic(3, 0x0800_0000, redist=0x080A_0000),
    ioeventfds=(c.Ioeventfd(0x0A00_0000, 0), c.Ioeventfd(0x0A00_0000, 4, 0)),
    coalesced=(c.CoalescedZone(0x0B00_0000, 0x100),),
    devices=(
        c.Device("uart", 0x0900_0000, 0x1000, "pl011", input=b"hi"),
        c.Device("disk", 0x0901_0000, 8, "scripted", ((0, 1),), ((4, (1, 2)),)),
    ),
    debug=c.GuestDebug(1),
    setup=(i.CreateVm(44),),
    before=ACTIONS,
    on=((0, ACTIONS), (3, ())),
    observe=("x1",),
    peek=((0x4000_0000, 8),),
    final_regs=("sp",),
    skip_brk="never",
    psci_0_2=False,
    features=("power_off",),
    limits=c.Limits(exits=7, seconds=0.05, repeats=3, stop_on_intr=False, stop_on_event=True),
)

GICV2 = c.Case(slots=(), gic=c.Gic(2, 0x0800_0000, cpu=0x0801_0000))
PLAIN = c.Case(slots=())
