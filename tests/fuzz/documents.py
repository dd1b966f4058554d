"""Documents for the loader: shipped scenarios changed, the schema filled at random, mere bytes."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from random import Random
from typing import Any, Final

from vcpu_scenario.actions.kind import Unwritable
from vcpu_scenario.analysis.generate import generate
from vcpu_scenario.language.schema import scenario_schema
from vcpu_scenario.language.write import write

Schema = Mapping[str, Any]

_ROOT: Final = Path(__file__).parents[2]
_FOLDERS: Final = ("scenarios", "tests/cli/data", "tests/language/golden")

TOKENS: Final = (
    "&a ",
    "*a",
    "&a [*a]",
    "<<: *a",
    "!!python/object/apply:os.system [id]",
    "!!binary aGk=",
    "!!set {a}",
    "!<tag:yaml.org,2002:str> x",
    "${x}",
    "${width}",
    "${",
    "9" * 400,
    "9" * 5000,
    "0x" + "f" * 100,
    "-0x1",
    "1e999",
    ".inf",
    ".nan",
    "0b1",
    "1:30",
    "017",
    "~",
    "null",
    "true",
    "yes",
    "[",
    "]",
    "{",
    "}",
    "[" * 300,
    "{a: " * 300,
    "- " * 300,
    "? ",
    ": ",
    "| ",
    "|9\n",
    ">-\n",
    "%YAML 1.1\n---\n",
    "---\n",
    "...\n",
    "# ",
    "\t",
    "\x00",
    "\x7f",
    "\x85",
    "\u2028",
    "\ufeff",
    "\U0001f600",
    "\r",
    "'",
    '"',
    '"\\ud800"',
    '"\\x00"',
    "start+0x",
    "start - 99999999999999999999",
    "uart+",
    "../../etc/passwd",
    "/etc/passwd",
    "link",
    "loop",
    "pipe",
    "folder",
    "folder/../data.bin",
    "data.bin",
    "guest.elf",
    "big.bin",
    "./data.bin",
    "data.bin/x",
    "\\\\host\\share",
    "a" * 5000,
    "0xffff_ffff_ffff_ffff",
    "1TiB",
    "1048576TiB",
    ">=5.0 <",
    "5.0..",
    "999999.99999.9.9",
    "6.12-v2trap",
    "matrix: {a: [1, 2, 3], b: [1, 2, 3], c: [x, y]}\n",
    "matrix: {a: [" + "1, " * 2000 + "1]}\n",
    "expect: [" + "{}, " * 70 + "{}]\n",
)

ASSEMBLY: Final = (
    '.incbin "/etc/passwd"',
    '.include "/etc/passwd"',
    ".rept 1000000000\nnop\n.endr",
    ".space 1 << 40",
    ".org 0xffffffffffff",
    ".macro m\nm\n.endm\nm",
    ".irp x, 1, 2\n.quad \\x\n.endr",
    "b nowhere",
    "ldr x0, =0x123456789",
    ".section .other\nnop",
    ".balign 1 << 30",
    "1: b 1b",
    ".if 1",
    ".err",
    "adrp x0, start",
    "mov x0, #0x123456789abcdef0",
    "x" * 3000,
)


def document(seed: int) -> bytes:
    """The input of this seed."""
    random = Random(f"fuzz loader {seed}")
    kind = random.random()
    if kind < 0.6:
        return _changed(random)
    if kind < 0.9:
        text = _shaped(random)
        return text.encode(errors="surrogatepass")
    return _bytes(random)


@cache
def corpus(*folders: str) -> tuple[str, ...]:
    """The scenarios in these folders of the project."""
    files = [file for folder in folders for file in sorted((_ROOT / folder).rglob("*.vcpu.yaml"))]
    return tuple(file.read_text() for file in files if file.stat().st_size < 20_000)


@cache
def _all_words() -> bytes:
    """The words kept for every scenario of the corpus, as one file."""
    sources: dict[str, Any] = {}
    for folder in _FOLDERS:
        for file in sorted((_ROOT / folder).rglob("*.words.json")):
            sources |= json.loads(file.read_text()).get("sources", {})
    return json.dumps({"format": 1, "sources": sources}, indent=1).encode()


def kept_words(seed: int) -> bytes:
    """A file of kept words: a good one mostly, else a damaged one."""
    random = Random(f"fuzz words {seed}")
    words = _all_words()
    kind = random.random()
    if kind < 0.7:
        return words
    if kind < 0.95:
        return _flipped(words, random)
    return _bytes(random)


def _changed(random: Random) -> bytes:
    kind = random.random()
    if kind < 0.65:
        text = random.choice(corpus("scenarios"))
    elif kind < 0.85:
        text = random.choice(corpus(*_FOLDERS))
    else:
        text = _generated(random)
    for change in random.choices(_CHANGES, k=random.choice((0, 1, 1, 1, 2, 2, 3, 5))):
        text = change(text, random)
    raw = text.encode(errors="surrogatepass")
    return _flipped(raw, random) if random.random() < 0.1 else raw


def _generated(random: Random) -> str:
    try:
        return write(generate(random.getrandbits(32)), title="generated")
    except Unwritable:
        return corpus(_FOLDERS[0])[0]


def _token(text: str, random: Random) -> str:
    token = random.choice(ASSEMBLY if random.random() < 0.05 else TOKENS)
    at = random.randrange(len(text) + 1)
    return text[:at] + token + text[at:]


def _value(text: str, random: Random) -> str:
    """Another value for some key."""
    lines = text.split("\n")
    at = random.randrange(len(lines))
    key, colon, _ = lines[at].partition(": ")
    if colon:
        lines[at] = f"{key}: {random.choice(TOKENS)}"
    return "\n".join(lines)


def _lines(text: str, random: Random) -> str:
    """A line less, a line twice, a line elsewhere, a line further in."""
    lines = text.split("\n")
    at, to = random.randrange(len(lines)), random.randrange(len(lines))
    kind = random.randrange(5)
    if kind == 0:
        del lines[at]
    elif kind == 1:
        lines.insert(to, lines[at])
    elif kind == 2:
        lines[at], lines[to] = lines[to], lines[at]
    elif kind == 3:
        lines[at] = " " * random.randrange(8) + lines[at].lstrip()
    else:
        other = random.choice(corpus(*_FOLDERS)).split("\n")
        lines[at:to] = random.choices(other, k=random.randrange(1, 6))
    return "\n".join(lines)


def _piece(text: str, random: Random) -> str:
    """A piece less, or in another place."""
    if not text:
        return text
    start = random.randrange(len(text))
    piece = text[start : start + random.randrange(1, 40)]
    rest = text[:start] + text[start + len(piece) :]
    if random.random() < 0.4:
        return rest
    at = random.randrange(len(rest) + 1)
    return rest[:at] + piece + rest[at:]


def _number(text: str, random: Random) -> str:
    digits = [n for n, char in enumerate(text) if char.isdigit()]
    if not digits:
        return text
    at = random.choice(digits)
    new = random.choice(("0", "9", "-1", "99999999999", "0xfffffffffffff000", "", "1.5", "x"))
    return text[:at] + new + text[at + 1 :]


_CHANGES: Final[tuple[Callable[[str, Random], str], ...]] = (
    _token,
    _value,
    _value,
    _lines,
    _lines,
    _piece,
    _number,
    _number,
)


def _flipped(raw: bytes, random: Random) -> bytes:
    data = bytearray(raw)
    for _ in range(random.randrange(1, 5)):
        if data:
            data[random.randrange(len(data))] = random.getrandbits(8)
    return bytes(data)


def _bytes(random: Random) -> bytes:
    kind = random.randrange(4)
    if kind == 0:
        return random.randbytes(random.choice((0, 1, 10, 1000)))
    if kind == 1:
        return random.choice(corpus(*_FOLDERS)).encode(
            random.choice(("utf-16", "utf-32", "utf-16-le"))
        )
    if kind == 2:
        return "".join(random.choices(TOKENS, k=random.randrange(1, 40))).encode()
    return bytes(random.choices(b"[]{}:,-&*!|>'\"%@` \n\tab01", k=random.randrange(1, 3000)))


# -- the schema filled at random -------------------------------------------------------------------

_NUMBERS: Final = (0, 1, 2, 4, 8, 16, 33, 0x1000, 0x10000, 0x4000_0000, 0x0900_0000, 1 << 40, -1)
_TEXTS: Final = (
    "start",
    "done+4",
    "uart",
    "x0",
    "x30",
    "sp",
    "pc",
    "vbar_el1",
    "s3_0_c15_c0_0",
    ">=5.0",
    "6.12",
    "4.14..5.10",
    "data.bin",
    "guest.elf",
    "1f 20 03 d5",
    "4KiB",
    "0x40000000",
    "a text",
    "EINVAL",
    "${p}",
)
_DEEPEST: Final = 9


def _shaped(random: Random) -> str:
    """JSON is YAML, and mostly what the schema asks for."""
    schema = scenario_schema()
    value = _fill(schema, schema, random, 0)
    if isinstance(value, dict):
        value.setdefault("title", "shaped")
        if random.random() < 0.9:
            value["guest"] = _guest(random)
        if random.random() < 0.5:
            value.pop("matrix", None)
    return json.dumps(value, indent=random.choice((None, 1)), ensure_ascii=random.random() < 0.5)


def _guest(random: Random) -> dict[str, Any]:
    words = [random.choice((0xD503201F, 0xD4200000, 0xD4000002, 0xB9400001)) for _ in range(4)]
    guest: dict[str, Any] = {"words": words, "symbols": {"start": 0x4000_0000, "done": 0x4000_0008}}
    if random.random() < 0.2:
        guest = {random.choice(("binary", "elf")): random.choice(("data.bin", "guest.elf", "link"))}
    if random.random() < 0.1:
        guest["symbols"] = random.choice(("guest.elf", "data.bin", "link", "gone", "../data.bin"))
    if random.random() < 0.3:
        guest[random.choice(("regs", "registers"))] = {
            "x0": random.choice(_NUMBERS),
            random.choice(_TEXTS): "start",
        }
    return guest


def _fill(node: Schema, root: Schema, random: Random, depth: int) -> Any:
    while "$ref" in node:
        node = root["definitions"][node["$ref"].rpartition("/")[2]]
    if random.random() < 0.03 or depth > _DEEPEST:
        return random.choice((None, True, [], {}, "", 1.5, *_NUMBERS, *_TEXTS))
    if "enum" in node and random.random() < 0.97:
        return random.choice(node["enum"])
    kinds = node.get("type", ["object"])
    kind = random.choice(kinds) if isinstance(kinds, list) else kinds
    return _FILL[kind](node, root, random, depth)


def _object(node: Schema, root: Schema, random: Random, depth: int) -> Any:
    properties = node.get("properties", {})
    wanted = [*node.get("required", ())]
    if node.get("maxProperties") == 1 and properties:
        wanted = [random.choice(list(properties))]
    else:
        chance = 0.5 if depth == 0 else 0.35
        wanted += [name for name in properties if name not in wanted and random.random() < chance]
    found = {name: _fill(properties[name], root, random, depth + 1) for name in wanted}
    more = node.get("additionalProperties")
    if isinstance(more, dict):
        names = (*_TEXTS, *map(str, _NUMBERS), "uart", "p", "bell", *_CASES)
        for _ in range(random.randrange(3)):
            found[random.choice(names)] = _fill(more, root, random, depth + 1)
    if random.random() < 0.03:
        found[random.choice(_TEXTS)] = random.choice(_NUMBERS)
    return found


def _array(node: Schema, root: Schema, random: Random, depth: int) -> Any:
    items = node.get("items", {})
    return [_fill(items, root, random, depth + 1) for _ in range(random.choice((0, 1, 1, 2, 3)))]


_CASES: Final = ("<5.0", "5.0..5.10, 6.1", ">=5.11", "qemu", "plain, qemu-2017", "p=1", "else")

_FILL: Final[dict[str, Callable[[Schema, Schema, Random, int], Any]]] = {
    "object": _object,
    "array": _array,
    "string": lambda node, root, random, depth: random.choice(_TEXTS),
    "integer": lambda node, root, random, depth: random.choice(_NUMBERS),
    "number": lambda node, root, random, depth: random.choice((0.1, 1, 0, -1, 1e9)),
    "boolean": lambda node, root, random, depth: random.random() < 0.5,
    "null": lambda node, root, random, depth: None,
}
