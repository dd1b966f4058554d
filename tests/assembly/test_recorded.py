"""The programs that real kernels ran: sources and the bytes that were in the guest's memory."""

from __future__ import annotations

import json
import lzma
from pathlib import Path

import pytest
from vcpu_scenario.assembly.assemble import assemble_with
from vcpu_scenario.assembly.assemblers import Assembler

pytestmark = pytest.mark.slow

RECORDED = Path(__file__).with_name("recorded.json.xz")


def test_every_recorded_program_gives_the_recorded_bytes(assembler: Assembler) -> None:
    programs = json.loads(lzma.decompress(RECORDED.read_bytes()))
    assert len(programs) == 359
    different = [
        program["job"]
        for program in programs
        if assemble_with(assembler, program["asm"], program["base"]).code.hex() != program["hex"]
    ]
    assert different == []
