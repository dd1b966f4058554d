"""Random words of each class, with FP on and off: what each does is as on the recorded CPU.

Held to ``words.json.xz``: QEMU 7.2's Cortex-A57, by Debian's kernels. All that is recorded is tried
by ``python -m tests.words``, a tenth of it here.
"""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from tests.words.classes import CLASSES
from tests.words.classes import words as of_class
from tests.words.recorded import recorded
from tests.words.surveys import PER_DIGEST, Sweep, digests, emulated, sweeps

CPU = "cortex-a57"


def differing(sweep: Sweep, found: Sequence[str]) -> list[str]:
    """The words among which one differs, or that the memory does."""
    real = recorded()[CPU][sweep.title]
    return [
        " ".join(f"{word:08x}" for word in sweep.words[at * PER_DIGEST :][:PER_DIGEST]) or "memory"
        for at, (one, other) in enumerate(zip(found, real, strict=True))
        if one != other
    ]


@pytest.mark.slow
@pytest.mark.parametrize("sweep", list(sweeps(1)), ids=lambda sweep: sweep.title)
def test_each_word_does_what_it_does_on_the_recorded_cpu(sweep: Sweep) -> None:
    assert not differing(sweep, digests(emulated(sweep)))


def test_a_class_has_the_same_words_for_good() -> None:
    assert of_class("loads and stores", 0, 3) == of_class("loads and stores", 0, 3)
    assert all(of_class(name, 0, 3) != of_class(name, 1, 3) for name in CLASSES)


def test_every_sweep_is_recorded() -> None:
    assert {sweep.title for sweep in sweeps(1)} <= set(recorded()[CPU])
