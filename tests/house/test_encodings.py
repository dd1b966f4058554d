"""The encoding of a system register stands in one place, ``arm64/sysregs.py``."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterator
from typing import Any, Final

import pytest
from vcpu_scenario.arm64 import sysregs

from .picture import PACKAGE

PLACE: Final = PACKAGE / "arm64/sysregs.py"
_LIMITS: Final = (range(1, 4), range(8), range(16), range(16), range(8))
"""op0 to op2. The bits of other tables have more members, or begin with 0."""


def encodings(text: str) -> Iterator[tuple[Any, int]]:
    """What may be an encoding, as a tuple, a list or the arguments of a call, with its line."""
    for node in ast.walk(ast.parse(text)):
        match node:
            case ast.Tuple(elts=parts) | ast.List(elts=parts) | ast.Call(args=parts, keywords=[]):
                values = tuple(p.value for p in parts if isinstance(p, ast.Constant))
            case _:
                continue
        if len(values) == len(parts) == len(_LIMITS) and all(
            type(value) is int and value in limit
            for value, limit in zip(values, _LIMITS, strict=True)
        ):
            yield values, node.lineno


@pytest.mark.parametrize(
    "text", ["f((3, 0, 1, 0, 0))", "sys_reg(3, 0, 1, 0, 0)", "[3, 0, 1, 0, 0]"]
)
def test_an_encoding_is_found_however_it_is_written(text: str) -> None:
    assert list(encodings(text)) == [(sysregs.SCTLR_EL1, 1)]


@pytest.mark.slow
def test_no_other_module_has_one() -> None:
    elsewhere = [
        f"{path.relative_to(PACKAGE)}:{line}: {values}"
        for path in sorted(PACKAGE.rglob("*.py"))
        if path != PLACE
        for values, line in encodings(path.read_text(encoding="utf-8"))
    ]
    assert elsewhere == [], "give it a name in arm64/sysregs.py"


def test_no_register_has_two_names() -> None:
    counts = Counter(values for values, _ in encodings(PLACE.read_text(encoding="utf-8")))
    assert len(counts) > 100
    assert [values for values, count in counts.items() if count > 1] == []
