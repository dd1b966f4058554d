"""Words back to mnemonics, for people."""

from __future__ import annotations

from functools import lru_cache
from typing import Any


@lru_cache(maxsize=4096)
def disassemble(word: int, addr: int) -> str:
    """The instruction ``word`` at ``addr``, branch targets absolute: ``ldr w1, [x0, #0x18]``.

    Always text: what capstone does not know is ``.inst 0x........``.
    """
    word &= 0xFFFFFFFF
    for _, _, mnemonic, operands in _capstone().disasm_lite(
        word.to_bytes(4, "little"), addr & (1 << 64) - 1, 1
    ):
        return f"{mnemonic} {operands}".rstrip()
    return f".inst 0x{word:08x}"


@lru_cache(maxsize=1)
def _capstone() -> Any:
    # Only a report of a mismatch needs it; a passing run should not wait for the library.
    import capstone

    return capstone.Cs(capstone.CS_ARCH_ARM64, capstone.CS_MODE_LITTLE_ENDIAN)
