"""What is left of a case that is shrunk is what matters of it."""

from __future__ import annotations

import struct

import pytest
from msgspec.structs import replace
from vcpu_scenario.analysis.compact import without_nops
from vcpu_scenario.analysis.generate import generate
from vcpu_scenario.analysis.generate import words as w
from vcpu_scenario.analysis.shrink import shrunk
from vcpu_scenario.case import Case, Load, Memslot, SetRegister, WriteMemory
from vcpu_scenario.ioctls.vcpu import GuestDebug, SetGuestDebug
from vcpu_scenario.language import loads
from vcpu_scenario.language.write import write

from tests.analysis.test_invariants import check, run

BASE = 0x4000_0000


def program(*words: int, **more: object) -> Case:
    data = struct.pack(f"<{len(words)}I", *words)
    return Case((Memslot(BASE, 1 << 20),), (Load(BASE, data),), (("pc", BASE),), **more)  # type: ignore[arg-type]


def words_of(case: Case) -> list[int]:
    data = case.loads[0].data
    return list(struct.unpack(f"<{len(data) // 4}I", data))


@pytest.mark.parametrize(
    "branch",
    [
        w.b,
        lambda offset: w.b(offset, link=True),
        lambda offset: w.b_cond(w.NE, offset),
        lambda offset: w.cbz(3, offset, not_zero=True),
        lambda offset: w.tbz(3, 40, offset),
        lambda offset: w.adr(3, offset),
        lambda offset: w.load_literal(3, offset),
    ],
    ids=["b", "bl", "b.cond", "cbnz", "tbz", "adr", "ldr"],
)
def test_what_leads_over_nops_still_leads_there(branch) -> None:  # type: ignore[no-untyped-def]
    brk = w.brk(1)
    ahead = program(branch(16), w.NOP, brk, w.NOP, brk, w.NOP)
    assert words_of(without_nops(ahead)) == [branch(8), brk, brk]
    back = program(brk, w.NOP, w.NOP, branch(-12), brk)
    assert words_of(without_nops(back)) == [brk, branch(-4), brk]
    onto = program(branch(8), brk, w.NOP, brk)
    assert words_of(without_nops(onto)) == [branch(8), brk, brk]
    beyond = program(w.NOP, branch(0x1000 - 4), brk)
    assert words_of(without_nops(beyond)) == [branch(0x1000), brk]


def test_what_speaks_of_an_address_goes_along() -> None:
    brk = w.brk(1)
    case = program(
        brk,
        w.NOP,
        brk,
        debug=GuestDebug(1, (BASE + 8, 0x1234)),
        before=(SetRegister("pc", BASE + 8), WriteMemory(BASE + 8, b"\0" * 4)),
        on=((0, (SetGuestDebug(GuestDebug(1, (BASE + 4,))),)),),
    )
    found = without_nops(case)
    assert found.debug == GuestDebug(1, (BASE + 4, 0x1234))
    assert found.before == (SetRegister("pc", BASE + 4), WriteMemory(BASE + 4, b"\0" * 4))
    assert found.on == ((0, (SetGuestDebug(GuestDebug(1, (BASE + 4,))),)),)


def test_without_nops_or_without_anything_else_nothing_changes() -> None:
    for case in (program(w.brk(1)), program(w.NOP, w.NOP)):
        assert without_nops(case) is case


def writes_to_the_device(case: Case, name: str) -> str:
    """Stands for an invariant that a store breaks."""
    trace = run(case, name)
    found = [exit_ for exit_ in trace.exits if exit_.exit == "MMIO" and exit_.fields["is_write"]]
    return f"{len(found)} writes" if found else ""


@pytest.mark.slow
def test_a_case_is_shrunk_to_what_breaks_the_invariant() -> None:
    seed = next(seed for seed in range(50) if writes_to_the_device(generate(seed), "6.12"))
    case = replace(generate(seed), reads_irq_level=False, final_regs=(), peek=())
    small = shrunk(case, lambda candidate: bool(writes_to_the_device(candidate, "6.12")), exits=60)
    assert writes_to_the_device(small, "6.12") == "1 writes"
    assert len(words_of(small)) <= 3
    assert (len(small.loads), len(small.slots)) == (1, 1)
    assert (small.on, small.before, small.devices, small.gic) == ((), (), (), None)
    (found,) = loads(write(small, title="small"), "small.vcpu.yaml").cases(["6.12"])
    assert found.case == small


@pytest.mark.slow
def test_a_broken_invariant_fails_with_the_scenario_that_breaks_it() -> None:
    seed = next(seed for seed in range(50) if writes_to_the_device(generate(seed), "6.12"))
    with pytest.raises(pytest.fail.Exception) as failed:
        check(generate(seed), "6.12", writes_to_the_device, seed)
    text = str(failed.value)
    assert text.startswith(f"seed {seed} on 6.12: 1 writes\ntitle: ")
    scenario = text.partition("\n")[2]
    (found,) = loads(scenario, "failed.vcpu.yaml").cases(["6.12"])
    assert writes_to_the_device(found.case, "6.12")
