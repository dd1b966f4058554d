"""What an editor asks for while a scenario is written, besides its faults."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import pytest
from vcpu_scenario.authoring.whole import formatted
from vcpu_scenario.kernels.release import KNOWN_RELEASES
from vcpu_scenario.kernels.rules import BY_NAME
from vcpu_scenario.language.schema import scenario_schema

from tests.editor.marked import cursor

from .client import Editor
from .conftest import ROOT

pytestmark = pytest.mark.slow  # a language server is asked

SCHEMA = scenario_schema()
EXITS = SCHEMA["definitions"]["exit"]["properties"]
HEAD = """\
title: t
guest:
  code: |
    start: mov x0, #0x09000000
    poll:  ldr w1, [x0, #0x18]
           brk #7
  symbols: {buffer: 0x40008000}
devices:
  uart: {handled_by: userspace, model: pl011, at: 0x09000000}
debug: {software_breakpoints: true}
"""


def applied(text: str, edit: dict[str, Any]) -> str:
    """``text``, all of its characters of one unit, after an edit within one line."""
    lines = text.split("\n")
    start, end = edit["range"]["start"], edit["range"]["end"]
    assert start["line"] == end["line"]
    line = lines[start["line"]]
    lines[start["line"]] = line[: start["character"]] + edit["newText"] + line[end["character"] :]
    return "\n".join(lines)


def offered(editor: Editor, path: Path, text: str) -> dict[str, str]:
    """What may stand at the cursor ``‸``, each with the text after it was chosen."""
    plain, line, column = cursor(text)
    editor.open(path, plain)
    items = editor.ask("completion", path, line, column)["items"]
    editor.shut(path)
    return {item["label"]: applied(plain, item["textEdit"]) for item in items}


@pytest.mark.parametrize(
    ("text", "some", "none"),
    [
        ("expect:\n  - exits:\n      - ‸\n", set(EXITS), {"title"}),
        ("expect:\n  - exits:\n      - de‸\n", {"debug"}, set()),
        ("expect:\n  - exits:\n      - mmio: {read: 1, l‸}\n", {"len"}, {"read"}),
        ("expect:\n  - exits:\n      - mmio: {l‸, read: 1}\n", {"len"}, {"read"}),
        ("expect:\n  - exits:\n      - mmio: {read: 1, l‸\n", {"len"}, {"read"}),
        ("expect:\n  - exits:\n      - mmio:\n          ‸\n", {"len", "read"}, set()),
        ("expect:\n  - exits:\n      - debug: {step: ‸}\n", {"poll", "start", "uart"}, {"mmio"}),
        ("expect:\n  - exits:\n      - debug: {step: p‸\n", {"poll", "buffer"}, {"7"}),
        ("expect:\n  - exits:\n      - mmio: {read: uart+‸}\n", {"uart+FR", "uart+DR"}, set()),
        ("expect:\n  - stops: [‸]\n", {"poll"}, set()),
        ("expect:\n  - kernels: ‸\n", set(KNOWN_RELEASES) | {"latest", "lts"}, {"poll"}),
        ('expect:\n  - kernels: ">=‸"\n', {"6.12"}, {"poll"}),
        ("expect:\n  - exits:\n      - debug: {step: {‸}}\n", {"else", "qemu", "5.10"}, set()),
        ("observe: [‸]\n", {"x0", "pc", "vbar_el1"}, {"poll"}),
        ("before:\n  - set: {‸}\n", {"x0", "sp_el0"}, {"poll"}),
        ("before:\n  - set: {x0: ‸}\n", {"poll", "buffer"}, {"x1"}),
        ("tags: [‸]\n", set(BY_NAME), {"poll"}),
        ("vmm: [‸]\n", {"plain", "qemu"}, set()),
        ("after_brk: ‸\n", {"continue", "skip", "stay"}, set()),
        ("limits:\n  ‸\n", {"exits", "instructions"}, {"title"}),
        ("‸\n", {"expect", "matrix"}, {"title", "guest", "debug"}),
        ("exp‸\n", {"expect"}, set()),
    ],
)
def test_what_may_stand_at_the_cursor(
    text: str, some: set[str], none: set[str], shared: Editor, path: Path
) -> None:
    found = offered(shared, path, HEAD + text)
    assert some <= set(found)
    assert not none & set(found)


CODE = HEAD.replace("           brk #7\n", "           LINE\n           brk #7\n")


@pytest.mark.parametrize(
    ("line", "chosen", "after"),
    [
        ("ldr x2, =ua‸", "uart", "ldr x2, =uart"),
        ("ldr x2, =uart+‸", "uart+FR", "ldr x2, =uart+FR"),
        ("ldr x2, [x0, #uart+F‸]", "uart+FR", "ldr x2, [x0, #uart+FR]"),
        ("ldr x2, [x0, #uart+FR-ua‸rt]", "uart", "ldr x2, [x0, #uart+FR-uart]"),
        ("b ‸", "poll", "b poll"),
        ("b po‸ // again", "poll", "b poll // again"),
    ],
)
def test_code_is_offered_labels_devices_and_their_registers(
    line: str, chosen: str, after: str, shared: Editor, path: Path
) -> None:
    found = offered(shared, path, CODE.replace("LINE", line))
    assert found[chosen] == CODE.replace("LINE", after)
    assert "guest" not in found


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("ldr x2, =ua‸rt", "device `uart`"),
        ("ldr x2, =uart+F‸R", "register `uart+FR`: `0x9000018`"),
        ("b po‸ll", "label `poll`: `ldr w1, [x0, #0x18]`"),
    ],
)
def test_a_name_in_code_is_explained_and_leads_to_its_definition(
    line: str, words: str, shared: Editor, path: Path
) -> None:
    plain, row, column = cursor(CODE.replace("LINE", line))
    shared.open(path, plain)
    assert words in shared.ask("hover", path, row, column)["contents"]["value"]
    if "register" not in words:
        place = shared.ask("definition", path, row, column)["range"]["start"]["line"]
        assert plain.split("\n")[place].strip().startswith(words.split("`")[1])


def test_a_device_that_is_half_written_hides_no_label(shared: Editor, path: Path) -> None:
    text = HEAD.replace("handled_by: userspace", "handled_by: {}")
    assert "poll" in offered(shared, path, f"{text}before: [set: {{x0: ‸}}]\n")


@pytest.mark.parametrize(
    "text",
    ["# a comment ‸\n", "about: |\n  some prose ‸\n", "about: some prose\n  and ‸\n"],
)
def test_nothing_is_offered_in_prose(text: str, shared: Editor, path: Path) -> None:
    assert offered(shared, path, HEAD + text) == {}


@pytest.mark.parametrize(
    ("before", "chosen", "after"),
    [
        ("before:\n  - set: {x0: po‸}\n", "poll", "before:\n  - set: {x0: poll}\n"),
        ("before:\n  - set: {x0: uart+F‸}\n", "uart+FR", "before:\n  - set: {x0: uart+FR}\n"),
        ("lim‸\n", "limits", "limits: \n"),
        ("lim‸: {}\n", "limits", "limits: {}\n"),
        ("kernels: 5‸\n", "5.10", 'kernels: "5.10"\n'),
        ('kernels: ">=5‸"\n', "5.10", 'kernels: ">=5.10"\n'),
    ],
)
def test_what_is_chosen_takes_the_place_of_the_word(
    before: str, chosen: str, after: str, shared: Editor, path: Path
) -> None:
    assert offered(shared, path, HEAD + before)[chosen] == HEAD + after


@pytest.mark.parametrize(
    ("wrong", "right"),
    [
        ("gest: 1", "guest: 1"),
        ("expect: [exits: [debug: {step: pol+4}]]", "expect: [exits: [debug: {step: poll+4}]]"),
        ("after_brk: contnue", "after_brk: continue"),
        ("observe: [vbar_el2x]", None),
        ("observe: [X1]", "observe: [x1]"),
        (
            "expect: [exits: [mimo: {read: 1, len: 4}]]",
            "expect: [exits: [mmio: {read: 1, len: 4}]]",
        ),
        (
            "expect: [exits: [mmio: {read: uart+FRR, len: 4}]]",
            "expect: [exits: [mmio: {read: uart+FR, len: 4}]]",
        ),
        ('kernels: "5.0-5.10"', 'kernels: "5.0..5.10"'),
        ("data: [{at: 0x40000000, quads: [uartt]}]", "data: [{at: 0x40000000, quads: [uart]}]"),
        (
            'default_reply: 1\nmatrix: {width: [1]}\nobserve: ["${widht}"]',
            'default_reply: 1\nmatrix: {width: [1]}\nobserve: ["${width}"]',
        ),
    ],
)
def test_a_fix_writes_what_was_meant(
    wrong: str, right: str | None, shared: Editor, path: Path
) -> None:
    text = f"{HEAD}{wrong}\n"
    shared.open(path, text)
    found = shared.faults(path)
    meant = [each for each in found if "did you mean" in each["message"]]
    actions = [
        action
        for fault in meant
        for action in shared.of(
            "codeAction", path, range=fault["range"], context={"diagnostics": []}
        )
    ]
    assert bool(actions) == bool(meant)
    if right is not None:
        ((edit,),) = (each["edit"]["changes"][path.as_uri()] for each in actions)
        assert applied(text, edit) == f"{HEAD}{right}\n"


def test_what_needs_quotes_is_quoted(shared: Editor, path: Path) -> None:
    text = f"{HEAD}kernels: 5.10\n"
    shared.open(path, text)
    (fault,) = shared.faults(path)
    (action,) = shared.fixes(path, fault)
    (edit,) = action["edit"]["changes"][path.as_uri()]
    assert applied(text, edit) == f'{HEAD}kernels: "5.10"\n'


def test_a_key_of_old_is_renamed(shared: Editor, path: Path) -> None:
    text = f"{HEAD}expect:\n  - exits:\n      - mmio: {{read: uart, len: 4, do: []}}\n"
    shared.open(path, text)
    (fault,) = (each for each in shared.faults(path) if "another name" in each["message"])
    (action,) = shared.fixes(path, fault)
    (edit,) = action["edit"]["changes"][path.as_uri()]
    assert "len: 4, then: []" in applied(text, edit)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("expect: [exits: [debug: {step: po‸ll}]]\n", (4, 4, 8)),
        ("expect: [exits: [debug: {step: po‸ll+4}]]\n", (4, 4, 8)),
        ("expect: [exits: [mmio: {read: ua‸rt+FR, len: 4}]]\n", (8, 2, 6)),
        ("before: [set: {x0: buf‸fer}]\n", (6, 12, 18)),
        ('matrix: {width: [1]}\nobserve: ["${wi‸dth}"]\n', (10, 9, 14)),
        ("before: [set: {x‸0: 1}]\n", None),
    ],
)
def test_a_name_leads_to_its_definition(
    text: str, wanted: tuple[int, int, int] | None, shared: Editor, path: Path
) -> None:
    plain, line, column = cursor(HEAD + text)
    shared.open(path, plain)
    found = shared.ask("definition", path, line, column)
    if wanted is None:
        assert found is None
        return
    assert found["uri"] == path.as_uri()
    start, end = found["range"]["start"], found["range"]["end"]
    assert (start["line"], start["character"], end["character"]) == wanted
    assert end["line"] == start["line"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("debug: {single‸_step: true}\n", "KVM_GUESTDBG_SINGLESTEP"),
        ("tags: [step_exit‸_faked]\n", "Kernels: 4.15..4.20"),
        ("before: [set: {x0: po‸ll}]\n", "label `poll`: `ldr w1, [x0, #0x18]`"),
    ],
)
def test_a_word_is_explained(text: str, words: str, shared: Editor, path: Path) -> None:
    plain, line, column = cursor(HEAD.replace("debug: {software_breakpoints: true}\n", "") + text)
    shared.open(path, plain)
    assert words in shared.ask("hover", path, line, column)["contents"]["value"]


@pytest.mark.parametrize(
    ("wrong", "right"), [("=uatr+FR", "=uart+FR"), ("=uart+FRR", "=uart+FR"), ("=pol", "=poll")]
)
def test_a_fix_writes_what_was_meant_in_code(
    wrong: str, right: str, shared: Editor, path: Path
) -> None:
    text = CODE.replace("LINE", f"ldr x2, {wrong}")
    shared.open(path, text)
    (fault,) = shared.faults(path)
    (action,) = shared.fixes(path, fault)
    (edit,) = action["edit"]["changes"][path.as_uri()]
    assert applied(text, edit) == CODE.replace("LINE", f"ldr x2, {right}")


def test_an_exit_is_shown_on_each_release_with_the_rule_behind_it(shared: Editor) -> None:
    path = ROOT / "scenarios/thread/pl011-write-step.vcpu.yaml"
    text = path.read_text()
    shared.open(path, text)
    assert shared.faults(path) == []
    at = text[: text.index("mmio: {read: uart+FR")].split("\n")
    said = shared.ask("hover", path, len(at) - 1, len(at[-1]) + 1)["contents"]["value"]
    assert "| 4.14 to 4.19 | MMIO read of 4 bytes from uart+0x18 at busy |" in said
    assert "`mmio_skip_at_completion`" in said
    assert "0d640732dbeb" in said
    assert said == shared.ask("hover", path, len(at) - 1, len(at[-1]) + 1)["contents"]["value"]
    shared.shut(path)


def test_an_exit_that_does_not_come_so_is_told(shared: Editor, path: Path) -> None:
    plain, line, column = cursor(
        f"{HEAD}expect:\n  - exits:\n      - mmio: {{read: uart+FR, len: 4}}\n"
        "      - deb‸ug: {brk: poll+4, imm: 8}\n"
    )
    shared.open(path, plain)
    assert shared.faults(path) == []
    said = shared.ask("hover", path, line, column)["contents"]["value"]
    assert "debug exit, BRK #0x7 at poll+0x4; hsr is not EC 0x3c (BRK #0x8)" in said
    assert "- 5.19 to 7.3: `debug_hsr_high`" in said


def test_a_lens_runs_its_clause_and_shows_what_came(shared: Editor, path: Path) -> None:
    text = (
        f"{HEAD}expect:\n"
        '  - kernels: "<5.0"\n    exits: [mmio: {read: uart+FR, len: 4}]\n'
        "  - exits: [mmio: {read: uart+DR, len: 4}]\n"
    )
    shared.open(path, text)
    assert shared.faults(path) == []

    def titles() -> list[tuple[int, str]]:
        found = shared.of("codeLens", path)
        return [(each["range"]["start"]["line"], each["command"]["title"]) for each in found]

    ready = "▶ run these cases"
    assert titles() == [(0, "▶ run all cases"), (11, ready), (13, ready)]
    good, bad = (each["command"] for each in shared.of("codeLens", path)[1:])
    shared.request("workspace/executeCommand", good)
    assert shared.shown(path) == []
    shared.request("workspace/executeCommand", bad)
    (fault,) = shared.shown(path)
    assert fault["source"] == "scenario run"
    assert fault["range"]["start"]["line"] == 13
    first, passed, failed = (title for _, title in titles())
    assert first == "▶ run all cases"
    assert passed.startswith("✓ ")
    assert failed.startswith("✗ ")
    assert "failed" in failed
    shared.change(path, text + "\n")
    assert shared.faults(path) == []
    assert [title for _, title in titles()][1:] == [ready] * 2


def test_a_lens_that_is_pressed_again_runs_the_guest_as_it_is_now(
    shared: Editor, path: Path
) -> None:
    guest, brk, nop = path.parent / "guest.bin", 0xD4200000, 0xD503201F
    guest.write_bytes(struct.pack("<II", brk, nop))
    text = "title: t\nguest: {binary: guest.bin}\ndebug: {software_breakpoints: true}\n"
    shared.open(path, f"{text}expect:\n  - exits: [debug: {{brk: 0x40000000}}]\n")
    assert shared.faults(path) == []
    shared.run(path, None)
    assert shared.shown(path) == []
    guest.write_bytes(struct.pack("<II", nop, brk))
    shared.run(path, None)
    assert shared.shown(path) != []


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_formatting_is_that_of_fmt(end: str, shared: Editor, path: Path) -> None:
    text = (HEAD.replace("debug: {software", "debug:   {software") + "vmm: plain\n").replace(
        "\n", end
    )
    shared.open(path, text)
    (edit,) = shared.of("formatting", path, options={"tabSize": 2, "insertSpaces": True})
    assert edit["newText"] == formatted(text, path)
    assert edit["newText"] != text
    assert edit["range"]["start"] == {"line": 0, "character": 0}
    assert edit["range"]["end"] == {"line": text.count("\n"), "character": 0}
    shared.change(path, edit["newText"])
    assert shared.of("formatting", path, options={"tabSize": 2, "insertSpaces": True}) is None


def test_what_cannot_be_formatted_is_left(shared: Editor, path: Path) -> None:
    shared.open(path, "title: [\n")
    assert shared.of("formatting", path, options={"tabSize": 2, "insertSpaces": True}) is None
