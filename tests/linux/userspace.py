"""A userspace of one program, which prints a line, may read one, and powers off."""

from __future__ import annotations

import struct

from vcpu_scenario.analysis.generate import words as w
from vcpu_scenario.machine.real.lab.cpio import Archive

LINE = b"hello from userspace\n"
_BASE = 0x40_0000
_CODE, _LINE, _SIZE = 0x78, 0x200, 0x300
_READ, _WRITE, _REBOOT = 63, 64, 142
_POWER_OFF = (0xFEE1DEAD, 0x28121969, 0x4321FEDC)


def init(*, reading: bool) -> bytes:
    """The program, a static ELF file, whose one segment can be written."""
    write = [(8, _WRITE), (0, 1), (1, _BASE + _LINE), (2, len(LINE))]
    reboot = [(8, _REBOOT), *enumerate(_POWER_OFF)]
    read = [(8, _READ), (0, 0), (1, _BASE + _LINE), (2, len(LINE))]
    code = [*_call(write), *(_call(read) if reading else ()), *_call(reboot), w.b(0)]
    header = b"\x7fELF\x02\x01\x01" + bytes(9)
    header += struct.pack("<HHIQQQIHHHHHH", 2, 183, 1, _BASE + _CODE, 64, 0, 0, 64, 56, 1, 0, 0, 0)
    header += struct.pack("<IIQQQQQQ", 1, 7, 0, _BASE, _BASE, _SIZE, _SIZE, 0x1000)
    text = header + struct.pack(f"<{len(code)}I", *code)
    return (text.ljust(_LINE, b"\0") + LINE).ljust(_SIZE, b"\0")


def _call(registers: list[tuple[int, int]]) -> list[int]:
    return [word for number, value in registers for word in w.mov(number, value)] + [w.svc(0)]


def initrd(*, reading: bool = False) -> bytes:
    archive = Archive()
    archive.file("init", init(reading=reading), executable=True)
    archive.character_device("dev/console", 5, 1)
    return archive.finish()
