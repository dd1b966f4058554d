from __future__ import annotations

import pytest
from vcpu_scenario.arm64.disassembly import disassemble


@pytest.mark.parametrize(
    ("word", "text"),
    [
        (0xD2A12000, "mov x0, #0x9000000"),
        (0xB9401801, "ldr w1, [x0, #0x18]"),
        (0x14000004, "b #0x40000010"),
        (0xD42000E0, "brk #7"),
        (0xD503201F, "nop"),
        (0xF8200041, "ldadd x0, x1, [x2]"),
        (0xFFFFFFFF, ".inst 0xffffffff"),
        (0x0000_0001_D503_201F, "nop"),
    ],
)
def test_a_word_is_an_instruction_or_said_not_to_be(word: int, text: str) -> None:
    assert disassemble(word, 0x4000_0000) == text


def test_there_is_text_at_any_address() -> None:
    assert disassemble(0x17FFFFFF, 0) == "b #0xfffffffffffffffc"
    assert disassemble(0x14000001, (1 << 64) - 4)
    assert disassemble(0x14000001, 1 << 70)
