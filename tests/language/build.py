"""Scenarios for tests, as text."""

from __future__ import annotations

from pathlib import Path

from vcpu_scenario.language import Scenario, ScenarioCase, loads
from vcpu_scenario.source import InvalidScenario

EVERYTHING = """\
title: everything that the language can say
about: |
  Two lines
  of prose.
origin: [Message-ID 87k20bxm13.fsf@linaro.org]
tags: [single-step, mmio]
kernels: [">=5.0 <7.3", "5.0-v2trap"]
vmm: [plain, qemu, qemu-2017]
matrix: {width: [1, 4], value: [0x2a, 0x2b]}

memory:
  - {at: 0x40000000, size: 1MiB}
  - {at: 0x50000000, size: 64KiB, readonly: true, contents: {text: "rom"}}
  - {at: 0x60000000, size: 0x2000, contents: {quads: [start, -1]}}
data:
  - {at: 0x60001000, words: [1, done]}

guest:
  at: 0x40000000
  words: [0xd503201f, 0xd503201f, 0xd4200000]
  symbols: {start: 0x40000000, poll: 0x40000004, done: 0x40000008}
  entry: start
  regs: {x0: "${value}", sp: 0x4008_0000, vbar_el1: done+8, s3_0_c15_c0_0: -1}

features: []
capabilities: [arm_nisv_to_user]
devices:
  uart: {handled_by: userspace, at: 0x09000000, model: pl011, input: "hello"}
  timer: {handled_by: userspace, at: 0x09010000, size: 0x100, registers: {0x18: 0x90}}
  rng: {handled_by: userspace, at: 0x09020000, model: scripted, replies: {0: [1, 2], 8: [3]}}
  fixed: {handled_by: userspace, at: 0x09030000, model: replies-by-address, registers: {4: 7}}
  gic: {handled_by: kernel, model: vgic-v3, distributor: 0x08000000, redistributor: 0x080a0000}
  bell: {handled_by: kernel, model: ioeventfd, at: 0x09000800, len: 4, match: 1}
  any_bell: {handled_by: kernel, model: ioeventfd, at: 0x0a000000, len: 0}
  ring: {handled_by: kernel, model: coalesced, at: 0x0b000000, size: 16}
default_reply: 0x1122334455667788

debug:
  single_step: true
  software_breakpoints: true
  hardware_breakpoints: [poll, done+4]
  watchpoints: [{at: 0x60000000, len: 8, access: write}, {at: 0x60001000, len: 4096}]
before:
  - raise: {spi: 33}
  - raise: {cpu: fiq}
  - lower: {ppi: 27}
on:
  - first: {debug: {step: poll, after_emulation: true, regs: {x1: 0}}}
    then: [skip_instruction: true]
  - each: {any: {exit: INTR, pc: done}}
    then: [{set: {x8: 1}}]
  - nth: 2
    of: {mmio: {write: uart, len: 2, data: 7}}
    then: [{lower: {spi: 33}}]
  - exit: 1
    then:
      - debug: {enable: false}
      - set: {x1: 7, pc: done-4}
      - write: {at: start, hex: "1f 20 03 d5"}
      - immediate_exit: true
      - reply: 5
      - forge: {exit_reason: 0, is_write: 1, len: 2}
      - skip_instruction: true
      - vcpu_events: {ext_dabt_pending: true, serror_pending: true, serror_esr: 0x123}
      - mp_state: runnable
      - add_memory: {at: 0x70000000, size: 4KiB, readonly: true}
      - host_interrupt: true
after_brk: stay
observe: [x1, esr_el1]
limits: {exits: 30, instructions: 1000, seconds: 0.5, repeats: 3, stop_on_eintr: false}

expect:
  - kernels: ">=5.11"
    vmm: [plain, qemu]
    when: {width: 4}
    about: the fields that all exits share, and each variant
    exits:
      - debug: {step: poll, after_emulation: false, regs: {x2: 3, lr: done}, note: first}
      - debug: {brk: done, imm: 7, far: 0, flags: 1, hsr_high: 0}
      - debug: {hardware_breakpoint: poll}
      - debug: {watchpoint: poll, access: write, far: 0x60000000}
      - debug: {hsr: 0xcb000022, pc: start}
      - mmio: {read: uart+0x18, len: "${width}", reply: 0x90, then: [{set: {x3: 1}}]}
      - mmio: {write: uart, len: 4, data: "${value}"}
      - mmio: {write: timer+8, data_bytes: "0102"}
      - any: {repeat: 2, then: [{immediate_exit: true}]}
      - arm_nisv: {esr_iss: 5, fault_ipa: uart}
      - interrupted: {exit: MMIO, pc: done}
      - any: {exit: INTR, repeat: {least: 0, most: 3}}
      - debug: {repeat: {least: 2}}
      - error: {errno: ENOSYS, pc: poll}
    never:
      - mmio: {read: 0x0c000000}
      - system_event: {type: shutdown, ndata: 1, data: [0]}
      - system_event: {type: 5}
      - hypercall: {nr: 0xc6000001, flags: 1}
      - mmio: {read: {"<6.1": uart, else: timer}, regs: {x2: {"<7.1": 3, else: null}}, vmm: plain}
    stops: [poll, {at: done, reason: brk, regs: {x5: 1}}]
    final:
      regs: {x6: 1, pc: done}
      memory: [{at: 0x60000000, quads: [start]}]
      eventfd: {any_bell: 2, bell: 1}
      ring: [{at: ring+4, len: 4, data: 0x01020304}]
      output: {uart: "Hi"}
  - kernels: "5.0-v2trap"
    refused: {errno: EINVAL}
  - kernels: "5.0..5.10"
    final: {regs: {x1: 0}}
"""

SMALL = """\
title: a brk
guest:
  words: [0xd503201f, 0xd4200000]
  symbols: {start: 0x40000000, done: 0x40000004}
"""


def scenario(text: str) -> Scenario:
    """Loads ``text`` as if it stood in a file of this name."""
    return loads(text, Path("made.vcpu.yaml"))


def small(text: str = "") -> Scenario:
    """A scenario of two instructions, ``start`` and ``done``, with ``text`` added to it."""
    return scenario(SMALL + text)


def case(text: str, kernel: str = "6.12") -> ScenarioCase:
    """The only case of the small scenario with ``text`` on ``kernel``."""
    (found,) = small(text).cases([kernel])
    return found


def messages(text: str) -> list[str]:
    """What is wrong with the small scenario with ``text`` added to it."""
    try:
        small(text)
    except InvalidScenario as invalid:
        return [diagnostic.message for diagnostic in invalid.diagnostics]
    return []
