"""LDAR and STLR of an address that is not aligned fault, whatever is there.

The syndromes are those that Debian's 6.12 gave in the lab on a Cortex-A57.
"""

from __future__ import annotations

import pytest
from vcpu_scenario import loads, run
from vcpu_scenario.machine.emulated.cpu.foresight import Foresight

from tests.guests import words

TEXT = """\
title: an ordered access of an address that is not aligned
guest:
  at: 0x40000000
  words: [{words}]
  registers: {{x0: {address:#x}, vbar_el1: 0x40000000}}
devices: {{uart: {{handled_by: userspace, at: 0x09000000}}}}
debug: {{software_breakpoints: true}}
observe: [x2, x3]
expect:
  - exits:
      - debug: {{brk: {brk:#x}, imm: {imm}, regs: {{x2: {syndrome:#x}, x3: {far:#x}}}}}
"""
HANDLER = words("mrs x2, esr_el1; mrs x3, far_el1; brk #0x99")
LDAR_W, LDAR_X, LDARH, STLR_W, STLRH = words("""
    ldar w1, [x0]
    ldar x1, [x0]
    ldarh w1, [x0]
    stlr w1, [x0]
    stlrh w1, [x0]
""")
READ, WRITE = 0x96000021, 0x96000061


def verdict(access: int, address: int, imm: int, syndrome: int, far: int) -> str:
    code = [access, *words("brk #7"), *[0] * 0x7E, *HANDLER, *[0] * 0x80]
    text = TEXT.format(
        words=", ".join(map(hex, code)),
        address=address,
        imm=imm,
        brk=0x4000_0004 if imm == 7 else 0x4000_0208,
        syndrome=syndrome,
        far=far,
    )
    (result,) = run(loads(text), "6.12")
    return result.verdict


@pytest.mark.parametrize(
    "where", [0x40000301, 0x09000001, 0x80000001], ids=["ram", "device", "hole"]
)
@pytest.mark.parametrize(
    ("access", "syndrome"),
    [(LDAR_W, READ), (LDAR_X, READ), (LDARH, READ), (STLR_W, WRITE), (STLRH, WRITE)],
)
def test_it_faults_ahead_of_what_is_there(access: int, syndrome: int, where: int) -> None:
    assert verdict(access, where, 0x99, syndrome, where) == "pass"


@pytest.mark.parametrize("access", [LDAR_W, LDAR_X, LDARH, STLR_W, STLRH])
def test_what_is_aligned_is_done(access: int) -> None:
    assert verdict(access, 0x40000308, 7, 0, 0) == "pass"


def test_half_of_a_doubleword_is_not_aligned() -> None:
    assert verdict(LDAR_X, 0x40000304, 0x99, READ, 0x40000304) == "pass"
    assert verdict(LDAR_W, 0x40000304, 7, 0, 0) == "pass"


def test_it_faults_after_a_hundred_that_were_aligned() -> None:
    code = [*[LDAR_W] * 100, 0x91000400, LDAR_W, *words("brk #7")]  # add x0, x0, #1
    pad = [0] * (0x80 - len(code))
    text = TEXT.format(
        words=", ".join(map(hex, [*code, *pad, *HANDLER, *[0] * 0x80])),
        address=0x40000300,
        brk=0x4000_0208,
        imm=0x99,
        syndrome=READ,
        far=0x40000301,
    )
    (result,) = run(loads(text), "6.12")
    assert result.verdict == "pass"


def test_the_address_of_a_lock_is_looked_at_without_following_the_code(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """That is a call for each loop of the guest; what is not aligned is still seen."""
    followed = list[int]()
    follow = Foresight.register

    def noted(ahead: Foresight, n: int, register: int) -> int:
        followed.append(n)
        return follow(ahead, n, register)

    monkeypatch.setattr(Foresight, "register", noted)
    code = [
        *words("mov w4, #5; b . + 4; stlr w1, [x0]; sub w4, w4, #1; cbnz w4, . - 8; brk #7"),
        *[0] * 0x7A,
        *HANDLER,
        *[0] * 0x80,
    ]
    for address, brk, imm, times in (
        (0x40000300, 0x40000014, 7, 0),
        (0x40000301, 0x40000208, 0x99, 1),
    ):
        text = TEXT.format(
            words=", ".join(map(hex, code)),
            address=address,
            imm=imm,
            brk=brk,
            syndrome=0 if imm == 7 else WRITE,
            far=0 if imm == 7 else address,
        )
        followed.clear()
        assert run(loads(text), "6.12")[0].verdict == "pass"
        assert len(followed) == times
