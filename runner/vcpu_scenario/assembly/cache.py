"""Assembled words kept beside a scenario, so that an unchanged one runs without an assembler.

``mmio.vcpu.yaml`` has its words in ``mmio.words.json``: one entry for each source (a matrix may
make several), keyed by a digest of source and address. Within an entry every instruction is a row
of address, word and line of the source; data are rows of address and bytes; what no row covers is
zero. So a change of one instruction is a change of one row.
"""

from __future__ import annotations

import errno
import hashlib
import json
from collections.abc import Collection, Iterable, Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from vcpu_scenario.assembly.assembled import Assembled
from vcpu_scenario.host.reading import Unreadable, read_json, read_regular
from vcpu_scenario.host.writing import write_whole

if TYPE_CHECKING:
    from vcpu_scenario.assembly.process import Call

FORMAT = 1
MAX_FILE = 16 << 20
MAX_VALUES = 1 << 20
MAX_CODE = 16 << 20
"""Bytes of code in an entry, as the assembly itself is bounded."""

_SUFFIX = ".vcpu.yaml"
_ROW_BYTES = 16
_MAX_LINE = 1 << 20
_MAX_ADDRESS = (1 << 64) - 1


def words_path(scenario: Path) -> Path:
    """The file with the words of ``scenario``."""
    name = scenario.name
    stem = name[: -len(_SUFFIX)] if name.endswith(_SUFFIX) else scenario.stem
    return scenario.with_name(f"{stem}.words.json")


def digest(source: str, base: int) -> str:
    """What an entry is kept under."""
    text = f"{FORMAT} {base:x}\n{source}".encode("utf-8", "surrogatepass")
    return hashlib.sha256(text).hexdigest()[:32]


def cached(path: Path, source: str, base: int) -> Assembled | None:
    """The words kept for ``source`` at ``base`` of the scenario ``path``, if there are any.

    A file that cannot be read as words counts as none: :func:`differences` says what is wrong.
    """
    entry = _entries(words_path(path)).get(digest(source, base))
    try:
        return None if entry is None else _decode(entry, base)
    except (ValueError, TypeError, KeyError, AttributeError, IndexError):
        return None


def assemble(source: str, base: int, begun: Call | None = None) -> Assembled:
    """Assembles; imports the assembly where kept words do not serve."""
    from vcpu_scenario.assembly.assemble import assemble as assemble_now

    return assemble_now(source, base, begun)


def assemble_for(path: Path, source: str, base: int) -> Assembled:
    """The words kept beside the scenario ``path``, else what an assembler makes of ``source``.

    Writes nothing. Raises :class:`~vcpu_scenario.assembly.assembled.AssemblerError` and
    :class:`~vcpu_scenario.assembly.assembled.NoAssembler`.
    """
    return cached(path, source, base) or assemble(source, base)


def store(path: Path, entries: Mapping[tuple[str, int], Assembled]) -> bool:
    """Keep ``entries``, by (source, base), and nothing else for the scenario ``path``.

    True if that changed the file; without entries there is no file.
    """
    target = words_path(path)
    if not entries:
        existed = target.exists()
        target.unlink(missing_ok=True)
        return existed
    text = _document(entries)
    if _text(target) == text:
        return False
    _check_inside(target)
    write_whole(target, text.encode())
    return True


def _check_inside(target: Path) -> None:
    """A link that came with a scenario must not lead what is written anywhere else."""
    if target.resolve().parent != target.parent.resolve():
        raise OSError(errno.EXDEV, "It is a link that leads out of the scenario's folder")


def refresh(path: Path, sources: Iterable[tuple[str, int]]) -> bool:
    """Assemble each (source, base) again and keep the result; True if that changed the file."""
    return store(path, {(source, base): assemble(source, base) for source, base in sources})


def differences(path: Path, sources: Iterable[tuple[str, int]]) -> list[str]:
    """What :func:`refresh` would change, one sentence each; empty if nothing."""
    target = words_path(path)
    wanted = dict.fromkeys(sources)
    kept = _entries(target)
    found = []
    for source, base in wanted:
        key = digest(source, base)
        fresh = assemble(source, base)
        old = cached(path, source, base)
        if key not in kept:
            found.append(f"the words at {base:#x} are not kept (entry {key})")
        elif old is None:
            found.append(f"entry {key} cannot be read")
        else:
            found += [f"entry {key}: {text}" for text in _compare(old, fresh)]
    stale = kept.keys() - {digest(source, base) for source, base in wanted}
    found += [f"entry {key} belongs to no source of the scenario" for key in sorted(stale)]
    text = _text(target)
    if not found and text is not None and not wanted:
        found.append("the scenario has no source to assemble")
    if not found and wanted:
        entries = {key: assemble(*key) for key in wanted}
        if text != _document(entries):
            found.append("not in the form in which it would be written")
    return [f"{target}: {sentence}" for sentence in found]


def _compare(old: Assembled, fresh: Assembled) -> Iterator[str]:
    if len(old.code) != len(fresh.code):
        yield f"{len(old.code)} bytes are kept, {len(fresh.code)} assembled"
    elif old.code != fresh.code:
        at = next(i for i in range(len(old.code)) if old.code[i] != fresh.code[i]) & ~3
        kept, made = (int.from_bytes(c[at : at + 4], "little") for c in (old.code, fresh.code))
        yield f"offset {at:#x} is kept as {kept:08x}, assembled as {made:08x}"
    if old.symbols != fresh.symbols:
        yield "the symbols differ"
    if old.lines != fresh.lines:
        yield "the line maps differ"


def _text(path: Path) -> str | None:
    try:
        return read_regular(path, MAX_FILE).decode()
    except ValueError:
        return None


def _entries(path: Path) -> dict[str, Any]:
    try:
        status = path.stat()
    except OSError:
        return {}
    return _read(path, status.st_mtime_ns, status.st_size)


@lru_cache(maxsize=64)
def _read(path: Path, _modified: int, _size: int) -> dict[str, Any]:
    try:
        document = read_json(path, MAX_FILE, MAX_VALUES)
    except Unreadable:
        return {}
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        return {}
    sources = document.get("sources")
    return sources if isinstance(sources, dict) else {}


def _document(entries: Mapping[tuple[str, int], Assembled]) -> str:
    encoded = {
        digest(source, base): _encode(assembled, base)
        for (source, base), assembled in entries.items()
    }
    document = {"format": FORMAT, "sources": dict(sorted(encoded.items()))}
    return json.dumps(document, indent=1, ensure_ascii=False) + "\n"


def _encode(assembled: Assembled, base: int) -> dict[str, Any]:
    return {
        "base": f"{base:#x}",
        "size": len(assembled.code),
        "symbols": {name: f"{value:#x}" for name, value in assembled.symbols.items()},
        "rows": list(_rows(assembled, base)),
    }


def _rows(assembled: Assembled, base: int) -> Iterator[str]:
    code, lines = assembled.code, assembled.lines
    at = 0
    while at < len(code):
        line = lines.get(base + at)
        if (
            line is not None
            and at + 4 <= len(code)
            and not any(base + at + offset in lines for offset in (1, 2, 3))
        ):
            yield f"{base + at:x} {int.from_bytes(code[at : at + 4], 'little'):08x} {line}"
            at += 4
            continue
        end = at + 1
        while end < len(code) and end - at < _ROW_BYTES and base + end not in lines:
            end += 1
        data = code[at:end]
        if line is not None:
            yield f"{base + at:x} ={data.hex()} {line}"
        elif any(data):
            yield f"{base + at:x} ={data.hex()}"
        at = end


def _decode(entry: dict[str, Any], base: int) -> Assembled:
    size, rows, names = entry["size"], entry["rows"], entry["symbols"]
    if int(entry["base"], 16) != base:
        raise ValueError("assembled to run elsewhere")
    if type(size) is not int or not 0 <= size <= MAX_CODE:
        raise ValueError(f"{size} bytes of code")
    if not isinstance(rows, list) or not isinstance(names, dict):
        raise TypeError("no rows or no symbols")
    code = bytearray(size)
    lines: dict[int, int] = {}
    for row in rows:
        address, value, *line = row.split()
        at = int(address, 16) - base
        data = bytes.fromhex(value[1:]) if value[0] == "=" else bytes.fromhex(value)[::-1]
        if at < 0 or at + len(data) > size:
            raise ValueError(f"row at {address} is outside")
        code[at : at + len(data)] = data
        if line:
            lines[base + at] = int(line[0])
    symbols = {name: int(value, 16) for name, value in names.items()}
    _check_within(lines.values(), 1, _MAX_LINE)
    _check_within(symbols.values(), 0, _MAX_ADDRESS)
    return Assembled(bytes(code), MappingProxyType(symbols), MappingProxyType(lines))


def _check_within(numbers: Collection[int], low: int, high: int) -> None:
    if numbers and not low <= min(numbers) <= max(numbers) <= high:
        raise ValueError(f"{min(numbers)} to {max(numbers)} is not from {low} to {high}")
