"""Files that a command is given by others: kept words, recordings and reports, damaged on purpose.

Each is a good one changed: a value replaced, a key taken away, bytes flipped, or no file of that
kind at all. Whatever stands there, a command ends with a status that is documented, says why, and
prints nothing that acts on a terminal or on the log of a CI job.
"""

from __future__ import annotations

import contextlib
import io
import json
import lzma
import os
import re
import shutil
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from random import Random
from typing import Any, Final

from vcpu_scenario.assembly.assemblers import VARIABLE
from vcpu_scenario.assembly.cache import words_path
from vcpu_scenario.cli import main

from tests.fuzz.finding import Finding, bounded

_ROOT: Final = Path(__file__).parents[2]
_SCENARIO: Final = _ROOT / "docs" / "examples" / "first.vcpu.yaml"
_COMMAND: Final = re.compile(r"^\s*::|##\[", re.MULTILINE)
_DOCUMENTED: Final = (0, 1, 2, 4, 5)

_RAW: Final = (
    *("Infinity", "-Infinity", "NaN", "1e999", "-1e999", "-1", "0", "1.5", "true", "null"),
    *("9" * 25, "9" * 5000, "-" + "9" * 400, '""', '"\\ud800"', '"\\u001b[2J"', '"::error::x"'),
    *('"##[error]"', '"0x"', '"zz"', '"' + "f" * 300 + '"', "[]", "{}", "[null]", "[[[[]]]]"),
    *('{"a": {}}', "[" * 40 + "]" * 40, "[" * 900 + "]" * 900, "[" * 90_000, '"\\u202e\\n"'),
    *('"/etc/passwd"', '"../../../etc/passwd"', '"/dev/zero"', '"\\udcff.vcpu.yaml"', '"/"'),
    *('"40000000 1f2003d5 -7"', '"40000000 =00"', '"fffffffffffffffff 0 1"', '"40000000 "'),
    *("18446744073709551616", "4294967296", "1000000000000", '"6.12"', '"brk #0\\n.incbin"'),
)
_HOLE: Final = "@hole@"


class PapersTarget:
    """Kept words, recordings and reports, in turn."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="scenario-fuzz-"))

    def run(self, seed: int) -> str:
        kind = list(_KINDS)[seed % len(_KINDS)]
        raw = paper(seed)
        return bounded(lambda: self.run_file(kind, raw, Random(f"fuzz place {seed}")))

    def run_file(self, kind: str, raw: bytes, random: Random) -> str:
        """Gives ``raw``, as a file of ``kind``, to the command that reads such files."""
        folder = Path(tempfile.mkdtemp(dir=self.folder))
        before, assembler = os.getcwd(), os.environ.get(VARIABLE)
        os.environ[VARIABLE] = "none"
        os.chdir(folder)
        try:
            return f"{kind}: {_KINDS[kind][1](raw, random)}"
        finally:
            os.chdir(before)
            if assembler is None:
                del os.environ[VARIABLE]
            else:
                os.environ[VARIABLE] = assembler
            shutil.rmtree(folder)

    def artefact(self, seed: int) -> tuple[str, bytes]:
        return f".{list(_KINDS)[seed % len(_KINDS)]}", paper(seed)

    def close(self) -> None:
        shutil.rmtree(self.folder)


def paper(seed: int) -> bytes:
    """The file of ``seed``."""
    random = Random(f"fuzz paper {seed}")
    good = _KINDS[list(_KINDS)[seed % len(_KINDS)]][0]()
    kind = random.random()
    if kind < 0.75:
        text = json.dumps(good)
        document = json.loads(text)
        holes = [random.choice(_RAW) for _ in range(random.choice((1, 1, 1, 2, 3)))]
        for _ in holes:
            document = _with_hole(document, random)
        text = json.dumps(document)
        for raw in holes:
            text = text.replace(f'"{_HOLE}"', raw, 1)
        whole = text.encode()
    else:
        whole = json.dumps(good).encode()
    if kind > 0.65:
        whole = _flipped(whole, random)
    return lzma.compress(whole, preset=0) if random.random() < 0.1 else whole


def _with_hole(document: Any, random: Random) -> Any:
    """``document`` with a random value replaced by a hole, or a key taken away or renamed."""
    node: Any = document
    path: list[tuple[Any, Any]] = []
    while isinstance(node, dict | list) and node and (not path or random.random() < 0.85):
        key = random.choice(list(node)) if isinstance(node, dict) else random.randrange(len(node))
        path.append((node, key))
        node = node[key]
    if not path:
        return _HOLE
    parent, key = path[-1]
    kind = random.random()
    if kind < 0.1:
        del parent[key]
    elif kind < 0.15 and isinstance(parent, dict):
        parent[random.choice(("", "\x1b", "x" * 300, "0x1", "-1"))] = parent.pop(key)
    else:
        parent[key] = _HOLE
    return document


def _flipped(raw: bytes, random: Random) -> bytes:
    changed = bytearray(raw)
    for _ in range(random.choice((1, 2, 5))):
        at = random.randrange(len(changed) + 1)
        changed[at : at + random.choice((0, 1, 4))] = random.choice(
            (b"", b"\xff", b"\x00", b'"', b"[", b"}", b"\xef\xbb\xbf", b"\xed\xa0\x80", b",,")
        )
    return bytes(changed[: random.randrange(len(changed))] if random.random() < 0.1 else changed)


def _command(*args: str) -> int:
    out = io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
        status = main(args)
    text = out.getvalue()
    if status not in _DOCUMENTED:
        raise Finding(f"{' '.join(args)}: status {status}: {text[-300:]}")
    acting = next((c for c in text if not c.isprintable() and c not in "\n\t"), "")
    if acting or (_COMMAND.search(text) and "html" not in args):
        raise Finding(f"{' '.join(args)}: prints what acts {acting!r}: {text[:300]!r}")
    return status


def _words(raw: bytes, random: Random) -> str:
    file = Path("first.vcpu.yaml")
    shutil.copy(_SCENARIO, file)
    _put(words_path(file), raw, random)
    args = random.choice(
        (("check",), ("list",), ("run", "--kernel", "6.12"), ("assemble", "--check"))
    )
    return str(_command(*args, str(file)))


def _recording(raw: bytes, random: Random) -> str:
    name = "recorded.json.xz" if raw.startswith(b"\xfd7zXZ") else "recorded.json"
    _put(Path(name), raw, random)
    return str(_command("conform", name))


def _report(raw: bytes, random: Random) -> str:
    for path in (_SCENARIO, words_path(_SCENARIO)):
        shutil.copy(path, path.name)
    _put(Path("report.json"), raw, random)
    form = random.choice(("text", "json", "junit", "ktap", "html"))
    return str(_command("merge", "report.json", "--format", form, "--output", "-"))


def _put(path: Path, raw: bytes, random: Random) -> None:
    """``raw`` in ``path``; now and then no regular file is there at all."""
    kind = random.random()
    if kind < 0.01:
        os.mkfifo(path)
    elif kind < 0.02:
        path.symlink_to(random.choice(("/dev/zero", "/dev/tty", "loop", "/proc/self/mem", "/")))
    elif kind < 0.025:
        with path.open("wb") as file:
            file.truncate(1 << 33)
    elif kind < 0.03:
        path.write_bytes(lzma.compress(b" " * (100 << 20), preset=0))
    else:
        path.write_bytes(raw)


@cache
def _good_words() -> Any:
    return json.loads(words_path(_SCENARIO).read_bytes())


@cache
def _good_recording() -> Any:
    with lzma.open(_ROOT / "tests" / "recorded" / "core.json.xz") as file:
        entries = json.load(file)
    small = sorted(entries, key=lambda entry: len(json.dumps(entry)))[:20]
    return [{**entry, "traces": entry["traces"][:1]} for entry in small[::10]]


@cache
def _good_report() -> Any:
    before = os.getcwd()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        try:
            for path in (_SCENARIO, words_path(_SCENARIO)):
                shutil.copy(path, path.name)
            args = ("--kernel", "6.12", "--shard", "1/1", "--format", "json", "--output", "r.json")
            main(("run", _SCENARIO.name, *args))
            return json.loads(Path("r.json").read_bytes())
        finally:
            os.chdir(before)


_Given = Callable[[bytes, Random], str]
_KINDS: Final[dict[str, tuple[Callable[[], Any], _Given]]] = {
    "words": (_good_words, _words),
    "recording": (_good_recording, _recording),
    "report": (_good_report, _report),
}
