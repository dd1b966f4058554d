"""Guest code of the tests: the words kept are those of its assembly."""

from __future__ import annotations

import pytest
from vcpu_scenario.assembly.assemblers import Assembler

from tests import guests
from tests.guests import binary, listed, words


def test_the_words_of_every_guest_are_kept_and_no_others() -> None:
    assert set(guests.kept()) == guests.texts(), "run `python -m tests.guests`"


@pytest.mark.slow
def test_every_assembler_makes_the_words_kept(assembler: Assembler) -> None:
    kept = guests.kept()
    found = {text: guests.assembled(text, assembler) for text in kept}
    assert found == kept


def test_a_text_is_the_same_however_its_lines_are_broken() -> None:
    assert words("nop") == (0xD503201F,)
    assert binary("nop;   b .") == binary("\n  nop\n  b .\n")
    assert listed("nop; b .") == "[0xd503201f, 0x14000000]"


def test_a_text_without_words_says_how_they_are_made() -> None:
    new = "mov x0, x0; mov x0, x0"
    with pytest.raises(KeyError, match=r"python -m tests\.guests"):
        guests.words(new)
