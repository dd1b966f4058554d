"""What ``scenario fmt`` writes: the one style, and the author's own layout within it."""

from __future__ import annotations

import pytest
from vcpu_scenario.authoring.concrete import Unusual
from vcpu_scenario.authoring.formatting import formatted

TITLE = "title: a brk\n"
GUEST = "\nguest:\n  words: [0xd4200000]\n"


def fmt(text: str) -> str:
    """``text`` as it is written; what is written is written so again."""
    result = formatted(text, "made.vcpu.yaml")
    assert formatted(result, "made.vcpu.yaml") == result
    return result


def same(text: str) -> None:
    assert fmt(text) == text


STYLE = {
    "keys come in the order of the schema": (
        "guest:\n  words: [0xd4200000]\n  at: 0\n\nabout: why\ntitle: a brk\n",
        "title: a brk\nabout: why\n\nguest:\n  at: 0\n  words: [0xd4200000]\n",
    ),
    "so do those in brackets": (
        f"{TITLE}debug: {{software_breakpoints: true, enable: true}}\n{GUEST}",
        f"{TITLE}{GUEST}\ndebug: {{enable: true, software_breakpoints: true}}\n",
    ),
    "an unknown key comes last": (
        "colour: blue\ntitle: a brk\n",
        "title: a brk\n\ncolour: blue\n",
    ),
    "names have the author's order": (
        f"{TITLE}matrix: {{b: [1], a: [2]}}\n{GUEST}",
        f"{TITLE}\nmatrix: {{b: [1], a: [2]}}\n{GUEST}",
    ),
    "a scenario of JSON gets its blocks": (
        '{"title": "a brk", "guest": {"words": [1]}, "expect": [{"exits": [{"debug": {}}]}]}',
        '"title": "a brk"\n\n"guest":\n  "words": [1]\n\n'
        '"expect":\n  - "exits":\n      - "debug": {}\n',
    ),
    "what always has a block gets it": (
        f"{TITLE}guest: {{words: [1]}}\nexpect: [{{exits: [debug: {{brk: 0}}], stops: [0]}}]\n",
        f"{TITLE}\nguest:\n  words: [1]\n\n"
        "expect:\n  - exits:\n      - debug: {brk: 0}\n    stops:\n      - 0\n",
    ),
    "an empty list stays in brackets": (
        f"{TITLE}{GUEST}expect: [ {{ exits: [ ] }} ]\n",
        f"{TITLE}{GUEST}\nexpect:\n  - exits: []\n",
    ),
    "actions in brackets have no braces": (
        f"{TITLE}{GUEST}\nbefore: [{{immediate_exit: true}}, {{set: {{x1: 1}}}}]\n",
        f"{TITLE}{GUEST}\nbefore: [immediate_exit: true, set: {{x1: 1}}]\n",
    ),
    "blanks are where they belong": (
        "title:    a brk   \nguest:\n      words: [ 1,2 ,3 ]\n",
        "title: a brk\n\nguest:\n  words: [1, 2, 3]\n",
    ),
    "a list is indented": (
        f"{TITLE}origin:\n- a\n- b\n{GUEST}",
        f"{TITLE}origin:\n  - a\n  - b\n{GUEST}",
    ),
    "a block is moved with its text": (
        "title: a brk\nguest:\n     code: |\n            start: nop\n\n              brk #0\n",
        "title: a brk\n\nguest:\n  code: |\n    start: nop\n\n      brk #0\n",
    ),
    "blank lines do not pile up": (
        f"\n\n{TITLE}\n\n\nabout: why\n\n\n{GUEST}\n\n",
        f"{TITLE}\nabout: why\n{GUEST}",
    ),
    "a block at the top is set off": (
        f"{TITLE}guest:\n  words: [1]\ndebug: {{}}\nobserve: [x1]\n",
        f"{TITLE}\nguest:\n  words: [1]\n\ndebug: {{}}\nobserve: [x1]\n",
    ),
    "ranges of kernels have quotes": (
        f"{TITLE}kernels: 4.15..4.20\n{GUEST}expect: [{{kernels: [4.15..5.0, '>=6.1']}}]\n",
        f'{TITLE}kernels: "4.15..4.20"\n{GUEST}\nexpect:\n  - kernels: ["4.15..5.0", ">=6.1"]\n',
    ),
    "names have none": (
        f"""{TITLE}tags: ['mmio', "single-step"]\nvmm: ["plain"]\n{GUEST}""",
        f"{TITLE}tags: [mmio, single-step]\nvmm: [plain]\n{GUEST}",
    ),
    "texts have double ones": (
        f"{TITLE}about: 'why: it is so'\n"
        f"origin: ['one: \"two\"', \"a \\\"b\\\" c\", 'it''s']\n{GUEST}",
        f'{TITLE}about: "why: it is so"\norigin: [\'one: "two"\', \'a "b" c\', "it\'s"]\n{GUEST}',
    ),
    "what YAML 1.1 takes for a boolean keeps them": (
        f"{TITLE}tags: ['on', 'no', \"y\"]\n{GUEST}",
        f'{TITLE}tags: ["on", "no", "y"]\n{GUEST}',
    ),
}


@pytest.mark.parametrize("rule", STYLE)
def test_the_style_has_it_that(rule: str) -> None:
    before, after = STYLE[rule]
    assert fmt(before) == after


KEPT = {
    "a block where brackets would do": f"{TITLE}{GUEST}\ndebug:\n  single_step: true\n",
    "line breaks in brackets": (
        f"{TITLE}\ndata:\n  - {{at: 0, quads: [1, 2,\n    3, 4,\n    5, 6]}}\n{GUEST}"
    ),
    "how numbers are written": (
        f"{TITLE}{GUEST}\ndefault_reply: 0x8877_6655_4433_2211\nlimits: {{exits: 007}}\n"
    ),
    "anchors and aliases": (
        f'{TITLE}{GUEST}\nexpect:\n  - kernels: "5.0"\n    final: &end\n      regs: {{x1: 1}}\n'
        "  - final: *end\n"
    ),
    "an order that an alias needs": (
        f"{TITLE}{GUEST}\nexpect:\n  - final: {{regs: &r {{x1: 1}}}}\n    stops:\n"
        "      - {at: 0, regs: *r}\n"
    ),
    "a text folded over lines": (
        f'{TITLE}about: "one\n  two"\norigin:\n  - three\n    four\n{GUEST}'
    ),
    "a folded block with its own header": (
        f"{TITLE}about: >-  # folded\n  one\n  two\n\n  three\n{GUEST}"
    ),
    "blanks that a block scalar starts with": f"{TITLE}about: |2\n    one\n  two\n{GUEST}",
    "blank lines that a block scalar keeps": f"{TITLE}about: |+\n  one\n\n\nguest:\n  words: [1]\n",
    "blanks at the end of a line of code": f"{TITLE}\nguest:\n  code: |\n    nop   \n    brk #0\n",
    "a parameter in quotes": (
        f'{TITLE}\nmatrix: {{w: [1]}}\n\nguest:\n  words: ["${{w}}"]\n  regs: {{x1: "${{w}}"}}\n'
    ),
}


@pytest.mark.parametrize("what", KEPT)
def test_the_author_decides_on(what: str) -> None:
    same(KEPT[what])


COMMENTS = {
    "above and behind everything": (
        "# yaml-language-server: $schema=s.json\n# of the file\n"
        "title: a brk  # of the title\n# of tags\n"
        "tags: [a]     # far away\n\n# of the guest\n\n# too\nguest:  # a block\n  # first\n"
        "  words: [1]  # behind\n\n  # after the last\n\n# between\n\nexpect:\n  # a clause\n"
        "  - exits:\n      # an exit\n      - debug: {}  # behind it\n      # no more exits\n"
        "    # no more of the clause\n  # no more clauses\n# the end\n"
    ),
    "within brackets": (f"{TITLE}\nmatrix:\n  w: [1,  # one\n    # two\n    2]  # all\n{GUEST}"),
    "aligned by the author": (
        f"{TITLE}{GUEST}\nlimits:\n  exits: 1       # a\n  repeats: 100   # b\n"
    ),
}


@pytest.mark.parametrize("where", COMMENTS)
def test_comments_stay(where: str) -> None:
    same(COMMENTS[where])


def test_comments_go_with_what_they_are_about() -> None:
    before = (
        "# of the file\ntitle: a brk\n# about debug\ndebug: {}  # behind debug\n"
        "# about the guest\nguest:\n"
        "  # about words\n  words: [1]\n  # about at\n  at: 0  # behind at\n"
    )
    after = (
        "# of the file\ntitle: a brk\n\n# about the guest\nguest:\n"
        "  # about at\n  at: 0  # behind at\n  # about words\n  words: [1]\n\n"
        "# about debug\ndebug: {}  # behind debug\n"
    )
    assert fmt(before) == after


def test_a_comment_between_a_key_and_its_value_goes_above() -> None:
    before = f"{TITLE}about:\n  # why\n  because\norigin:\n  - # here\n    there\n{GUEST}"
    after = f"{TITLE}# why\nabout: because\norigin:\n  # here\n  - there\n{GUEST}"
    assert fmt(before) == after


def test_lines_that_are_too_long_are_filled() -> None:
    regs = ", ".join(f"x{n}: 0x{n:016x}" for n in range(6))
    note = "n" * 80
    exit_ = f"debug: {{step: 0, regs: {{{regs}}}, note: {note}}}"
    lines = fmt(f"{TITLE}{GUEST}\nexpect:\n  - exits:\n      - {exit_}\n").splitlines()[7:]
    assert lines[0].startswith("      - debug: {step: 0, regs: {x0: 0x0000000000000000,")
    assert all(len(line) <= 100 for line in lines)
    assert all(line.startswith(" " * 10) for line in lines[1:])
    assert lines[-1] == f"          note: {note}}}"


def test_what_is_longer_than_a_line_has_one_to_itself() -> None:
    note = "n" * 120
    assert fmt(
        f"{TITLE}{GUEST}\nexpect:\n  - exits:\n      - debug: {{step: 0, note: {note}}}\n"
    ).endswith(f"      - debug: {{step: 0,\n          note: {note}}}\n")


@pytest.mark.parametrize("breaks", ["\r\n", "\r", "\n"])
def test_lines_end_alike(breaks: str) -> None:
    assert fmt(f"{TITLE}about: |\n  one\n  two\n{GUEST}".replace("\n", breaks)).count("\r") == 0


@pytest.mark.parametrize("last", ["  two", "  two\n   ", "  two\n    three"])
def test_a_text_that_ends_with_the_file_gets_no_line_break(last: str) -> None:
    """The file does."""
    before = f"title: a brk\nabout: |\n  one\n{last}"
    assert fmt(before) == f"title: a brk\nabout: |-\n  one\n{last}\n"


def test_a_byte_order_mark_goes() -> None:
    assert fmt(f"\ufeff{TITLE}{GUEST}") == f"{TITLE}{GUEST}"


@pytest.mark.parametrize(
    ("text", "what"),
    [
        (f"%YAML 1.2\n---\n{TITLE}", "directives and document markers"),
        (f"---\n{TITLE}", "directives and document markers"),
        (f"{TITLE}...\n", "directives and document markers"),
        ("[1, 2]\n", "something other than keys at its top"),
        ("? |\n  a\n: 1\n", "a key of several lines"),
        (
            f"{TITLE}expect:\n  - &a\n    exits: []\n",
            "an anchor or a tag on an item of several lines",
        ),
    ],
)
def test_what_has_no_form_in_the_style_is_left_alone(text: str, what: str) -> None:
    with pytest.raises(Unusual, match=what):
        fmt(text)
