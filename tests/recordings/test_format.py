"""Files of recorded jobs: whatever is wrong with one is told with its place."""

from __future__ import annotations

import copy
import json
import lzma
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from vcpu_scenario.recordings import format as recording
from vcpu_scenario.recordings.format import BadRecording, entries
from vcpu_scenario.recordings.jobs import case_of

from .test_jobs import JOB

TRACE: dict[str, Any] = {
    "kernels": ["6.12", "5.0-v2trap"],
    "exits": [{"ret": -1, "errno": 4, "exit": "INTR", "pc": 4, "regs": {"x0": 1}}],
    "eventfd": [1],
    "ring": {"first": 0, "last": 1, "entries": [{"addr": 1, "len": 1, "data": "00"}]},
}


def written(document: Any, path: Path) -> Path:
    path.write_text(json.dumps(document))
    return path


def test_a_whole_entry_is_accepted(tmp_path: Path) -> None:
    entry = {"job": JOB, "traces": [TRACE]}
    assert entries(written([entry], tmp_path / "a.json")) == [entry]


def test_keys_that_are_not_known_are_told_and_passed_over(tmp_path: Path) -> None:
    ram = [each | {"flags": 1} for each in JOB["ram"]]
    entry = {"job": JOB | {"note": [1], "ram": ram}, "traces": [TRACE | {"host": "a"}], "date": 5}
    told: list[str] = []
    path = written([entry, entry], tmp_path / "a.json")
    assert entries(path, told.append) == [entry, entry]
    (words,) = told
    assert words.startswith(f"{path}: keys that are not known are passed over: `job.ram[].flags`")
    for key in ("`job.note` (2)", "`traces[].host` (2)", "`date` (2)"):
        assert key in words
    entries(written([{"job": JOB, "traces": [TRACE]}], path), told.append)
    assert len(told) == 1


Change = Callable[[dict[str, Any], dict[str, Any]], Any]

WRONG: list[tuple[Change, str]] = [
    (lambda job, trace: job.pop("ram"), "job: expected a key `ram`"),
    (lambda job, trace: job.update(ram=5), "job.ram: expected a list, found 5"),
    (
        lambda job, trace: job.update(ram=[{"base": n << 30, "size": 1 << 30} for n in range(2)]),
        "job.ram: expected at most 0x40000000 bytes in all slots together, found 2147483648",
    ),
    (
        lambda job, trace: job["ram"][1].update(size=-1),
        "job.ram[1].size: expected an integer from 1 to 0x40000000, found -1",
    ),
    (lambda job, trace: job["ram"][0].update(base=True), "job.ram[0].base: expected an integer"),
    (
        lambda job, trace: job["ram"][0].update(readonly=1),
        "job.ram[0].readonly: expected true or false, found 1",
    ),
    (
        lambda job, trace: job["load"][0].update(hex="0"),
        'job.load[0].hex: expected bytes in hexadecimal, found "0"',
    ),
    (
        lambda job, trace: job["regs"].update(x31=0),
        'job.regs: expected the name of a register, found "x31"',
    ),
    (
        lambda job, trace: job["regs"].update(x1=1 << 64),
        "job.regs.x1: expected an integer from 0 to 0xffffffffffffffff",
    ),
    (lambda job, trace: job.update(caps=["sve"]), "job.caps[0]: expected one of nisv"),
    (lambda job, trace: job["gic"].update(version=4), "job.gic.version: expected one of 2, 3"),
    (
        lambda job, trace: job["ioeventfd"][0].update(len=3),
        "job.ioeventfd[0].len: expected one of 0, 1, 2, 4, 8, found 3",
    ),
    (lambda job, trace: job["mmio"].update(uart=1), "job.mmio: expected a number as a key"),
    (
        lambda job, trace: job["debug"].update(control=["step"]),
        "job.debug.control[0]: expected one of enable, singlestep, sw_bp, hw",
    ),
    (
        lambda job, trace: job["debug"].update(hw_bp=[0] * 17),
        "job.debug.hw_bp: expected a list of at most 16",
    ),
    (
        lambda job, trace: job["debug"]["watch"][0].update(type="x"),
        "job.debug.watch[0].type: expected one of r, w, rw",
    ),
    (
        lambda job, trace: job["before"].append({"do": "jump"}),
        "job.before[2].do: expected one of debug, set, poke, irq, immediate_exit, mmio_data",
    ),
    (
        lambda job, trace: job["on"].update({"5": [{"do": "set", "reg": "x1"}]}),
        "job.on.5[0]: expected a key `value`",
    ),
    (lambda job, trace: job["on"].update({"-1": []}), "job.on: expected a number as a key"),
    (lambda job, trace: job.update(max=0), "job.max: expected an integer from 1"),
    (lambda job, trace: job.update(timeout=0), "job.timeout: expected seconds"),
    (
        lambda job, trace: trace.update(kernels=["new"]),
        "traces[0].kernels[0]: expected a kernel release such as 6.12",
    ),
    (lambda job, trace: trace.update(exits={}), "traces[0].exits: expected a list, found {}"),
    (
        lambda job, trace: trace["exits"][0].pop("pc"),
        "traces[0].exits[0]: expected a key `pc`",
    ),
    (lambda job, trace: trace.update(ring=[]), "traces[0].ring: expected an object, found []"),
]


@pytest.mark.parametrize(("change", "message"), WRONG, ids=[message for _, message in WRONG])
def test_what_is_wrong_is_told_with_its_place(change: Change, message: str, tmp_path: Path) -> None:
    job, trace = copy.deepcopy(JOB), copy.deepcopy(TRACE)
    change(job, trace)
    entry = {"job": job, "traces": [trace]}
    path = written([{"job": JOB, "traces": []}, entry], tmp_path / "a.json")
    with pytest.raises(BadRecording) as caught:
        entries(path)
    assert str(caught.value).startswith(f"{path}: [1] (made): {message}")


@pytest.mark.parametrize(
    ("raw", "name", "message"),
    [
        (b"", "a.json", "not JSON: Expecting value at line 1, column 1"),
        (b"[\xff]", "a.json", "not JSON: not UTF-8, the byte 0xff at line 1, byte 2"),
        (b"[" * 100_000, "a.json", "nested deeper than 64"),
        (b"[" + b"9" * 10_000 + b"]", "a.json", "a number of more digits than can be read"),
        (b"5", "a.json", 'the document: expected a list of {"job": ..., "traces": ...}, found 5'),
        (b"[5]", "a.json", "[0]: the document: expected an object, found 5"),
        (b"[]", "a.xz", "not compressed with xz, as its name says"),
        (lzma.compress(b"[]")[:-9], "a.xz", "damaged: "),
        (lzma.compress(b"[]").replace(b"[]", b"{}"), "a.xz", "damaged: "),
    ],
)
def test_what_cannot_be_read_is_told(raw: bytes, name: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_bytes(raw)
    with pytest.raises(BadRecording) as caught:
        entries(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert message in str(caught.value)


def test_compression_is_known_by_its_magic_and_may_come_in_parts(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(lzma.compress(b"[") + lzma.compress(b" ]"))
    assert entries(path) == []


def test_a_file_that_grows_without_end_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recording, "LARGEST", 1 << 20)
    path = tmp_path / "bomb.json.xz"
    path.write_bytes(lzma.compress(b" " * (4 << 20)))
    with pytest.raises(BadRecording, match="too large: more than 1 MiB decompressed"):
        entries(path)


def test_a_job_starts_where_it_was_assembled_unless_it_says_otherwise() -> None:
    job = {key: JOB[key] for key in ("name", "asm", "ram", "load")}
    assert case_of(job).regs == (("pc", 0x40000000),)
    assert case_of(job | {"base": 0x80000000}).regs == (("pc", 0x80000000),)
    assert case_of(job | {"regs": {"x1": 1, "pc": 8}}).regs == (("x1", 1), ("pc", 8))


def test_null_is_as_good_as_nothing_where_that_is_good(tmp_path: Path) -> None:
    null = {**JOB, "gic": None, "debug": None, "on": None, "timeout": None}
    (entry,) = entries(written([{"job": null, "traces": []}], tmp_path / "a.json"))
    without = {key: value for key, value in null.items() if value is not None}
    assert case_of(entry["job"]) == case_of(without)
    with pytest.raises(BadRecording, match=r"job\.ram: expected a list, found null"):
        entries(written([{"job": {**JOB, "ram": None}, "traces": []}], tmp_path / "b.json"))
