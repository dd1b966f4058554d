"""What pytest's configuration and command line say to the plugin."""

from __future__ import annotations

from pathlib import Path

import pytest

MARKER = "vcpu"
"""The marker of every case."""
ALLOWED = "vcpu_allow_dirs"
ALLOW = "--vcpu-allow-dir"


def allowed(config: pytest.Config) -> list[Path]:
    """The folders that scenarios may name files in, beside their own."""
    asked = [config.invocation_params.dir / each for each in config.getoption(ALLOW)]
    return [*config.getini(ALLOWED), *asked]
