"""Macros are written out here as GNU as would, and what has no end is refused."""

from __future__ import annotations

import pytest
from vcpu_scenario.assembly.expansion import Expander
from vcpu_scenario.assembly.text import Refused, statements_of


def expanded(source: str) -> list[str]:
    return [s.code.strip() for s in Expander().expand(statements_of(source))]


MEANT = {
    ".macro m a, b=2\nadd \\a, \\a, #\\b\n.endm\nm x0\nm x1, 3\nm b=4, a=x2": [
        "add x0, x0, #2",
        "add x1, x1, #3",
        "add x2, x2, #4",
    ],
    ".macro m a b\nmov \\a, \\b\n.endm\nm x0 x1": ["mov x0, x1"],
    ".macro m a\nmov x0, \\a\n.endm\nm 1 + 2": ["mov x0, 1+2"],
    ".macro m a:vararg\n.byte \\a\n.endm\nm 1, 2, 3": [".byte 1, 2, 3"],
    ".macro m a\nl\\@: b\\a\\()q l\\@\n.endm\nm e\nm n": ["l0: beq l0", "l1: bnq l1"],
    ".irp r, x1, x2\nadd \\r, \\r, #1\n.endr": ["add x1, x1, #1", "add x2, x2, #1"],
    ".irpc c, 12\n.byte \\c\n.endr": [".byte 1", ".byte 2"],
    ".rept 2\nnop\n.endr": [".rept 2", "nop", ".endr"],
    ".macro o\n.macro i\nnop\n.endm\n.endm\no\ni": ["nop"],
    ".macro m\n.irp r, 1\n.byte \\r\n.endr\n.endm\nl: m": ["l:", ".byte 1"],
    '.macro m a\n.ascii "\\a"\n.endm\nm "x y"': ['.ascii "x y"'],
}


@pytest.mark.parametrize("source", MEANT)
def test_a_macro_is_written_out(source: str) -> None:
    assert expanded(source) == MEANT[source]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("source", "message"),
    [
        (".macro m\nm\n.endm\nm", "calls itself"),
        (".macro a\nb\n.endm\n.macro b\na\n.endm\na", "calls itself"),
        (".macro m\nnop", "has no `.endm`"),
        (".irp r, 1\nnop", "has no `.endr`"),
        (".macro m a:req\nnop\n.endm\nm", "needs a value for `a`"),
        (".macro m\n.endm\nm 1", "too many arguments"),
        (".macro m\n.endm\n.macro m\n.endm", "there already"),
        (
            "\n".join(f".macro m{n}\nm{n + 1}\nm{n + 1}\n.endm" for n in range(25))
            + "\n.macro m25\nnop\n.endm\nm0",
            "macros make more than",
        ),
    ],
)
def test_what_has_no_meaning_or_no_end_is_refused(source: str, message: str) -> None:
    with pytest.raises(Refused, match=message):
        expanded(source)
