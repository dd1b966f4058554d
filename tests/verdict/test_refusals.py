"""What is refused in the middle of a run ends it there: what came before is kept, it is told at the
action that asks for it, and is neither a set-up that is refused nor a failure that is known."""

from __future__ import annotations

import pytest
from vcpu_scenario.interchange.traces import dump_trace, load_trace
from vcpu_scenario.language import loads
from vcpu_scenario.machine.emulated.machine import create
from vcpu_scenario.running.execute import execute, judged
from vcpu_scenario.verdict.result import Result

from tests.guests import words

STORES = ", ".join(map(hex, words("str w1, [x0]; str w2, [x0]; str w3, [x0]; brk #0")))
TEXT = f"""\
title: t
memory:
  - {{at: 0x40000000, size: 64KiB}}
  - {{at: 0x04000000, size: 512KiB, readonly: true}}
guest: {{at: 0x40000000, words: [{STORES}], regs: {{x0: flash, x1: 0x98, x2: 0xff, x3: 0x98}}}}
devices:
  flash: {{handled_by: userspace, model: cfi-flash, at: 0x04000000, size: 512KiB}}
"""
WRITE = "mmio: {write: flash, len: 4}"
DELETES = "memory_region: {slot: 1, at: 0, size: 0}"
WRONG = "get: {x1: 5}"
KNOWN = f"xfail: {{reason: why, link: 'https://example.org/1'}}, exits: [{WRITE}, {WRITE}]"


def run(text: str, kernel: str = "6.12") -> Result:
    (case,) = loads(TEXT + text, "t.vcpu.yaml").cases([kernel])
    return execute(case, create)


@pytest.mark.parametrize("clause", ["refused: {errno: EINVAL}", f"exits: [{WRITE}, {WRITE}]"])
def test_a_flash_whose_ioctl_is_refused_ends_the_run_and_not_the_set_up(clause: str) -> None:
    on = f"on: [{{exit: 0, then: [{DELETES}]}}]"
    gone = on.replace("exit: 0", "first: {mmio: {write: flash}}")
    for text in (
        f"before: [{DELETES}]\nexpect: [{{{clause}}}]\n",
        f"{gone}\nexpect: [{{kernels: '<5.0', exits: [{WRITE}, {WRITE}]}}, {{{clause}}}]\n",
    ):
        result = run(text)
        assert result.trace is not None
        assert result.verdict == "fail"
        assert result.trace.error is None
        assert result.trace.exits
        if "refused" in clause:
            (note,) = result.mismatches[0].notes
            assert note.startswith("the kernel refused what the VMM did at exit 0: memslot")


@pytest.mark.parametrize("wrong", [WRONG, "set: {midr_el1: 1}"])
def test_it_is_told_at_the_action_in_its_list(wrong: str) -> None:
    item = f"  - mmio: {{write: flash, then: [set: {{x5: 1, x6: 2}}, {wrong}, set: {{x5: 1}}]}}"
    result = run(f"expect:\n- exits:\n{item}\n  - {WRITE}\n", "5.10")
    assert result.trace is not None
    for told in (result, judged(result.case, load_trace(dump_trace(result.trace)))):
        found = told.mismatches[0]
        assert (found.kind, found.span.column) == ("refused", item.index(wrong) + 1)


def test_it_is_told_at_the_action_where_several_lists_are_for_one_exit() -> None:
    result = run(
        "on:\n"
        "- nth: 2\n"
        "  of: {mmio: {write: flash}}\n"
        "  then: [set: {x7: 1}]\n"
        "- exit: 1\n"
        "  then:\n"
        "  - set: {x8: 1}\n"
        f"  - {WRONG}\n"
        "- each: {mmio: {write: flash}}\n"
        "  then: [set: {x9: 1}, set: {x10: 1}]\n"
        f"expect:\n- exits: [{WRITE}, {WRITE}, {WRITE}]\n"
    )
    assert (result.mismatches[0].kind, result.mismatches[0].span.line) == ("refused", 15)


@pytest.mark.parametrize(
    ("text", "verdict"),
    [
        (
            f"on: [{{exit: 0, then: [{WRONG}]}}]\nexpect: [{{{KNOWN}}}]\n",
            "fail",
        ),
        (
            f"on: [{{first: {{mmio: {{}}}}, then: [{{set: {{x1: 1}}, errno: EINVAL}}]}}]\n"
            f"expect: [{{{KNOWN}}}]\n",
            "fail",
        ),
        (
            f"expect: [{{{KNOWN.replace('len: 4', f'then: [{WRONG}]', 1)}}}]\n",
            "xfail",
        ),
        (f"before: [{DELETES}]\nexpect: [{{{KNOWN}}}]\n", "fail"),
    ],
)
def test_a_known_failure_is_of_what_its_clause_expects_alone(text: str, verdict: str) -> None:
    result = run(text)
    assert result.verdict == verdict
    assert result.mismatches[0].kind == "refused"


XFAIL = "xfail: {reason: why, link: 'https://example.org/1'}"


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("on: [{nth: 1, of: {mmio: {write: flash+8}}, then: [set: {x1: 1}]}]\n", "not done"),
        ("", "unexpected pass"),
    ],
)
def test_a_known_failure_is_not_that_something_beside_it_was_never_done(
    text: str, kind: str
) -> None:
    text = f"limits: {{exits: 3}}\n{text}"
    exits = f"exits: [{WRITE}, any: {{repeat: {{least: 0}}}}]"
    known = run(f"{text}expect: [{{{exits}, {XFAIL}}}]\n")
    assert known.verdict == "fail"
    assert known.mismatches[0].kind == kind


def test_what_cannot_be_read_at_the_end_differs_and_the_exits_are_kept() -> None:
    result = run(
        "expect:\n- exits: [mmio: {write: flash, then: [set: {x2: 0x98}]}, mmio: {write: flash}]\n"
        "  final: {memory: [{at: flash, words: [0]}]}\n"
    )
    assert [found.kind for found in result.mismatches] == ["memory"]
    assert result.trace is not None
    assert len(result.trace.exits) == 2


@pytest.mark.parametrize(
    ("then", "what"),
    [
        (["snapshot: a", "run_again: true"], "a snapshot"),
        (["run_again: true", "restore: a"], "going on from a snapshot"),
    ],
)
def test_a_snapshot_has_no_flash_that_reads_as_no_memory(then: list[str], what: str) -> None:
    before = "before: [snapshot: a]\n"
    first, second = then
    result = run(
        f"{before}expect:\n- exits:\n"
        f"  - mmio: {{write: flash, then: [{first}]}}\n"
        f"  - mmio: {{write: flash, then: [run_again: true]}}\n"
        f"  - mmio: {{write: flash, then: [{second}]}}\n"
        f"  - {WRITE}\n"
    )
    assert result.verdict == "not-modelled"
    assert result.reason == f"not modelled: {what} while the flash `flash` does not read as memory"


def test_a_snapshot_has_a_flash_that_reads_as_memory() -> None:
    result = run(
        "before: [snapshot: a]\nexpect:\n- exits:\n"
        f"  - {WRITE}\n"
        "  - mmio: {write: flash, then: [snapshot: b, restore: a]}\n"
        "  - mmio: {write: flash, len: 4, data: 0x98}\n"
    )
    assert result.verdict == "pass"
