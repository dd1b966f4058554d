"""What the schema and the scenario itself say may stand at a place, and what it means."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from typing import Any, Final, NamedTuple

from vcpu_scenario.kernels.hosts import MODES
from vcpu_scenario.kernels.hosts import WORDS as HOSTS
from vcpu_scenario.kernels.release import KNOWN_RELEASES, WORDS
from vcpu_scenario.kernels.rules import BY_NAME
from vcpu_scenario.kvm.registers import ALIASES, CORE_REGISTERS, OTHER_REGISTERS, SYSTEM_REGISTERS
from vcpu_scenario.language.devices import read_devices
from vcpu_scenario.language.nodes import Map, Scalar, text_of, value_at
from vcpu_scenario.language.problems import Problems
from vcpu_scenario.language.schema import check, scenario_schema
from vcpu_scenario.language.scope import Scope
from vcpu_scenario.language.wrongvalue import choices
from vcpu_scenario.report.cite import commit_words
from vcpu_scenario.vmm.vmms import VMMS

Schema = Mapping[str, Any]
Path = Sequence[str | int]

LABEL: Final = re.compile(r"^[ \t]*([A-Za-z_.$][\w.$]*):", re.MULTILINE)
"""A label at the beginning of a line of code."""


class Word(NamedTuple):
    """Something that may stand at a place: what it is, in a word, and what it means."""

    text: str
    kind: str
    about: str = ""
    quote: bool = False
    """YAML would take it for something else without quotes."""


def schema_at(path: Path) -> Schema | None:
    """The schema of what a path of keys and numbers leads to, with what is said at its place."""
    found: Schema | None = scenario_schema()
    for step in path:
        if found is None:
            return None
        if isinstance(step, int):
            below = found.get("items")
        else:
            below = found.get("properties", {}).get(step, found.get("additionalProperties"))
        found = _resolved(below) if isinstance(below, dict) else None
    return found


def _resolved(schema: Schema) -> Schema:
    """A schema with its definition's words, its own before them; ``$name`` is that definition's."""
    reference = schema.get("$ref")
    if reference is None:
        return schema
    name = reference.rpartition("/")[2]
    target = _resolved(scenario_schema()["definitions"][name])
    return {**target, **schema, "$name": name, "$says": target.get("description", "")}


def about(path: Path) -> str:
    """What a key, or the item at a number, is for."""
    schema = schema_at(path)
    if schema is None:
        return ""
    own, defined = schema.get("description", ""), schema.get("$says", "")
    parts = [own] if own == defined or not defined else [own, defined]
    values = values_of(schema)
    if values:
        parts.append("One of: " + ", ".join(f"`{value}`" for value in values) + ".")
    return "\n\n".join(filter(None, parts))


def values_of(schema: Schema) -> list[str]:
    """The words that a scalar has to be one of; none where it may be anything else."""
    items = schema.get("items", {})
    listed = schema.get("enum") or items.get("enum") or choices(schema) or choices(items)
    if not listed and "boolean" in _types(schema) and "integer" not in _types(schema):
        listed = (True, False)
    return [str(value).lower() if isinstance(value, bool) else str(value) for value in listed]


def _types(schema: Schema) -> list[str]:
    declared = schema.get("type", [])
    return [declared] if isinstance(declared, str) else list(declared)


def keys_at(path: Path) -> list[Word]:
    """The keys that the mapping at a path may have."""
    schema = schema_at(path)
    if schema is None:
        return []
    found = [
        Word(name, "key", _resolved(below).get("description", ""))
        for name, below in schema.get("properties", {}).items()
    ]
    names = schema.get("propertyNames", {}).get("$ref", "")
    if names.endswith("/case_key"):
        found += [*_kernels(), *_vmms(), *_hosts(), Word("else", "key", "In all other cases.")]
    elif _of_registers(path):
        found += registers()
    return found


def values_at(path: Path, root: Map | None, symbols: Iterable[str]) -> list[Word]:
    """The values that may stand at a path."""
    schema = schema_at(path)
    if schema is None:
        return []
    found = [Word(value, "value") for value in values_of(schema)]
    name = re.sub("_(by|in)_case$", "", schema.get("$name", ""))
    last = next((step for step in reversed(path) if isinstance(step, str)), "")
    if name in ("address", "stop"):
        found += addresses(root, symbols)
    elif name == "kernels":
        found += _kernels()
    elif last == "observe":
        found += registers()
    elif last == "tags":
        found += [Word(rule, "rule", rule_about(rule)) for rule in BY_NAME]
    return found


def _of_registers(path: Path) -> bool:
    """Whether the keys of a mapping are names of registers: its values are addresses, and it has no
    key that the schema names."""
    schema = schema_at(path) or {}
    below = schema.get("additionalProperties")
    described = isinstance(below, dict) and "register" in below.get("description", "")
    return described and "propertyNames" not in schema


def addresses(root: Map | None, symbols: Iterable[str]) -> list[Word]:
    """Labels, symbols and devices of a scenario, and the registers of its devices."""
    found = [Word(name, "label", f"`{code}`" if code else "") for name, code in labels(root)]
    known = {word.text for word in found}
    found += [Word(name, "label") for name in symbols if name not in known]
    # Of what is being written only the devices that the schema has nothing against can be read.
    sound = check(root, Problems()) if root is not None else None
    devices = value_at(sound, "devices")
    if isinstance(devices, Map):
        read = read_devices(devices, Scope(Problems()))
        for key, _ in devices.entries:
            found.append(Word(key.text, "device"))
            for name, address in read.registers.get(key.text, {}).items():
                found.append(Word(f"{key.text}+{name}", "register", f"`{address:#x}`"))
    return found


def labels(root: Map | None) -> Iterator[tuple[str, str]]:
    """Each label of the code with what stands behind it, and each symbol with its value."""
    guest = root.get("guest") if root is not None else None
    if not isinstance(guest, Map):
        return
    code = guest.get("code")
    if isinstance(code, Scalar):
        for found in LABEL.finditer(code.text):
            rest = code.text[found.end() :].partition("\n")[0]
            yield found[1], " ".join(rest.split("//")[0].split()).replace("`", "'")
    symbols = guest.get("symbols")
    if isinstance(symbols, Map):
        for key, value in symbols.entries:
            yield key.text, text_of(value)


@cache
def registers() -> tuple[Word, ...]:
    """Every register that has a name."""
    names = dict.fromkeys([*CORE_REGISTERS, *ALIASES, *OTHER_REGISTERS, *SYSTEM_REGISTERS])
    return tuple(Word(name, "register") for name in names)


@cache
def _kernels() -> tuple[Word, ...]:
    known = [Word(name, "kernel", quote=True) for name in reversed(KNOWN_RELEASES)]
    meant = [Word(word, "kernel", ", ".join(kernels)) for word, kernels in WORDS.items()]
    return (*known, *meant)


@cache
def _vmms() -> tuple[Word, ...]:
    return tuple(Word(name, "value", "A VMM.") for name in VMMS)


@cache
def _hosts() -> tuple[Word, ...]:
    modes = {mode.name: f"{mode.summary}." for mode in MODES.values()}
    return tuple(Word(name, "value", modes.get(name, "A host.")) for name in HOSTS)


@cache
def rule_about(name: str) -> str:
    """What a rule is, where it holds and which commits brought it, in Markdown."""
    rule = BY_NAME.get(name)
    if rule is None:
        return ""
    commits = [f"- {commit_words(commit)}" for commit in rule.commits]
    held = f"Kernels: {', '.join(rule.kernels)}" if rule.kernels else ""
    return "\n\n".join(filter(None, [rule.summary, held, "\n".join(commits)]))
