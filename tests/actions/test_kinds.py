"""One table has everything that there is to say of an action."""

from __future__ import annotations

import json
from pathlib import Path
from typing import get_args

import pytest
from vcpu_scenario.actions import KINDS, write
from vcpu_scenario.actions.kind import Unwritable
from vcpu_scenario.case import Action
from vcpu_scenario.ioctls.vcpu import SetIrqLine

from tests import goldenfiles

SCHEMAS = Path(__file__).parents[2] / "schemas"


def test_each_kind_of_action_is_in_the_table_once() -> None:
    records = [kind.record for kind in KINDS]
    assert sorted(map(str, records)) == sorted(map(str, get_args(Action)))


def test_the_schema_has_the_keys_of_the_table_and_what_may_stand_there() -> None:
    """``./test.sh --golden`` writes them into the schemas."""
    keys = {key: schema for kind in KINDS for key, schema in kind.schema.items()}
    schema = json.loads((SCHEMAS / "scenario.schema.json").read_text())
    if goldenfiles.are_renewed():
        schema["definitions"]["action"]["properties"] = keys
        for path in SCHEMAS.glob("*.json"):
            path.write_text(json.dumps(schema, indent=2, ensure_ascii=False) + "\n")
    for path in SCHEMAS.glob("*.json"):
        schema = json.loads(path.read_text())
        assert schema["definitions"]["action"]["properties"] == keys


@pytest.mark.parametrize("irq", [2, 0xFFFF, 3 << 24, 1 << 16 | 32])
def test_a_line_that_the_language_has_no_word_for_is_refused_when_it_is_written(irq: int) -> None:
    with pytest.raises(Unwritable):
        write(SetIrqLine(irq, 1))
