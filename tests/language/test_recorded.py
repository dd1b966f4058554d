"""Whatever a recorded job says, a scenario can say, and whatever it gave can be expected."""

from __future__ import annotations

import json
import lzma
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace
from vcpu_scenario.case import Case, Device
from vcpu_scenario.language import ScenarioCase
from vcpu_scenario.recordings.jobs import case_of
from vcpu_scenario.trace import Exit, observed
from vcpu_scenario.verdict.match import failures, same_kind

from tests.language.build import scenario

pytestmark = pytest.mark.slow

Json = Mapping[str, Any]
RECORDED = sorted((Path(__file__).parents[1] / "recorded").glob("*.json.xz"))
FLAGS = {"singlestep": "single_step", "sw_bp": "software_breakpoints"}
ACCESS = {"r": "read", "w": "write", "rw": "readwrite"}


def debug(request: Json) -> dict[str, Any]:
    control = request["control"]
    found: dict[str, Any] = {"enable": "enable" in control}
    found |= {word: True for flag, word in FLAGS.items() if flag in control}
    if "hw" in control:
        found["hardware_breakpoints"] = request.get("hw_bp", [])
        found["watchpoints"] = [
            {"at": point["addr"], "len": point["len"], "access": ACCESS[point["type"]]}
            for point in request.get("watch", [])
        ]
    return found


ACTIONS: dict[str, Any] = {
    "debug": lambda action: {"debug": debug(action)},
    "set": lambda action: {"set": {action["reg"]: action["value"]}},
    "poke": lambda action: {"write": {"at": action["addr"], "hex": action["hex"]}},
    "irq": lambda action: {
        "raise" if action["level"] else "lower": {"spi": action["irq"] & 0xFFFFFF}
    },
    "immediate_exit": lambda action: {"immediate_exit": True},
    "mmio_data": lambda action: {"reply": action["value"]},
}


def actions(found: Any) -> list[Any]:
    return [ACTIONS[action["do"]](action) for action in found]


def devices(job: Json) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if mmio := job.get("mmio"):
        replies = {int(addr, 0): value for addr, value in mmio.items()}
        base = min(replies) & ~0xFFF
        found["replies"] = {
            "handled_by": "userspace",
            "model": "replies-by-address",
            "at": base,
            "registers": {str(addr - base): value for addr, value in replies.items()},
        }
    if gic := job.get("gic"):
        model, other = ("vgic-v3", "redist") if gic["version"] == 3 else ("vgic-v2", "cpu")
        names = {"redist": "redistributor", "cpu": "cpu_interface"}
        found["gic"] = {
            "handled_by": "kernel",
            "model": model,
            "distributor": gic["dist"],
            names[other]: gic[other],
        }
    for n, fd in enumerate(job.get("ioeventfd", ())):
        found[f"bell{n}"] = {"handled_by": "kernel", "model": "ioeventfd", "at": fd["addr"]}
        found[f"bell{n}"] |= {key: fd[key] for key in ("len", "match") if key in fd}
    for n, zone in enumerate(job.get("coalesced", ())):
        found[f"zone{n}"] = {"handled_by": "kernel", "model": "coalesced", "at": zone["addr"]}
        found[f"zone{n}"]["size"] = zone["size"]
    return found


DEBUG_CAUSES = {0x30: "hardware_breakpoint", 0x32: "step", 0x34: "watchpoint", 0x3C: "brk"}


def expected_debug(found: Json) -> dict[str, Any]:
    hsr = found["hsr"]
    cause = DEBUG_CAUSES[hsr >> 26]
    body = {cause: found["pc"], "hsr": hsr, "far": found["far"], "flags": found.get("flags", 0)}
    if cause == "step":
        body["after_emulation"] = not hsr >> 24 & 1
    elif cause == "brk":
        body["imm"] = hsr & 0xFFFF
    elif cause == "watchpoint":
        body["access"] = "write" if hsr >> 6 & 1 else "read"
    return {"debug": body}


def expected_mmio(found: Json) -> dict[str, Any]:
    body: dict[str, Any] = {"len": found["len"], "pc": found["pc"]}
    if not found["is_write"]:
        return {"mmio": {"read": found["addr"], **body}}
    value = int.from_bytes(bytes.fromhex(found["data"])[: found["len"]], "little")
    body |= {"data": value, "data_bytes": found["data"]}
    return {"mmio": {"write": found["addr"], **body}}


EXPECTED: dict[str, Any] = {
    "DEBUG": expected_debug,
    "MMIO": expected_mmio,
    "SYSTEM_EVENT": lambda found: {
        "system_event": {key: found[key] for key in ("type", "ndata", "data", "pc")}
    },
    "ARM_NISV": lambda found: {
        "arm_nisv": {"esr_iss": found["iss"], "fault_ipa": found["ipa"], "pc": found["pc"]}
    },
}


def expected(found: Json) -> dict[str, Any]:
    if found["ret"] == 0:
        variant: dict[str, Any] = EXPECTED[found["exit"]](found)
    elif found["errno"] == 4:
        variant = {"interrupted": {"exit": found["exit"], "pc": found["pc"]}}
    else:
        variant = {"error": {"errno": found["errno"], "exit": found["exit"], "pc": found["pc"]}}
    if found["regs"]:
        for body in variant.values():
            body["regs"] = found["regs"]
    return variant


def clause(trace: Json) -> dict[str, Any]:
    if "error" in trace:
        return {"kernels": trace["kernels"], "refused": {"errno": "EINVAL"}}
    found = {
        "kernels": trace["kernels"],
        "exits": [expected(one) for one in trace["exits"]],
    }
    final: dict[str, Any] = {}
    if "eventfd" in trace:
        final["eventfd"] = {f"bell{n}": count for n, count in enumerate(trace["eventfd"])}
    if "ring" in trace:
        final["ring"] = [
            {
                "at": entry["addr"],
                "len": entry["len"],
                "data": int.from_bytes(bytes.fromhex(entry["data"])[: entry["len"]], "little"),
            }
            for entry in trace["ring"]["entries"]
        ]
    return {**found, "final": final} if final else found


def as_scenario(entry: Json) -> str:
    job = entry["job"]
    (first, *others) = job["load"]
    document = {
        "title": job["name"],
        "memory": [
            {
                "at": ram["base"],
                "size": ram["size"],
                "readonly": ram.get("readonly", False),
            }
            for ram in job["ram"]
        ],
        "guest": {
            "at": first["addr"],
            "words": [
                int.from_bytes(bytes.fromhex(first["hex"])[n : n + 4], "little")
                for n in range(0, len(first["hex"]) // 2, 4)
            ],
            "registers": job["regs"],
        },
        "data": [{"at": load["addr"], "hex": load["hex"]} for load in others],
        "capabilities": ["arm_nisv_to_user"] if job.get("caps") else [],
        "devices": devices(job),
        "before": actions(job.get("before", ())),
        "on": [{"exit": int(n), "then": actions(do)} for n, do in job.get("on", {}).items()],
        "after_brk": "skip" if job.get("brk_always_skip") else "continue",
        "limits": {
            "exits": job.get("max", 40),
            "seconds": job.get("timeout", 0.3),
            "stop_on_eintr": job.get("stop_on_intr", True),
            "stop_on_event": True,
            **({"repeats": job["sticky_limit"]} if "sticky_limit" in job else {}),
        },
        "expect": [clause(trace) for trace in entry["traces"]],
        **({"debug": debug(job["debug"])} if "debug" in job else {}),
        **({"observe": job["show"]} if "show" in job else {}),
    }
    return json.dumps(document)


@cache
def entries(path: Path) -> list[tuple[Json, list[ScenarioCase]]]:
    """The entries of a file, each with the cases of the scenario that says the same."""
    found: list[Json] = json.loads(lzma.decompress(path.read_bytes()))
    return [(entry, scenario(as_scenario(entry)).cases()) for entry in found]


def normal(case: Case) -> Case:
    """The case without what says the same in another way."""
    replies = tuple(
        sorted(
            (device.base + offset, value)
            for device in case.devices
            for offset, value in device.registers
        )
    )
    # A job whose code ends within a word has its last word filled up.
    loads = tuple(replace(load, data=load.data + bytes(-len(load.data) % 4)) for load in case.loads)
    return replace(
        case,
        devices=(Device("replies", 0, 0, registers=replies),),
        regs=tuple(sorted(case.regs)),
        on=tuple(sorted(case.on)),
        loads=loads,
    )


@pytest.mark.parametrize("path", RECORDED, ids=lambda path: path.name)
def test_a_scenario_can_say_what_a_job_says(path: Path) -> None:
    for entry, cases in entries(path):
        for case in cases:
            expected_case = replace(case_of(entry["job"]), final_regs=case.case.final_regs)
            assert normal(case.case) == normal(expected_case), entry["job"]["name"]


@pytest.mark.parametrize("path", RECORDED, ids=lambda path: path.name)
def test_a_scenario_can_expect_what_a_job_gave(path: Path) -> None:
    for entry, found in entries(path):
        cases = {case.kernel: case for case in found}
        assert set(cases) == {name for trace in entry["traces"] for name in trace["kernels"]}
        for trace in entry["traces"]:
            for kernel in trace["kernels"]:
                check(trace, cases[kernel])


def check(trace: Json, case: ScenarioCase) -> None:
    """Whether each exit of the trace is the one that the case expects in its place."""
    assert case.expectation is not None
    if "error" in trace:
        assert case.expectation.refused is not None
        return
    exits = [recorded(found) for found in trace["exits"]]
    wanted = case.expectation.exits or ()
    assert len(wanted) == len(exits)
    for expectation, exit_, state in zip(wanted, exits, observed(exits), strict=True):
        assert same_kind(expectation, exit_)
        assert failures(expectation, exit_, state) == ()


def recorded(found: Json) -> Exit:
    head = ("exit", "ret", "errno", "pc", "regs")
    fields = {key: value for key, value in found.items() if key not in head}
    return Exit(
        found["exit"], found["ret"], found.get("errno", 0), found["pc"], fields, found["regs"]
    )
