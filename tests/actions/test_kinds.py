"""One table has everything that there is to say of an action."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import get_args

from vcpu_scenario.actions import KINDS
from vcpu_scenario.case import Action

SCHEMAS = Path(__file__).parents[2] / "schemas"


def test_each_kind_of_action_is_in_the_table_once() -> None:
    records = [kind.record for kind in KINDS]
    assert sorted(map(str, records)) == sorted(map(str, get_args(Action)))


def test_the_schema_has_the_keys_of_the_table_and_what_may_stand_there() -> None:
    """``UPDATE_GOLDEN=1`` writes them into the schemas."""
    keys = {key: schema for kind in KINDS for key, schema in kind.schema.items()}
    for path in SCHEMAS.glob("*.json"):
        schema = json.loads(path.read_text())
        if os.environ.get("UPDATE_GOLDEN"):
            schema["definitions"]["action"]["properties"] = keys
            path.write_text(json.dumps(schema, indent=2, ensure_ascii=False) + "\n")
        assert schema["definitions"]["action"]["properties"] == keys
