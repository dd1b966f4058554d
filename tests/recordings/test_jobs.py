"""Recorded jobs as cases."""

from __future__ import annotations

import json
import lzma
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace
from vcpu_scenario.case import (
    Case,
    CoalescedZone,
    Device,
    Gic,
    ImmediateExit,
    Ioeventfd,
    Limits,
    Load,
    Memslot,
    SetMmioData,
    SetRegister,
    WriteMemory,
)
from vcpu_scenario.ioctls.vcpu import GuestDebug, SetGuestDebug, SetIrqLine, Watchpoint
from vcpu_scenario.kernels.release import parse_release
from vcpu_scenario.kvm import abi
from vcpu_scenario.kvm.registers import reg_id
from vcpu_scenario.recordings import write
from vcpu_scenario.recordings.jobs import case_of, jobs
from vcpu_scenario.trace import Exit, Trace

RECORDED = sorted((Path(__file__).parents[1] / "recorded").glob("*.json.xz"))

JOB: dict[str, Any] = {
    "name": "made",
    "asm": "nop\n",
    "ram": [{"base": 0x40000000, "size": 0x100000}, {"base": 0, "size": 4096, "readonly": True}],
    "load": [{"addr": 0x40000000, "hex": "1f2003d5"}],
    "regs": {"pc": 0x40000000, "x0": 1},
    "caps": ["nisv"],
    "gic": {"version": 3, "dist": 1, "redist": 2},
    "ioeventfd": [{"addr": 3, "len": 4, "match": 5}, {"addr": 6, "len": 8}],
    "coalesced": [{"addr": 7, "size": 8}],
    "mmio": {"0x9000018": 144},
    "debug": {
        "control": ["enable", "hw"],
        "hw_bp": [0x40000004],
        "watch": [{"addr": 8, "len": 4, "type": "w"}],
    },
    "before": [{"do": "immediate_exit"}, {"do": "irq", "irq": 0x1000021, "level": 1}],
    "on": {
        "0": [{"do": "set", "reg": "x1", "value": 2}, {"do": "poke", "addr": 9, "hex": "ff"}],
        "10": [{"do": "debug", "control": ["enable", "singlestep", "sw_bp"]}],
        "2": [{"do": "mmio_data", "value": 3}],
    },
    "show": ["x1", "esr_el1"],
    "max": 7,
    "timeout": 0.5,
    "brk_always_skip": True,
    "stop_on_intr": False,
    "sticky_limit": 3,
}


def test_everything_a_job_says_is_in_its_case() -> None:
    step = abi.KVM_GUESTDBG_ENABLE | abi.KVM_GUESTDBG_SINGLESTEP | abi.KVM_GUESTDBG_USE_SW_BP
    assert case_of(JOB) == Case(
        slots=(Memslot(0x40000000, 0x100000), Memslot(0, 4096, readonly=True)),
        loads=(Load(0x40000000, b"\x1f\x20\x03\xd5"),),
        regs=(("pc", 0x40000000), ("x0", 1)),
        caps=("arm_nisv_to_user",),
        gic=Gic(3, 1, redist=2),
        ioeventfds=(Ioeventfd(3, 4, 5), Ioeventfd(6, 8)),
        coalesced=(CoalescedZone(7, 8),),
        devices=(
            Device("recorded", 0, 1 << 64, "replies-by-address", registers=((0x9000018, 144),)),
        ),
        debug=GuestDebug(
            abi.KVM_GUESTDBG_ENABLE | abi.KVM_GUESTDBG_USE_HW,
            (0x40000004,),
            (Watchpoint(8, 4, "w"),),
        ),
        before=(ImmediateExit(), SetIrqLine(0x1000021, 1)),
        on=(
            (0, (SetRegister("x1", 2), WriteMemory(9, b"\xff"))),
            (10, (SetGuestDebug(GuestDebug(step)),)),
            (2, (SetMmioData(3),)),
        ),
        observe=("x1", "esr_el1"),
        skip_brk="always",
        limits=Limits(exits=7, seconds=0.5, repeats=3, stop_on_intr=False, stop_on_event=True),
    )


def test_what_a_job_leaves_out_has_the_recorders_defaults() -> None:
    plain = case_of({key: JOB[key] for key in ("name", "asm", "ram", "load", "regs")})
    assert plain.observe == ("x0", "x1", "x2", "x3")
    assert plain.default_reply == 0x8877665544332211
    assert plain.limits == Limits(exits=40, seconds=0.3, stop_on_event=True)
    assert (plain.devices, plain.debug, plain.gic) == ((), None, None)
    assert plain.skip_brk == "without-actions"


def test_plain_and_compressed_files_read_alike(tmp_path: Path) -> None:
    traces = [{"kernels": ["6.12", "7.3"], "exits": [], "error": "OSError(22, 'no')"}]
    text = json.dumps([{"job": JOB, "traces": traces}]).encode()
    plain, packed = tmp_path / "made.json", tmp_path / "made.json.xz"
    plain.write_bytes(text)
    packed.write_bytes(lzma.compress(text))
    (first,), (second,) = jobs(plain), jobs(packed)
    assert replace(first, path="") == replace(second, path="")
    assert first.trace("7.3") is first.traces[0].trace
    assert first.trace("4.14") is None


def test_null_is_as_good_as_not_there_and_a_field_unknown_here_is_kept(tmp_path: Path) -> None:
    exit_: dict[str, object] = {
        "ret": 0,
        "errno": None,
        "exit": "NEW",
        "pc": 4,
        "regs": {},
        "hsr": None,
        "new": "x",
    }
    trace = {"kernels": ["6.12"], "exits": [exit_], "eventfd": None, "ring": None, "error": None}
    path = tmp_path / "made.json"
    path.write_text(json.dumps([{"job": JOB, "traces": [trace]}]))
    (job,) = jobs(path)
    assert job.trace("6.12") == Trace((Exit("NEW", 0, 0, 4, {"new": "x"}, {}),))


@pytest.mark.slow
def test_a_recorded_trace_is_written_as_it_was_read() -> None:
    for path in RECORDED:
        raw = json.loads(lzma.decompress(path.read_bytes()))
        for entry, job in zip(raw, jobs(path), strict=True):
            for trace, kept in zip(entry["traces"], job.traces, strict=True):
                assert kept.trace.to_json() == {k: v for k, v in trace.items() if k != "kernels"}


@pytest.mark.slow
def test_every_recorded_kernel_and_register_has_a_name_we_know() -> None:
    for path in RECORDED:
        for job in jobs(path):
            for trace in job.traces:
                assert [parse_release(name) for name in trace.kernels]
            names = [*job.case.observe, *(name for name, _ in job.case.regs)]
            assert [name for name in names if reg_id(name) is None] == []


def test_a_job_has_no_words_for_some_of_what_a_case_does() -> None:
    case = case_of(JOB)
    assert write.job("made", case)["max"] == 7
    with pytest.raises(write.Unrecordable, match="after the last exit"):
        write.job("made", replace(case, limits=replace(case.limits, act_at_last=True)))
    with pytest.raises(write.Unrecordable, match="device_irq_level"):
        write.job("made", replace(case, reads_irq_level=True))
