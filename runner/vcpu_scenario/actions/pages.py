"""Pages of the VMM's memory that are gone until they are touched."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from vcpu_scenario.actions.kind import Kind, Name, Node, Reader, fields, of
from vcpu_scenario.actions.slots import SLOT, list_of_pages, read_pages, slot_number
from vcpu_scenario.ioctls.memory import DiscardMemory, GetUserfaults
from vcpu_scenario.machine.errors import Unexpected
from vcpu_scenario.machine.interface import Machine


def _read_discard(key: str, node: Node, reader: Reader) -> Iterable[DiscardMemory]:
    asked = dict(reader.entries(node))
    yield DiscardMemory(slot_number(asked, reader), reader.flag(asked.get("userfaultfd")))


def _write_discard(action: DiscardMemory) -> dict[str, Any]:
    entry: dict[str, Any] = {"slot": action.slot}
    return {"discard_memory": entry | ({"userfaultfd": True} if action.userfaultfd else {})}


def _discard_words(action: DiscardMemory, name: Name) -> str:
    how = ", with a userfaultfd" if action.userfaultfd else ""
    return f"madvise(MADV_DONTNEED) of the memory of slot {action.slot}{how}"


def _read_faults(key: str, node: Node, reader: Reader) -> Iterable[GetUserfaults]:
    asked = dict(reader.entries(node))
    pages, written = (read_pages(asked.get(key), reader) for key in ("pages", "written"))
    if others := [str(page) for page in written if page not in pages]:
        found, expected = ", ".join(others), "some of `pages`, which are all that were asked for"
        reader.complain(
            "no such page is expected", asked["written"], found=found, expected=expected
        )
    yield GetUserfaults(slot_number(asked, reader), pages, written)


def _write_faults(action: GetUserfaults) -> dict[str, Any]:
    entry: dict[str, Any] = {"slot": action.slot, "pages": list(action.pages)}
    return {"userfaults": entry | ({"written": list(action.written)} if action.written else {})}


def _faults(machine: Machine, action: GetUserfaults) -> None:
    told = machine.memory.userfaults(action.slot)
    found = (
        tuple(sorted({page for page, _ in told})),
        tuple(sorted({page for page, write in told if write})),
    )
    if found != (action.pages, action.written):
        raise Unexpected(
            f"the userfaultfd of slot {action.slot} was asked for {_said(*found)}, "
            f"expected {_said(action.pages, action.written)}"
        )


def _said(pages: tuple[int, ...], written: tuple[int, ...]) -> str:
    """Pages in words."""
    words = (f"{page} by a write" if page in written else str(page) for page in pages)
    return ", ".join(words) or "none"


KINDS: Final = (
    Kind(
        DiscardMemory,
        schema={
            "discard_memory": fields(
                "madvise(MADV_DONTNEED) of the VMM's memory of a slot, which is zero from then on.",
                ["slot"],
                slot=SLOT,
                userfaultfd=of(
                    "flag",
                    "A userfaultfd puts each page back as it was when it is "
                    "touched. Default: false.",
                    default=False,
                ),
            )
        },
        read=_read_discard,
        write=_write_discard,
        perform=lambda machine, action: machine.memory.discard(action),
        words=_discard_words,
    ),
    Kind(
        GetUserfaults,
        schema={
            "userfaults": fields(
                "What the userfaultfd of a slot was asked for since this was expected last, but "
                "for what the VMM itself touched.",
                ["slot", "pages"],
                slot=SLOT,
                pages=list_of_pages("The pages: these and no others."),
                written=list_of_pages("Those of them that were asked for by a write."),
            )
        },
        read=_read_faults,
        write=_write_faults,
        perform=_faults,
        words=lambda action, name: f"the userfaultfd of slot {action.slot}",
    ),
)
