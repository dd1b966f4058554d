"""From Python's mappings and lists to the text of a scenario.

Written for YAML 1.2's core schema as :mod:`vcpu_scenario.language.yaml12` reads it: a string that
another rule could take for something else is quoted, and code stands line by line, so that
whatever is wrong with it has a line of its own.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

import yaml

_PLAIN: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*\Z")
_WORDS: Final = frozenset({"true", "false", "null", "yes", "no", "on", "off", "y", "n"})
"""Read as something else than strings, by YAML 1.2 or by readers of YAML 1.1."""


_TYPES: Final = (type(None), bool, int, float, str, list, tuple, dict)


class _Dumper(yaml.SafeDumper):
    # PyYAML also knows bytes, sets and dates, which are no types of YAML 1.2's core schema;
    # under the key None it keeps what refuses a type.
    yaml_representers = {  # noqa: RUF012  the name and the kind are PyYAML's
        kind: represent
        for kind, represent in yaml.SafeDumper.yaml_representers.items()
        if kind is None or kind in _TYPES
    }

    def ignore_aliases(self, data: Any) -> bool:
        return True

    def represent_string(self, text: str) -> yaml.ScalarNode:
        if "\n" in text:
            style = "|"
        elif _PLAIN.match(text) and text.lower() not in _WORDS:
            style = ""
        else:
            style = '"'
        return self.represent_scalar("tag:yaml.org,2002:str", text, style=style)

    def represent_number(self, number: int) -> yaml.ScalarNode:
        return self.represent_int(int(number))


_Dumper.add_representer(str, _Dumper.represent_string)
_Dumper.add_multi_representer(str, _Dumper.represent_string)
_Dumper.add_multi_representer(int, _Dumper.represent_number)  # IntEnum: uAPI names
_Dumper.add_multi_representer(dict, _Dumper.represent_dict)


def dump(document: Mapping[str, Any]) -> str:
    """The text of ``document``, ended by a line break.

    Raises :class:`TypeError` for a value that YAML has no type for, and :class:`ValueError` for
    one that holds itself.
    """
    try:
        text: str = yaml.dump(
            document, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=1 << 30
        )
    except yaml.representer.RepresenterError as error:
        value = error.args[1] if len(error.args) > 1 else error
        raise TypeError(f"a scenario holds no {type(value).__name__}: {value!r}") from None
    except RecursionError:
        raise ValueError("the scenario is nested too deep, or holds itself") from None
    return text
