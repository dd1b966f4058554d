"""KVM_ARM_VCPU_INIT of a vCPU that has run: what it does to the VM."""

from __future__ import annotations

from vcpu_scenario import loads, run

TEXT = """\
title: an abort after KVM_ARM_VCPU_INIT tells the address of the fault behind it
guest:
  at: 0x40000000
  code: |
    start:   brk  #0
    again:   brk  #1
             .balign 2048
    vectors: .space 0x200
    abort:   brk  #2
debug: {software_breakpoints: true}
expect:
  - exits:
      - debug: {brk: start, then: [vcpu_init: true, set: {pc: again, vbar_el1: vectors}]}
      - debug: {brk: again, then: [vcpu_events: {ext_dabt_pending: true}]}
      - debug: {brk: abort}
    final: {regs: {far_el1: again}}
"""


def test_all_of_memory_faults_again() -> None:
    """``stage2_unmap_vm``. As random program 860000 on Debian's 7.2."""
    (result,) = run(loads(TEXT), kernels=["7.2"])
    assert result.verdict == "pass", result.reason


OFF = """\
title: KVM_ARM_VCPU_POWER_OFF by its bit is no other feature than by its name
guest:
  at: 0x40000000
  code: |
    start: brk  #0
debug: {software_breakpoints: true}
expect:
  - exits:
      - debug: {brk: start, then: [vcpu_init: {bits: 1}, mp_state: runnable, set: {pc: start}]}
      - debug: {brk: start}
"""


def test_power_off_by_its_bit_is_taken_again() -> None:
    """As on Debian's 6.12; on 6.1 it is another feature than at first."""
    (taken, refused) = run(loads(OFF), kernels=["6.12", "6.1"])
    assert taken.verdict == "pass", taken.reason
    assert refused.verdict == "fail"
    assert "EINVAL" in refused.mismatches[0].message
