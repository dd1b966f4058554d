"""Code that vCPUs run in turn which have SIMD on and off."""

from __future__ import annotations

from pathlib import Path

import pytest
from vcpu_scenario.language.loader import loads
from vcpu_scenario.machine.emulated.cpu.engine import Engine
from vcpu_scenario.machine.emulated.machine import create
from vcpu_scenario.running.execute import judged
from vcpu_scenario.vmm.loop import run_case

TEXT = """\
title: two vCPUs run the same code, one of them without SIMD
guest:
  at: 0x40000000
  code: |
    start:  adr  x19, out
            mov  x1, #0x300000
            msr  cpacr_el1, x1
            isb
            ldr  w0, =0xc4000003         // PSCI CPU_ON
            mov  x1, #1
            adr  x2, second
            hvc  #0
    again:  bl   shared
            ldr  w1, [x19, #8]
            cmp  w1, #50
            b.lo again
            ldr  w0, =0x84000008         // PSCI SYSTEM_OFF
            hvc  #0
    second: adr  x19, out
            adr  x1, vector
            msr  vbar_el1, x1
            mov  w20, #0
    more:   bl   shared
            mov  w2, #500
    pause:  sub  w2, w2, #1
            cbnz w2, pause
            add  w20, w20, #1
            str  w20, [x19, #8]
            b    more
    shared: fmov d0, #1.0
            add  w21, w21, #1
            ret
            .balign 8
    out:    .word 0, 0, 0, 0
            .balign 2048
    vector: .skip 0x200
            mrs  x1, esr_el1
            ldr  w2, [x19, #4]
            add  w2, w2, #1
            stp  w1, w2, [x19]
            mrs  x1, elr_el1
            add  x1, x1, #4
            msr  elr_el1, x1
            eret
vcpus: 2
quantum: 200
expect:
  - exits:
      - system_event: {type: shutdown}
    final:
      memory:
        - {at: out, words: [0x1fe00000]}
"""


def test_it_traps_in_the_one_alone_and_is_not_translated_anew_at_each_turn(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    flushes, flush = list[None](), Engine.flush_translations

    def noted(engine: Engine) -> None:
        flushes.append(None)
        flush(engine)

    case = next(iter(loads(TEXT, Path("simd.vcpu.yaml")).cases(["6.12"])))
    machine = create("6.12")
    monkeypatch.setattr(Engine, "flush_translations", noted)
    try:
        judgement = judged(case, run_case(machine, case.case))
    finally:
        machine.close()
    assert list(judgement.mismatches) == []
    assert len(flushes) < 10
