"""The registers of an ITS, as a guest and as its VMM reads and writes them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from errno import EBUSY, EINVAL, ENXIO
from typing import Final, TypeAlias

from msgspec import Struct

from vcpu_scenario.machine.emulated.vgic.its import commands
from vcpu_scenario.machine.emulated.vgic.its.state import COLLECTIONS, DEVICES, Its
from vcpu_scenario.machine.emulated.vgic.its.tables import INDIRECT, VALID
from vcpu_scenario.machine.emulated.vgic.mmio import WORD, WORD_OR_LONG, Refused
from vcpu_scenario.machine.emulated.vgic.revision import IIDR
from vcpu_scenario.machine.emulated.vgic.tablebase import extract, sanitised, update

FRAMES: Final = 0x2_0000
"""Bytes of its two frames; there is nothing to read or write in the second."""
TRANSLATER: Final = 0x1_0040
_TYPER_AT, _IDENTITY_AT = 0x0008, 0xFFD0
"""Between them registers have 64 bits (``vgic_its_attr_regs_access``)."""
_TYPER: Final = 15 << 13 | 15 << 8 | 7 << 4 | 1
"""16 bits of devices and of events, entries of 8 bytes, physical LPIs."""
_ENABLE: Final = 1
_QUIESCENT: Final = 1 << 31
_INNER, _OUTER = 59, 53
_READ_ONLY: Final = 7 << 56 | 0x1F << 48
_PAGES_OF_64K: Final = 2 << 8
_COMMAND: Final = (1 << 20) - commands.SIZE
_IDENTITY: Final = {
    0x00: 0x40,
    0x10: 0x92,
    0x14: 0xB4,
    0x18: 0x3B,
    0x20: 0x0D,
    0x24: 0xF0,
    0x28: 0x05,
    0x2C: 0xB1,
}
"""GITS_PIDR4, PIDR0 to 2 and CIDR0 to 3, by their offsets from the first."""

_Read: TypeAlias = Callable[[Its, int], int]
_Write: TypeAlias = Callable[[Its, int, int], None]


class _Register(Struct, frozen=True):
    """One, or several beside each other; the functions are told which one by its offset from the
    first, and what is written is a whole register."""

    offset: int
    length: int
    read: _Read
    write: _Write
    wide: bool = True
    user_write: _Write | None = None


def _ignore(its: Its, at: int, value: int) -> None:
    pass


def _read_ctlr(its: Its, at: int) -> int:
    return its.enabled * _ENABLE | (its.creadr == its.cwriter) * _QUIESCENT


def _write_ctlr(its: Its, at: int, value: int) -> None:
    tables = its.device_table & its.collection_table & its.cbaser
    if not its.enabled and value & _ENABLE and not tables & VALID:
        return
    its.enabled = bool(value & _ENABLE)
    if not its.enabled:
        its.invalidate()
    _process(its)


def _restore_iidr(its: Its, at: int, value: int) -> None:
    """Of the ABIs of its tables there is one, 0."""
    if value >> 12 & 0xF:
        raise Refused(EINVAL)


def _write_cbaser(its: Its, at: int, value: int) -> None:
    if not its.enabled:
        its.cbaser = sanitised(value, its.features, _INNER, _OUTER) & ~(0xF << 12)
        its.creadr = its.cwriter = 0


def _commands_of(its: Its) -> int:
    """The bytes of the queue."""
    return ((its.cbaser & 0xFF) + 1) << 12


def _write_cwriter(its: Its, at: int, value: int) -> None:
    offset = value & _COMMAND
    if offset < _commands_of(its):
        its.cwriter = offset
        _process(its)


def _restore_creadr(its: Its, at: int, value: int) -> None:
    offset = value & _COMMAND
    if its.enabled:
        raise Refused(EBUSY)
    if offset >= _commands_of(its):
        raise Refused(EINVAL)
    its.creadr = offset


def _process(its: Its) -> None:
    """``vgic_its_process_commands``: a command that cannot be read is passed over."""
    base = its.cbaser & (1 << 52) - (1 << 12)
    its.begin()
    while its.enabled and its.cwriter != its.creadr:
        command = its.memory.read(base + its.creadr, commands.SIZE)
        if command is None:
            its.spend(1)
        else:
            commands.handle(its, command)
        its.creadr = (its.creadr + commands.SIZE) % _commands_of(its)


def _read_baser(its: Its, at: int) -> int:
    return {0: its.device_table, 8: its.collection_table}.get(at, 0)


def _write_baser(its: Its, at: int, value: int) -> None:
    if its.enabled or at > 8:
        return
    value &= ~(_READ_ONLY | 3 << 8 | (INDIRECT if at else 0))
    value |= 7 << 48 | _PAGES_OF_64K | (COLLECTIONS if at else DEVICES)
    value = sanitised(value, its.features, _INNER, _OUTER)
    changed = value != _read_baser(its, at)
    if at:
        its.collection_table = value
    else:
        its.device_table = value
    if changed if its.features.its_saves_what_it_can else not value & VALID:
        (its.forget_collections if at else its.forget_devices)()
        its.invalidate()


_REGISTERS: Final = (
    _Register(0x0000, 4, _read_ctlr, _write_ctlr, wide=False),
    _Register(0x0004, 4, lambda its, at: IIDR, _ignore, wide=False, user_write=_restore_iidr),
    _Register(_TYPER_AT, 8, lambda its, at: _TYPER, _ignore),
    _Register(0x0080, 8, lambda its, at: its.cbaser, _write_cbaser),
    _Register(0x0088, 8, lambda its, at: its.cwriter, _write_cwriter),
    _Register(0x0090, 8, lambda its, at: its.creadr, _ignore, user_write=_restore_creadr),
    _Register(0x0100, 64, _read_baser, _write_baser),
    _Register(_IDENTITY_AT, 48, lambda its, at: _IDENTITY.get(at, 0), _ignore, wide=False),
)


def _find(offset: int) -> tuple[_Register, int] | None:
    """The registers there, and the offset in them."""
    found: Iterator[_Register] = (
        one for one in _REGISTERS if one.offset <= offset < one.offset + one.length
    )
    register = next(found, None)
    return None if register is None else (register, offset - register.offset)


def _reached(offset: int, length: int) -> tuple[_Register, int] | None:
    """The same, of an access of the guest's, which may be of half a register."""
    found = _find(offset)
    widths = WORD_OR_LONG if found is not None and found[0].wide else WORD
    return found if length in widths and not offset % length else None


def read(its: Its, offset: int, length: int) -> int:
    found = _reached(offset, length)
    if found is None:
        return 0
    register, at = found
    if not register.wide:
        return register.read(its, at)
    return extract(register.read(its, at & ~7), at, length)


def write(its: Its, offset: int, length: int, value: int) -> None:
    found = _reached(offset, length)
    if found is None:
        return
    register, at = found
    if not register.wide:
        register.write(its, at, value)
    else:
        whole = at & ~7
        register.write(its, whole, update(register.read(its, whole), at, length, value))


def check_user(offset: int) -> None:
    """``vgic_its_has_attr_regs``."""
    _of_user(offset)


def _of_user(offset: int) -> tuple[_Register, int]:
    """A VMM reads and writes whole registers."""
    if offset & (7 if _TYPER_AT <= offset < _IDENTITY_AT else 3):
        raise Refused(EINVAL)
    found = _find(offset)
    if found is None:
        raise Refused(ENXIO)
    return found


def user_read(its: Its, offset: int) -> int:
    """``vgic_its_attr_regs_access``."""
    register, at = _of_user(offset)
    if its.base is None:
        raise Refused(ENXIO)
    return register.read(its, at)


def user_write(its: Its, offset: int, value: int) -> None:
    register, at = _of_user(offset)
    if its.base is None:
        raise Refused(ENXIO)
    value &= (1 << (64 if register.wide else 32)) - 1
    (register.user_write or register.write)(its, at, value)
