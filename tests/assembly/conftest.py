from __future__ import annotations

import platform

import pytest
from vcpu_scenario.assembly.assemblers import Assembler, installed

NAMES = ["gnu", "clang", "ziglang"]
if platform.system() == "Linux" and platform.machine() in ("aarch64", "arm64"):
    NAMES.append("native")


@pytest.fixture(scope="session", params=NAMES)
def assembler(request: pytest.FixtureRequest) -> Assembler:
    """Each assembler there is; those that are not installed are reported as skipped."""
    for found in installed():
        if found.name == request.param:
            return found
    pytest.skip(f"the assembler {request.param} is not installed: nothing of it was tested")
